"""Which programs stand at the two ends of a tunnel under test.

wireguard-go at both ends is the control: what it cannot do, the test must not ask.
"""

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from ringway_lab import measure, servers, services, variants
from ringway_lab.lab import LabError, wait_until
from ringway_lab.nodes import AES_GCM, CHACHA, STOCK, KeyPair, Peer, Ringway, WireguardGo
from ringway_lab.topology import TUNNEL_PORT, Edge

# id: (node at the edge, node at the gateway, how ringwayd is told to see its peer)
PAIRS = {
    "stock-stock": (WireguardGo, WireguardGo, STOCK),
    "ringway-stock": (Ringway, WireguardGo, STOCK),
    "stock-ringway": (WireguardGo, Ringway, STOCK),
    "ringway-aes": (Ringway, Ringway, AES_GCM),
    "ringway-chacha": (Ringway, Ringway, CHACHA),
}

every_pair = pytest.mark.parametrize("pair", PAIRS)


def make_pair(topology, edge, pair, io=None, workers=1, **options):
    """Gateway and edge node of a pair, not yet started. `io`, `workers`: a Ringway gateway's; with two, the edge is the
    second one's, to which the first hands over what it receives. Options as for variants.tunnel_specs."""
    edge_type, gateway_type, kind = PAIRS[pair]
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, kind, **options)
    gateway_spec.io, gateway_spec.workers = io, workers
    for number in range(1, workers):
        nobody = KeyPair.generate(topology.lab).public
        gateway_spec.peers.insert(0, Peer(f"nobody{number}", nobody, (f"198.51.100.{250 + number}/32",)))
    if gateway_type is WireguardGo:
        topology.forward_and_masquerade()
    return gateway_type(gateway_spec, "gateway"), edge_type(edge_spec, edge.name)


def check_full_tunnel(topology, edge):
    """Page, names and TCP both ways over both families, and the Internet sees the gateway's addresses."""
    measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
    assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
    assert measure.fetch_page(edge.namespace, topology.internet6) == topology.wan6
    assert measure.look_up(edge.namespace, topology.internet4)
    for address in (topology.internet4, topology.internet6):
        assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1) > 0
        assert measure.tcp_gbps(edge.namespace, topology.internet, address, 1, down=True) > 0


def check_hole_punching(topology, edges):
    """Two subscribers that know no more than each other's endpoint outside hear each other."""
    ports = (3478, 3479)
    servers.start_module(topology.internet, "hole_punching", "serve", *ports)
    for server, outside in ((topology.internet4, topology.wan4), (topology.internet6, topology.wan6)):
        callers = [edge.namespace.start(sys.executable, "-m", "ringway_lab.hole_punching", "meet", server, *ports,
                                        stdout=subprocess.PIPE, text=True, env=services.PACKAGE_ENVIRONMENT)
                   for edge in edges]
        first, second = [json.loads(caller.popen.communicate(timeout=30)[0]) for caller in callers]
        for caller, other in ((first, second), (second, first)):
            assert caller["mapped"][0] == caller["mapped"][1], "one mapping for all destinations"
            assert caller["mapped"][0][0] == outside
            assert caller["heard"] == caller["other"] == other["mapped"][0]


def handshake_time(node, peer_spec):
    return node.peer_facts()[peer_spec.keys.public]["latest_handshake"]


def endpoint_of(node, peer_spec):
    return node.peer_facts()[peer_spec.keys.public]["endpoint"]


@dataclass
class SideBySide:
    """One of several pairs that run at once on one topology, without a full tunnel: tests that wait for
    WireGuard's timers wait once for all pairs."""
    name: str
    edge: Edge
    gateway: object
    node: object
    gateway_inner: str

    @property
    def port(self):
        return self.gateway.spec.listen_port

    def reaches_gateway(self):
        return measure.can_ping(self.edge.namespace, self.gateway_inner, timeout=1)

    def edge_handshake(self):
        return handshake_time(self.node, self.gateway.spec)

    def gateway_handshake(self):
        return handshake_time(self.gateway, self.node.spec)


def make_side_by_side(topology, name, **options):
    edge = topology.add_edge(f"e{len(topology.edges)}")
    edge_type, gateway_type, kind = PAIRS[name]
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, kind, full_tunnel=False, **options)
    inner = f"198.51.100.{200 + edge.index}"
    gateway_spec.addresses, gateway_spec.gateway = (f"{inner}/32",), False
    gateway_spec.listen_port = TUNNEL_PORT + 10 + edge.index
    gateway_spec.peers[0].allowed_ips = (f"{edge.inner4}/32",)
    edge_spec.addresses = (f"{edge.inner4}/32",)
    edge_spec.peers[0].endpoint = topology.gateway_endpoint(port=gateway_spec.listen_port)
    edge_spec.peers[0].allowed_ips = (f"{inner}/32",)
    gateway, node = gateway_type(gateway_spec, f"g-{name}"), edge_type(edge_spec, f"e-{name}")
    if gateway_type is Ringway:
        gateway.interface = f"rwg{edge.index}"
    return SideBySide(name, edge, gateway, node, inner)


@contextlib.contextmanager
def side_by_side(topology, connect=True, **options):
    """All pairs, started; with `connect`, each has a session."""
    with contextlib.ExitStack() as stack:
        pairs = [make_side_by_side(topology, name, **options) for name in PAIRS]
        for pair in pairs:
            stack.enter_context(pair.gateway)
            stack.enter_context(pair.node)
        if connect:
            wait_for_all(pairs, SideBySide.reaches_gateway, "has a session", 10)
        yield pairs


def wait_for_all(pairs, condition, what, timeout):
    """Waits until the condition holds for every pair; LabError names those for which it does not."""
    waiting = list(pairs)

    def all_done():
        waiting[:] = [pair for pair in waiting if not condition(pair)]
        return not waiting

    try:
        wait_until(all_done, what, timeout)
    except LabError as error:
        raise LabError(f"{', '.join(pair.name for pair in waiting)}: {error}") from None
