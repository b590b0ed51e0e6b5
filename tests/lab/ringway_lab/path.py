"""On the path between edges and gateway: what passes, counted by nftables, and floods put there."""

import re
import subprocess

from . import wire
from .lab import LabError

TABLE = "rw_lab_count"


class PathCounter:
    """Counts datagrams that reach the router from either side, by what an observer can see: direction, type, length."""

    def __init__(self, topology, **matches):
        self.router = topology.router
        self.matches = matches

    def __enter__(self):
        rules = "".join(f"counter {name} {{ }}\n" for name in self.matches)
        rules += "chain arriving {\ntype filter hook prerouting priority 0\n"
        rules += "".join(f"{match} counter name {name}\n" for name, match in self.matches.items())
        self.router.nft(f"table inet {TABLE} {{\n{rules}}}\n}}\n")
        return self

    def __exit__(self, *_exception):
        self.router.run("nft", "delete", "table", "inet", TABLE, check=False)

    def __getitem__(self, name):
        text = self.router.run("nft", "list", "counter", "inet", TABLE, name).out
        return int(re.search(r"packets (\d+)", text)[1])


def to_edge(kind, message_bytes, gateway_port):
    """Matches messages of one type and length on their way from the gateway."""
    return (f"udp sport {gateway_port} udp length {wire.UDP_HEADER_BYTES + message_bytes} "
            f"@th,64,8 {kind}")


def to_gateway(kind, message_bytes, gateway_port):
    """Matches messages of one type and length on their way to the gateway."""
    return (f"udp dport {gateway_port} udp length {wire.UDP_HEADER_BYTES + message_bytes} "
            f"@th,64,8 {kind}")


class Flood:
    """lab-flood on the router's link to the gateway: frames of its own making, sources as it likes."""

    def __init__(self, topology, program, frames, frames_per_second, seconds):
        self.router = topology.router
        self.path = topology.lab.directory / "flood.frames"
        wire.write_frames(self.path, frames)
        self.arguments = (program, "to-gateway", self.path, frames_per_second, seconds)

    def __enter__(self):
        self.process = self.router.start(*self.arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True)
        return self

    def __exit__(self, *_exception):
        self.process.stop()

    def finish(self):
        """Waits for the flood's own end; returns what it printed."""
        out, err = self.process.popen.communicate(timeout=60)
        if self.process.popen.returncode != 0:
            raise LabError(f"lab-flood failed: {err.strip()}")
        return out
