#!/usr/bin/env python3
"""Plays a recording to a broker as another MQTT client would, with the driven clock (wire.md, `clock`).

    pip install paho-mqtt
    wayside run pipelines/bologna.yaml --broker 127.0.0.1:1883 --clock driven &
    benches/play.py ../shared/data/bologna/recording.ndjson.gz --site bologna --port 1883

Between two beats all messages of one recorded moment go out; the next beat waits for the unit's acknowledgement. A beat
that is not acknowledged within --patience seconds is sent again, so a broker that goes away for a while only delays.
"""

import argparse
import gzip
import json
import threading
import time

import paho.mqtt.client as mqtt


def moments(path):
    """Yields (ts, messages) in the order of the file; the recording's own beats are left out."""
    opener = gzip.open if path.endswith(".gz") else open
    ts, held = None, []
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            m = json.loads(line)
            if m["topic"].endswith("/clock"):
                continue
            now = m.get("pub", m["ts"])
            if ts is not None and now > ts and held:
                yield ts, held
                held = []
            ts = max(ts or now, now)
            payload = m["payload"]
            held.append((m["topic"], payload if isinstance(payload, str) else json.dumps(payload)))
    if held:
        yield ts, held


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("recording")
    ap.add_argument("--site", required=True)
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=1883)
    ap.add_argument("--root", default="wayside/v1")
    ap.add_argument("--patience", type=float, default=5.0, help="seconds before a beat is sent again")
    ap.add_argument("--pause", type=float, default=0.0, help="seconds to rest after each beat")
    ap.add_argument("--limit", type=float, default=600.0, help="give up after so many seconds")
    a = ap.parse_args()

    clock = f"{a.root}/{a.site}/clock"
    acked = {"seq": 0}
    news = threading.Condition()

    def on_connect(client, *_):
        client.subscribe(clock + "/ack", qos=1)

    def on_message(_client, _userdata, message):
        with news:
            acked["seq"] = max(acked["seq"], json.loads(message.payload)["seq"])
            news.notify_all()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="player", clean_session=False)
    client.on_connect, client.on_message = on_connect, on_message
    client.max_queued_messages_set(0)
    client.reconnect_delay_set(1, 2)
    client.connect(a.host, a.port)
    client.loop_start()

    start, seq, sent, again, ts = time.monotonic(), 0, 0, 0, None

    def beat(ts, final):
        nonlocal seq, again
        seq += 1
        body = json.dumps({"v": 1, "seq": seq, "ts": ts, "final": final})
        client.publish(clock, body, qos=1)
        with news:
            while acked["seq"] < seq:
                if time.monotonic() - start > a.limit:
                    raise SystemExit(f"no acknowledgement of beat {seq} within {a.limit} s: is the unit running?")
                if not news.wait(a.patience) and acked["seq"] < seq:
                    again += 1
                    client.publish(clock, body, qos=1)

    for ts, messages in moments(a.recording):
        for topic, payload in messages:
            client.publish(topic, payload, qos=1)
            sent += 1
        beat(ts, False)
        if a.pause:
            time.sleep(a.pause)
    beat(ts, True)
    client.disconnect()
    client.loop_stop()
    print(f"{sent} messages, {seq} beats, {again} beats sent again, {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
