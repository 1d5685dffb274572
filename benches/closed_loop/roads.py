"""Roads as a graph of edges: fastest ways at the speed limits, and how far back a closure reaches."""
import collections, csv, gzip, heapq, json, os

INF = float("inf")


class Roads:
    """`seconds` to drive along each edge, and the edges that may come `after` it."""

    def __init__(self, seconds: dict[str, float], after: dict[str, list[str]]):
        self.seconds, self.after = seconds, after
        self.before = collections.defaultdict(set)
        for a, outs in after.items():
            for o in outs:
                self.before[o].add(a)
        self.memo = {}

    @classmethod
    def of_world(cls, folder: str) -> "Roads":
        """The roads of passenger cars, from the files that a guide sees too."""
        with gzip.open(os.path.join(folder, "network.geojson.gz"), "rt", encoding="utf-8") as f:
            edges = [feature["properties"] for feature in json.load(f)["features"]]
        seconds = {e["id"]: crossing(e["length_m"], e["speed_limit_kmh"] / 3.6) for e in edges}
        after = {e["id"]: [] for e in edges}
        with open(os.path.join(folder, "connections.csv"), newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                if row["cars_allowed"] == "1":
                    after[row["from_edge"]].append(row["to_edge"])
        return cls(seconds, after)

    def way(self, a: str, b: str, avoid=frozenset()) -> tuple[str, ...] | None:
        """The fastest way at the speed limits from one edge to another, without the edges to avoid."""
        key = (a, b, avoid)
        if key in self.memo:
            return self.memo[key]
        best, prev, heap, out = {a: 0.0}, {}, [(0.0, a)], None
        while heap:
            c, e = heapq.heappop(heap)
            if e == b:
                out = [e]
                while out[-1] != a:
                    out.append(prev[out[-1]])
                out = tuple(reversed(out))
                break
            if c > best[e]:
                continue
            for o in self.after.get(e, ()):
                if o in avoid:
                    continue
                n = c + self.seconds[o]
                if n < best.get(o, INF):
                    best[o], prev[o] = n, e
                    heapq.heappush(heap, (n, o))
        if len(self.memo) > 200000:
            self.memo.clear()
        self.memo[key] = out
        return out

    def shut_by(self, closed) -> frozenset[str]:
        """A closure reaches back over every edge that leads nowhere else."""
        shut, todo = set(closed), list(closed)
        while todo:
            for a in self.before[todo.pop()]:
                if a not in shut and all(o in shut for o in self.after[a]):
                    shut.add(a)
                    todo.append(a)
        return frozenset(shut)

    def barrier(self, shut) -> list[str]:
        """The edges on which drivers see that the next one is shut."""
        return sorted({a for s in shut for a in self.before[s]} - shut)


def crossing(length_m: float, speed_m_s: float) -> float:
    """Seconds along an edge as a driver with a map reckons; 2 s stand for its junction."""
    return length_m / max(speed_m_s, 0.1) + 2.0


def busiest(roads: Roads, flow: dict[str, float], count: int, avoid=()) -> list[str]:
    """The edges with the largest flow whose closure leaves a way round, no two of them near each other."""
    chosen, near = [], set()

    def claim(edge):
        ring = {edge}
        for _ in range(2):
            ring |= {o for e in ring for o in roads.after[e]} | {a for e in ring for a in roads.before[e]}
        near.update(ring)

    for edge in avoid:
        claim(edge)
    for edge in sorted(roads.after, key=lambda e: (-flow.get(e, 0), e)):
        if len(chosen) == count or not flow.get(edge, 0):
            break
        if edge not in near and has_way_round(roads, edge):
            chosen.append(edge)
            claim(edge)
    return chosen


def has_way_round(roads: Roads, edge: str) -> bool:
    """Whether a closure shuts little besides `edge`, and everybody who meant to use it can get behind it."""
    shut = roads.shut_by([edge])
    barrier, behind = roads.barrier(shut), roads.after[edge]
    return bool(barrier and behind and len(shut) <= 3
                and all(roads.way(a, b, shut) for a in barrier for b in behind if b not in shut))
