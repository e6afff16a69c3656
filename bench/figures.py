"""What the drivers of docs/results share: running weft, and printing figures as a table or as JSON."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
WEFT = BUILD / "bin" / "weft"
SHARED = ROOT.parent / "shared"
TIMEOUT_SECONDS = 3600


def run(*command, check=True, env=None):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stderr[-500:]}")
    return done


def train(job, folder, *options):
    done = run(WEFT, "train", job, "--out", folder, "--json", *options)
    return json.loads(done.stdout.splitlines()[-1])


class Report:
    def __init__(self, as_json):
        self.as_json = as_json
        self.ok = True

    def add(self, figure, asked, got, ok, command):
        self.ok = self.ok and ok
        if self.as_json:
            print(json.dumps({"figure": figure, "asked": asked, "got": got, "ok": ok, "command": command}), flush=True)
        else:
            print(f"{'ok  ' if ok else 'FAIL'} {figure:<44} asked {asked!s:<16} got {got!s:<24} {command}", flush=True)


def references(report):
    folder = SHARED / "reference"
    files = sorted(folder.glob("*.json"))
    if not files:
        print("left out: reference runs: none beside this checkout", file=sys.stderr)
        return
    done = run(BUILD / "tests" / "reference_check", *files, check=False)
    passed = sum(line.startswith("pass") for line in done.stdout.splitlines())
    report.add("reference runs: passes of files x kernels", 3 * len(files), passed, done.returncode == 0,
               "build/release/tests/reference_check ../shared/reference/*.json")


def command_passes(report, figure, *command, env=None):
    start = time.monotonic()
    done = run(*command, check=False, env=env)
    report.add(figure, "passes", f"exit code {done.returncode}, {time.monotonic() - start:.1f} s", done.returncode == 0,
               " ".join(str(word).replace(f"{ROOT}/", "").replace(sys.executable, "python3") for word in command))


def compare(report, arguments):
    """The figures of bench/compare; their records, or nothing if the peer is missing."""
    done = run(ROOT / "bench" / "compare", "--json", *arguments, check=False)
    if done.returncode == 69:
        print(f"left out: bench/compare: {done.stderr.strip()}", file=sys.stderr)
        return []
    records = [json.loads(line) for line in done.stdout.splitlines()]
    for row in records:
        floor = f" ({100 * row['floor_share']:.0f} % of the floor)" if row.get("floor_share") else ""
        report.add(f"images/s over PyTorch: {row['figure']}", f">= {row['asked']}" if row["asked"] else None,
                   f"{row['got']:.2f}{floor}", row["ok"], row["command"])
    return records
