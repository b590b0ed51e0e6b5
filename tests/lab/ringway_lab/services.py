"""What runs on the laboratory's Internet: a web page, names, and iperf3.

Run as a program (`python3 -m ringway_lab.services`) it serves the page and the names until it is
ended; it prints one line when it listens. The page comes from Python's own server and not from a
packaged one, since installing such a package would start a listener on the user's machine.
"""

import http.server
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from .lab import LabError

WEB_PORT = 80
NAME_PORT = 53
PAGE = "<!doctype html><title>Internet</title><p>" + "A page from the other side. " * 400 + "\n"
ANSWER4 = "198.51.100.2"
SEEN_FROM_HEADER = "X-Seen-From"


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(SEEN_FROM_HEADER, self.client_address[0].removeprefix("::ffff:"))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


class _DualStackServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def answer(query):
    """The reply to a DNS query: one A record, whatever the name (RFC 1035, section 4)."""
    identifier, = struct.unpack_from("!H", query)
    end = query.index(b"\0", 12) + 5
    header = struct.pack("!HHHHHH", identifier, 0x8180, 1, 1, 0, 0)
    record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton(ANSWER4))
    return header + query[12:end] + record


def question(name, identifier=0x5257):
    """A DNS query for the A record of `name`."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def _serve_names():
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", NAME_PORT))
    while True:
        query, sender = server.recvfrom(512)
        if len(query) > 16 and b"\0" in query[12:]:
            server.sendto(answer(query), sender)


def lookup(server, name, timeout=2.0):
    """Asks `server` for `name`; returns the answer's address. Runs inside the caller's namespace."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.sendto(question(name), (server, NAME_PORT))
        reply = client.recv(512)
    return socket.inet_ntoa(reply[-4:])


PACKAGE_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
                       "PYTHONDONTWRITEBYTECODE": "1"}


def start_services(namespace):
    """Starts page and names on `namespace` and returns once they listen."""
    process = namespace.start(sys.executable, "-m", "ringway_lab.services", name="web and name server",
                              stdout=subprocess.PIPE, text=True, env=PACKAGE_ENVIRONMENT)
    if process.popen.stdout.readline().strip() != "listening":
        raise LabError("the laboratory's web and name server did not start")
    return process


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "lookup":
        print(lookup(sys.argv[2], sys.argv[3]))
        return
    web = _DualStackServer(("::", WEB_PORT), _Page)
    threading.Thread(target=_serve_names, daemon=True).start()
    print("listening", flush=True)
    web.serve_forever()


if __name__ == "__main__":
    main()
