#!/usr/bin/env python3
"""Keeps the arrows of docs/ARCHITECTURE.md: who may include whom, where vendor headers live, and
that the CMake targets say the same.

A module is a folder. kModules says which modules it may use; nothing else may appear in its
#include lines or in the USES of its targets. Bench and tests may use everything.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from repository import Finding, ROOT, list_files, report


@dataclass(frozen=True)
class Module:
    name: str
    folder: str  # a path prefix that ends in /
    uses: frozenset  # names of modules; ANY for all
    sans_io: bool = False  # given time, bytes and randomness: no sockets, clocks, files


ANY = frozenset(["*"])

MODULES = [
    Module("base", "base/", frozenset()),
    Module("bpf", "bpf/", frozenset()),
    Module("overlay", "overlay/", frozenset(["base"]), sans_io=True),
    Module("store", "overlay/store/", frozenset(["base", "overlay"])),
    Module("sim", "overlay/sim/", frozenset(["base", "overlay", "store"])),
    Module("tunnel", "dataplane/tunnel/", frozenset(["base"]), sans_io=True),
    Module("nat", "dataplane/nat/", frozenset(["base"]), sans_io=True),
    Module("io", "dataplane/io/", frozenset(["base", "dataplane", "bpf"])),
    Module("dataplane", "dataplane/", frozenset(["base", "tunnel", "nat", "io"])),
    Module("controlplane", "controlplane/",
           frozenset(["base", "bpf", "overlay", "store", "tunnel", "nat", "io", "dataplane"])),
    Module("bench", "bench/", ANY),
    Module("tests", "tests/", ANY),
]

# Ports know packets and buffers, not who drives them.
IO_FORBIDDEN = re.compile(r"dataplane/(worker|handoff|control_api)")

# Vendor headers and the folders or files that are their home. Tests may include any of them.
VENDORS = [
    (r"tl/expected\.hpp", ["base/result.hpp"]),
    (r"(intel-ipsec-mb|ipsec-mb)\.h", ["dataplane/tunnel/ipsec_mb.hpp"]),
    (r"openssl/.*", ["dataplane/tunnel/", "controlplane/", "bench/"]),
    (r"sodium(/.*|\.h)", ["dataplane/tunnel/", "overlay/sim/", "controlplane/", "bench/"]),
    (r"linux/(if_tun|virtio_net)\.h", ["dataplane/io/", "controlplane/"]),
    (r"(xdp/.*|linux/if_xdp\.h)", ["dataplane/io/"]),
    (r"rte_.*\.h", ["dataplane/io/"]),
    (r"bpf/bpf_(helpers|endian)\.h", ["bpf/"]),
    (r"(bpf/.*|steer\.skel\.h)", ["controlplane/bpf/"]),
    (r"boost/.*", ["controlplane/"]),
    (r"(spdlog|fmt)/.*", ["controlplane/"]),
    (r"toml\+\+/.*", ["base/toml_values.hpp"]),
    (r"nlohmann/.*", ["overlay/sim/", "controlplane/", "bench/"]),
    (r"CLI/.*", ["overlay/sim/", "controlplane/", "bench/"]),
    (r"zlib\.h", ["overlay/sim/"]),
    (r"sqlite3\.h", ["overlay/store/"]),
    (r"libmnl/.*", ["controlplane/"]),
    (r"linux/rtnetlink\.h", ["controlplane/", "dataplane/io/tun_device.cpp"]),
    (r"(nftables/.*|linux/netfilter.*|linux/netlink\.h|linux/fib_rules\.h)", ["controlplane/"]),
    (r"benchmark/.*", ["bench/"]),
    (r"(gtest|gmock)/.*", []),
]

# Sockets, files, clocks and sources of randomness: not in sans-IO modules.
IMPURE_HEADER = re.compile(
    r"^(sys/(?!types\.h|cdefs\.h).*|net/.*|netinet/.*|arpa/.*|linux/.*|netdb\.h|poll\.h|unistd\.h|"
    r"fcntl\.h|time\.h|ctime|chrono|random|fstream|iostream|filesystem|thread|future)$")
IMPURE_CALL = re.compile(r"\b(Instant::now|WallTime::now|SystemRng|getrandom|clock_gettime)\b")

# What C++ and POSIX bring: a name without a dot, or one of these.
SYSTEM_HEADER = re.compile(
    r"^([a-z0-9_]+|(sys|net|netinet|arpa|linux|asm|bits)/[a-z0-9_.-]+\.h|"
    r"(assert|cpuid|ctype|dirent|dlfcn|endian|errno|fcntl|getopt|grp|ifaddrs|immintrin|limits|"
    r"malloc|math|netdb|poll|pthread|pwd|sched|signal|stdarg|stddef|stdint|stdio|stdlib|string|"
    r"strings|syslog|termios|time|unistd|x86intrin)\.h)$")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
CMAKE_TARGET = re.compile(r"^ *ringway_(module|program|unit_test|fuzzer)\(\s*(\S+)([^)]*)\)",
                          re.MULTILINE)


def module_of(path):
    """The module with the longest matching folder, or None."""
    matching = [m for m in MODULES if path.startswith(m.folder)]
    return max(matching, key=lambda m: len(m.folder), default=None)


def allowed(user, used):
    return user.uses is ANY or used.name == user.name or used.name in user.uses


def check_own_include(path, line, module, header, known_files):
    if header not in known_files:
        return [Finding(path, line, f'"{header}" is not a file of the repository '
                                    "(includes are written from its root)")]
    used = module_of(header)
    if used is None or not allowed(module, used):
        name = used.name if used else "nothing"
        return [Finding(path, line, f'{module.name} may not include "{header}" ({name})')]
    if module.name == "io" and IO_FORBIDDEN.match(header):
        return [Finding(path, line, f'ports may not include "{header}"')]
    return []


def check_vendor_include(path, line, module, header):
    for pattern, homes in VENDORS:
        if re.fullmatch(pattern, header):
            if module.name == "tests" or any(path.startswith(home) for home in homes):
                return []
            where = ", ".join(homes) if homes else "tests/"
            return [Finding(path, line, f"<{header}> belongs in {where}")]
    if not SYSTEM_HEADER.match(header):
        return [Finding(path, line, f"<{header}> has no home in check_includes.py")]
    return []


def check_source(path, text, known_files):
    """Findings of one C++ file."""
    module = module_of(path)
    if module is None:
        return [Finding(path, 1, "belongs to no module")]
    findings = []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := INCLUDE.match(line):
            own, vendor = match.groups()
            if own is not None:
                findings += check_own_include(path, number, module, own, known_files)
            else:
                findings += check_vendor_include(path, number, module, vendor)
                if module.sans_io and IMPURE_HEADER.match(vendor):
                    findings.append(Finding(path, number, f"{module.name} is given time, bytes and "
                                                          f"randomness: no <{vendor}>"))
        elif module.sans_io:
            code = line.split("//")[0]
            if match := IMPURE_CALL.search(code):
                findings.append(Finding(path, number, f"{module.name} is given time and randomness: "
                                                      f"no {match.group(1)}"))
    return findings


@dataclass(frozen=True)
class Target:
    kind: str  # module, program, unit_test, fuzzer
    name: str
    path: str  # of the CMakeLists.txt
    line: int
    sources: tuple
    uses: tuple


def parse_targets(path, text):
    """The ringway_*() calls of one CMakeLists.txt; sources as paths from the root."""
    folder = str(Path(path).parent)
    text = re.sub(r"#[^\n]*", lambda m: " " * len(m.group(0)), text)
    targets = []
    for match in CMAKE_TARGET.finditer(text):
        kind, name, body = match.groups()
        words = {"SOURCES": [], "USES": []}
        current = None
        for word in body.split():
            if word in words:
                current = words[word]
            elif current is not None:
                current.append(word)
        sources = tuple(str(Path(folder) / s) if folder != "." else s for s in words["SOURCES"])
        targets.append(Target(kind, name, path, text.count("\n", 0, match.start()) + 1, sources,
                              tuple(words["USES"])))
    return targets


def modules_included(path, sources, seen=None):
    """The folders' modules reached from `path` by #include "...", itself included."""
    seen = set() if seen is None else seen
    if path in seen or path not in sources:
        return set()
    seen.add(path)
    names = set()
    if module := module_of(path):
        names.add("dataplane" if module.name == "io" else module.name)
    for line in sources[path].splitlines():
        if (match := INCLUDE.match(line)) and match.group(1):
            names |= modules_included(match.group(1), sources, seen)
    return names


def module_of_target(target):
    """By the folder of its CMakeLists.txt; None outside the modules."""
    return module_of(target.path)


def check_targets(targets, sources):
    """USES may only follow the arrows, and must lead to every module that is included."""
    findings = []
    libraries = {t.name: t for t in targets if t.kind == "module"}

    def reachable(target):
        names = set()
        for use in target.uses:
            if use in libraries and use not in names:
                names |= {use} | reachable(libraries[use])
        return names

    def complain(target, text):
        findings.append(Finding(target.path, target.line, text))

    for target in targets:
        user = module_of_target(target)
        if user is None:
            complain(target, f"{target.name} is in no module's folder")
            continue
        for use in target.uses:
            if use in libraries:
                if not allowed(user, module_of_target(libraries[use])):
                    complain(target, f"{target.name} may not use {use}")
            elif use.startswith("ringway_"):
                complain(target, f"{target.name} uses {use}, which is no module")
        linked = {module_of_target(libraries[use]).name for use in reachable(target)}
        linked |= {user.name, "bpf"}  # bpf is headers only
        for source in target.sources:
            for name in sorted(modules_included(source, sources) - linked):
                complain(target, f"{source} includes from {name}, which {target.name} does not use")
    return findings


def check_orphans(targets, sources):
    """A source that no target compiles is dead, and a test in it never runs."""
    compiled = {source for target in targets for source in target.sources}
    return [Finding(path, 1, "is in no CMake target")
            for path in sources if path.endswith(".cpp") and path not in compiled]


def check(root):
    files = list_files(root)
    sources = {path: (root / path).read_text() for path in files
               if path.endswith((".hpp", ".cpp", ".h", ".c"))}
    targets = []
    for path in files:
        if Path(path).name == "CMakeLists.txt":
            targets += parse_targets(path, (root / path).read_text())
    findings = []
    for path, text in sources.items():
        findings += check_source(path, text, set(files))
    return findings + check_targets(targets, sources) + check_orphans(targets, sources)


if __name__ == "__main__":
    sys.exit(report("check_includes", check(ROOT)))
