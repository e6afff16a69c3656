"""bench/elastic --only straggler: one of eight real devices is five times slower (lab; needs root): samples a second of
synchronous steps with shares by speed, and with equal shares, beside the speeds of the devices by themselves."""

import json
import sys
import tempfile
from pathlib import Path

from figures import ROOT, WEFT, run

SCENARIO = ROOT / "scenarios" / "lab-straggler.toml"
FAST, SLOW = 7, 0.2  # devices, and the speed of the slow one as a part of theirs
ASKED = 0.9
ALONE = {"job": {"batch": 256, "epochs": 3}, "data": {"train": "synthetic:shapes?n=1024&seed=1"}}


def lab(change):
    """The result of the scenario, after `change` has been at it."""
    scenario = json.loads(run(WEFT, "sim", SCENARIO, "--resolve", "--json").stdout)
    change(scenario)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.json"
        path.write_text(json.dumps(scenario))
        done = run(sys.executable, ROOT / "lab" / "run", "--resolved", path, "--json", check=False)
    lines = done.stdout.splitlines()
    if not lines:
        raise RuntimeError(f"lab/run: exit code {done.returncode}: {done.stderr[-500:]}")
    return json.loads(lines[-1])


def alone(scenario):
    for table, keys in ALONE.items():
        scenario["job"][table].update(keys)
    scenario["devices"] = scenario["devices"][:1]
    scenario["start_workers"] = 1


def smaller(scenario):
    scenario["job"]["job"].update({"batch": 2048, "epochs": 4})


def equal(scenario):
    scenario["job"]["cluster"]["share_by_speed"] = False
    scenario["job"]["job"]["epochs"] = 3  # a step takes a minute


def samples_per_second(result, epochs):
    """Of the last epochs; in those before speeds are not known yet and devices make their plans."""
    of_epoch = result["samples"] / len(result["epochs"])
    return of_epoch * epochs / sum(epoch["seconds"] for epoch in result["epochs"][-epochs:])


def drive(report):
    command = "bench/elastic --only straggler"
    one = samples_per_second(lab(alone), 2)
    summed = (FAST + SLOW) * one
    report.add("one fast device alone", None, f"{one:.1f} samples/s; eight together: {summed:.0f}", True, command)
    for name, change, asked in (("shares by speed", lambda scenario: None, ASKED),
                                ("the same, batch 2,048", smaller, None), ("equal shares", equal, None)):
        result = lab(change)
        speed = samples_per_second(result, 2)
        right = result["completed"] and result["lost"] == 0 and result["duplicated"] == 0
        seconds = ", ".join(f"{epoch['seconds']:.1f}" for epoch in result["epochs"])
        report.add(f"one of eight 5x slower: {name}", f">= {100 * asked:.0f} %" if asked else None,
                   f"{100 * speed / summed:.0f} % of the summed speeds ({speed:.0f} samples/s; epochs {seconds} s)",
                   right and (asked is None or speed >= asked * summed), command)
