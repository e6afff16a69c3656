"""weft profile and weft plan: a short profile of this machine, plans made from it, and what they refuse."""

import json
import unittest

from weft_process import WeftTest


class PlanTest(WeftTest):
    text = None  # of the one profile that all tests use: measuring takes the time

    def setUp(self):
        super().setUp()
        if PlanTest.text is None:
            state = {"XDG_STATE_HOME": self.path("state")}
            result = self.run_to_result("profile", "--quick", "--threads", "1", env=state)
            self.assertEqual(result["profile"], self.path("state", "weft", "profile.json"))
            self.assertLess(result["seconds"], 20)
            self.assertGreater(result["points"], 100)
            self.assertGreater(result["memory_gbps"], 0)
            self.assertGreater(result["disk_write_mbps"], 0)
            with open(result["profile"]) as file:
                PlanTest.text = file.read()
        self.profile = self.write("profile.json", PlanTest.text)

    def plan(self, *args):
        return self.run_to_result("plan", *args, "--devices", self.profile)

    def test_prediction_is_near_what_is_measured(self):
        # The figures are bench/prediction's; this only tells sense from nonsense on a busy machine.
        planned = self.plan("--preset", "shapes-cnn", "--batch", "32")
        measured = self.run_to_result("bench", "step", "--preset", "shapes-cnn", "--batch", "32", "--seconds", "0.3")
        self.assertLess(planned["step_ms"], 4 * measured["step_ms"])
        self.assertGreater(planned["step_ms"], measured["step_ms"] / 8)
        self.assertAlmostEqual(planned["peak_bytes"] / measured["peak_rss_bytes"], 1, delta=0.25)

    def test_a_larger_batch_takes_longer_and_more_memory(self):
        small = self.plan("--preset", "vgg11", "--batch", "8")
        large = self.plan("--preset", "vgg11", "--batch", "64")
        self.assertGreater(large["step_ms"], 4 * small["step_ms"])
        self.assertGreater(large["peak_bytes"], small["peak_bytes"])
        self.assertEqual(large["parameters"], small["parameters"])

    def test_job_gives_batch_and_optimizer(self):
        process = self.start("plan", self.job, "--devices", self.profile)
        device = process.wait_for_event("device")
        self.assertEqual(process.result()["batch"], 32)
        self.assertEqual(device["optimizer_bytes"], device["weights_bytes"], "momentum keeps one vector")
        plain = self.start("plan", self.job, "--set", "optimizer.momentum=0", "--devices", self.profile)
        self.assertEqual(plain.wait_for_event("device")["optimizer_bytes"], 0)
        self.assertEqual(plain.finish(), 0)

    def test_steps_add_up(self):
        process = self.start("plan", "--preset", "lenet5", "--batch", "16", "--steps", "--devices", self.profile)
        result = process.result()
        steps = [event["ms"] for event in process.seen if event["event"] == "step"]
        device = next(event for event in process.seen if event["event"] == "device")
        self.assertGreater(len(steps), 15)
        self.assertEqual(len(device["slowest"]), 5)
        self.assertAlmostEqual(sum(steps) + device["load_ms"], result["step_ms"], places=6)

    def test_shares_follow_the_speed(self):
        slow = json.loads(PlanTest.text)
        slow["host"] = "slow"
        for point in slow["points"]:
            point["us"] *= 3
        other = self.write("slow.json", json.dumps(slow))
        process = self.start("plan", "--preset", "shapes-cnn", "--batch", "64", "--devices", self.profile, other)
        fast, slow = process.wait_for_event("device"), process.wait_for_event("device")
        self.assertEqual(process.result()["devices"], 2)
        self.assertEqual(fast["samples"] + slow["samples"], 64)
        self.assertAlmostEqual(fast["samples"], 48, delta=6)
        self.assertAlmostEqual(fast["step_ms"] / slow["step_ms"], 1, delta=0.25)

    def test_speed_up_over_a_link(self):
        def rows(*args):
            process = self.start("plan", *args, "--devices", self.profile)
            process.result()
            return [event for event in process.seen if event["event"] == "network"]

        self.assertEqual(rows("--preset", "lenet5"), [], "without a link all is as it was")
        slow = rows("--preset", "lenet5", "--batch-each", "--link", "1Mbit/s,80ms", "--count", "8")
        self.assertEqual([row["devices"] for row in slow], [1, 2, 4, 8])
        for row in slow:
            dense, chosen = row["ways"]
            self.assertEqual((dense["codec"], chosen["codec"]), ("dense", "auto"))
            self.assertAlmostEqual(dense["speedup"], row["devices"] * dense["efficiency"])
            self.assertGreater(dense["exchange_ms"], 4 * 2 * 61706 * 8 / 1e6 * 1e3, "all values twice, at 1 Mbit/s")
            self.assertLess(chosen["up_bytes"], dense["up_bytes"] / 10)
            self.assertGreater(chosen["efficiency"], 5 * dense["efficiency"])
        fast = rows(self.job, "--link", "100Gbit/s,1us")
        self.assertEqual(fast[0]["ways"][1]["density"], 1)

    def test_bad_link(self):
        self.run_to_failure("plan", "--preset", "lenet5", "--devices", self.profile, "--link", "fast", code=78,
                            says=["--link", "want UP/DOWN,LATENCY"])

    def test_no_profile_says_what_to_run(self):
        self.run_to_failure("plan", "--preset", "lenet5", env={"XDG_STATE_HOME": self.path("empty")}, code=66,
                            says=["weft/profile.json", "`weft profile` measures this device"])

    def test_bad_profile(self):
        for content, says in [("{}", "not a device profile"), (self.text[:-20], "broken.json"),
                              (self.text.replace('"version": 1', '"version": 9'), "measure this device anew")]:
            broken = self.write("broken.json", content)
            self.run_to_failure("plan", "--preset", "lenet5", "--devices", broken, code=65, says=[says])

    def test_other_threads_than_measured(self):
        self.run_to_failure("plan", "--preset", "lenet5", "--threads", "2", "--devices", self.profile, code=78,
                            says=["--threads: got 2, want 1", "weft profile --threads 2"])

    def test_wants_one_model(self):
        self.run_to_failure("plan", code=2, says=["--preset NAME"])
        self.run_to_failure("plan", self.job, "--preset", "lenet5", code=2, says=["want one of"])

    def test_profile_that_cannot_be_saved(self):
        self.run_to_failure("profile", "--quick", "--out", self.path("nowhere", "p.json"), code=66, says=["nowhere"])


if __name__ == "__main__":
    unittest.main()
