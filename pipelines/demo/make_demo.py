#!/usr/bin/env python3
"""Make the demo city: a small invented town, half an hour of its sensors, one closed bridge.

    python3 -m venv /tmp/demo && /tmp/demo/bin/pip install -r requirements.txt
    /tmp/demo/bin/python make_demo.py [--out DIR] [--world DIR]

Writes network/ and recording.ndjson.gz beside itself (or into --out).  --world keeps the simulator's own inputs, so
that the closed-loop bench can drive through the town as well.  The town is drawn below by hand; SUMO's netconvert
makes the network of it, duarouter the demand, and the closed-loop bench records the run.  The same versions give the
same bytes.
"""
import argparse, collections, datetime as dt, gzip, heapq, json, os, random, shutil, subprocess, sys, tempfile
import xml.sax.saxutils as xml

import pyproj
import sumo as sumo_package
import sumolib

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(HERE, "..", "..", "benches", "closed_loop")
sys.path.insert(0, BENCH)
import export_world

CITY = "demo"
T0 = "2026-05-12T06:00:00+00:00"
SECONDS = 1800
CLOSED, CLOSED_FROM, CLOSED_FOR = "d2_e2", 480, 720
# The open Tyrrhenian Sea: nobody lives here.
ORIGIN = (11.60, 40.05)

# Junctions, metres east and north of the origin.  Letters run from west to east, digits from north to south; the river
# flows between d and e.
JUNCTIONS = {
    "a1": (140, 1450), "a2": (90, 1010), "a3": (120, 560), "a4": (180, 170),
    "b1": (470, 1530), "b2": (440, 1080), "b3": (460, 640), "b4": (500, 210), "b5": (430, -160),
    "c0": (860, 1880), "c1": (820, 1490), "c2": (790, 1050), "c3": (810, 690),
    "d1": (1120, 1540), "d2": (1090, 1100), "d3": (1130, 700), "d4": (1140, 250),
    "e1": (1430, 1500), "e2": (1400, 1080), "e3": (1440, 660), "e4": (1430, 230),
    "f0": (1730, 1900), "f1": (1760, 1540), "f2": (1800, 1130), "f3": (1770, 640), "f4": (1790, 200), "f5": (1850, -170),
    "g1": (2100, 1390), "g2": (2150, 1060), "g3": (2110, 620), "g4": (2070, 260),
    "w2": (-330, 960), "x2": (2560, 1130),
}
SIGNALS = "b2 c2 d2 e2 f2 d3 e3 b3 d1 e1".split()

# Name, lanes each way, km/h, priority, junctions in order; ">" for one way.  All names are invented.
STREETS = [
    ("Corso Aurora", 2, 50, 4, "w2 a2 b2 c2 d2 e2 f2 g2"),
    ("Via della Fiera", 2, 50, 4, "g2 x2"),
    ("Viale dei Tigli", 1, 50, 3, "a1 b1 c1 d1 e1 f1"),
    ("Viale del Belvedere", 1, 50, 3, "f1 g1"),
    ("Via San Nicolò", 1, 40, 3, "a3 b3 c3 d3 e3 f3"),
    ("Viale Lungomare", 1, 50, 2, "a4 b4 d4"),
    ("Via del Porto", 1, 40, 2, "e4 f4 g4"),
    ("Viale di Ponente", 1, 50, 2, "a1 a2 a3 a4"),
    ("Via dell'Orologio", 1, 30, 1, "b1 > b2 > b3 > b4"),
    ("Via Ca' Rossa", 1, 50, 3, "b4 b5"),
    ("Via dei Colli", 1, 50, 3, "c0 c1"),
    ("Via delle Antiche Fornaci", 1, 40, 1, "c1 c2 c3"),
    ("Via Piè di Colle", 1, 30, 1, "a4 > b3"),
    ("Riva Alta", 1, 40, 2, "d1 d2"),
    ("Riva dei Pescatori", 1, 40, 2, "d2 d3 d4"),
    ("Riva Nuova", 1, 40, 2, "e1 e2"),
    ("Riva del Mulino", 1, 40, 2, "e2 e3 e4"),
    ("Via delle Ginestre", 1, 50, 3, "f0 f1"),
    ("Viale dell'Università", 1, 50, 2, "f1 f2 f3 f4"),
    ("Via delle Saline", 1, 50, 3, "f4 f5"),
    ("Viale di Levante", 1, 50, 2, "g1 g2 g3 g4"),
]
# Bends, in metres: the points between two junctions, in the order of the edge's id.
BENDS = {
    "w2_a2": [(-180, 1010)], "b4_d4": [(640, 170), (880, 190)], "d1_d2": [(1070, 1330)], "d2_d3": [(1060, 900)],
    "d3_d4": [(1170, 480)], "e1_e2": [(1370, 1290)], "e2_e3": [(1380, 860)], "c0_c1": [(800, 1700)],
    "f4_f5": [(1850, 20)], "g2_x2": [(2340, 1070)], "a3_a4": [(110, 360)], "g1_g2": [(2170, 1230)],
}

PLACES = [
    ("Fiera", "g2_x2"), ("Stazione", "e3_f3"), ("Ospedale", "f1_g1"), ("Università", "f2_f3"), ("Porto", "e4_f4"),
    ("Centro", "b2_b3"), ("Stadio", "a3_a4"), ("Colli", "c1_c0"), ("Ca' Rossa", "b4_b5"), ("Valdoro", "a2_w2"),
    ("Saline", "f4_f5"), ("Spiaggia", "b4_d4"),
]

# Cars in the half hour from an edge to a place.  Mornings lead to the east bank.
TRIPS = [
    ("w2_a2", {"Fiera": 138, "Stazione": 90, "Ospedale": 48, "Università": 72, "Centro": 42, "Saline": 36}),
    ("c0_c1", {"Stazione": 54, "Fiera": 48, "Porto": 24, "Centro": 36, "Ca' Rossa": 30, "Spiaggia": 18}),
    ("b5_b4", {"Stazione": 42, "Università": 42, "Fiera": 36, "Colli": 24, "Ospedale": 24}),
    ("a1_b1", {"Università": 30, "Fiera": 30, "Porto": 18}),
    ("x2_g2", {"Valdoro": 90, "Centro": 54, "Stadio": 24, "Stazione": 30, "Spiaggia": 24}),
    ("f0_f1", {"Centro": 42, "Valdoro": 36, "Porto": 36, "Stadio": 24, "Stazione": 30}),
    ("f5_f4", {"Valdoro": 36, "Colli": 30, "Università": 36, "Centro": 30, "Fiera": 18}),
]

# Edge, metres from its start, rows, columns.
SIGNS = [
    ("w2_a2", 60, 3, 18), ("a2_b2", 40, 2, 20), ("b2_c2", 40, 3, 18), ("c2_d2", 30, 3, 15), ("c1_d1", 30, 4, 12),
    ("d3_d2", 40, 3, 18), ("c0_c1", 60, 3, 18), ("b3_c3", 40, 3, 15), ("f2_e2", 40, 2, 20), ("b5_b4", 60, 4, 12),
]


def tool(name, *arguments):
    """Runs one of SUMO's programs."""
    binary = os.path.join(sumo_package.SUMO_HOME, "bin", name)
    subprocess.run([binary, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def draw(folder):
    """The town as netconvert reads it; returns the street of each edge."""
    utm = pyproj.Proj(proj="utm", zone=32, ellps="WGS84")
    east, north = utm(*ORIGIN)

    def place(point):
        return "%.8f,%.8f" % utm(east + point[0], north + point[1], inverse=True)

    nodes, edges, street_of = [], [], {}
    for name, point in JUNCTIONS.items():
        kind = "traffic_light" if name in SIGNALS else "priority"
        lon, lat = place(point).split(",")
        nodes.append('<node id="%s" x="%s" y="%s" type="%s"/>' % (name, lon, lat, kind))
    for street, lanes, kmh, priority, path in STREETS:
        words = path.split()
        one_way, stops = ">" in words, [w for w in words if w != ">"]
        for a, b in zip(stops, stops[1:]):
            for start, end in [(a, b)] if one_way else [(a, b), (b, a)]:
                edge = "%s_%s" % (start, end)
                bends = BENDS.get(edge) or BENDS.get("%s_%s" % (end, start), [])[::-1]
                points = [JUNCTIONS[start], *bends, JUNCTIONS[end]]
                street_of[edge] = street
                edges.append('<edge id="%s" from="%s" to="%s" numLanes="%d" speed="%.3f" priority="%d" shape=%s/>'
                             % (edge, start, end, lanes, kmh / 3.6, priority, xml.quoteattr(" ".join(map(place, points)))))
    for name, kind, lines in (("town.nod.xml", "nodes", nodes), ("town.edg.xml", "edges", edges)):
        with open(os.path.join(folder, name), "w") as f:
            f.write("<%s>\n%s\n</%s>\n" % (kind, "\n".join(lines), kind))
    tool("netconvert", "-n", os.path.join(folder, "town.nod.xml"), "-e", os.path.join(folder, "town.edg.xml"),
         "--proj.utm", "true", "--no-turnarounds", "true", "--tls.default-type", "actuated", "--tls.left-green.time", "8",
         "--offset.disable-normalization", "true",
         "-o", os.path.join(folder, "town.net.xml"))
    return street_of


def demand(folder):
    """Half an hour of cars on routes that differ a little from driver to driver."""
    rng = random.Random(11)
    goal = dict(PLACES)
    # Even until minute 18, then thinning out towards the end of the rush.
    trips = [(rng.choice((rng.uniform(0, 1080), rng.triangular(0, SECONDS, 1080))), start, goal[place])
             for start, counts in TRIPS for place, count in counts.items() for _ in range(count)]
    with open(os.path.join(folder, "trips.xml"), "w") as f:
        f.write('<routes>\n<vType id="car" vClass="passenger"/>\n')
        for number, (at, start, end) in enumerate(sorted(trips)):
            f.write('<trip id="car_%04d" type="car" depart="%.1f" from="%s" to="%s" departLane="best" departSpeed="max"/>\n'
                    % (number, at, start, end))
        f.write("</routes>\n")
    routes = os.path.join(folder, "cars.rou.xml")
    tool("duarouter", "-n", os.path.join(folder, "town.net.xml"), "-r", os.path.join(folder, "trips.xml"), "-o", routes,
         "--weights.random-factor", "1.4", "--seed", "11", "--no-step-log", "true")
    return routes


def furnish(world, net, street_of, routes):
    """Signs, street names and places, which no simulator knows."""
    signs = []
    for number, (edge, pos, rows, cols) in enumerate(SIGNS, 1):
        lon, lat = export_world.at(net, net.getEdge(edge), pos)
        signs.append(["vms_%02d" % number, edge, float(pos), lon, lat, rows, cols])
    export_world.write_csv(os.path.join(world, "signs.csv"),
                           ["sign_id", "edge_id", "pos_m", "lon", "lat", "text_rows", "text_cols"], signs)
    export_world.write_csv(os.path.join(world, "names.csv"), ["edge_id", "street"], sorted(street_of.items()))
    arrivals = collections.Counter()
    for route in sumolib.xml.parse_fast(routes, "route", ["edges"]):
        arrivals[route.edges.split()[-1]] += 1
    places = [[place, edge, arrivals[edge]] for place, edge in PLACES]
    export_world.write_csv(os.path.join(world, "places.csv"), ["place", "edge_id", "arrivals_per_run"],
                           sorted(places, key=lambda row: (-row[2], row[0])))


def way(net, start, end, without=None):
    """The fastest way at the speed limits, as a list of edges."""
    heap, seen = [(0.0, start, (start,))], set()
    while heap:
        cost, here, path = heapq.heappop(heap)
        if here == end:
            return path
        if here in seen:
            continue
        seen.add(here)
        for to in net.getEdge(here).getOutgoing():
            if to.getID() != without:
                heapq.heappush(heap, (cost + to.getLength() / to.getSpeed(), to.getID(), path + (to.getID(),)))
    return None


def check(world, net):
    """The story must hold: signs upstream of the closed bridge, with another way to where drivers go."""
    told = [edge for edge, *_ in SIGNS
            if any(CLOSED in way(net, edge, goal) and way(net, edge, goal, CLOSED) for _, goal in PLACES
                   if way(net, edge, goal))]
    if len(told) < 2:
        sys.exit("only %d signs stand upstream of %s with another way to go" % (len(told), CLOSED))
    limit = {e.getID(): e.getSpeed() * 3.6 for e in net.getEdges()}
    begin = dt.datetime.fromisoformat(T0)
    slow, seen, events = collections.Counter(), collections.Counter(), []
    for line in gzip.open(os.path.join(world, "recording.ndjson.gz"), "rt"):
        message = json.loads(line)
        payload = message["payload"]
        minute = (dt.datetime.fromisoformat(payload["ts"].replace("Z", "+00:00")) - begin).total_seconds() / 60
        if "/event/" in message["topic"]:
            events.append((minute, payload["state"], payload["kind"], payload["edges"]))
        elif payload.get("kind") == "camera" and payload["speed_kmh"] is not None:
            seen[int(minute // 5)] += 1
            slow[int(minute // 5)] += payload["speed_kmh"] < 0.25 * limit[payload["edge_id"]]
    if events != [(8.0, "active", "road_closed", [CLOSED]), (20.0, "cleared", "road_closed", [CLOSED])]:
        sys.exit("not the one closure that was meant: %s" % events)
    print("signs upstream with another way:", *told)
    print("camera readings below a quarter of the limit, by five minutes:",
          *("%d%%" % (100 * slow[k] / seen[k]) for k in sorted(seen)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=HERE)
    parser.add_argument("--world", help="keep the closed-loop bench's world in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = options.world or os.path.join(folder, "world")
        street_of = draw(folder)
        routes = demand(folder)
        net_file = os.path.join(folder, "town.net.xml")
        net = sumolib.net.readNet(net_file)
        run = lambda script, *arguments: subprocess.run(
            [sys.executable, os.path.join(BENCH, script), *map(str, arguments)], check=True)
        run("export_world.py", "--city", CITY, "--net", net_file, "--routes", routes, "--out", world, "--t0", T0,
            "--end", SECONDS, "--signs", 0, "--loop-share", 0.7, "--camera-share", 0.6, "--incident", "%s:%d:%d:full" % (CLOSED, CLOSED_FROM, CLOSED_FOR))
        furnish(world, net, street_of, routes)
        recording = os.path.join(world, "recording.ndjson.gz")
        run("closed_loop.py", "--world", world, "--provider", "none", "--announce", "--record", recording,
            "--horizon", SECONDS, "--out", os.path.join(folder, "run.json"))
        check(world, net)
        network = os.path.join(options.out, "network")
        os.makedirs(network, exist_ok=True)
        for name in ("network.geojson.gz", "connections.csv", "sensors.csv", "signs.csv", "names.csv", "places.csv"):
            shutil.copy(os.path.join(world, name), network)
        shutil.copy(recording, options.out)


if __name__ == "__main__":
    main()
