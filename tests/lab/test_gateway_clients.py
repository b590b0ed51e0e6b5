"""Real clients behind a gateway on AF_XDP: what people do on the Internet works through its NAT."""

import contextlib
import re
import statistics
import subprocess
import sys
import time

import pytest

from arrangements import FAMILIES, MACHINES, WORKERS, arranged
from pairs import check_full_tunnel, check_hole_punching, make_pair
from ringway_lab import measure, servers, services, variants
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, AF_XDP, Ringway
from ringway_lab.topology import OneArmed, OneArmedWithoutNativeXdp, Topology, WithoutNativeXdp

FAR_MTU = 1300
LONG_ANSWER_BYTES = 3000  # several fragments

FULL_TUNNELS = [
    (Topology, "ringway-aes", 1, 4),
    (Topology, "ringway-aes", 2, 6),
    (Topology, "ringway-chacha", 2, 4),
    (Topology, "stock-ringway", 1, 6),
    (OneArmed, "ringway-aes", 1, 6),
    (OneArmed, "stock-ringway", 2, 4),
    (WithoutNativeXdp, "ringway-aes", 2, 4),
    (WithoutNativeXdp, "stock-ringway", 1, 6),
    (OneArmedWithoutNativeXdp, "ringway-aes", 2, 4),
    (OneArmedWithoutNativeXdp, "ringway-chacha", 1, 6),
]


@arranged("topology, pair, workers, outer_family", FULL_TUNNELS, MACHINES,
          ("ringway-aes", "ringway-chacha", "stock-ringway"), WORKERS, FAMILIES)
def test_full_tunnel_carries_ipv4_and_ipv6(topology, edge, pair, workers, outer_family):
    gateway, node = make_pair(topology, edge, pair, io=AF_XDP, workers=workers, outer_family=outer_family)
    with gateway, node:
        check_full_tunnel(topology, edge)
        for address in (topology.internet4, topology.internet6):
            assert measure.udp_kpps(edge.namespace, topology.internet, address, 1, 1000) > 0
        status = gateway.status()["gateway"]
        assert (status["io"], status["xdp_mode"], status["nat"]) == ("af_xdp", topology.xdp_mode, "ringway")
        wait_until(lambda: gateway.status()["gateway"]["mappings"] > 0, "the status counts mappings")


def dig(edge, server, *words):
    return edge.namespace.run("dig", "+short", "+tries=2", "+time=1", f"@{server}", *words, check=False).out.strip()


def check_names(topology, edge):
    """Short answers, answers in fragments, and answers over TCP because they were cut short."""
    long_answer = "x" * 250
    texts = [f"--txt-record=long.example,{long_answer}{n}" for n in range(LONG_ANSWER_BYTES // len(long_answer))]
    servers.start_names(topology.internet, servers.NAME_PORT, "--host-record=short.example,192.0.2.9,2001:db8::9",
                        *texts)
    for server in (topology.internet4, topology.internet6):
        words = ["-p", servers.NAME_PORT]
        assert dig(edge, server, *words, "short.example", "A") == "192.0.2.9"
        assert dig(edge, server, *words, "short.example", "AAAA") == "2001:db8::9"
        assert dig(edge, server, *words, "+tcp", "short.example", "A") == "192.0.2.9"
        for options in (["+bufsize=4096", "+ignore"], ["+bufsize=1232"]):
            answer = dig(edge, server, *words, *options, "long.example", "TXT")
            assert answer.count(long_answer) == len(texts), (server, options, answer)


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS)
def test_names_from_the_gateway_itself(topology, edge, xdp_tunnel):
    """Its name server listens in the tunnel and asks one on the Internet: by the kernel, both."""
    servers.start_names(topology.internet, servers.NAME_PORT, "--host-record=short.example,192.0.2.9")
    servers.start_names(topology.gateway, 53, "--interface=ringway0", "--except-interface=lo",
                        f"--server={topology.internet4}#{servers.NAME_PORT}")
    for server in (topology.gateway_inner4, topology.gateway_inner6):
        assert dig(edge, server, "short.example", "A") == "192.0.2.9"
        assert dig(edge, server, "+tcp", "short.example", "A") == "192.0.2.9"


def check_ftp(topology, edge, family):
    """PASV and EPSV: the client opens both connections, so the NAT needs to know nothing of FTP."""
    directory = topology.lab.directory / f"ftp{family}"
    directory.mkdir()
    content = bytes(range(256)) * 4000
    (directory / "file").write_bytes(content)
    upload = topology.lab.directory / "upload"
    upload.write_bytes(content[::-1])
    address = topology.internet4 if family == 4 else topology.internet6
    server = servers.start_ftp(topology.internet, directory, address)
    url = f"ftp://{address if family == 4 else f'[{address}]'}"
    for mode in ["--disable-epsv"] * (family == 4) + ["--ftp-pasv"]:
        fetched = topology.lab.directory / f"fetched{family}{mode}"
        edge.namespace.run("curl", "-sS", "--max-time", 10, mode, "-o", fetched, f"{url}/file")
        assert fetched.read_bytes() == content, mode
        edge.namespace.run("curl", "-sS", "--max-time", 10, mode, "-T", upload, f"{url}/uploaded{mode}")
        assert (directory / f"uploaded{mode}").read_bytes() == content[::-1], mode
    server.stop()


def check_traces(topology, edge):
    """By UDP, ICMP and TCP: the errors of routers and of the end come back through the NAT."""
    ends = ((topology.far4, [topology.gateway_inner4, *topology.hops_to_internet(4), topology.internet4, topology.far4]),
            (topology.far6, [topology.gateway_inner6, *topology.hops_to_internet(6), topology.internet6, topology.far6]))
    for method in ("-U", "-I", "-T"):
        for address, hops in ends:
            out = edge.namespace.run("traceroute", "-n", method, "-q", 1, "-w", 2, "-m", 6, address).out
            assert re.findall(r"^ *\d+ +(\S+)", out, re.MULTILINE) == hops, out


def path_mtu(namespace, address):
    """What the kernel has learned, or None."""
    match = re.search(r"mtu (\d+)", namespace.run("ip", "route", "get", address).out)
    return match and int(match[1])


def check_path_mtu(edge, far, address):
    """Fragmentation Needed and Packet Too Big reach the edge, and what was under way goes on."""
    assert measure.tcp_gbps(edge.namespace, far, address, 1) > 0
    assert measure.tcp_gbps(edge.namespace, far, address, 1, down=True) > 0
    edge.namespace.run("ping", "-n", "-c", 1, "-W", 1, "-M", "do", "-s", FAR_MTU, address, check=False)
    wait_until(lambda: path_mtu(edge.namespace, address) == FAR_MTU, "the edge knows the narrow hop", 3)
    assert edge.namespace.run("ping", "-n", "-c", 2, "-W", 1, "-i", 0.2, "-s", 1372, address)


@arranged("topology, workers, outer_family", [(Topology, 2, 4), (OneArmed, 1, 6), (WithoutNativeXdp, 1, 4)],
          MACHINES, WORKERS, FAMILIES)
def test_real_clients_while_somebody_is_logged_in(topology, edge, operator, xdp_tunnel):
    """Names, FTP, traceroute and path MTU discovery, over IPv4 and IPv6, while sessions to the gateway's own sshd
    go on: on the addresses that the NAT uses, and with one interface the tunnel too."""
    gateway, _ = xdp_tunnel
    assert gateway.status()["gateway"]["xdp_mode"] == topology.xdp_mode
    far = topology.add_far_host(FAR_MTU)
    check_names(topology, edge)
    operator("names")
    for family, address in ((4, topology.far4), (6, topology.far6)):
        check_ftp(topology, edge, family)
        operator("files")
        check_path_mtu(edge, far, address)
        operator("path MTU")
    check_traces(topology, edge)
    operator("traces")


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS)
def test_tcp_survives_a_path_that_becomes_narrow(topology, edge, xdp_tunnel):
    """The ends agreed on segments that no longer fit: only the routers' errors can tell."""
    far = topology.add_far_host(1500)
    for address in (topology.far4, topology.far6):
        with measure.BackgroundTcp(edge.namespace, far, address, 2) as tcp:
            time.sleep(0.8)
            topology.internet.ip(f"link set mtu {FAR_MTU} dev to-far")
            rates = tcp.finish()
            assert min(statistics.mean(rates[:5]), statistics.mean(rates[-5:])) > 0.01, rates
        topology.internet.ip("link set mtu 1500 dev to-far")


@arranged("topology, workers", [(Topology, 1), (OneArmed, 2)], MACHINES, WORKERS)
def test_subscribers_of_one_gateway_punch_holes_for_each_other(topology, workers):
    """Neither knows more than the other's endpoint outside; their datagrams turn round in the gateway."""
    edges = [topology.edges["edge"], topology.add_edge("second")]
    gateway_spec, edge_specs = variants.several_specs(topology, edges, AES_GCM)
    gateway_spec.io, gateway_spec.workers = AF_XDP, workers
    with contextlib.ExitStack() as stack:
        stack.enter_context(Ringway(gateway_spec, "gateway"))
        for edge, spec in zip(edges, edge_specs):
            stack.enter_context(Ringway(spec, edge.name))
            measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        check_hole_punching(topology, edges)


CONNECTIONS = 10_000
SUBSCRIBERS = 4  # an even number for two workers, each of which has half of the ports
CONNECTION_PORT = 7007


def read_count(process, word):
    line = process.popen.stdout.readline().split()
    assert line[:1] == [word], line
    return int(line[1])


@pytest.mark.load
@arranged("topology, workers, family", [(Topology, 1, 4)], MACHINES, WORKERS, FAMILIES)
def test_ten_thousand_connections_at_once(topology, edge, workers, family):
    """All open at the same time, data on each of them both ways, and the gateway knows how many there are."""
    edges = [edge] + [topology.add_edge(f"edge{n}") for n in range(2, SUBSCRIBERS + 1)]
    gateway_spec, edge_specs = variants.several_specs(topology, edges, AES_GCM)
    gateway_spec.io, gateway_spec.workers = AF_XDP, workers
    internet, outside = {4: (topology.internet4, topology.wan4), 6: (topology.internet6, topology.wan6)}[family]
    shares = [CONNECTIONS // SUBSCRIBERS + (n < CONNECTIONS % SUBSCRIBERS) for n in range(SUBSCRIBERS)]
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Ringway(gateway_spec, "gateway"))
        for each, spec in zip(edges, edge_specs):
            stack.enter_context(Ringway(spec, each.name))
            measure.wait_for_path(each.namespace, internet)
        servers.start_module(topology.internet, "connections", "serve", CONNECTION_PORT)
        clients = [each.namespace.start(sys.executable, "-m", "ringway_lab.connections", "hold", internet,
                                        CONNECTION_PORT, share, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=services.PACKAGE_ENVIRONMENT)
                   for each, share in zip(edges, shares)]
        assert [read_count(client, "open") for client in clients] == shares
        wait_until(lambda: gateway.status()["gateway"]["mappings"] >= CONNECTIONS, "the status counts them", 3)
        for word in ("exchange", "exchange", "end"):
            for client in clients:
                print(word, file=client.popen.stdin, flush=True)
            if word == "exchange":
                assert [read_count(client, "echoed") for client in clients] == shares
        wait_until(lambda: not any(client.running() for client in clients), "the clients end")
        assert measure.fetch_page(edge.namespace, internet) == outside


SSH_BYTES = 3_000_000


@arranged("topology, workers", [(Topology, 1)], MACHINES, WORKERS)
def test_ssh_to_the_gateway_beside_a_natted_flow(topology, edge, xdp_tunnel):
    """On the very addresses that the NAT and the tunnel use, while they are in use."""
    ssh = servers.SshServer(topology.gateway)
    ssh.start()
    ends = ((topology.internet, topology.wan4), (topology.internet, topology.wan6),
            (topology.router, topology.gateway4), (topology.router, topology.gateway6))
    with measure.BackgroundTcp(edge.namespace, topology.internet, topology.internet4, 5) as tcp:
        for client, address in ends:
            assert ssh.fetch(client, address, SSH_BYTES) == bytes(SSH_BYTES), address
        assert tcp.running(), "the sessions were to run beside the flow"
        rates = tcp.finish()
        assert len(rates) >= 48 and all(statistics.mean(rates[at:at + 5]) > 0 for at in range(0, 45, 5)), rates
