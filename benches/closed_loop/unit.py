"""A broker and a Wayside unit for one run: both on loopback, both gone at its end.

The unit sees what a city would give it: roads, moves, sensors, signs and street names.  The demand, the truth and
places.csv (whose weights are counted from the demand) stay out of its folder.
"""
import datetime as dt, io, shutil, socket, subprocess, threading, time
from pathlib import Path

import paho.mqtt.client as mqtt
from ruamel.yaml import YAML

# Between the start of a unit whose clock runs and the first second of traffic: it comes online, the simulator loads.
LEAD_S = 10
VISIBLE = ["network.geojson", "network.geojson.gz", "connections.csv", "sensors.csv", "signs.csv", "names.csv"]


def variant(pipeline: Path, city: str, through: str, words: str) -> str:
    """The pipeline for this bench: at the world's site, without archive and journal, perhaps without `area` directions."""
    yaml = YAML()
    plan = yaml.load(pipeline.read_text(encoding="utf-8"))
    plan["site"] = city
    plan["network"] = "../network"
    for key in ("broker", "journal"):
        plan.pop(key, None)
    for name, output in list(plan["outputs"].items()):
        topic = output.get("mqtt", {}).get("topic")
        if topic is None or through == "signs" and "{tile}" in topic:
            del plan["outputs"][name]
    if words == "template":
        plan.setdefault("writer", {})["model"] = "none"
    beside = lambda path: str((pipeline.parent / path).resolve()) if "/" in path and not path.startswith("$") else path
    for source in plan["sources"].values():
        source["schema"] = beside(source["schema"])
    if "model" in plan.get("writer", {}):
        plan["writer"]["model"] = beside(plan["writer"]["model"])
    text = io.StringIO()
    yaml.dump(plan, text)
    return text.getvalue()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Failed(Exception):
    """Something that the bench needs does not run; says what it wrote last."""


class Clock:
    """What moves the unit's time: the bench's beats, or a clock that runs `speed` times as fast as the world's."""

    def __init__(self, scenario: dict, speed: float | None):
        self.speed, self.due = speed, time.time() + LEAD_S
        self.first = dt.datetime.fromisoformat(scenario["t0"]) + dt.timedelta(seconds=scenario["begin"])

    def of_unit(self) -> list:
        """Arguments of a unit that is started now."""
        if not self.speed:
            return ["--clock", "driven"]
        now = self.first - dt.timedelta(seconds=(self.due - time.time()) * self.speed)
        return ["--clock-from", now.isoformat(timespec="milliseconds"), "--clock-speed", self.speed]

    def of_bench(self) -> list:
        return ["--pace-from", self.due] if self.speed else []


class Unit:
    """`with Unit(...) as unit:` starts broker and unit and waits until the unit is online."""

    def __init__(self, folder: Path, binary: Path, pipeline: Path, text: str, world: Path, city: str, clock: "Clock"):
        self.folder, self.binary, self.city, self.clock = folder, binary, city, clock
        self.port, self.started = 0, []
        self.file = folder / "pipelines" / pipeline.name
        self.file.parent.mkdir(parents=True)
        self.file.write_text(text, encoding="utf-8")
        # A pipeline finds schemas and models beside its folder.
        for name in ("schemas", "models"):
            (folder / name).symlink_to((pipeline.parent / ".." / name).resolve())
        network = folder / "network"
        network.mkdir()
        for name in VISIBLE:
            if (world / name).exists():
                shutil.copy(world / name, network)

    def __enter__(self) -> "Unit":
        try:
            self.broker()
            online = self.watch()
            self.process = self.start("unit", [self.binary, "run", self.file, "--output", "json", *self.clock.of_unit(),
                                               "--broker", "127.0.0.1:%d" % self.port])
            until = time.monotonic() + 120
            while not online.wait(0.1):
                self.check()
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Failed("the unit does not come online: " + self.tail("unit"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def check(self):
        """Raises if the unit has failed.  After the last beat it ends by itself."""
        if self.process.poll():
            raise Failed("the unit stopped with %d: %s" % (self.process.returncode, self.tail("unit")))

    def summary(self) -> str:
        """The unit's end, by itself after the last beat; what it printed."""
        if self.clock.speed:
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("the unit does not end: " + self.tail("unit")) from None
        self.check()
        return (self.folder / "unit.out").read_text(encoding="utf-8")

    def start(self, name: str, command: list) -> subprocess.Popen:
        with open(self.folder / (name + ".out"), "w") as out, open(self.folder / (name + ".log"), "w") as log:
            process = subprocess.Popen([str(part) for part in command], cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=log)
        self.started.append(process)
        return process

    def tail(self, name: str) -> str:
        text = (self.folder / (name + ".log")).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-15:])

    def broker(self):
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Failed("mosquitto is not installed (Debian: apt install mosquitto)")
        for _ in range(5):                           # between asking for a port and taking it another may have it
            self.port = free_port()
            conf = self.folder / "broker.conf"
            conf.write_text("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"
                            "max_inflight_messages 0\nlog_type error\nlog_type warning\n" % self.port)
            process = self.start("broker", [program, "-c", conf])
            while process.poll() is None:
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", self.port)) == 0:
                        return
                time.sleep(0.05)
        raise Failed("mosquitto does not start: " + self.tail("broker"))

    def watch(self) -> threading.Event:
        """Set once the unit says that it is online."""
        online = threading.Event()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)

        def heard(_client, _data, message):
            if b'"online"' in message.payload:
                online.set()
                client.disconnect()                  # ends the network thread as well

        client.on_message = heard
        client.connect("127.0.0.1", self.port)
        client.subscribe("wayside/v1/%s/status" % self.city, 1)
        client.loop_start()
        return online
