"""A running node: peers come, change and go without a lost packet for the others; idle costs nothing."""

import time

import pytest

from ringway_lab import measure, nodes, variants
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, CHACHA, STOCK, KeyPair, Peer, Ringway

IDLE_SECONDS = 10
IDLE_CPU_SHARE = 0.01
IDLE_PSS_MB = 40
LOSSLESS_ROUNDS = 40
LOSSLESS_INTERVAL_S = 0.002  # fine enough that some pings meet the moment at which the firewall is replaced


@pytest.fixture
def tunnel(topology, edge):
    """(gateway, edge node), running."""
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, AES_GCM)
    with Ringway(gateway_spec, "gateway") as gateway, Ringway(edge_spec, "edge") as node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        yield gateway, node


def guest(lab, number=1):
    return Peer(f"guest{number}", KeyPair.generate(lab).public, (f"198.51.100.{200 + number}/32",),
                kind=STOCK)


def fields(peer):
    kind = {"type": "wireguard"} if peer.kind == STOCK else {"type": "ringway", "suite": peer.kind}
    return {"name": peer.name, "public_key": peer.public_key, "allowed_ips": list(peer.allowed_ips), **kind}


def names(node):
    return {peer["name"] for peer in node.status()["peers"]}


def test_peers_come_and_go_without_loss_for_the_others(topology, edge, tunnel):
    gateway, _ = tunnel
    with measure.BackgroundPing(edge.namespace, topology.internet4, LOSSLESS_INTERVAL_S) as ping:
        for _ in range(LOSSLESS_ROUNDS):
            peer = guest(topology.lab)
            gateway.call("add_peer", **fields(peer))
            assert names(gateway) == {"edge", peer.name}
            gateway.call("change_peer", name=peer.name, allowed_ips=["198.51.100.250/32"])
            gateway.call("remove_peer", name=peer.name)
            assert names(gateway) == {"edge"}
        sent, received = ping.finish()
    assert sent == received


def test_reload_changes_what_changed_and_loses_nothing(topology, edge, tunnel):
    gateway, _ = tunnel
    with measure.BackgroundPing(edge.namespace, topology.internet4, LOSSLESS_INTERVAL_S) as ping:
        for number in range(LOSSLESS_ROUNDS):
            peer = guest(topology.lab, number)
            gateway.spec.peers.append(peer)
            assert gateway.reload()["added"] == [peer.name]
            gateway.spec.peers.remove(peer)
            assert gateway.reload()["removed"] == [peer.name]
        sent, received = ping.finish()
    assert sent == received


def test_reload_of_a_bad_configuration_changes_nothing(topology, edge, tunnel):
    gateway, _ = tunnel
    good = gateway.config_path.read_text()
    gateway.config_path.write_text(good + '[[peer]]\nname = "broken"\npublic_key = "short"\n')
    with pytest.raises(nodes.LabError, match="public_key"):
        gateway.call("reload")
    assert names(gateway) == {"edge"}
    assert measure.can_ping(edge.namespace, topology.internet4)


def test_added_peer_works_and_removed_peer_does_not(topology, tunnel):
    gateway, _ = tunnel
    second = topology.add_edge("second")
    _, spec = variants.tunnel_specs(topology, second, CHACHA)
    spec.peers[0].public_key = gateway.spec.keys.public
    with Ringway(spec, "second"):
        assert not measure.can_ping(second.namespace, topology.internet4, timeout=1)
        gateway.call("add_peer", **fields(variants.peer_of(second, spec.keys, CHACHA)))
        measure.wait_for_path(second.namespace, topology.internet4, topology.internet6)
        gateway.call("remove_peer", name="second")
        assert not measure.can_ping(second.namespace, topology.internet4, timeout=1)


def test_stranger_gets_nothing(topology, tunnel):
    """A node whose key the gateway does not know."""
    gateway, _ = tunnel
    stranger = topology.add_edge("stranger")
    _, spec = variants.tunnel_specs(topology, stranger, STOCK)
    spec.peers[0].public_key = gateway.spec.keys.public
    with nodes.WireguardGo(spec, "stranger"):
        assert not measure.can_ping(stranger.namespace, topology.internet4, timeout=3)
    assert names(gateway) == {"edge"}


def test_peer_cannot_use_anothers_address(topology, edge, tunnel):
    gateway, node = tunnel
    before = gateway.drops()["source_not_allowed"]
    edge.namespace.ip(f"addr add 198.51.100.250/32 dev {node.interface}")
    edge.namespace.run("ping", "-n", "-q", "-c", 5, "-i", "0.05", "-W", 1, "-I", "198.51.100.250",
                       topology.internet4, check=False)
    edge.namespace.ip(f"addr del 198.51.100.250/32 dev {node.interface}")
    assert gateway.drops()["source_not_allowed"] == before + 5


def test_ringway_show_reads_like_wg_show(edge, tunnel):
    gateway, node = tunnel
    text = node.command("show").out
    for line in (f"interface: {node.interface}", f"peer: {gateway.spec.keys.public}", "endpoint: ",
                 "allowed ips: ", "latest handshake: ", "transfer: "):
        assert line in text
    assert node.spec.keys.private not in text


@pytest.mark.load
def test_idle_edge_costs_nearly_nothing(edge, tunnel):
    _, node = tunnel
    time.sleep(2)
    before = nodes.cpu_seconds(node.pid)
    time.sleep(IDLE_SECONDS)
    share = (nodes.cpu_seconds(node.pid) - before) / IDLE_SECONDS
    pss = nodes.pss_mb(node.pid)
    print(f"idle edge: {share * 100:.2f} % of a core, {pss:.1f} MB PSS")
    assert share < IDLE_CPU_SHARE
    assert pss < IDLE_PSS_MB


@pytest.mark.load
def test_memory_comes_back_after_load(topology, edge, tunnel):
    _, node = tunnel
    measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, 2)
    wait_until(lambda: nodes.pss_mb(node.pid) < IDLE_PSS_MB, f"under {IDLE_PSS_MB} MB PSS after load", 10)
