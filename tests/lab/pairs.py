"""Which programs stand at the two ends of a tunnel under test.

wireguard-go at both ends is the control: what it cannot do, the test must not ask.
"""

import pytest

from ringway_lab import variants
from ringway_lab.nodes import AES_GCM, CHACHA, STOCK, Ringway, WireguardGo

# id: (node at the edge, node at the gateway, how ringwayd is told to see its peer)
PAIRS = {
    "stock-stock": (WireguardGo, WireguardGo, STOCK),
    "ringway-stock": (Ringway, WireguardGo, STOCK),
    "stock-ringway": (WireguardGo, Ringway, STOCK),
    "ringway-aes": (Ringway, Ringway, AES_GCM),
    "ringway-chacha": (Ringway, Ringway, CHACHA),
}

every_pair = pytest.mark.parametrize("pair", PAIRS)


def make_pair(topology, edge, pair, **options):
    """Gateway and edge node of a pair, not yet started. Options as for variants.tunnel_specs."""
    edge_type, gateway_type, kind = PAIRS[pair]
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, kind, **options)
    if gateway_type is WireguardGo:
        topology.forward_and_masquerade()
    return gateway_type(gateway_spec, "gateway"), edge_type(edge_spec, edge.name)


def handshake_time(node, peer_spec):
    return node.peer_facts()[peer_spec.keys.public]["latest_handshake"]


def endpoint_of(node, peer_spec):
    return node.peer_facts()[peer_spec.keys.public]["endpoint"]
