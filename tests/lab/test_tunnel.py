"""A tunnel between Ringway and wireguard-go in both roles, and between two Ringway nodes."""

import time

import pytest

from pairs import PAIRS, endpoint_of, every_pair, handshake_time, make_pair
from ringway_lab import measure, nodes, path, variants, wire
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, CHACHA, STOCK, Ringway, WireguardGo
from ringway_lab.topology import TUNNEL_PORT


# Debian's wireguard-go keeps sending from an address that it no longer has, until 15 s without an
# answer make it begin a handshake.
MOVED_SECONDS = {Ringway: 5, WireguardGo: 25}


def reaches_internet(topology, edge, timeout=1):
    return measure.can_ping(edge.namespace, topology.internet4, timeout=timeout)


@every_pair
@pytest.mark.parametrize("outer_family", [4, 6])
def test_full_tunnel_carries_ipv4_and_ipv6(topology, edge, pair, outer_family):
    gateway, node = make_pair(topology, edge, pair, outer_family=outer_family)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
        assert measure.fetch_page(edge.namespace, topology.internet6) == topology.wan6
        assert measure.look_up(edge.namespace, topology.internet4)
        for address in (topology.internet4, topology.internet6):
            assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1) > 0
            assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1, down=True) > 0


@every_pair
@pytest.mark.parametrize("size_bytes", [1, 15, 16, 17, 500, 1392, 1393, 4000])
def test_packets_of_every_size_pass(topology, edge, pair, size_bytes):
    """Around the padding's multiples, around the MTU, and in fragments inside the tunnel."""
    gateway, node = make_pair(topology, edge, pair)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        for address in (topology.internet4, topology.internet6):
            result = edge.namespace.run("ping", "-n", "-q", "-c", 3, "-i", "0.05", "-W", 2, "-s", size_bytes,
                                        address, check=False)
            assert result, result.out


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


@every_pair
def test_edge_moves_to_another_address(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    new4 = "192.0.2.9"
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        edge.namespace.ip(f"addr del {edge.outer4}/28 dev uplink", f"addr add {new4}/28 dev uplink",
                          f"route replace default via {edge.router4}")
        wait_until(lambda: reaches_internet(topology, edge), "the tunnel works from the new address",
                   MOVED_SECONDS[type(node)])
        assert endpoint_of(gateway, node.spec).startswith(f"{new4}:")


@every_pair
def test_gateway_moves_to_another_address(topology, edge, pair):
    """The edge learns the gateway's new address from what the gateway sends."""
    gateway, node = make_pair(topology, edge, pair)
    new4 = "203.0.113.7"
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        topology.gateway.ip(f"addr del {topology.gateway4}/24 dev lan", f"addr add {new4}/24 dev lan",
                            f"route replace 192.0.2.0/24 via {topology.router4}")
        topology.router.ip(f"route replace default via {new4}")
        wait_until(lambda: measure.can_ping(topology.gateway, edge.inner4, timeout=1),
                   "the gateway reaches the edge from its new address", MOVED_SECONDS[type(gateway)])
        wait_until(lambda: reaches_internet(topology, edge), "the edge follows the gateway", 10)
        assert endpoint_of(node, gateway.spec).startswith(f"{new4}:")


@every_pair
def test_restarted_gateway_is_found_again(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        gateway.stop()
        gateway.start()
        # 15 s without an answer make the edge begin again, and there is jitter on top.
        wait_until(lambda: reaches_internet(topology, edge), "the edge finds the restarted gateway", 25)


@every_pair
def test_restarted_edge_is_welcome_at_once(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    with gateway:
        for _ in range(3):
            with node:
                wait_until(lambda: reaches_internet(topology, edge), "the edge is back", 5)


@every_pair
def test_passive_keepalive_answers_one_sided_traffic(topology, edge, pair):
    """Data that nobody answers is answered by a keepalive after 10 s, once."""
    gateway, node = make_pair(topology, edge, pair)
    keepalives = {"passive": path.to_edge(4, wire.KEEPALIVE_BYTES, TUNNEL_PORT)}
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        topology.gateway.nft("table inet rw_lab_mute {\nchain input {\ntype filter hook input priority 0\n"
                             f"ip daddr {topology.gateway_inner4} drop\n}}\n}}\n")
        time.sleep(0.5)
        with path.PathCounter(topology, **keepalives) as counter:
            edge.namespace.run("ping", "-n", "-q", "-c", 1, "-W", 1, topology.gateway_inner4, check=False)
            time.sleep(7)
            assert counter["passive"] == 0
            time.sleep(4)
            assert counter["passive"] == 1


@every_pair
def test_persistent_keepalive(topology, edge, pair):
    gateway, node = make_pair(topology, edge, pair)
    node.spec.peers[0].keepalive_s = 1
    keepalives = {"persistent": path.to_gateway(4, wire.KEEPALIVE_BYTES, TUNNEL_PORT)}
    with gateway, path.PathCounter(topology, **keepalives) as counter, node:
        # Nothing else makes a session: the keepalive itself must.
        wait_until(lambda: handshake_time(gateway, node.spec) > 0, "the keepalive opens a session", 10)
        before = counter["persistent"]
        time.sleep(4.5)
        assert 3 <= counter["persistent"] - before <= 6


@pytest.mark.slow
def test_rekeying_loses_nothing(topology):
    """All pairs at once, for 130 s: each gets a second session and no ping is lost."""
    topology.forward_and_masquerade()
    pairs = []
    for number, (name, (edge_type, gateway_type, kind)) in enumerate(PAIRS.items()):
        pairs.append(rekeying_pair(topology, f"e{number}", name, edge_type, gateway_type, kind))
    started = []
    try:
        for gateway, node, _ in pairs:
            started += [gateway.__enter__(), node.__enter__()]
        check_rekeying(pairs)
    finally:
        for node in reversed(started):
            node.stop()


def rekeying_pair(topology, edge_name, pair, edge_type, gateway_type, kind):
    """Inner addresses only, so that five pairs fit on one gateway: (gateway, edge, inner address)."""
    edge = topology.add_edge(edge_name)
    port = TUNNEL_PORT + 10 + edge.index
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, kind, full_tunnel=False)
    gateway_inner = f"198.51.100.{200 + edge.index}"
    gateway_spec.addresses, gateway_spec.listen_port, gateway_spec.gateway = (f"{gateway_inner}/32",), port, False
    edge_spec.addresses = (f"{edge.inner4}/32",)
    edge_spec.peers[0].endpoint = topology.gateway_endpoint(port=port)
    edge_spec.peers[0].allowed_ips = (f"{gateway_inner}/32",)
    gateway, node = gateway_type(gateway_spec, f"g{edge.index}"), edge_type(edge_spec, edge_name)
    if gateway_type is Ringway:
        gateway.interface = f"rwg{edge.index}"
    return gateway, node, (pair, edge.namespace, gateway_inner)


def check_rekeying(pairs):
    for _, _, (_, namespace, inner) in pairs:
        measure.wait_for_path(namespace, inner)
    first = [handshake_time(node, gateway.spec) for gateway, node, _ in pairs]
    pings = [measure.BackgroundPing(namespace, inner, 0.1).__enter__() for _, _, (_, namespace, inner) in pairs]
    time.sleep(131)
    results = [ping.finish() for ping in pings]
    for (gateway, node, (name, _, _)), before, (sent, received) in zip(pairs, first, results):
        assert handshake_time(node, gateway.spec) >= before + 110, f"{name} did not rekey"
        assert sent - received <= 1, f"{name} lost {sent - received} of {sent} pings"


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
