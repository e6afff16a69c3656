"""weft eval with several runs: each by itself, and what most of them say."""

import unittest
from collections import Counter

from weft_process import WeftTest


class EvalTest(WeftTest):
    def train(self, name, *options):
        self.run_to_result("train", self.job, "--out", name, *options)
        return name

    def predictions(self, run):
        process = self.start("predict", run, "--count", "100")
        process.result()
        return [(e["predicted"], e["label"]) for e in process.seen if e["event"] == "prediction"]

    def test_runs_of_one_job_vote(self):
        runs = [self.train(f"run{seed}", "--set", f"job.seed={seed}") for seed in (1, 2, 3)]
        process = self.start("eval", *runs)
        vote = process.result()
        self.assertEqual(process.process.returncode, 0, process.errors())
        alone = [e for e in process.seen if e["event"] == "evaluation"]
        self.assertEqual([e["run"] for e in alone], runs)
        for event in alone:
            single = self.run_to_result("eval", event["run"])
            self.assertEqual(event["test_accuracy"], single["test_accuracy"])
            self.assertEqual(event["weights_sha256"], single["weights_sha256"])
        # The vote, counted once more here. Where all three differ the likeliest of them counts.
        right = undecided = 0
        for sample in zip(*[self.predictions(run) for run in runs]):
            label = sample[0][1]
            (named, votes), *_ = Counter(predicted for predicted, _ in sample).most_common()
            undecided += votes == 1
            right += votes > 1 and named == label
        self.assertEqual(vote["runs"], 3)
        self.assertEqual(vote["samples"], 100)
        self.assertGreaterEqual(100 * vote["test_accuracy"] + 1e-6, right)
        self.assertLessEqual(100 * vote["test_accuracy"] - 1e-6, right + undecided)
        counts = vote["confusion"]["counts"]
        self.assertAlmostEqual(sum(counts[i][i] for i in range(len(counts))) / 100, vote["test_accuracy"])

    def test_runs_that_cannot_vote_together(self):
        first = self.train("first", "--set", "job.epochs=1")
        other = self.train("other", "--set", "job.epochs=1", "--set", 'data.test="synthetic:shapes?n=90"')
        self.run_to_failure("eval", first, other, code=78, says=["other: its test data: got 90 samples, want 100"])
        again = self.run_to_result("eval", first, other, "--data", "synthetic:shapes?n=50")
        self.assertEqual(again["samples"], 50)
        self.run_to_failure("eval", first, "nowhere", code=66, says=["nowhere"])
        self.run_to_failure("eval", first, other, "--weights", "first/model.safetensors", code=2,
                            says=["--weights: got 2 runs, want one"])


if __name__ == "__main__":
    unittest.main()
