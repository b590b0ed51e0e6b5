"""Very many TCP connections at once, one process at either end, without a thread for each.

    python3 -m ringway_lab.connections serve PORT             echoes; prints "listening"
    python3 -m ringway_lab.connections hold ADDRESS PORT N    opens N, then obeys lines on standard input

`hold` prints "open N" once all are. "exchange" sends a text of its own on each, waits for each echo, and
prints "echoed N" with those that came back right. "end" closes all and ends the program.
"""

import errno
import resource
import selectors
import socket
import sys
import time

IN_FLIGHT = 256  # connections being opened at a time
GIVE_UP_SECONDS = 20
MESSAGE_BYTES = 16


def allow_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))


def serve(port):
    allow_descriptors(20_000)
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
    listener.setblocking(False)
    selector = selectors.EpollSelector()
    selector.register(listener, selectors.EVENT_READ)
    print("listening", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                accept_all(listener, selector)
            else:
                echo(key.fileobj, selector)


def accept_all(listener, selector):
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)


def echo(connection, selector):
    try:
        data = connection.recv(4096)
    except OSError:
        data = b""
    if data:
        connection.send(data)
        return
    selector.unregister(connection)
    connection.close()


def open_all(address, port, count):
    """The connections that were made within the time; those that failed are left out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    selector = selectors.EpollSelector()
    opened, started, waiting = [], 0, 0
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while (started < count or waiting) and time.monotonic() < deadline:
        while started < count and waiting < IN_FLIGHT:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            if connection.connect_ex((address, port)) not in (0, errno.EINPROGRESS):
                connection.close()
            else:
                selector.register(connection, selectors.EVENT_WRITE)
                waiting += 1
            started += 1
        for key, _ in selector.select(1):
            selector.unregister(key.fileobj)
            waiting -= 1
            if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                opened.append(key.fileobj)
    return opened


def exchange(connections):
    """How many echo what was sent on them."""
    selector = selectors.EpollSelector()
    for number, connection in enumerate(connections):
        message = f"{number:0{MESSAGE_BYTES}d}".encode()
        connection.send(message)
        selector.register(connection, selectors.EVENT_READ, message)
    right, waiting = 0, len(connections)
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while waiting and time.monotonic() < deadline:
        for key, _ in selector.select(1):
            selector.unregister(key.fileobj)
            waiting -= 1
            try:
                right += key.fileobj.recv(4096) == key.data
            except OSError:
                pass
    return right


def hold(address, port, count):
    allow_descriptors(count + 64)
    connections = open_all(address, port, count)
    print("open", len(connections), flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            return
        print("echoed", exchange(connections), flush=True)


def main():
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        hold(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))


if __name__ == "__main__":
    main()
