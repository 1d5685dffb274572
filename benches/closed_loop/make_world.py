#!/usr/bin/env python3
"""Make a world of its own for the closed loop: a town that netgenerate drew, with a morning's traffic.

    make_world.py --out DIR [--shape grid|random] [--seed 1] [--vehicles N]

SUMO's netgenerate lays out the junctions.  Roads that go straight on are one street; some streets are main roads with
two lanes and signals, some side roads are left out.  randomTrips and duarouter make the demand, more of it into town than out of
it.  export_world.py adds detectors, cameras and signs.  The default incident closes the edge that most vehicles mean to use
and that has a way round.  The same arguments and versions give the same bytes.  Needs: pip install -r requirements.txt
"""
import argparse, collections, itertools, json, math, os, random, re, subprocess, sys, tempfile

import pyproj
import sumo as sumo_package
import sumolib

import export_world
from roads import Roads, busiest

T0 = "2026-05-12T06:00:00+00:00"
BEGIN, DURATION = 1200.0, 1200.0
SECONDS = 3600
# The open Tyrrhenian Sea: nobody lives here.
ORIGIN = (11.60, 40.05)
LAYOUT = {
    "grid": ["--grid", "--grid.x-number", 8, "--grid.y-number", 6, "--grid.x-length", 210, "--grid.y-length", 170,
             "--grid.attach-length", 200, "--perturb-x", "norm(0,18)", "--perturb-y", "norm(0,18)"],
    "random": ["--rand", "--rand.iterations", 105, "--rand.min-distance", 120, "--rand.max-distance", 260,
               "--rand.min-angle", 50, "--rand.bidi-probability", 1],
}
# Vehicles in the hour: so many that the streets are full at its height, and empty again soon after.
VEHICLES = {"grid": 6300, "random": 2500}
# Vehicles in each quarter of the time, as shares of the mean.
PROFILE = (0.9, 1.2, 1.2, 0.7)
ONSETS, VOWELS = "b c d f g l m n p r s t v z br tr st gr".split(), "a e i o u".split()


def tool(name: str, *arguments):
    """Runs one of SUMO's programs."""
    path = os.path.join(sumo_package.SUMO_HOME, *name.split("/"))
    command = [sys.executable, path] if name.endswith(".py") else [path]
    subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def undated(path: str) -> str:
    """Takes out the comment in which SUMO's programs say when and where they ran."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(re.sub(r"<!-- generated on.*?-->\n*", "", text, flags=re.DOTALL))
    return path


def layout(folder: str, shape: str, seed: int) -> tuple[dict, set]:
    """Junctions with their places in metres, and roads as pairs of junctions."""
    file = os.path.join(folder, "layout.net.xml")
    tool("bin/netgenerate", *LAYOUT[shape], "--seed", seed, "--no-turnarounds", "true", "-o", file)
    net = sumolib.net.readNet(file)
    junctions = {node.getID(): node.getCoord()[:2] for node in net.getNodes()}
    return junctions, {tuple(sorted((e.getFromNode().getID(), e.getToNode().getID()))) for e in net.getEdges()}


def around(roads) -> dict[str, set]:
    out = collections.defaultdict(set)
    for a, b in roads:
        out[a].add(b)
        out[b].add(a)
    return out


def streets_of(junctions: dict, roads: set) -> list[list[tuple]]:
    """Roads that go straight on through their junctions are one street; the longest first."""
    street = {road: {road} for road in roads}

    def bearing(a, b):
        return math.atan2(junctions[b][1] - junctions[a][1], junctions[b][0] - junctions[a][0])

    for here, others in sorted(around(roads).items()):
        bends = []
        for a, b in itertools.combinations(sorted(others), 2):
            turn = abs(math.remainder(bearing(a, here) - bearing(here, b), math.tau))
            bends.append((turn, a, b))
        free = set(others)
        for turn, a, b in sorted(bends):
            if turn < math.radians(35) and a in free and b in free:
                free -= {a, b}
                joined = street[tuple(sorted((a, here)))] | street[tuple(sorted((b, here)))]
                for road in joined:
                    street[road] = joined
    unique = {tuple(sorted(s)) for s in street.values()}
    return sorted(map(list, unique), key=lambda s: (-len(s), s))


def connected(roads: set) -> bool:
    neighbours = around(roads)
    seen, todo = set(), [min(neighbours)]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += neighbours[here]
    return len(seen) == len(neighbours)


def thin_out(rng: random.Random, junctions: dict, roads: set, keep: set) -> set:
    """Leaves out a seventh of the side roads; no junction becomes a bend, no part is cut off."""
    side = sorted(roads - keep)
    rng.shuffle(side)
    gone = 0
    for road in side:
        neighbours = around(roads)
        if gone < len(side) // 7 and all(len(neighbours[end]) >= 4 for end in road) and connected(roads - {road}):
            roads = roads - {road}
            gone += 1
    return roads


def names(rng: random.Random, count: int) -> list[str]:
    """So many different invented names that fit on a sign."""
    out = []
    while len(out) < count:
        name = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(3)).capitalize()
        if name not in out:
            out.append(name)
    return out


def draw(folder: str, shape: str, seed: int) -> tuple[str, dict[str, str]]:
    """The network, and the street of each edge."""
    rng = random.Random(seed)
    junctions, roads = layout(folder, shape, seed)
    streets = streets_of(junctions, roads)
    long = streets[:max(4, len(streets) // 3)] if shape == "random" else streets
    main = {road for street in rng.sample(long, max(4, len(long) // 3)) for road in street}
    roads = thin_out(rng, junctions, roads, main)
    neighbours = around(roads)

    utm = pyproj.Proj(proj="utm", zone=32, ellps="WGS84")
    east, north = utm(*ORIGIN)
    nodes, edges, street_of = [], [], {}
    number = {name: "j%d" % i for i, name in enumerate(sorted(neighbours), 1)}
    for name in sorted(neighbours):
        lit = len(neighbours[name]) >= 3 and any(name in road for road in main)
        x, y = junctions[name]
        nodes.append('<node id="%s" x="%.8f" y="%.8f" type="%s"/>' % (
            number[name], *utm(east + x, north + y, inverse=True), "traffic_light" if lit else "priority"))
    for street, name in zip(streets, names(rng, len(streets))):
        for road in street:
            if road not in roads:
                continue
            lanes, kmh, priority = (2, 60, 4) if road in main else (1, 40, 2)
            for a, b in (road, road[::-1]):
                edge = "%s_%s" % (number[a], number[b])
                street_of[edge] = "%s %s" % ("Viale" if road in main else "Via", name)
                edges.append('<edge id="%s" from="%s" to="%s" numLanes="%d" speed="%.3f" priority="%d"/>'
                             % (edge, number[a], number[b], lanes, kmh / 3.6, priority))
    for name, kind, lines in (("nod", "nodes", nodes), ("edg", "edges", edges)):
        with open(os.path.join(folder, "town.%s.xml" % name), "w") as f:
            f.write("<%s>\n%s\n</%s>\n" % (kind, "\n".join(lines), kind))
    net = os.path.join(folder, "town.net.xml")
    tool("bin/netconvert", "-n", os.path.join(folder, "town.nod.xml"), "-e", os.path.join(folder, "town.edg.xml"), "--proj.utm", "true",
         "--no-turnarounds", "true", "--tls.default-type", "actuated", "--tls.left-green.time", "8",
         "--offset.disable-normalization", "true", "-o", net)
    return undated(net), street_of


def demand(folder: str, net_file: str, seed: int, vehicles: int) -> str:
    """An hour of cars: most come from outside, more of them from the west, and go to the middle and the east."""
    net = sumolib.net.readNet(net_file)
    west, _, east, _ = net.getBoundary()
    weight = {"src": {}, "dst": {}}
    for edge in net.getEdges():
        at = (edge.getFromNode().getCoord()[0] - west) / (east - west)
        lanes, entry, exit_ = edge.getLaneNumber(), not edge.getIncoming(), not edge.getOutgoing()
        parking = int(lanes == 1)                    # nobody parks on a main road
        weight["src"][edge.getID()] = (10 * lanes if entry else 0 if exit_ else parking) * (3 if at < 0.35 else 1)
        weight["dst"][edge.getID()] = (6 * lanes if exit_ else 0 if entry else parking) * (3 if at > 0.4 else 1)
    prefix = os.path.join(folder, "weight")
    for name, edges in weight.items():
        with open("%s.%s.xml" % (prefix, name), "w") as f:
            f.write('<edgedata>\n<interval id="w" begin="0" end="%d">\n' % SECONDS)
            f.writelines('<edge id="%s" value="%g"/>\n' % item for item in edges.items())
            f.write("</interval>\n</edgedata>\n")
    trips, routes = os.path.join(folder, "trips.xml"), os.path.join(folder, "cars.rou.xml")
    # It writes the routes by which it checked the trips as well; they do not differ from driver to driver.
    checked = os.path.join(folder, "checked.rou.xml")
    tool("tools/randomTrips.py", "-n", net_file, "-o", trips, "-r", checked, "--weights-prefix", prefix, "--seed", seed, "-b", 0, "-e", SECONDS,
         "--min-distance", 600, "--vehicle-class", "passenger", "--prefix", "car_",
         "--trip-attributes", 'departLane="best" departSpeed="max"',
         "-p", *("%.4f" % (SECONDS / vehicles / share) for share in PROFILE))
    tool("bin/duarouter", "-n", net_file, "-r", trips, "-o", routes, "--weights.random-factor", "1.5", "--seed", seed,
         "--ignore-errors", "true", "--no-step-log", "true", "--no-warnings", "true")
    return undated(routes)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", required=True)
    ap.add_argument("--shape", choices=sorted(LAYOUT), default="grid")
    ap.add_argument("--city", help="default: the shape and the seed")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--vehicles", type=int, help="in the hour; default: %s" % VEHICLES)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        net, street_of = draw(folder, a.shape, a.seed)
        routes = demand(folder, net, a.seed, a.vehicles or VEHICLES[a.shape])
        export = [sys.executable, export_world.__file__, "--city", a.city or "%s%d" % (a.shape, a.seed), "--net", net, "--routes", routes,
                  "--out", a.out, "--t0", T0, "--end", 2 * SECONDS, "--signs", 24, "--seed", a.seed]
        subprocess.run([str(part) for part in export], check=True)
        flow, _ = export_world.edge_flows([routes])
    export_world.write_csv(os.path.join(a.out, "names.csv"), ["edge_id", "street"], sorted(street_of.items()))
    incident = busiest(Roads.of_world(a.out), flow, 1)
    if not incident:
        sys.exit("no edge of this town has a way round: try another --seed")
    scenario = os.path.join(a.out, "sumo", "scenario.json")
    with open(scenario) as f:
        content = json.load(f)
    content["incident"] = {"edge": incident[0], "begin": BEGIN, "duration": DURATION, "kind": "full"}
    with open(scenario, "w") as f:
        json.dump(content, f, indent=1)
    print("closed by default: %s" % incident[0])


if __name__ == "__main__":
    main()
