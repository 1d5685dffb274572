"""What the directions of one run were like, from the MQTT messages alone.

Reads a result of closed_loop.py with the mqtt provider.  A direction stands from its message to the next one on its
topic, or to `valid_until`.
"""
import collections, hashlib, itertools, json

from roads import Roads

HOUR = 3600.0


def standing(log: list[dict], horizon: float) -> dict[tuple, list[tuple[float, float, dict]]]:
    """By topic: from when to when which direction stood."""
    by_topic = collections.defaultdict(list)
    for message in log:
        by_topic[message["kind"], message["target"]].append(message)
    out = {}
    for topic, messages in by_topic.items():
        spans = []
        for message, following in itertools.zip_longest(messages, messages[1:]):
            end = following["t"] if following else horizon
            if message["state"] == "show":
                spans.append((message["t"], min(end, message["until"]), message))
        out[topic] = spans
    return out


def told(message: dict) -> tuple:
    """What a sign shows: it has room for the first of the edges to avoid. Another wording is the same advice."""
    return message["avoid"][0], tuple(message["via"])


def changes(spans: list[tuple[float, float, dict]], horizon: float) -> list[float]:
    """When a topic's advice changed, appeared or vanished."""
    times, shown, until = [], None, 0.0
    for start, end, message in spans:
        if shown is not None and until < start:
            times.append(until)
            shown = None
        if told(message) != shown:
            times.append(start)
        shown, until = told(message), end
    if shown is not None and until < horizon:
        times.append(until)
    return times


def worst_hour(times: list[float]) -> int:
    return max((sum(start <= t < start + HOUR for t in times) for start in times), default=0)


def faults(message: dict, roads: Roads, shut: frozenset, must_avoid: frozenset) -> set[str]:
    """`over`: the advised way leads over a shut edge, or leaves a closed one to chance.  `unreachable`: no such way."""
    found = set()
    avoid = frozenset(message["avoid"])
    if not shut.isdisjoint([*message["via"], *message["way"][1:]]) or not must_avoid <= avoid:
        found.add("over")
    for here in message["on"]:
        stops = [here, *(e for e in message["via"] if e != here)]
        for a, b in itertools.pairwise(stops):
            leg = roads.way(a, b, avoid)
            if leg is None:
                found.add("unreachable")
            elif not shut.isdisjoint(leg[1:]):
                found.add("over")
    return found


def audit(result: dict, roads: Roads, reaction_s: float = 0.0) -> dict:
    """`reaction_s`: how long the guide may take to withdraw what a new closure has made wrong."""
    incident, horizon, log = result["incident"], result["ended_at"], result["directions"]
    spans = standing(log, horizon)
    full = incident["kind"] == "full"
    announced = result["announced_at"].get("active")
    # Before it could know of the closure nobody can blame the guide.
    begin = reaction_s + (incident["begin"] if announced is None else announced)
    end = incident["end"]
    shut = frozenset(incident["shut"])
    must_avoid = frozenset(incident["edges"]) if full and announced is not None else frozenset()
    count = collections.Counter()
    for start, until, message in itertools.chain.from_iterable(spans.values()):
        during = full and start < end and until > begin
        for fault in faults(message, roads, shut if during else frozenset(), must_avoid if during else frozenset()):
            count[fault] += 1
    signs = [changes(s, horizon) for (kind, _), s in spans.items() if kind == "sign"]
    shows = [m for m in log if m["state"] == "show"]
    return {
        "directions": len(shows),
        "of_signs": sum(m["kind"] == "sign" for m in shows),
        "ids": len({m["id"] for m in shows}),
        "over_closed": count["over"],
        "unreachable": count["unreachable"],
        "bad": result["guidance"].get("bad_directions", 0),
        "sent_over_closed": result["guidance"].get("sent_over_closed", 0),
        "sign_changes": sum(map(len, signs)),
        "sign_changes_worst_hour": max(map(worst_hour, signs), default=0),
        "found_after_s": found_after(shows, incident, roads),
        "incidents_said": incidents_said(spans),
        "hours": round(horizon / HOUR, 3),
        "ways": hashlib.sha256(json.dumps([[m["t"], m["kind"], m["target"], m["state"], m.get("avoid"), m.get("via")]
                                           for m in log]).encode()).hexdigest()[:12],
    }


def found_after(shows: list[dict], incident: dict, roads: Roads) -> float | None:
    """Seconds until the first new direction that avoids a shut edge or the one before it."""
    if incident["kind"] == "none":
        return None
    near = set(incident["shut"]).union(roads.barrier(frozenset(incident["shut"])))
    known = {m["id"] for m in shows if m["t"] < incident["begin"]}
    new = [m["t"] for m in shows if incident["begin"] <= m["t"] < incident["end"]
           and m["id"] not in known and not near.isdisjoint(m["avoid"])]
    return min(new) - incident["begin"] if new else None


def incidents_said(spans: dict) -> int:
    """How many incidents the guide spoke of: directions with that cause whose first avoided edge is the same and
    which overlap in time are about one."""
    by_place = collections.defaultdict(list)
    for start, until, message in itertools.chain.from_iterable(spans.values()):
        if message["cause"] == "incident":
            by_place[message["avoid"][0]].append((start, until))
    episodes = 0
    for times in by_place.values():
        last = float("-inf")
        for start, until in sorted(times):
            episodes += start > last
            last = max(last, until)
    return episodes
