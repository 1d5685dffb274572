#!/usr/bin/env python3
"""The whole closed-loop bench with one command: what does Wayside recover of an incident's cost?

    run.py                                               a town of its own, made on the spot
    run.py --world DIR --edges 'a72[0]' auto:2 pair      a world of export_world.py, its edges and the busiest ones

Sets up a Python environment in a cache folder, plays every run that is not in the cache yet (a broker, a unit and a
simulator each, on loopback), and prints the tables.  Interrupted, it goes on where it was when it is called again.
Needs mosquitto and a built `wayside` program.
"""
import argparse, hashlib, json, os, signal, subprocess, sys, venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--world", type=Path, help="folder made by export_world.py or make_world.py; default: a made town")
    ap.add_argument("--wayside", type=Path, help="the program; default: target/release/wayside, else target/debug/wayside")
    ap.add_argument("--pipeline", type=Path, help="default: pipelines/CITY.yaml, else pipelines/bologna.yaml. Site, network and "
                    "broker are replaced by the world's, archive and journal are left out")
    ap.add_argument("--edges", nargs="+", default=["default"], metavar="EDGE[,EDGE]",
                    help="what is closed, a row each; EDGE,EDGE at once; `default`: the world's own incident; `auto:N`: its N "
                    "busiest edges that have a way round; `pair`: the two busiest at once")
    ap.add_argument("--compliance", nargs="+", type=float, default=[0.3, 0.6, 1.0], help="columns")
    ap.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    ap.add_argument("--notice", nargs="+", choices=["announced", "unannounced"], default=["announced"])
    ap.add_argument("--through", nargs="+", choices=["all", "signs"], default=["all"], help="signs: no `area` directions")
    ap.add_argument("--marks", nargs="+", choices=["sumo-oracle", "sign-oracle"], default=[], help="rows of oracles beside it")
    ap.add_argument("--words", choices=["pipeline", "template"], default="pipeline", help="template: no language model")
    ap.add_argument("--pace", type=float, metavar="SPEED", help="the unit's clock runs so many times as fast as the world's, and traffic "
                    "with it; default: the bench drives it")
    ap.add_argument("--begin", type=float, help="of the closure, in simulated seconds; default: the world's")
    ap.add_argument("--duration", type=float)
    ap.add_argument("--kind", help="full or lanes:K")
    ap.add_argument("--horizon", type=float, help="default: the world's end")
    ap.add_argument("--period", type=int, default=30, help="seconds between readings")
    ap.add_argument("--jobs", type=int, default=1, help="runs at a time")
    ap.add_argument("--cached", action="store_true", help="run nothing: print what is there")
    ap.add_argument("--cache", type=Path, help="default: ~/.cache/wayside-closed-loop")
    ap.add_argument("--venv", type=Path, help="default: venv in the cache")
    ap.add_argument("--out", type=Path, help="also write all rows as JSON")
    a = ap.parse_args()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    a.cache = (a.cache or caches / "wayside-closed-loop").resolve()
    a.venv = (a.venv or a.cache / "venv").absolute()
    return a


def environment(folder: Path):
    """Goes on under a Python that has the requirements; makes it first."""
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("setting up", folder, file=sys.stderr, flush=True)
        if not (folder / "bin" / "pip").exists():
            venv.create(folder, symlinks=True, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    if not os.path.samefile(sys.prefix, folder):
        python = str(folder / "bin" / "python")
        os.execv(python, [python, str(Path(__file__).resolve()), *sys.argv[1:]])


def program(path: Path | None) -> Path:
    choices = [path] if path else [REPOSITORY / "target" / profile / "wayside" for profile in ("release", "debug")]
    for choice in choices:
        if choice.is_file():
            return choice.resolve()
    sys.exit("%s is not there: build it with `cargo build --release`, or name it with --wayside" % choices[0])


def town(cache: Path) -> Path:
    """The world of make_world.py, made once for each version of what makes it."""
    made_by = b"".join((HERE / name).read_bytes() for name in ("make_world.py", "export_world.py", "requirements.txt"))
    folder = cache / "worlds" / ("grid-" + hashlib.sha256(made_by).hexdigest()[:12])
    if not folder.exists():
        part = folder.with_name("%s.%d" % (folder.name, os.getpid()))
        subprocess.run([sys.executable, HERE / "make_world.py", "--out", part], check=True)
        part.rename(folder)
    return folder


def main() -> int:
    a = arguments()
    environment(a.venv)
    # What these import is in the environment alone.
    from jobs import Job, Runner, Setting, say
    from roads import Roads, busiest
    from table import Case, Tables

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world = (a.world or town(a.cache)).resolve()
    scenario = json.loads((world / "sumo" / "scenario.json").read_text())
    own = scenario.get("incident") or {}
    pipeline = a.pipeline or REPOSITORY / "pipelines" / (scenario["city"] + ".yaml")
    if not a.pipeline and not pipeline.exists():
        pipeline = REPOSITORY / "pipelines" / "bologna.yaml"
    given = lambda value, key, default: own.get(key, default) if value is None else value
    setting = Setting(
        world=world, cache=a.cache, binary=program(a.wayside), pipeline=pipeline.resolve(), words=a.words,
        begin=given(a.begin, "begin", 1200.0), duration=given(a.duration, "duration", 1200.0),
        kind=given(a.kind, "kind", "full"), horizon=a.horizon or float(scenario["end"]), period=a.period,
        speed=a.pace)
    runner = Runner(setting, a.jobs)
    roads = Roads.of_world(world)

    def closed() -> list[tuple[str, ...]]:
        rows = []
        for token in a.edges:
            if token == "default":
                if not own:
                    sys.exit("the world has no incident of its own: name edges, or auto:N")
                rows.append((own["edge"],))
            elif token == "pair" or token.startswith("auto:"):
                first = Job(a.seeds[0])
                if not a.cached:
                    runner.make([first])
                if not runner.has(first):
                    sys.exit("the busiest edges are not known without the run %s" % first.name())
                count = 2 if token == "pair" else int(token.removeprefix("auto:"))
                besides = [] if token == "pair" else [edge for row in rows for edge in row]
                edges = busiest(roads, runner.flow(first.seed), count, besides)
                say("%s: %s" % (token, ", ".join(edges)))
                rows += [tuple(edges)] if token == "pair" else [(edge,) for edge in edges]
            else:
                rows.append(tuple(token.split(",")))
        unknown = [edge for row in rows for edge in row if edge not in roads.after]
        if unknown:
            sys.exit("%s has no edge %s" % (world, ", ".join(unknown)))
        return rows

    cases = []
    for edges in closed():
        cases += [Case(edges, announced=notice == "announced", through=through)
                  for notice in a.notice for through in a.through]
        cases += [Case(edges, provider=mark) for mark in a.marks]
    tables = Tables(runner, cases, a.compliance, a.seeds)
    interrupted = False
    if not a.cached:
        try:
            runner.make(tables.jobs())
        except KeyboardInterrupt:
            interrupted = True
            say("interrupted; the same command goes on from here")
    incident, ordinary = tables.rows()
    print(tables.text(incident, ordinary))
    if a.out:
        a.out.write_text(json.dumps({"world": world.name, "incident": incident, "ordinary": ordinary}, indent=1))
    over = sum(audit["over_closed"] for row in incident if row["announced"] for audit in row["audit"])
    if over:
        say("%d directions led over a closed edge, or did not avoid it" % over)
    return 1 if over or interrupted or runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
