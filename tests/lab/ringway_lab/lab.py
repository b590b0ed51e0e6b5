"""Namespaces, links and processes, and the promise that nothing of them stays behind.

A Lab is a context manager. Whatever ends it (the last line, an exception, SIGINT, SIGTERM, SIGHUP),
it stops the processes that it started and removes the namespaces that it made. Nothing outside its
own namespaces is changed. A run that was killed outright (SIGKILL) cannot clean up; the next one does
it, since a namespace's name holds the process id of the run it belonged to.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

NAMESPACE_DIRECTORY = Path("/run/netns")
NAME_PATTERN = re.compile(r"^rw-(\d+)-\d+-")
DIRECTORY_PATTERN = re.compile(r"^ringway-lab-(\d+)-")
WIREGUARD_SOCKETS = Path("/run/wireguard")
TERMINATE_SECONDS = 3.0
SETTINGS = ("ipv4/ip_forward ipv4/ip_local_reserved_ports ipv4/conf/*/forwarding ipv4/conf/*/rp_filter "
            "ipv4/conf/*/src_valid_mark ipv6/conf/*/forwarding ipv6/conf/*/disable_ipv6 "
            "ipv6/conf/*/accept_ra")
# A lab that is killed outright takes its processes along. A program does this, not Python between fork
# and exec, since that would copy the interpreter's page tables for each process.
DIES_WITH_LAB = ("setpriv", "--pdeathsig", "KILL", "--")

_serial = 0


class LabError(Exception):
    """A step of the laboratory failed; the text is meant for a person."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Interrupts:
    """Signals become exceptions, but never between the making of a thing and its registration."""

    def __init__(self):
        self.depth = 0
        self.pending = None

    def handle(self, number, _frame):
        if self.depth:
            self.pending = number
            return
        raise Interrupted(number)

    @contextlib.contextmanager
    def deferred(self):
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if self.depth == 0 and self.pending is not None:
            number, self.pending = self.pending, None
            raise Interrupted(number)


_interrupts = _Interrupts()


def install_signal_handlers():
    """From now on SIGINT, SIGTERM and SIGHUP raise Interrupted in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupts.handle)


def pause():
    """Waits until a signal raises Interrupted."""
    while True:
        time.sleep(3600)


class Process:
    """One process of the laboratory, in a session of its own so that Ctrl-C reaches only us."""

    def __init__(self, lab, argv, name, **popen_options):
        self.name = name
        self.argv = [str(word) for word in argv]
        self._lab = lab
        if shutil.which(self.argv[0]) is None:
            raise LabError(f"the program `{self.argv[0]}` is not installed")
        self.popen = subprocess.Popen([*DIES_WITH_LAB, *self.argv], start_new_session=True, **popen_options)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def send_signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout):
        return self.popen.wait(timeout)

    def stop(self, number=signal.SIGTERM, timeout=TERMINATE_SECONDS):
        """Asks the process to end, insists after `timeout`; returns its exit status."""
        with _interrupts.deferred():
            self.send_signal(number)
            try:
                status = self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                status = self.popen.wait()
                self._lab.leftovers.append(f"process {self.name}, which did not end within {timeout:g} s")
            for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
                if stream:
                    stream.close()
            self._lab.forget(self)
        return status


class Started:
    """What runs while it is entered. It has start() and stop(), which may be called at any time."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception):
        self.stop()


class Result:
    """What a finished command left: status and texts."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    def __bool__(self):
        return self.status == 0


class Namespace:
    """One machine of the laboratory."""

    def __init__(self, lab, name):
        self.lab = lab
        self.short_name = name
        self.name = lab.prefix + name

    def wrap(self, argv):
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def run(self, *argv, **options):
        return self.lab.run(*self.wrap(argv), **options)

    def start(self, *argv, **options):
        options.setdefault("name", f"{Path(str(argv[0])).name} on {self.short_name}")
        return self.lab.start(*self.wrap(argv), **options)

    def ip(self, *lines, family=None):
        """Runs each line as an `ip` command inside, all in one process; `family` where `ip` cannot tell."""
        options = [f"-{family}"] if family else []
        self.lab.run("ip", *options, "-n", self.name, "-batch", "-", input="\n".join(lines) + "\n")

    def sysctl(self, **settings):
        """net__ipv4__ip_forward=1 and the like: `__` stands for the slash."""
        script = "".join(f"echo {value} > /proc/sys/{key.replace('__', '/')}; "
                         for key, value in settings.items())
        self.run("sh", "-ec", script)

    def nft(self, ruleset):
        self.run("nft", "-f", "-", input=ruleset)

    def state(self):
        """Links, addresses, routes, rules, nftables and the settings that a VPN touches, as text, to compare
        before and after."""
        parts = [self.run("ip", *words).out for words in (
            ("-o", "link", "show"), ("-o", "addr", "show"), ("rule", "show"), ("-6", "rule", "show"),
            ("route", "show", "table", "all"), ("-6", "route", "show", "table", "all"))]
        parts.append(self.run("nft", "list", "ruleset").out)
        parts.append(self.run("sh", "-c", f"cd /proc/sys/net && grep -s . {SETTINGS}").out)
        return "\n".join(_without_volatile(part) for part in parts)

    def interface_exists(self, interface):
        return bool(self.run("ip", "link", "show", "dev", interface, check=False))


def _without_volatile(text):
    """Drops what changes by itself: interface numbers, lifetimes, cached neighbours' routes."""
    text = re.sub(r"^\d+: ", "", text, flags=re.MULTILINE)
    text = re.sub(r"(expires|valid_lft|preferred_lft) \S+", "", text)
    return "\n".join(sorted(line.rstrip() for line in text.splitlines() if line.strip()))


class Lab:
    """Everything that a run makes, in one place, so that it can be taken back."""

    def __init__(self):
        global _serial
        require_root()
        _serial += 1
        self.serial = _serial
        self.prefix = f"rw-{os.getpid()}-{self.serial}-"
        self.namespaces = []
        self.processes = []
        self.leftovers = []
        self.directory = None
        self._had_wireguard_directory = WIREGUARD_SOCKETS.exists()

    def __enter__(self):
        remove_abandoned()
        try:
            with _interrupts.deferred():
                self.directory = Path(tempfile.mkdtemp(prefix=f"ringway-lab-{os.getpid()}-"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception):
        self.close()

    def namespace(self, name):
        with _interrupts.deferred():
            namespace = Namespace(self, name)
            self.run("ip", "netns", "add", namespace.name)
            self.namespaces.append(namespace)
        namespace.ip("link set lo up")
        # Addresses are usable at once, nothing is configured that the lab did not ask for.
        namespace.sysctl(net__ipv6__conf__default__accept_dad=0, net__ipv6__conf__all__accept_dad=0,
                         net__ipv6__conf__default__accept_ra=0, net__ipv4__ip_forward=0,
                         net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__default__rp_filter=2)
        return namespace

    def link(self, one, one_interface, other, other_interface, one_options=(), other_options=()):
        """A veth pair with its ends in two namespaces, offloads as on a good network card. `one_options`,
        `other_options`: of its ends, as `ip link add` has them."""
        self.run("ip", "link", "add", one_interface, "netns", one.name, *one_options, "type", "veth",
                 "peer", "name", other_interface, "netns", other.name, *other_options)
        for namespace, interface in ((one, one_interface), (other, other_interface)):
            namespace.run("ethtool", "-K", interface, "gro", "on", "gso", "on", "tso", "on",
                          "tx-udp-segmentation", "on")
            namespace.ip(f"link set {interface} up")

    def run(self, *argv, timeout=30.0, check=True, input=None, env=None):
        """Runs a command to its end. Raises LabError if it fails (unless check=False) or hangs."""
        process = self.start(*argv, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        try:
            out, err = process.popen.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"`{_shown(argv)}` did not end within {timeout:g} s") from None
        finally:
            process.stop(signal.SIGKILL)
        result = Result(argv, process.popen.returncode, out, err)
        if check and not result:
            raise LabError(f"`{_shown(argv)}` failed: {(err or out).strip() or result.status}")
        return result

    def start(self, *argv, name=None, **popen_options):
        """Starts a process that the lab ends, if nobody does so before."""
        popen_options.setdefault("stdin", subprocess.DEVNULL)
        with _interrupts.deferred():
            process = Process(self, argv, name or Path(str(argv[0])).name, **popen_options)
            self.processes.append(process)
        return process

    def forget(self, process):
        if process in self.processes:
            self.processes.remove(process)

    def log_file(self, name):
        return open(self.directory / f"{name}.log", "ab")

    def log_text(self, name):
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self):
        """Takes back everything. May be called twice. `leftovers` names what had to be forced."""
        with _interrupts.deferred():
            for process in reversed(list(self.processes)):
                process.stop()
            for namespace in self.namespaces:
                self._end_strays(namespace)
                if not self.run("ip", "netns", "delete", namespace.name, check=False):
                    self.leftovers.append(f"namespace {namespace.name}")
            self.namespaces.clear()
            if self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)
                self.directory = None
            if not self._had_wireguard_directory:
                with contextlib.suppress(OSError):
                    WIREGUARD_SOCKETS.rmdir()

    def _end_strays(self, namespace):
        # Only descendants of ours can be inside a namespace that we made.
        for pid in self.run("ip", "netns", "pids", namespace.name, check=False).out.split():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                os.kill(int(pid), signal.SIGKILL)
                self.leftovers.append(f"process {pid} ({command.strip()})")


def require_root():
    if os.geteuid() != 0:
        raise LabError("the laboratory makes network namespaces and needs root: run it with sudo")


def remove_abandoned():
    """Removes what runs left whose process is gone (it was killed and could not do so itself)."""
    def of_dead_runs(directory, pattern):
        matches = [(path, pattern.match(path.name)) for path in directory.glob("*")]
        return [path for path, match in matches if match and not Path(f"/proc/{match[1]}").exists()]

    for path in of_dead_runs(NAMESPACE_DIRECTORY, NAME_PATTERN):
        subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)
    for path in of_dead_runs(Path(tempfile.gettempdir()), DIRECTORY_PATTERN):
        shutil.rmtree(path, ignore_errors=True)


def wait_until(condition, what, timeout=10.0, interval=0.02):
    """Polls until `condition()` is true and returns its value; LabError names `what` did not happen."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def _shown(argv):
    words = [str(word) for word in argv]
    if words[:3] == ["ip", "netns", "exec"]:
        words = words[4:]
    return " ".join(words)
