"""The tables of the closed loop: what guidance recovers of an incident's cost, and what it does on an ordinary day."""
import dataclasses, functools, math, statistics

import matrix
from audit import audit
from jobs import Job, Runner
from roads import Roads


@dataclasses.dataclass(frozen=True)
class Case:
    """A row: what is closed, whether it is announced, and how the guide may speak."""
    edges: tuple[str, ...]
    provider: str = "mqtt"
    announced: bool = True
    through: str = "all"

    def guided(self, compliance: float, seed: int) -> Job:
        return Job(seed, self.provider, self.edges, compliance, self.announced, self.through)

    def calm(self, compliance: float, seed: int) -> Job:
        """The same guide on a day without the incident."""
        return Job(seed, self.provider, (), compliance, True, self.through)

    def none(self, seed: int) -> Job:
        return Job(seed, edges=self.edges)

    def cells(self) -> list[str]:
        if self.provider != "mqtt":
            return [" + ".join(self.edges), "known", self.provider]
        return [" + ".join(self.edges), "announced" if self.announced else "unannounced",
                "signs and areas" if self.through == "all" else "signs alone"]


@dataclasses.dataclass
class Tables:
    runner: Runner
    cases: list[Case]
    compliances: list[float]
    seeds: list[int]

    @functools.cached_property
    def roads(self) -> Roads:
        return Roads.of_world(self.runner.setting.world)

    def jobs(self) -> list[Job]:
        """Seed by seed, so that what is there after a while fills whole tables."""
        return [job for seed in self.seeds for job in
                [Job(seed), *(case.none(seed) for case in self.cases),
                 *(make(c, seed) for make in [f for case in self.cases for f in (case.guided, case.calm)]
                   for c in self.compliances)]]

    def judged(self, result: dict) -> dict:
        # A driven unit answers before time goes on; another gets a second of this machine's time.
        return audit(result, self.roads, self.runner.setting.speed or 0.0)

    def rows(self) -> tuple[list[dict], list[dict]]:
        """A row a case and compliance; and one a way to speak and compliance without incident."""
        reference = {seed: self.runner.result(Job(seed)) for seed in self.seeds}
        incident = []
        for case in self.cases:
            none = {seed: self.runner.result(case.none(seed)) for seed in self.seeds}
            incident += [self.incident(case, c, reference, none) for c in self.compliances]
        calm = {(case.provider, case.through): case for case in self.cases}
        return incident, [self.ordinary(case, c, reference) for case in calm.values() for c in self.compliances]

    def incident(self, case: Case, compliance: float, reference: dict, none: dict) -> dict:
        row = {"case": case.cells(), "guide": case.provider, "announced": case.announced, "compliance": compliance,
               "seeds": [], "reference_s": [], "none_s": [], "guided_s": [], "recovered": [], "net": [], "audit": [],
               "told": [], "changed": []}
        for seed in self.seeds:
            guided = self.runner.result(case.guided(compliance, seed))
            if not (guided and reference[seed] and none[seed]):
                continue
            calm = self.runner.result(case.calm(compliance, seed))
            row["seeds"].append(seed)
            for name, result in (("reference_s", reference[seed]), ("none_s", none[seed]), ("guided_s", guided)):
                row[name].append(result["all"]["mean_travel_time_s"])
            row["recovered"].append(round(matrix.recovered(reference[seed], none[seed], guided), 1))
            if calm:
                row["net"].append(round(matrix.net(reference[seed], none[seed], guided, calm), 1))
            row["told"].append(guided["guidance"].get("told", 0))
            row["changed"].append(guided["guidance"].get("changed", 0))
            if case.provider == "mqtt":
                row["audit"].append(self.judged(guided))
        return row

    def ordinary(self, case: Case, compliance: float, reference: dict) -> dict:
        row = {"guide": case.provider, "through": case.cells()[2], "compliance": compliance, "seeds": [],
               "reference_s": [], "guided_s": [], "audit": []}
        for seed in self.seeds:
            calm = self.runner.result(case.calm(compliance, seed))
            if not (calm and reference[seed]):
                continue
            row["seeds"].append(seed)
            row["reference_s"].append(reference[seed]["all"]["mean_travel_time_s"])
            row["guided_s"].append(calm["all"]["mean_travel_time_s"])
            if case.provider == "mqtt":
                row["audit"].append(self.judged(calm))
        return row

    def text(self, incident: list[dict], ordinary: list[dict]) -> str:
        signs = self.runner.setting.signs
        parts = ["Recovered and net in percent of what the incident cost: mean over seeds (least … most)", ""]
        head = ["closed", "", "by"]
        for c in self.compliances:
            head += ["%g recovered" % c, "%g net" % c]
        rows = []
        for at in range(0, len(incident), len(self.compliances)):
            group = incident[at:at + len(self.compliances)]
            rows.append([*group[0]["case"], *(spread(r[k]) for r in group for k in ("recovered", "net"))])
        parts += table(head, rows)
        parts += ["", "Each case: mean trip in seconds, and the directions", ""]
        parts += table(
            ["closed", "", "by", "obey", "seeds", "no incident s", "unguided s", "guided s", "recovered by seed", "told", "changed way",
             "directions", "flips a sign and hour", "worst sign's hour", "over closed", "unreachable", "bad", "sent over closed",
             "found after s"],
            [[*r["case"], "%g" % r["compliance"], joined(r["seeds"]), mean(r["reference_s"]), mean(r["none_s"]),
              mean(r["guided_s"]), joined(r["recovered"]), mean(r["told"], 0), mean(r["changed"], 0), *directions(r["audit"], signs),
              joined(a["found_after_s"] for a in r["audit"])] for r in incident])
        parts += ["", "No incident: mean trip in seconds", ""]
        parts += table(
            ["by", "obey", "seeds", "without guidance", "with", "change %", "change by seed", "directions", "flips a sign and hour",
             "worst sign's hour", "over closed", "unreachable", "bad", "sent over closed", "incidents said an hour"],
            [[r["through"], "%g" % r["compliance"], joined(r["seeds"]), mean(r["reference_s"]), mean(r["guided_s"]),
              mean(changes(r)), joined(changes(r)), *directions(r["audit"], signs),
              mean(a["incidents_said"] / a["hours"] for a in r["audit"])] for r in ordinary])
        return "\n".join(parts)


def changes(row: dict) -> list[float]:
    return [round(100 * (g / r - 1), 1) + 0.0 for r, g in zip(row["reference_s"], row["guided_s"])]


def directions(audits: list[dict], signs: int) -> list[str]:
    """The columns from `directions` to `sent over closed`; faults as sums, so that none is averaged away."""
    total = lambda key: str(sum(a[key] for a in audits)) if audits else "–"
    return [mean((a["directions"] for a in audits), 0), mean((a["sign_changes"] / signs / a["hours"] for a in audits), 2),
            str(max((a["sign_changes_worst_hour"] for a in audits), default="–")),
            *(total(key) for key in ("over_closed", "unreachable", "bad", "sent_over_closed"))]


def mean(values, digits: int = 1) -> str:
    values = [v for v in values if not math.isnan(v)]
    return "%.*f" % (digits, statistics.mean(values)) if values else "–"


def joined(values) -> str:
    return " ".join("–" if v is None else "%g" % v for v in values) or "–"


def spread(values: list[float]) -> str:
    if len(values) < 2:
        return mean(values)
    return "%s (%.1f … %.1f)" % (mean(values), min(values), max(values))


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| %s |" % " | ".join(cells) for cells in [head, ["---"] * len(head), *rows]]
