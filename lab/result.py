"""What a run in the lab came to, in the words of `weft sim` (src/sim/result.h)."""

import math
import operator


class Record:
    """Gathers what the coordinator tells. Times are the lab's own: seconds since it listened."""

    def __init__(self):
        self.names = {}  # the scenario's, by the coordinator's numbers
        self.first_step_s = None
        self.joined_s = 0.0
        self.over_s = None
        self.steps = {}  # number: the event
        self.repeated_samples = 0  # of steps that were done again
        self.epochs = {}
        self.result = None
        self.done = None

    def add(self, event, now_s):
        handle = getattr(self, f"_{event['event']}", None)
        if handle is not None:
            handle(event, now_s)

    def add_admitted(self, device, event):
        """What device `device` tells of itself: the coordinator may know it by another name, but it has a number."""
        if event.get("state") == "admitted":
            self.names[event["device"]] = device

    def _device(self, event, now_s):
        if event["state"] == "joined":
            self.joined_s = now_s

    def _step(self, event, now_s):
        if self.first_step_s is None:
            self.first_step_s = self.joined_s  # steps begin when the last awaited worker is there
        if event["step"] in self.steps:
            self.repeated_samples += self.steps[event["step"]]["samples"]
        self.steps[event["step"]] = event

    def _epoch(self, event, now_s):
        self.epochs[event["epoch"]] = (now_s, event["loss"])

    def _done(self, event, now_s):
        self.done, self.over_s = event, now_s

    def _result(self, event, now_s):
        self.result = event

    def parts(self):
        """{device's name: (leases, samples)} of those that were applied."""
        parts = {}
        for step in self.steps.values():
            for part in step["parts"]:
                name = self.names.get(part["device"], str(part["device"]))
                leases, samples = parts.get(name, (0, 0))
                parts[name] = (leases + 1, samples + part["samples"])
        return parts

    def epoch_list(self):
        epochs, before = [], self.first_step_s or 0.0
        for epoch, (at_s, loss) in sorted(self.epochs.items()):
            epochs.append({"epoch": epoch, "seconds": round(at_s - before, 3), "loss": loss})
            before = at_s
        return epochs

    def outcome(self):
        if self.result is None:
            return "stands still"
        if self.result["outcome"] == "failed":
            return f"failed: {self.result.get('problem', '')}"
        return self.result["outcome"]


def share(byte_count, bps, seconds):
    return round(min(1.0, byte_count * 8 / (bps * seconds)), 4) if bps > 0 and seconds > 0 else 0.0


def link_use(link, counted, up_s):
    """A half duplex link sends both ways at the one rate."""
    up, down = counted
    return {"up_bytes": up, "down_bytes": down, "up_share": share(up, link.up_bps, up_s),
            "down_share": share(down, link.up_bps if link.half_duplex else link.down_bps, up_s)}


def device_result(device, life, parts, counted):
    """`life`: starts, up_s and compute_s of a device, as it was seen from outside."""
    leases, samples = parts.get(device.name, (0, 0))
    return {"name": device.name, "leases": leases, "samples": samples, "starts": life.starts,
            "up_s": round(life.up_s, 3), "compute_s": round(life.compute_s, 3),
            "processors": round(device.processors(), 4), "link": link_use(device.link, counted, life.up_s)}


def summary(record, over_s, wall_s):
    """The run's own part of the result. `over_s`: when the lab saw the run end."""
    over_s = record.over_s if record.over_s is not None else over_s
    training_s = over_s - record.first_step_s if record.first_step_s is not None else 0.0
    samples = sum(step["samples"] for step in record.steps.values())
    result = record.result or {}
    lost, duplicated = result.get("lost_samples", 0), result.get("duplicated_samples", 0)
    return {"event": "result", "lab": True,
            "completed": result.get("outcome") in ("completed", "target reached"), "outcome": record.outcome(),
            "virtual_s": round(over_s, 3), "training_s": round(training_s, 3), "wall_s": round(wall_s, 3),
            "steps": len(record.steps), "samples": samples, "recomputed": record.repeated_samples,
            "lost": lost, "duplicated": duplicated,
            "samples_per_second": round(samples / training_s, 3) if training_s > 0 else 0.0,
            "epochs": record.epoch_list(),
            "accuracy": result.get("test_accuracy"), "test_loss": result.get("test_loss"),
            "violations": [f"{count} samples {fate}" for count, fate in [(lost, "lost"), (duplicated, "counted twice")]
                           if count]}


def utilisation(devices):
    """Of the processors that the devices had, the share that they used."""
    had = sum(device.up_s * device.device.processors() for device in devices)
    return round(sum(device.compute_s for device in devices) / had, 4) if had > 0 else 0.0


def slowest_epoch(result):
    return max((epoch["seconds"] for epoch in result["epochs"]), default=math.inf)


def recomputed_share(result):
    return result["recomputed"] / max(1, result["samples"])


def test_loss(result):
    return math.inf if result["test_loss"] is None else result["test_loss"]


# What can be expected of a result: key in the scenario, the result's value, how they compare.
EXPECTATIONS = {
    "completed": (lambda result: result["completed"], operator.ge, ""),  # false asks for nothing
    "lost": (lambda result: result["lost"], operator.le, "at most "),
    "duplicated": (lambda result: result["duplicated"], operator.le, "at most "),
    "max_violations": (lambda result: len(result["violations"]), operator.le, "at most "),
    "max_virtual": (lambda result: result["virtual_s"], operator.le, "at most "),
    "max_training": (lambda result: result["training_s"], operator.le, "at most "),
    "max_epoch_seconds": (slowest_epoch, operator.le, "at most "),
    "min_samples_per_second": (lambda result: result["samples_per_second"], operator.ge, "at least "),
    "min_utilisation": (lambda result: result["utilisation"], operator.ge, "at least "),
    "max_recomputed_share": (recomputed_share, operator.le, "at most "),
    "min_accuracy": (lambda result: result["accuracy"] or 0, operator.ge, "at least "),
    "max_loss": (test_loss, operator.le, "at most "),
}


# A device's processor is at work or stopped, for milliseconds at a time (cgroups.PERIOD_US), so a
# lease of little work sees a faster or slower one than it should.
MOST_PACE_ERROR = 0.1


def too_short(devices, period_s):
    """The devices whose leases are so short that their pace is not what was asked, as texts.

    A lease that needs w seconds of processor at share p takes w/p, give or take (1 - p) periods."""
    for device in devices:
        leases, share = device["leases"], device["processors"]
        if leases and share < 1:
            lease_s = device["compute_s"] / leases / share
            error = (1 - share) * period_s / lease_s if lease_s > 0 else math.inf
            if error > MOST_PACE_ERROR:
                yield (f"{device['name']}: leases of {lease_s * 1000:.0f} ms are short against the {period_s * 1000:g} "
                       f"ms in which a processor is shared out: their times may be wrong by {100 * error:.0f} %")


def unmet(result, expect):
    """(what of `expect` does not hold, what the lab does not look at), as texts."""
    failed, unknown = [], []
    for key, wanted in expect.items():
        if key not in EXPECTATIONS:
            unknown.append(key)
            continue
        value, compare, words = EXPECTATIONS[key]
        got = value(result)
        if not compare(got, wanted):
            failed.append(f"{key}: got {got}, want {words}{wanted}")
    return failed, unknown
