"""What the laboratory's tests share. Every test gets machines of its own and leaves nothing behind."""

import contextlib
import os
import threading

import pytest

from pairs import make_pair
from rekeying import Rekeying
from ringway_lab import measure, servers, services
from ringway_lab.lab import Lab, install_signal_handlers
from ringway_lab.nodes import AF_XDP
from ringway_lab.topology import Topology


LOG_TAIL_CHARACTERS = 4000


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for WireGuard's own timers (minutes)")
    config.addinivalue_line("markers", "load: measures under load and wants the machine for itself")
    config.addinivalue_line("markers", "matrix: one of all combinations (arrangements.py), not of the few that always run")
    # A process of pytest-xdist on a busy machine may begin in another thread, where no handler can be set: ended by a
    # signal, it leaves its namespaces to the next run.
    if os.geteuid() == 0 and threading.current_thread() is threading.main_thread():
        install_signal_handlers()


def pytest_collection_modifyitems(items):
    items.sort(key=waits_in_background)
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


def waits_in_background(item):
    return "rekeying" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def background_rekeying(request):
    """Rekeying takes 120 s: its tunnels run beside all other tests, and the tests that look come last."""
    if os.geteuid() != 0 or not any(waits_in_background(item) for item in request.session.items):
        yield None
        return
    with Rekeying() as tunnels:
        yield tunnels


@pytest.fixture
def rekeying(background_rekeying):
    background_rekeying.wait()
    return background_rekeying


@pytest.fixture
def lab():
    with Lab() as laboratory:
        yield laboratory
    assert laboratory.leftovers == []


@pytest.fixture
def topology(lab, request):
    """Router, gateway and Internet with one edge; the web and name server run. Indirect parameter: which
    Topology."""
    machines = getattr(request, "param", Topology)(lab)
    machines.add_edge("edge")
    services.start_services(machines.internet)
    return machines


@pytest.fixture
def edge(topology):
    return topology.edges["edge"]


@pytest.fixture
def workers(request):
    """Of the gateway. Indirect parameter."""
    return getattr(request, "param", 1)


@pytest.fixture
def outer_family(request):
    """Of the tunnel's datagrams. Indirect parameter."""
    return getattr(request, "param", 4)


@pytest.fixture
def xdp_tunnel(topology, edge, workers, outer_family):
    """(gateway on AF_XDP, edge node), running."""
    gateway, node = make_pair(topology, edge, "ringway-aes", io=AF_XDP, workers=workers, outer_family=outer_family)
    with gateway, node:
        measure.wait_for_path(edge.namespace, topology.internet4, topology.internet6)
        yield gateway, node


@pytest.fixture
def operator(topology):
    """Somebody who is logged in on the gateway's own sshd, by the addresses that its NAT has, from before the gateway
    starts (name this fixture first) until after its end. Gives a function that makes sure that he still is, which is
    called once more at the end."""
    ssh = servers.SshServer(topology.gateway)
    ssh.start()
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(ssh.session(topology.internet, address))
                    for address in (topology.wan4, topology.wan6)]

        def type_line(line):
            for session in sessions:
                session(line)

        yield type_line
        type_line("after the gateway")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its nodes logged."""
    outcome = yield
    laboratory = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if call.when != "call" or not call.excinfo or not laboratory or not laboratory.directory:
        return
    for path in sorted(laboratory.directory.glob("*.log")):
        text = path.read_text(errors="replace").strip()
        if text:
            outcome.get_result().sections.append((f"log of {path.stem}", text[-LOG_TAIL_CHARACTERS:]))
