"""scripts/demo: the same path to the Internet without a tunnel, with Ringway and with wireguard-go.

Rounds are interleaved (round 1 of every variant, then round 2, ...), so that a machine that becomes
busier or warmer meets all of them alike; the table shows medians. Then the leak check.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import traceback
from pathlib import Path

from . import lab as laboratory
from . import leaks, measure, nodes, services, variants
from .lab import Interrupted, Lab, LabError
from .nodes import AF_XDP
from .topology import Topology

METRICS = (  # key, title, unit, digits, whether less is better
    ("tcp_up_gbps", "TCP up", "Gbit/s", 2, False),
    ("tcp_down_gbps", "TCP down", "Gbit/s", 2, False),
    ("udp64_kpps", "UDP 64 B", "1000/s", 1, False),
    ("rtt_us", "RTT", "µs", 0, True),
)
BASE = "wireguard_go"

# (variant, metric, compared with, bound, whether the ratio must be at least or at most the bound)
KERNEL_TARGETS = (
    *[("ringway", metric, BASE, 8.0, "least") for metric in ("tcp_up_gbps", "tcp_down_gbps")],
    *[("ringway", metric, "plain", 0.4, "least") for metric in ("tcp_up_gbps", "tcp_down_gbps")],
    *[("ringway_chacha", metric, BASE, 6.0, "least") for metric in ("tcp_up_gbps", "tcp_down_gbps")],
    *[("stock_client", metric, BASE, 1.3, "least") for metric in ("tcp_up_gbps", "tcp_down_gbps")],
    ("ringway", "udp64_kpps", BASE, 2.0, "least"),
    ("ringway", "rtt_us", BASE, 0.6, "most"),
)
# What encryption may cost a gateway that forwards by itself. Beside the kernel's own forwarding it has no
# super-packets on veth, so multiples of others say little there.
AF_XDP_TARGETS = (
    *[("ringway", metric, "plain_xdp", 0.5, "least") for metric in ("tcp_up_gbps", "tcp_down_gbps")],
    ("ringway", "udp64_kpps", "plain_xdp", 0.6, "least"),
)
AF_XDP_GATEWAY = {"io": "af_xdp", "xdp_mode": "native", "nat": "ringway"}


class Paint:
    """Colours, where a terminal shows them."""

    def __init__(self, stream):
        self.on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.on else text

    def bold(self, text):
        return self("1", text)

    def dim(self, text):
        return self("2", text)

    def good(self, text):
        return self("32", text)

    def bad(self, text):
        return self("31", text)


paint = Paint(sys.stdout)


def say(text="", end="\n"):
    print(text, end=end, flush=True)


def mark(good):
    return paint.good("✓") if good else paint.bad("✗")


class Demo:
    def __init__(self, options):
        self.options = options
        self.chosen = [variant for variant in variants.ALL if variant.key in options.only]
        self.samples = {variant.key: [] for variant in self.chosen}
        self.findings = {}
        self.failures = []
        self.gateway = None  # what a Ringway gateway said of itself

    def fail(self, what, error):
        self.failures.append(f"{what}: {error}")
        say(paint.bad(f"✗ {error}"))

    def run(self, lab):
        topology = Topology(lab)
        for name in ("edge", "stock"):
            topology.add_edge(name)
        services.start_services(topology.internet)
        for number in range(1, self.options.rounds + 1):
            say(paint.bold(f"Round {number} of {self.options.rounds}"))
            for variant in self.chosen:
                self.measure_variant(topology, variant)
        if not self.options.no_leak_check:
            self.check_leaks(topology)
        if self.options.keep:
            self.keep(topology)

    def measure_variant(self, topology, variant):
        say(f"  {variant.title:<26}", end="")
        sample = {}
        self.samples[variant.key].append(sample)
        try:
            with variant.running(topology, io=self.options.io, workers=self.options.workers) as edge:
                if self.past_the_kernel(variant) and topology.kernel_forwards():
                    raise LabError("the kernel of the gateway forwards too, so this would measure nothing")
                self.measure_path(topology, edge, sample)
                if isinstance(variant.gateway, nodes.Ringway):
                    self.gateway = variant.gateway.status()["gateway"]
            say()
        except LabError as error:
            self.fail(variant.title, error)

    def past_the_kernel(self, variant):
        return variant is variants.PLAIN_XDP or (
            self.options.io == AF_XDP and isinstance(variant.gateway, nodes.Ringway))

    def measure_path(self, topology, edge, sample):
        client, server, seconds = edge.namespace, topology.internet, self.options.seconds

        def note(key, value, shown):
            sample[key] = value
            say(shown, end="")

        pings = all(measure.can_ping(client, address) for address in
                    (topology.internet4, topology.internet6))
        note("ping", pings, f"ping {mark(pings)}")
        pages = [measure.fetch_page(client, topology.internet4) == topology.wan4,
                 measure.fetch_page(client, topology.internet6) == topology.wan6]
        note("page", all(pages), f"  page {mark(all(pages))}")
        if not pings or not all(pages):
            raise LabError("ping or page did not work over IPv4 and IPv6 with the gateway's address")
        rtt = measure.rtt_us(client, topology.internet4)
        note("rtt_us", rtt, f"  RTT {rtt:4.0f} µs")
        up = measure.tcp_gbps(client, server, topology.internet4, seconds)
        note("tcp_up_gbps", up, f"  TCP up {up:6.2f}")
        down = measure.tcp_gbps(client, server, topology.internet4, seconds, down=True)
        note("tcp_down_gbps", down, f"  down {down:6.2f} Gbit/s")
        udp = measure.udp_kpps(client, server, topology.internet4, seconds)
        note("udp64_kpps", udp, f"  UDP {udp:6.1f} k/s")

    def check_leaks(self, topology):
        checks = [(variant, family) for variant in self.chosen
                  if variant in (variants.RINGWAY, variants.STOCK_CLIENT) for family in (4, 6)]
        if checks:
            say(paint.bold("What leaves the edge outside the tunnel?"))
        for variant, family in checks:
            name = f"{variant.title}, IPv{family} outside"
            say(f"  {name:<40}", end="")
            try:
                findings = leaks.check_variant(topology, variant, family, self.options.io)
            except LabError as error:
                self.fail(name, error)
                continue
            self.findings[name] = findings
            say(f"{mark(not findings.leaks)} {findings.tunnel:,} tunnel datagrams, "
                f"{len(findings.leaks)} other packets")
            for leak in sorted(set(findings.leaks))[:10]:
                say(f"      {paint.bad('leak')}  {leak}")
            if findings.leaks:
                self.failures.append(f"{name}: {len(findings.leaks)} packets left outside the tunnel")

    def keep(self, topology):
        """Leaves one tunnel up for a look around."""
        variant = self.chosen[-1]
        with variant.running(topology, io=self.options.io, workers=self.options.workers) as edge:
            say(paint.bold(f"\n{variant.title} is up. Try, in another terminal:"))
            say(f"  sudo ip netns exec {edge.namespace.name} ping {topology.internet4}")
            say(f"  sudo ip netns exec {edge.namespace.name} curl http://{topology.internet4}/")
            say(f"  sudo ip netns exec {topology.router.name} tcpdump -ni {edge.router_interface}")
            say("Ctrl-C ends it and removes everything.")
            try:
                laboratory.pause()
            except Interrupted:
                say()

    def medians(self):
        """variant → metric → median (absent if no round has it)."""
        result = {}
        for key, samples in self.samples.items():
            result[key] = {flag: all(sample.get(flag, False) for sample in samples)
                           for flag in ("ping", "page")}
            for metric, *_ in METRICS:
                values = [sample[metric] for sample in samples if metric in sample]
                if values:
                    result[key][metric] = round(statistics.median(values), 4)
        return result

    def leak_count(self):
        return sum(len(findings.leaks) for findings in self.findings.values())

    def report(self):
        """What --json writes."""
        return {**self.medians(), "gateway": self.gateway, "workers": self.options.workers,
                "leaks": self.leak_count() if self.findings else None,
                "leak_check": {name: {"tunnel_datagrams": findings.tunnel, "leaks": len(findings.leaks),
                                      "excepted": dict(findings.maintenance)}
                               for name, findings in self.findings.items()},
                "failures": self.failures, "rounds": self.options.rounds,
                "seconds": self.options.seconds, "samples": self.samples, "machine": machine()}


def table(medians, chosen):
    """The medians for a person: one line a variant, with its ratio to wireguard-go."""
    indent = " " * 28
    lines = ["", indent + "".join(f"{title:>10}{'':8}" for _, title, *_ in METRICS),
             paint.dim(indent + "".join(f"{unit:>10}{'':8}" for _, _, unit, *_ in METRICS).rstrip())]
    for variant in chosen:
        values = medians[variant.key]
        line = f"  {variant.title:<26}"
        for metric, _, _, digits, less_is_better in METRICS:
            line += f"{values[metric]:10.{digits}f}" if metric in values else f"{'–':>10}"
            line += _ratio_cell(medians, variant.key, metric, less_is_better)
        line += f"ping {mark(values['ping'])}  page {mark(values['page'])}"
        lines.append(line)
    if BASE in medians:
        lines += ["", paint.dim("  × stands for multiples of wireguard-go at both ends.")]
    if "plain_xdp" in medians:
        shares = [f"{title} {value:.2f}" for key, title, *_ in METRICS[:3]
                  if (value := ratio(medians, "ringway", key, "plain_xdp")) is not None]
        lines += ["", paint.dim(f"  Ringway / no tunnel, by AF_XDP: {', '.join(shares)}.")] if shares else []
    return lines


def _ratio_cell(medians, key, metric, less_is_better):
    value = ratio(medians, key, metric, BASE)
    if value is None or key in (BASE, "plain", "plain_xdp"):
        return " " * 8
    text = f"{f'{value:.1f}×' if value >= 0.95 else f'{value:.2f}×':>7} "
    return (paint.good if (value < 1) == less_is_better else paint.bad)(text)


def ratio(medians, key, metric, other):
    value = medians.get(key, {}).get(metric)
    against = medians.get(other, {}).get(metric)
    return value / against if value is not None and against else None


def targets(medians, io, gateway):
    """(text, whether it was reached) for every target whose variants ran."""
    if io == AF_XDP and gateway is not None:
        for key, wanted in AF_XDP_GATEWAY.items():
            yield f"gateway.{key} is {gateway[key]}, must be {wanted}", gateway[key] == wanted
    for key, metric, other, bound, kind in AF_XDP_TARGETS if io == AF_XDP else KERNEL_TARGETS:
        value = ratio(medians, key, metric, other)
        if value is not None:
            reached = value >= bound if kind == "least" else value <= bound
            yield f"{key} {metric}: {value:.2f} × {other}, at {kind} {bound}", reached


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_gb": round(memory_kb / 1e6, 1),
            "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2),
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def parse_options(arguments):
    keys = [variant.key for variant in variants.ALL]
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Builds a laboratory of network namespaces, sends traffic through "
        "a gateway with and without a tunnel, and compares. Needs root; removes all that it made.")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to FILE")
    parser.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (default 3)")
    parser.add_argument("--seconds", type=int, metavar="S", help="length of a measurement (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round of one second, unless told otherwise")
    parser.add_argument("--only", metavar="LIST", type=lambda text: text.split(","),
                        help=f"variants, separated by commas, of: {', '.join(keys)} (default: all, plain_xdp "
                        "with --io af_xdp)")
    parser.add_argument("--io", choices=["auto", "kernel", "af_xdp"],
                        help="what moves the packets of a Ringway gateway (default: the node decides)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="of a Ringway gateway (default 1)")
    parser.add_argument("--no-leak-check", action="store_true", help="measure only")
    parser.add_argument("--check-targets", action="store_true",
                        help="fail if a ratio misses what Ringway promises")
    parser.add_argument("--keep", action="store_true",
                        help="leave the last variant up at the end, until Ctrl-C")
    options = parser.parse_args(arguments)
    if options.only is None:
        options.only = [key for key in keys if key != variants.PLAIN_XDP.key or options.io == AF_XDP]
    unknown = set(options.only) - set(keys)
    if unknown:
        parser.error(f"unknown variant: {', '.join(sorted(unknown))} (there are: {', '.join(keys)})")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 5)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    if options.json and not options.json.resolve().parent.is_dir():
        parser.error(f"--json: the directory of {options.json} does not exist")
    return options


def show_results(demo):
    medians = demo.medians()
    for line in table(medians, demo.chosen):
        say(line)
    if demo.findings:
        excepted = sum((findings.maintenance for findings in demo.findings.values()), start=type(
            next(iter(demo.findings.values())).maintenance)())
        say(f"  Leaks: {demo.leak_count()}." + (
            paint.dim(f" Excepted, as a link's own: {', '.join(f'{n} {k}' for k, n in excepted.items())}.")
            if excepted else ""))
    missed = []
    if demo.options.check_targets:
        say()
        for text, reached in targets(medians, demo.options.io, demo.gateway):
            say(f"  {mark(reached)} {text}")
            missed += [] if reached else [f"target missed: {text}"]
    return missed


def main(arguments=None):
    options = parse_options(arguments)
    laboratory.install_signal_handlers()
    demo = Demo(options)
    try:
        laboratory.require_root()
        for name in sorted(set().union(*(variant.programs for variant in demo.chosen))):
            nodes.program(name)
        minutes = options.rounds * len(demo.chosen) * (options.seconds * 3 + 5) / 60 + 1
        say(f"{len(demo.chosen)} variants, {options.rounds} rounds, {options.seconds} s a measurement: "
            f"about {minutes:.0f} min")
        with Lab() as lab:
            demo.run(lab)
        demo.failures += [f"had to be removed by force: {thing}" for thing in lab.leftovers]
    except Interrupted as interruption:
        say(f"\n{interruption}: stopped, everything removed")
        return 128 + interruption.number
    except LabError as error:
        say()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception:  # a bug of the laboratory: the namespaces are gone by now, the trace is wanted
        traceback.print_exc()
        return 1
    demo.failures += show_results(demo)
    if options.json:
        options.json.write_text(json.dumps(demo.report(), indent=2) + "\n")
        say(paint.dim(f"  Figures written to {options.json}"))
    for failure in demo.failures:
        print(paint.bad(f"failed: {failure}"), file=sys.stderr)
    return 1 if demo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
