"""weft train with compressed links: bytes and accuracy beside dense ones, on Fashion-MNIST (bench/compression --only
fashion) where it lies beside the checkout; and every sparse codec learns the drawn shapes."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import weft_process
from weft_process import TINY_JOB

ROOT = Path(__file__).resolve().parents[2]
FASHION = ROOT.parent / "shared" / "data" / "fashion-mnist"
JOB = TINY_JOB.replace("deterministic = true", "deterministic = false").replace(
    'file = "tiny_model.toml"', 'preset = "lenet5"').replace("epochs = 2", "epochs = 8").replace(
        "n=480", "n=3000").replace("n=100", "n=500&seed=2").replace("lr = 0.05", "lr = 0.02\nwarmup_steps = 40")


class CompressionTest(weft_process.WeftTest):
    def train(self, name, *settings):
        overrides = [word for setting in settings for word in ("--set", setting)]
        result = self.run_to_result("train", self.write("job.toml", JOB), "--out", name, *overrides)
        self.assertEqual(result["outcome"], "completed")
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        return result

    def test_every_codec_learns_with_fewer_bytes(self):
        dense = self.train("dense")
        self.assertGreater(dense["test_accuracy"], 0.5, "the job itself must learn")
        # Least ratio of bytes, most accuracy that so few steps may cost: 3lc and powersgd leave momentum to the leader,
        # where what comes late has too much of it.
        ways = {"int8": (3, 0.1, []),
                "chunk-topk": (8, 0.15, ["link.warmup_steps=40", "link.flush_updates=64"]),
                "dgc": (8, 0.15, ["link.density=0.02", "link.warmup_steps=40"]),
                "powersgd": (3, 0.25, []),
                "3lc": (6, 0.4, [])}
        for codec, (ratio, less, settings) in ways.items():
            with self.subTest(codec):
                got = self.train(codec, f"link.codec={codec}", *settings)
                self.assertGreater(got["test_accuracy"], dense["test_accuracy"] - less)
                self.assertLess(got["up_bytes"] * ratio, dense["up_bytes"])

    def test_differences_and_local_steps(self):
        dense = self.train("dense")
        got = self.train("both", "link.codec=chunk-topk", "link.density=0.1", "link.down_codec=chunk-topk",
                         "link.down_density=0.2", "cluster.local_steps=2", "cluster.outer_lr=1",
                         "cluster.outer_momentum=0")
        self.assertGreater(got["test_accuracy"], dense["test_accuracy"] - 0.15)
        self.assertLess(got["down_bytes"] * 4, dense["down_bytes"])

    def test_auto_within_one_process_is_dense(self):
        job = self.write("job.toml", JOB.replace("epochs = 8", "epochs = 1"))
        process = self.start("train", job, "--out", "auto", "--set", "link.codec=auto")
        self.assertEqual(process.result()["outcome"], "completed")
        self.assertIn('"auto" is "dense"', process.errors())

    def test_a_hundredth_of_the_bytes(self):
        if not FASHION.exists():
            self.skipTest("no ../shared/data/fashion-mnist")
        done = subprocess.run([sys.executable, "-B", ROOT / "bench" / "compression", "--only", "fashion", "--json"],
                              capture_output=True, text=True, timeout=500, env=os.environ)
        figures = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(figures), 2, done.stderr)
        for figure in figures:
            self.assertTrue(figure["ok"], figure)


if __name__ == "__main__":
    unittest.main()
