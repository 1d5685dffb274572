"""Readings a minute and segment, by event time, in kuiperd. See ../engines.rs for the agreement.

The argument is the program of kuiperd.
"""

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

PORT, TOPIC, END = int(os.environ["MQTT_PORT"]), os.environ["MQTT_TOPIC"], os.environ["MQTT_END"]
OWN_TOPIC = TOPIC.replace("+", "adapter")
RESULTS = os.path.abspath(os.environ["RESULTS"])
ROWS, LAST = "rows", "last"
QUIET_S = 20  # so long without a row: what is missing does not come


def text(ts):
    return ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# The newest time of all sensors closes windows, even where WHERE turns the reading away: one clock that is
# a day ahead would close all. So a first rule turns its readings away and hands on the others. It also
# moves their `ts`, which ends the interval, into the minute before.
LIMIT = datetime.now(timezone.utc) + timedelta(hours=1)
STREAMS = [
    f'CREATE STREAM readings () WITH (TYPE="mqtt", SERVER="tcp://127.0.0.1:{PORT}", DATASOURCE="{TOPIC}",'
    ' QOS="0", FORMAT="json")',
    'CREATE STREAM moved () WITH (TYPE="memory", DATASOURCE="moved", FORMAT="json", TIMESTAMP="at")',
]
RULES = [
    {
        "id": "count",
        "sql": "SELECT window_end() AS end_ms, edge_id, count(*) AS count FROM moved"
        " GROUP BY edge_id, TUMBLINGWINDOW(mi, 1)",
        # The first rule does not wait for room in the buffer of the second: it drops.
        "options": {"isEventTime": True, "lateTolerance": 10_000, "bufferLength": 1_000_000},
        "actions": [
            {
                "file": {
                    "path": ROWS,
                    "format": "delimited",
                    "delimiter": " ",
                    "fields": ["end_ms", "edge_id", "count"],
                }
            }
        ],
    },
    {
        "id": "move",
        "sql": f"SELECT edge_id, date_add('ms', -1, ts) AS at FROM readings WHERE ts < '{text(LIMIT)}'",
        "actions": [{"memory": {"topic": "moved"}}],
    },
]


class Broker:
    """The little of MQTT 3.1.1 that hears the end and sends some readings; no packet is long."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.incoming = self.socket.makefile("rb")
        self.send(0x10, self.string("MQTT") + b"\4\2\0\0" + self.string("kuiperd-end"))
        self.send(0x82, b"\0\1" + self.string(END) + b"\0")
        if self.incoming.read(9) != b"\x20\2\0\0" + b"\x90\3\0\1\0":
            sys.exit("the broker refuses")

    def string(self, string):
        return len(string).to_bytes(2, "big") + string.encode()

    def send(self, kind, body):
        self.socket.sendall(bytes([kind, len(body)]) + body)

    def reading(self, segment, ts):
        payload = json.dumps({"edge_id": segment, "ts": text(ts)})
        self.send(0x30, self.string(OWN_TOPIC) + payload.encode())

    def wait_for_end(self):
        self.incoming.read(1)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def start(program):
    # In a folder of their own: the bench's log has the name of one of them.
    for folder in ["etc", "data", "log"]:
        os.makedirs(os.path.join("kuiperd", folder), exist_ok=True)
    os.chdir("kuiperd")
    port = free_port()
    basic = {
        "restIp": "127.0.0.1",
        "restPort": port,
        "httpServerIp": "127.0.0.1",
        "httpServerPort": free_port(),
    }
    with open("etc/kuiper.yaml", "w") as file:
        json.dump({"basic": basic, "store": {"type": "memory"}}, file)
    libc = ctypes.CDLL(None)
    kuiperd = subprocess.Popen(
        [program, "--etc", "etc", "--data", "data", "--log", "log"],
        env=os.environ | {"RUST_LOG": "warn"},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        # PR_SET_PDEATHSIG: the bench kills this script, and kuiperd must not stay.
        preexec_fn=lambda: libc.prctl(1, signal.SIGKILL),
    )
    return kuiperd, port


def rest(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    kind = {"Content-Type": "application/json"}
    connection.request(method, path, body and json.dumps(body), kind)
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {said}")
    return said


def wait_until_up(kuiperd, port):
    while kuiperd.poll() is None:
        try:
            return rest(port, "GET", "/ping")
        except OSError:
            time.sleep(0.05)
    sys.exit(f"kuiperd ended: {kuiperd.returncode}")


def wait_until_subscribed(port, broker):
    """By readings that the first rule sees and turns away."""
    while json.loads(rest(port, "GET", "/rules/move/status"))["sourceRecordsInTotal"] == 0:
        broker.reading("first", LIMIT + timedelta(days=1))
        time.sleep(0.1)


def wait_for_last():
    size, since = 0, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        time.sleep(0.02)
        now = os.path.getsize(ROWS) if os.path.exists(ROWS) else 0
        if now == size:
            continue
        with open(ROWS, "rb") as file:
            file.seek(max(0, now - 100))
            if f" {LAST} ".encode() in file.read():
                return
        size, since = now, time.monotonic()
    print(f"the last row did not come in {QUIET_S} s", file=sys.stderr)


broker = Broker()
kuiperd, port = start(sys.argv[1])
wait_until_up(kuiperd, port)
for sql in STREAMS:
    rest(port, "POST", "/streams", {"sql": sql})
for rule in RULES:
    rest(port, "POST", "/rules", rule)
wait_until_subscribed(port, broker)
print("READY", flush=True)

broker.wait_for_end()
# Only readings close windows. These come after all others: the first closes theirs, the second its own.
broker.reading(LAST, LIMIT - timedelta(minutes=5))
broker.reading("after", LIMIT - timedelta(minutes=1))
wait_for_last()
with open(ROWS) as rows, open(RESULTS, "w") as results:
    results.writelines(row for row in rows if f" {LAST} " not in row)
print("DONE", flush=True)
signal.pause()
