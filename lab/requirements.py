"""What the lab needs of a machine, each thing tried out."""

import os
import shutil
import subprocess

import cgroups
import network

COMMANDS = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux", "setpriv": "util-linux"}


def probes(place):
    """(what the kernel must know, a command that shows it), in order, within a namespace `place` of its own."""
    ip, tc = ["ip", "-n", place], ["tc", "-n", place]
    return [
        ("network namespaces", ["ip", "netns", "add", place]),
        ("veth pairs", [*ip, "link", "add", "one", "type", "veth", "peer", "name", "two"]),
        ("bridges", [*ip, "link", "add", "three", "type", "bridge"]),
        ("TAP devices", [*ip, "tuntap", "add", "dev", "four", "mode", "tap"]),
        ("ifb devices", [*ip, "link", "add", "five", "type", "ifb"]),
        ("token buckets (sch_tbf)", [*tc, "qdisc", "add", "dev", "one", "root", *network.bucket(1e6, 0)]),
        ("clsact", [*tc, "qdisc", "add", "dev", "two", "clsact"]),
        ("BPF filters", [*tc, "filter", "add", "dev", "two", "ingress", "prio", "1", "protocol", "all", *network.DROP]),
        ("redirection (cls_u32, act_mirred)", [*tc, *network.redirect("two", "egress", "five")]),
    ]


def probe_kernel():
    """What this kernel does not know, as texts: at most one, as the rest hang on it."""
    place = f"weft-lab-{os.getpid()}-probe"
    try:
        for name, command in probes(place):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                return [f"{name} ({done.stderr.strip()})"]
        return []
    finally:
        subprocess.run(["ip", "netns", "del", place], capture_output=True)


def missing():
    """What this machine lacks, as texts; empty: the lab can run."""
    if os.geteuid() != 0:
        return ["root"]
    lacks = [f"the command {name} of {package}" for name, package in COMMANDS.items() if shutil.which(name) is None]
    places = cgroups.find()
    lacks += [f"the cgroup v1 controller {name}, mounted and writable" for name in cgroups.CONTROLLERS
              if name not in places or not os.access(places[name], os.W_OK)]
    if not os.path.exists("/dev/net/tun"):
        lacks.append("/dev/net/tun")
    return lacks or probe_kernel()
