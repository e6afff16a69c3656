"""Whole runs of the lab with real processes: faults happen, the result adds up, and nothing is left behind."""

import json
import os
import signal
import time

import cluster
import testing


class RunTest(testing.LabTest):
    def test_killed_device_and_coordinator_cost_no_sample(self):
        scenario = self.write_scenario(
            devices=[{"name": "a", "speed": 0.3, "link": {"up_bps": 50e6, "down_bps": 50e6}},
                     {"name": "b", "speed": 0.2, "up": [[0, 1.5], [2.5, 60]],
                      "link": {"up_bps": 40e6, "half_duplex": True, "latency_s": 0.002, "segment": "air"}}],
            segments=[{"name": "air", "link": {"up_bps": 100e6, "down_bps": 100e6}}],
            schedule=[{"at_s": 3, "kind": "kill", "device": ""}, {"at_s": 3.5, "kind": "start", "device": ""}],
            expect={"completed": True, "lost": 0, "duplicated": 0})
        process = self.start("--resolved", scenario)
        out, err = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0, err)
        result = json.loads(out)
        self.assertEqual((result["steps"], result["samples"], result["lost"], result["duplicated"]), (60, 1920, 0, 0))
        self.assertEqual([epoch["epoch"] for epoch in result["epochs"]], [0, 1, 2])
        a, b = result["devices"]
        self.assertEqual((a["starts"], b["starts"]), (1, 2))
        self.assertEqual(a["samples"] + b["samples"], 1920)
        for device in (a, b):
            self.assertGreater(device["samples"], 0)
            self.assertGreater(device["compute_s"], 0.05)
            self.assertLess(device["compute_s"], 1.1 * device["processors"] * device["up_s"])
            # Each lease's gradient goes up, and the parameters come down at most once for each.
            self.assertGreater(device["link"]["up_bytes"], 100_000 * device["leases"])
        self.assertAlmostEqual(result["utilisation"], (a["compute_s"] + b["compute_s"])
                               / (0.3 * a["up_s"] + 0.2 * b["up_s"]), delta=0.001)
        self.assertAlmostEqual(b["up_s"], a["up_s"] - 1, delta=0.5)
        self.assertLessEqual(abs(result["segments"][0]["link"]["up_bytes"] - b["link"]["up_bytes"]),
                             0.05 * b["link"]["up_bytes"])
        self.assert_nothing_left(process.pid)

    def test_profile_of_a_device_among_neighbours(self):
        scenario = self.write_scenario()
        out = scenario.parent / "profile.json"
        process = self.start("--resolved", scenario, "--profile", out)
        _, err = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0, err)
        self.assertGreater(len(json.loads(out.read_text())["points"]), 50)
        self.assert_nothing_left(process.pid)

    def test_unmet_expectation_is_a_failure(self):
        scenario = self.write_scenario(limit_s=1, expect={"completed": True})
        code, result, err = self.run_lab("--resolved", scenario)
        self.assertEqual(code, 1, err)
        self.assertIn("expected completed: got False, want True", err)
        self.assertEqual(result["outcome"], "stands still")

    def test_cut_device_is_left_out_until_its_link_heals(self):
        job = json.loads(self.write_scenario().read_text())["job"]
        job["job"]["epochs"] = 30
        scenario = self.write_scenario(
            job=job, limit_s=8, schedule=[{"at_s": 1.5, "kind": "cut", "device": "b"}])
        code, result, err = self.run_lab("--resolved", scenario)
        self.assertEqual(code, 0, err)
        a, b = result["devices"]
        self.assertEqual(b["starts"], 1)
        self.assertGreater(a["samples"], 2 * b["samples"])
        self.assertGreater(b["samples"], 0)

    def test_device_without_the_memory_it_needs_is_killed(self):
        scenario = self.write_scenario(
            start_workers=1,
            devices=[{"name": "a", "speed": 0.5}, {"name": "b", "speed": 0.5, "memory_bytes": 12 << 20}])
        code, result, err = self.run_lab("--resolved", scenario)
        self.assertEqual(code, 0, err)
        self.assertIn("b ended with -9", err)
        a, b = result["devices"]
        self.assertEqual((a["samples"], b["samples"]), (1920, 0))

    def test_signal_ends_a_lab_and_leaves_nothing(self):
        process = self.start("--resolved", self.write_scenario(limit_s=50))
        self.wait_for_namespaces(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 143)
        self.assert_nothing_left(process.pid)

    def test_clean_removes_what_a_killed_lab_left(self):
        process = self.start("--resolved", self.write_scenario(limit_s=50))
        self.wait_for_namespaces(process)
        process.kill()
        process.communicate(timeout=30)
        prefix = f"weft-lab-{process.pid}"
        self.assertTrue(cluster.namespaces(prefix))
        code, _, err = self.run_lab("--clean")
        self.assertEqual(code, 0, err)
        self.assertIn(str(process.pid), err)
        self.assert_nothing_left(process.pid)

    def test_says_what_is_beyond_it(self):
        scenario = self.write_scenario(devices=[{"name": "fast", "speed": 3}])
        code, _, err = self.run_lab("--resolved", scenario)
        self.assertEqual(code, 78)
        self.assertIn("fast: speed 3: a core of this machine is 1", err)

    def test_scenario_that_cannot_be_read_is_named(self):
        code, _, err = self.run_lab("--resolved", self.folder / "none.json")
        self.assertEqual((code, "none.json" in err), (66, True))
        path = self.folder / "broken.json"
        path.write_text("{")
        code, _, err = self.run_lab("--resolved", path)
        self.assertEqual((code, "broken.json: not JSON" in err), (65, True))

    def wait_for_namespaces(self, process):
        prefix = f"weft-lab-{process.pid}"
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if f"{prefix}-2" in cluster.namespaces(prefix):
                return
            os.sched_yield()
        self.fail("the lab made no namespaces")


if __name__ == "__main__":
    testing.main()
