"""Readings a minute and segment, by event time, in bytewax. See ../engines.rs for the agreement."""

import json
import os
from collections import deque
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
import bytewax.operators.windowing as win
import paho.mqtt.client as mqtt
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

TOPIC, END = os.environ["MQTT_TOPIC"], os.environ["MQTT_END"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
MILLI = timedelta(milliseconds=1)


class Readings(StatelessSourcePartition):
    def __init__(self):
        self.inbox, self.over = deque(), False
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bytewax")
        self.client.on_message = self.take
        self.client.on_connect = lambda c, *_: c.subscribe([(TOPIC, 0), (END, 0)])
        self.client.on_subscribe = lambda *_: print("READY", flush=True)
        self.client.connect("127.0.0.1", int(os.environ["MQTT_PORT"]))
        self.client.loop_start()

    def take(self, _client, _data, message):
        if message.topic == END:
            self.over = True
        else:
            self.inbox.append(message.payload)

    def next_batch(self):
        over = self.over
        batch = [self.inbox.popleft() for _ in range(min(len(self.inbox), 1000))]
        if not batch and over:
            raise StopIteration
        return batch

    def next_awake(self):
        return None if self.inbox or self.over else datetime.now(timezone.utc) + MILLI


class FromMqtt(DynamicSource):
    def build(self, _step, _worker, _workers):
        return Readings()


class ToFile(StatelessSinkPartition):
    def __init__(self):
        self.file = open(os.environ["RESULTS"], "w")

    def write_batch(self, items):
        for segment, (window, count) in items:
            self.file.write(f"{(window + 1) * 60000} {segment} {count}\n")

    def close(self):
        self.file.close()


class Results(DynamicSink):
    def build(self, _step, _worker, _workers):
        return ToFile()


def event_time(reading):
    # `ts` ends the interval: it belongs to the minute before.
    return datetime.fromisoformat(reading["ts"].replace("Z", "+00:00")) - MILLI


flow = Dataflow("count")
readings = op.map("json", op.input("mqtt", flow, FromMqtt()), json.loads)
counts = win.count_window(
    "minutes",
    readings,
    win.EventClock(event_time, wait_for_system_duration=timedelta(seconds=10)),
    win.TumblingWindower(length=MINUTE, align_to=EPOCH),
    lambda reading: reading["edge_id"],
)
op.output("results", counts.down, Results())
run_main(flow)
print("DONE", flush=True)
