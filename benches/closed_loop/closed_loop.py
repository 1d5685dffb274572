#!/usr/bin/env python3
"""One closed-loop run: simulated traffic, sensors, an incident, and somebody giving directions.

    closed_loop.py --world DIR --provider none|sumo-oracle|sign-oracle|mqtt --compliance 0.6 --seed 1 --out run.json

DIR is what export_world.py wrote.  Providers:
    none         nobody is told anything (drivers still turn round at a full closure when they reach it)
    sumo-oracle  the complying share carries SUMO's rerouting device: wherever they are, every --oracle-period s
                 they take the fastest route by current travel times, closures known (an upper mark)
    sign-oracle  the same knowledge, but only while the incident lasts, and only for complying vehicles that pass
                 a sign and whose route leads over the blocked edge (what perfect signs alone can reach)
    mqtt         readings are published to a broker, directions are taken from it
Vehicles comply by a hash of their id and --compliance-seed, so a higher share holds every lower one.
Needs: pip install -r requirements.txt
"""
import argparse, collections, csv, datetime as dt, gzip, hashlib, io, json, os, sys, tempfile, time
import xml.etree.ElementTree as ET
import libsumo as sumo
import sumolib

from roads import Roads, crossing


def gz_text(path):
    """A gzip file to write text into, without the time of writing: the same text gives the same bytes."""
    return io.TextIOWrapper(gzip.GzipFile(path, "wb", compresslevel=9, mtime=0), encoding="utf-8", newline="")


class World:
    def __init__(self, root):
        self.root = root
        with open(os.path.join(root, "sumo", "scenario.json")) as f:
            self.sc = json.load(f)
        self.city = self.sc["city"]
        self.t0 = dt.datetime.fromisoformat(self.sc["t0"]).astimezone(dt.timezone.utc)
        rows = lambda n: list(csv.DictReader(open(os.path.join(root, n), newline="")))
        self.sensors, self.signs = rows("sensors.csv"), rows("signs.csv")
        self.net = sumolib.net.readNet(self.path(self.sc["net"]))
        seconds, after, cars = {}, {}, {}
        for e in self.net.getEdges():
            i = e.getID()
            seconds[i] = crossing(e.getLength(), e.getSpeed())
            after[i] = [o.getID() for o in e.getOutgoing()]
            cars[i] = [o.getID() for o, cs in e.getOutgoing().items()
                       if any(c.getFromLane().allows("passenger") and c.getToLane().allows("passenger") for c in cs)]
        self.roads, self.every_road = Roads(seconds, cars), Roads(seconds, after)

    def path(self, rel):
        return os.path.join(self.root, rel)

    def ts(self, t):
        return (self.t0 + dt.timedelta(seconds=t)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sensors:
    """Loops through SUMO's own detectors, cameras by sampling the edge each second."""

    def __init__(self, world, period):
        self.w, self.period, self.cams = world, period, {}
        self.loops = [s for s in world.sensors if s["kind"] == "loop"]
        for s in world.sensors:
            if s["kind"] == "camera":
                self.cams[s["sensor_id"]] = (s["edge_id"], [0, 0.0, 0.0, 0, 0, set()])

    def additional(self, path):
        with open(path, "w") as f:
            f.write("<additional>\n")
            for s in self.loops:
                f.write('<inductionLoop id="%s" lane="%s_%s" pos="%s" period="%d" file="NUL"/>\n'
                        % (s["sensor_id"], s["edge_id"], s["lane"], s["pos_m"], self.period))
            f.write("</additional>\n")

    def sample(self):
        for e, a in self.cams.values():
            ids = sumo.edge.getLastStepVehicleIDs(e)
            a[0] += 1
            if ids:
                n = len(ids)
                a[1] += n
                a[2] += n * sumo.edge.getLastStepMeanSpeed(e)
                a[3] += sumo.edge.getLastStepHaltingNumber(e)
                a[5].update(ids)

    def collect(self, t):
        out = []
        for s in self.loops:
            i = s["sensor_id"]
            n = sumo.inductionloop.getLastIntervalVehicleNumber(i)
            v = sumo.inductionloop.getLastIntervalMeanSpeed(i)
            out.append({"v": 1, "sensor_id": i, "kind": "loop", "edge_id": s["edge_id"], "lane": int(s["lane"]),
                        "ts": self.w.ts(t), "period_s": self.period, "count": int(n),
                        "speed_kmh": round(v * 3.6, 1) if n and v >= 0 else None,
                        "occupancy_pct": round(sumo.inductionloop.getLastIntervalOccupancy(i), 2)})
        for i, (e, a) in self.cams.items():
            out.append({"v": 1, "sensor_id": i, "kind": "camera", "edge_id": e, "lane": None, "ts": self.w.ts(t),
                        "period_s": self.period, "count": len(a[5]),
                        "vehicles_avg": round(a[1] / max(a[0], 1), 2),
                        "speed_kmh": round(a[2] / a[1] * 3.6, 1) if a[1] else None,
                        "queue_veh": round(a[3] / max(a[0], 1), 1)})
            a[0], a[1], a[2], a[3], a[5] = 0, 0.0, 0.0, 0, set()
        return out


class Incident:
    """One edge or several, closed at the same time."""

    def __init__(self, world, edges, begin, duration, kind):
        self.w, self.edges, self.begin, self.end, self.kind = world, edges, begin, begin + duration, kind
        self.active, self.saved, self.turned, self.stuck, self.seen = False, {}, 0, 0, set()
        self.passed = set()
        self.exempt = set(world.sc["closure_exempt_vclasses"])
        self.shut = world.roads.shut_by(edges) if kind == "full" else frozenset(() if kind == "none" else edges)
        self.barrier = world.roads.barrier(self.shut)

    def lanes(self, edge):
        n = sumo.edge.getLaneNumber(edge)
        k = n if self.kind == "full" else min(int(self.kind.split(":")[1]), n - 1)
        return ["%s_%d" % (edge, i) for i in range(k)]

    def events(self, t, state):
        """What the road operator announces: topic and payload, one an edge."""
        for n, edge in enumerate(self.edges, 1):
            yield "event/incident-%d" % n, {
                "v": 1, "event_id": "incident-%d" % n, "state": state, "ts": self.w.ts(t),
                "edges": [edge], "kind": "road_closed" if self.kind == "full" else "lanes_closed",
                "lanes_closed": len(self.lanes(edge)),
                "start": self.w.ts(self.begin), "planned_end": self.w.ts(self.end)}

    def step(self, t):
        inside = self.begin <= t < self.end
        if inside:
            for edge in self.edges:
                self.passed.update(sumo.edge.getLastStepVehicleIDs(edge))
        if self.kind == "none":
            return
        if inside and not self.active:
            for l in (l for edge in self.edges for l in self.lanes(edge)):
                self.saved[l] = list(sumo.lane.getDisallowed(l))
                was = set(sumo.lane.getAllowed(l))
                sumo.lane.setAllowed(l, sorted(self.exempt if not was else (self.exempt & was or {"authority"})))
            self.active = True
        elif not inside and self.active:
            for l, dis in self.saved.items():
                sumo.lane.setDisallowed(l, dis)
            self.active = False
        if self.active and self.kind == "full":
            for b in self.barrier:
                for v in sumo.edge.getLastStepVehicleIDs(b):
                    if (v, b) in self.seen:
                        continue
                    self.seen.add((v, b))
                    self.turn(v, b)

    def turn(self, v, b):
        """A driver at the barrier sees it and takes the fastest way round by the map."""
        if sumo.vehicle.getVehicleClass(v) in self.exempt:
            return
        route, i = sumo.vehicle.getRoute(v), sumo.vehicle.getRouteIndex(v)
        rest = route[i:]
        if not self.shut.intersection(rest[1:]):
            return
        roads = self.w.every_road if sumo.vehicle.getVehicleClass(v) == "ignoring" else self.w.roads
        new = roads.way(b, rest[-1], self.shut)
        try:
            if new is None:
                raise ValueError("no way round")
            sumo.vehicle.setRoute(v, list(new))
            self.turned += 1
        except Exception:
            self.stuck += 1


class Guidance:
    """Base: keeps who complies and applies directions to them."""
    name = "none"

    def __init__(self, world, args, incident):
        self.w, self.a, self.inc = world, args, incident
        self.guided = set(world.sc["guided_vclasses"])
        self.memo, self.stats = {}, collections.Counter()

    def complies(self, v):
        if v not in self.memo:
            h = hashlib.sha256(("%s:%s" % (self.a.compliance_seed, v)).encode()).digest()
            u = int.from_bytes(h[:8], "big") / 2.0 ** 64
            self.memo[v] = u < self.a.compliance and sumo.vehicle.getVehicleClass(v) in self.guided
        return self.memo[v]

    def sumo_args(self): return []
    def departed(self, v): pass
    def readings(self, t, batch): pass
    def step(self, t): pass
    def close(self): pass


class SumoOracle(Guidance):
    name = "sumo-oracle"

    def sumo_args(self):
        return ["--device.rerouting.period", str(self.a.oracle_period), "--device.rerouting.adaptation-interval", "10",
                "--device.rerouting.adaptation-steps", "18"]

    def departed(self, v):
        if self.complies(v):
            sumo.vehicle.setParameter(v, "has.rerouting.device", "true")
            self.stats["equipped"] += 1


class SignOracle(Guidance):
    name = "sign-oracle"

    def __init__(self, *a):
        super().__init__(*a)
        self.seen = set()

    def sumo_args(self):
        return ["--device.rerouting.adaptation-interval", "10", "--device.rerouting.adaptation-steps", "18"]

    def step(self, t):
        if not self.inc.active:
            return
        for s in self.w.signs:
            for v in sumo.edge.getLastStepVehicleIDs(s["edge_id"]):
                if (v, s["sign_id"]) in self.seen:
                    continue
                self.seen.add((v, s["sign_id"]))
                if not self.complies(v):
                    continue
                rest = sumo.vehicle.getRoute(v)[sumo.vehicle.getRouteIndex(v) + 1:]
                if self.inc.shut.intersection(rest):
                    sumo.vehicle.setRoutingMode(v, 1)
                    sumo.vehicle.rerouteTraveltime(v, False)
                    self.stats["told"] += 1
                    now = sumo.vehicle.getRoute(v)[sumo.vehicle.getRouteIndex(v) + 1:]
                    self.stats["changed"] += tuple(now) != tuple(rest)


class Mqtt(Guidance):
    name = "mqtt"

    def __init__(self, *a):
        super().__init__(*a)
        import paho.mqtt.client as mq
        self.base = "%s/%s" % (self.a.topic_root, self.w.city)
        self.lock_acked, self.inbox = -1, collections.deque()
        self.active, self.seen, self.log, self.bad = {}, set(), [], []
        self.shown = {s["sign_id"]: s["edge_id"] for s in self.w.signs}
        self.wait_s, self.late_s, self.began = 0.0, 0.0, self.a.pace_from
        self.announced = {}                          # when each state of the incident was announced
        self.seq = 0
        self.c = mq.Client(mq.CallbackAPIVersion.VERSION2, client_id="closed-loop-%d" % os.getpid())
        self.c.max_queued_messages_set(0)
        self.c.max_inflight_messages_set(1000)
        self.c.on_message = self.incoming
        self.c.connect(self.a.mqtt_host, self.a.mqtt_port, 60)
        self.c.subscribe([(self.base + "/direction/#", 1), (self.base + "/clock/ack", 1)])
        self.c.loop_start()

    def incoming(self, c, u, m):
        if m.retain:                                 # left over from an earlier run: this run never said it
            self.stats["stale_retained"] += 1
        else:
            self.inbox.append((m.topic, bytes(m.payload)))

    def publish(self, topic, payload, retain=False):
        self.c.publish(self.base + "/" + topic, json.dumps(payload, separators=(",", ":")), qos=1, retain=retain)

    def readings(self, t, batch):
        for r in batch:
            self.publish("sensor/%s/reading" % r["sensor_id"], r)
        if self.a.announce and self.inc.kind != "none":
            for at, state in ((self.inc.begin, "active"), (self.inc.end, "cleared")):
                if at <= t < at + self.a.period:
                    self.announced.setdefault(state, t)
                    for topic, event in self.inc.events(t, state):
                        self.publish(topic, event)
        self.seq += 1
        self.publish("clock", {"v": 1, "seq": self.seq, "ts": self.w.ts(t), "final": False})
        if self.a.pace == "ack":
            began = time.monotonic()
            while self.lock_acked < self.seq and time.monotonic() - began < self.a.ack_timeout:
                self.take(t)
                time.sleep(0.002)
            self.wait_s += time.monotonic() - began
            self.stats["ack_timeouts"] += self.lock_acked < self.seq
            if self.stats["ack_timeouts"] > 3:
                sys.exit("the guide does not answer the clock")
            self.take(t)

    def keep_pace(self, t):
        """Waits until second `t` is due, and hears what is said meanwhile."""
        passed = (t - self.w.sc["begin"]) / float(self.a.pace)
        if self.began is None:
            self.began = time.time() - passed
        due = self.began + passed
        self.late_s = max(self.late_s, time.time() - due)
        while True:
            self.take(t)
            left = due - time.time()
            if left <= 0:
                return
            time.sleep(min(left, 0.01))

    def take(self, t):
        while self.inbox:
            topic, raw = self.inbox.popleft()
            tail = topic[len(self.base) + 1:].split("/")
            if tail == ["clock", "ack"]:
                try:
                    self.lock_acked = max(self.lock_acked, int(json.loads(raw)["seq"]))
                except Exception:
                    self.stats["bad_acks"] += 1
                continue
            try:
                self.direction(t, tail, json.loads(raw) if raw else None)
            except Exception as ex:                  # a bad direction is counted, never fatal
                self.stats["bad_directions"] += 1
                if len(self.bad) < 100:
                    self.bad.append({"t": t, "topic": topic, "error": repr(ex)[:200]})

    def direction(self, t, tail, d):
        kind, target = tail[1], "/".join(tail[2:])         # an area's topic may go deeper: area/{tile}/{part}
        key = (kind, target)
        if d is None or d.get("state") == "clear":
            self.active.pop(key, None)
            self.stats["cleared"] += 1
            self.log.append({"t": t, "kind": kind, "target": target, "state": "clear"})
            return
        if kind == "sign" and target not in self.shown:
            raise ValueError("unknown sign")
        avoid = frozenset(d.get("avoid_edges") or ())
        via = tuple(d.get("via_edges") or ())
        unknown = [e for e in avoid.union(via) if e not in self.w.roads.after]
        if unknown:
            raise ValueError("unknown edges %s" % unknown[:3])
        if not avoid:
            raise ValueError("nothing to avoid")
        ends = dt.datetime.fromisoformat(d["valid_until"].replace("Z", "+00:00"))
        until = (ends - self.w.t0).total_seconds()
        if kind == "sign":
            edges = {self.shown[target]}
        elif kind == "area":
            edges = set(d["applies_on_edges"])
        elif kind == "vehicle":
            edges = None
        else:
            raise ValueError("unknown direction kind")
        self.active[key] = {"avoid": avoid, "via": via, "until": until, "edges": edges, "id": d.get("direction_id", ""),
                            "vehicle": target if kind == "vehicle" else None}
        self.stats["directions"] += 1
        advised = [way["edges"] for way in (d.get("why") or {}).get("ways", ()) if way.get("verdict") == "advised"]
        self.log.append({"t": t, "kind": kind, "target": target, "state": "show", "id": d.get("direction_id", ""),
                         "cause": d.get("cause"), "avoid": list(d["avoid_edges"]), "via": list(via),
                         "on": sorted(edges or ()), "way": advised[0] if advised else [], "text": d.get("text"),
                         "until": round(until, 1)})

    def step(self, t):
        if self.a.pace != "ack":
            self.keep_pace(t)
        for key in [k for k, d in self.active.items() if d["until"] <= t]:
            del self.active[key]
        for key, d in self.active.items():
            if d["vehicle"] is not None:
                try:
                    self.obey(d["vehicle"], key, d)
                except Exception:
                    self.stats["no_such_vehicle"] += 1
                continue
            for e in d["edges"]:
                for v in sumo.edge.getLastStepVehicleIDs(e):
                    self.obey(v, key, d)

    def obey(self, v, key, d):
        mark = (v, key, d["avoid"], d["via"])
        if mark in self.seen:
            return
        self.seen.add(mark)
        if not self.complies(v):
            return
        route, i = sumo.vehicle.getRoute(v), sumo.vehicle.getRouteIndex(v)
        here, rest = route[i], route[i + 1:]
        if not d["avoid"].intersection(rest):
            return
        self.stats["told"] += 1
        new, goal = None, route[-1]
        if d["via"]:
            legs, new = [here, *[e for e in d["via"] if e != here], goal], [here]
            for a, b in zip(legs, legs[1:]):
                leg = self.w.roads.way(a, b, d["avoid"]) if a != b else (a,)
                if leg is None:
                    new = None
                    self.stats["via_unreachable"] += 1
                    break
                new += leg[1:]
            if new and len(set(new)) < len(new):     # nobody follows a sign in a circle
                new = None
                self.stats["via_loops"] += 1
        if new is None:
            new = self.w.roads.way(here, goal, d["avoid"])
        if new is None:
            self.stats["no_way_round"] += 1
            return
        try:
            sumo.vehicle.setRoute(v, list(new))
            self.stats["changed"] += 1
            self.stats["sent_over_closed"] += self.inc.active and not self.inc.shut.isdisjoint(new[1:])
        except Exception:
            self.stats["refused"] += 1

    def close(self):
        self.publish("clock", {"v": 1, "seq": self.seq + 1, "ts": self.w.ts(self.a.horizon), "final": True})
        time.sleep(0.3)
        self.c.loop_stop()
        self.c.disconnect()


PROVIDERS = {"none": Guidance, "sumo-oracle": SumoOracle, "sign-oracle": SignOracle, "mqtt": Mqtt}


def trips(path):
    out = {}
    for _, el in ET.iterparse(path):
        if el.tag == "tripinfo":
            out[el.get("id")] = {"depart": float(el.get("depart")), "wait": float(el.get("departDelay")),
                                 "duration": float(el.get("duration")), "loss": float(el.get("timeLoss")),
                                 "length": float(el.get("routeLength")), "type": el.get("vType"),
                                 "arrived": float(el.get("arrival")) >= 0, "reroutes": int(el.get("rerouteNo"))}
            el.clear()
    return out


def summary(tr, ids=None):
    rows = [v for k, v in tr.items() if ids is None or k in ids]
    if not rows:
        return {"vehicles": 0}
    n = len(rows)
    tot = sum(r["wait"] + r["duration"] for r in rows)
    return {"vehicles": n, "arrived": sum(r["arrived"] for r in rows),
            "mean_travel_time_s": round(tot / n, 2), "total_travel_time_h": round(tot / 3600, 2),
            "total_time_loss_h": round(sum(r["wait"] + r["loss"] for r in rows) / 3600, 2),
            "mean_route_length_m": round(sum(r["length"] for r in rows) / n, 1)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--world", required=True)
    ap.add_argument("--provider", choices=sorted(PROVIDERS), default="none")
    ap.add_argument("--compliance", type=float, default=0.6)
    ap.add_argument("--seed", type=int, default=1, help="SUMO's seed")
    ap.add_argument("--compliance-seed", type=int, default=1)
    ap.add_argument("--period", type=int, default=30, help="seconds between readings")
    ap.add_argument("--incident-edge", action="append", help="give it twice for two closures at once")
    ap.add_argument("--incident-begin", type=float)
    ap.add_argument("--incident-duration", type=float)
    ap.add_argument("--incident-kind", help="full, lanes:K (the K rightmost lanes) or none")
    ap.add_argument("--oracle-period", type=int, default=60)
    ap.add_argument("--horizon", type=float, help="give up at this simulated second")
    ap.add_argument("--affected-from", help="result of a run without an incident: its passers are the affected vehicles")
    ap.add_argument("--mqtt-host", default="127.0.0.1")
    ap.add_argument("--mqtt-port", type=int, default=1883)
    ap.add_argument("--topic-root", default="wayside/v1")
    ap.add_argument("--pace", default="ack", help="ack: wait for the guide after each batch; a number: times real time")
    ap.add_argument("--pace-from", type=float, help="when the first second is due, in seconds of Unix time; default: when it is reached")
    ap.add_argument("--ack-timeout", type=float, default=5.0)
    ap.add_argument("--announce", action="store_true", help="publish the incident as an event")
    ap.add_argument("--record", help="write readings, events and clock as newline-delimited JSON (.gz)")
    ap.add_argument("--edge-truth", help="write SUMO's own per-edge, per-minute means as CSV (.gz)")
    ap.add_argument("--sumo-arg", action="append", default=[])
    ap.add_argument("--out", required=True)
    a = ap.parse_args()

    w = World(a.world)
    di = w.sc.get("incident", {})
    pick = lambda x, k, d=None: x if x is not None else di.get(k, d)
    a.horizon = a.horizon or w.sc["end"]
    edges = a.incident_edge or [di["edge"]] if a.incident_edge or di else []
    kind = pick(a.incident_kind, "kind", "full")
    if kind != "none" and not edges:
        ap.error("the world has no incident of its own: give --incident-edge")
    inc = Incident(w, edges, pick(a.incident_begin, "begin", 0.0), pick(a.incident_duration, "duration", 0.0), kind)
    sens = Sensors(w, a.period)
    guide = PROVIDERS[a.provider](w, a, inc)
    rec = gz_text(a.record) if a.record else None
    base = "%s/%s" % (a.topic_root, w.city)

    def record(t, topic, payload):
        if rec:
            rec.write(json.dumps({"ts": w.ts(t), "topic": base + "/" + topic, "payload": payload},
                                 separators=(",", ":")) + "\n")

    wall = time.time()
    with tempfile.TemporaryDirectory() as tmp:
        add, trip = os.path.join(tmp, "loops.add.xml"), os.path.join(tmp, "trips.xml")
        sens.additional(add)
        adds = [w.path(p) for p in w.sc["additional"]] + [add]
        if a.edge_truth:
            et = os.path.join(tmp, "edgetruth.add.xml")
            with open(et, "w") as f:
                f.write('<additional><edgeData id="m" period="60" file="%s" excludeEmpty="true"/></additional>'
                        % os.path.join(tmp, "edges.xml"))
            adds.append(et)
        cmd = ["sumo", "-n", w.path(w.sc["net"]), "-r", ",".join(w.path(p) for p in w.sc["routes"]),
               "-a", ",".join(adds), "--begin", str(w.sc["begin"]), "--seed", str(a.seed), "--no-step-log",
               "--no-warnings", "--ignore-route-errors", "--duration-log.disable", "--tripinfo-output", trip, "--tripinfo-output.write-unfinished",
               *w.sc["sumo_args"], *guide.sumo_args(), *a.sumo_arg]
        sumo.start(cmd)
        t, teleports, running_peak = w.sc["begin"], 0, 0
        while t < a.horizon and sumo.simulation.getMinExpectedNumber() > 0:
            sumo.simulationStep()
            t = sumo.simulation.getTime()
            for v in sumo.simulation.getDepartedIDList():
                guide.departed(v)
            teleports += sumo.simulation.getStartingTeleportNumber()
            was = inc.active
            inc.step(t)
            if rec and a.announce and was != inc.active:
                for topic, event in inc.events(t, "active" if inc.active else "cleared"):
                    record(t, topic, event)
            if rec or a.provider == "mqtt":
                sens.sample()
                if int(t) % a.period == 0:
                    batch = sens.collect(t)
                    for r in batch:
                        record(t, "sensor/%s/reading" % r["sensor_id"], r)
                    record(t, "clock", {"v": 1, "seq": int(t) // a.period, "ts": w.ts(t), "final": False})
                    guide.readings(t, batch)
            guide.step(t)
            running_peak = max(running_peak, sumo.vehicle.getIDCount())
        sumo.close()
        guide.close()
        if rec:
            rec.close()
        tr = trips(trip)
        if a.edge_truth:
            with gz_text(a.edge_truth) as f:
                o = csv.writer(f, lineterminator="\n")
                o.writerow(["ts", "edge_id", "speed_kmh", "density_veh_km", "occupancy_pct", "entered", "left",
                            "sampled_veh_s", "waiting_veh_s", "travel_time_s"])
                for _, iv in ET.iterparse(os.path.join(tmp, "edges.xml")):
                    if iv.tag == "interval":
                        for e in iv:
                            g = lambda k: e.get(k, "")
                            o.writerow([w.ts(float(iv.get("end"))), e.get("id"),
                                        round(float(g("speed")) * 3.6, 1) if g("speed") else "", g("density"),
                                        g("occupancy"), g("entered"), g("left"), g("sampledSeconds"),
                                        g("waitingTime"), g("traveltime")])
                        iv.clear()
    affected = None
    if a.affected_from:
        with open(a.affected_from) as f:
            affected = set(json.load(f)["passed_incident_edge"])
    res = {"world": w.city, "provider": a.provider, "compliance": 0 if a.provider == "none" else a.compliance,
           "seed": a.seed, "compliance_seed": a.compliance_seed,
           "incident": {"edges": inc.edges, "begin": inc.begin, "end": inc.end, "kind": inc.kind,
                        "shut": sorted(inc.shut), "turned_at_barrier": inc.turned, "stuck_at_barrier": inc.stuck},
           "all": summary(tr), "ended_at": t, "teleports": teleports, "running_peak": running_peak,
           "guidance": dict(guide.stats), "wall_s": round(time.time() - wall, 1),
           "passed_incident_edge": sorted(inc.passed)}
    if affected is not None:
        res["affected"] = summary(tr, affected)
    if a.provider == "mqtt":
        res["announced_at"] = guide.announced
        res["guide_wait_s"], res["behind_pace_s"] = round(guide.wait_s, 1), round(guide.late_s, 2)
        res["bad_directions"] = guide.bad
        res["directions"] = guide.log
    res["trips"] = {k: [v["depart"], round(v["wait"] + v["duration"], 1), round(v["wait"] + v["loss"], 1), v["reroutes"]]
                    for k, v in sorted(tr.items())}
    with open(a.out, "w") as f:
        json.dump(res, f, separators=(",", ":"))
    print(json.dumps({k: v for k, v in res.items() if k not in ("trips", "passed_incident_edge", "directions")}))


if __name__ == "__main__":
    sys.exit(main())
