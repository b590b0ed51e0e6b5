"""The tunnels under test: ringwayd and wireguard-go, each in a namespace of the laboratory.

Both take the same description of a node (NodeSpec), so that a test can put either at either end.
"""

import itertools
import json
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from .lab import LabError, Started, WIREGUARD_SOCKETS, wait_until

ROOT = Path(__file__).resolve().parents[3]
MTU = 1420
ALL_ADDRESSES = ("0.0.0.0/0", "::/0")
READY_SECONDS = 10.0
API_VERSION = 1
API_SECONDS = 10.0

AES_GCM = "aes256gcm"
CHACHA = "chacha20poly1305"
STOCK = "wireguard"
AF_XDP = "af_xdp"


def binary_directory():
    """Where the programs under test are: RINGWAY_BIN, or the release build."""
    return Path(os.environ.get("RINGWAY_BIN", ROOT / "build" / "release" / "bin"))


def program(name):
    path = binary_directory() / name
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is missing: build it with `cmake --preset release && "
                       "cmake --build --preset release`, or set RINGWAY_BIN")
    return path


@dataclass
class KeyPair:
    private: str
    public: str

    @classmethod
    def generate(cls, lab):
        private = lab.run("wg", "genkey").out.strip()
        return cls(private, lab.run("wg", "pubkey", input=private + "\n").out.strip())


def generate_psk(lab):
    return lab.run("wg", "genpsk").out.strip()


@dataclass
class Peer:
    name: str
    public_key: str
    allowed_ips: tuple
    endpoint: str | None = None
    psk: str | None = None
    keepalive_s: int = 0
    kind: str = AES_GCM  # AES_GCM, CHACHA or STOCK; what ringwayd is told about this peer
    up_mbps: int | None = None  # None: what holds for all subscribers
    down_mbps: int | None = None


@dataclass
class NodeSpec:
    namespace: object
    keys: KeyPair
    addresses: tuple
    listen_port: int
    peers: list = field(default_factory=list)
    mtu: int = MTU
    full_tunnel: bool = False
    gateway: bool = False
    io: str | None = None  # of a gateway: "kernel", "af_xdp"; None says nothing
    xdp_interfaces: tuple = ("lan", "wan")  # that af_xdp takes over
    xdp_frames: int | None = None  # for packets, of each worker; None says nothing
    subscriber_up_mbps: int = 0  # of a gateway; 0: no limit
    subscriber_down_mbps: int = 0
    workers: int = 1


_serial = itertools.count(1)


class WireguardGo(Started):
    """Debian's wireguard-go, set up as wg-quick sets it up."""

    mark = 51820

    def __init__(self, spec, name):
        self.spec = spec
        self.namespace = spec.namespace
        self.lab = spec.namespace.lab
        self.name = name
        # The control socket's directory is shared by all namespaces: the name must be unique.
        self.interface = f"rw{os.getpid()}x{next(_serial):x}"
        self.process = None

    @property
    def _socket(self):
        return WIREGUARD_SOCKETS / f"{self.interface}.sock"

    def start(self):
        log = self.lab.log_file(self.interface)
        self.process = self.namespace.start("wireguard-go", "-f", self.interface,
                                            name=f"wireguard-go on {self.namespace.short_name}",
                                            stdout=log, stderr=log)
        log.close()
        wait_until(lambda: self._listens() or not self.process.running(), "wireguard-go starts")
        self.configure()
        self.namespace.ip(*[f"addr add {address} dev {self.interface}{_nodad(address)}"
                            for address in self.spec.addresses],
                          f"link set mtu {self.spec.mtu} up dev {self.interface}")
        if self.spec.full_tunnel:
            self._route_everything()
        else:
            self.namespace.ip(*[f"route replace {prefix} dev {self.interface}"
                                for peer in self.spec.peers for prefix in peer.allowed_ips])

    def _listens(self):
        # A socket that exists and does not listen yet would be removed by `wg` as a stale one.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            return connection.connect_ex(str(self._socket)) == 0

    def configure(self, command="setconf"):
        """Hands the keys and peers over; `syncconf` changes a running node without disturbance."""
        path = self.lab.directory / f"{self.interface}.conf"
        path.touch(mode=0o600)
        path.write_text(self._configuration())
        self.namespace.run("wg", command, self.interface, path)

    def _configuration(self):
        lines = ["[Interface]", f"PrivateKey = {self.spec.keys.private}",
                 f"ListenPort = {self.spec.listen_port}"]
        if self.spec.full_tunnel:
            lines.append(f"FwMark = {self.mark}")
        for peer in self.spec.peers:
            lines += ["[Peer]", f"PublicKey = {peer.public_key}",
                      f"AllowedIPs = {', '.join(peer.allowed_ips)}"]
            if peer.endpoint:
                lines.append(f"Endpoint = {peer.endpoint}")
            if peer.psk:
                lines.append(f"PresharedKey = {peer.psk}")
            if peer.keepalive_s:
                lines.append(f"PersistentKeepalive = {peer.keepalive_s}")
        return "\n".join(lines) + "\n"

    def _route_everything(self):
        for family in (4, 6):
            self.namespace.ip(f"route add default dev {self.interface} table {self.mark}",
                              f"rule add not fwmark {self.mark} table {self.mark}",
                              "rule add table main suppress_prefixlength 0", family=family)
        self.namespace.sysctl(net__ipv4__conf__all__src_valid_mark=1)

    def peer_facts(self):
        """public key → dict of endpoint, handshake time (0 if none), bytes received and sent."""
        facts = {}
        for line in self.namespace.run("wg", "show", self.interface, "dump").out.splitlines()[1:]:
            key, _psk, endpoint, _allowed, handshake, received, sent, _keepalive = line.split("\t")
            facts[key] = {"endpoint": endpoint, "latest_handshake": int(handshake),
                          "rx_bytes": int(received), "tx_bytes": int(sent)}
        return facts

    def stop(self):
        if self.process is None:
            return
        if self.spec.full_tunnel:
            for family in (4, 6):
                for rule in (f"not fwmark {self.mark} table {self.mark}",
                             "table main suppress_prefixlength 0"):
                    self.lab.run("ip", f"-{family}", "-n", self.namespace.name, "rule", "del",
                                 *rule.split(), check=False)
            self.namespace.sysctl(net__ipv4__conf__all__src_valid_mark=0)
        self.process.stop()
        self._socket.unlink(missing_ok=True)
        self.process = None


def _nodad(address):
    return " nodad" if ":" in address else ""


class Ringway(Started):
    """ringwayd with a configuration of its own, in a directory of its own."""

    interface = "ringway0"

    def __init__(self, spec, name):
        self.spec = spec
        self.name = name
        self.namespace = spec.namespace
        self.lab = spec.namespace.lab
        self.directory = self.lab.directory / f"{name}-{time.monotonic_ns()}"
        self.process = None

    @property
    def config_path(self):
        return self.directory / "ringway.toml"

    @property
    def api_socket(self):
        return self.directory / "api.sock"

    @property
    def log_name(self):
        return self.directory.name

    def write_configuration(self, text=None):
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._write_secret("private.key", self.spec.keys.private)
        for peer in self.spec.peers:
            if peer.psk:
                self._write_secret(f"{peer.name}.psk", peer.psk)
        self.config_path.write_text(text if text is not None else self.configuration())

    def _write_secret(self, name, text):
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")

    def configuration(self):
        lines = ["[interface]", f"name = {_toml(self.interface)}",
                 f"private_key_file = {_toml(self.directory / 'private.key')}",
                 f"listen_port = {self.spec.listen_port}",
                 f"addresses = {_toml(self.spec.addresses)}", f"mtu = {self.spec.mtu}"]
        if self.spec.workers != 1:
            lines += ["[worker]", f"count = {self.spec.workers}"]
        if self.spec.full_tunnel:
            lines += ["[edge]", "full_tunnel = true"]
        if self.spec.gateway:
            lines += ["[gateway]", "masquerade = true",
                      f"subscriber_up_mbps = {self.spec.subscriber_up_mbps}",
                      f"subscriber_down_mbps = {self.spec.subscriber_down_mbps}"]
            if self.spec.io:
                lines += [f"io = {_toml(self.spec.io)}", 'interface = "wan"']
            if self.spec.io == AF_XDP:
                lines += [f"xdp_interfaces = {_toml(self.spec.xdp_interfaces)}"]
            if self.spec.xdp_frames:
                lines += [f"xdp_frames = {self.spec.xdp_frames}"]
        lines += ["[api]", f"socket = {_toml(self.api_socket)}",
                  "[state]", f"directory = {_toml(self.directory / 'state')}"]
        for peer in self.spec.peers:
            lines += self._peer_lines(peer)
        return "\n".join(lines) + "\n"

    def _peer_lines(self, peer):
        lines = ["[[peer]]", f"name = {_toml(peer.name)}", f"public_key = {_toml(peer.public_key)}",
                 f"allowed_ips = {_toml(peer.allowed_ips)}"]
        if peer.endpoint:
            lines.append(f"endpoint = {_toml(peer.endpoint)}")
        if peer.psk:
            lines.append(f"preshared_key_file = {_toml(self.directory / (peer.name + '.psk'))}")
        if peer.keepalive_s:
            lines.append(f"persistent_keepalive_s = {peer.keepalive_s}")
        for key, mbps in (("up_mbps", peer.up_mbps), ("down_mbps", peer.down_mbps)):
            if mbps is not None:
                lines.append(f"{key} = {mbps}")
        if peer.kind == STOCK:
            lines.append('type = "wireguard"')
        else:
            lines += ['type = "ringway"', f"suite = {_toml(peer.kind)}"]
        return lines

    def start(self, wrapper=()):
        """Starts ringwayd and waits until it says that it is ready. `wrapper`: setpriv and the like."""
        if not self.config_path.exists():
            self.write_configuration()
        ready_read, ready_write = os.pipe()
        try:
            log = self.lab.log_file(self.log_name)
            self.process = self.namespace.start(
                *wrapper, program("ringwayd"), "--config", self.config_path, "--foreground",
                "--ready-fd", ready_write, name=f"ringwayd on {self.namespace.short_name}",
                stdout=log, stderr=log, pass_fds=(ready_write,))
            log.close()
            os.close(ready_write)
            ready_write = None
            self._await_ready(ready_read)
        finally:
            os.close(ready_read)
            if ready_write is not None:
                os.close(ready_write)

    def _await_ready(self, descriptor):
        # End of file means that ringwayd ended (or closed the descriptor) without being ready.
        readable, _, _ = select.select([descriptor], [], [], READY_SECONDS)
        if readable and os.read(descriptor, 64).startswith(b"ready"):
            return
        status = self.process.popen.poll()
        state = "is still running" if status is None else f"ended with status {status}"
        raise LabError(f"{self.process.name} was not ready and {state}:\n{self.log().strip()}")

    @property
    def pid(self):
        return self.process.pid

    def run_to_end(self, wrapper=(), timeout=READY_SECONDS):
        """Runs ringwayd where it must refuse to start; returns what it left."""
        return self.namespace.run(*wrapper, program("ringwayd"), "--config", self.config_path,
                                  "--foreground", check=False, timeout=timeout)

    def log(self):
        return self.lab.log_text(self.log_name)

    def command(self, *words, check=True):
        """Runs `ringway` against this node."""
        return self.namespace.run(program("ringway"), *words, "--socket", self.api_socket, check=check)

    def call(self, operation, **fields):
        """One request to the node's local API; returns its result. LabError with the node's reason if refused."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(API_SECONDS)
            connection.connect(str(self.api_socket))
            connection.sendall(json.dumps({"v": API_VERSION, "op": operation, **fields}).encode() + b"\n")
            with connection.makefile() as lines:
                response = json.loads(lines.readline())
        if not response["ok"]:
            raise LabError(f"{operation}: {response['error']['message']}")
        return response["result"]

    def status(self):
        return self.call("status")

    def drops(self):
        """Dropped packets by reason."""
        return self.status()["drops"]

    def peer_facts(self):
        """public key → the same facts as WireguardGo.peer_facts."""
        return {peer["public_key"]: {"endpoint": peer.get("endpoint") or "(none)",
                                     "latest_handshake": peer["latest_handshake_unix_s"],
                                     "rx_bytes": peer["rx_bytes"], "tx_bytes": peer["tx_bytes"]}
                for peer in self.status()["peers"]}

    def reload(self):
        """Writes the configuration anew from `spec` and makes the running node take it; returns its report."""
        self.write_configuration()
        return self.call("reload")

    def stop(self, number=signal.SIGTERM):
        """Ends the node; returns its exit status (None if it was not running)."""
        if self.process is None:
            return None
        status = self.process.stop(number)
        self.process = None
        return status


def _toml(value):
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(str(value))


def cpu_seconds(pid):
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid):
    """Proportional set size in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LabError(f"process {pid} has no Pss in smaps_rollup")
