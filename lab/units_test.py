"""The lab without root: reading scenarios, what it refuses, the commands it builds, and its arithmetic."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cgroups
import network
import processes
import result as results
import scenario as scenarios


def scenario_json(**changes):
    return {"name": "s", "seed": 2, "limit_s": 100, "job": {}, "hub": {"speed": 0.5, "cores": 2},
            "devices": [{"name": "a", "speed": 0.5, "up": [[0, 10], [20, 30]]}, {"name": "b", "up": [[5, 500]]}],
            "segments": [{"name": "air", "link": {"up_bps": 1e6}}]} | changes


def device(**changes):
    return {"name": "a", "speed": 0.5} | changes


class ScenarioTest(unittest.TestCase):
    def test_stretches_and_schedule_become_events_in_order_of_time(self):
        scenario = scenarios.read(scenario_json(schedule=[{"at_s": 12, "kind": "kill", "device": ""}]))
        self.assertEqual([(event.at_s, event.kind, event.device) for event in scenario.schedule],
                         [(0, "start", "a"), (5, "start", "b"), (10, "kill", "a"), (12, "kill", ""),
                          (20, "start", "a"), (30, "kill", "a")])  # the one at 500 is beyond the limit
        self.assertEqual(scenario.start_workers, 1)
        self.assertEqual(scenario.hub.processors(), 1.0)

    def refused(self, text, **changes):
        with self.assertRaises(scenarios.ScenarioError) as caught:
            scenarios.read(scenario_json(**changes))
        self.assertIn(text, str(caught.exception))

    def test_bad_scenarios_are_refused(self):
        self.refused("no device is there at the start", devices=[device(up=[[1, 2]])])
        self.refused("no device is called 'z'", schedule=[{"at_s": 1, "kind": "kill", "device": "z"}])
        self.refused("got 'melt', want one of kill", schedule=[{"at_s": 1, "kind": "melt", "device": "a"}])
        self.refused("no segment is called 'sea'", devices=[device(link={"segment": "sea"})])
        self.refused("half duplex", devices=[device(link={"half_duplex": True, "up_bps": 2, "down_bps": 1})])
        self.refused("a name of its own", devices=[device(), device()])
        self.refused("unexpected keyword argument 'colour'", devices=[device(link={"colour": "red"})])
        self.refused("want speed above 0", devices=[device(speed=0)])
        without_job = scenario_json()
        del without_job["job"]
        with self.assertRaisesRegex(scenarios.ScenarioError, "no 'job'"):
            scenarios.read(without_job)

    def beyond(self, processors=4, overload=False, **changes):
        return " ".join(scenarios.beyond(scenarios.read(scenario_json(**changes)), processors, overload))

    def test_what_the_lab_cannot_do_is_said(self):
        self.assertEqual(self.beyond(), "")
        self.assertIn("a core of this machine is 1", self.beyond(devices=[device(speed=2)]))
        self.assertIn("9 cores", self.beyond(devices=[device(cores=9)]))
        many = [device(name=str(i)) for i in range(10)]
        self.assertIn("want 5.00 processors", self.beyond(devices=many))
        self.assertEqual(self.beyond(devices=many, overload=True), "")
        self.assertIn("[faults] happen in virtual time only", self.beyond(random_faults=True))
        self.assertIn("251 devices", self.beyond(devices=[device(name=str(i)) for i in range(251)]))
        self.assertIn("both in it", self.beyond(hub={"link": {"segment": "air"}},
                                                devices=[device(link={"segment": "air"})]))

    def test_tiny_latencies_are_left_out_and_it_says_so(self):
        scenario = scenarios.read(scenario_json(devices=[device(link={"latency_s": 0.0001})]))
        self.assertFalse(scenario.devices[0].link.needs_relay())
        self.assertEqual(len(scenarios.left_out(scenario)), 1)
        self.assertEqual(scenarios.left_out(scenarios.read(scenario_json())), [])

    def test_devices_listen_for_each_other_only_where_one_may_lead(self):
        devices = [device(), device(name="b", can_lead=False), device(name="c")]
        alone = scenarios.read(scenario_json(devices=devices))
        self.assertFalse(any(alone.may_lead(each) for each in alone.devices))
        split = scenarios.read(scenario_json(devices=devices, job={"cluster": {"leaders": 0}}))
        self.assertEqual([split.may_lead(each) for each in split.devices], [True, False, True])
        self.assertEqual(scenarios.left_out(split), [])
        near = [device(name=name, link={"segment": "air"}) for name in "ab"]
        close = scenarios.read(scenario_json(devices=near, job={"cluster": {"leaders": 0}}))
        self.assertIn("directly does not pass it", " ".join(scenarios.left_out(close)))


class NetworkTest(unittest.TestCase):
    def test_bucket_holds_a_millisecond_or_two_frames(self):
        self.assertEqual(network.bucket(1e6, 0),
                         ["tbf", "rate", "1000000bit", "burst", "3028", "limit", str(64 * 1024 + 3028)])
        self.assertEqual(network.bucket(1e9, 0.1)[4:], ["125000", "limit", str(25_000_000 + 125_000)])

    def test_rates_stand_where_frames_leave(self):
        port = network.station_port("lab", 3, scenarios.Link(up_bps=1e6, down_bps=2e6))
        up, down = network.rate_commands("lab", port)
        self.assertEqual((up[2], up[6], up[up.index("rate") + 1]), ("lab-3", "eth0", "1000000bit"))
        self.assertEqual((down[2], down[6], down[down.index("rate") + 1]), ("lab-switch", "p3", "2000000bit"))

    def test_half_duplex_has_one_bucket(self):
        port = network.station_port("lab", 3, scenarios.Link(up_bps=1e6, half_duplex=True))
        (both,) = network.rate_commands("lab", port)
        self.assertEqual((both[2], both[6]), ("lab-switch", "h3"))

    def test_link_without_limit_has_a_bucket_only_while_it_is_clogged(self):
        port = network.station_port("lab", 1, scenarios.Link())
        self.assertEqual(network.first_rates("lab", port), [])
        self.assertTrue(all("1000000bit" in command for command in network.rate_commands("lab", port, 0.001)))
        self.assertTrue(all("del" in command for command in network.rate_commands("lab", port)))

    def test_addresses_do_not_collide(self):
        numbers = range(scenarios.MOST_STATIONS + 1)
        self.assertEqual(len({network.address(number) for number in numbers}), len(numbers))
        self.assertEqual(len({network.mac(number) for number in numbers}), len(numbers))
        self.assertNotIn("10.77.0.0", map(network.address, numbers))

    def test_names_of_devices_fit_the_kernel(self):
        scenario = scenarios.read(scenario_json(devices=[
            device(name=str(i), speed=0.01, link={"latency_s": 1, "half_duplex": True, "up_bps": 1})
            for i in range(scenarios.MOST_STATIONS)]))
        for command in network.build("weft-lab-4194304", scenario):
            for name in command[command.index("dev") + 1:command.index("dev") + 2] if "dev" in command else []:
                self.assertLess(len(name), 16, command)

    def test_relay_gets_the_link(self):
        link = scenarios.Link(latency_s=0.02, loss=0.01)
        command = network.relay_command("relay", network.station_port("lab", 2, link), link, 7)
        self.assertEqual(command[:4], ["relay", "n2", "f2", "--latency"])
        self.assertEqual(float(command[4]), 0.02)
        self.assertEqual(float(command[command.index("--loss") + 1]), 0.01)
        self.assertEqual(command[-1], "7")


class CgroupTest(unittest.TestCase):
    def test_quota_is_the_share_of_a_short_period(self):
        self.assertEqual(cgroups.quota(0.25), (10_000, 2_500))
        self.assertEqual(cgroups.quota(1.5), (10_000, 15_000))
        period, quota = cgroups.quota(0.02)  # the kernel takes no quota below 1 ms
        self.assertEqual((period, quota), (50_000, 1_000))

    def test_finds_the_own_group_of_each_controller(self):
        mounts = ("cgroup /cg/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\ncgroup /cg/memory cgroup rw,memory 0 0\n"
                  "cgroup2 /cg/unified cgroup2 rw 0 0\ntmpfs /memory tmpfs rw,memory 0 0\n")
        membership = "4:memory:/jobs/7\n3:cpu,cpuacct:/\n0::/\n"
        places = cgroups.own_places(mounts, membership)
        self.assertEqual({name: str(place) for name, place in places.items()},
                         {"cpu": "/cg/cpu,cpuacct", "cpuacct": "/cg/cpu,cpuacct", "memory": "/cg/memory/jobs/7"})


class ProcessTest(unittest.TestCase):
    def test_command_enters_its_places_before_it_starts(self):
        words = processes.wrapped("ns", ["/one", "/two"], ["weft", "up", 3])
        self.assertEqual(words[:5], ["setpriv", "--pdeathsig", "KILL", "nsenter", "--net=/run/netns/ns"])
        self.assertEqual(words[-6:], ["/one", "/two", "--", "weft", "up", "3"])
        # What enters: here the files are plain ones.
        done = subprocess.run(["sh", "-c", processes.ENTER, "lab", "/dev/stdout", "--", "echo", "a b"],
                              capture_output=True, text=True, check=True)
        number, said = done.stdout.splitlines()
        self.assertGreater(int(number), 0)
        self.assertEqual(said, "a b")


def step(number, *parts):
    return {"event": "step", "step": number, "samples": sum(count for _, count in parts),
            "parts": [{"device": name, "samples": count} for name, count in parts]}


class ResultTest(unittest.TestCase):
    def record(self):
        record = results.Record()
        record.add_admitted("a", {"event": "device", "state": "admitted", "device": 4})
        record.add_admitted("b", {"event": "device", "state": "admitted", "device": 5})
        record.add({"event": "device", "state": "joined", "device": 5, "name": "b-2"}, 2.0)
        for now, event in [(3, step(0, (4, 20), (5, 12))), (4, step(1, (4, 32))),
                           (6, step(1, (5, 32)))]:  # after a restart of the coordinator
            record.add(event, now)
        record.add({"event": "epoch", "epoch": 0, "loss": 0.5}, 7.0)
        record.add({"event": "done", "how": "completed"}, 8.0)
        record.add({"event": "result", "outcome": "completed", "lost_samples": 0, "duplicated_samples": 2,
                    "test_accuracy": 0.75, "test_loss": 0.4}, 8.1)
        return record

    def test_summary_counts_what_was_applied(self):
        got = results.summary(self.record(), 9.0, 10.0)
        for key, wanted in {"completed": True, "outcome": "completed", "virtual_s": 8.0, "training_s": 6.0,
                            "steps": 2, "samples": 64, "recomputed": 32, "duplicated": 2, "accuracy": 0.75,
                            "samples_per_second": 10.667, "lab": True,
                            "epochs": [{"epoch": 0, "seconds": 5.0, "loss": 0.5}],
                            "violations": ["2 samples counted twice"]}.items():
            self.assertEqual(got[key], wanted, key)

    def test_parts_are_those_of_the_scenarios_devices(self):
        self.assertEqual(self.record().parts(), {"a": (1, 20), "b": (2, 44)})

    def test_run_without_an_end_stands_still(self):
        got = results.summary(results.Record(), 9.0, 10.0)
        self.assertEqual((got["completed"], got["outcome"], got["virtual_s"], got["samples_per_second"]),
                         (False, "stands still", 9.0, 0.0))

    def test_share_of_a_half_duplex_link(self):
        link = scenarios.Link(up_bps=8e6, half_duplex=True)
        self.assertEqual(results.link_use(link, (1_000_000, 2_000_000), 4.0),
                         {"up_bytes": 1_000_000, "down_bytes": 2_000_000, "up_share": 0.25, "down_share": 0.5})
        self.assertEqual(results.link_use(scenarios.Link(), (5, 5), 4.0)["up_share"], 0.0)

    def test_expectations(self):
        result = results.summary(self.record(), 9.0, 10.0)
        expect = {"completed": True, "lost": 0, "duplicated": 0, "min_accuracy": 0.8, "max_loss": 0.5,
                  "max_epoch_seconds": 5, "max_recomputed_share": 0.4, "least_luck": 1}
        failed, unknown = results.unmet(result, expect)
        self.assertEqual(failed, ["duplicated: got 2, want at most 0", "min_accuracy: got 0.75, want at least 0.8",
                                  "max_recomputed_share: got 0.5, want at most 0.4"])
        self.assertEqual(unknown, ["least_luck"])
        never = results.summary(results.Record(), 9.0, 10.0)
        self.assertEqual(results.unmet(never, {"completed": False}), ([], []))
        self.assertEqual(len(results.unmet(never, {"completed": True, "max_loss": 9, "max_epoch_seconds": 9})[0]), 3)

    def test_says_when_leases_are_too_short_for_the_quota(self):
        def device(compute_s):
            return {"name": "a", "leases": 10, "compute_s": compute_s, "processors": 0.5}
        self.assertEqual(list(results.too_short([device(1.0)], 0.01)), [])  # 200 ms a lease, 5 of them uncertain
        (text,) = results.too_short([device(0.1)], 0.01)
        self.assertIn("leases of 20 ms", text)
        self.assertIn("25 %", text)


if __name__ == "__main__":
    unittest.main()
