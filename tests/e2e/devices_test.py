"""What `weft devices` shows of a run, while it trains and after it."""

import os
import subprocess
import unittest

from weft_process import TIMEOUT_S, WEFT, WeftTest


class DevicesTest(WeftTest):
    def table(self, *args):
        """Lines of the text for people."""
        done = subprocess.run([WEFT, "devices", *args], cwd=self.folder, timeout=TIMEOUT_S,
                              stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.splitlines()

    def test_newest_run_is_shown(self):
        newest = self.run_to_result("train", self.job, "--set", "job.epochs=20")
        lines = self.table()
        self.assertEqual(lines[0], f"{newest['run']} ({newest['folder']}): completed, 4 devices")
        self.assertEqual(sorted(line.split()[:2] for line in lines[2:]),
                         [[f"worker-{i}", "done"] for i in range(1, 5)])
        process = self.start("devices")
        result = process.result()
        self.assertEqual(result["outcome"], "completed")
        devices = [event for event in process.seen if event["event"] == "device"]
        self.assertEqual(len(devices), 4)
        self.assertEqual(sum(device["samples"] for device in devices), 20 * 480)
        for device in devices:
            self.assertEqual(device["leases"] * 8, device["samples"])
            self.assertGreater(device["stats"]["sample_seconds"], 0)
            self.assertGreater(device["stats"]["round_trip_seconds"], 0)
            self.assertGreater(device["stats"]["free_bytes"], 0)

    def test_watch_follows_a_run_to_its_end(self):
        up, join = self.start_up("--out", "joined", "--set", "job.epochs=400")
        workers = [self.start(*join, "--name", name) for name in ("mini", "pi")]
        up.wait_for_event("device", state="working")
        watch = self.start("devices", "joined", "--watch")
        watch.wait_for(lambda e: e["event"] == "device" and e["name"] == "pi", "pi")
        workers[1].terminate()
        up.wait_for_event("device", state="left")
        up.result()
        result = watch.result()
        self.assertEqual((result["outcome"], result["devices"]), ("completed", 2))
        last = {event["name"]: event for event in watch.seen if event["event"] == "device"}
        self.assertEqual((last["mini"]["state"], last["pi"]["state"]), ("done", "left"))
        self.assertEqual(watch.process.returncode, 0)

    def test_no_run(self):
        self.run_to_failure("devices", code=66, says=["runs: holds no run"])
        self.run_to_failure("devices", "nowhere", code=66, says=["nowhere/run.json"])

    def test_damage(self):
        self.run_to_result("train", self.job, "--out", "run")
        self.write("run/devices.json", '{"updated": "", "devices": [{}]}')
        self.run_to_failure("devices", "run", code=65, says=["devices.json", "id"])
        os.remove(self.path("run/devices.json"))
        self.run_to_failure("devices", "run", code=66, says=["devices.json"])


if __name__ == "__main__":
    unittest.main()
