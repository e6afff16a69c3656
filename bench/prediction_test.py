#!/usr/bin/env python3
"""Tests bench/prediction against a stand-in for weft that prints canned predictions and measurements."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PREDICTION = Path(__file__).resolve().parent / "prediction"

# Plans 10.5 ms and 100 bytes for batch 8, twice that otherwise. The first measurement of a case is disturbed, the
# others give 10 ms or 20 ms and {rss} bytes.
STAND_IN = """#!{python}
import json, sys
from pathlib import Path
words = sys.argv[1:]
print("a line before")
if {broken!r} in words:
    print("not JSON") if {status} == 0 else print("no such thing", file=sys.stderr)
    sys.exit({status})
if words[0] == "profile":
    print(json.dumps(dict(event="result", seconds={seconds})))
    sys.exit()
double = 1 if words[words.index("--batch") + 1] == "8" else 2
if words[0] == "plan":
    print(json.dumps(dict(event="result", step_ms=10.5 * double, peak_bytes=100 * double)))
    sys.exit()
log = Path({log!r} + "-" + "-".join(words[2:6]))
disturbed = not log.exists()
log.touch()
print(json.dumps(dict(event="result", step_ms=(50 if disturbed else {ms}) * double,
                      step_cpu_ms=10 * double, peak_rss_bytes={rss} * double)))
"""


class PredictionTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_with(self, *arguments, rss=100, ms=10, seconds=12, broken="", status=0):
        path = self.folder / "weft"
        path.write_text(STAND_IN.format(python=sys.executable, log=str(self.folder / "log"), rss=rss, ms=ms,
                                        seconds=seconds, broken=broken, status=status))
        path.chmod(0o755)
        done = subprocess.run([sys.executable, PREDICTION, "--weft", path, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def test_median_error_of_the_undisturbed_rounds(self):
        status, out, _ = self.run_with("--only", "lenet5", "--json")
        self.assertEqual(status, 0)
        profile, time, memory = map(json.loads, out.splitlines())
        self.assertEqual((profile["got"], profile["ok"]), (12, True))
        self.assertEqual((time["asked"], time["got"], time["ok"]), (0.1, 0.05, True))
        self.assertIn("median error of 3 cases", time["figure"])
        self.assertEqual((memory["asked"], memory["got"], memory["ok"]), (0.03, 0.0, True))

    def test_busy_machine_goes_by_computed_time(self):
        status, out, _ = self.run_with("--only", "lenet5", "--json", ms=14)
        self.assertEqual(status, 0)
        time = json.loads(out.splitlines()[1])
        self.assertEqual((time["got"], time["by_cpu_time"]), (0.05, 3))

    def test_too_large_an_error_fails(self):
        status, out, _ = self.run_with("--only", "lenet5", "--json", rss=110)
        self.assertEqual(status, 1)
        memory = json.loads(out.splitlines()[-1])
        self.assertEqual((memory["got"], memory["ok"]), (round(10 / 110, 4), False))
        self.assertEqual(memory["largest_at"][:6], "lenet5")

    def test_too_slow_a_profile_fails(self):
        status, out, _ = self.run_with("--only", "lenet5 b8", "--json", seconds=21)
        self.assertEqual(status, 1)
        self.assertFalse(json.loads(out.splitlines()[0])["ok"])

    def test_a_given_profile_is_used(self):
        status, out, _ = self.run_with("--only", "lenet5 b8", "--json", "--profile", "some.json", broken="profile",
                                       status=1)
        self.assertEqual((status, len(out.splitlines())), (0, 2))

    def test_table_has_a_line_a_case(self):
        status, out, _ = self.run_with("--only", "lenet5")
        self.assertEqual(status, 0)
        self.assertEqual(sum(line.startswith("lenet5 b") for line in out.splitlines()), 3)
        self.assertIn("+5.0 %", out)

    def test_failing_weft(self):
        status, _, err = self.run_with("--only", "lenet5", broken="plan", status=78)
        self.assertEqual(status, 1)
        self.assertIn("exit code 78", err)
        status, _, err = self.run_with("--only", "lenet5", broken="plan", status=0)
        self.assertEqual(status, 1)
        self.assertIn("got 'not JSON' as last line", err)

    def test_weft_that_is_not_there(self):
        done = subprocess.run([sys.executable, PREDICTION, "--weft", self.folder / "none"], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 69)
        self.assertIn("scripts/build", done.stderr)

    def test_unknown_case(self):
        status, _, err = self.run_with("--only", "nothing")
        self.assertEqual(status, 2)
        self.assertIn("lenet5", err)


if __name__ == "__main__":
    unittest.main()
