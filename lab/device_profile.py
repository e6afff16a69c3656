"""A device profile as a device of the lab sees it: in a control group with the device's share of a processor, while the
other devices use theirs. Neighbours wipe caches, so such a core is slower than an idle one."""

import os
import subprocess

import cgroups
import processes

MEASURE_S = 180


def in_groups(entrances, command, **options):
    """Starts a command in control groups, dead with the lab."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sh", "-c", processes.ENTER, "lab", *entrances, "--",
                             *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)


def neighbour(weft, job):
    """Something that computes for as long as measuring may take: steps of the job's own network."""
    model = job["model"]
    what = ["--preset", model["preset"]] if model.get("preset") else ["--model", model["file"]]
    return [weft, "bench", "step", *what, "--threads", "1", "--batch", "32", "--seconds", str(MEASURE_S), "--json"]


def measure(weft, scenario, out):
    """Profiles the first device of the scenario into the file `out`. Raises RuntimeError with what weft said."""
    places = cgroups.find()
    name = f"weft-lab-{os.getpid()}-profile"
    first, *others = scenario.devices
    threads, kernels = str(first.cores), scenario.job.get("cluster", {}).get("kernels", "auto")
    started = []
    try:
        for number, device in enumerate(others):
            group = cgroups.Group(places, name, f"neighbour-{number}")
            group.limit(device.processors(), 0)
            started.append(in_groups(group.entrances(), neighbour(weft, scenario.job), stderr=subprocess.DEVNULL))
        group = cgroups.Group(places, name, "device")
        group.limit(first.processors(), 0)
        command = [weft, "profile", "--threads", threads, "--kernels", kernels, "--out", out, "--quiet"]
        measuring = in_groups(group.entrances(), command, stderr=subprocess.PIPE, text=True)
        started.append(measuring)
        _, said = measuring.communicate(timeout=MEASURE_S)
        if measuring.returncode != 0:
            raise RuntimeError(f"weft profile: {said.strip()[-400:]}")
    finally:
        for child in started:
            if child.poll() is None:
                child.kill()
            child.wait()
        cgroups.remove(places, name)
