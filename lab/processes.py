"""Processes of the lab: each in its namespace and control group, dead with the lab, and read line by line."""

import json
import signal
import subprocess
import time

STOP_S = 5
# Writes the process's own number into each file before "--", then becomes the command behind it.
ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'


def wrapped(namespace, entrances, command):
    """The command as one that runs within a namespace and control groups, and is killed with its parent."""
    return ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}",
            "sh", "-c", ENTER, "lab", *entrances, "--", *map(str, command)]


class Process:
    """One that says what it does in JSON lines. stderr goes to a file."""

    def __init__(self, namespace, entrances, command, errors):
        self.errors = errors
        self.started = time.monotonic()
        with open(errors, "ab") as file:
            self._child = subprocess.Popen(wrapped(namespace, entrances, command), stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=file)
        self._rest = b""

    @property
    def number(self):
        return self._child.pid

    @property
    def stdout(self):
        return self._child.stdout

    def read(self):
        """What has arrived since, parsed; None at the end. Call it when stdout can be read."""
        data = self._child.stdout.read1(1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def code(self):
        """The exit code, below 0 for a signal; None while it runs."""
        return self._child.poll()

    def kill(self):
        """At once, as if its power went."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def ask_to_leave(self):
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def close(self):
        self.kill()
        self._child.stdout.close()

    def wait(self, seconds=STOP_S):
        """True once it has ended."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_words(self):
        with open(self.errors, errors="replace") as file:
            return file.read()[-400:].strip()


def run(command):
    """Runs a command of the lab's own; its output. Raises RuntimeError with what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout
