"""A gateway that forwards and translates by itself on AF_XDP: everything works as with the kernel's help, and the
kernel has no part in it."""

import hashlib
import json
import re
import signal
import subprocess
import sys
import time

import pytest

from pairs import make_pair
from ringway_lab import leaks, measure, nodes, path, wire
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AF_XDP
from ringway_lab.topology import OneArmed, SlowWires, Topology, WithoutNativeXdp


def pings(edge, address, *options, count=3):
    return edge.namespace.run("ping", "-n", "-c", count, "-i", "0.05", "-W", 1, *options, address, check=False)


def test_status_shows_where_packets_were_steered(topology, edge, xdp_tunnel):
    gateway, _ = xdp_tunnel
    assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
    steering = {port["name"]: port["steering"] for port in gateway.status()["ports"]}
    assert steering["lan"]["tunnel"] > 0 and steering["wan"]["nat_port"] > 0
    assert steering["lan"]["transit"] == steering["wan"]["transit"] == 0
    assert steering["inner"] == {}
    assert re.search(r"wan steering: .*nat_port [1-9]", gateway.command("status").out)


def test_kernel_forwards_nothing_meanwhile(topology, xdp_tunnel):
    assert not topology.kernel_forwards()


@pytest.mark.parametrize("size", [1, 1372, 1393, 4000])
def test_packets_of_every_size_pass(topology, edge, xdp_tunnel, size):
    for address in (topology.internet4, topology.internet6):
        result = pings(edge, address, "-s", size)
        assert result, result.out


def test_trace_shows_the_gateway(topology, edge, xdp_tunnel):
    for address, gateway in ((topology.internet4, topology.gateway_inner4),
                             (topology.internet6, topology.gateway_inner6)):
        out = pings(edge, address, "-t", 1, count=1).out
        assert re.search(rf"From {re.escape(gateway)}.*(Time to live|Hop limit)", out), out


def test_senders_are_told_of_a_narrower_link(topology, edge):
    topology.gateway.ip("link set mtu 1300 dev wan")
    gateway, node = make_pair(topology, edge, "ringway-aes", io=AF_XDP)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        for address in (topology.internet4, topology.internet6):
            out = pings(edge, address, "-M", "do", "-s", 1330, count=1).out
            assert re.search("mtu ?[=:]? ?1300", out), out
        assert measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, 1) > 0
    topology.gateway.ip("link set mtu 1500 dev wan")


def test_gateway_answers_pings_and_nothing_else(topology, edge, xdp_tunnel):
    gateway, _ = xdp_tunnel
    for address in (topology.gateway_inner4, topology.gateway_inner6, topology.gateway4, topology.wan4):
        assert pings(edge, address), address
    before = gateway.drops()["host_denied"]
    edge.namespace.run("curl", "-s", "--max-time", 1, f"http://{topology.gateway_inner4}:22/", check=False)
    assert gateway.drops()["host_denied"] > before


LISTEN = """
import socket
s = socket.create_server(("", 2222))
print("listening", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"SSH-2.0-lab\\r\\n")
    c.close()
"""


def test_hosts_own_services_are_left_alone(topology, edge, xdp_tunnel):
    """As sshd would be: on the same addresses, from both sides, while packets are taken past the kernel."""
    server = topology.gateway.start(sys.executable, "-c", LISTEN, stdout=subprocess.PIPE)
    assert server.popen.stdout.readline() == b"listening\n"
    for namespace, address in ((topology.internet, topology.wan4), (topology.router, topology.gateway4)):
        got = namespace.run("bash", "-c", f"exec 3<>/dev/tcp/{address}/2222; head -c 7 <&3", check=False)
        assert got.out == "SSH-2.0", address
    assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4


RECEIVE_DATAGRAMS = """
import hashlib, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("", 2223))
print("listening", flush=True)
while True:
    print(hashlib.sha256(s.recv(65536)).hexdigest(), flush=True)
"""
PIECE_BYTES = 1000
ORDERS = ((0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1))  # of a datagram's four fragments


@pytest.mark.parametrize("topology, mode", [(Topology, "native"), (WithoutNativeXdp, "generic")], indirect=["topology"])
def test_hosts_own_datagrams_arrive_in_fragments_of_any_order(topology, edge, xdp_tunnel, mode):
    """On the NAT's own addresses: what reached the gateway before it could be told for the kernel's goes back to it."""
    gateway, _ = xdp_tunnel
    assert gateway.status()["gateway"]["xdp_mode"] == mode
    heard = topology.lab.directory / "heard"
    with heard.open("wb") as out:
        topology.gateway.start(sys.executable, "-c", RECEIVE_DATAGRAMS, stdout=out)
    wait_until(lambda: heard.read_text() == "listening\n", "the receiver listens")
    macs = wire.mac_address(topology.internet, "uplink"), wire.mac_address(topology.gateway, "wan")
    wanted = ["listening"]
    for source, target in ((topology.internet4, topology.wan4), (topology.internet6, topology.wan6)):
        for number, order in enumerate(ORDERS):
            payload = bytes([number]) * (len(order) * PIECE_BYTES - wire.UDP_HEADER_BYTES)
            parts = wire.in_fragments(wire.udp_frame(macs, source, target, 999, 2223, payload), 77 + number, PIECE_BYTES)
            path.send_frames(topology.internet, "uplink", [parts[at] for at in order])
            wanted.append(hashlib.sha256(payload).hexdigest())
            wait_until(lambda: heard.read_text().split() == wanted, f"the datagram arrives, sent as {order}", 2)
    steering = {port["name"]: port["steering"] for port in gateway.status()["ports"]}["wan"]
    assert steering["kernel_fragment"] > 0 and steering["given_back"] > 0 and steering["not_given_back"] == 0
    # A subscriber's fragments come and go by the same address.
    assert pings(edge, topology.internet4, "-s", 4000) and pings(edge, topology.internet6, "-s", 4000)


def nat_identifier(gateway):
    """One that is the NAT's by its number, and no mapping's."""
    taken = {int(mapping["external"].rsplit(":", 1)[1]) for mapping in json.loads(gateway.command("nat", "--json").out)}
    return next(number for number in range(25_000, 26_000) if number not in taken)


@pytest.mark.parametrize("topology", [OneArmed, WithoutNativeXdp], indirect=True)
def test_hosts_own_pings_are_answered_whatever_their_identifier(topology, edge, xdp_tunnel):
    """They draw it from all numbers, the NAT's among them. So do those whose answer is an error."""
    gateway, _ = xdp_tunnel
    options = ("-n", "-c", 3, "-i", 0.05, "-W", 1, "-e", nat_identifier(gateway))
    for address in (topology.internet4, topology.internet6):
        assert topology.gateway.run("ping", *options, address)
        assert topology.gateway.run("ping", *options, "-s", 4000, address)
        if isinstance(topology, OneArmed):
            out = topology.gateway.run("ping", *options, "-t", 1, address, check=False).out
            assert re.search("Time to live exceeded|Hop limit", out), out
    assert pings(edge, topology.internet4) and pings(edge, topology.internet6)


BURST_PACKETS = 600  # more than the device takes at once
SEND_BURST = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 2222))
for _ in range({BURST_PACKETS}):
    s.send(bytes(1200))
"""
RECEIVE_BURST = f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
s.bind(("", 2222))
s.settimeout(10)
print("listening", flush=True)
times = []
while len(times) < {BURST_PACKETS}:
    s.recv(1500)
    times.append(time.monotonic())
print(times[-1] - times[0], flush=True)
"""


@pytest.mark.parametrize("topology", [SlowWires], indirect=True)
def test_what_waits_for_a_slow_link_leaves_though_nothing_else_comes(topology, edge, xdp_tunnel):
    receiver = topology.internet.start(sys.executable, "-c", RECEIVE_BURST, stdout=subprocess.PIPE, text=True)
    assert receiver.popen.stdout.readline() == "listening\n"
    edge.namespace.run(sys.executable, "-c", SEND_BURST, topology.internet4)
    wire_seconds = BURST_PACKETS * 1250 * 8 / (SlowWires.mbps * 1e6)
    assert float(receiver.popen.stdout.readline()) < 5 * wire_seconds


def test_nothing_leaves_the_edge_outside_the_tunnel(topology, edge, xdp_tunnel):
    with leaks.Capture(topology.router, edge) as capture:
        failed = [what for what, worked in leaks.traffic(topology, edge) if not worked]
        judge = leaks.Judge((edge.outer4, edge.outer6), (topology.gateway4, topology.gateway6))
        assert judge.judge(capture.finish()).leaks == []
    assert failed == []


def test_stop_takes_everything_back(topology, edge):
    before = edge.namespace.state(), topology.gateway.state()
    gateway, node = make_pair(topology, edge, "ringway-aes", io=AF_XDP)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        assert "xdp" in topology.gateway.run("ip", "link", "show", "dev", "wan").out
        assert gateway.stop() == 0
        assert "xdp" not in topology.gateway.run("ip", "link", "show", "dev", "wan").out
    assert (edge.namespace.state(), topology.gateway.state()) == before


def test_crash_answers_nobody_and_a_restart_goes_on(topology, edge):
    gateway, node = make_pair(topology, edge, "ringway-aes", io=AF_XDP)
    before = topology.gateway.state()
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        gateway.stop(signal.SIGKILL)
        # A segment to a port of the NAT: the kernel keeps silent instead of ending the connection.
        silent = topology.internet.run("timeout", 1, "bash", "-c", f"exec 3<>/dev/tcp/{topology.wan4}/25000",
                                       check=False)
        assert silent.status == 124, "the kernel answered for the NAT's port"
        time.sleep(0.2)
        gateway.start()
        wait_until(lambda: measure.can_ping(edge.namespace, topology.internet4, timeout=1),
                   "the tunnel carries packets again", 25)
    assert topology.gateway.state() == before


@pytest.mark.load
def test_idle_gateway_costs_nearly_nothing(xdp_tunnel):
    gateway, _ = xdp_tunnel
    time.sleep(2)
    before = nodes.cpu_seconds(gateway.pid)
    time.sleep(5)
    assert nodes.cpu_seconds(gateway.pid) - before < 0.05


def test_interface_with_more_queues_than_are_served_is_refused(topology, edge):
    topology.lab.run("ip", "-n", topology.gateway.name, "link", "add", "many", "numrxqueues", "9", "numtxqueues", "9",
                     "type", "veth", "peer", "name", "many-peer")
    gateway, _ = make_pair(topology, edge, "ringway-aes", io=AF_XDP)
    gateway.write_configuration(gateway.configuration().replace('"wan"', '"many"'))
    result = gateway.run_to_end()
    assert result.status > 0
    assert "many has 9 receive queues" in result.out + result.err
    assert "ethtool -L many combined 8" in result.out + result.err


@pytest.mark.parametrize("topology, why", [(OneArmed, "wan (veth) has no AF_XDP zero-copy"),
                                           (Topology, "addresses on lan too")], indirect=["topology"])
def test_auto_says_why_it_leaves_a_gateway_to_the_kernel(topology, edge, why):
    gateway, node = make_pair(topology, edge, "ringway-aes", io="auto")
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        status = gateway.status()["gateway"]
        assert (status["io"], status["nat"]) == ("kernel", "kernel")
        assert why in status["io_reason"]
        assert f"by the kernel ({status['io_reason']})" in gateway.command("status").out
        assert f'gateway.io = "auto" takes kernel: {status["io_reason"]}' in gateway.log()
        assert "next start" not in gateway.command("reload").out
