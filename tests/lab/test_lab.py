"""The laboratory itself: it removes what it made, its links carry super-packets, its capture sees leaks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringway_lab import leaks, measure, services, variants, wire
from ringway_lab.lab import Interrupted, Lab, LabError

EDGE4, GATEWAY4 = "192.0.2.2", "203.0.113.2"
EDGE6, GATEWAY6 = "2001:db8:a::2", "2001:db8:2::2"
MACS = (b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2")
DATA = bytes([4, 1, 0, 0]) + bytes(28)


def things_of(pid):
    """Namespaces and directories that belong to a run."""
    return [str(path) for directory, pattern in ((Path("/run/netns"), f"rw-{pid}-*"),
                                                 (Path("/tmp"), f"ringway-lab-{pid}-*"))
            for path in directory.glob(pattern)]


def children_of_lab(marker):
    """Processes whose environment carries the marker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("delay_s", [0, 0.1, 0.5, 2.5])
def test_demo_leaves_nothing_when_interrupted(number, status, delay_s):
    marker = f"RINGWAY_LAB_TEST={os.getpid()}-{time.monotonic_ns()}"
    environment = {**services.PACKAGE_ENVIRONMENT, **dict([marker.split("=")])}
    demo = subprocess.Popen(
        [sys.executable, "-m", "ringway_lab.demo", "--quick", "--only", "wireguard_go,plain"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    demo.stdout.readline()
    time.sleep(delay_s)
    demo.send_signal(number)
    demo.communicate(timeout=20)
    assert demo.returncode == status
    assert things_of(demo.pid) == []
    assert children_of_lab(marker) == []


def test_killed_run_is_cleaned_up_by_the_next():
    demo = subprocess.Popen(
        [sys.executable, "-m", "ringway_lab.demo", "--quick", "--only", "plain"],
        env=services.PACKAGE_ENVIRONMENT, stdout=subprocess.PIPE)
    for line in demo.stdout:
        if line.startswith(b"Round"):
            break
    demo.kill()
    demo.wait()
    demo.stdout.close()
    assert things_of(demo.pid) != []
    with Lab():
        assert things_of(demo.pid) == []


def test_lab_ends_its_processes_on_an_exception():
    before = things_of(os.getpid())
    with pytest.raises(LabError):
        with Lab() as lab:
            process = lab.namespace("one").start("sleep", "1000")
            raise LabError("out of luck")
    assert not process.running()
    assert things_of(os.getpid()) == before
    assert lab.leftovers == []


def test_signal_during_a_step_waits_for_its_registration():
    before = things_of(os.getpid())
    with pytest.raises(Interrupted):
        with Lab() as lab:
            os.kill(os.getpid(), signal.SIGTERM)
            lab.namespace("never")
    assert things_of(os.getpid()) == before


SEND_TRAIN = """
import socket
s = socket.socket(socket.AF_INET{v6}, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 1000)
s.sendto(bytes(20000), ({target!r}, 9999))
"""
RECEIVE_TRAIN = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(17, 104, 1)
s.bind(("::", 9999))
s.settimeout(5)
print("listening", flush=True)
data, ancillary, *_ = s.recvmsg(65535, 64)
print(len(data), int.from_bytes(ancillary[0][2], sys.byteorder))
"""


@pytest.mark.parametrize("family", [4, 6])
def test_udp_train_survives_the_way_from_edge_to_gateway(topology, edge, family):
    receiver = topology.gateway.start(sys.executable, "-c", RECEIVE_TRAIN, stdout=subprocess.PIPE, text=True)
    assert receiver.popen.stdout.readline() == "listening\n"
    edge.namespace.run(sys.executable, "-c", SEND_TRAIN.format(
        v6="6" if family == 6 else "", target=topology.gateway_address(family)))
    assert receiver.popen.stdout.readline().split() == ["20000", "1000"]


def test_internet_answers_only_the_gateways_address(topology, edge):
    topology.gateway.sysctl(net__ipv4__ip_forward=1)
    assert not measure.can_ping(edge.namespace, topology.internet4, timeout=1)
    topology.forward_and_masquerade()
    assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
    assert measure.fetch_page(edge.namespace, topology.internet6) == topology.wan6


def test_capture_reports_a_split_tunnel_as_a_leak(topology, edge):
    """wireguard-go with everything but IPv6 in the tunnel: the leak check has to object."""
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge)
    topology.forward_and_masquerade()
    with variants.WireguardGo(gateway_spec, "gateway"), variants.WireguardGo(edge_spec, "edge") as node:
        edge.namespace.ip(f"rule del not fwmark {node.mark} table {node.mark}", family=6)
        with leaks.Capture(topology.router, edge) as capture:
            list(leaks.traffic(topology, edge))
            findings = leaks.Judge((edge.outer4, edge.outer6), (GATEWAY4, GATEWAY6)).judge(capture.finish())
        edge.namespace.ip(f"rule add not fwmark {node.mark} table {node.mark}", family=6)
    assert findings.tunnel > 0
    assert findings.leaks
    assert all(edge.outer6 in leak for leak in findings.leaks)


def udp(source, target, source_port=leaks.EDGE_PORT, target_port=leaks.TUNNEL_PORT, payload=DATA):
    return wire.udp_frame(MACS, source, target, source_port, target_port, payload)


def icmp6(kind, hop_limit):
    frame = bytearray(udp(EDGE6, GATEWAY6))
    frame[20], frame[21], frame[54] = 58, hop_limit, kind
    return bytes(frame)


def fragment():
    frame = bytearray(udp(EDGE4, GATEWAY4))
    frame[20] = 0x20
    return bytes(frame)


FRAMES = {
    "data to the gateway": (udp(EDGE4, GATEWAY4), "tunnel"),
    "data to the gateway over IPv6": (udp(EDGE6, GATEWAY6), "tunnel"),
    "data from the gateway": (udp(GATEWAY4, EDGE4, leaks.TUNNEL_PORT, leaks.EDGE_PORT), "tunnel"),
    "an initiation": (udp(EDGE4, GATEWAY4, payload=wire.initiation()), "tunnel"),
    "another source port": (udp(EDGE4, GATEWAY4, source_port=4000), "leak"),
    "another target port": (udp(EDGE4, GATEWAY4, target_port=53), "leak"),
    "another target": (udp(EDGE4, "198.51.100.2"), "leak"),
    "no message of the tunnel": (udp(EDGE4, GATEWAY4, payload=b"GET / HTTP/1.1\r\n"), "leak"),
    "an unknown suite": (udp(EDGE4, GATEWAY4, payload=bytes([4, 2, 0, 0]) + bytes(28)), "leak"),
    "a fragment": (fragment(), "leak"),
    "neighbour solicitation": (icmp6(135, 255), "maintenance"),
    "neighbour solicitation from afar": (icmp6(135, 64), "leak"),
    "a listener report": (icmp6(143, 1), "maintenance"),
    "an echo request over IPv6": (icmp6(128, 64), "leak"),
    "ARP": (MACS[1] + MACS[0] + b"\x08\x06" + bytes(28), "maintenance"),
    "an unknown protocol": (MACS[1] + MACS[0] + b"\x88\xcc" + bytes(46), "leak"),
    "a frame that is too short": (b"\0" * 10, "leak"),
}


@pytest.mark.parametrize("what", FRAMES)
def test_judge(what):
    frame, verdict = FRAMES[what]
    findings = leaks.Judge((EDGE4, EDGE6), (GATEWAY4, GATEWAY6)).judge([frame])
    counts = {"tunnel": findings.tunnel, "leak": len(findings.leaks),
              "maintenance": sum(findings.maintenance.values())}
    assert counts == {**dict.fromkeys(counts, 0), verdict: 1}, what


def test_demo_writes_what_it_measured(tmp_path):
    target = tmp_path / "demo.json"
    result = subprocess.run(
        [sys.executable, "-m", "ringway_lab.demo", "--quick", "--only", "plain,wireguard_go",
         "--json", target], env=services.PACKAGE_ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads(target.read_text())
    for key in ("plain", "wireguard_go"):
        assert report[key]["ping"] is True and report[key]["page"] is True
        assert all(report[key][metric] > 0 for metric in
                   ("tcp_up_gbps", "tcp_down_gbps", "udp64_kpps", "rtt_us"))
    assert "\033" not in result.stdout
