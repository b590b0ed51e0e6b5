"""What a gateway's subscriber gets beside one that takes all it can, and where packets are lost meanwhile. A
benchmark, and no test (that is test_fairness.py). By hand, on a machine with nothing else to do:

    sudo python3 -m pytest -s tests/lab/bench_fairness.py
"""

import contextlib
import json
import statistics
import time
from dataclasses import dataclass

import pytest

from ringway_lab import measure, variants
from ringway_lab.nodes import AES_GCM, AF_XDP, Ringway
from ringway_lab.topology import SlowWires

GREEDY_SECONDS = 7
POLITE_SECONDS = 2
GREEDY_PORT = measure.IPERF_PORT + 1
GREEDS = {
    "8 TCP streams up": ("-P", 8),
    "8 TCP streams down": ("-P", 8, "-R"),
    "UDP of 1,200 bytes up": ("-u", "-b", 0, "-l", 1200),
    "UDP of 1,200 bytes down": ("-u", "-b", 0, "-l", 1200, "-R"),
    "UDP of 64 bytes up": ("-u", "-b", 0, "-l", 64),
}
# Twice what a slow wire carries.
FLOODS = {
    "UDP of 1,200 bytes up": ("-u", "-b", f"{2 * SlowWires.mbps}M", "-l", 1200),
    "UDP of 1,200 bytes down": ("-u", "-b", f"{2 * SlowWires.mbps}M", "-l", 1200, "-R"),
}
STREAMS = {
    "64 TCP streams up": ("-P", 64),
    "64 TCP streams down": ("-P", 64, "-R"),
}
FLOOD_SECONDS = 15
POLITE_MBPS, POLITE_BYTES = 2, 200  # 1,250 packets a second
PINGS, PING_INTERVAL_S = 200, 0.01


@contextlib.contextmanager
def start_gateway(topology, *edges):
    """The gateway's node, on AF_XDP, and full-tunnel nodes on all edges."""
    gateway_spec, edge_specs = variants.several_specs(topology, edges, AES_GCM)
    gateway_spec.io = AF_XDP
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Ringway(gateway_spec, "gateway"))
        for each, spec in zip(edges, edge_specs):
            stack.enter_context(Ringway(spec, each.name))
            measure.wait_for_path(each.namespace, topology.internet4)
        yield gateway


@pytest.mark.load
def test_what_a_polite_subscriber_gets_beside_a_greedy_one(topology, edge):
    greedy = topology.add_edge("greedy")
    with start_gateway(topology, edge, greedy) as gateway:
        print(f"\nalone: {polite(topology, edge)}")
        for name, options in GREEDS.items():
            with measure.BackgroundTcp(greedy.namespace, topology.internet, topology.internet4, GREEDY_SECONDS,
                                       *options, port=GREEDY_PORT) as load:
                time.sleep(0.5)
                before = losses(topology, gateway)
                share = polite(topology, edge)
                lost = ", ".join(f"{reason} {count - before[reason]}"
                                 for reason, count in losses(topology, gateway).items())
                print(f"beside {name} ({statistics.mean(load.finish()):.2f} Gbit/s on average): {share}; {lost}")


def losses(topology, gateway):
    """Packets at the gateway: those that the node received, those that the kernel lost before it did, those that it
    dropped itself."""
    links = {link["ifname"]: link["stats64"]["rx"]["dropped"]
             for link in json.loads(topology.gateway.run("ip", "-j", "-s", "link").out)}
    status = gateway.status()
    ports = [port for port in status["ports"] if port["name"] in gateway.spec.xdp_interfaces]
    return {"received": sum(port["rx_packets"] for port in ports),
            "lost in the kernel": sum(links[port["name"]] for port in ports),
            "dropped by the node": sum(status["drops"].values())}


def polite(topology, edge):
    rates = [measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, POLITE_SECONDS, down=down)
             for down in (False, True)]
    rtt = measure.rtt_us(edge.namespace, topology.internet4, 100)
    return f"one TCP stream {rates[0]:.2f} Gbit/s up, {rates[1]:.2f} down, round trip {rtt / 1000:.1f} ms"


@dataclass
class Share:
    """What a polite subscriber gets: of its datagrams in one direction, of its pings, and with a TCP stream in that
    direction that takes what it can."""
    datagrams_lost: float
    pings_lost: float
    rtt_ms: float
    tcp_mbps: float

    def __str__(self):
        return (f"lost {100 * self.datagrams_lost:.1f} % of its datagrams, {100 * self.pings_lost:.1f} % of its pings, "
                f"round trip {self.rtt_ms:.1f} ms, one TCP stream {self.tcp_mbps:.1f} Mbit/s")


def polite_share(topology, edge, down):
    server, address = topology.internet, topology.internet4
    lost = measure.udp_loss(edge.namespace, server, address, POLITE_SECONDS, POLITE_MBPS, POLITE_BYTES, down=down)
    trips = measure.round_trips_us(edge.namespace, address, PINGS, PING_INTERVAL_S)
    tcp = measure.tcp_gbps(edge.namespace, server, address, POLITE_SECONDS, down=down)
    return Share(lost, 1 - len(trips) / PINGS, statistics.median(trips) / 1000, 1000 * tcp)


@contextlib.contextmanager
def greedy_beside(topology, greedy, options):
    with measure.BackgroundTcp(greedy.namespace, topology.internet, topology.internet4, FLOOD_SECONDS, *options,
                               port=GREEDY_PORT) as load:
        time.sleep(0.5)
        yield load


@pytest.mark.load
@pytest.mark.parametrize("topology", [SlowWires], indirect=True)
def test_what_a_polite_subscriber_gets_of_a_slow_wire(topology, edge):
    greedy = topology.add_edge("greedy")
    with start_gateway(topology, edge, greedy) as gateway:
        for down in (False, True):
            print(f"\nalone, {'down' if down else 'up'}: {polite_share(topology, edge, down)}", end="")
        for name, options in {**FLOODS, **STREAMS}.items():
            before = gateway.drops()
            with greedy_beside(topology, greedy, options):
                share = polite_share(topology, edge, down="-R" in options)
            dropped = {reason: count - before[reason] for reason, count in gateway.drops().items()
                       if count > before[reason]}
            print(f"\nbeside {name}: {share}; {dropped}", end="")
