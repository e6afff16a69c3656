"""Real processes: a coordinator and joined workers train, die, come back, and the ledger still adds up."""

import os
import unittest

from weft_process import TINY_JOB, WeftTest


class ClusterTest(WeftTest):
    def test_a_site_sends_sums(self):
        job = self.write("sites.toml", TINY_JOB.replace("deterministic = true", "deterministic = false"))
        up, join = self.start_up("--out", "joined", "--site", "home", "--set", "cluster.site_sums=always",
                                 "--set", "job.epochs=400", job=job)
        workers = {}
        for name in ("near", "a", "b", "c"):
            own = ["--site", "home"] if name == "near" else ["--site", "away", "--listen", "127.0.0.1:0"]
            workers[name] = self.start(*join, "--name", name, *own)
        sites = up.wait_for(lambda e: e["event"] == "sites" and e["sites"] and e["sites"][0]["devices"] == 3, "sums")
        self.assertEqual(sites["sites"][0]["site"], "away")
        names = {e["device"]: e["name"] for e in up.seen if e["event"] == "device" and e["state"] == "joined"}
        step = up.wait_for_event("step")["step"]
        up.wait_for(lambda e: e["event"] == "step" and e["step"] > step + 20, "steps")
        workers[names[sites["sites"][0]["relay"]]].kill()
        up.wait_for(lambda e: e["event"] == "sites" and e["sites"] and e["sites"][0]["devices"] == 2, "sums without it")
        result = up.result()
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(result["outcome"], "completed")

    def test_joined_processes_reach_the_weights_of_one_process(self):
        alone = self.run_to_result("train", self.job, "--out", "alone")
        up, join = self.start_up("--out", "joined")
        workers = [self.start(*join, "--name", f"w{i}") for i in range(4)]
        together = up.result()
        self.assertEqual([w.finish() for w in workers], [0] * 4)
        self.assertEqual(together["weights_sha256"], alone["weights_sha256"])
        self.assertEqual(together["lost_samples"], 0)
        self.assertEqual(together["duplicated_samples"], 0)

    def test_codecs_that_leave_nothing_out_reach_the_weights_of_dense(self):
        dense = self.run_to_result("train", self.job, "--out", "dense")
        for codec in ("chunk-topk", "dgc"):
            exact = []
            for way in ("", "down_"):
                for key, value in (("codec", codec), ("density", "1"), ("values", "fp32")):
                    exact += ["--set", f"link.{way}{key}={value}"]
            alone = self.run_to_result("train", self.job, "--out", codec, *exact)
            self.assertEqual(alone["weights_sha256"], dense["weights_sha256"], codec)
            up, join = self.start_up("--out", f"joined-{codec}", *exact)
            workers = [self.start(*join, "--name", f"w{i}") for i in range(2)]
            together = up.result()
            self.assertEqual([w.finish() for w in workers], [0] * 2)
            self.assertEqual(together["weights_sha256"], dense["weights_sha256"], codec)
        # The comparison tells weights apart.
        halved = self.run_to_result("train", self.job, "--out", "halved", "--set", "link.codec=fp16")
        self.assertNotEqual(halved["weights_sha256"], dense["weights_sha256"])

    def test_killed_worker_is_replaced_and_no_sample_is_lost(self):
        alone = self.run_to_result("train", self.job, "--out", "alone", "--set", "job.epochs=6")
        up, join = self.start_up("--out", "joined", "--set", "job.epochs=6")
        workers = [self.start(*join, "--name", f"w{i}") for i in range(4)]
        up.wait_for(lambda e: e["event"] == "step" and e["step"] >= 20, "step 20")
        workers[1].kill()
        up.wait_for_event("device", state="left")
        replacement = self.start(*join, "--name", "fresh")
        result = up.result()
        self.assertEqual(up.process.returncode, 0, up.errors())
        self.assertEqual(result["lost_samples"], 0)
        self.assertEqual(result["duplicated_samples"], 0)
        self.assertEqual(result["samples"], 6 * 480)
        # Whoever computes a share, the sum is the same.
        self.assertEqual(result["weights_sha256"], alone["weights_sha256"])
        self.assertEqual(replacement.finish(), 0, replacement.errors())

    def test_killed_leader_is_replaced_by_its_standby(self):
        job = self.write("led.toml", TINY_JOB.replace('file = "tiny_model.toml"', 'preset = "lenet5"'))
        options = ["--set", "job.epochs=6"]
        alone = self.run_to_result("train", job, "--out", "alone", *options)
        up, join = self.start_up("--out", "joined", "--set", "cluster.leaders=2", *options, job=job)
        workers = {}
        for i in range(4):
            name = f"w{i}"
            workers[name] = self.start(*join, "--name", name, "--listen", "127.0.0.1:0")
        before = up.wait_for(lambda e: e["event"] == "leaders" and all(part["standby"] for part in e["parts"]),
                             "leaders with standbys")
        names = {e["device"]: e["name"] for e in up.seen if e["event"] == "device" and e["state"] == "joined"}
        start = up.wait_for_event("step")["step"]
        up.wait_for(lambda e: e["event"] == "step" and e["step"] >= start + 10, "ten steps more")
        victim = before["parts"][0]
        workers.pop(names[victim["leader"]]).kill()
        after = up.wait_for(lambda e: e["event"] == "leaders" and e["parts"][0]["leader"] != victim["leader"],
                            "another leader")
        self.assertEqual(after["parts"][0]["leader"], victim["standby"])
        result = up.result()
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(result["samples"], 6 * 480, "no step was done twice")
        self.assertEqual(result["weights_sha256"], alone["weights_sha256"])
        self.assertEqual([worker.finish() for worker in workers.values()], [0] * 3)

    def test_all_workers_gone_then_others_carry_on(self):
        up, join = self.start_up("--out", "joined", "--set", "job.epochs=4")
        first = self.start(*join)
        up.wait_for(lambda e: e["event"] == "step" and e["step"] >= 10, "step 10")
        first.kill()
        up.wait_for_event("device", state="left")
        second = self.start(*join)
        result = up.result()
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(second.finish(), 0)

    def test_worker_outlives_its_coordinator(self):
        alone = self.run_to_result("train", self.job, "--out", "alone", "--set", "job.epochs=8")
        options = ["--set", "job.epochs=8", "--set", "job.checkpoint_every=5"]
        up, join = self.start_up("--out", "joined", *options)
        address = join[1]
        workers = [self.start(*join, "--name", f"w{i}") for i in range(2)]
        up.wait_for(lambda e: e["event"] == "checkpoint" and e["step"] >= 20, "a checkpoint")
        up.kill()
        workers[0].wait_for_event("coordinator_lost")
        again = self.start("up", self.job, "--listen", address, "--token", "secret", "--resume", "joined",
                           *options)
        result = again.result()
        self.assertEqual(again.process.returncode, 0, again.errors())
        self.assertEqual([w.finish() for w in workers], [0, 0], workers[0].errors())
        self.assertIn("trying again in", workers[0].errors())
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertEqual(result["weights_sha256"], alone["weights_sha256"])

    def test_stop_and_resume_gives_the_same_weights(self):
        # Long enough that the signal, which is looked for every 100 ms, comes well before the end.
        options = ["--set", "job.epochs=40"]
        whole = self.run_to_result("train", self.job, "--out", "whole", *options)
        part = self.start("train", self.job, "--out", "part", *options)
        part.wait_for(lambda e: e["event"] == "step" and e["step"] >= 25, "step 25")
        part.terminate()
        self.assertEqual(part.finish(), 143, part.errors())
        rest = self.run_to_result("train", self.job, "--resume", "part", *options)
        self.assertEqual(rest["weights_sha256"], whole["weights_sha256"])
        self.assertEqual((rest["lost_samples"], rest["duplicated_samples"]), (0, 0))

    def test_resume_keeps_to_the_model_it_began_with(self):
        self.run_to_result("train", self.job, "--out", "run")
        with open(self.path("tiny_model.toml"), "a") as model:
            model.write("# changed\n")
        self.run_to_failure("train", self.job, "--resume", "run", "--set", "job.epochs=3", code=78,
                            says=["not the one this run began with"])
        os.remove(self.path("tiny_model.toml"))
        result = self.run_to_result("train", "--resume", "run", "--set", "job.epochs=3")
        self.assertEqual(result["epochs"], 3)

    def test_run_folder_holds_what_it_should(self):
        self.run_to_result("train", self.job, "--out", "run")
        names = sorted(os.listdir(self.path("run")))
        for name in ["checkpoints", "metrics.jsonl", "model.safetensors", "run.json"]:
            self.assertIn(name, names)
        self.run_to_failure("train", self.job, "--out", "run", code=73, says=["run", "--resume"])
        evaluated = self.run_to_result("eval", "run")
        trained = [e for e in self.run_events("run") if e["event"] == "test"][-1]
        self.assertEqual(evaluated["test_accuracy"], trained["accuracy"])

    def run_events(self, run):
        import json
        with open(self.path(run, "metrics.jsonl")) as file:
            return [json.loads(line) for line in file]


if __name__ == "__main__":
    unittest.main()
