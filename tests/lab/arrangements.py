"""The arrangements in which a gateway on AF_XDP is tried. All combinations take long: each test names the few that always
run, by pairs, and the others are marked `matrix`."""

import itertools

import pytest

from ringway_lab.topology import OneArmed, OneArmedWithoutNativeXdp, Topology, WithoutNativeXdp

MACHINES = (Topology, OneArmed, WithoutNativeXdp, OneArmedWithoutNativeXdp)
WORKERS = (1, 2)
FAMILIES = (4, 6)

FIXTURES = {"topology", "workers", "outer_family"}


def arranged(names, always, *dimensions, where=lambda *_values: True):
    """Parametrises a test with all combinations of the dimensions that make sense (`where`), of which those in `always`
    are not marked."""
    combinations = [values for values in itertools.product(*dimensions) if where(*values)]
    assert set(always) <= set(combinations), set(always) - set(combinations)
    words = names.split(", ")
    return pytest.mark.parametrize(
        names, [pytest.param(*values, marks=() if values in always else pytest.mark.matrix,
                             id="-".join(getattr(value, "__name__", str(value)) for value in values))
                for values in combinations],
        indirect=[word for word in words if word in FIXTURES])
