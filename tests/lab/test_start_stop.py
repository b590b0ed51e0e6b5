"""A node that cannot start says why in one line and leaves nothing behind; one that stops takes all back."""

import re
import signal
import subprocess
import sys
import time

import pytest

from pairs import make_pair
from ringway_lab import leaks, measure, variants
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, KeyPair, Peer, Ringway

LOG_LINE_OF_NO_CONCERN = re.compile(r"\b(trace|debug|info)\b", re.IGNORECASE)


@pytest.fixture
def node(topology, edge):
    """A full-tunnel edge that could start; its configuration is written."""
    _, spec = variants.tunnel_specs(topology, edge, AES_GCM)
    ringway = Ringway(spec, "edge")
    ringway.write_configuration()
    yield ringway
    ringway.stop()


def complaints(result):
    """What was printed, without log lines of level info and below."""
    return [line for line in (result.out + result.err).splitlines()
            if line.strip() and not LOG_LINE_OF_NO_CONCERN.search(line)]


def expect_refusal(node, *patterns, wrapper=(), timeout=10):
    """ringwayd ends by itself with an error, in one line that matches all patterns; nothing has changed."""
    before = node.namespace.state()
    result = node.run_to_end(wrapper, timeout)
    lines = complaints(result)
    assert result.status not in (0, None) and result.status > 0, f"status {result.status}: {result.err}"
    assert len(lines) == 1, lines
    for pattern in patterns:
        assert re.search(pattern, lines[0]), f"/{pattern}/ is not in: {lines[0]}"
    assert node.namespace.state() == before
    assert not node.api_socket.exists()


def replace(node, old, new):
    text = node.configuration()
    assert old in text
    node.write_configuration(text.replace(old, new))


def test_world_readable_key_file(node):
    (node.directory / "private.key").chmod(0o644)
    expect_refusal(node, r"private\.key", r"chmod|0600")


def test_missing_key_file(node):
    (node.directory / "private.key").unlink()
    expect_refusal(node, r"private\.key", "No such file")


def test_key_file_without_a_key(node):
    (node.directory / "private.key").write_text("not a key\n")
    expect_refusal(node, r"private\.key", "key")


def test_unknown_key_in_the_configuration(node):
    replace(node, "mtu =", "mut =")
    expect_refusal(node, r"ringway\.toml:\d+", "mut", "mtu")


def test_bad_prefix(node):
    replace(node, '"0.0.0.0/0"', '"0.0.0.0/33"')
    expect_refusal(node, r"ringway\.toml:\d+", r"0\.0\.0\.0/33", "allowed_ips")


def test_bad_public_key(node):
    replace(node, node.spec.peers[0].public_key, "short")
    expect_refusal(node, r"ringway\.toml:\d+", "public_key")


def test_configuration_that_is_no_toml(node):
    node.write_configuration("[interface\n")
    expect_refusal(node, r"ringway\.toml:1")


def test_missing_configuration(node):
    node.config_path.unlink()
    expect_refusal(node, r"ringway\.toml", "No such file")


def test_overlapping_allowed_ips(node):
    """The same prefix at two peers: one of them would lose its packets."""
    keys = KeyPair.generate(node.lab)
    node.spec.peers.append(Peer("twin", keys.public, ("0.0.0.0/0",)))
    node.write_configuration()
    expect_refusal(node, r"0\.0\.0\.0/0", "twin", "gateway")


def test_unknown_interface(topology):
    topology.add_edge("second")
    spec, _ = variants.tunnel_specs(topology, topology.edges["second"], AES_GCM)
    node = Ringway(spec, "gateway")
    node.write_configuration(node.configuration().replace("masquerade = true",
                                                          'masquerade = true\ninterface = "wan9"'))
    expect_refusal(node, "wan9")


def test_endpoint_that_does_not_resolve(node):
    replace(node, node.spec.peers[0].endpoint, "gateway.invalid:51820")
    expect_refusal(node, r"gateway\.invalid", timeout=30)


HOLD_PORT = """
import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", {port}))
print("held", flush=True)
time.sleep(1000)
"""


def test_port_taken(node):
    port = node.spec.listen_port
    holder = node.namespace.start(sys.executable, "-c", HOLD_PORT.format(port=port), stdout=subprocess.PIPE)
    assert holder.popen.stdout.readline() == b"held\n"
    expect_refusal(node, str(port), "in use|taken")


def test_no_tun_device(node):
    """In a mount namespace of its own where /dev/net is empty."""
    expect_refusal(node, "/dev/net/tun", wrapper=(
        "unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$0" "$@"'))


def test_missing_capability(node):
    expect_refusal(node, "CAP_NET_ADMIN", wrapper=("setpriv", "--bounding-set", "-net_admin"))


def test_interface_name_taken(node):
    node.namespace.ip(f"link add {node.interface} type bridge")
    expect_refusal(node, node.interface)


def test_second_node_on_the_same_interface(node):
    node.start()
    before = node.namespace.state()
    result = node.run_to_end()
    assert result.status > 0
    assert len(complaints(result)) == 1
    assert node.namespace.state() == before
    assert node.status()["interface"] == node.interface


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("role", ["edge", "gateway"])
def test_stop_takes_everything_back(topology, edge, role, number):
    before = edge.namespace.state(), topology.gateway.state()
    gateway, node = make_pair(topology, edge, "ringway-aes")
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        stopped = node if role == "edge" else gateway
        if number == signal.SIGHUP:
            # SIGHUP means reload where it means anything: the node goes on, and stops when told to.
            stopped.process.send_signal(number)
            time.sleep(0.5)
            assert stopped.process.running()
            number = signal.SIGTERM
        assert stopped.stop(number) == 0
        index = 0 if role == "edge" else 1
        assert (edge.namespace.state(), topology.gateway.state())[index] == before[index]
    assert (edge.namespace.state(), topology.gateway.state()) == before


def test_stop_by_the_local_api(node):
    before = node.namespace.state()
    node.start()
    node.call("stop")
    wait_until(lambda: not node.process.running(), "ringwayd ends", 10)
    assert node.process.popen.returncode == 0
    assert node.namespace.state() == before


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGUSR2])
def test_crash_or_restart_leaves_the_edge_closed_and_the_start_opens_the_tunnel(topology, edge, end):
    """Nothing leaves outside meanwhile; the next start adopts what was left, and its stop opens the host."""
    before = edge.namespace.state()
    gateway, node = make_pair(topology, edge, "ringway-aes")
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        node.stop(end)
        with leaks.Capture(topology.router, edge) as capture:
            for address in (topology.internet4, topology.internet6, topology.gateway4):
                assert not measure.can_ping(edge.namespace, address, timeout=1)
            judge = leaks.Judge((edge.outer4, edge.outer6), (topology.gateway4, topology.gateway6))
            assert judge.judge(capture.finish()).leaks == []
        node.start()
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
    assert edge.namespace.state() == before


def test_down_after_a_crash_takes_back_what_was_left(topology, edge):
    before = edge.namespace.state()
    gateway, node = make_pair(topology, edge, "ringway-aes")
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        node.stop(signal.SIGKILL)
        assert not measure.can_ping(edge.namespace, topology.internet4, timeout=1)
        node.command("down", node.config_path)
        assert edge.namespace.state() == before
        assert "not running" in node.command("down", node.config_path, check=False).err
