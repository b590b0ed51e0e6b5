"""On the path between edges and gateway: what passes, counted by nftables, and floods put there."""

import re
import subprocess
import sys
from pathlib import Path

from . import wire
from .lab import LabError

TABLE = "rw_lab_count"


SEND_FRAMES = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
for frame in sys.stdin:
    link.send(bytes.fromhex(frame))
"""


def send_frames(namespace, interface, frames):
    """Each once, in this order."""
    namespace.run(sys.executable, "-c", SEND_FRAMES, interface, input="".join(frame.hex() + "\n" for frame in frames))


class PathCounter:
    """Counts packets that reach a machine, the router if no other is named, by what an observer can see."""

    def __init__(self, topology, namespace=None, **matches):
        self.namespace = namespace or topology.router
        self.matches = matches

    def __enter__(self):
        rules = "".join(f"counter {name} {{ }}\n" for name in self.matches)
        rules += "chain arriving {\ntype filter hook prerouting priority 0\n"
        rules += "".join(f"{match} counter name {name}\n" for name, match in self.matches.items())
        self.namespace.nft(f"table inet {TABLE} {{\n{rules}}}\n}}\n")
        return self

    def __exit__(self, *_exception):
        self.namespace.run("nft", "delete", "table", "inet", TABLE, check=False)

    def __getitem__(self, name):
        text = self.namespace.run("nft", "list", "counter", "inet", TABLE, name).out
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
    """lab-flood on a link to the gateway, the router's if no other is named: frames of its own making, sources as
    it likes. `frames`: as bytes, or the file that holds them."""

    def __init__(self, topology, program, frames, frames_per_second, seconds, sender=None):
        self.sender, interface = sender or (topology.router, "to-gateway")
        path = frames
        if not isinstance(frames, Path):
            path = topology.lab.directory / "flood.frames"
            wire.write_frames(path, frames)
        self.arguments = (program, interface, path, frames_per_second, seconds)

    def __enter__(self):
        self.process = self.sender.start(*self.arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
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
