"""A gateway with two workers, each with peers and NAT ports of its own: whatever arrives at the wrong one finds its
way, on each kind of io. With one queue an interface, one of the workers receives and sends everything; with three,
one serves two of them."""

import contextlib
import json

import pytest

from pairs import check_hole_punching
from ringway_lab import measure, variants
from ringway_lab.nodes import AES_GCM, AF_XDP, STOCK, Ringway, WireguardGo
from ringway_lab.topology import SeveralQueues, Topology

WORKERS = 2
ARRANGEMENTS = {"kernel": (Topology, "kernel"), "af_xdp": (Topology, AF_XDP), "af_xdp-queues": (SeveralQueues, AF_XDP)}

every_arrangement = pytest.mark.parametrize("topology, io", ARRANGEMENTS.values(), indirect=["topology"],
                                            ids=ARRANGEMENTS.keys())


@contextlib.contextmanager
def crew(topology, io):
    """(gateway, list of edges): two Ringway edges, which are different workers' as the first two are, and a stock
    client."""
    edges = [topology.edges["edge"], topology.add_edge("second"), topology.add_edge("stock")]
    gateway_spec, specs = variants.several_specs(topology, edges[:2], AES_GCM)
    gateway_spec.io, gateway_spec.workers = io, WORKERS
    stock_spec = variants.add_client(topology, gateway_spec, edges[2], STOCK)
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Ringway(gateway_spec, "gateway"))
        for edge, spec in zip(edges[:2], specs):
            stack.enter_context(Ringway(spec, edge.name))
            measure.wait_for_path(edge.namespace, topology.internet4)
        stack.enter_context(WireguardGo(stock_spec, "stock"))
        measure.wait_for_path(edges[2].namespace, topology.internet4)
        yield gateway, edges


def of_workers(gateway, counter):
    return [worker[counter] for worker in gateway.status()["workers"]]


@every_arrangement
def test_every_client_gets_through_whoevers_it_is(topology, io):
    with crew(topology, io) as (gateway, edges):
        for edge in edges:
            measure.wait_for_path(edge.namespace, topology.internet6)
            assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
            assert measure.fetch_page(edge.namespace, topology.internet6) == topology.wan6
            assert measure.look_up(edge.namespace, topology.internet4)
        for edge, address in zip(edges, (topology.internet4, topology.internet6, topology.internet4)):
            for down in (False, True):
                assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1, down=down) > 0
        # Among each other, and to the gateway itself.
        for edge, other in ((edges[0], edges[1]), (edges[1], edges[2]), (edges[2], edges[0])):
            for address in (other.inner4, other.inner6, topology.gateway_inner4):
                assert measure.can_ping(edge.namespace, address, count=3), address
        if io == AF_XDP:
            check_hole_punching(topology, edges[:2])
        status = gateway.status()
        assert all(worker["packets_opened"] > 100 and worker["packets_sealed"] > 100 for worker in status["workers"])
        assert sum(worker["handed_over"] for worker in status["workers"]) > 0
        text = gateway.command("status").out
        assert all(f"worker {number}: adaptive, CPU " in text for number in range(WORKERS)), text


def test_peers_come_and_go_at_run_time(topology):
    """Each worker learns of them, whoever has them: routes, owners and the NAT's idea of where subscribers live."""
    with crew(topology, AF_XDP) as (gateway, edges):
        assert measure.can_ping(edges[0].namespace, edges[1].inner4)
        for going, staying in ((0, 1), (1, 0)):  # of one worker, then of the other
            peer = gateway.spec.peers.pop(going)
            assert gateway.reload()["removed"] == [peer.name]
            assert not measure.can_ping(edges[staying].namespace, edges[going].inner4, timeout=1)
            assert measure.fetch_page(edges[staying].namespace, topology.internet4) == topology.wan4
            gateway.spec.peers.insert(going, peer)
            assert gateway.reload()["added"] == [peer.name]
            measure.wait_for_path(edges[going].namespace, topology.internet4, timeout=25)
            measure.wait_for_path(edges[staying].namespace, edges[going].inner4, edges[going].inner6)
        subscribers = {mapping["subscriber"] for mapping in json.loads(gateway.command("nat", "--json").out)}
        assert subscribers == {edge.name for edge in edges}
