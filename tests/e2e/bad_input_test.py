"""Wrong input of every kind: an exit code that fits, and a message that says what, where, and what was wanted."""

import gzip
import os
import socket
import struct
import subprocess
import unittest

from weft_process import TINY_JOB, TINY_MODEL, WeftTest


def idx_images(count, promised=None, height=8, width=8):
    head = struct.pack(">IIII", 0x803, count if promised is None else promised, height, width)
    return head + bytes((i * 7) % 256 for i in range(count * height * width))


def idx_labels(labels):
    return struct.pack(">II", 0x801, len(labels)) + bytes(labels)


class BadInputTest(WeftTest):
    def write_idx(self, images=None, labels=None):
        good = [i % 4 for i in range(64)]
        self.write("idx/train-images-idx3-ubyte", idx_images(64) if images is None else images)
        self.write("idx/train-labels-idx1-ubyte", idx_labels(good if labels is None else labels))
        self.write("idx/t10k-images-idx3-ubyte.gz", gzip.compress(idx_images(16)))
        self.write("idx/t10k-labels-idx1-ubyte.gz", gzip.compress(idx_labels(good[:16])))
        job = TINY_JOB.replace("synthetic:shapes?n=480", "idx:idx?classes=4")
        return self.write("idx.toml", job.replace("synthetic:shapes?n=100", "idx:idx?classes=4"))

    def test_good_idx_trains(self):
        self.run_to_result("train", self.write_idx(), "--out", "run")

    def test_missing_job_file(self):
        self.run_to_failure("train", "nowhere.toml", code=66, says=["nowhere.toml"])

    def test_missing_data_file(self):
        job = self.write_idx()
        os.remove(self.path("idx/train-labels-idx1-ubyte"))
        self.run_to_failure("train", job, code=66, says=["data.train", "train-labels-idx1-ubyte"])

    def test_truncated_idx(self):
        job = self.write_idx(images=idx_images(60, promised=64))
        self.run_to_failure("train", job, code=65, says=["train-images-idx3-ubyte", "got", "want"])

    def test_label_out_of_range(self):
        job = self.write_idx(labels=[9 if i == 5 else i % 4 for i in range(64)])
        self.run_to_failure("train", job, code=65, says=["train-labels-idx1-ubyte", "got 9", "0..3"])

    def test_unknown_key_has_a_suggestion(self):
        job = self.write("typo.toml", TINY_JOB.replace("momentum", "momentun"))
        self.run_to_failure("train", job, code=78, says=["typo.toml:", "momentun", 'did you mean "momentum"'])

    def test_shape_that_does_not_fit_names_the_layer(self):
        self.write("tiny_model.toml", TINY_MODEL.replace("kernel = 2", "kernel = 99\nname = \"wide\""))
        self.run_to_failure("train", self.job, code=78, says=["tiny_model.toml:", '"wide"', "99"])

    def test_memory_budget_too_small_names_the_least_that_would_do(self):
        self.run_to_failure("train", self.job, "--set", "cut.memory_budget=1000", code=78,
                            says=["memory budget: got 1000 B", "want at least"])

    def test_nan_loss_stops_with_the_step_and_what_to_try(self):
        process = self.run_to_failure(
            "train", self.job, "--out", "run", "--set", "optimizer.lr=1000", code=1,
            says=["step", "optimizer.lr"])
        self.assertIn("finite", process.errors())

    def test_port_in_use(self):
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            address = "127.0.0.1:%d" % busy.getsockname()[1]
            self.run_to_failure("up", self.job, "--listen", address, code=73,
                                says=[address, "another program uses this port"])
            self.assertFalse(os.path.exists(self.path("runs")), "a run that cannot listen leaves no folder")

    def test_no_coordinator_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % free.getsockname()[1]
        worker = self.start("join", address, "--token", "x", "--give-up-after", "1")
        self.assertEqual(worker.finish(), 69, worker.errors())
        self.assertIn(address, worker.errors())

    def test_wrong_token_is_refused_for_good(self):
        up, join = self.start_up("--out", "run")
        self.run_to_failure(*join[:-1], "wrong", code=78, says=["token"])
        up.terminate()
        self.assertEqual(up.finish(), 143)

    def test_listening_to_the_world_needs_a_word(self):
        self.run_to_failure("up", self.job, "--listen", "0.0.0.0:0", code=78, says=["--insecure-listen"])

    def test_usage(self):
        self.run_to_failure("train", code=2, says=["JOB"])
        self.run_to_failure("trian", code=2, says=["trian"])

    def test_disk_full_keeps_the_old_checkpoint_and_training_goes_on(self):
        disk = self.path("disk")
        os.mkdir(disk)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
        if mount.returncode != 0:
            self.skipTest("cannot mount a small disk: needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        run = self.start("train", self.job, "--out", os.path.join(disk, "run"), "--set", "job.epochs=12",
                         "--set", "job.eval_every=0")
        run.wait_for_event("checkpoint")
        with open(os.path.join(disk, "filler"), "wb", buffering=0) as filler:
            try:
                while True:
                    os.write(filler.fileno(), bytes(4096))
            except OSError:
                pass
        run.wait_for(lambda e: e["event"] == "warning" and "checkpoint" in e["text"], "a warning")
        os.remove(os.path.join(disk, "filler"))
        result = run.result()
        self.assertEqual(run.process.returncode, 0, run.errors())
        self.assertEqual((result["lost_samples"], result["duplicated_samples"]), (0, 0))
        self.assertIn("No space left", run.errors())


if __name__ == "__main__":
    unittest.main()
