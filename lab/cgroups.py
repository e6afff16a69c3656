"""Control groups, version 1: how much processor and memory a process of the lab has, and what it took."""

import os
import time
from pathlib import Path

CONTROLLERS = ("cpu", "cpuacct", "memory")
PERIOD_US = 10_000  # short against a step, so that a slow core looks slow and not absent
LEAST_QUOTA_US = 1_000  # the kernel takes no less
MOST_PERIOD_US = 1_000_000
REMOVE_S = 3


def quota(processors, period_us=PERIOD_US):
    """(period, quota) in microseconds for so many processors of this machine; a tiny share has a longer period."""
    period = min(max(period_us, -(-LEAST_QUOTA_US // processors)), MOST_PERIOD_US)
    return int(period), max(LEAST_QUOTA_US, round(period * processors))


def own_places(mounts, membership):
    """{controller: folder of this process's own group} from the texts of /proc/mounts and /proc/self/cgroup."""
    paths = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    places = {}
    for line in mounts.splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind != "cgroup":
            continue
        for controller in set(CONTROLLERS) & set(options.split(",")) & set(paths):
            places.setdefault(controller, Path(folder + paths[controller]))
    return places


def find():
    return own_places(Path("/proc/mounts").read_text(), Path("/proc/self/cgroup").read_text())


class Group:
    """One process's, in each controller, within a folder of the lab."""

    def __init__(self, places, lab, name):
        self.folders = {controller: place / lab / name for controller, place in places.items()}
        for folder in set(self.folders.values()):
            folder.mkdir(parents=True, exist_ok=True)

    def limit(self, processors, memory_bytes):
        period, quota_us = quota(processors)
        (self.folders["cpu"] / "cpu.cfs_period_us").write_text(str(period))
        (self.folders["cpu"] / "cpu.cfs_quota_us").write_text(str(quota_us))
        if memory_bytes > 0:
            (self.folders["memory"] / "memory.limit_in_bytes").write_text(str(memory_bytes))

    def entrances(self):
        """The files into which a process writes its number to belong."""
        return sorted(str(folder / "cgroup.procs") for folder in set(self.folders.values()))

    def processor_seconds(self):
        return int((self.folders["cpuacct"] / "cpuacct.usage").read_text()) / 1e9


def remove(places, lab):
    """Takes a lab's groups away. What has just ended may hold a group for a moment. Returns what is left."""
    roots = {place / lab for place in places.values()}
    end = time.monotonic() + REMOVE_S
    while True:
        for root in roots:
            for folder, _, _ in os.walk(root, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        left = [str(root) for root in roots if root.exists()]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def labs(places):
    """Names of the labs that have groups here."""
    return {folder.name for place in places.values() for folder in place.glob("weft-lab-*")}
