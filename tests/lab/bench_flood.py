"""What a flood of initiations leaves of an established tunnel's rate. A benchmark: its figures depend on how
busy the machine is, so the tests do not run it. By hand, on a machine with nothing else to do:

    sudo python3 -m pytest -s tests/lab/bench_flood.py
"""
import json
import statistics
import struct

import pytest

from ringway_lab import measure, path
from ringway_lab.topology import TUNNEL_PORT
from test_flood import RATE, flooder, frames, random_initiations, tunnel  # noqa: F401 (fixtures)

KEPT_SHARE = 0.8
LOAD_SECONDS = 4
ROUNDS = 3


def tcp_under_flood(topology, edge, flooder, flood_frames):
    with path.Flood(topology, flooder, flood_frames, RATE, LOAD_SECONDS + 3) as flood:
        rate = measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, LOAD_SECONDS)
        sent = json.loads(flood.finish())["sent"]
    assert sent > 0.9 * RATE * LOAD_SECONDS, f"the flood itself was too slow: {sent} frames"
    return rate


def diverted(topology, flood_frames):
    """The same frames, but for a port where nobody is: what the flood costs the machine, and not Ringway.

    Attacker and path share the cores with the tunnel here. The comparison leaves their share out.
    """
    offset = 14 + 20 + 2
    return [frame[:offset] + struct.pack("!H", TUNNEL_PORT + 7) + frame[offset + 2:] for frame in flood_frames]


@pytest.mark.load
@pytest.mark.parametrize("kind", ["wrong mac1", "valid mac1"])
def test_tunnel_keeps_its_rate_under_a_flood_of_initiations(topology, edge, tunnel, flooder, kind):
    gateway, _ = tunnel
    key = gateway.spec.keys.public if kind == "valid mac1" else None
    flood_frames = frames(topology, random_initiations(key))
    topology.gateway.nft("table inet rw_lab_quiet {\nchain input {\ntype filter hook input priority 0\n"
                         f"udp dport {TUNNEL_PORT + 7} drop\n}}\n}}\n")
    rounds = []
    for _ in range(ROUNDS):
        rounds.append((measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, LOAD_SECONDS),
                       tcp_under_flood(topology, edge, flooder, diverted(topology, flood_frames)),
                       tcp_under_flood(topology, edge, flooder, flood_frames)))
    alone, beside, under = (statistics.median(column) for column in zip(*rounds))
    print(f"TCP {alone:.2f} Gbit/s alone, {beside:.2f} beside the flood, {under:.2f} under it; rounds {rounds}")
    assert under >= KEPT_SHARE * beside
    drops = gateway.drops()
    if kind == "wrong mac1":
        assert drops["bad_mac1"] > RATE
    else:
        assert drops["cookie_demanded"] + drops["handshake_rate"] + drops["handshake_ring_full"] > RATE


