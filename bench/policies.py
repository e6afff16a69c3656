"""bench/elastic --only auto: time to an accuracy, by how updates are joined: each fixed way beside `auto`, in the six
scenarios of scenarios/auto. With ../shared/data/fashion-mnist beside the checkout on 6,144 of its pictures (2,000 of
the test set), else on drawn shapes."""

import gzip
import json
import os
import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import ROOT, SHARED, WEFT, run

SCENARIOS = ("equal", "straggler", "long-tail", "slow-links", "two-sites", "churn")
FIXED = {"sync": {}, "async": {}, "ssp": {"cluster.max_staleness": 2}, "buffered": {}}
SEEDS = (1, 2, 3)
TARGET = 0.78
PICTURES = (("train", 6144), ("t10k", 2000))


def cut(source, folder):
    """The first pictures of an IDX data set, as one of its own."""
    for name, count in PICTURES:
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
            with gzip.open(source / f"{name}-{kind}-ubyte.gz") as file:
                magic, _, *shape = struct.unpack(f">{header // 4}I", file.read(header))
                size = count * (shape[0] * shape[1] if shape else 1)
                body = file.read(size)
            with gzip.open(folder / f"{name}-{kind}-ubyte.gz", "wb", compresslevel=1) as file:
                file.write(struct.pack(f">{header // 4}I", magic, count, *shape) + body)


def seconds_to(target, epochs):
    """Between two epochs the accuracy is taken for a line; None: never reached."""
    at, before = 0.0, 0.0
    for epoch in epochs:
        accuracy = epoch.get("accuracy", 0)
        if accuracy >= target:
            return at + epoch["seconds"] * (target - before) / max(accuracy - before, 1e-9)
        at, before = at + epoch["seconds"], accuracy
    return None


def simulate(scenario, policy, seed, data):
    settings = {"cluster.aggregation": policy, **FIXED.get(policy, {}), "scenario.seed": seed, "job.seed": seed}
    if data:
        settings |= {"data.train": f"idx:{data}", "data.test": f"idx:{data}"}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = run(WEFT, "sim", ROOT / "scenarios" / "auto" / f"{scenario}.toml", "--json", *words, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or lines[-1].get("event") != "result":
        raise RuntimeError(f"{scenario} {words}: exit code {done.returncode}: {done.stderr[-500:]}")
    result = lines[-1]
    right = result["completed"] and result["lost"] == 0 and result["duplicated"] == 0
    if not right:
        raise RuntimeError(f"{scenario} {words}: {result['outcome']}")
    reached = seconds_to(TARGET, result["epochs"])
    # What never got there is counted as if it had at the end.
    return reached if reached is not None else sum(epoch["seconds"] for epoch in result["epochs"]), reached is not None


def mean_of(runs):
    return sum(seconds for seconds, _ in runs) / len(runs)


def shown(policies):
    words = []
    for policy, runs in policies.items():
        missed = sum(not reached for _, reached in runs)
        words.append(f"{policy} {mean_of(runs):.0f} s" + (f" ({missed} of {len(runs)} never)" if missed else ""))
    return ", ".join(words)


def drive(report):
    source = SHARED / "data" / "fashion-mnist"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) if source.is_dir() else None
        if data:
            cut(source, data)
        names = [*FIXED, "auto"]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {(scenario, policy, seed): pool.submit(simulate, scenario, policy, seed, data)
                    for scenario in SCENARIOS for policy in names for seed in SEEDS}
            times = {key: job.result() for key, job in jobs.items()}
    command = "bench/elastic --only auto"
    sums = dict.fromkeys(names, 0.0)
    for scenario in SCENARIOS:
        policies = {policy: [times[scenario, policy, seed] for seed in SEEDS] for policy in names}
        best = min(mean_of(policies[policy]) for policy in FIXED)
        for policy in names:
            sums[policy] += mean_of(policies[policy])
        report.add(f"auto to {TARGET}: {scenario}", f"<= {1.1 * best:.0f} s", shown(policies),
                   mean_of(policies["auto"]) <= 1.1 * best, command)
    best = min(sums[policy] for policy in FIXED)
    report.add(f"auto to {TARGET}: all six", f"< {best:.0f} s",
               ", ".join(f"{policy} {seconds:.0f} s" for policy, seconds in sums.items()), sums["auto"] < best, command)
