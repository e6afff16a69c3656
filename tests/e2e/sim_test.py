"""weft sim: scenarios in virtual time, from the command line to the page it leaves."""

import json
import os
import subprocess
import unittest

from weft_process import WEFT, WeftTest

SCENARIO = """
[scenario]
samples = 640
limit = "1h"
[job]
epochs = 3
batch = 64
[model]
preset = "lenet5"
[coordinator]
up = "100Mbit/s"
[device.pi]
count = 3
seconds_per_sample = 0.01
spread = 0.2
up = "10Mbit/s"
[faults]
kill_device = "3s"
[[event]]
at = "2s"
do = "kill"
[[event]]
at = "4s"
do = "start"
"""


class SimTest(WeftTest):
    def setUp(self):
        super().setUp()
        self.scenario = self.write("cluster.toml", SCENARIO)

    def events(self, *args, code=0):
        process = self.start("sim", self.scenario, *args)
        result = process.result()
        self.assertEqual(process.process.returncode, code, process.errors())
        return process.seen, result

    def test_epochs_and_result(self):
        seen, result = self.events()
        epochs = [event for event in seen if event["event"] == "epoch"]
        self.assertEqual([event["epoch"] for event in epochs], [0, 1, 2])
        self.assertTrue(result["completed"] and result["ok"])
        self.assertGreaterEqual(result["samples"], 3 * 640)
        self.assertEqual((result["lost"], result["duplicated"], result["violations"]), (0, 0, []))
        self.assertEqual([device["name"] for device in result["devices"]], ["pi-0", "pi-1", "pi-2"])
        self.assertEqual(len(result["epochs"]), 3)
        self.assertGreater(result["virtual_s"], 3)
        self.assertLess(result["wall_s"], 60)
        self.assertEqual(result["seed"], 1)

    def test_seed_decides(self):
        def without_wall(result):
            return {key: value for key, value in result.items() if key not in ("wall_s", "peak_rss_bytes")}
        _, first = self.events("--seed", "5")
        _, again = self.events("--seed", "5")
        _, other = self.events("--seed", "6")
        self.assertEqual(without_wall(first), without_wall(again))
        self.assertNotEqual(first["virtual_s"], other["virtual_s"])

    def test_seeds_are_summed_up(self):
        seen, result = self.events("--seeds", "3..5")
        runs = [event for event in seen if event["event"] == "run"]
        self.assertEqual([run["seed"] for run in runs], [3, 4, 5])
        times = sorted(run["virtual_s"] for run in runs)
        self.assertEqual(result["summary"]["virtual_s"], {"min": times[0], "median": times[1], "max": times[2]})
        self.assertEqual(result["failed_seeds"], [])

    def test_expectation_that_fails_says_how_to_see_it_again(self):
        override = "expect.min_samples_per_second=1e9"
        process = self.start("sim", self.scenario, "--seed", "9", "--set", override)
        result = process.result()
        self.assertEqual(process.process.returncode, 1)
        self.assertFalse(result["ok"])
        self.assertIn("expect.min_samples_per_second: got", process.errors())
        replay = f"weft sim {self.scenario} --seed 9 --set {override}"
        self.assertEqual(result["replay"], replay)
        self.assertIn(replay, process.errors())

    def test_a_run_that_does_not_end(self):
        _, result = self.events("--set", "scenario.limit=3s", code=1)
        self.assertFalse(result["completed"])

    def test_text_for_people(self):
        done = subprocess.run([WEFT, "sim", self.scenario], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ["outcome", "throughput", "pi-2", "staleness", "trace", "ok     completed"]:
            self.assertIn(word, done.stdout)
        done = subprocess.run([WEFT, "sim", self.scenario, "--seeds", "1..2"], cwd=self.folder, capture_output=True,
                              text=True)
        self.assertIn("2 runs, 0 failed", done.stdout)

    def test_folder_with_a_page(self):
        _, result = self.events("--out", self.path("run"))
        self.assertEqual(sorted(os.listdir(self.path("run"))), ["report.html", "result.json", "scenario.json"])
        with open(result["report"]) as file:
            page = file.read()
        for text in ["pi-1", "<svg", "coordinator", "weft sim"]:
            self.assertIn(text, page)
        self.assertNotIn("src=", page, "one file without any other")
        with open(self.path("run", "result.json")) as file:
            self.assertEqual(json.load(file)["trace_hash"], result["trace_hash"])

    def test_resolve(self):
        process = self.start("sim", self.scenario, "--resolve", "--seed", "4")
        scenario = process.wait_for_event("scenario")
        self.assertEqual(process.finish(), 0)
        self.assertEqual(scenario["seed"], 4)
        self.assertEqual([device["name"] for device in scenario["devices"]], ["pi-0", "pi-1", "pi-2"])
        self.assertEqual(scenario["devices"][0]["up"], [[0.0, 3600.0]])
        self.assertEqual(scenario["devices"][0]["link"]["up_bps"], 1e7)
        self.assertEqual([event["kind"] for event in scenario["schedule"]], ["kill", "start"])
        self.assertTrue(scenario["random_faults"])
        # Its job is one.
        job = self.write("resolved.json", json.dumps(scenario["job"]))
        self.run_to_result("train", job, "--set", "data.train=synthetic:shapes?n=64", "--set", "job.epochs=1")

    def test_math_mode_trains(self):
        text = SCENARIO.replace("samples = 640", 'mode = "math"')
        text = text.replace('preset = "lenet5"', 'file = "tiny_model.toml"')
        self.scenario = self.write("math.toml", text + """
[data]
train = "synthetic:shapes?n=640&seed=1"
test = "synthetic:shapes?n=200&seed=2"
[optimizer]
lr = 0.05
momentum = 0.9
""")
        _, result = self.events()
        self.assertGreater(result["accuracy"], 0.15)
        self.assertLess(result["epochs"][-1]["loss"], result["epochs"][0]["loss"])
        self.assertEqual(result["epochs"][-1]["accuracy"], result["accuracy"])
        self.assertLess(result["epochs"][0]["accuracy"], 1)

    def test_profile_says_how_long(self):
        profile = self.path("profile.json")
        self.run_to_result("profile", "--quick", "--threads", "1", "--out", profile)
        text = SCENARIO.replace("seconds_per_sample = 0.01\n", "")
        scenario = self.write("by_profile.toml", text)
        self.run_to_failure("sim", scenario, code=78, says=["device.pi: want profile", "weft profile --out"])
        result = self.run_to_result("sim", scenario, "--profile", profile)
        self.assertGreater(result["virtual_s"], 0)
        slow = self.run_to_result("sim", scenario, "--profile", profile, "--set", "device.pi.speed=0.001")
        self.assertGreater(slow["virtual_s"], 3 * result["virtual_s"])

    def test_bad_input(self):
        self.run_to_failure("sim", code=2, says=["FILE"])
        self.run_to_failure("sim", self.path("gone.toml"), code=66, says=["gone.toml"])
        self.run_to_failure("sim", self.scenario, "--set", "device.pi.sped=1", code=78, says=['did you mean "speed"'])
        self.run_to_failure("sim", self.scenario, "--seeds", "5..1", code=2, says=["--seeds: got 5..1"])
        self.run_to_failure("sim", self.scenario, "--seeds", "1..2", "--out", "x", code=2, says=["--seeds: want no"])
        self.run_to_failure("sim", self.scenario, "--profile", self.path("no.json"), "--set",
                            "device.other.speed=1", code=66, says=["no.json"])


if __name__ == "__main__":
    unittest.main()
