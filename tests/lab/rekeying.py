"""Tunnels of all pairs that only live on, with pings through them, until their keys have been renewed."""

import contextlib
import time

from pairs import SideBySide, side_by_side
from ringway_lab import measure
from ringway_lab.lab import Lab, LabError
from ringway_lab.topology import Topology

# The initiator renews a session of 120 s with the next packet it sends.
WAIT_SECONDS = 128
PING_INTERVAL_S = 0.1


class Rekeying:
    """A context manager. What could not be set up is told by wait(), so that only its own tests fail."""

    def __init__(self):
        self.problem = None
        self.pairs = []
        self.pings = {}
        self.first = {}

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._started = time.monotonic()
        try:
            lab = self._stack.enter_context(Lab())
            self.pairs = self._stack.enter_context(side_by_side(Topology(lab)))
            self.first = self.handshakes()
            for pair in self.pairs:
                self.pings[pair.name] = self._stack.enter_context(
                    measure.BackgroundPing(pair.edge.namespace, pair.gateway_inner, PING_INTERVAL_S))
        except LabError as error:
            self.problem = error
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_exception):
        self._stack.close()

    def wait(self):
        if self.problem:
            raise self.problem
        time.sleep(max(0, self._started + WAIT_SECONDS - time.monotonic()))

    def handshakes(self):
        """pair → (edge's, gateway's) time of the last handshake."""
        return {pair.name: (SideBySide.edge_handshake(pair), SideBySide.gateway_handshake(pair))
                for pair in self.pairs}
