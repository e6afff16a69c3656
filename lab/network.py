"""The lab's network as commands of ip and tc: a namespace and a veth pair for each process, a bridge between them.

    station's namespace           the switch's namespace
    [eth0] ---- veth ---- [pN]-----------------------------(br0)      a plain link
    [eth0] ---- veth ---- [pN]-(rN)-[nN] weft_relay [fN]---(br0)      one with latency, loss and the like
                          ...---(sK)-[uK] --- veth --- [mK]---(br0)   a segment; its relay stands beside mK

Rates are token buckets: out of the device on eth0, into it on pN; a half duplex link sends both ways through one
bucket on an ifb device. A cut is a filter on pN, so neither end is told.
"""

from typing import NamedTuple

FRAME_BYTES = 1514  # of a full Ethernet frame, as tc counts it
BURST_S = 0.001  # what a bucket holds: enough for the kernel's timers, too little to be seen in a transfer
QUEUE_S = 0.1  # how long a frame waits at most, besides what the link's latency needs
LEAST_QUEUE_BYTES = 64 * 1024
CLOG_FACTOR = 0.001
CLOGGED_BPS = 1e6  # of a link without limit
JOINED_BPS = 200e6  # from this rate on, frames one by one would cost more processor time than the device has
PORT = 7070
# A BPF program of one instruction: return TC_ACT_SHOT. This kernel has no action drop.
DROP = ["bpf", "da", "bytecode", "1,6 0 0 2"]

# No IPv6, so that a new interface does not talk to its neighbours.
QUIET = 'for f in all default; do f=/proc/sys/net/ipv6/conf/$f/disable_ipv6; [ ! -e $f ] || echo 1 > $f; done'


class Port(NamedTuple):
    """One end of a veth pair in the switch, where frames to and from a station or segment pass."""
    inside: str  # name of the pair's other end
    namespace: str  # where that is
    name: str
    spare: str  # makes names of what stands beside it
    half_duplex: bool
    up_bps: float
    down_bps: float
    round_trip_s: float


def address(number):
    """Of station `number`; 0 is the coordinator's."""
    return f"10.77.{(number + 1) // 256}.{(number + 1) % 256}"


def mac(number):
    return f"02:77:00:00:{number // 256:02x}:{number % 256:02x}"


def namespace(prefix, number):
    return f"{prefix}-{number}"


def switch(prefix):
    return f"{prefix}-switch"


def bucket(rate_bps, round_trip_s):
    """Words of tc for a token bucket."""
    rate = max(int(rate_bps), 8)
    burst = max(2 * FRAME_BYTES, int(rate * BURST_S / 8))
    queue = max(LEAST_QUEUE_BYTES, int(rate * (QUEUE_S + round_trip_s) / 8)) + burst
    return ["tbf", "rate", f"{rate}bit", "burst", str(burst), "limit", str(queue)]


def set_rate(place, device, rate_bps, round_trip_s):
    if rate_bps <= 0:
        return ["tc", "-n", place, "qdisc", "del", "dev", device, "root"]
    return ["tc", "-n", place, "qdisc", "replace", "dev", device, "root", "handle", "1:",
            *bucket(rate_bps, round_trip_s)]


def rate_commands(prefix, port, factor=1.0):
    """Sets the rates of a port; a link without limit has one only if `factor` is not 1."""
    def rate(bps):
        return bps * factor if bps > 0 else 0 if factor == 1 else CLOGGED_BPS
    if port.half_duplex:
        return [set_rate(switch(prefix), f"h{port.spare}", rate(port.up_bps), port.round_trip_s)]
    return [set_rate(place, device, rate(bps), port.round_trip_s)
            for place, device, bps in [(port.namespace, port.inside, port.up_bps),
                                       (switch(prefix), port.name, port.down_bps)]]


def first_rates(prefix, port):
    """As rate_commands, where there is no bucket to take away yet."""
    return [command for command in rate_commands(prefix, port) if "del" not in command]


def share_medium(prefix, port):
    """Sends both ways of a port through one ifb device."""
    place, medium = switch(prefix), f"h{port.spare}"
    commands = [["ip", "-n", place, "link", "add", medium, "type", "ifb"],
                ["ip", "-n", place, "link", "set", medium, "up"]]
    for way in ("ingress", "egress"):
        commands.append(["tc", "-n", place, *redirect(port.name, way, medium)])
    return commands


def redirect(device, way, medium):
    """Words of tc: what passes `device` this way ("ingress" or "egress") goes through `medium` first."""
    return ["filter", "add", "dev", device, way, "prio", "10", "protocol", "all", "u32", "match", "u32", "0", "0",
            "action", "mirred", "egress", "redirect", "dev", medium]


def attach(prefix, port, bridge, relayed):
    """Joins a port to a bridge, by way of two TAP devices for a relay if it needs one."""
    place = switch(prefix)
    ip = ["ip", "-n", place]
    commands = [["tc", "-n", place, "qdisc", "add", "dev", port.name, "clsact"]]
    if not relayed:
        return commands + [[*ip, "link", "set", port.name, "master", bridge, "up"]]
    near, far = taps(port)
    own = f"r{port.spare}"
    commands += add_bridge(prefix, own)
    for tap in (near, far):
        commands.append([*ip, "tuntap", "add", "dev", tap, "mode", "tap"])
    for device, master in [(port.name, own), (near, own), (far, bridge)]:
        commands.append([*ip, "link", "set", device, "master", master, "up"])
    return commands


def taps(port):
    return f"n{port.spare}", f"f{port.spare}"


def add_bridge(prefix, name):
    # What it has learnt it keeps, and it says nothing by itself.
    return [["ip", "-n", switch(prefix), "link", "add", name, "type", "bridge", "mcast_snooping", "0",
             "ageing_time", "100000000"],
            ["ip", "-n", switch(prefix), "link", "set", name, "up"]]


def add_namespace(name):
    return [["ip", "netns", "add", name],
            ["nsenter", f"--net=/run/netns/{name}", "sh", "-c", QUIET],
            ["ip", "-n", name, "link", "set", "lo", "up"]]


def port_of(link, inside, place, name, spare):
    return Port(inside, place, name, spare, link.half_duplex, link.up_bps, link.down_bps,
                2 * (link.latency_s + link.jitter_s))


def station_port(prefix, number, link):
    return port_of(link, "eth0", namespace(prefix, number), f"p{number}", str(number))


def segment_port(prefix, number, link):
    return port_of(link, f"u{number}", switch(prefix), f"m{number}", f"s{number}")


def connect(prefix, port, link, bridge):
    commands = attach(prefix, port, bridge, link.needs_relay())
    if port.half_duplex:
        commands += share_medium(prefix, port)
    return commands + first_rates(prefix, port)


def add_station(prefix, number, link, bridge, neighbours):
    """Station `number` behind its link; `neighbours`: numbers of those it speaks with."""
    place, port = namespace(prefix, number), station_port(prefix, number, link)
    ip = ["ip", "-n", place]
    # The kernel hands on several frames as one where that is worth it, and counts one header for all.
    one_by_one = ["gso_max_segs", "1"] if 0 < link.up_bps < JOINED_BPS or link.needs_relay() else []
    commands = add_namespace(place)
    commands.append(["ip", "link", "add", "eth0", "netns", place, "address", mac(number), "type", "veth",
                     "peer", "name", port.name, "netns", switch(prefix)])
    commands += [[*ip, "link", "set", "eth0", *one_by_one, "up"],
                 [*ip, "addr", "add", f"{address(number)}/16", "dev", "eth0"]]
    # Nobody has to ask who is where, as a question could be lost and a second of waiting with it.
    commands += [[*ip, "neigh", "add", address(other), "lladdr", mac(other), "dev", "eth0", "nud", "permanent"]
                 for other in neighbours]
    return commands + connect(prefix, port, link, bridge)


def add_segment(prefix, number, link):
    port = segment_port(prefix, number, link)
    place = switch(prefix)
    commands = add_bridge(prefix, f"s{number}")
    commands.append(["ip", "link", "add", port.inside, "netns", place, "type", "veth", "peer", "name", port.name,
                     "netns", place])
    commands.append(["ip", "-n", place, "link", "set", port.inside, "master", f"s{number}", "up"])
    return commands + connect(prefix, port, link, "br0")


def build(prefix, scenario):
    """All commands, in order."""
    names = list(scenario.segments)
    commands = add_namespace(switch(prefix)) + add_bridge(prefix, "br0")
    for number, name in enumerate(names):
        commands += add_segment(prefix, number, scenario.segments[name])
    stations = (scenario.hub, *scenario.devices)
    for number, station in enumerate(stations):
        segment = station.link.segment
        bridge = f"s{names.index(segment)}" if segment else "br0"
        commands += add_station(prefix, number, station.link, bridge, [0] if number else range(1, len(stations)))
    return commands


def relay_command(program, port, link, seed):
    return [program, *taps(port), "--latency", f"{link.latency_s:.9f}", "--jitter", f"{link.jitter_s:.9f}",
            "--loss", repr(link.loss), "--duplication", repr(link.duplication), "--reordering", repr(link.reordering),
            "--seed", str(seed)]


def cut_commands(prefix, port, ways):
    """Lets nothing pass: ways "up" (out of the device), "down", or both."""
    sides = {"up": "ingress", "down": "egress"}
    return [["tc", "-n", switch(prefix), "filter", "replace", "dev", port.name, sides[way], "prio", "1",
             "handle", "1", "protocol", "all", *DROP] for way in ways]


def heal_commands(prefix, port, ways):
    sides = {"up": "ingress", "down": "egress"}
    return [["tc", "-n", switch(prefix), "filter", "del", "dev", port.name, sides[way], "prio", "1"] for way in ways]


def counters_command(prefix):
    return ["ip", "-n", switch(prefix), "-s", "-j", "link", "show"]


def read_counters(links):
    """{port's name: (bytes up, bytes down)} of what counters_command printed, parsed."""
    return {link["ifname"]: (link["stats64"]["rx"]["bytes"], link["stats64"]["tx"]["bytes"]) for link in links}
