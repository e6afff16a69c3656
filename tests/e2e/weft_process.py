"""Runs the weft program for end-to-end tests: starts it, reads its JSON lines as they come, ends what it started."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import unittest

WEFT = os.environ["WEFT_PROGRAM"]
TIMEOUT_S = 120

# A job that trains in a second or two: small drawn pictures, a small network without batchnorm.
TINY_MODEL = """
name = "tiny"
[[layers]]
type = "conv"
out = 8
kernel = 3
stride = 2
pad = 1
[[layers]]
type = "relu"
[[layers]]
type = "maxpool"
kernel = 2
[[layers]]
type = "linear"
out = "classes"
"""

TINY_JOB = """
[job]
name = "tiny"
seed = 3
epochs = 2
batch = 32
deterministic = true
[model]
file = "tiny_model.toml"
[data]
train = "synthetic:shapes?n=480"
test = "synthetic:shapes?n=100"
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[cluster]
workers = 4
threads = 1
heartbeat_ms = 100
device_timeout_ms = 1500
"""


class Process:
    """One weft process with --json: events() are its stdout, errors() its stderr."""

    def __init__(self, *args, cwd=None, env=None):
        self.args = [WEFT, *args, "--json"]
        self.process = subprocess.Popen(
            self.args, cwd=cwd, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.seen = []
        self._events = queue.Queue()
        self._stderr = []
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_events(self):
        for line in self.process.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self._stderr.append(line)

    def errors(self):
        return "".join(self._stderr)

    def wait_for(self, wanted, what):
        """The first event from now on for which wanted(event) holds."""
        while True:
            try:
                event = self._events.get(timeout=TIMEOUT_S)
            except queue.Empty:
                raise AssertionError(f"no {what} within {TIMEOUT_S} s; stderr: {self.errors()}") from None
            if event is None:
                self.process.wait(TIMEOUT_S)
                raise AssertionError(
                    f"ended with {self.process.returncode} before {what}; stderr: {self.errors()}")
            self.seen.append(event)
            if wanted(event):
                return event

    def wait_for_event(self, name, **fields):
        return self.wait_for(
            lambda e: e["event"] == name and all(e.get(k) == v for k, v in fields.items()),
            f"event {name} {fields}")

    def result(self):
        """The last event; checks that it is the result."""
        event = self.wait_for_event("result")
        self.finish()
        return event

    def finish(self):
        """Waits for the end and returns the exit code."""
        self.process.wait(TIMEOUT_S)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        return self.process.returncode

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class WeftTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("tiny_model.toml", TINY_MODEL)
        self.job = self.write("job.toml", TINY_JOB)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        mode = "wb" if isinstance(content, bytes) else "w"
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), mode) as file:
            file.write(content)
        return self.path(name)

    def start(self, *args, **kwargs):
        process = Process(*args, cwd=self.folder, **kwargs)
        self.addCleanup(process.close)
        return process

    def run_to_result(self, *args, **kwargs):
        process = self.start(*args, **kwargs)
        result = process.result()
        self.assertEqual(process.process.returncode, 0, process.errors())
        return result

    def run_to_failure(self, *args, code, says, **kwargs):
        """Runs a command that must fail with exit code `code`, saying every text of `says` on stderr."""
        process = self.start(*args, **kwargs)
        self.assertEqual(process.finish(), code, process.errors())
        for text in says:
            self.assertIn(text, process.errors())
        return process

    def start_up(self, *args, job=None):
        """A coordinator on a free port; returns it and the arguments with which a worker joins."""
        up = self.start("up", job or self.job, "--listen", "127.0.0.1:0", "--token", "secret", *args)
        address = up.wait_for_event("listening")["address"]
        return up, ["join", address, "--token", "secret"]
