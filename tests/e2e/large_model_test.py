"""A model of more than 64 MiB goes over TCP, in both directions, and arrives as in one process."""

import unittest

from weft_process import TINY_JOB, WeftTest

# 3,072 x 5,600 weights: 68.8 MB of float32 parameters.
MODEL = """
name = "large"
[[layers]]
type = "linear"
out = 5600
[[layers]]
type = "relu"
[[layers]]
type = "linear"
out = "classes"
"""


class LargeModelTest(WeftTest):
    def test_model_over_64_mib(self):
        self.write("tiny_model.toml", MODEL)
        job = TINY_JOB
        for old, new in [("epochs = 2", "epochs = 1"), ("n=480", "n=96"), ("workers = 4", "workers = 2"),
                         ("lr = 0.05", "lr = 0.001")]:
            job = job.replace(old, new)
        self.write("job.toml", job)
        alone = self.run_to_result("train", self.job, "--out", "alone")
        up, join = self.start_up("--out", "joined")
        workers = [self.start(*join, "--name", f"w{i}") for i in range(2)]
        together = up.result()
        self.assertEqual(up.process.returncode, 0, up.errors())
        self.assertEqual([w.finish() for w in workers], [0, 0])
        self.assertEqual(together["weights_sha256"], alone["weights_sha256"])
        self.assertEqual(together["samples"], 96)


if __name__ == "__main__":
    unittest.main()
