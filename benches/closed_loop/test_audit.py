#!/usr/bin/env python3
"""Tests of what judges directions and chooses edges.  Needs nothing but Python: python3 -m unittest test_audit"""
import unittest

from audit import audit, changes, standing, worst_hour
from roads import Roads, busiest

# Two ways from a to z: over b, or over c and d; e leads only to b.
ROADS = {"a": ["b", "c"], "b": ["z"], "c": ["d"], "d": ["z"], "e": ["b"], "z": []}


def roads() -> Roads:
    return Roads({edge: 10.0 for edge in ROADS}, ROADS)


def show(t, avoid=("b",), via=("c",), until=None, kind="sign", target="s", on=("a",), cause="closure", name="d-1", way=()):
    return {"t": t, "kind": kind, "target": target, "state": "show", "id": name, "cause": cause, "avoid": list(avoid),
            "via": list(via), "on": list(on), "way": list(way), "text": [], "until": until or t + 300}


def clear(t, kind="sign", target="s"):
    return {"t": t, "kind": kind, "target": target, "state": "clear"}


def result(log, announced=True, kind="full"):
    edges = ["b"]
    return {"incident": {"edges": edges, "begin": 100.0, "end": 500.0, "kind": kind, "shut": sorted(roads().shut_by(edges))},
            "ended_at": 1000.0, "announced_at": {"active": 120.0} if announced else {}, "guidance": {}, "directions": log}


class Audit(unittest.TestCase):
    def count(self, log, key="over_closed", **how):
        return audit(result(log, **how), roads())[key]

    def test_a_way_round_is_clean(self):
        self.assertEqual(self.count([show(120)]), 0)

    def test_a_via_on_the_closed_edge_is_found(self):
        self.assertEqual(self.count([show(120, via=("b",))]), 1)
        self.assertEqual(self.count([show(120, via=("b",), avoid=("x",))], announced=False), 1)

    def test_a_gap_that_leads_over_the_closed_edge_is_found(self):
        self.assertEqual(self.count([show(120, avoid=("c",), via=("z",))], announced=False), 1)

    def test_an_advised_way_over_the_closed_edge_is_found(self):
        self.assertEqual(self.count([show(120, way=("a", "b", "z"))]), 1)

    def test_an_announced_closure_must_be_avoided(self):
        self.assertEqual(self.count([show(120, avoid=("d",), via=())]), 1)
        self.assertEqual(self.count([show(120, avoid=("d",), via=())], announced=False), 0)

    def test_what_is_withdrawn_at_the_announcement_is_no_fault(self):
        self.assertEqual(self.count([show(60, via=("b",), avoid=("c",)), clear(120)]), 0)
        self.assertEqual(self.count([show(60, via=("b",), avoid=("c",)), clear(150)]), 1)

    def test_a_guide_may_have_a_moment_to_react(self):
        log = [show(60, via=("b",), avoid=("c",)), clear(121)]
        self.assertEqual(audit(result(log), roads(), reaction_s=10)["over_closed"], 0)
        self.assertEqual(audit(result(log), roads())["over_closed"], 1)

    def test_after_the_closure_its_edge_may_be_used(self):
        self.assertEqual(self.count([show(500, via=("b",), avoid=("c",))]), 0)

    def test_an_edge_that_cannot_be_reached_is_found(self):
        self.assertEqual(self.count([show(120, via=("e",))], "unreachable"), 1)

    def test_found_is_the_first_new_direction_about_it(self):
        log = [show(90, avoid=("e",), name="d-0"), show(150, avoid=("e",), name="d-0"), show(210, name="d-2")]
        self.assertEqual(self.count(log, "found_after_s", announced=False), 110.0)

    def test_incidents_at_one_place_and_time_are_one(self):
        log = [show(10, cause="incident"), show(20, cause="incident", target="t"), show(600, cause="incident", target="t")]
        self.assertEqual(self.count(log, "incidents_said", kind="none"), 2)


class Flips(unittest.TestCase):
    def flips(self, log):
        return changes(standing(log, 1000.0)["sign", "s"], 1000.0)

    def test_a_renewal_is_no_change(self):
        self.assertEqual(self.flips([show(0), show(300), clear(500)]), [0, 500])

    def test_expiry_is_a_change(self):
        self.assertEqual(self.flips([show(0), show(400)]), [0, 300, 400, 700])

    def test_another_way_is_a_change(self):
        self.assertEqual(self.flips([show(0), show(100, via=("d",)), show(200, avoid=("e", "b"), via=("d",), until=2000)]), [0, 100, 200])

    def test_what_is_shut_elsewhere_is_on_no_sign(self):
        self.assertEqual(self.flips([show(0, avoid=("b",)), show(100, avoid=("b", "e"), until=2000)]), [0])

    def test_the_worst_hour_is_sought_everywhere(self):
        self.assertEqual(worst_hour([0, 3500, 3599, 3601, 7000]), 4)


class Choice(unittest.TestCase):
    def test_a_closure_reaches_back_over_dead_ends(self):
        self.assertEqual(roads().shut_by(["b"]), {"b", "e"})
        self.assertEqual(roads().barrier(frozenset("be")), ["a"])

    def test_the_busiest_edge_has_a_way_round(self):
        self.assertEqual(busiest(roads(), {"a": 9, "z": 9, "b": 5, "d": 4}, 2), ["b"])


if __name__ == "__main__":
    unittest.main()
