"""What a flood of initiations leaves of an established tunnel's rate. A benchmark: its figures depend on how
busy the machine is, so the tests do not run it. By hand, on a machine with nothing else to do:

    sudo python3 -m pytest -s tests/lab/bench_flood.py

One TCP stream runs all the while, and rounds of three slices take turns: no flood, the flood beside the gateway,
the flood at it. What is compared so was measured within seconds. Without TCP, what a datagram of the flood costs
in processor time, of the gateway's and of the kernel's receive path, which runs in the attacker's.
"""
import statistics
import struct
import time
from pathlib import Path

import pytest

from ringway_lab import measure, path, wire
from ringway_lab.topology import TUNNEL_PORT
from test_flood import RATE, flooder, frames, random_initiations, tunnel  # noqa: F401 (fixtures)

KEPT_SHARE = 0.8
ROUNDS = 10
SLICE_SECONDS = 1.2
START_SECONDS = 0.4  # until flood and TCP have settled beside each other
KINDS = ["wrong mac1", "valid mac1"]
DEAD_PORT = TUNNEL_PORT + 7


def diverted(flood_frames):
    """The same frames, but for a port where nobody is: what the flood costs the machine, and not Ringway.

    Attacker and path share the cores with the tunnel here. The comparison leaves their share out.
    """
    offset = 14 + 20 + 2
    return [frame[:offset] + struct.pack("!H", DEAD_PORT) + frame[offset + 2:] for frame in flood_frames]


@pytest.fixture
def floods(topology, flooder, tunnel, request):
    """By where they go, files of frames. The dead port's are dropped in silence and no flow to conntrack."""
    gateway, _ = tunnel
    flood_frames = frames(topology, random_initiations(gateway.spec.keys.public if request.param == "valid mac1" else None))
    topology.gateway.nft("table inet rw_lab_quiet {\n"
                         f"chain early {{\ntype filter hook prerouting priority -300\nudp dport {DEAD_PORT} notrack\n}}\n"
                         f"chain input {{\ntype filter hook input priority 0\nudp dport {DEAD_PORT} drop\n}}\n}}\n")
    files = {}
    for name, content in (("under", flood_frames), ("beside", diverted(flood_frames))):
        files[name] = topology.lab.directory / f"{name}.frames"
        wire.write_frames(files[name], content)
    return files


def received_bytes(topology):
    return int(topology.internet.run("cat", "/sys/class/net/uplink/statistics/rx_bytes").out)


def cpu_seconds(process):
    """Of all threads, since they started."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat")) / 1e9


def slice_gbps(topology):
    time.sleep(START_SECONDS)
    start, before = time.monotonic(), received_bytes(topology)
    time.sleep(SLICE_SECONDS)
    return (received_bytes(topology) - before) * 8 / (time.monotonic() - start) / 1e9


def flood_seconds(rounds=1):
    return int(rounds * (SLICE_SECONDS + START_SECONDS)) + 2


@pytest.mark.load
@pytest.mark.parametrize("floods", KINDS, indirect=True)
def test_tunnel_keeps_its_rate_under_a_flood_of_initiations(topology, edge, tunnel, flooder, floods):
    gateway, _ = tunnel
    rates = {"alone": [], "beside": [], "under": []}
    with measure.BackgroundTcp(edge.namespace, topology.internet, topology.internet4, flood_seconds(3 * ROUNDS) + ROUNDS):
        time.sleep(START_SECONDS)
        for _ in range(ROUNDS):
            rates["alone"].append(slice_gbps(topology))
            for kind in ("beside", "under"):
                with path.Flood(topology, flooder, floods[kind], RATE, flood_seconds()):
                    rates[kind].append(slice_gbps(topology))
    medians = {kind: statistics.median(column) for kind, column in rates.items()}
    print("TCP " + ", ".join(f"{value:.2f} Gbit/s {kind}" for kind, value in medians.items()))
    kept = {}
    for kind in ("beside", "alone"):
        shares = sorted(under / other for under, other in zip(rates["under"], rates[kind]))
        kept[kind] = statistics.median(shares)
        print(f"kept of {kind}: {kept[kind]:.2f}, of single rounds {' '.join(f'{share:.2f}' for share in shares)}")
    assert sum(gateway.drops()[reason] for reason in ("bad_mac1", "cookie_demanded")) > 0.9 * RATE * SLICE_SECONDS * ROUNDS
    assert kept["beside"] >= KEPT_SHARE


@pytest.mark.load
@pytest.mark.parametrize("floods", KINDS, indirect=True)
def test_cost_of_a_flood_datagram(topology, tunnel, flooder, floods):
    gateway, _ = tunnel
    costs = {"beside": [], "under": []}
    for _ in range(ROUNDS):
        for kind, column in costs.items():
            with path.Flood(topology, flooder, floods[kind], RATE, flood_seconds()) as flood:
                time.sleep(START_SECONDS)
                before = cpu_seconds(gateway.process), cpu_seconds(flood.process), time.monotonic()
                time.sleep(SLICE_SECONDS)
                after = cpu_seconds(gateway.process), cpu_seconds(flood.process), time.monotonic()
            own, path_and_sender, seconds = (b - a for a, b in zip(before, after))
            column.append((own / seconds / RATE * 1e6, path_and_sender / seconds / RATE * 1e6))
    for kind, column in costs.items():
        own, path_and_sender = (min(values) for values in zip(*column))
        print(f"{kind}: gateway {own:.2f} µs a datagram, attacker and path {path_and_sender:.2f} (least of {ROUNDS})")
