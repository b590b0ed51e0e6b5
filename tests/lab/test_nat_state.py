"""What a gateway with its own NAT tells its operator, and what outlives a crash: open connections of both kinds of
client, mappings, endpoints."""

import dataclasses
import datetime
import json
import re
import signal
import stat
import time

import pytest

from arrangements import MACHINES, WORKERS, arranged
from pairs import make_pair
from ringway_lab import lasting, measure, nodes, variants
from ringway_lab.lab import wait_until
from ringway_lab.nodes import AES_GCM, AF_XDP, STOCK
from ringway_lab.topology import OneArmed, Topology

RESTART_SECONDS = 3
KEPT_SECONDS = 2  # a round of the keeper and some


def make_gateway(topology, edge):
    """(gateway, edge node), not started; the gateway keeps a log of its NAT."""
    gateway, node = make_pair(topology, edge, "ringway-aes", io=AF_XDP)
    gateway.write_configuration(with_log(gateway))
    return gateway, node


def with_log(gateway):
    return gateway.configuration().replace(f'io = "{AF_XDP}"', f'io = "{AF_XDP}"\nnat_log = "{log_path(gateway)}"')


def log_path(gateway):
    return gateway.directory / "nat.log"


@pytest.fixture
def tunnel(topology, edge):
    gateway, node = make_gateway(topology, edge)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        yield gateway, node


def in_json(gateway, *words):
    return json.loads(gateway.command(*words, "--json").out)


@arranged("topology, workers, end", [(Topology, 1, signal.SIGKILL), (Topology, 2, signal.SIGKILL),
                                     (Topology, 2, signal.SIGUSR2), (OneArmed, 1, signal.SIGKILL)],
          MACHINES, WORKERS, (signal.SIGKILL, signal.SIGUSR2))
def test_open_connections_survive_a_crash_or_a_restart_under_load(topology, edge, operator, workers, end):
    """Of an edge and of a stock client, which two workers share. Also those on which only the server speaks: their
    clients have nothing to say that would let them in."""
    lasting.start_server(topology.internet)
    gateway, node = make_gateway(topology, edge)
    stock = topology.add_edge("stock")
    stock_node = nodes.WireguardGo(variants.add_client(topology, gateway.spec, stock, STOCK), "stock")
    gateway.spec.workers = workers
    gateway.write_configuration(with_log(gateway))
    with gateway, node, stock_node:
        for client in (edge, stock):
            measure.wait_for_path(client.namespace, topology.internet4, topology.internet6)
        connections = {(client.name, way, address): lasting.Connection(client, address, way) for client in (edge, stock)
                       for way in ("echo", "down") for address in (topology.internet4, topology.internet6)}
        for name, connection in connections.items():
            connection.wait_for_more(f"{name} carries data", 5)
        time.sleep(KEPT_SECONDS)
        gateway.stop(end)
        time.sleep(0.3)
        operator("without the node")
        before = {name: connection.received() for name, connection in connections.items()}
        began = time.monotonic()
        gateway.start()
        for name, connection in connections.items():
            wait_until(lambda c=connection, n=name: c.received() > before[n], f"{name} goes on",
                       RESTART_SECONDS - (time.monotonic() - began))
        status = gateway.status()
        assert status["gateway"]["mappings"] >= len(connections)
        assert all(worker["packets_opened"] > 0 for worker in status["workers"])


def test_crash_of_the_kernels_gateway_is_survived_too(topology, edge):
    """conntrack keeps the mappings there; the gateway has to find its peers again."""
    gateway_spec, edge_spec = variants.tunnel_specs(topology, edge, AES_GCM)
    gateway, node = nodes.Ringway(gateway_spec, "gateway"), nodes.Ringway(edge_spec, "edge")
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        time.sleep(KEPT_SECONDS)
        gateway.stop(signal.SIGKILL)
        began = time.monotonic()
        gateway.start()
        wait_until(lambda: measure.can_ping(edge.namespace, topology.internet4, timeout=1),
                   "the tunnel carries packets again", RESTART_SECONDS - (time.monotonic() - began))


def test_mappings_are_listed(topology, edge, tunnel):
    gateway, _ = tunnel
    assert measure.look_up(edge.namespace, topology.internet4)
    mappings = in_json(gateway, "nat")
    udp = [one for one in mappings if one["protocol"] == "udp"]
    assert udp and all(one["subscriber"] == edge.name for one in mappings)
    assert udp[0]["inner"].startswith(f"{edge.inner4}:") and udp[0]["external"].startswith(f"{topology.wan4}:")
    assert 0 < udp[0]["expires_s"] <= 300.2 and udp[0]["idle_s"] >= 0
    assert {one["protocol"] for one in in_json(gateway, "nat", "--protocol", "icmp")} == {"icmp"}
    assert in_json(gateway, "nat", "--subscriber", "nobody") == []
    text = gateway.command("nat", "--protocol", "udp").out
    assert re.search(rf"^edge +udp +{re.escape(edge.inner4)}:\d+ +{re.escape(topology.wan4)}:\d+ +\d+s +[45]m", text,
                     re.MULTILINE), text
    refused = gateway.command("nat", "--protocol", "sctp", check=False)
    assert refused.status == 1 and "tcp, udp, icmp or icmpv6" in refused.err


def test_who_had_a_port(topology, edge, tunnel):
    gateway, node = tunnel
    key = node.spec.keys.public
    assert measure.look_up(edge.namespace, topology.internet4)
    port = int(in_json(gateway, "nat", "--protocol", "udp")[0]["external"].rsplit(":", 1)[1])
    who = in_json(gateway, "nat", "who", topology.wan4, port, "--protocol", "udp")
    holder, = who["holders"]
    assert (holder["subscriber"], holder["public_key"], holder["until"]) == (edge.name, key, None)
    assert holder["inner"].startswith(edge.inner4) and who["notes"] == []
    used = datetime.datetime.now(datetime.timezone.utc)
    # Its block comes back with the peer, and is nobody's afterwards.
    gateway.call("remove_peer", name=edge.name)
    wait_until(lambda: "returned" in log_path(gateway).read_text(), "the log says that blocks came back")
    assert in_json(gateway, "nat", "who", topology.wan4, port)["holders"] == []
    at_that_time = in_json(gateway, "nat", "who", topology.wan4, port, "--protocol", "udp", "--at",
                           used.isoformat(timespec="milliseconds"))
    then, = at_that_time["holders"]
    assert then["subscriber"] == edge.name and then["until"] is not None
    earlier = in_json(gateway, "nat", "who", topology.wan4, port, "--at", int(used.timestamp()) - 3600)
    assert earlier["holders"] == [] and "begins" in earlier["notes"][0]


def test_log_names_blocks_and_no_destination(topology, edge, tunnel):
    gateway, node = tunnel
    assert measure.fetch_page(edge.namespace, topology.internet4)
    wait_until(lambda: "protocol=tcp" in log_path(gateway).read_text(), "the log has a block of TCP ports")
    text = log_path(gateway).read_text()
    assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z given protocol=tcp address={re.escape(topology.wan4)} "
                     rf"ports=\d+-\d+ subscriber={edge.name} key={re.escape(node.spec.keys.public)}$", text, re.MULTILINE)
    assert text.splitlines()[0].endswith(" started")
    assert topology.internet4 not in text and topology.internet6 not in text
    assert stat.S_IMODE(log_path(gateway).stat().st_mode) == 0o600
    state = gateway.directory / "state" / "gateway-state"
    wait_until(state.exists, "the state is kept")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    # logrotate: renamed, then told to open it anew.
    log_path(gateway).rename(log_path(gateway).with_suffix(".log.1"))
    gateway.process.send_signal(signal.SIGHUP)
    held = rf" held protocol=tcp .* subscriber={edge.name} .* since="
    wait_until(lambda: log_path(gateway).exists() and re.search(held, log_path(gateway).read_text()),
               "the log is opened anew and says what is held")
    port = in_json(gateway, "nat", "--protocol", "tcp")[0]["external"].rsplit(":", 1)[1]
    who = in_json(gateway, "nat", "who", topology.wan4, port, "--protocol", "tcp", "--at", str(int(time.time()) + 1),
                  "--log", log_path(gateway))
    assert [holder["subscriber"] for holder in who["holders"]] == [edge.name] and who["notes"] == []
    assert gateway.stop() == 0
    assert log_path(gateway).read_text().splitlines()[-1].endswith(" stopped")


def test_external_addresses_may_change(topology, edge, tunnel):
    """As DHCP and a provider's new prefix do it: NAT, steering and link follow within a second."""
    for old, new, server in ((f"{topology.wan4}/25", "198.51.100.9/25", topology.internet4),
                             (f"{topology.wan6}/64", "2001:db8:3::9/64", topology.internet6)):
        assert measure.fetch_page(edge.namespace, server) == old.split("/")[0]
        nodad = " nodad" if ":" in new else ""
        topology.gateway.ip(f"addr del {old} dev wan", f"addr add {new} dev wan{nodad}")
        wait_until(lambda: measure.can_ping(edge.namespace, server, timeout=0.2), f"packets pass from {new}", 1)
        assert measure.fetch_page(edge.namespace, server) == new.split("/")[0]


def test_new_peers_networks_are_the_tunnels_at_once(topology, edge, tunnel):
    """An inner address outside the gateway's own network, which a moment ago was somewhere on the Internet."""
    gateway, node = tunnel
    second = topology.add_edge("second")
    inner = "192.0.2.250"
    keys = nodes.KeyPair.generate(topology.lab)
    spec = nodes.NodeSpec(second.namespace, keys, (f"{inner}/32",), node.spec.listen_port,
                          [dataclasses.replace(node.spec.peers[0])], full_tunnel=True)
    gateway.spec.peers.append(nodes.Peer("second", keys.public, (f"{inner}/32",), kind=AES_GCM))
    assert not measure.can_ping(edge.namespace, inner, timeout=1)
    gateway.write_configuration(with_log(gateway))
    assert gateway.call("reload")["added"] == ["second"]
    with nodes.Ringway(spec, "second"):
        measure.wait_for_path(second.namespace, topology.internet4)
        wait_until(lambda: measure.can_ping(edge.namespace, inner, timeout=1), "peers reach each other", 3)
    subscribers = {one["subscriber"] for one in in_json(gateway, "nat")}
    assert subscribers == {"edge", "second"}


def test_settings_that_need_a_restart_are_named(topology, edge, tunnel):
    gateway, _ = tunnel
    gateway.write_configuration(with_log(gateway).replace("nat.log", "other.log").replace("mtu = 1420", "mtu = 1400"))
    report = gateway.call("reload")
    assert [line.split(":")[0] for line in report["needs_restart"]] == ["interface.mtu", "gateway.nat_log"]


def test_damaged_state_is_said_and_does_no_harm(topology, edge):
    gateway, node = make_gateway(topology, edge)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4)
        state = gateway.directory / "state" / "gateway-state"
        wait_until(state.exists, "the state is kept")
        gateway.stop(signal.SIGKILL)
        content = bytearray(state.read_bytes())
        content[-1] ^= 1
        state.write_bytes(content)
        gateway.start()
        assert "mappings and endpoints of the last run are lost" in gateway.log()
        wait_until(lambda: measure.can_ping(edge.namespace, topology.internet4, timeout=1),
                   "the tunnel carries packets again", 25)
