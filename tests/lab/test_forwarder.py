"""`ringway-bench forward`: a NAT router on AF_XDP without a tunnel. It forwards everything that a gateway does, leaves
to the kernel what is the kernel's, and nothing of it stays behind."""

import re
import signal

import pytest

from ringway_lab import measure
from ringway_lab.forwarder import Forwarder
from ringway_lab.lab import wait_until
from ringway_lab.nodes import program
from ringway_lab.variants import forwarder


@pytest.fixture
def forwarding(topology, edge):
    """The forwarder of the gateway, running."""
    with forwarder(topology, edge) as running:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        yield running


def families(topology):
    return ((topology.internet4, topology.wan4), (topology.internet6, topology.wan6))


def test_tcp_udp_and_ping_pass_translated(topology, edge, forwarding):
    assert not topology.kernel_forwards()
    for address, seen in families(topology):
        assert measure.can_ping(edge.namespace, address, count=5)
        assert measure.fetch_page(edge.namespace, address) == seen
        assert measure.look_up(edge.namespace, address)
        assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1) > 0
        assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1, down=True) > 0
        assert measure.udp_kpps(edge.namespace, topology.internet, address, 1) > 0
    assert forwarding.stop(signal.SIGINT) == 0
    report = forwarding.report
    assert report["xdp_mode"] == "native"
    assert report["mappings"] > 0
    inside, outside = report["interfaces"]
    for interface, reason in ((inside, "transit"), (outside, "nat_port")):
        assert 0 < interface["rx_packets"]
        assert interface["steering"][reason] > 0
        assert interface["rx_packets"] <= sum(interface["steering"].values())
    assert report["outbound_packets"] > 0 and report["inbound_packets"] > 0
    assert report["outbound_packets"] + report["inbound_packets"] <= inside["tx_packets"] + outside["tx_packets"]


@pytest.mark.parametrize("size", [1, 1472, 4000])
def test_packets_of_every_size_pass(topology, edge, forwarding, size):
    for address, _ in families(topology):
        assert edge.namespace.run("ping", "-n", "-c", 3, "-i", "0.05", "-W", 1, "-s", size, address, check=False)


def test_trace_shows_the_gateway(topology, edge, forwarding):
    for address, gateway in ((topology.internet4, topology.gateway4), (topology.internet6, topology.gateway6)):
        # One hop is the router's, the next is the forwarder's.
        out = edge.namespace.run("ping", "-n", "-c", 1, "-W", 1, "-t", 2, address, check=False).out
        assert re.search(rf"From {re.escape(gateway)}.*(Time to live|Hop limit)", out), out


def test_hosts_own_addresses_are_the_kernels(topology, edge, forwarding):
    for address in (topology.gateway4, topology.gateway6, topology.wan4, topology.wan6):
        assert measure.can_ping(edge.namespace, address), address
    for address in (topology.wan4, topology.wan6):
        assert measure.can_ping(topology.internet, address), address


def test_strangers_are_not_translated(topology, edge):
    """A sender whom nobody named as a subscriber gets no answer, and is counted."""
    with Forwarder(topology.gateway, "lan", "wan", ("192.0.2.250/32",)) as running:
        assert not measure.can_ping(edge.namespace, topology.internet4, count=3, timeout=1)
        assert running.stop() == 0
        assert running.report["drops"]["nat_no_mapping"] > 0
        assert running.report["outbound_packets"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(topology, edge, number):
    before = topology.gateway.state()
    with forwarder(topology, edge) as running:
        measure.wait_for_path(edge.namespace, topology.internet4)
        assert "xdp" in topology.gateway.run("ip", "link", "show", "dev", "wan").out
        running.stop(number)
    wait_until(lambda: "xdp" not in topology.gateway.run("ip", "link", "show").out, "the programs are off")
    assert topology.gateway.state() == before


@pytest.mark.parametrize("inside, outside, reason", [
    ("wan", "wan", "the same interface"),
    ("lan", "nowhere", "there is no interface nowhere"),
    ("lan", "bare", "bare has no address to be seen by"),
])
def test_what_cannot_work_is_refused(topology, inside, outside, reason):
    topology.lab.run("ip", "-n", topology.gateway.name, "link", "add", "bare", "type", "veth", "peer", "name",
                     "bare-peer")
    result = topology.gateway.run(program("ringway-bench"), "forward", "--inside", inside, "--outside", outside,
                                  "--subscriber", "192.0.2.0/24", check=False)
    assert result.status == 1
    assert reason in result.err, result.err
    assert "xdp" not in topology.gateway.run("ip", "link", "show").out
