"""What the laboratory's tests share. Every test gets machines of its own and leaves nothing behind."""

import os

import pytest

from ringway_lab import services
from ringway_lab.lab import Lab, install_signal_handlers
from ringway_lab.topology import Topology


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for WireGuard's own timers (minutes)")
    config.addinivalue_line("markers", "load: measures under load and wants the machine for itself")
    if os.geteuid() == 0:
        install_signal_handlers()


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture
def lab():
    with Lab() as laboratory:
        yield laboratory
    assert laboratory.leftovers == []


@pytest.fixture
def topology(lab):
    """Router, gateway and Internet with one edge; the web and name server run."""
    machines = Topology(lab)
    machines.add_edge("edge")
    services.start_services(machines.internet)
    return machines


@pytest.fixture
def edge(topology):
    return topology.edges["edge"]
