"""weft train with each way of joining updates and each placement of the data: it learns about as well as with
synchronous steps, and every sample counts once. And what is said of keys that do not go together."""

import unittest

import weft_process
from weft_process import TINY_JOB

# A rate that updates a round old bear as well (docs/aggregation.md).
JOB = TINY_JOB.replace("deterministic = true", "deterministic = false").replace(
    "epochs = 2", "epochs = 30").replace("n=480", "n=2400").replace("n=100", "n=300").replace(
        "lr = 0.05", "lr = 0.02")
STALE = 0.25  # accuracy that updates computed with older parameters may cost in so few epochs


class ElasticTest(weft_process.WeftTest):
    sync = None  # the accuracy of synchronous steps, once a test has asked

    def setUp(self):
        super().setUp()
        self.job = self.write("job.toml", JOB)

    def train(self, name, *settings):
        """Trains with these keys; returns the accuracy."""
        overrides = [word for setting in settings for word in ("--set", setting)]
        result = self.run_to_result("train", self.job, "--out", name, *overrides)
        self.assertEqual(result["outcome"], "completed")
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(result["epochs"], 30)
        return result["test_accuracy"]

    def expect_about_sync(self, *settings, less=0.1):
        if ElasticTest.sync is None:
            ElasticTest.sync = self.train("sync")
        self.assertGreater(self.sync, 0.5, "the job itself must learn")
        self.assertGreater(self.train("other", *settings), self.sync - less)

    def test_async(self):
        self.expect_about_sync("cluster.aggregation=async", less=STALE)

    def test_auto(self):
        self.expect_about_sync("cluster.aggregation=auto", less=STALE)

    def test_ssp(self):
        self.expect_about_sync("cluster.aggregation=ssp", "cluster.max_staleness=2", less=STALE)

    def test_buffered(self):
        self.expect_about_sync("cluster.aggregation=buffered", "cluster.buffer=2", less=STALE)

    def test_quorum(self):
        self.expect_about_sync("cluster.quorum=0.7", less=STALE)

    def test_median(self):
        # The median of four gradients is shorter than their mean.
        self.expect_about_sync("cluster.combine=median", less=0.2)

    def test_local_steps(self):
        self.expect_about_sync("cluster.local_steps=4", "cluster.outer_lr=1", "cluster.outer_momentum=0")

    def test_fed_samples_give_the_same_bits(self):
        shas = []
        for placement in ("shared", "distributed"):
            result = self.run_to_result("train", self.job, "--out", placement, "--set", "job.deterministic=true",
                                        "--set", f"data.placement={placement}")
            self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
            shas.append(result["weights_sha256"])
        self.assertEqual(*shas)

    def test_fed_samples_without_determinism(self):
        self.expect_about_sync("data.placement=distributed")

    def test_local_data(self):
        self.expect_about_sync("data.placement=local", less=0.1)

    def test_local_data_that_is_unlike(self):
        self.expect_about_sync("data.placement=local", "data.partition=dirichlet:0.3", less=0.25)

    def test_a_stopped_stream_goes_on(self):
        first = self.start("train", self.job, "--out", "run", "--set", "cluster.aggregation=async",
                           "--set", "job.epochs=40")
        first.wait_for_event("epoch")
        first.terminate()
        stopped = first.result()
        self.assertEqual(stopped["outcome"], "stopped")
        result = self.run_to_result("train", "--resume", "run", "--set", f"job.epochs={stopped['epochs'] + 1}")
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(result["epochs"], stopped["epochs"] + 1)

    def test_bad_values(self):
        for setting, says in [
                ("cluster.aggregation=asyncc", ["cluster.aggregation", 'did you mean "async"']),
                ("cluster.aggregation=ssp", ["cluster.max_staleness", "1 or more"]),
                ("cluster.quorum=0", ["cluster.quorum", "above 0"]),
                ("cluster.buffer=3", ["cluster.buffer", "buffered", "sync"]),
                ("cluster.outer_lr=1", ["cluster.outer_lr", "local_steps above 1"]),
                ("cluster.trim=0.2", ["cluster.trim", "trimmed-mean"]),
                ("data.partition=dirichlet:0.3", ["data.partition", "local", "shared"]),
                ("data.placement=elsewhere", ["data.placement", "shared, distributed or local"]),
        ]:
            with self.subTest(setting):
                process = self.run_to_failure("train", self.job, "--set", setting, code=78, says=says)
                self.assertEqual(len(process.errors().strip().splitlines()), 1, process.errors())

    def test_more_classes_than_there_are(self):
        self.run_to_failure("train", self.job, "--set", "data.placement=local", "--set", "data.partition=classes:99",
                            code=78, says=["data: partition", "99"])


if __name__ == "__main__":
    unittest.main()
