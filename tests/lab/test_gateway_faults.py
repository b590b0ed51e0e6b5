"""What goes wrong around a gateway on AF_XDP: links, neighbours, routes, and others who use XDP. Whatever it is,
nothing leaks meanwhile, and it goes on by itself afterwards."""

import contextlib
import json
import os
import re
import signal
import sys
import time

import pytest

from arrangements import MACHINES, WORKERS, arranged
from pairs import make_pair
from ringway_lab import lasting, measure, nodes, path
from ringway_lab.lab import wait_until
from ringway_lab.topology import TUNNEL_PORT, OneArmed, SlowWires, Topology, WithoutNativeXdp

CHANGE_SECONDS = 3
CONNECTION_SECONDS = 15
KEPT_FRAMES = nodes.ROOT / "tests" / "vectors" / "hostile_frames.txt"
HOSTILE_RATE = 100_000  # frames a second
HOSTILE_SECONDS = 4  # all of them, and some again


def reaches(edge, address):
    return measure.can_ping(edge.namespace, address, timeout=1)


def wait_until_reached(edge, *addresses, timeout=CHANGE_SECONDS):
    for address in addresses:
        wait_until(lambda: reaches(edge, address), f"packets reach {address}", timeout)


@contextlib.contextmanager
def open_connection(topology, edge):
    """Through the NAT, from before what goes wrong, and it goes on afterwards: its next try comes as long after the end as
    it has lasted, at the latest."""
    lasting.start_server(topology.internet)
    connection = lasting.Connection(edge, topology.internet4, "echo")
    connection.wait_for_more("the connection carries data", CONNECTION_SECONDS)
    yield
    connection.wait_for_more("the connection goes on", CONNECTION_SECONDS)


def has_two_interfaces(topology, *_values):
    return len(topology.gateway_interfaces) == 2


def is_own_interface(topology, _workers, interface):
    return interface in topology.gateway_interfaces


def is_own_neighbour(topology, _workers, side):
    """With one interface the Internet is no neighbour."""
    return side == "tunnel" or has_two_interfaces(topology)


@arranged("topology, workers, side", [(Topology, 1, "Internet"), (Topology, 2, "tunnel")], MACHINES, WORKERS,
          ("Internet", "tunnel"), where=is_own_neighbour)
def test_neighbours_mac_address_may_change(topology, edge, operator, xdp_tunnel, side):
    """The neighbour announces it, as hosts and routers do; what the kernel learns counts here at once."""
    neighbour, interface = (topology.internet, "uplink") if side == "Internet" else (topology.router, "to-gateway")
    neighbour.sysctl(**{f"net__ipv4__conf__{interface}__arp_notify": 1,
                        f"net__ipv6__conf__{interface}__ndisc_notify": 1})
    neighbour.ip(f"link set address 02:00:00:00:00:77 dev {interface}")
    wait_until_reached(edge, topology.internet4, topology.internet6)


@contextlib.contextmanager
def port_down(topology, interface):
    """The kernel forgets IPv6 addresses and routes by an interface that goes down: whoever set them does so again."""
    address = {"wan": topology.wan6, "lan": topology.gateway6}[interface]
    routes = [(family, line) for family in (4, 6) for line in topology.gateway.run(
        "ip", f"-{family}", "route", "show", "dev", interface).out.splitlines() if "proto kernel" not in line]
    topology.gateway.ip(f"link set down dev {interface}")
    yield
    topology.gateway.ip(f"link set up dev {interface}", f"addr replace {address}/64 dev {interface} nodad")
    for family, line in routes:
        topology.gateway.ip(f"route replace {line} dev {interface}", family=family)


@arranged("topology, workers, interface", [(Topology, 1, "lan"), (Topology, 2, "wan")], MACHINES, WORKERS,
          ("lan", "wan"), where=is_own_interface)
def test_port_may_go_down_and_up(topology, edge, operator, xdp_tunnel, interface):
    with port_down(topology, interface):
        assert not reaches(edge, topology.internet4)
    wait_until_reached(edge, topology.internet4, topology.internet6)


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS)
def test_connection_survives_a_port_that_flaps(topology, edge, operator, xdp_tunnel):
    with open_connection(topology, edge), port_down(topology, "wan"):
        time.sleep(0.5)


def ways_to_far(topology):
    """A far host behind either interface; returns by interface what `ip route` calls the way, for each family."""
    far = topology.add_far_host(1500)
    topology.lab.link(topology.router, "to-far", far, "other")
    topology.router.ip("addr add 192.0.2.225/28 dev to-far", "addr add 2001:db8:5::1/64 dev to-far nodad",
                       "route add 192.0.2.240/28 via 192.0.2.226", "route add 2001:db8:4::/64 via 2001:db8:5::2")
    far.ip("addr add 192.0.2.226/28 dev other", "addr add 2001:db8:5::2/64 dev other nodad")
    topology.gateway.ip("route del 2001:db8:4::/64")
    return {"wan": (topology.internet4, topology.internet6), "lan": (topology.router4, topology.router6)}


def second_hops(topology, edge):
    """The routers behind the gateway, as traceroute shows them."""
    return tuple(edge.namespace.run("traceroute", "-n", "-q", 1, "-w", 1, "-f", 2, "-m", 2, address).out.split("\n")[1]
                 .split()[1] for address in (topology.far4, topology.far6))


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS, where=has_two_interfaces)
def test_route_changes_take_effect(topology, edge, operator, xdp_tunnel):
    """From one interface to the other, to nowhere, and back: of a prefix, and the default route."""
    gateway, _ = xdp_tunnel
    ways = ways_to_far(topology)

    def route(way, kind=""):
        via4, via6 = ways[way]
        topology.gateway.ip(f"route replace {kind} 192.0.2.240/28" + ("" if kind else f" via {via4}"))
        topology.gateway.ip(f"route replace {kind} default" + ("" if kind else f" via {via6}"), family=6)

    for way in ("wan", "lan", "wan"):
        route(way)
        wait_until(lambda: second_hops(topology, edge) == ways[way], f"packets go by {way}", CHANGE_SECONDS)
        wait_until_reached(edge, topology.far4, topology.far6)
        assert reaches(edge, topology.internet4)
    route("wan", "unreachable")
    for address in (topology.far4, topology.far6):
        wait_until(lambda: not reaches(edge, address), "packets have no way any more", CHANGE_SECONDS)
    assert gateway.drops()["unreachable"] >= 2
    route("wan")
    wait_until_reached(edge, topology.far4, topology.far6)


SECOND_ROUTER4, SECOND_ROUTER6 = "203.0.113.3", "2001:db8:2::3"


def add_second_router(topology):
    """The router once more, with addresses and a MAC address of their own; by `second` comes what is sent to it."""
    topology.router.sysctl(**{"net__ipv4__conf__to-gateway__arp_ignore": 1})  # each answers for itself
    topology.router.ip("link add link to-gateway name second type macvlan mode private", "link set second up",
                       f"addr add {SECOND_ROUTER4}/32 dev second", f"addr add {SECOND_ROUTER6}/128 dev second nodad")


@arranged("topology, workers", [(OneArmed, 2)], MACHINES, WORKERS, where=lambda *values: not has_two_interfaces(*values))
def test_default_route_may_move_to_another_router(topology, edge, operator, xdp_tunnel):
    add_second_router(topology)

    def route(via4, via6):
        topology.gateway.ip(f"route replace default via {via4}", f"route replace default via {via6}")

    by_second = {"second4": f'iifname "second" ip daddr {topology.internet4}',
                 "second6": f'iifname "second" ip6 daddr {topology.internet6}'}
    with open_connection(topology, edge), path.PathCounter(topology, **by_second) as counted:
        assert [counted[name] for name in by_second] == [0, 0]
        route(SECOND_ROUTER4, SECOND_ROUTER6)
        wait_until_reached(edge, topology.internet4, topology.internet6)
        wait_until(lambda: all(counted[name] > 0 for name in by_second), "packets go by the second router")
    for family in (4, 6):
        topology.gateway.ip("route replace unreachable default", family=family)
    for address in (topology.internet4, topology.internet6):
        wait_until(lambda: not reaches(edge, address), "packets have no way any more", CHANGE_SECONDS)
    for family, router in ((4, topology.router4), (6, topology.router6)):
        topology.gateway.ip("route del unreachable default", f"route replace default via {router}", family=family)
    wait_until_reached(edge, topology.internet4, topology.internet6)


def take_program_off(topology, interface):
    """As whoever may do everything can: the link by which the program is there is cut."""
    link = json.loads(topology.gateway.run("ip", "-j", "-d", "link", "show", "dev", interface).out)[0]
    links = json.loads(topology.lab.run("bpftool", "-j", "link").out)
    number, = [each["id"] for each in links if each.get("prog_id") == link["xdp"]["prog"]["id"]]
    topology.lab.run("bpftool", "link", "detach", "id", number)


def program_on(topology, interface):
    return "xdp" in topology.gateway.run("ip", "link", "show", "dev", interface).out


@arranged("topology, workers, interface", [(Topology, 1, "wan"), (OneArmed, 2, "wan"), (WithoutNativeXdp, 1, "lan")],
          MACHINES, WORKERS, ("lan", "wan"), where=is_own_interface)
def test_program_that_somebody_took_off_comes_back(topology, edge, operator, xdp_tunnel, interface):
    """A connection through the NAT lives on: the kernel, which has its packets meanwhile, keeps silent."""
    gateway, _ = xdp_tunnel
    with open_connection(topology, edge):
        take_program_off(topology, interface)
        wait_until(lambda: program_on(topology, interface), "the program is back", CHANGE_SECONDS)
        wait_until_reached(edge, topology.internet4, topology.internet6)
    assert gateway.status()["gateway"]["xdp_mode"] == topology.xdp_mode
    assert f"XDP program off {interface}" in gateway.log()


FOREIGN_PROGRAM = """
__attribute__((section("xdp"), used)) int pass_all(void *context) { return 2; }
char _license[] __attribute__((section("license"), used)) = "GPL";
"""


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS)
def test_program_of_somebody_else_is_named_and_outlived(topology, edge, operator, xdp_tunnel):
    """While another program has the interface, nothing comes from the Internet, and the kernel answers nobody: a
    connection lives on. The status says who it is."""
    gateway, _ = xdp_tunnel
    source, program = (topology.lab.directory / name for name in ("foreign.c", "foreign.o"))
    source.write_text(FOREIGN_PROGRAM)
    topology.lab.run("clang", "-target", "bpf", "-O2", "-c", source, "-o", program)
    way = {"native": "xdpdrv", "generic": "xdpgeneric"}[topology.xdp_mode]

    def status():
        return gateway.status()["gateway"]

    def put_on():
        """Unless the node was faster with its own."""
        if program_on(topology, "wan"):
            take_program_off(topology, "wan")
        return topology.gateway.run("ip", "link", "set", "dev", "wan", way, "object", program, "section", "xdp",
                                    check=False)

    with open_connection(topology, edge):
        wait_until(put_on, "the other program is there")
        wait_until(lambda: status()["xdp_mode"] == "off", "the status shows it", CHANGE_SECONDS)
        assert "pass_all" in status()["io_reason"] and "wan" in status()["io_reason"]
        assert "pass_all" in gateway.command("status").out
        assert not reaches(edge, topology.internet4)
        operator("beside the other program")
        topology.gateway.ip(f"link set dev wan {way} off")
        wait_until(lambda: status()["xdp_mode"] == topology.xdp_mode, "the program is back", CHANGE_SECONDS)
        wait_until_reached(edge, topology.internet4, topology.internet6)


def external_port(topology, port):
    """Where a TCP connection to the Internet's `port` comes from, as the Internet sees it."""
    ends = topology.internet.run("ss", "-Htn", "state", "established", f"( sport = :{port} )").out.split("\n")[0]
    return int(ends.split()[3].rsplit(":", 1)[1])


@arranged("topology, workers", [(Topology, 2)], MACHINES, WORKERS)
def test_full_rings_cost_packets_and_no_connection(topology, edge, operator, xdp_tunnel):
    """While the node does not run, the rings of both its ports fill up. What is lost is counted where it was lost."""
    gateway, _ = xdp_tunnel

    def losses():
        return {port["name"]: port["ring_losses"] for port in gateway.status()["ports"]}

    before = losses()
    assert set(before["wan"]) == {"rx_ring_full", "rx_fill_ring_empty", "rx_dropped", "rx_invalid", "tx_invalid"}
    with open_connection(topology, edge):
        senders = ((edge.namespace, topology.gateway4, TUNNEL_PORT),
                   (topology.internet, topology.wan4, external_port(topology, lasting.PORT)))
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            for namespace, address, port in senders:
                namespace.run("bash", "-c", f"exec 3>/dev/udp/{address}/{port}; for i in {{1..3000}}; do echo >&3; done",
                              check=False)
            operator("while the node does not run")
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
    after = losses()
    assert all(sum(after[name].values()) > sum(before[name].values()) for name in topology.gateway_interfaces), after
    assert all(counts == {} for name, counts in after.items() if name not in topology.gateway_interfaces)
    assert re.search(r"wan ring losses: rx_\w+ [1-9]", gateway.command("status").out)


FEW_FRAMES = 512
FLOOD = """
import socket, sys, time
end = time.monotonic() + float(sys.argv[1])
sockets = []
for target in sys.argv[2:]:
    s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((target, 9))
    sockets.append(s)
while time.monotonic() < end:
    for s in sockets:
        try:
            s.send(bytes(1200))
        except OSError:
            pass                     # an ICMP error of before
"""


@pytest.mark.load
@arranged("topology, workers", [(SlowWires, 1)], (SlowWires,), WORKERS)
def test_too_few_frames_cost_packets_and_no_connection(topology, edge, operator, workers):
    """All of them wait: in the transmit rings of slow wires, and for neighbours that do not answer. Whatever finds none
    is lost and counted; afterwards they are all there again, and at the end all come home."""
    gateway, node = make_pair(topology, edge, "ringway-aes", io=nodes.AF_XDP, workers=workers)
    gateway.spec.xdp_frames = FEW_FRAMES
    nobody = [f"198.51.100.{host}" for host in range(10, 60)]
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        with measure.BackgroundTcp(edge.namespace, topology.internet, topology.internet4, 6) as tcp:
            time.sleep(0.5)
            floods = [edge.namespace.start(sys.executable, "-c", FLOOD, 1.2, *targets)
                      for targets in (nobody, (topology.internet4, topology.internet6))]
            wait_until(lambda: not any(flood.running() for flood in floods), "the floods are over")
            wait_until_reached(edge, topology.internet4, topology.internet6)
            rates = tcp.finish()
        assert sum(rates[:4]) > 0 and sum(rates[-10:]) > 0, rates
        status = gateway.status()
        starved = sum(port["ring_losses"].get("rx_fill_ring_empty", 0) for port in status["ports"])
        drops = {reason: count for reason, count in status["drops"].items() if count}
        print(f"{starved} starved, {drops}")
        assert starved > 100 and drops["neighbour_pending"] > 100
        assert measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, 1) > 0.02
        assert gateway.stop() == 0
        assert "did not come home" not in gateway.log()


def hostile_frames(topology, side, live_port):
    """The file of all frames that lab-hostile-frames makes, as the neighbour on that side sends them: to a port of
    the NAT's that is in use, or to the tunnel's."""
    out = topology.lab.directory / f"hostile-{side}.frames"
    ends, port = {
        "Internet": ((topology.internet4, topology.internet6, topology.wan4, topology.wan6), live_port),
        "tunnel": ((topology.router4, topology.router6, topology.gateway4, topology.gateway6), TUNNEL_PORT)}[side]
    topology.lab.run(nodes.program("lab-hostile-frames"), out, KEPT_FRAMES, 1, *ends, measure.IPERF_PORT, port, port,
                     port, TUNNEL_PORT, *[address for edge in topology.edges.values() for address in (
                         edge.inner4, edge.inner6)], topology.gateway_inner4, topology.gateway_inner6)
    return out


@pytest.mark.load
@arranged("topology, workers, side", [(Topology, 1, "Internet"), (Topology, 1, "tunnel")], MACHINES, WORKERS,
          ("Internet", "tunnel"), where=has_two_interfaces)
def test_hostile_frames_do_no_harm(topology, edge, operator, xdp_tunnel, side):
    """By the hundred thousand, from the wire: the gateway drops and counts them, nobody gets what is not his, and
    it serves as before."""
    gateway, _ = xdp_tunnel
    sender = {"Internet": (topology.internet, "uplink"), "tunnel": (topology.router, "to-gateway")}[side]
    with measure.BackgroundTcp(edge.namespace, topology.internet, topology.internet4, 1):
        wait_until(lambda: topology.internet.run("ss", "-Htn", "state", "established").out, "the connection is there")
        frames = hostile_frames(topology, side, external_port(topology, measure.IPERF_PORT))
    before, memory = gateway.status(), nodes.pss_mb(gateway.pid)
    strangers = {"outside": f'iifname "uplink" ip saddr != {topology.wan4}',
                 "outside6": f'iifname "uplink" ip6 saddr != {{ {topology.wan6}, fe80::/10 }}'}
    foreign = {"inside": f'iifname "ringway0" ip daddr != {edge.inner4}',
               "inside6": f'iifname "ringway0" ip6 daddr != {edge.inner6}'}
    with path.PathCounter(topology, topology.internet, **strangers) as outside, \
            path.PathCounter(topology, edge.namespace, **foreign) as inside:
        with path.Flood(topology, nodes.program("lab-flood"), frames, HOSTILE_RATE, HOSTILE_SECONDS, sender) as flood:
            sent = json.loads(flood.finish())["sent"]
        wait_until_reached(edge, topology.internet4, topology.internet6)
        assert [outside[name] for name in strangers] == [0, 0]
        assert [inside[name] for name in foreign] == [0, 0]
    assert sent > 0.5 * HOSTILE_RATE * HOSTILE_SECONDS
    after = gateway.status()
    dropped = sum(after["drops"].values()) - sum(before["drops"].values())
    received, received_before = (sum(port["rx_packets"] for port in status["ports"]) for status in (after, before))
    print(f"{side}: {sent} sent, {received - received_before} taken, {dropped} dropped")
    assert 0.1 * sent < dropped <= received - received_before
    assert after["pid"] == before["pid"] and nodes.pss_mb(gateway.pid) < memory + 16
    assert measure.fetch_page(edge.namespace, topology.internet4) == topology.wan4
    assert measure.fetch_page(edge.namespace, topology.internet6) == topology.wan6
    assert measure.tcp_gbps(edge.namespace, topology.internet, topology.internet4, 1) > 0
