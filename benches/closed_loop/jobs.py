"""Runs of closed_loop.py, kept by a key of everything they depend on, so that a table can be taken up again."""
import collections, concurrent.futures, csv, dataclasses, datetime as dt, functools, gzip, hashlib, json, os, re, shutil
import subprocess, sys, tempfile, threading, time
from pathlib import Path

from unit import VISIBLE, Clock, Failed, Unit, variant

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Job:
    """One run.  Without edges nothing is closed; `none` tells nobody anything."""
    seed: int
    provider: str = "none"
    edges: tuple[str, ...] = ()
    compliance: float = 0.0
    announced: bool = True
    through: str = "all"

    def name(self) -> str:
        parts = [self.provider, *(self.edges or ["calm"])]
        if self.provider != "none":
            parts.append("c%g" % self.compliance)
        if self.provider == "mqtt":
            parts += [] if self.announced or not self.edges else ["unannounced"]
            parts += [] if self.through == "all" else [self.through]
        return re.sub(r"[^\w.-]+", "_", "-".join([*parts, "s%d" % self.seed]))


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs of a table share."""
    world: Path
    cache: Path
    binary: Path | None
    pipeline: Path
    words: str
    begin: float
    duration: float
    kind: str
    horizon: float
    period: int
    speed: float | None

    @functools.cached_property
    def scenario(self) -> dict:
        return json.loads((self.world / "sumo" / "scenario.json").read_text())

    @property
    def city(self) -> str:
        return self.scenario["city"]

    @functools.cached_property
    def signs(self) -> int:
        with open(self.world / "signs.csv", newline="") as f:
            return len(list(csv.DictReader(f)))

    def arguments(self, job: Job) -> list[str]:
        """For closed_loop.py, without places: these decide what comes out."""
        out = ["--provider", job.provider, "--seed", job.seed, "--horizon", self.horizon, "--period", self.period]
        if job.edges:
            out += ["--incident-begin", self.begin, "--incident-duration", self.duration, "--incident-kind", self.kind]
            out += ["--incident-edge=" + edge for edge in job.edges]
        else:
            out += ["--incident-kind", "none"]
        if job.provider != "none":
            out += ["--compliance", job.compliance]
        if job.provider == "mqtt":
            out += ["--announce"] if job.edges and job.announced else []
            out += ["--pace", self.speed] if self.speed else []
        return [str(argument) for argument in out]

    def text(self, job: Job) -> str:
        return variant(self.pipeline, self.city, job.through, self.words)

    def path(self, job: Job) -> Path:
        key = [self.arguments(job), self.traffic]
        if job.provider == "mqtt":
            key += [self.text(job), self.guide]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
        return self.cache / "runs" / self.city / ("%s-%s.json" % (job.name(), digest))

    @functools.cached_property
    def traffic(self) -> str:
        """The hash of what plays the street."""
        bench = [HERE / name for name in ("closed_loop.py", "roads.py", "requirements.txt")]
        return hash_of([*bench, *sorted((self.world / "sumo").iterdir()), self.world / "sensors.csv", self.world / "signs.csv"])

    @functools.cached_property
    def guide(self) -> str:
        """The hash of what guides: no pages, which only people read."""
        beside = [self.pipeline.parent / ".." / name for name in ("schemas", "models")]
        files = [file for folder in beside for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".md"]
        roads = [self.world / name for name in VISIBLE if (self.world / name).exists()]
        return hash_of([self.binary, *files, *roads])


def hash_of(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with open(file, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


class Runner:
    """Makes results or takes them from the cache, so many at a time."""

    def __init__(self, setting: Setting, at_a_time: int):
        self.setting, self.at_a_time = setting, at_a_time
        self.stop = threading.Event()
        self.failed: dict[Job, str] = {}

    def has(self, job: Job) -> bool:
        return self.setting.path(job).exists()

    def result(self, job: Job) -> dict | None:
        return json.loads(self.setting.path(job).read_text()) if self.has(job) else None

    def make(self, jobs: list[Job]):
        """All of these that are not there yet.  What fails is told and kept in `failed`."""
        todo = [job for job in dict.fromkeys(jobs) if not self.has(job) and job not in self.failed]
        say("%d runs, %d of them to do" % (len(set(jobs)), len(todo)))
        done = 0
        with concurrent.futures.ThreadPoolExecutor(self.at_a_time) as pool:
            futures = {pool.submit(self.play, job): job for job in todo}
            try:
                for future in concurrent.futures.as_completed(futures):
                    job, done = futures[future], done + 1
                    try:
                        seconds = future.result()
                        say("%d/%d  %s  %.0f s" % (done, len(todo), job.name(), seconds))
                    except Failed as failure:
                        self.failed[job] = str(failure)
                        say("%d/%d  %s  FAILED: %s" % (done, len(todo), job.name(), failure))
            except KeyboardInterrupt:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def play(self, job: Job) -> float:
        began = time.monotonic()
        setting, path = self.setting, self.setting.path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="wayside-closed-loop-") as name:
            folder = Path(name)
            out, flows = folder / "run.json", folder / "edges.csv.gz"
            command = [sys.executable, HERE / "closed_loop.py", "--world", setting.world, "--out", out, *setting.arguments(job)]
            if job == Job(job.seed):
                command += ["--edge-truth", flows]
            if job.provider == "mqtt":
                clock = Clock(setting.scenario, setting.speed)
                unit = Unit(folder, setting.binary, setting.pipeline, setting.text(job), setting.world, setting.city, clock)
                with unit:
                    self.wait(folder, [*command, *clock.of_bench(), "--mqtt-port", unit.port, "--ack-timeout", 120], unit)
                    result = json.loads(out.read_text()) | {"unit": json.loads(unit.summary())}
                if result["guidance"].get("ack_timeouts"):
                    raise Failed("the unit left beats of the clock unanswered: " + unit.tail("unit"))
                if setting.speed and result["behind_pace_s"] * setting.speed > setting.period:
                    raise Failed("traffic fell %g s behind its pace: the machine is too slow for --pace %g"
                                 % (result["behind_pace_s"], setting.speed))
                out.write_text(json.dumps(result, separators=(",", ":")))
            else:
                self.wait(folder, command)
            if flows.exists():
                keep(flows, flows_of(path))
            keep(out, path)
        return time.monotonic() - began

    def wait(self, folder: Path, command: list, unit: Unit | None = None):
        log = folder / "closed_loop.log"
        with open(log, "w") as errors:
            process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while process.poll() is None:
                if self.stop.wait(0.2):
                    raise Failed("stopped")
                if unit:
                    unit.check()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode:
            raise Failed("closed_loop.py: " + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))

    def flow(self, seed: int) -> dict[str, float]:
        """Vehicles that entered each edge in the closure's minutes of the reference run."""
        setting, flow = self.setting, collections.Counter()
        t0 = dt.datetime.fromisoformat(setting.scenario["t0"])
        with gzip.open(flows_of(setting.path(Job(seed))), "rt", newline="") as f:
            for row in csv.DictReader(f):
                t = (dt.datetime.fromisoformat(row["ts"]) - t0).total_seconds()     # the minute's end
                if setting.begin < t <= setting.begin + setting.duration:
                    flow[row["edge_id"]] += float(row["entered"] or 0)
        return flow


def flows_of(path: Path) -> Path:
    return path.with_suffix(".edges.csv.gz")


def keep(made: Path, path: Path):
    """Moves a file to its place; nobody ever sees half of it."""
    part = path.with_name("%s.%d-%d" % (path.name, os.getpid(), threading.get_ident()))
    shutil.copy(made, part)
    part.replace(path)


def say(text: str):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
