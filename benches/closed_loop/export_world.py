#!/usr/bin/env python3
"""Turn a SUMO scenario into neutral files a program in any language can read.

    export_world.py --city bologna --net X.net.xml[.gz] --routes a.rou.xml[.gz] [b...]
        [--additional c.add.xml ...] [--loops d.add.xml] --out DIR [--t0 2008-11-11T08:00:00+01:00]

Writes into DIR:
    network.geojson.gz   one LineString feature per road edge (WGS84, [lon, lat])
    connections.csv      which edge may follow which edge (for passenger cars)
    sensors.csv          inductive loops (one lane each) and cameras (whole edge)
    signs.csv            variable message signs: the edge on which drivers read them
    sumo/...             the scenario's own inputs, gzipped, and scenario.json for closed_loop.py
Positions are metres from the start of the edge.  Needs: pip install -r requirements.txt
"""
import argparse, collections, csv, gzip, io, json, os, random, re
import xml.etree.ElementTree as ET
import sumolib

VCLASS = "passenger"


def rd(v, n=6):
    return round(float(v), n)


def lonlat(net, xy):
    lon, lat = net.convertXY2LonLat(*xy)
    return [rd(lon), rd(lat)]


def at(net, edge, pos, lane=None):
    shape = (edge.getLane(lane) if lane is not None else edge).getShape()
    length = sumolib.geomhelper.polyLength(shape)
    f = min(max(pos / max(edge.getLength(), 0.1), 0.0), 1.0)
    return lonlat(net, sumolib.geomhelper.positionAtShapeOffset(shape, f * length))


def write_gz(path, text):
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=9, filename="") as g:
        g.write(text.encode())


def write_csv(path, header, rows):
    buf = io.StringIO()
    w = csv.writer(buf, lineterminator="\n")
    w.writerow(header)
    w.writerows(rows)
    with open(path, "w") as f:
        f.write(buf.getvalue())


def copy_gz(src, dst):
    data = gzip.open(src).read() if src.endswith(".gz") else open(src, "rb").read()
    with open(dst, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=9, filename="") as g:
        g.write(data)


def edge_flows(paths):
    flow, starts = collections.Counter(), collections.Counter()
    for p in paths:
        f = gzip.open(p) if p.endswith(".gz") else open(p, "rb")
        for _, el in ET.iterparse(f):
            if el.tag == "vehicle":
                r = el.find("route")
                if r is not None:
                    es = r.get("edges").split()
                    flow.update(es)
                    starts[es[0]] += 1
                el.clear()
    return flow, starts


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--city", required=True)
    ap.add_argument("--net", required=True)
    ap.add_argument("--routes", nargs="+", required=True)
    ap.add_argument("--additional", nargs="*", default=[])
    ap.add_argument("--loops", help="additional file holding the scenario's own e1Detector/inductionLoop elements")
    ap.add_argument("--loop-share", type=float, default=0.5, help="without --loops: share of edges given loops")
    ap.add_argument("--camera-share", type=float, default=0.4, help="share of the busier edges given a camera")
    ap.add_argument("--signs", type=int, default=30)
    ap.add_argument("--min-flow", type=int, default=20, help="edges with fewer vehicles get no sensor")
    ap.add_argument("--begin", type=float, default=0)
    ap.add_argument("--end", type=float, default=9000)
    ap.add_argument("--t0", default="2008-11-11T08:00:00+01:00", help="wall-clock time of simulated second 0")
    ap.add_argument("--sumo-arg", action="append", default=[])
    ap.add_argument("--incident", default="", help="edge:begin:duration:kind, the scenario's default incident")
    ap.add_argument("--guided", default="passenger,taxi,delivery,truck", help="vClasses that may follow directions")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    rng = random.Random(a.seed)
    os.makedirs(os.path.join(a.out, "sumo"), exist_ok=True)
    net = sumolib.net.readNet(a.net)
    flow, starts = edge_flows(a.routes)
    edges = sorted(net.getEdges(), key=lambda e: e.getID())
    road = [e for e in edges if e.allows(VCLASS) or flow[e.getID()]]

    feats = []
    for e in road:
        shape = e.getShape()
        feats.append({"type": "Feature", "id": e.getID(),
                      "geometry": {"type": "LineString", "coordinates": [lonlat(net, p) for p in shape]},
                      "properties": {"id": e.getID(), "from": e.getFromNode().getID(), "to": e.getToNode().getID(),
                                     "name": e.getName() or None, "type": e.getType() or None,
                                     "length_m": rd(e.getLength(), 2), "speed_limit_kmh": rd(e.getSpeed() * 3.6, 1),
                                     "lanes": e.getLaneNumber(), "cars_allowed": bool(e.allows(VCLASS)),
                                     "to_signal": e.getToNode().getType().startswith("traffic_light")}})
    write_gz(os.path.join(a.out, "network.geojson.gz"),
             json.dumps({"type": "FeatureCollection", "city": a.city, "features": feats}, separators=(",", ":")))

    rows = []
    for e in road:
        for to, conns in sorted(e.getOutgoing().items(), key=lambda kv: kv[0].getID()):
            ok = [c for c in conns if c.getFromLane().allows(VCLASS) and c.getToLane().allows(VCLASS)]
            use = ok or conns
            rows.append([e.getID(), to.getID(), use[0].getDirection(), len(use),
                         use[0].getTLSID() or "", int(bool(ok))])
    write_csv(os.path.join(a.out, "connections.csv"),
              ["from_edge", "to_edge", "turn", "lanes", "signal_id", "cars_allowed"], rows)

    sensors = []
    busy = [e for e in road if flow[e.getID()] >= a.min_flow and e.getLength() >= 25]
    if a.loops:
        root = ET.parse(gzip.open(a.loops) if a.loops.endswith(".gz") else a.loops).getroot()
        for d in list(root.iter("e1Detector")) + list(root.iter("inductionLoop")):
            lane = net.getLane(d.get("lane"))
            e, pos = lane.getEdge(), float(d.get("pos"))
            pos = min(max(pos if pos >= 0 else e.getLength() + pos, 0.1), e.getLength() - 0.1)
            if e in road:
                sensors.append(["loop_%s_%d_%d" % (e.getID(), lane.getIndex(), int(pos)), "loop", e.getID(), lane.getIndex(),
                                rd(pos, 1), *at(net, e, pos, lane.getIndex()), "survey"])
    else:
        for e in rng.sample(busy, int(len(busy) * a.loop_share)):
            pos = max(e.getLength() * 0.5, e.getLength() - 40.0)
            for i, lane in enumerate(e.getLanes()):
                if lane.allows(VCLASS):
                    sensors.append(["loop_%s_%d_%d" % (e.getID(), i, int(pos)), "loop", e.getID(), i, rd(pos, 1),
                                    *at(net, e, pos, i), "generated"])
    cams = sorted(busy, key=lambda e: -flow[e.getID()])
    cams = cams[:max(1, int(len(cams) * 0.9))]
    for e in sorted(rng.sample(cams, int(len(cams) * a.camera_share)), key=lambda e: e.getID()):
        sensors.append(["cam_%s" % e.getID(), "camera", e.getID(), "", rd(e.getLength() / 2, 1),
                        *at(net, e, e.getLength() / 2), "generated"])
    seen, uniq = set(), []
    for s in sensors:
        if s[0] not in seen:
            seen.add(s[0]); uniq.append(s)
    uniq.sort(key=lambda s: (s[1], s[2], str(s[3]), s[4]))
    count = collections.Counter()
    for s in uniq:                               # edge ids may hold characters that MQTT topics may not
        count[s[1]] += 1
        s[0] = "%s_%03d" % ({"loop": "loop", "camera": "cam"}[s[1]], count[s[1]])
    write_csv(os.path.join(a.out, "sensors.csv"),
              ["sensor_id", "kind", "edge_id", "lane", "pos_m", "lon", "lat", "origin"], uniq)

    def options(e):
        return sum(1 for o, cs in e.getOutgoing().items()
                   if o.allows(VCLASS) and any(c.getFromLane().allows(VCLASS) for c in cs))
    signs, near = [], set()
    for e in sorted(busy, key=lambda e: -flow[e.getID()]):
        if len(signs) >= a.signs:
            break
        ahead = [e]
        for _ in range(3):                       # a decision must follow within three edges
            if options(ahead[-1]) >= 2:
                break
            nxt = [o for o in ahead[-1].getOutgoing() if o.allows(VCLASS)]
            if not nxt:
                break
            ahead.append(nxt[0])
        if options(ahead[-1]) < 2 or e.getLength() < 40 or e.getID() in near:
            continue
        near.update(o.getID() for o in e.getOutgoing())
        near.update(i.getID() for i in e.getIncoming())
        signs.append(["vms_%02d" % (len(signs) + 1), e.getID(), rd(min(10.0, e.getLength() / 2), 1),
                      *at(net, e, min(10.0, e.getLength() / 2)), 3, 18])
    write_csv(os.path.join(a.out, "signs.csv"),
              ["sign_id", "edge_id", "pos_m", "lon", "lat", "text_rows", "text_cols"], signs)

    sc = {"city": a.city, "net": "sumo/net.net.xml.gz", "routes": [], "additional": [], "begin": a.begin, "end": a.end,
          "t0": a.t0, "sumo_args": a.sumo_arg, "guided_vclasses": a.guided.split(","),
          "closure_exempt_vclasses": ["bus", "emergency", "authority"]}
    if a.incident:
        m = re.fullmatch(r"(.+):([\d.]+):([\d.]+):(full|none|lanes:\d+)", a.incident)
        if not m:
            ap.error("--incident is edge:begin:duration:full|none|lanes:K (write --incident=-4:.. for an edge id with a minus)")
        sc["incident"] = {"edge": m[1], "begin": float(m[2]), "duration": float(m[3]), "kind": m[4]}
    copy_gz(a.net, os.path.join(a.out, sc["net"]))
    for key, lst in (("routes", a.routes), ("additional", a.additional)):
        for p in lst:
            name = "sumo/" + os.path.basename(p).replace(".gz", "") + ".gz"
            copy_gz(p, os.path.join(a.out, name))
            sc[key].append(name)
    with open(os.path.join(a.out, "sumo", "scenario.json"), "w") as f:
        json.dump(sc, f, indent=1)
    print(json.dumps({"edges": len(road), "connections": len(rows), "signs": len(signs),
                      "loops": sum(s[1] == "loop" for s in uniq), "cameras": sum(s[1] == "camera" for s in uniq)}))


if __name__ == "__main__":
    main()
