"""A scenario as `weft sim FILE --resolve --json` prints it, and what of it the lab cannot do."""

from typing import NamedTuple

# What a veth pair and its bridge take by themselves is below this: no relay for less.
LEAST_LATENCY_S = 0.001
MOST_STATIONS = 250
KINDS = ("kill", "start", "leave", "cut", "cut-up", "cut-down", "heal", "clog", "unclog")


class ScenarioError(Exception):
    """What is wrong with a scenario, or beyond the lab."""


class Link(NamedTuple):
    up_bps: float = 0  # bits a second, out of the device; 0: without limit
    down_bps: float = 0
    half_duplex: bool = False  # both ways share up_bps
    segment: str = ""
    latency_s: float = 0  # one way
    jitter_s: float = 0
    loss: float = 0
    duplication: float = 0
    reordering: float = 0

    def needs_relay(self):
        return (self.latency_s >= LEAST_LATENCY_S or self.jitter_s >= LEAST_LATENCY_S
                or self.loss > 0 or self.duplication > 0 or self.reordering > 0)


class Device(NamedTuple):
    name: str
    speed: float = 1  # of a core of this machine, each of its cores
    load: float = 0  # share of the processor that other programs take
    cores: int = 1
    memory_bytes: int = 0  # 0: without limit
    link: Link = Link()
    up: tuple = ((0, None),)  # stretches (from_s, until_s); until None: for ever
    can_lead: bool = True  # other devices can reach it
    site: str = ""  # where it stands; empty: not said

    def processors(self):
        """Of this machine."""
        return self.speed * (1 - self.load) * self.cores


class Event(NamedTuple):
    at_s: float
    kind: str
    device: str  # empty: the coordinator


class Scenario(NamedTuple):
    name: str
    seed: int
    limit_s: float
    start_workers: int  # the first step waits for so many
    random_faults: bool  # of [faults], which only virtual time has
    job: dict
    hub: Device
    devices: tuple
    segments: dict  # name: Link
    gateways: tuple  # names of those that what stays within does not pass
    schedule: tuple  # of Event, in order of time, stretches included
    expect: dict

    def may_lead(self, device):
        """Whether a device is to listen for others, to lead or to relay."""
        return device.can_lead and (self.job.get("cluster", {}).get("leaders", 1) != 1 or device.site != "")


def read_link(json, what):
    try:
        return Link(**json)
    except TypeError as error:
        raise ScenarioError(f"{what}: {error}") from None


def read_device(json, name=""):
    up = json.get("up", [[0, None]])
    return Device(
        name=json.get("name", name), speed=json.get("speed", 1), load=json.get("load", 0),
        cores=json.get("cores", 1), memory_bytes=json.get("memory_bytes", 0), can_lead=json.get("can_lead", True),
        site=json.get("site", ""),
        link=read_link(json.get("link", {}), json.get("name") or name),
        up=tuple((start, until) for start, until in up))


def stretch_events(devices):
    """What switches the devices on and off, as events."""
    for device in devices:
        for start, until in device.up:
            yield Event(start, "start", device.name)
            if until is not None:
                yield Event(until, "kill", device.name)


def read(json):
    """The scenario of a parsed line. Raises ScenarioError."""
    try:
        devices = tuple(read_device(device) for device in json["devices"])
        scheduled = [Event(event["at_s"], event["kind"], event["device"]) for event in json.get("schedule", [])]
        # At one time, what switches a device on comes before what happens to it.
        events = sorted([*stretch_events(devices), *scheduled], key=lambda event: event.at_s)
        there = sum(any(start == 0 for start, _ in device.up) for device in devices)
        scenario = Scenario(
            name=json["name"], seed=json.get("seed", 1), limit_s=json["limit_s"],
            start_workers=json.get("start_workers", there), random_faults=json.get("random_faults", False),
            job=json["job"], hub=read_device(json.get("hub", {}), "the coordinator"), devices=devices,
            segments={segment["name"]: read_link(segment.get("link", {}), segment["name"])
                      for segment in json.get("segments", [])},
            gateways=tuple(segment["name"] for segment in json.get("segments", []) if segment.get("gateway")),
            schedule=tuple(event for event in events if event.at_s <= json["limit_s"]),
            expect=json.get("expect", {}))
    except KeyError as error:
        raise ScenarioError(f"the scenario has no {error.args[0]!r}") from None
    check(scenario)
    return scenario


def check(scenario):
    names = {device.name for device in scenario.devices}
    if len(names) != len(scenario.devices) or "" in names:
        raise ScenarioError("devices: each wants a name of its own")
    for event in scenario.schedule:
        if event.kind not in KINDS:
            raise ScenarioError(f"event at {event.at_s} s: got {event.kind!r}, want one of {', '.join(KINDS)}")
        if event.device and event.device not in names:
            raise ScenarioError(f"event at {event.at_s} s: no device is called {event.device!r}")
    for device in (scenario.hub, *scenario.devices):
        link = device.link
        if link.segment and link.segment not in scenario.segments:
            raise ScenarioError(f"{device.name}: no segment is called {link.segment!r}")
        if link.half_duplex and link.down_bps not in (0, link.up_bps):
            raise ScenarioError(f"{device.name}: half duplex: got down_bps {link.down_bps}, want up_bps or 0")
        if device.speed <= 0 or not 0 <= device.load < 1 or device.cores < 1:
            raise ScenarioError(f"{device.name}: want speed above 0, load in 0..1 and at least one core")
    if scenario.start_workers < 1:
        raise ScenarioError("no device is there at the start, and a run waits for its first workers")


def beyond(scenario, processors, overload=False):
    """Why the lab cannot run a scenario on a machine of so many processors, as texts; empty: it can."""
    reasons = []
    if len(scenario.devices) > MOST_STATIONS:
        reasons.append(f"{len(scenario.devices)} devices: want at most {MOST_STATIONS} real processes; "
                       "weft sim has no such limit")
    for device in (scenario.hub, *scenario.devices):
        if device.speed > 1:
            reasons.append(f"{device.name}: speed {device.speed:g}: a core of this machine is 1")
        if device.cores > processors:
            reasons.append(f"{device.name}: {device.cores} cores: this machine has {processors}")
    wanted = sum(device.processors() for device in scenario.devices)
    if wanted > processors and not overload:
        reasons.append(f"the devices want {wanted:.2f} processors at once and this machine has {processors}, so none "
                       "would be as fast as asked; lower their speeds, or say --overload")
    if scenario.random_faults:
        reasons.append("[faults] happen in virtual time only; the lab does what [[event]] and availability say")
    segment = scenario.hub.link.segment
    if segment and any(device.link.segment == segment for device in scenario.devices):
        reasons.append(f"segment {segment}: the coordinator and a device are both in it, and what they say to each "
                       "other would not pass it")
    return reasons


def left_out(scenario):
    """What the lab leaves out although it runs the scenario, as texts."""
    links = [device.link for device in (scenario.hub, *scenario.devices)] + list(scenario.segments.values())
    notes = []
    if any(0 < max(link.latency_s, link.jitter_s) and not link.needs_relay() for link in links):
        notes.append(f"latency and jitter below {LEAST_LATENCY_S * 1000:g} ms are left to what the kernel takes")
    for segment in scenario.segments:
        behind = [device for device in scenario.devices if device.link.segment == segment]
        if segment not in scenario.gateways and sum(map(scenario.may_lead, behind)) > 1:
            notes.append(f"segment {segment}: what its devices say to each other directly does not pass it")
    return notes
