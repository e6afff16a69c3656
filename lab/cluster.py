"""Runs a scenario: builds its network, starts its processes, does to them what is scheduled, and tidies up."""

import atexit
import json
import math
import os
import secrets
import selectors
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import cgroups
import network
import processes
import result as results

POLL_S = 0.05
LISTEN_S = 60  # for the coordinator to listen the first time
LEAVE_S = 5  # for the devices to go once the run is over
RELAY_READY_S = 10
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def note(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Station:
    """A device, or the coordinator (number 0), through all of its process's lives."""

    def __init__(self, number, device, group, errors):
        self.number = number
        self.device = device
        self.group = group
        self.errors = errors
        self.process = None
        self.starts = 0
        self.up_s = 0.0
        self.compute_s = 0.0
        self.cut = set()
        self.clogged = False

    def running(self):
        return self.process is not None


class Cluster:
    """Use as a context: whatever happens, leaving it ends what it started and removes what it made."""

    def __init__(self, scenario, weft, relay, keep=False, record=None):
        self.scenario = scenario
        self.weft = weft
        self.relay = relay
        self.keep = keep
        self.prefix = f"weft-lab-{os.getpid()}"
        self.places = cgroups.find()
        self.folder = Path(tempfile.mkdtemp(prefix="weft-lab-kept-" if keep else f"{self.prefix}-"))
        self.token = secrets.token_hex(8)
        self.selector = selectors.DefaultSelector()
        self.record = record or results.Record()
        self.stations = {}
        self.relays = []
        self.retired = []  # ended, with words still to be read
        self.zero = None  # when the coordinator first listened
        self.over = math.inf  # when the run was over
        self.others_s = 0.0  # processor time that other programs took meanwhile
        self.closed = False

    def __enter__(self):
        atexit.register(self.close)
        return self

    def __exit__(self, *_):
        self.close()

    # ---- making and unmaking

    def build(self):
        for command in network.build(self.prefix, self.scenario):
            processes.run(command)
        for number, device in enumerate((self.scenario.hub, *self.scenario.devices)):
            group = cgroups.Group(self.places, self.prefix, str(number))
            group.limit(device.processors(), device.memory_bytes)
            errors = self.folder / f"station-{number}.stderr"
            self.stations[device.name if number else ""] = Station(number, device, group, errors)
        self._start_relays()
        with open(self.folder / "job.json", "w") as file:
            json.dump(self.scenario.job, file)

    def _start_relays(self):
        ports = [(network.segment_port(self.prefix, number, link), link)
                 for number, link in enumerate(self.scenario.segments.values())]
        ports += [(self._port(station), station.device.link) for station in self.stations.values()]
        for number, (port, link) in enumerate(ports):
            if link.needs_relay():
                command = network.relay_command(self.relay, port, link, self.scenario.seed * 1000 + number)
                self.relays.append(processes.Process(network.switch(self.prefix), [], command,
                                                     self.folder / "relay.stderr"))
        for relay in self.relays:
            if not self._await(relay, lambda events: events and events[0]["event"] == "ready", RELAY_READY_S):
                raise RuntimeError(f"the relay did not start: {relay.last_words()}")

    def _await(self, process, wanted, seconds):
        """True once `process` has said something for which wanted(events) holds; False at its end or too late."""
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while time.monotonic() < end:
                if not selector.select(POLL_S):
                    continue
                events = process.read()
                if events is None:
                    return False
                if wanted(events):
                    return True
        return False

    def close(self):
        if self.closed:
            return
        # Nothing stops the tidying up.
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
        self.closed = True
        self._tidy_up()
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def _tidy_up(self):
        for station in self.stations.values():
            if station.running():
                station.process.close()
        for process in self.relays + self.retired:
            process.close()
        self.selector.close()
        remove_leftovers(self.prefix, self.places)
        if self.keep:
            note(f"kept {self.folder}")

    # ---- the processes

    def _port(self, station):
        return network.station_port(self.prefix, station.number, station.device.link)

    def _command(self, station):
        hub = f"{network.address(0)}:{network.PORT}"
        if station.number:
            own = ["--insecure-listen", f"{network.address(station.number)}:{network.PORT}"]
            return [self.weft, "join", hub, "--token", self.token, "--name", station.device.name,
                    "--threads", station.device.cores, "--json",
                    *(own if self.scenario.may_lead(station.device) else []),
                    *(["--site", station.device.site] if station.device.site else [])]
        run = self.folder / "run"
        goes_on = (run / "checkpoints").exists()
        return [self.weft, "up", self.folder / "job.json", "--insecure-listen", hub, "--token", self.token,
                "--start-workers", self.scenario.start_workers, "--resume" if goes_on else "--out", run, "--json"]

    def _start(self, station):
        if station.running():
            return
        if not station.number:
            self.record.result = None  # of a life before
        station.process = processes.Process(network.namespace(self.prefix, station.number), station.group.entrances(),
                                            self._command(station), station.errors)
        station.starts += 1
        self.selector.register(station.process.stdout, selectors.EVENT_READ, (station, station.process))

    def _kill(self, station):
        if station.running():
            station.process.kill()
            self._retire(station)

    def _retire(self, station):
        # Until the run was over, whenever the process itself went.
        station.up_s += max(0.0, min(time.monotonic(), self.over) - station.process.started)
        self.retired.append(station.process)
        station.process = None

    def now_s(self):
        return time.monotonic() - self.zero

    def _read(self, timeout_s):
        for key, _ in self.selector.select(timeout_s):
            station, process = key.data
            events = process.read()
            if events is None:
                self.selector.unregister(process.stdout)
                self._ended(station, process)
                continue
            for event in events:
                self._heard(station, event)

    def _heard(self, station, event):
        if station.number:
            self.record.add_admitted(station.device.name, event)
        elif event["event"] == "listening":
            self.zero = self.zero or time.monotonic()
        elif self.zero is not None:
            self.record.add(event, self.now_s())

    def _ended(self, station, process):
        """It has closed its stdout: it ended by itself, unless it was killed."""
        if station.process is not process:
            return
        process.wait()
        if process.code() not in (0, 128 + signal.SIGTERM):
            note(f"{station.device.name} ended with {process.code()}: {process.last_words()}")
        self._retire(station)

    # ---- what befalls them

    def befall(self, event):
        """Does one thing of the schedule, now."""
        station = self.stations[event.device]
        port = self._port(station)
        if event.kind == "start":
            self._start(station)
        elif event.kind == "kill":
            self._kill(station)
        elif event.kind == "leave":
            if station.running():
                station.process.ask_to_leave()
        elif event.kind in ("clog", "unclog"):
            self._clog(station, port, event.kind == "clog")
        else:
            ways = {"cut": {"up", "down"}, "cut-up": {"up"}, "cut-down": {"down"}, "heal": set()}[event.kind]
            self._cut(station, port, ways | station.cut if ways else ways)

    def _cut(self, station, port, ways):
        for command in (network.heal_commands(self.prefix, port, sorted(station.cut - ways))
                        + network.cut_commands(self.prefix, port, sorted(ways - station.cut))):
            processes.run(command)
        station.cut = ways

    def _clog(self, station, port, clogged):
        if clogged != station.clogged:
            factor = network.CLOG_FACTOR if clogged else 1.0
            for command in network.rate_commands(self.prefix, port, factor):
                processes.run(command)
        station.clogged = clogged

    # ---- the run

    def run(self, hard_limit_s, meddle=None):
        """The result. `hard_limit_s`: of everything, from now on. meddle(cluster), if given, is called every POLL_S at
        least and may do to the cluster what the schedule may: befall()."""
        began = time.monotonic()
        last = began + hard_limit_s
        self._start(self.stations[""])
        while self.zero is None:
            self._read(POLL_S)
            if not self.stations[""].running() or time.monotonic() > min(last, began + LISTEN_S):
                raise RuntimeError("the coordinator does not listen")
        busy_s = busy_seconds() - self._own_seconds()
        self._go_through_schedule(min(last, self.zero + self.scenario.limit_s), meddle)
        self.over = time.monotonic()
        self.others_s = busy_seconds() - self._own_seconds() - busy_s
        self._let_leave()
        return self._result(self.over - self.zero, time.monotonic() - began)

    def _go_through_schedule(self, last, meddle):
        """Until the run is over, stands still for good, or the time is up."""
        schedule = list(self.scenario.schedule)
        while time.monotonic() < last:
            while schedule and schedule[0].at_s <= self.now_s():
                self.befall(schedule.pop(0))
            if meddle is not None:
                meddle(self)
            next_s = schedule[0].at_s - self.now_s() if schedule else POLL_S
            self._read(max(0.0, min(POLL_S, next_s)))
            hub_returns = any(event.kind == "start" and not event.device for event in schedule)
            result = self.record.result
            over = result is not None and (result["outcome"] != "stopped" or not hub_returns)
            if over or (not self.stations[""].running() and not hub_returns):
                break

    def _own_seconds(self):
        """Of processor time that the lab took for its devices, its coordinator, its relays and itself."""
        own = sum(sum(process_seconds(number)) for number in [os.getpid(), *(relay.number for relay in self.relays)])
        return own + sum(station.group.processor_seconds() for station in self.stations.values())

    def _let_leave(self):
        end = time.monotonic() + (LEAVE_S if self.record.result is not None else 0)
        while time.monotonic() < end and any(station.running() for station in self.stations.values()):
            self._read(POLL_S)
        for station in self.stations.values():
            self._kill(station)

    def _result(self, over_s, wall_s):
        counters = network.read_counters(json.loads(processes.run(network.counters_command(self.prefix))))
        for station in self.stations.values():
            station.compute_s = station.group.processor_seconds()
        result = results.summary(self.record, over_s, wall_s)
        parts = self.record.parts()
        devices = [station for station in self.stations.values() if station.number]
        result["devices"] = [
            results.device_result(station.device, station, parts, counters[self._port(station).name])
            for station in devices]
        hub = self.stations[""]
        result["hub"] = results.link_use(hub.device.link, counters["p0"], over_s)
        result["hub"]["compute_s"] = round(hub.compute_s, 3)
        result["utilisation"] = results.utilisation(devices)
        result["segments"] = [
            {"name": name, "link": results.link_use(link, counters[f"m{number}"], over_s)}
            for number, (name, link) in enumerate(self.scenario.segments.items())]
        result["others_processors"] = round(max(0.0, self.others_s) / over_s, 3)
        result["seed"] = self.scenario.seed
        return result


def busy_seconds():
    """Processor time that everyone together took since the machine started."""
    _, user, nice, system, _, _, irq, softirq, steal, *_ = Path("/proc/stat").read_text().splitlines()[0].split()
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


def process_seconds(number):
    """(user, system) time of one process."""
    words = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return [int(word) / os.sysconf("SC_CLK_TCK") for word in words[11:13]]


def remove_leftovers(prefix, places):
    """Removes a lab's namespaces, control groups and folder, by its prefix. Its processes must have ended."""
    for name in namespaces(prefix):
        processes.run(["ip", "netns", "del", name])
    for folder in cgroups.remove(places, prefix):
        note(f"could not remove {folder}: is a process still in it?")
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def namespaces(prefix):
    """Of the lab with this prefix."""
    listing = processes.run(["ip", "netns", "list"])
    return [line.split()[0] for line in listing.splitlines() if line.startswith(f"{prefix}-")]
