#!/usr/bin/env python3
"""Tests bench/compare against two stand-ins that print canned results, one speed a round."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COMPARE = Path(__file__).resolve().parent / "compare"

# Prints the next result of its list, and notes in a log that it ran.
STAND_IN = """#!{python}
import json, sys
from pathlib import Path
log = Path({log!r})
before = log.read_text().splitlines() if log.exists() else []
log.write_text("\\n".join(before + ["{name} " + " ".join(sys.argv[1:])]) + "\\n")
turn = sum(line.startswith("{name} ") for line in before)
results = {results!r}
print("a line before")
print(results[turn % len(results)])
sys.exit({status})
"""


def result(speed, **more):
    return json.dumps({"event": "result", "images_per_second": speed} | more)


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"

    def stand_in(self, name, results, status=0):
        path = self.folder / name
        path.write_text(STAND_IN.format(python=sys.executable, log=str(self.log), name=name, results=results,
                                        status=status))
        path.chmod(0o755)

    def compare(self, *arguments):
        done = subprocess.run([sys.executable, COMPARE, "--weft", self.folder / "weft", "--peer",
                               self.folder / "peer", *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def test_median_of_paired_ratios_with_spread(self):
        self.stand_in("weft", [result(200, step_ms=4, floor_ms=1, gflops=30, sgemm_gflops=120),
                               result(90, step_ms=8, floor_ms=1, gflops=15, sgemm_gflops=120),
                               result(330, step_ms=2, floor_ms=1, gflops=60, sgemm_gflops=120)])
        self.stand_in("peer", [result(100, layout="contiguous"), result(100, layout="channels_last"),
                               result(110, layout="channels_last")])
        status, out, _ = self.compare("--only", "lenet5 b64 t1", "--rounds", "3", "--json")
        self.assertEqual(status, 0)
        record = json.loads(out)
        self.assertEqual(record["figure"], "lenet5 b64 t1 direct")
        self.assertEqual((record["asked"], record["got"], record["ok"]), (1.8, 2.0, True))
        self.assertEqual((record["lowest"], record["highest"]), (0.9, 3.0))
        self.assertEqual((record["weft_images_per_second"], record["peer_images_per_second"]), (200, 100))
        self.assertEqual(record["peer_layout"], "channels_last")
        self.assertEqual((record["step_ms"], record["floor_ms"], record["floor_share"]), (4, 1, 0.25))
        self.assertEqual(record["command"], "bench/compare --only 'lenet5 b64 t1 direct' --rounds 3")

    def test_runs_take_turns_and_change_who_goes_first(self):
        self.stand_in("weft", [result(2)])
        self.stand_in("peer", [result(1)])
        self.compare("--only", "vgg16 b32 t1", "--rounds", "2")
        asked = self.log.read_text().splitlines()
        self.assertEqual([line.split()[0] for line in asked], ["weft", "peer", "peer", "weft"])
        self.assertEqual(asked[0], "weft bench step --preset vgg16 --batch 32 --threads 1 --seconds 1 --json")
        self.compare("--only", "vgg16 b32 t1 direct", "--rounds", "1")
        asked = self.log.read_text().splitlines()
        self.assertEqual(asked[4], "weft bench step --preset vgg16 --batch 32 --threads 1 --kernels onednn --seconds 1 "
                                   "--json")
        self.assertEqual(asked[1], "peer --preset vgg16 --batch 32 --threads 1 --blocks 3")

    def test_slower_than_asked_is_not_ok(self):
        self.stand_in("weft", [result(99)])
        self.stand_in("peer", [result(100)])
        status, out, _ = self.compare("--only", "vgg11 b64 t1", "--rounds", "1", "--json")
        self.assertEqual((status, json.loads(out)["ok"]), (1, False))
        status, out, _ = self.compare("--only", "vgg11 b64 t1", "--rounds", "1")
        self.assertEqual(status, 1)
        self.assertIn(" 0.99 ", out)
        self.assertIn(" LOW ", out)

    def test_a_figure_that_is_only_reported_is_ok(self):
        self.stand_in("weft", [result(1)])
        self.stand_in("peer", [result(2)])
        status, out, _ = self.compare("--only", "resnet20 b64 t1", "--rounds", "1", "--json")
        record = json.loads(out)
        self.assertEqual((status, record["asked"], record["ok"], record["floor_share"]), (0, None, True, None))

    def test_short_form_is_one_thread_in_three_rounds(self):
        self.stand_in("weft", [result(9)])
        self.stand_in("peer", [result(1)])
        status, out, _ = self.compare("--json")
        records = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(status, 0)
        self.assertEqual({record["figure"]: record["asked"] for record in records if record["asked"]},
                         {"lenet5 b64 t1 direct": 1.8, "alexnet-cifar b64 t1 direct": 1.25,
                          "vgg11 b64 t1 direct": 1.4, "vgg11 b64 t1": 1.8, "vgg16 b32 t1 direct": 1.25,
                          "vgg16 b32 t1": 1.8, "resnet20 b64 t1 direct": 1.5, "dscnn b64 t1 direct": 1.8,
                          "pernet-mlp b128 t1 direct": 1.4})
        self.assertEqual({record["rounds"] for record in records}, {3})

    def test_different_networks_are_refused(self):
        self.stand_in("weft", [result(2, parameters=61706)])
        self.stand_in("peer", [result(1, parameters=61707)])
        status, _, err = self.compare("--only", "lenet5 b64 t1 direct", "--rounds", "1")
        self.assertEqual(status, 1)
        self.assertIn("the two networks differ: [61706, 61707] parameters", err)

    def test_broken_output_is_named(self):
        self.stand_in("peer", [result(1)])
        for line, message in [("", "as last line, want"), ("{", "got '{' as last line"), ("[1]", "got '[1]'"),
                              ('{"event":"progress"}', "as last line"),
                              (result(0), "images_per_second: got 0, want a number above 0"),
                              (result(None), "images_per_second: got None")]:
            self.stand_in("weft", [line])
            status, _, err = self.compare("--only", "lenet5 b64 t1 direct", "--rounds", "1")
            self.assertEqual(status, 1, line)
            self.assertIn(message, err)

    def test_failing_run_is_reported_with_its_exit_code(self):
        self.stand_in("weft", [result(1)])
        for code, want in [(70, 1), (69, 69)]:
            self.stand_in("peer", [result(1)], status=code)
            status, _, err = self.compare("--only", "lenet5 b64 t1 direct", "--rounds", "1")
            self.assertEqual(status, want)
            self.assertIn(f"exit code {code}", err)

    def test_missing_program_says_how_to_get_it(self):
        status, _, err = self.compare("--rounds", "1")
        self.assertEqual(status, 69)
        self.assertIn("scripts/build makes weft", err)

    def test_usage_errors(self):
        for arguments in (["--rounds", "0"], ["--only", "nothing"]):
            status, _, err = self.compare(*arguments)
            self.assertEqual(status, 2)
            self.assertIn("want", err)


if __name__ == "__main__":
    unittest.main()
