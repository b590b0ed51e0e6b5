"""Hostile traffic at 100,000 datagrams a second: the tunnel goes on, new peers still come in."""

import itertools
import json
import random
import struct
import subprocess
import time

import pytest

from ringway_lab import leaks, measure, nodes, path, variants, wire
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, STOCK, Ringway, WireguardGo
from ringway_lab.topology import TUNNEL_PORT

RATE = 100_000  # frames a second
FRAMES = 20_000  # distinct ones; sent over and over
SPOOFED = {4: "192.0.2.128/25", 6: "2001:db8:a:bad::/64"}
JOIN_SECONDS = 10
SLOW_ROUNDS = 4  # of what one round sends where nobody else wants the cores


def frames(topology, payloads, family=4, count=FRAMES):
    """Frames as the router would send them to the gateway's tunnel port, from spoofed sources."""
    macs = (wire.mac_address(topology.router, "to-gateway"), wire.mac_address(topology.gateway, "lan"))
    target = topology.gateway_address(family)
    return [wire.udp_frame(macs, source, target, port, TUNNEL_PORT, payload) for (source, port), payload in
            zip(itertools.islice(wire.spoofed_sources(SPOOFED[family]), count), payloads)]


def random_initiations(public_key=None):
    while True:
        yield wire.initiation(public_key)


@pytest.fixture
def flooder():
    return nodes.program("lab-flood")


@pytest.fixture
def tunnel(topology, edge):
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, AES_GCM)
    with Ringway(gateway_spec, "gateway") as gateway, Ringway(edge_spec, "edge") as node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        yield gateway, node


@pytest.mark.load
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("valid", [True, False])
def test_flood_is_what_it_claims_to_be(topology, edge, flooder, family, valid):
    """The control: under load wireguard-go answers a valid mac1 with a cookie and a wrong one with silence."""
    gateway_spec, _ = variants.tunnel_specs(topology, edge)
    flood_frames = frames(topology, random_initiations(gateway_spec.keys.public if valid else None), family)
    counters = {"cookies": path.to_edge(3, wire.COOKIE_REPLY_BYTES, TUNNEL_PORT)}
    with WireguardGo(gateway_spec, "gateway"), path.PathCounter(topology, **counters) as counter:
        with path.Flood(topology, flooder, flood_frames, RATE, 2) as flood:
            flood.finish()
        assert (counter["cookies"] > 0) == valid


@pytest.mark.load
@pytest.mark.parametrize("joiner", [Ringway, WireguardGo])
def test_new_peer_joins_during_a_flood(topology, edge, tunnel, flooder, joiner):
    gateway, _ = tunnel
    second = topology.add_edge("second")
    kind = AES_GCM if joiner is Ringway else STOCK
    _, spec = variants.tunnel_specs(topology, second, kind)
    spec.peers[0].public_key = gateway.spec.keys.public
    gateway.spec.peers.append(variants.peer_of(second, spec.keys, kind))
    gateway.reload()
    counters = {"cookies": path.to_edge(3, wire.COOKIE_REPLY_BYTES, TUNNEL_PORT)}
    flood_frames = frames(topology, random_initiations(gateway.spec.keys.public))
    with path.Flood(topology, flooder, flood_frames, RATE, 3 + JOIN_SECONDS):
        wait_until(lambda: gateway.drops()["cookie_demanded"] > 0, "the gateway demands cookies", 3)
        with path.PathCounter(topology, **counters) as counter, joiner(spec, "second"):
            wait_until(lambda: measure.can_ping(second.namespace, topology.internet4, timeout=1),
                       "a new peer joins under the flood", JOIN_SECONDS)
            assert counter["cookies"] >= 1


@pytest.mark.load
def test_new_peer_joins_while_the_tunnel_is_busy(topology, edge, tunnel, flooder):
    """As above, with TCP through the established tunnel all the while, which goes on."""
    gateway, _ = tunnel
    assert any("handshakes apart" in port["description"] for port in gateway.status()["ports"])
    second = topology.add_edge("second")
    _, spec = variants.tunnel_specs(topology, second, AES_GCM)
    spec.peers[0].public_key = gateway.spec.keys.public
    gateway.spec.peers.append(variants.peer_of(second, spec.keys, AES_GCM))
    gateway.reload()
    flood_frames = frames(topology, random_initiations(gateway.spec.keys.public))
    seconds = 3 + JOIN_SECONDS
    with measure.IperfServer(topology.internet) as load, path.Flood(topology, flooder, flood_frames, RATE, seconds):
        edge.namespace.start("iperf3", "-c", topology.internet4, "-p", load.port, "-t", seconds, stdout=subprocess.DEVNULL)
        wait_until(lambda: gateway.drops()["cookie_demanded"] > 0, "the gateway demands cookies", 3)
        with Ringway(spec, "second"):
            wait_until(lambda: measure.can_ping(second.namespace, topology.internet4, timeout=1),
                       "a new peer joins under flood and load", JOIN_SECONDS)
        assert load.report()["end"]["sum_received"]["seconds"] >= seconds - 1


@pytest.mark.load
@pytest.mark.parametrize("family", [4, 6])
def test_cookies_end_when_the_flood_ends(topology, edge, tunnel, flooder, family):
    gateway, _ = tunnel
    flood_frames = frames(topology, random_initiations(gateway.spec.keys.public), family)
    with path.Flood(topology, flooder, flood_frames, RATE, 2) as flood:
        flood.finish()
    assert gateway.drops()["cookie_demanded"] > 0
    tracked = int(topology.gateway.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").out)
    assert tracked < FRAMES / 2, "the flood filled the table of the masqueraded connections"
    second = topology.add_edge("second")
    _, spec = variants.tunnel_specs(topology, second, AES_GCM)
    spec.peers[0].public_key = gateway.spec.keys.public
    gateway.spec.peers.append(variants.peer_of(second, spec.keys, AES_GCM))
    gateway.reload()
    counters = {"cookies": path.to_edge(3, wire.COOKIE_REPLY_BYTES, TUNNEL_PORT)}
    time.sleep(2)
    with path.PathCounter(topology, **counters) as counter, Ringway(spec, "second"):
        measure.wait_for_path(second.namespace, topology.internet4)
        assert counter["cookies"] == 0


def observed_messages(topology, edge, kind):
    """Messages of one type from the edge to the gateway, as an observer on the path has them."""
    with leaks.Capture(topology.router, edge) as capture:
        measure.can_ping(edge.namespace, topology.internet4, count=50)
        captured = capture.finish()
    payloads = [frame[42:] for frame in captured if frame[12:14] == b"\x08\x00" and frame[23] == 17
                and frame[36:38] == struct.pack("!H", TUNNEL_PORT)]
    return [payload for payload in payloads if payload[0] == kind]


def mutated(messages, how):
    """Endless variations of observed messages."""
    generator = random.Random(7)
    for message in itertools.cycle(messages):
        if how == "replayed":
            yield message
        elif how == "truncated":
            yield message[:generator.randrange(1, len(message))]
        else:
            bit = generator.randrange(len(message) * 8)
            changed = bytearray(message)
            changed[bit // 8] ^= 1 << bit % 8
            yield bytes(changed)


@pytest.mark.load
@pytest.mark.parametrize("how, reasons", [
    ("replayed", ["replayed"]),
    ("truncated", ["outer_malformed", "auth_failed"]),
    ("bit-flipped", ["auth_failed", "replayed", "outer_malformed", "unknown_receiver", "suite_mismatch"])])
def test_forged_data_is_counted_and_dropped_and_nothing_else(topology, edge, tunnel, flooder, how, reasons):
    gateway, node = tunnel
    messages = observed_messages(topology, edge, 4)
    assert len(messages) >= 50
    before = gateway.status()
    flood_frames = frames(topology, mutated(messages, how))
    sent = 0
    for _ in range(SLOW_ROUNDS):
        with path.Flood(topology, flooder, flood_frames, RATE, 3) as flood:
            sent += json.loads(flood.finish())["sent"]
        if sent > 2 * RATE:
            break
    assert sent > 2 * RATE
    assert measure.can_ping(edge.namespace, topology.internet4)
    after = gateway.status()
    dropped = {reason: after["drops"][reason] - before["drops"][reason] for reason in after["drops"]}
    print(f"{how}: {sent} sent, dropped {({reason: n for reason, n in dropped.items() if n})}")
    # The kernel may have dropped some in the socket's queue before the node saw them.
    assert sum(dropped[reason] for reason in reasons) > 0.5 * sent
    assert after["peers"][0]["endpoint"] == before["peers"][0]["endpoint"], "a forged packet moved the endpoint"
    assert all(count == 0 for reason, count in dropped.items() if reason not in reasons)
