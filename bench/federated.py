"""Data of the devices' own: federated averaging and local steps beside a step for every batch, in the simulator."""

import json
import statistics

from figures import ROOT, WEFT, run

SCENARIO = "scenarios/non-iid.toml"
SEEDS = (1, 2, 3)
LOCAL = {"cluster.local_steps": 20}  # times a batch of 200: one pass over a device's own data
AVERAGE = {"cluster.outer_lr": 1, "cluster.outer_momentum": 0}
MOMENTUM = {"optimizer.momentum": 0.9}
# Each with the best of the rates that docs/results/elastic.md names. Of rounds there are fewer than of steps: so more
# epochs.
VARIANTS = {
    "a step a batch, shared data": {"job.epochs": 20, "data.placement": "shared", "data.partition": "iid",
                                    "optimizer.lr": 0.02} | MOMENTUM,
    "a step a batch": {"job.epochs": 20, "optimizer.lr": 0.02} | MOMENTUM,
    "FedAvg, one pass a round": {"job.epochs": 40, "optimizer.lr": 0.01} | MOMENTUM | LOCAL | AVERAGE,
    "outer Nesterov, one pass a round": {"job.epochs": 40, "optimizer.lr": 0.02, "optimizer.momentum": 0} | LOCAL,
}


def train(settings, seed, data):
    """The result, and the command that finds it."""
    given = settings | {"job.seed": seed} | data
    words = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    done = run(WEFT, "sim", ROOT / SCENARIO, "--json", *words, check=False)
    if not done.stdout.strip():
        raise RuntimeError(f"{words}: exit code {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1]), f"weft sim {SCENARIO} {' '.join(words)}"


def moved(result, way):
    """Bytes that left the devices, or came to them."""
    return sum(device["link"][f"{way}_bytes"] for device in result["devices"])


def after(result, epochs):
    return result["epochs"][epochs - 1].get("accuracy", 0)


def drive(report, train_data=None, test_data=None):
    data = {}
    if train_data:  # as many samples of it as there are of the drawn shapes
        data = {"data.train": train_data, "data.test": test_data or train_data, "data.limit": 4000,
                "data.test_limit": 1000}
    base = None
    for name, settings in VARIANTS.items():
        runs = [train(settings, seed, data) for seed in SEEDS]
        results = [result for result, _ in runs]
        up, down = (sum(moved(result, way) for result in results) / len(results) for way in ("up", "down"))
        epochs = len(results[0]["epochs"])
        up, down = up / epochs, down / epochs
        base = base or (up, down)
        at = [n for n in (1, 5, 10, 15, 20, 30, 40) if n <= epochs]
        curve = ", ".join(f"{n}: {100 * statistics.mean(after(result, n) for result in results):.1f}" for n in at)
        ends = " ".join(f"{100 * result['accuracy']:.1f}" for result in results)
        right = all(result["completed"] and result["lost"] == result["duplicated"] == 0 for result in results)
        report.add(f"{name}: accuracy", None, f"% after epochs {curve}; seeds at the end: {ends}", right, runs[0][1])
        report.add(f"{name}: MB an epoch", None,
                   f"up {up / 1e6:.1f}, down {down / 1e6:.1f}; of the first row "
                   f"{100 * up / base[0]:.1f} %, {100 * down / base[1]:.1f} %", right, runs[0][1])
