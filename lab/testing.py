"""What the tests of the lab with real processes share: running it, and skipping where it cannot run."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

LAB = Path(__file__).resolve().parent
sys.path.insert(0, str(LAB))

import cgroups
import cluster
import requirements

RUN = LAB / "run"
WEFT = os.environ.get("WEFT_PROGRAM", str(LAB.parent / "build/release/bin/weft"))
RELAY = os.environ.get("WEFT_RELAY", str(LAB.parent / "build/release/bin/weft_relay"))
SKIPPED = 77


class LabTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write_scenario(self, **changes):
        scenario = {
            "event": "scenario", "name": "tiny", "seed": 1, "limit_s": 60,
            "job": {"job": {"name": "tiny", "epochs": 3, "batch": 32, "checkpoint_every": 5},
                    "model": {"preset": "shapes-cnn"},
                    "data": {"train": "synthetic:shapes?n=640", "test": "synthetic:shapes?n=64&seed=2"},
                    "optimizer": {"name": "sgd", "lr": 0.05},
                    "cluster": {"heartbeat_ms": 100, "device_timeout_ms": 1000}},
            "hub": {"speed": 0.5}, "devices": [{"name": "a", "speed": 0.3}, {"name": "b", "speed": 0.2}]}
        path = self.folder / "scenario.json"
        path.write_text(json.dumps(scenario | changes))
        return path

    def start(self, *arguments):
        process = subprocess.Popen([RUN, *map(str, arguments), "--weft", WEFT, "--relay", RELAY, "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(end, process)
        return process

    def run_lab(self, *arguments):
        """(exit code, the result or None, stderr)"""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=200)
        return process.returncode, json.loads(out) if out else None, err

    def assert_nothing_left(self, number):
        """Of the lab that was process `number`."""
        prefix = f"weft-lab-{number}"
        self.assertEqual(cluster.namespaces(prefix), [])
        self.assertNotIn(prefix, cgroups.labs(cgroups.find()))
        self.assertEqual(list(Path(tempfile.gettempdir()).glob(f"{prefix}-*")), [])


def end(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


def main():
    lacks = requirements.missing()
    if lacks:
        print(f"skipped: the lab wants {', '.join(lacks)}")
        sys.exit(SKIPPED)
    unittest.main()
