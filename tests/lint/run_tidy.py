#!/usr/bin/env python3
"""Runs clang-tidy over the sources that are shipped, as many at a time as there are cores.

The compile commands come from a built preset. A source that passed is not checked again until it,
one of the headers it includes, its compile command or .clang-tidy changes: what passed is noted in
BUILD/tidy/.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repository import ROOT

# The checks of .clang-tidy are tuned for this version; a newer one knows others.
VERSION = 14
# The static analyser takes twice the time of all other checks together. Padding is left to those
# who lay structures out by cache lines.
DEEP = "--checks=clang-analyzer-*,-clang-analyzer-optin.performance.Padding"
SHIPPED = ("base/", "dataplane/", "overlay/", "controlplane/", "bench/")


def find_tidy():
    for name in (f"clang-tidy-{VERSION}", "clang-tidy"):
        path = shutil.which(name)
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return path
    return None


def read_dependencies(build):
    """Object file -> the files that it was made from, as ninja recorded them."""
    output = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True,
                            check=True).stdout
    dependencies, current = {}, []
    for line in output.splitlines():
        if line.startswith("    "):
            current.append(line.strip())
        elif ": #deps" in line:
            current = dependencies.setdefault(line.split(":")[0], [])
    return dependencies


def fingerprint(entry, dependencies, checks):
    """Changes when anything changes that clang-tidy would see, system headers excepted."""
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(" ".join(checks).encode())
    digest.update(entry["command"].encode())
    seen = {entry["file"]}
    for name in dependencies.get(entry.get("output") or object_of(entry), []):
        path = Path(entry["directory"], name).resolve()
        if path.is_relative_to(ROOT):
            seen.add(str(path))
    for path in sorted(seen):
        digest.update(path.encode())
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def object_of(entry):
    match = re.search(r" -o (\S+)", entry["command"])
    return match.group(1) if match else ""


def shipped_entries(build, names):
    """The compile commands of the sources to check, one a source."""
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["file"]).resolve()
        if path.is_relative_to(ROOT):
            name = str(path.relative_to(ROOT))
            if name in names or (not names and name.startswith(SHIPPED)):
                entries[name] = entry
    return entries


def check(tidy, checks, build, name, entry):
    """(name, seconds, output); output is empty when there is no finding."""
    started = time.monotonic()
    done = subprocess.run(
        [tidy, *checks, "--quiet", "-p", build, "--extra-arg=-Wno-unknown-warning-option", entry["file"]],
        capture_output=True, text=True, cwd=ROOT)
    output = done.stdout.strip()
    if done.returncode != 0 and not output:
        output = done.stderr.strip()
    return name, time.monotonic() - started, output


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="a built preset")
    parser.add_argument("--deep", action="store_true", help="the static analyser as well")
    parser.add_argument("--times", action="store_true", help="print how long each source took")
    parser.add_argument("names", nargs="*", help="sources from the repository's root; default: all")
    options = parser.parse_args()

    tidy = find_tidy()
    if tidy is None:
        print(f"    skipped: clang-tidy {VERSION}, for which .clang-tidy is tuned, is not installed")
        return 0
    checks = [DEEP] if options.deep else []
    entries = shipped_entries(options.build, options.names)
    if not entries:
        sys.exit(f"no sources to check in {options.build}/compile_commands.json")
    dependencies = read_dependencies(options.build)
    passed = options.build / "tidy"
    passed.mkdir(exist_ok=True)
    marks = {name: passed / fingerprint(entry, dependencies, checks)
             for name, entry in entries.items()}
    todo = {name: entry for name, entry in entries.items() if not marks[name].exists()}
    print(f"    tidy: {len(todo)} of {len(entries)} sources to check", flush=True)

    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(check, tidy, checks, options.build, *item) for item in todo.items()]
        for job in jobs:
            name, seconds, output = job.result()
            if options.times:
                print(f"    {seconds:5.1f} s  {name}", flush=True)
            if output:
                failed += 1
                print(output, flush=True)
            else:
                marks[name].touch()
    if failed:
        print(f"clang-tidy: findings in {failed} source(s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
