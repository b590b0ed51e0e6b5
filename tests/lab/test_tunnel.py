"""A tunnel between Ringway and wireguard-go in both roles, and between two Ringway nodes."""

import itertools
import time

import pytest

from pairs import (PAIRS, SideBySide, check_full_tunnel, endpoint_of, every_pair, handshake_time, make_pair,
                   side_by_side, wait_for_all)
from ringway_lab import measure, nodes, path, variants, wire
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, CHACHA, STOCK, Ringway, WireguardGo
from ringway_lab.topology import TUNNEL_PORT


MOVED_SECONDS = 5
# Debian's wireguard-go keeps sending from an address that it no longer has, until 15 s without an
# answer make it begin a handshake.
MOVED_STOCK_SECONDS = 25
ODD_MTU = 1401
# Around the padding's multiples, around the MTU, and in fragments inside the tunnel.
PING_BYTES = (1, 15, 16, 17, 500, 1372, 1373, 1392, 1393, 4000)


def reaches_internet(topology, edge, timeout=1):
    return measure.can_ping(edge.namespace, topology.internet4, timeout=timeout)


@every_pair
@pytest.mark.parametrize("outer_family", [4, 6])
def test_full_tunnel_carries_ipv4_and_ipv6(topology, edge, pair, outer_family):
    gateway, node = make_pair(topology, edge, pair, outer_family=outer_family)
    with gateway, node:
        check_full_tunnel(topology, edge)


@every_pair
def test_packets_of_every_size_pass(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        for address, size in itertools.product((topology.internet4, topology.internet6), PING_BYTES):
            result = edge.namespace.run("ping", "-n", "-q", "-c", 2, "-i", "0.01", "-W", 2, "-s", size, address,
                                        check=False)
            assert result, result.out


@every_pair
def test_unpadded_packets_pass(topology, edge, pair):
    """Padding never goes past the MTU: with an odd one, full packets of either end leave as long as they are."""
    gateway, node = make_pair(topology, edge, pair)
    gateway.spec.mtu = node.spec.mtu = ODD_MTU
    message = ODD_MTU + wire.KEEPALIVE_BYTES
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        with path.PathCounter(topology, up=path.to_gateway(4, message, TUNNEL_PORT),
                              down=path.to_edge(4, message, TUNNEL_PORT)) as counter:
            for address, header in ((topology.internet4, 28), (topology.internet6, 48)):
                assert edge.namespace.run("ping", "-n", "-q", "-c", 10, "-i", "0.01", "-W", 2, "-s", ODD_MTU - header,
                                          address, check=False), address
                assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1) > 0
                assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1, down=True) > 0
            assert counter["up"] >= 20 and counter["down"] >= 20


@every_pair
def test_preshared_key(topology, edge, pair):
    psk = nodes.generate_psk(topology.lab)
    gateway, node = make_pair(topology, edge, pair, psk=psk)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)


@every_pair
def test_wrong_preshared_key_lets_nothing_pass(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair, psk=nodes.generate_psk(topology.lab))
    node.spec.peers[0].psk = nodes.generate_psk(topology.lab)
    with gateway, node:
        assert not reaches_internet(topology, edge, timeout=3)
        assert handshake_time(node, gateway.spec) == 0


def test_edges_move_to_another_address(topology):
    with side_by_side(topology) as pairs:
        for pair in pairs:
            edge = pair.edge
            edge.namespace.ip(f"addr del {edge.outer4}/28 dev uplink", f"addr add {moved(edge)}/28 dev uplink",
                              f"route replace default via {edge.router4}")
        ringways = [pair for pair in pairs if isinstance(pair.node, Ringway)]
        wait_for_all(ringways, SideBySide.reaches_gateway, "works from the new address", MOVED_SECONDS)
        wait_for_all(pairs, SideBySide.reaches_gateway, "works from the new address", MOVED_STOCK_SECONDS)
        for pair in pairs:
            assert endpoint_of(pair.gateway, pair.node.spec).startswith(f"{moved(pair.edge)}:"), pair.name


def moved(edge):
    return edge.outer4[:edge.outer4.rindex(".")] + f".{int(edge.outer4.rsplit('.', 1)[1]) + 7}"


def test_gateways_move_to_another_address(topology):
    """The edges learn the gateways' new address from what the gateways send."""
    new4 = "203.0.113.7"

    def reaches_edge(pair):
        return measure.can_ping(topology.gateway, pair.edge.inner4, timeout=1)

    with side_by_side(topology) as pairs:
        topology.gateway.ip(f"addr del {topology.gateway4}/24 dev lan", f"addr add {new4}/24 dev lan",
                            f"route replace 192.0.2.0/24 via {topology.router4}")
        topology.router.ip(f"route replace default via {new4}")
        ringways = [pair for pair in pairs if isinstance(pair.gateway, Ringway)]
        wait_for_all(ringways, reaches_edge, "reaches its edge from the new address", MOVED_SECONDS)
        wait_for_all(pairs, reaches_edge, "reaches its edge from the new address", MOVED_STOCK_SECONDS)
        wait_for_all(pairs, SideBySide.reaches_gateway, "the edge has followed", MOVED_SECONDS)
        for pair in pairs:
            assert endpoint_of(pair.node, pair.gateway.spec).startswith(f"{new4}:"), pair.name


def test_restarted_gateways_are_found_again(topology):
    """15 s without an answer make the edge begin again, and there is jitter on top."""
    with side_by_side(topology) as pairs:
        for pair in pairs:
            pair.gateway.stop()
            pair.gateway.start()
        wait_for_all(pairs, SideBySide.reaches_gateway, "finds the restarted gateway", 25)


@every_pair
def test_restarted_edge_is_welcome_at_once(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    with gateway:
        for _ in range(3):
            with node:
                wait_until(lambda: reaches_internet(topology, edge), "the edge is back", 5)


def test_passive_keepalive_answers_one_sided_traffic(topology):
    """Data that nobody answers is answered by a keepalive after 10 s, once."""
    with side_by_side(topology) as pairs:
        topology.gateway.nft("table inet rw_lab_mute {\nchain input {\ntype filter hook input priority 0\n"
                             "icmp type echo-request drop\n}\n}\n")
        keepalives = {f"of_{pair.port}": path.to_edge(4, wire.KEEPALIVE_BYTES, pair.port) for pair in pairs}
        with path.PathCounter(topology, **keepalives) as counter:
            for pair in pairs:
                pair.edge.namespace.run("ping", "-n", "-q", "-c", 1, "-W", "0.1", pair.gateway_inner, check=False)
            time.sleep(7)
            assert {pair.name: counter[f"of_{pair.port}"] for pair in pairs} == dict.fromkeys(PAIRS, 0)
            time.sleep(5)
            assert {pair.name: counter[f"of_{pair.port}"] for pair in pairs} == dict.fromkeys(PAIRS, 1)


def test_persistent_keepalive(topology):
    """Nothing else makes a session: the keepalive itself opens it and keeps coming."""
    with side_by_side(topology, connect=False, keepalive_s=1) as pairs:
        wait_for_all(pairs, SideBySide.gateway_handshake, "the keepalive opens a session", 10)
        keepalives = {f"of_{pair.port}": path.to_gateway(4, wire.KEEPALIVE_BYTES, pair.port) for pair in pairs}
        with path.PathCounter(topology, **keepalives) as counter:
            time.sleep(4.5)
            for pair in pairs:
                assert 3 <= counter[f"of_{pair.port}"] <= 6, pair.name


def test_two_ringway_nodes_with_persistent_keepalive_do_not_fight(topology):
    """Both would like to begin: there is one handshake, and not one a second."""
    with side_by_side(topology, keepalive_s=1) as pairs:
        pair = next(pair for pair in pairs if pair.name == "ringway-aes")
        with path.PathCounter(topology, initiations=f"udp length 156 @th,64,8 1 udp sport {pair.port}",
                              others=f"udp length 156 @th,64,8 1 udp dport {pair.port}") as counter:
            time.sleep(4)
            assert counter["initiations"] + counter["others"] == 0


@pytest.mark.parametrize("edge_kind, gateway_kind", [
    (AES_GCM, CHACHA), (CHACHA, AES_GCM), (AES_GCM, STOCK), (STOCK, AES_GCM)])
def test_nodes_of_different_suites_refuse_each_other(topology, edge, edge_kind, gateway_kind):
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, edge_kind)
    gateway_spec.peers[0].kind = gateway_kind
    with Ringway(gateway_spec, "gateway") as gateway, Ringway(edge_spec, "edge") as node:
        assert not reaches_internet(topology, edge, timeout=3)
        assert handshake_time(node, gateway_spec) == 0
        assert handshake_time(gateway, edge_spec) == 0


@pytest.mark.parametrize("stock_end", ["edge", "gateway"])
def test_stock_node_with_the_key_of_an_aes_peer_is_refused(topology, edge, stock_end):
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, AES_GCM)
    if stock_end == "gateway":
        topology.forward_and_masquerade()
    gateway = (WireguardGo if stock_end == "gateway" else Ringway)(gateway_spec, "gateway")
    node = (WireguardGo if stock_end == "edge" else Ringway)(edge_spec, "edge")
    with gateway, node:
        assert not reaches_internet(topology, edge, timeout=3)
        assert handshake_time(gateway, edge_spec) == 0


SUITE_BYTE = "@th,72,8"


@pytest.mark.parametrize("kind, forged_suite", [(AES_GCM, 0), (CHACHA, 1)])
def test_suite_byte_changed_on_the_path_opens_no_session(topology, edge, kind, forged_suite):
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, kind)
    topology.router.nft("table inet rw_lab_forge {\nchain forward {\ntype filter hook forward priority 0\n"
                        f"udp dport {TUNNEL_PORT} {SUITE_BYTE} set {forged_suite} counter\n"
                        f"udp sport {TUNNEL_PORT} {SUITE_BYTE} set {forged_suite} counter\n}}\n}}\n")
    with Ringway(gateway_spec, "gateway") as gateway, Ringway(edge_spec, "edge") as node:
        assert not reaches_internet(topology, edge, timeout=3)
        assert handshake_time(node, gateway_spec) == 0
        assert handshake_time(gateway, edge_spec) == 0
        assert "packets 0" not in topology.router.run("nft", "list", "table", "inet", "rw_lab_forge").out.split(
            "dport")[1].splitlines()[0]
        topology.router.run("nft", "delete", "table", "inet", "rw_lab_forge")
        wait_until(lambda: reaches_internet(topology, edge), "the nodes meet once nobody forges", 15)
