#!/usr/bin/env python3
"""How long after a kill -9 does a unit speak again?

    pip install paho-mqtt
    cargo build --release
    benches/recovery.py --wayside target/release/wayside

Starts mosquitto and the demo city's unit with a journal on loopback, by the real clock, and sends it a minute's readings
every second.  Then, as often as --times says: the unit is killed, the road operator closes or opens a road while nobody is
there, the unit is started, and the time from its start to its first direction about that event is taken.  What was sent
meanwhile waits in the broker, so the unit recovers from its journal, takes the backlog, decides, and words its answer.
"""

import argparse
import datetime as dt
import json
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt

REPOSITORY = Path(__file__).resolve().parent.parent
ROAD = "d2_e2"
LIMIT_S = 30.0


def pipeline(folder: Path, words: str) -> Path:
    """The demo's, with a journal, without an archive."""
    lines = (REPOSITORY / "pipelines" / "demo.yaml").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("  archive:")]
    if words == "template":
        lines = [line for line in lines if not line.lstrip().startswith("model:")]
    text = "\n".join([*lines, "journal: { dir: journal, snapshot_every: 10s }", ""])
    (folder / "pipelines").mkdir()
    for name in ("schemas", "models"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "pipelines" / "demo").symlink_to(REPOSITORY / "pipelines" / "demo")
    path = folder / "pipelines" / "demo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class City:
    """The other end of the broker: sends readings and events, hears directions."""

    def __init__(self, port: int):
        self.heard = threading.Condition()
        self.directions: list[tuple[float, dict]] = []
        self.online = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="city")
        self.client.on_message = self.take
        self.client.connect("127.0.0.1", port)
        self.client.subscribe([("wayside/v1/demo/direction/#", 1), ("wayside/v1/demo/status", 1)])
        self.client.loop_start()

    def take(self, _client, _userdata, message):
        if message.topic.endswith("/status"):
            if b'"online"' in message.payload:
                self.online.set()
        elif message.payload and not message.retain:
            with self.heard:
                self.directions.append((time.monotonic(), json.loads(message.payload)))
                self.heard.notify_all()

    def send(self, topic: str, body: dict):
        self.client.publish("wayside/v1/demo/" + topic, json.dumps(body), qos=1).wait_for_publish(LIMIT_S)

    def readings(self, sensors: list[tuple[str, str, str]]):
        for sensor, edge, lane in sensors:
            self.client.publish("wayside/v1/demo/sensor/%s/reading" % sensor, qos=1, payload=json.dumps({
                "v": 1, "kind": "loop", "sensor_id": sensor, "edge_id": edge, "lane": int(lane), "ts": now(), "period_s": 60,
                "count": random.randint(3, 12), "speed_kmh": random.uniform(35, 50), "occupancy_pct": random.uniform(2, 8)}))

    def first_about(self, event: str, state: str, since: float) -> float | None:
        """Seconds from then to the first direction of this state that rests on the event."""
        about = lambda d: d["state"] == state and event in d["why"].get("events", [])
        with self.heard:
            while True:
                for at, direction in self.directions:
                    if at >= since and about(direction):
                        return at - since
                if not self.heard.wait(max(0.0, since + LIMIT_S - time.monotonic())):
                    return None


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--wayside", type=Path, default=REPOSITORY / "target" / "release" / "wayside")
    ap.add_argument("--times", type=int, default=40)
    ap.add_argument("--words", choices=["model", "template"], default="model")
    a = ap.parse_args()
    broker = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if broker is None:
        raise SystemExit("mosquitto is not installed (Debian: apt install mosquitto)")
    random.seed(1)
    with open(REPOSITORY / "pipelines" / "demo" / "network" / "sensors.csv", encoding="utf-8") as f:
        rows = [line.strip().split(",") for line in f][1:]
    loops = [(row[0], row[2], row[3]) for row in rows if row[1] == "loop"]

    with tempfile.TemporaryDirectory(prefix="wayside-recovery-") as name:
        folder, port, started = Path(name), free_port(), []
        file = pipeline(folder, a.words)
        conf = folder / "broker.conf"
        conf.write_text("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"
                        "max_queued_messages 0\nmax_inflight_messages 0\nlog_type error\n" % (port, folder))
        command = [a.wayside.resolve(), "run", file, "--broker", "127.0.0.1:%d" % port, "--output", "json"]

        def unit() -> subprocess.Popen:
            with open(folder / "unit.log", "a") as log:
                process = subprocess.Popen([str(part) for part in command], cwd=folder, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
            started.append(process)
            return process

        try:
            started.append(subprocess.Popen([broker, "-c", str(conf)], stderr=subprocess.DEVNULL))
            until = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
                time.sleep(0.05)
            city, process = City(port), unit()
            if not city.online.wait(LIMIT_S):
                raise SystemExit("the unit does not come online:\n" + (folder / "unit.log").read_text())
            seconds, silent = {"show": [], "clear": []}, 0
            for n in range(a.times):
                for _ in range(random.randint(1, 4)):
                    city.readings(loops)
                    time.sleep(random.uniform(0.2, 1.0))
                process.kill()
                process.wait()
                closes = n % 2 == 0
                event = "works-%d" % (n // 2)
                city.readings(loops)
                city.send("event/" + event, {"v": 1, "event_id": event, "ts": now(), "state": "active" if closes else "cleared",
                                             "kind": "road_closed", "edges": [ROAD]})
                began, process = time.monotonic(), unit()
                took = city.first_about(event, "show" if closes else "clear", began)
                if took is None:
                    silent += 1
                else:
                    seconds["show" if closes else "clear"].append(took)
        finally:
            for process in reversed(started):
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        process.kill()
        print("| from start to | restarts | median s | longest s |")
        print("|---|---|---|---|")
        for what, state in (("a closure on a sign or in a vehicle", "show"), ("its withdrawal", "clear")):
            took = seconds[state]
            if took:
                print("| %s | %d | %.2f | %.2f |" % (what, len(took), statistics.median(took), max(took)))
        print("never: %d" % silent)
        return 1 if silent else 0


if __name__ == "__main__":
    raise SystemExit(main())
