"""After two minutes every session is renewed, and nothing is lost by it."""

import pytest

pytestmark = pytest.mark.slow


def test_sessions_are_renewed_after_120_s(rekeying):
    for name, (edge_time, gateway_time) in rekeying.handshakes().items():
        first_edge, first_gateway = rekeying.first[name]
        assert edge_time - first_edge >= 118, f"{name}: the edge has no newer session"
        assert gateway_time - first_gateway >= 118, f"{name}: the gateway has no newer session"


def test_renewal_loses_no_packet(rekeying):
    for name, ping in rekeying.pings.items():
        sent, received = ping.finish()
        # A last one may be on its way.
        assert sent - received <= 1, f"{name} lost {sent - received} of {sent} pings"
