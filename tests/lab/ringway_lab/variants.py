"""The ways in which an edge reaches the Internet of the laboratory, all over the same path.

Only one of them is set up at a time: entering a variant sets it up and waits until packets pass,
leaving it takes it back.
"""

import contextlib

from . import measure
from .forwarder import Forwarder
from .nodes import (AES_GCM, ALL_ADDRESSES, CHACHA, STOCK, KeyPair, NodeSpec, Peer, Ringway,
                    WireguardGo)
from .topology import EDGE_PORT, TUNNEL_PORT


class Variant:
    """`key` names it in the JSON file, `title` in the table."""

    def __init__(self, key, title, edge_name="edge", edge_node=None, gateway_node=None, kind=STOCK):
        self.key = key
        self.title = title
        self.edge_name = edge_name
        self._edge_node = edge_node
        self._gateway_node = gateway_node
        self._kind = kind
        self.gateway = None  # while it is running

    @property
    def programs(self):
        """Ours that it needs."""
        return {"ringwayd"} if Ringway in (self._edge_node, self._gateway_node) else set()

    @property
    def encrypted(self):
        return self._edge_node is not None

    def forward(self, topology, edge, stack):
        """Whatever forwards at the gateway, unless the tunnel's node does it."""
        topology.forward_and_masquerade()
        stack.callback(topology.stop_masquerading)

    @contextlib.contextmanager
    def running(self, topology, outer_family=4, io=None, workers=1):
        """Sets the variant up; yields its Edge. The tunnel's datagrams are of `outer_family`; `io`, `workers`: a
        Ringway gateway's."""
        edge = topology.edges[self.edge_name]
        with contextlib.ExitStack() as stack:
            if self._gateway_node is not Ringway:
                self.forward(topology, edge, stack)
            if self.encrypted:
                gateway_spec, edge_spec = tunnel_specs(topology, edge, self._kind, outer_family)
                gateway_spec.io, gateway_spec.workers = io, workers
                self.gateway = stack.enter_context(self._gateway_node(gateway_spec, "gateway"))
                stack.enter_context(self._edge_node(edge_spec, edge.name))
            measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
            yield edge


class PlainXdp(Variant):
    """No tunnel, and no kernel in the packets' way either: what a gateway on AF_XDP could reach at best."""

    @property
    def programs(self):
        return {"ringway-bench"}

    def forward(self, topology, edge, stack):
        stack.enter_context(forwarder(topology, edge))


def forwarder(topology, edge):
    """`ringway-bench forward` on the gateway, for one edge."""
    return Forwarder(topology.gateway, "lan", "wan", (f"{edge.outer4}/32", f"{edge.outer6}/128"))


def tunnel_specs(topology, edge, kind=STOCK, outer_family=4, psk=None, full_tunnel=True,
                 keepalive_s=0):
    """A gateway and a full-tunnel edge that know each other: (gateway's NodeSpec, edge's NodeSpec)."""
    gateway_keys, edge_keys = KeyPair.generate(topology.lab), KeyPair.generate(topology.lab)
    allowed = ALL_ADDRESSES if full_tunnel else ("198.51.100.128/25", "2001:db8:77::/64")
    edge_spec = NodeSpec(
        edge.namespace, edge_keys, (f"{edge.inner4}/25", f"{edge.inner6}/64"), EDGE_PORT,
        [Peer("gateway", gateway_keys.public, allowed,
              topology.gateway_endpoint(outer_family), psk=psk, keepalive_s=keepalive_s, kind=kind)],
        full_tunnel=full_tunnel)
    gateway_spec = NodeSpec(
        topology.gateway, gateway_keys,
        (f"{topology.gateway_inner4}/25", f"{topology.gateway_inner6}/64"), TUNNEL_PORT,
        [peer_of(edge, edge_keys, kind, psk)], gateway=True, xdp_interfaces=topology.gateway_interfaces)
    return gateway_spec, edge_spec


def peer_of(edge, keys, kind=STOCK, psk=None):
    """An edge as its gateway sees it."""
    return Peer(edge.name, keys.public, (f"{edge.inner4}/32", f"{edge.inner6}/128"), psk=psk, kind=kind)


def several_specs(topology, edges, kind=STOCK):
    """One gateway and several full-tunnel edges: (gateway's NodeSpec, list of the edges' NodeSpecs)."""
    gateway_spec, first = tunnel_specs(topology, edges[0], kind)
    return gateway_spec, [first] + [add_client(topology, gateway_spec, edge, kind) for edge in edges[1:]]


def add_client(topology, gateway_spec, edge, kind):
    """One more full-tunnel edge, which the gateway's NodeSpec then knows: the edge's NodeSpec."""
    _, spec = tunnel_specs(topology, edge, kind)
    spec.peers[0].public_key = gateway_spec.keys.public
    gateway_spec.peers.append(peer_of(edge, spec.keys, kind))
    return spec


PLAIN = Variant("plain", "no tunnel")
PLAIN_XDP = PlainXdp("plain_xdp", "no tunnel, by AF_XDP")
RINGWAY = Variant("ringway", "Ringway, AES-256-GCM", "edge", Ringway, Ringway, AES_GCM)
RINGWAY_CHACHA = Variant("ringway_chacha", "Ringway, ChaCha20", "edge", Ringway, Ringway, CHACHA)
STOCK_CLIENT = Variant("stock_client", "stock client on Ringway", "stock", WireguardGo, Ringway, STOCK)
WIREGUARD_GO = Variant("wireguard_go", "wireguard-go, both ends", "edge", WireguardGo, WireguardGo, STOCK)

ALL = (PLAIN, PLAIN_XDP, RINGWAY, RINGWAY_CHACHA, STOCK_CLIENT, WIREGUARD_GO)
