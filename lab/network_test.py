"""The lab's links under real sockets: their rates, round trips, losses and cuts are near what was asked."""

import json
import subprocess
import sys
import unittest

import testing  # before the lab's own modules: it says where they are

import cluster
import network
import processes
import scenario as scenarios

HEADERS = 66  # of Ethernet, IPv4 and TCP with timestamps, around 1448 bytes

# One end of a measurement: listens on the coordinator's address, or dials it.
SERVE = """
import socket
server = socket.create_server(("{address}", 5000))
print("{{}}", flush=True)
while True:
    peer, _ = server.accept()
    while data := peer.recv(1 << 16):
        if data[:1] == b"p":
            peer.sendall(data)
        elif data[:1] == b"d":
            peer.sendall(bytes(int(data[1:])))
        elif data.endswith(b"!"):
            peer.sendall(b"!")
"""
DIAL = """
import socket, time, json
peer = socket.create_connection(("{address}", 5000), timeout=30)
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def timed(request, size):
    start = time.monotonic()
    peer.sendall(request)
    while size > 0:
        size -= len(peer.recv(1 << 16))
    return time.monotonic() - start
{what}
"""
UP = "print(timed(bytes({size} - 1) + b'!', 1))"
DOWN = "print(timed(b'd{size}', {size}))"
PING = "print(sorted(timed(b'p', 1) for _ in range(41))[20])"


class NetworkTest(testing.LabTest):
    def build(self, link, segment=None):
        """A coordinator and one device behind `link`, without processes."""
        scenario = scenarios.read({
            "name": "links", "seed": 5, "limit_s": 60, "job": {}, "devices": [{"name": "a", "link": link}],
            "segments": [] if segment is None else [segment]})
        self.cluster = cluster.Cluster(scenario, testing.WEFT, testing.RELAY)
        self.addCleanup(self.cluster.close)
        self.cluster.build()
        self.serve = self.start_python(0, SERVE.format(address=network.address(0)))
        self.serve.stdout.readline()

    def start_python(self, number, program):
        process = subprocess.Popen(
            processes.wrapped(network.namespace(self.cluster.prefix, number), [], [sys.executable, "-c", program]),
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(testing.end, process)
        return process

    def measure(self, what, **values):
        """What a device prints of one measurement, as a number."""
        program = DIAL.format(address=network.address(0), what=what.format(**values))
        out, _ = self.start_python(1, program).communicate(timeout=60)
        return float(out)

    def rate_of(self, what, size):
        """On the wire, in bits a second."""
        return size * (1448 + HEADERS) / 1448 * 8 / self.measure(what, size=size)

    def test_rates_of_both_ways_are_those_asked_for(self):
        self.build({"up_bps": 10e6, "down_bps": 20e6})
        self.assertAlmostEqual(self.rate_of(UP, 1_500_000), 10e6, delta=0.03 * 10e6)
        self.assertAlmostEqual(self.rate_of(DOWN, 3_000_000), 20e6, delta=0.03 * 20e6)
        up, down = self.counted("p1")
        self.assertAlmostEqual(up, 1_500_000 * (1448 + HEADERS) / 1448, delta=0.06 * 1_500_000)
        self.assertGreater(down, 3_000_000)

    def test_a_short_transfer_is_no_faster_than_the_rate(self):
        self.build({"up_bps": 2e6})
        size = 20_000
        burst = 2 * network.FRAME_BYTES * 8 / 2e6
        self.assertGreaterEqual(self.measure(UP, size=size), size * 8 / 2e6 - burst)

    def test_half_duplex_shares_one_rate(self):
        self.build({"up_bps": 10e6, "half_duplex": True})
        # Acknowledgements take their part.
        self.assertAlmostEqual(self.rate_of(UP, 1_000_000), 9.7e6, delta=0.05 * 10e6)
        before = sum(self.counted("p1"))
        ways = [self.start_python(1, DIAL.format(address=network.address(0), what=what.format(size=1_000_000)))
                for what in (UP, DOWN)]
        seconds = max(float(way.communicate(timeout=60)[0]) for way in ways)
        self.assertAlmostEqual((sum(self.counted("p1")) - before) * 8 / seconds, 10e6, delta=0.05 * 10e6)

    def test_segment_limits_what_is_behind_it(self):
        self.build({"up_bps": 50e6, "segment": "air"}, {"name": "air", "link": {"up_bps": 5e6, "down_bps": 8e6}})
        self.assertAlmostEqual(self.rate_of(UP, 800_000), 5e6, delta=0.03 * 5e6)
        self.assertAlmostEqual(self.rate_of(DOWN, 1_200_000), 8e6, delta=0.03 * 8e6)

    def test_segment_can_be_slow_and_shared(self):
        self.build({"segment": "air"}, {"name": "air", "link": {"up_bps": 5e6, "half_duplex": True, "latency_s": 0.01}})
        self.assertAlmostEqual(self.measure(PING), 0.020, delta=0.004)
        self.assertAlmostEqual(self.rate_of(UP, 800_000), 4.8e6, delta=0.07 * 5e6)

    def test_round_trip_is_twice_the_latency(self):
        self.build({"latency_s": 0.02})
        self.assertAlmostEqual(self.measure(PING), 0.040, delta=0.004)

    def test_tcp_lives_with_loss_duplication_and_reordering(self):
        self.build({"latency_s": 0.005, "loss": 0.01, "duplication": 0.01, "reordering": 0.01})
        self.measure(UP, size=3_000_000)
        fates = self.stop_relay()["up"]
        frames = fates["passed"] - fates["duplicated"] + fates["lost"]
        self.assertGreater(frames, 2000)
        for fate in ("lost", "duplicated", "reordered"):
            self.assertAlmostEqual(fates[fate] / frames, 0.01, delta=0.008, msg=fate)
        self.assertEqual(fates["dropped"], 0)

    def test_cut_stops_one_way_and_healing_lets_it_go_on(self):
        self.build({"up_bps": 10e6, "down_bps": 10e6})
        self.befall("cut-up")
        up, down = self.counted("p0")
        ping = self.start_python(1, DIAL.format(address=network.address(0), what=PING))
        with self.assertRaises(subprocess.TimeoutExpired):
            ping.wait(1.5)
        self.assertEqual(self.counted("p0"), (up, down))  # nothing has come through, so nothing has gone back
        self.befall("cut")
        self.befall("heal")
        self.assertLess(float(ping.communicate(timeout=20)[0]), 0.01)

    def test_clogged_link_passes_a_thousandth(self):
        self.build({"up_bps": 100e6, "down_bps": 100e6})
        self.befall("clog")
        self.assertAlmostEqual(self.rate_of(UP, 20_000), 100e3, delta=0.25 * 100e3)
        self.befall("unclog")
        self.assertGreater(self.rate_of(UP, 5_000_000), 50e6)

    def stop_relay(self):
        """Its last words: how many frames met which fate."""
        relay = self.cluster.relays[0]
        relay.ask_to_leave()
        self.assertTrue(relay.wait())
        return relay.read()[-1]

    def befall(self, kind):
        self.cluster.befall(scenarios.Event(0, kind, "a"))

    def counted(self, port):
        return network.read_counters(json.loads(processes.run(network.counters_command(self.cluster.prefix))))[port]


if __name__ == "__main__":
    testing.main()
