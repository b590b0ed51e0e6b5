"""Two machines behind NAT that meet with the help of a third one (RFC 5128, section 3.3).

    python3 -m ringway_lab.hole_punching serve PORT PORT       tells callers who they are, and who else called
    python3 -m ringway_lab.hole_punching meet ADDRESS PORT PORT

`meet` asks at both ports, then sends to the other caller until both have heard each other. It prints one line
of JSON: `mapped`, its own endpoint as each port of the server saw it; `other`, the endpoint that the server
told; `heard`, the endpoint from which the other's datagrams came (null if none came).
"""

import json
import selectors
import socket
import sys
import time

INTERVAL_S = 0.05
PATIENCE_S = 5.0


def serve(ports):
    sockets = []
    for port in ports:
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        sockets.append(server)
    selector = selectors.DefaultSelector()
    for server in sockets:
        selector.register(server, selectors.EVENT_READ)
    callers = {}  # at the first port: name → endpoint
    print("listening", flush=True)
    while True:
        for key, _ in selector.select():
            name, sender = key.fileobj.recvfrom(64)
            endpoint = (sender[0].removeprefix("::ffff:"), sender[1])
            if key.fileobj is sockets[0]:
                callers[name] = endpoint
            others = [other for known, other in callers.items()
                      if known != name and (":" in other[0]) == (":" in endpoint[0])]
            reply = {"you": endpoint, "other": others[0] if others else None}
            key.fileobj.sendto(json.dumps(reply).encode(), sender)


class Caller:
    def __init__(self, server):
        self.socket = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(INTERVAL_S)
        self.name = b"caller %d" % time.monotonic_ns()
        self.server = server

    def receive(self):
        """(message, sender's endpoint), or (None, None) if nothing came in time."""
        try:
            message, sender = self.socket.recvfrom(512)
        except TimeoutError:
            return None, None
        return message, list(sender[:2])

    def ask(self, port):
        self.socket.sendto(self.name, (self.server, port))
        while True:
            message, sender = self.receive()
            if message is None or sender == [self.server, port]:
                return json.loads(message) if message else None

    def find_other(self, port):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            reply = self.ask(port)
            if reply and reply["other"]:
                return reply
            time.sleep(INTERVAL_S)
        return None

    def punch(self, other):
        """Sends until the other says that it hears us; returns where its datagrams came from."""
        deadline = time.monotonic() + PATIENCE_S
        heard = None
        while time.monotonic() < deadline:
            self.socket.sendto(b"I hear you" if heard else b"hello", tuple(other))
            message, sender = self.receive()
            if message in (b"hello", b"I hear you"):
                heard = sender
            if message == b"I hear you":
                self.socket.sendto(b"I hear you", tuple(other))
                break
        return heard


def meet(server, ports):
    caller = Caller(server)
    first = caller.find_other(ports[0])
    second = caller.ask(ports[1])
    heard = caller.punch(first["other"]) if first else None
    print(json.dumps({"mapped": [reply and reply["you"] for reply in (first, second)],
                      "other": first and first["other"], "heard": heard}), flush=True)


def main():
    if sys.argv[1] == "serve":
        serve([int(port) for port in sys.argv[2:]])
    else:
        meet(sys.argv[2], [int(port) for port in sys.argv[3:]])


if __name__ == "__main__":
    main()
