"""What a gateway's subscriber gets beside one that takes all it can, and where packets are lost meanwhile. A
benchmark, and no test: without limits the gateway does nothing for fairness between subscribers. By hand, on a
machine with nothing else to do:

    sudo python3 -m pytest -s tests/lab/bench_fairness.py
"""

import contextlib
import json
import statistics
import time

import pytest

from ringway_lab import measure, variants
from ringway_lab.nodes import AES_GCM, AF_XDP, Ringway

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


@pytest.mark.load
def test_what_a_polite_subscriber_gets_beside_a_greedy_one(topology, edge):
    greedy = topology.add_edge("greedy")
    edges = [edge, greedy]
    gateway_spec, edge_specs = variants.several_specs(topology, edges, AES_GCM)
    gateway_spec.io = AF_XDP
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Ringway(gateway_spec, "gateway"))
        for each, spec in zip(edges, edge_specs):
            stack.enter_context(Ringway(spec, each.name))
            measure.wait_for_path(each.namespace, topology.internet4)
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
