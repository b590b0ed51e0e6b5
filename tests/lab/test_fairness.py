"""Where a gateway's link is too slow for what its subscribers want, the greedy one loses it and a polite one nothing
(bench_fairness.py measures it)."""

import pytest

from bench_fairness import FLOODS, greedy_beside, polite_share, start_gateway
from ringway_lab.topology import SlowWires

# Without it: a fifth to a half of its datagrams and pings, 110 ms, and 6 to 14 Mbit/s.
MOST_LOST = 0.01
# Half of the wire is its due, less headers and what the tunnel adds.
LEAST_TCP_MBPS = 0.3 * SlowWires.mbps
# The queue of the wire, full of the largest frames, is 120 ms.
MOST_RTT_MS = 60


@pytest.mark.load
@pytest.mark.parametrize("topology", [SlowWires], indirect=True)
@pytest.mark.parametrize("flood", FLOODS)
def test_a_saturating_subscriber_beside_a_polite_one(topology, edge, flood):
    greedy = topology.add_edge("greedy")
    with start_gateway(topology, edge, greedy) as gateway:
        with greedy_beside(topology, greedy, FLOODS[flood]) as load:
            share = polite_share(topology, edge, down="-R" in FLOODS[flood])
            assert load.running(), "the flood was to last"
        drops = gateway.drops()
        print(share, {reason: count for reason, count in drops.items() if count > 0})
        assert share.datagrams_lost < MOST_LOST, share
        assert share.pings_lost < MOST_LOST, share
        assert share.rtt_ms < MOST_RTT_MS, share
        assert share.tcp_mbps > LEAST_TCP_MBPS, share
        assert drops["over_share"] > 0, "there was more than the wire carries"
