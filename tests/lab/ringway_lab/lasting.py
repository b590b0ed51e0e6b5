"""TCP connections that last: a server that sends or echoes for ever, and clients that tell how much has arrived, so that
a test can wait until one goes on."""

import subprocess
import sys
import time

from .lab import LabError, wait_until

PORT = 7777

SERVER = """
import socket, sys, threading
def serve(c):
    try:
        if c.recv(1) == b"d":                # down: as much as goes
            while True:
                c.sendall(bytes(4096))
        while data := c.recv(65536):         # echo
            c.sendall(data)
    except OSError:
        pass                                 # the client is gone
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""

CLIENT = """
import socket, sys, threading, time
host, port, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
c = socket.create_connection((host, port), timeout=10)
c.settimeout(None)
c.sendall(b"d" if way == "down" else b"e")
def send():
    while True:
        c.sendall(bytes(512))
        time.sleep(0.005)
if way == "echo":
    threading.Thread(target=send, daemon=True).start()
total, said = 0, 0
while data := c.recv(65536):
    total += len(data)
    if time.monotonic() - said > 0.02:
        said = time.monotonic()
        print(total, flush=True)
print("closed", flush=True)
"""


def start_server(namespace):
    server = namespace.start(sys.executable, "-c", SERVER, PORT, stdout=subprocess.PIPE)
    if server.popen.stdout.readline() != b"listening\n":
        raise LabError("the server of lasting connections did not start")


class Connection:
    """An open TCP connection from the edge to such a server. `way`: "down", the server sends as much as goes; "echo",
    the client sends all the time, and what arrives is the echo."""

    def __init__(self, edge, address, way):
        self.log = edge.namespace.lab.directory / f"connection-{way}-{time.monotonic_ns()}.txt"
        with self.log.open("wb") as out:
            self.process = edge.namespace.start(sys.executable, "-c", CLIENT, address, PORT, way, stdout=out,
                                                stderr=out)

    def received(self):
        lines = self.log.read_text().split("\n")[:-1]
        if lines and not lines[-1].isdigit():
            raise LabError(f"the connection ended: {lines[-1]}")
        return int(lines[-1]) if lines else 0

    def wait_for_more(self, what, timeout):
        before = self.received()
        wait_until(lambda: self.received() > before, what, timeout)
