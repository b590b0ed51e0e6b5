"""After two minutes every session is renewed, and nothing is lost by it."""

import pytest

pytestmark = pytest.mark.slow


def test_sessions_are_renewed_after_120_s(rekeying):
    ages = {}
    for name, now in rekeying.handshakes().items():
        ages[name] = tuple(later - first for first, later in zip(rekeying.first[name], now))
    # (edge, gateway): seconds between the first handshake and the last.
    assert {name: age for name, age in ages.items() if min(age) < 118} == {}


def test_renewal_loses_no_packet(rekeying):
    lost = {}
    for name, ping in rekeying.pings.items():
        sent, received = ping.finish()
        lost[name] = sent - received
    # A last one may be on its way.
    assert {name: count for name, count in lost.items() if count > 1} == {}
