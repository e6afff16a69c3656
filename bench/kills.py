"""kill -9 and silent deaths in the lab: what becomes of a run whose devices die one after another.

scenarios/lab-kills.toml runs twice with real processes, undisturbed and disturbed. In the second, whenever all devices
are there and each led range has a standby, the next one dies: by turns one that leads a range and one that does not. A
killed one gets a new process as soon as its end is noticed. A silent one keeps its process, but its frames are dropped
on both ways; it is reachable again while it is only suspected, or after it was taken out of the run.

Times are the coordinator's own, of its events; the lab's clock is laid over it by the fastest event of the run.
"""

import json
import random
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

from figures import BUILD, ROOT, WEFT, run

sys.path.insert(0, str(ROOT / "lab"))

import cluster as labs
import requirements
import result as results
import scenario as scenarios

COMMAND = "bench/elastic --only kills"
SCENARIO = ROOT / "scenarios" / "lab-kills.toml"
KILLS, SILENCES = 20, 5
ORDER = (["kill"] * (KILLS // SILENCES) + ["silence"]) * SILENCES
SETUP_S = 60
CALM_STEPS = 3  # that pass between two deaths
BACK_S = 0.5  # a silent device that is soon reachable again stays silent so long after it was noticed
GIVE_UP_S = 30  # for anything awaited
MOST_RESET_S, MOST_SILENT_S, MOST_SERVING_S, MOST_POINTS = 0.2, 1.5, 3.0, 0.3


class Record(results.Record):
    """Keeps what the coordinator tells, with its own times."""

    def __init__(self):
        super().__init__()
        self.offset_s = None  # of the coordinator's clock behind the lab's
        self.present = {}  # name: its number, of devices that are heard
        self.ranges = []  # of the layout that holds
        self.noticed = {}  # number: {"left", "silent" or "heard": when, the last time}
        self.layouts = []  # (when, parts)
        self.step_times = []
        self.restarts = 0
        self.silences = set()  # numbers of devices that were silent

    def add(self, event, now_s):
        super().add(event, now_s)
        if "seconds" in event and event["event"] != "result":
            offset_s = now_s - event["seconds"]
            self.offset_s = offset_s if self.offset_s is None else min(self.offset_s, offset_s)

    def _device(self, event, now_s):
        super()._device(event, now_s)
        name, number, state = event.get("name"), event["device"], event["state"]
        if state in ("joined", "heard"):
            self.present[name] = number
        if state in ("left", "silent"):
            self.present = {other: its for other, its in self.present.items() if its != number}
        if state == "silent":
            self.silences.add(number)
        if state in ("left", "silent", "heard"):
            self.noticed.setdefault(number, {})[state] = event["seconds"]

    def _leaders(self, event, now_s):
        self.ranges = event["parts"]
        self.layouts.append((event["seconds"], event["parts"]))

    def _step(self, event, now_s):
        super()._step(event, now_s)
        self.step_times.append(event["seconds"])

    def _warning(self, event, now_s):
        self.restarts += "last checkpoint" in event["text"]

    def whole(self, devices):
        """All are there, and each range is led by a device and has a standby."""
        numbers = set(self.present.values())
        return len(numbers) == devices and len(self.ranges) > 0 and all(
            part["leader"] in numbers and part["standby"] in numbers for part in self.ranges)


class Reaper:
    """Lets devices die: meddle(cluster) of cluster.run."""

    def __init__(self, scenario, seed=1):
        self.rng = random.Random(seed)
        self.devices = len(scenario.devices)
        self.left = list(ORDER)
        self.deaths = []
        self.open = None  # the death under way
        self.calm_from = None  # number of steps when all was whole again

    def __call__(self, cluster):
        record = cluster.record
        if self.open is not None:
            self.follow(cluster, record, self.open)
        elif self.left and record.whole(self.devices):
            if self.calm_from is None:
                self.calm_from = len(record.step_times)
            if len(record.step_times) >= self.calm_from + CALM_STEPS:
                self.begin(cluster, record)
        else:
            self.calm_from = None

    def begin(self, cluster, record):
        leading = {part["leader"] for part in record.ranges}
        wants_leader = len(self.deaths) % 2 == 0
        names = sorted(name for name, number in record.present.items() if (number in leading) == wants_leader)
        number = record.present[self.rng.choice(names)]
        name = record.names[number]
        kind = self.left.pop(0)
        soon = sum(death.kind == "silence" for death in self.deaths) % 2 == 0
        self.open = SimpleNamespace(kind=kind, name=name, number=number, led=wants_leader, soon=soon, restored=False,
                                    noticed_s=None, serving_s=None, began_s=cluster.now_s())
        if kind == "silence":
            self.befall(cluster, "cut", name)  # takes a while, and frames pass until it is done
        self.open.at_s = cluster.now_s() - record.offset_s
        if kind == "kill":
            self.befall(cluster, "kill", name)

    @staticmethod
    def befall(cluster, kind, name):
        cluster.befall(scenarios.Event(0, kind, name))

    def follow(self, cluster, record, death):
        """Looks what has become of it; whoever is noticed to be dead is replaced or reachable again."""
        told = record.noticed.get(death.number, {})
        times = [told[state] for state in ("silent", "left") if told.get(state, -1) >= death.at_s]
        if death.noticed_s is None and times:
            death.noticed_s = min(times) - death.at_s
        if death.led and death.serving_s is None:
            death.serving_s = self.serving(record, death)
        if not death.restored and self.may_return(cluster, record, death, told):
            death.restored = True
            self.befall(cluster, "start" if death.kind == "kill" else "heal", death.name)
        late = cluster.now_s() - death.began_s > GIVE_UP_S
        followed = death.noticed_s is not None and (death.serving_s is not None or not death.led)
        if (followed and death.restored) or late:
            if late and not death.restored:
                self.befall(cluster, "start" if death.kind == "kill" else "heal", death.name)
            self.deaths.append(death)
            self.open = self.calm_from = None

    @staticmethod
    def may_return(cluster, record, death, told):
        if death.noticed_s is None:
            return False
        if death.kind == "kill":
            return True
        if not death.soon:
            return told.get("left", -1) >= death.at_s
        return cluster.now_s() - record.offset_s >= death.at_s + death.noticed_s + BACK_S

    @staticmethod
    def serving(record, death):
        """Seconds until a layout without it held and the next step was committed by the leaders of all ranges."""
        for when, parts in record.layouts:
            if when >= death.at_s and all(part["leader"] != death.number for part in parts):
                return next((step - death.at_s for step in record.step_times if step > when), None)
        return None


def train(scenario, reaper=None):
    """(the result of the run, what the coordinator told)"""
    record = Record()
    with labs.Cluster(scenario, WEFT.resolve(), (BUILD / "bin" / "weft_relay").resolve(), record=record) as made:
        made.build()
        return made.run(scenario.limit_s + SETUP_S, reaper), record


def weights(record):
    """The digest of the weights in the end."""
    return (record.result or {}).get("weights_sha256")


def resolve():
    done = run(WEFT, "sim", SCENARIO, "--resolve", "--json")
    return scenarios.read(json.loads(done.stdout.splitlines()[-1]))


def add_times(report, figure, times, most, of):
    """Median and maximum, with what is asked of them; there should be `of` times."""
    if len(times) < of or not times:
        report.add(figure, f"{of} times", len(times), False, COMMAND)
        return
    for name, value in (("median", statistics.median(times)), ("maximum", max(times))):
        asked = most.get(name)
        report.add(f"{figure}, {name} of {len(times)}", f"<= {asked} s" if asked else None, f"{value:.3f} s",
                   asked is None or value <= asked, COMMAND)


def add_counts(report, record, calm, disturbed, undisturbed):
    report.add("run with deaths: outcome", "completed", disturbed["outcome"], disturbed["completed"], COMMAND)
    for key in ("lost", "duplicated"):
        report.add(f"samples {key}", 0, disturbed[key], disturbed[key] == 0, COMMAND)
    again = record.repeated_samples
    report.add("acknowledged updates lost: samples done again", 0,
               f"{again} ({record.restarts} returns to a checkpoint)", again == 0 and record.restarts == 0, COMMAND)
    both = [result["accuracy"] or 0 for result in (disturbed, undisturbed)]
    report.add("accuracy beside the undisturbed run", f"<= {MOST_POINTS} points", f"{both[0]} and {both[1]}",
               100 * abs(both[0] - both[1]) <= MOST_POINTS, COMMAND)
    report.add("the same weights, bit for bit", None, weights(record) == weights(calm), True, COMMAND)
    report.add("training seconds of both", None, f"{disturbed['training_s']:.1f} and {undisturbed['training_s']:.1f}",
               True, COMMAND)


def drive(report):
    lacks = requirements.missing()
    if lacks:
        print(f"left out: kills: the lab wants {', '.join(lacks)}", file=sys.stderr)
        return
    scenario = resolve()
    reaper = Reaper(scenario)
    disturbed, record = train(scenario, reaper)
    undisturbed, calm = train(scenario)
    deaths = {kind: [death for death in reaper.deaths if death.kind == kind] for kind in ("kill", "silence")}
    for kind, figure, wanted in (("kill", "kill -9", KILLS), ("silence", "silent deaths", SILENCES)):
        led = sum(death.led for death in deaths[kind])
        report.add(figure, wanted, f"{len(deaths[kind])} ({led} of leaders)", len(deaths[kind]) == wanted, COMMAND)
    add_counts(report, record, calm, disturbed, undisturbed)
    for kind, figure, most, of in (("kill", "kill -9 noticed", MOST_RESET_S, KILLS),
                                   ("silence", "silent death noticed", MOST_SILENT_S, SILENCES)):
        times = [death.noticed_s for death in deaths[kind] if death.noticed_s is not None]
        add_times(report, figure, times, {"median": most, "maximum": most}, of)
        led = [death for death in deaths[kind] if death.led]
        times = [death.serving_s for death in led if death.serving_s is not None]
        add_times(report, f"leader's range serves again after a {kind}", times, {"median": MOST_SERVING_S}, len(led))
    false = record.silences - {death.number for death in reaper.deaths}
    report.add("living devices taken for silent, in both runs", 0, len(false) + len(calm.silences),
               not false and not calm.silences, COMMAND)
