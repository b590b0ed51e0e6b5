"""Real servers, as Debian has them, on the laboratory's machines. All of them come in packages that start
nothing by themselves: dnsmasq-base, python3-pyftpdlib, dropbear-bin.

Each function starts one and returns once it listens; the laboratory ends it.
"""

import contextlib
import select
import signal
import subprocess
import sys
import time

from . import services
from .lab import LabError, wait_until

FTP_PORT = 21
SSH_PORT = 22
SSH_SECONDS = 10
NAME_PORT = 5353  # on the Internet, beside the name server of services.py


def start_module(namespace, module, *arguments, **options):
    """A program of this package that says "listening" on its first line."""
    process = namespace.start(sys.executable, "-m", f"ringway_lab.{module}", *arguments, name=module,
                              stdout=subprocess.PIPE, text=True, env=services.PACKAGE_ENVIRONMENT, **options)
    if process.popen.stdout.readline().strip() != "listening":
        raise LabError(f"ringway_lab.{module} did not start")
    return process


def _start(namespace, name, port, *argv):
    log = namespace.lab.log_file(f"{name}-{namespace.short_name}")
    process = namespace.start(*argv, name=f"{name} on {namespace.short_name}", stdout=log, stderr=log)
    log.close()
    wait_until(lambda: _listens(namespace, port) or not process.running(), f"{name} listens")
    if not process.running():
        raise LabError(f"{name} ended: " + namespace.lab.log_text(f"{name}-{namespace.short_name}").strip())
    return process


def _listens(namespace, port):
    return f":{port} " in namespace.run("ss", "-Hltn").out


def start_ftp(namespace, directory, address):
    """pyftpdlib: `directory` may be read and written by anybody."""
    return _start(namespace, f"ftp-{address}", FTP_PORT, "/usr/bin/python3", "-m", "pyftpdlib", "-w",
                  "-i", address, "-p", FTP_PORT, "-d", directory)


def start_names(namespace, port, *options):
    """dnsmasq that knows only what `options` say."""
    return _start(namespace, "dnsmasq", port, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=",
                  "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", f"--port={port}", "--bind-dynamic",
                  "--edns-packet-max=4096", *options)


class SshServer:
    """dropbear, and a key that it lets in as root of its namespace; root's home is a directory of the lab's."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.directory = namespace.lab.directory / f"ssh-{namespace.short_name}"
        self.key = self.directory / "client.key"

    def start(self):
        (self.directory / ".ssh").mkdir(parents=True, mode=0o700)
        public = self._make_key("client.key")
        self._make_key("host.key")
        (self.directory / ".ssh" / "authorized_keys").write_text(public)
        # `ip netns exec` gives each program mounts of its own.
        return _start(self.namespace, "dropbear", SSH_PORT, "sh", "-ec",
                      f"mount --bind {self.directory} /root; exec dropbear -F -E -s -p {SSH_PORT} -P '' "
                      f"-r {self.directory / 'host.key'}")

    def _make_key(self, name):
        path = self.directory / name
        out = self.namespace.run("dropbearkey", "-t", "ed25519", "-f", path).out
        return next(line for line in out.splitlines() if line.startswith("ssh-ed25519")) + "\n"

    def fetch(self, client, address, byte_count):
        """That many bytes over SSH from another machine. Taken as they come, and not at the session's end, at which
        Debian's dropbear sometimes hangs on a busy machine."""
        process = self._log_in(client, address, f"head -c {byte_count} /dev/zero")
        received = _read(process.popen.stdout, byte_count)
        process.stop(signal.SIGKILL)
        return received

    @contextlib.contextmanager
    def session(self, client, address):
        """Somebody who is logged in all the while; gives a function that types a line and waits for its echo."""
        process = self._log_in(client, address, "cat", stdin=subprocess.PIPE)

        def type_line(line):
            text = f"{line}\n".encode()
            process.popen.stdin.write(text)
            process.popen.stdin.flush()
            if _read(process.popen.stdout, len(text)) != text:
                raise LabError(f"the SSH session to {address} no longer answers")

        try:
            type_line("logged in")
            yield type_line
        finally:
            process.stop(signal.SIGKILL)

    def _log_in(self, client, address, command, **streams):
        home = {"HOME": str(self.directory), "PATH": "/usr/bin:/bin:/usr/sbin"}
        return client.start("dbclient", "-y", "-y", "-i", self.key, f"root@{address}", command, env=home,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **streams)


def _read(stream, byte_count):
    """That many bytes, or what came of them."""
    received = bytearray()
    deadline = time.monotonic() + SSH_SECONDS
    while len(received) < byte_count and time.monotonic() < deadline:
        if select.select([stream], [], [], 0.1)[0]:
            chunk = stream.read1()
            received += chunk
            if not chunk:
                break
    return bytes(received)
