"""What a capture on an edge's outer link shows outside the tunnel.

The capture runs at the access network's end of the link, as an observer on the path would have it.
Every packet must be one of WireGuard's (or Ringway's) datagrams between the edge's and the gateway's
tunnel ports. Excepted and counted by name: what a link needs to work at all (ARP, IPv6 neighbour and
router discovery, multicast listener reports). Anything else is a leak.
"""

import collections
import contextlib
import ipaddress
import itertools
import signal
import struct
import subprocess
from dataclasses import dataclass, field

from . import measure
from .lab import LabError, wait_until
from .topology import EDGE_PORT, TUNNEL_PORT

SNAP_BYTES = 256
LINK_TYPE_ETHERNET = 1
ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0806, 0x0800, 0x86DD
PROTOCOL_HOP_BY_HOP, PROTOCOL_UDP, PROTOCOL_ICMPV6 = 0, 17, 58
NEIGHBOUR_DISCOVERY = range(133, 138)  # RFC 4861
LISTENER_REPORTS = (130, 131, 132, 143)  # RFC 2710, RFC 3810
MESSAGE_TYPES = (1, 2, 3, 4)
SUITES = (0, 1)

@dataclass
class Findings:
    """`tunnel` counts the tunnel's datagrams, `maintenance` the excepted packets by name, `leaks` describes
    the others."""
    tunnel: int = 0
    maintenance: collections.Counter = field(default_factory=collections.Counter)
    leaks: list = field(default_factory=list)

    def add(self, other):
        self.tunnel += other.tunnel
        self.maintenance += other.maintenance
        self.leaks += other.leaks


def packets(pcap):
    """The Ethernet frames of a pcap file (as far as captured)."""
    if len(pcap) < 24:
        raise LabError("the capture is empty: tcpdump wrote no header")
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(pcap[:4])
    if order is None or struct.unpack_from(order + "I", pcap, 20)[0] != LINK_TYPE_ETHERNET:
        raise LabError("the capture is not a pcap file of Ethernet frames")
    offset = 24
    while offset + 16 <= len(pcap):
        captured, = struct.unpack_from(order + "I", pcap, offset + 8)
        offset += 16
        yield pcap[offset:offset + captured]
        offset += captured


class Judge:
    """Sorts frames into tunnel, link maintenance and leaks."""

    def __init__(self, edge_addresses, gateway_addresses, edge_port=EDGE_PORT, gateway_port=TUNNEL_PORT):
        self._ends = set()
        for edge, gateway in zip(edge_addresses, gateway_addresses):
            one = ipaddress.ip_address(edge).packed, edge_port
            other = ipaddress.ip_address(gateway).packed, gateway_port
            self._ends |= {(one, other), (other, one)}

    def judge(self, frames):
        findings = Findings()
        for frame in frames:
            name = self._maintenance(frame)
            if name:
                findings.maintenance[name] += 1
            elif self._is_tunnel(frame):
                findings.tunnel += 1
            else:
                findings.leaks.append(describe(frame))
        return findings

    def _maintenance(self, frame):
        ethertype = _ethertype(frame)
        if ethertype == ETHERTYPE_ARP:
            return "ARP"
        if ethertype != ETHERTYPE_IPV6:
            return None
        protocol, offset = _ipv6_payload(frame)
        if protocol != PROTOCOL_ICMPV6 or offset >= len(frame):
            return None
        if frame[offset] in NEIGHBOUR_DISCOVERY and frame[21] == 255:
            return "neighbour discovery"
        if frame[offset] in LISTENER_REPORTS and frame[21] == 1:
            return "multicast listener report"
        return None

    def _is_tunnel(self, frame):
        ethertype = _ethertype(frame)
        if ethertype == ETHERTYPE_IPV4:
            # A fragment hides its ports; the tunnel never needs one.
            if frame[23] != PROTOCOL_UDP or struct.unpack_from("!H", frame, 20)[0] & 0x3FFF:
                return False
            source, target, offset = frame[26:30], frame[30:34], 14 + (frame[14] & 15) * 4
        elif ethertype == ETHERTYPE_IPV6 and frame[20] == PROTOCOL_UDP:
            source, target, offset = frame[22:38], frame[38:54], 54
        else:
            return False
        if len(frame) < offset + 12:
            return False
        source_port, target_port = struct.unpack_from("!HH", frame, offset)
        kind, suite, zero = struct.unpack_from("!BBH", frame, offset + 8)
        return (((source, source_port), (target, target_port)) in self._ends
                and kind in MESSAGE_TYPES and suite in SUITES and zero == 0)


def _ethertype(frame):
    return struct.unpack_from("!H", frame, 12)[0] if len(frame) >= 34 else None


def _ipv6_payload(frame):
    """Protocol and offset behind the IPv6 header and, if there is one, its hop-by-hop options."""
    if len(frame) < 62:
        return None, 0
    if frame[20] == PROTOCOL_HOP_BY_HOP:
        return frame[54], 54 + 8 + frame[55] * 8
    return frame[20], 54


def describe(frame):
    ethertype = _ethertype(frame)
    if ethertype == ETHERTYPE_IPV4:
        source, target, protocol = frame[26:30], frame[30:34], frame[23]
        offset = 14 + (frame[14] & 15) * 4
    elif ethertype == ETHERTYPE_IPV6:
        source, target = frame[22:38], frame[38:54]
        protocol, offset = _ipv6_payload(frame)
    else:
        return f"Ethernet frame of type {ethertype and hex(ethertype)}"
    text = f"{ipaddress.ip_address(source)} > {ipaddress.ip_address(target)}, protocol {protocol}"
    if protocol in (6, PROTOCOL_UDP) and len(frame) >= offset + 4:
        text += ", ports %d > %d" % struct.unpack_from("!HH", frame, offset)
    return text


class Capture:
    """tcpdump on the router's end of an edge's link, from its first packet to its last."""

    end_marker = b"end of the capture"

    def __init__(self, router, edge):
        self.router = router
        self.edge = edge
        self.path = router.lab.directory / f"{edge.router_interface}.pcap"

    def __enter__(self):
        self.process = self.router.start(
            "tcpdump", "-i", self.edge.router_interface, "-w", self.path, "-U", "-s", SNAP_BYTES,
            "-B", 16384, "-Z", "root", stderr=subprocess.PIPE, text=True)
        line = self.process.popen.stderr.readline()
        while line and "listening on" not in line:
            line = self.process.popen.stderr.readline()
        if not line:
            raise LabError(f"tcpdump on {self.edge.router_interface} did not start")
        return self

    def __exit__(self, *_exception):
        self.process.stop()

    def finish(self):
        """Ends the capture; returns its frames. LabError if the kernel dropped any: nothing may be missed.

        The router sends a last packet that is the mark of the end: once that is in the file, so is
        everything before it, however long the kernel's buffer kept it.
        """
        send_datagrams(self.router, self.edge.outer4, 9, self.end_marker.decode())
        wait_until(lambda: self.end_marker in self.path.read_bytes()[-65536:], "the capture ends")
        self.process.send_signal(signal.SIGINT)
        _, text = self.process.popen.communicate(timeout=10)
        dropped = [line for line in text.splitlines() if "dropped by kernel" in line]
        if not dropped or not dropped[0].startswith("0 "):
            raise LabError(f"the capture on {self.edge.router_interface} missed packets: {text.strip()}")
        return list(itertools.takewhile(lambda frame: self.end_marker not in frame,
                                        packets(self.path.read_bytes())))


def traffic(topology, edge):
    """Everything that must go through the tunnel: yields (what, whether it worked)."""
    namespace = edge.namespace
    for version, internet, gateway, resolver in (
            ("IPv4", topology.internet4, topology.gateway4, topology.router4),
            ("IPv6", topology.internet6, topology.gateway6, topology.router6)):
        yield f"{version} ping", measure.can_ping(namespace, internet, count=5)
        yield f"{version} page", measure.fetch_page(namespace, internet) is not None
        yield f"{version} DNS", measure.look_up(namespace, internet)
        yield f"{version} UDP", send_datagrams(namespace, internet, 4000)
        yield f"{version} ping of the gateway's public address", measure.can_ping(namespace, gateway, count=5)
        yield f"{version} UDP to the gateway's tunnel port", send_datagrams(namespace, gateway, TUNNEL_PORT)
        # The gateway may refuse these; what counts is that they do not go outside.
        measure.fetch_page(namespace, gateway, timeout=1)
        send_datagrams(namespace, resolver, 53)
    yield "TCP load", measure.tcp_gbps(namespace, topology.internet, topology.internet4, 1) > 0


def send_datagrams(namespace, address, port, text="is this outside?"):
    """Datagrams that nobody needs to answer, from a shell: bash's /dev/udp."""
    return bool(namespace.run("bash", "-c", "for i in 1 2 3; do echo \"$2\" > /dev/udp/$0/$1; done",
                              address, port, text, check=False))


def check_control(topology, edge):
    """Without a tunnel the capture must report the edge's packets as leaks, or it proves nothing."""
    with Capture(topology.router, edge) as capture:
        for address in (topology.internet4, topology.internet6):
            measure.can_ping(edge.namespace, address, timeout=1)
        send_datagrams(edge.namespace, topology.gateway4, TUNNEL_PORT)
        findings = _judge_for(topology, edge).judge(capture.finish())
    for protocol in ("protocol 1", "protocol 58", "protocol 17"):
        if not any(protocol in leak for leak in findings.leaks):
            raise LabError(f"the capture is blind: a packet of {protocol} outside the tunnel went unseen")
    return len(findings.leaks)


def check_variant(topology, variant, outer_family=4, io=None):
    """Runs the traffic through a variant under capture; returns Findings. The control comes first."""
    check_control(topology, topology.edges[variant.edge_name])
    with contextlib.ExitStack() as stack:
        edge = stack.enter_context(variant.running(topology, outer_family, io))
        capture = stack.enter_context(Capture(topology.router, edge))
        failed = [what for what, worked in traffic(topology, edge) if not worked]
        findings = _judge_for(topology, edge).judge(capture.finish())
    if failed:
        raise LabError(f"{variant.title}: did not work through the tunnel: {', '.join(failed)}")
    if findings.tunnel == 0:
        raise LabError(f"{variant.title}: the capture saw no packet of the tunnel at all")
    return findings


def _judge_for(topology, edge):
    return Judge((edge.outer4, edge.outer6), (topology.gateway4, topology.gateway6))
