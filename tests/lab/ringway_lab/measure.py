"""What is measured between an edge and the Internet of the laboratory.

Rates are the receiver's: what did not arrive does not count.
"""

import json
import math
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from . import services
from .lab import LabError, wait_until

IPERF_PORT = 5201
UDP_PAYLOAD_BYTES = 64
RTT_PINGS = 500
RTT_INTERVAL_S = 0.002
UNDER_WAY_SECONDS = 0.02  # an answered ping, on a machine that is busy
# iperf3 exchanges its results over TCP after the load; a full queue in front of that takes a while.
IPERF_GRACE_SECONDS = 20.0


def can_ping(namespace, address, count=1, timeout=2):
    return bool(namespace.run("ping", "-n", "-q", "-c", count, "-i", "0.05", "-W", timeout, address,
                              check=False, timeout=count + timeout + 5))


def wait_for_path(namespace, *addresses, timeout=15.0):
    """Waits until every address answers a ping."""
    for address in addresses:
        wait_until(lambda: can_ping(namespace, address, timeout=1),
                   f"{namespace.short_name} reaches {address}", timeout)


def fetch_page(namespace, address, timeout=5):
    """Fetches the page; returns the source address that the server saw, or None if it did not come."""
    host = f"[{address}]" if ":" in address else address
    result = namespace.run("curl", "-s", "-i", "--max-time", timeout, f"http://{host}/",
                           check=False, timeout=timeout + 5)
    if not result or not result.out.endswith(services.PAGE):
        return None
    match = re.search(rf"^{services.SEEN_FROM_HEADER}: (\S+)", result.out, re.MULTILINE)
    return match[1] if match else None


def look_up(namespace, server, name="www.example.org"):
    """Whether the name server answers a query over UDP."""
    result = namespace.run(sys.executable, "-m", "ringway_lab.services", "lookup", server, name,
                           check=False, env=services.PACKAGE_ENVIRONMENT)
    return bool(result) and result.out.strip() == services.ANSWER4


def round_trips_us(namespace, address, count, interval_s=RTT_INTERVAL_S):
    """Of those of `count` pings that were answered, in microseconds."""
    result = namespace.run("ping", "-n", "-c", count, "-i", interval_s, "-W", "1", address,
                           check=False, timeout=count * interval_s * 5 + 20)
    return [float(value) * 1000 for value in re.findall(r"time=([\d.]+) ms", result.out)]


def rtt_us(namespace, address, count=RTT_PINGS):
    """The median round trip of many pings, in microseconds."""
    samples = round_trips_us(namespace, address, count)
    if len(samples) < count * 0.9:
        raise LabError(f"only {len(samples)} of {count} pings from {namespace.short_name} to {address} "
                       "were answered")
    return statistics.median(samples)


class BackgroundPing:
    """Pings that run while something else happens; afterwards it tells how many were lost."""

    def __init__(self, namespace, address, interval_s=0.02):
        self.namespace, self.address, self.interval_s = namespace, address, interval_s

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = self.namespace.start("ping", "-n", "-i", self.interval_s, "-W", "1", self.address,
                                            stdout=self.output)
        return self

    def __exit__(self, *_exception):
        self.process.stop()
        self.output.close()

    def finish(self):
        """Ends the pings; returns (sent, received). They go on for a moment first: the last ones, whose answers may be
        under way when they end and which are not counted if these are missing, are all of that moment."""
        time.sleep(2 * UNDER_WAY_SECONDS)
        self.process.send_signal(signal.SIGINT)
        self.process.popen.wait(timeout=10)
        self.output.seek(0)
        text = self.output.read()
        match = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        if not match:
            raise LabError(f"ping of {self.address} gave no summary: {text.strip()[-400:]}")
        sent, received = int(match[1]), int(match[2])
        last_answered = max(map(int, re.findall(r"bytes from .* icmp_seq=(\d+)", text)), default=0)
        under_way = min(sent - last_answered, math.ceil(UNDER_WAY_SECONDS / self.interval_s))
        return sent - under_way, received


class IperfServer:
    """One iperf3 server for one test, so that a test that went wrong cannot spoil the next."""

    def __init__(self, namespace, port=IPERF_PORT, interval_s=1):
        self.namespace = namespace
        self.port = port
        self.interval_s = interval_s

    def __enter__(self):
        self.process = self.namespace.start("iperf3", "-s", "-1", "-J", "-p", self.port, "-i", self.interval_s,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: self._listening() or not self.process.running(), "iperf3 -s listens")
        return self

    def __exit__(self, *_exception):
        self.process.stop(signal.SIGKILL)

    def _listening(self):
        return f":{self.port} " in self.namespace.run("ss", "-Hltn").out

    def report(self):
        """The server's own report, once the test is over."""
        text, _ = self.process.popen.communicate(timeout=IPERF_GRACE_SECONDS)
        return json.loads(text)


def _iperf(client, address, seconds, *options, port=IPERF_PORT):
    result = client.run("iperf3", "-c", address, "-J", "-p", port, "-t", seconds,
                        "--connect-timeout", 5000, *options,
                        check=False, timeout=seconds + IPERF_GRACE_SECONDS)
    try:
        report = json.loads(result.out)
    except ValueError:
        raise LabError(f"iperf3 from {client.short_name} failed: {result.err.strip()}") from None
    if "error" in report:
        raise LabError(f"iperf3 from {client.short_name} to {address}: {report['error']}")
    return report


def tcp_gbps(client, server, address, seconds, down=False, port=IPERF_PORT):
    """One TCP stream; Gbit/s as the receiver counted them."""
    with IperfServer(server, port):
        report = _iperf(client, address, seconds, *(["-R"] if down else []), port=port)
        return report["end"]["sum_received"]["bits_per_second"] / 1e9


class BackgroundTcp:
    """One TCP stream that runs while something else happens; afterwards it tells how it went over time."""

    interval_s = 0.1

    def __init__(self, client, server, address, seconds, *options, port=IPERF_PORT):
        self.client, self.seconds = client, seconds
        self.server = IperfServer(server, port, self.interval_s)
        self.arguments = ("iperf3", "-c", address, "-J", "-p", port, "-t", seconds, "--connect-timeout", 5000,
                          *options)

    def __enter__(self):
        self.server.__enter__()
        self.process = self.client.start(*self.arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_exception):
        self.process.stop(signal.SIGKILL)
        self.server.__exit__()

    def running(self):
        return self.process.running()

    def finish(self):
        """Waits for the end; returns Gbit/s of each interval, as the receiver counted them."""
        self.process.popen.communicate(timeout=self.seconds + IPERF_GRACE_SECONDS)
        return [interval["sum"]["bits_per_second"] / 1e9 for interval in self.server.report()["intervals"]]


def udp_kpps(client, server, address, seconds, payload_bytes=UDP_PAYLOAD_BYTES, port=IPERF_PORT):
    """Datagrams sent as fast as the sender can; thousands a second that the receiver read.

    Counted in the bytes that the server's report says it received, not in sequence numbers, so that
    neither loss nor duplicates can flatter.
    """
    with IperfServer(server, port) as iperf:
        _iperf(client, address, seconds, "-u", "-l", payload_bytes, "-b", "0", port=port)
        received = iperf.report()["end"]["sum_received"]
        return received["bytes"] / payload_bytes / received["seconds"] / 1000


def udp_loss(client, server, address, seconds, mbps, payload_bytes, down=False, port=IPERF_PORT):
    """Datagrams at a rate that should fit; the share of them that did not arrive."""
    with IperfServer(server, port):
        report = _iperf(client, address, seconds, "-u", "-l", payload_bytes, "-b", f"{mbps}M",
                        *(["-R"] if down else []), port=port)
        return report["end"]["sum"]["lost_percent"] / 100
