"""A fleet of real processes that come and go: one `weft up` and many `weft join` on loopback, of which a tenth is
killed each minute, half of them without a word (kill -9), and as many are started anew."""

import ctypes
import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from figures import WEFT

MOST_STALL_S = 2.0
SHARE_A_MINUTE = 0.1  # of the workers that are killed
GROUP = 10  # workers that are started at a time
START_TIMEOUT_S = 300
END_TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1

MODEL = """
name = "tiny"
layers = [
  {type = "conv", out = 8, kernel = 3, stride = 2, pad = 1},
  {type = "relu"},
  {type = "maxpool", kernel = 2},
  {type = "linear", out = "classes"},
]
"""

# Two samples of an average worker in a step.
JOB = """
[job]
name = "churn"
epochs = 1000000
batch = {batch}
[model]
file = "tiny.toml"
[data]
train = "synthetic:shapes?n={samples}"
[optimizer]
name = "sgd"
lr = 0.01
momentum = 0.9
[cluster]
workers = {workers}
threads = 1
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def memory(pid):
    """Resident bytes of a process: now, and at most so far."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(1024 * int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM"))


def cpu_seconds(pid):
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


class Coordinator:
    """`weft up`; a thread reads its events as they come."""

    def __init__(self, folder, job, workers, settings):
        words = [word for setting in settings for word in ("--set", setting)]
        self.errors = open(Path(folder) / "up.err", "w")
        self.process = subprocess.Popen(
            [WEFT, "up", job, "--listen", "127.0.0.1:0", "--token", "churn", "--start-workers", str(workers),
             "--out", Path(folder) / "run", "--json", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=folder,
            start_new_session=True, preexec_fn=die_with_parent)
        self.address = None
        self.result = None
        self.alive = 0
        self.silent = []  # when a worker seemed so
        self.steps = []  # seconds of each, by the coordinator's clock
        self.stepped = 0.0  # when the last one was heard of
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.changed:
                self.note(event)
                self.changed.notify_all()

    def note(self, event):
        kind = event["event"]
        if kind == "listening":
            self.address = event["address"]
        elif kind == "step":
            self.steps.append(event["seconds"])
            self.stepped = time.monotonic()
        elif kind == "result":
            self.result = event
        elif kind == "device" and event["state"] == "joined":
            self.alive += 1
        elif kind == "device" and event["state"] == "left":
            self.alive -= 1
            if "silent" in event["reason"]:
                self.silent.append(event["seconds"])
        elif kind == "device" and event["state"] == "silent":
            self.silent.append(event["seconds"])

    def wait(self, holds, seconds, what):
        end = time.monotonic() + seconds
        with self.changed:
            while not holds(self):
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise RuntimeError(f"the coordinator ended with {self.process.returncode} before {what}")
                if time.monotonic() > end:
                    raise RuntimeError(f"no {what} within {seconds} s")
                self.changed.wait(0.5)

    def finish(self):
        """Drains the run; its result."""
        self.process.send_signal(signal.SIGTERM)
        self.wait(lambda up: up.result is not None, END_TIMEOUT_S, "result")
        return self.result


class Fleet:
    """Workers, of which some die and others come."""

    def __init__(self, address, folder, seed):
        self.address = address
        self.folder = folder
        self.rng = random.Random(seed)
        self.alive = []
        self.dying = []
        self.started = 0

    def start(self):
        name = f"worker-{self.started}"
        self.started += 1
        self.alive.append(subprocess.Popen(
            [WEFT, "join", self.address, "--token", "churn", "--name", name, "--threads", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            start_new_session=True, preexec_fn=die_with_parent))

    def replace_one(self, how):
        victim = self.alive.pop(self.rng.randrange(len(self.alive)))
        victim.send_signal(how)
        self.dying.append(victim)
        self.dying = [process for process in self.dying if process.poll() is None]
        self.start()

    def ended_by_themselves(self):
        return sum(process.poll() is not None for process in self.alive)

    def end(self):
        """Of each process that was started: asked to stop, then killed."""
        mine = self.alive + self.dying
        for process in mine:
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + 15
        for process in mine:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start_all(up, fleet, workers):
    for first in range(0, workers, GROUP):
        count = min(GROUP, workers - first)
        for _ in range(count):
            fleet.start()
        up.wait(lambda up: up.alive >= first + count, START_TIMEOUT_S, f"{first + count} workers")
    before = len(up.steps)
    up.wait(lambda up: len(up.steps) >= before + 3, START_TIMEOUT_S, "steps of all")


def churn(fleet, workers, seconds):
    """Kills and starts evenly spread; the number of kills."""
    wait = 60 / (SHARE_A_MINUTE * workers)
    begin = time.monotonic()
    kills = 0
    while (at := begin + (kills + 1) * wait) <= begin + seconds:
        time.sleep(max(0, at - time.monotonic()))
        fleet.replace_one(signal.SIGKILL if kills % 2 else signal.SIGTERM)
        kills += 1
    time.sleep(max(0, begin + seconds - time.monotonic()))
    return kills


def measure(workers, minutes, settings, seed=1, batch=None, samples=None):
    """One run: a dictionary of what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiny.toml").write_text(MODEL)
        job = Path(folder) / "job.toml"
        job.write_text(JOB.format(workers=workers, batch=batch or 2 * workers, samples=samples or 40 * workers))
        up = Coordinator(folder, job, workers, settings)
        fleet = None
        try:
            up.wait(lambda up: up.address, START_TIMEOUT_S, "address")
            fleet = Fleet(up.address, folder, seed)
            start_all(up, fleet, workers)
            return watch(up, fleet, workers, 60 * minutes)
        except RuntimeError as problem:
            up.errors.flush()
            raise RuntimeError(f"{problem}: {(Path(folder) / 'up.err').read_text()[-500:]}") from None
        finally:
            if fleet is not None:
                fleet.end()
            if up.process.poll() is None:
                up.process.kill()
            up.process.wait()
            up.errors.close()


def watch(up, fleet, workers, seconds):
    pid = up.process.pid
    rss_start, _ = memory(pid)
    cpu_start = cpu_seconds(pid)
    first = len(up.steps) - 1
    begin = time.monotonic()
    kills = churn(fleet, workers, seconds)
    took = time.monotonic() - begin
    rss_end, rss_peak = memory(pid)
    cpu = cpu_seconds(pid) - cpu_start
    steps = up.steps[first:]
    worker_rss = [memory(process.pid)[0] for process in fleet.alive if process.poll() is None]
    gaps = [after - before for before, after in zip(steps, steps[1:])]
    gaps.append(time.monotonic() - up.stepped)  # and since then
    ended = fleet.ended_by_themselves()
    alive = up.alive
    silent = sum(at >= steps[0] for at in up.silent)
    result = up.finish()
    return {"longest_gap_s": max(gaps), "median_step_s": statistics.median(gaps),
            "gaps_over_1_s": sum(gap > 1 for gap in gaps), "steps_per_second": (len(steps) - 1) / took, "kills": kills,
            "alive": alive, "ended_by_themselves": ended, "rss_start": rss_start, "rss_end": rss_end,
            "rss_peak": rss_peak, "cpu_s": cpu, "cpu_share": cpu / took,
            "worker_rss": statistics.median(worker_rss), "lost": result["lost_samples"],
            "duplicated": result["duplicated_samples"], "outcome": result["outcome"], "silent": silent}


def drive(report, workers, minutes, settings=()):
    seen = measure(workers, minutes, list(settings))
    name = f"{workers} processes, {seen['kills']} kills in {minutes:g} minutes"
    command = f"bench/elastic --only churn --workers {workers} --minutes {minutes:g}"
    command += "".join(f" --set {setting}" for setting in settings)
    mib = 1 / (1 << 20)
    report.add(f"{name}: longest time without a step", f"<= {MOST_STALL_S:g} s", f"{seen['longest_gap_s']:.2f} s",
               seen["longest_gap_s"] <= MOST_STALL_S, command)
    report.add(f"{name}: steps", None, f"{seen['steps_per_second']:.2f}/s, median {seen['median_step_s']:.3f} s, "
               f"{seen['gaps_over_1_s']} over 1 s", True, command)
    report.add(f"{name}: samples lost, duplicated", "0, 0", f"{seen['lost']}, {seen['duplicated']}",
               seen["lost"] == 0 and seen["duplicated"] == 0, command)
    report.add(f"{name}: coordinator's memory", None,
               f"{seen['rss_start'] * mib:.0f} MiB at first, {seen['rss_end'] * mib:.0f} at the end, "
               f"{seen['rss_peak'] * mib:.0f} at most", True, command)
    report.add(f"{name}: coordinator's processor", None,
               f"{seen['cpu_s']:.1f} s, {100 * seen['cpu_share']:.0f} % of one", True, command)
    report.add(f"{name}: memory of a worker", None, f"{seen['worker_rss'] * mib:.0f} MiB", True, command)
    report.add(f"{name}: workers that seemed silent", None, f"{seen['silent']} times", True, command)
    report.add(f"{name}: workers at the end", f"{workers}", f"{seen['alive']}",
               seen["ended_by_themselves"] == 0 and seen["alive"] >= workers - GROUP, command)
    return seen
