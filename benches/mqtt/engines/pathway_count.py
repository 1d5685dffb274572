"""Readings a minute and segment, by event time, in pathway. See ../engines.rs for the agreement."""

import json
import os
import threading

import paho.mqtt.client as mqtt
import pathway as pw

TOPIC, END = os.environ["MQTT_TOPIC"], os.environ["MQTT_END"]


class Reading(pw.Schema):
    segment: str
    ts: pw.DateTimeUtc


class FromMqtt(pw.io.python.ConnectorSubject):
    """By paho, like bytewax: pathway's own reader of MQTT cannot be told that a stream is over."""

    def run(self):
        over = threading.Event()

        def take(_client, _data, message):
            if message.topic == END:
                over.set()
                return
            reading = json.loads(message.payload)
            self.next(segment=reading["edge_id"], ts=pw_time(reading["ts"]))

        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="pathway")
        client.on_message = take
        client.on_connect = lambda c, *_: c.subscribe([(TOPIC, 0), (END, 0)])
        client.on_subscribe = lambda *_: print("READY", flush=True)
        client.connect("127.0.0.1", int(os.environ["MQTT_PORT"]))
        client.loop_start()
        over.wait()
        client.loop_stop()


def pw_time(text):
    import pandas

    # `ts` ends the interval: it belongs to the minute before.
    return pandas.Timestamp(text) - pandas.Timedelta(milliseconds=1)


readings = pw.io.python.read(FromMqtt(), schema=Reading, autocommit_duration_ms=100)
counts = readings.windowby(
    readings.ts,
    window=pw.temporal.tumbling(duration=pw.Duration(minutes=1)),
    instance=readings.segment,
).reduce(segment=pw.this._pw_instance, end=pw.this._pw_window_end, count=pw.reducers.count())

cells = {}


def take(key, row, time, is_addition):
    if is_addition:
        cells[(row["end"], row["segment"])] = row["count"]


pw.io.subscribe(counts, on_change=take)
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
with open(os.environ["RESULTS"], "w") as file:
    for (end, segment), count in cells.items():
        file.write(f"{int(end.timestamp() * 1000)} {segment} {count}\n")
print("DONE", flush=True)
