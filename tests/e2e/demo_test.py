"""The first thing a new user runs: the demo learns, in time, and says where things lie and what to try next."""

import os
import subprocess
import unittest

from weft_process import WEFT, WeftTest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class DemoTest(WeftTest):
    def test_demo_learns_and_says_what_to_try_next(self):
        job = os.path.join(ROOT, "examples", "demo.toml")
        result = self.run_to_result("train", job, "--out", "demo")
        self.assertGreaterEqual(result["test_accuracy"], 0.95)
        self.assertLess(result["seconds"], 60)
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))

    def test_words_at_the_end(self):
        done = subprocess.run([WEFT, "train", self.job, "--out", "run"], cwd=self.folder, capture_output=True,
                              text=True, timeout=120, check=True)
        for text in ["run/model.safetensors", "run/metrics.jsonl", "predict run"]:
            self.assertIn(text, done.stderr)
        predicted = subprocess.run([WEFT, "predict", "run", "--count", "3"], cwd=self.folder, capture_output=True,
                                   text=True, timeout=120, check=True)
        self.assertEqual(len(predicted.stdout.splitlines()), 4)


if __name__ == "__main__":
    unittest.main()
