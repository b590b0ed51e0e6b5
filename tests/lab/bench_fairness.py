"""What a gateway's subscriber gets beside one that takes all it can. A benchmark, and no test: the gateway has
no bandwidth limits and no fairness between subscribers yet. By hand, on a machine with nothing else to do:

    sudo python3 -m pytest -s tests/lab/bench_fairness.py
"""

import contextlib
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
        stack.enter_context(Ringway(gateway_spec, "gateway"))
        for each, spec in zip(edges, edge_specs):
            stack.enter_context(Ringway(spec, each.name))
            measure.wait_for_path(each.namespace, topology.internet4)
        print(f"\nalone: {polite(topology, edge)}")
        for name, options in GREEDS.items():
            with measure.BackgroundTcp(greedy.namespace, topology.internet, topology.internet4, GREEDY_SECONDS,
                                       *options, port=GREEDY_PORT) as load:
                time.sleep(0.5)
                share = polite(topology, edge)
                print(f"beside {name} ({statistics.mean(load.finish()):.2f} Gbit/s on average): {share}")


def polite(topology, edge):
    rates = [measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, POLITE_SECONDS, down=down)
             for down in (False, True)]
    rtt = measure.rtt_us(edge.namespace, topology.internet4, 100)
    return f"one TCP stream {rates[0]:.2f} Gbit/s up, {rates[1]:.2f} down, round trip {rtt / 1000:.1f} ms"
