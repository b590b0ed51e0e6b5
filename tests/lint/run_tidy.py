#!/usr/bin/env python3
"""Runs clang-tidy over the sources that are shipped, as many at a time as there are cores.

The compile commands come from a built preset. A source that passed is not checked again until it,
one of the headers it includes, its compile command or .clang-tidy changes: what passed is noted in
BUILD/tidy/.

Most of the time goes into headers, which clang-tidy walks through with every check. The sources of a
folder are therefore checked together, by a file that includes them, with what any of them is compiled with.
Those that cannot stand together, because names clash, are taken apart again; and the check that
looks at nothing but the main file goes through those single sources in which it could find something.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from repository import ROOT

# The checks of .clang-tidy are tuned for this version; a newer one knows others.
VERSION = 14
# The static analyser takes twice the time of all other checks together, and goes through functions of
# the main file only. Padding is left to those who lay structures out by cache lines.
DEEP = "--checks=clang-analyzer-*,-clang-analyzer-optin.performance.Padding"
MAIN_FILE_CHECK = "misc-unused-using-decls"
USING_DECLARATION = re.compile(r"\busing [\w:]*::\w+\s*;")
INCLUDED = re.compile(r'^#include "(.*)"$', re.M)
# What is said of a source only because others are beside it: that names clash, or that a header
# gives everybody a name.
BECAUSE_OF_OTHERS = re.compile(
    r"\[clang-diagnostic-error|^\S+\.cpp:.*\[google-global-names-in-headers", re.M)
BATCH_SOURCES = 24  # at most, which keeps a run below 1 GiB and both of two cores busy to the end
PROGRESS_S = 10  # between two lines that tell how far it is
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


def options_of(*entries):
    """What any of the sources is compiled with, each option once: their commands without compiler,
    precompiled header, object and source."""
    options = {}
    for entry in entries:
        words = iter(shlex.split(entry["command"])[1:])
        for word in words:
            if word == "-o":
                break
            if word == "-include":  # the precompiled header, which clang cannot read
                next(words)
                continue
            options[(word, next(words)) if word == "-isystem" else (word,)] = None
    return [word for option in options for word in option]


def entries_of_sources(entries):
    """Compile commands, one a source: what the build compiles together stands in a file of includes."""
    for entry in entries:
        if Path(entry["file"]).name.startswith("unity_"):
            for source in INCLUDED.findall(Path(entry["file"]).read_text()):
                yield {**entry, "file": source}
        else:
            yield entry


def shipped_entries(build, names):
    """The compile commands of the sources to check, one a source."""
    entries = {}
    for entry in entries_of_sources(json.loads((build / "compile_commands.json").read_text())):
        path = Path(entry["file"]).resolve()
        if path.is_relative_to(ROOT):
            name = str(path.relative_to(ROOT))
            if name in names or (not names and name.startswith(SHIPPED)):
                entries[name] = entry
    return entries


def make_batches(entries, together):
    """Lists of names: of a folder, in equal parts; single names unless `together`."""
    if not together:
        return [[name] for name in entries]
    folders, batches = {}, []
    for name in entries:
        folders.setdefault(Path(name).parent, []).append(name)
    for names in folders.values():
        parts = -(-len(names) // BATCH_SOURCES)
        batches += [names[part::parts] for part in range(parts)]
    return sorted(batches, key=len, reverse=True)


@dataclass
class Tidy:
    """clang-tidy, for the sources of one build."""
    program: str
    checks: list  # options that choose other checks than .clang-tidy does
    build: Path
    entries: dict
    apart: list = field(default_factory=list)  # what kept sources from each other

    def check(self, names):
        """(names, seconds, output); output is empty when there is no finding."""
        started = time.monotonic()
        output = self._check_together(names)
        if len(names) > 1:
            output += "".join(self._run(ROOT / name, [f"--checks=-*,{MAIN_FILE_CHECK}"], [name])
                              for name in names if self._has_using_declaration(name))
        return names, time.monotonic() - started, output

    def _check_together(self, names):
        if len(names) == 1:
            return self._run(ROOT / names[0], self.checks, names)
        path = self.build / "tidy" / f"{names[0].replace('/', '-')}-and-others.cpp"
        path.write_text("".join(
            f'#include "{ROOT / name}"  // NOLINT(bugprone-suspicious-include)\n' for name in names))
        output = self._run(path, self.checks, names)
        path.unlink()
        because = BECAUSE_OF_OTHERS.search(output)
        if not because:
            return output
        self.apart.append(output[output.rfind("\n", 0, because.start()) + 1:].splitlines()[0])
        half = len(names) // 2
        return self._check_together(names[:half]) + self._check_together(names[half:])

    def _has_using_declaration(self, name):
        return USING_DECLARATION.search((ROOT / name).read_text()) is not None

    def _run(self, source, checks, compiled_like):
        entries = [self.entries[name] for name in compiled_like]
        done = subprocess.run(
            [self.program, *checks, f"--config-file={ROOT / '.clang-tidy'}", "--quiet", source, "--",
             *options_of(*entries), "-Wno-unknown-warning-option"],
            capture_output=True, text=True, cwd=entries[0]["directory"])
        output = done.stdout.strip()
        if done.returncode != 0 and not output:
            output = done.stderr.strip()
        return output + "\n" if output else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="a built preset")
    parser.add_argument("--deep", action="store_true", help="the static analyser as well")
    parser.add_argument("--times", action="store_true",
                        help="print how long the sources took, and what kept some from each other")
    parser.add_argument("names", nargs="*", help="sources from the repository's root; default: all")
    options = parser.parse_args()

    program = find_tidy()
    if program is None:
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

    tidy = Tidy(program, checks, options.build, todo)
    failed = False
    checked, told = 0, time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(tidy.check, names) for names in make_batches(todo, not options.deep)]
        for job in as_completed(jobs):
            names, seconds, output = job.result()
            checked += len(names)
            if options.times:
                print(f"    {seconds:5.1f} s  {' '.join(names)}", flush=True)
            elif time.monotonic() - told > PROGRESS_S:
                told = time.monotonic()
                print(f"    tidy: {checked} of {len(todo)} done", flush=True)
            if output:
                failed = True
                print(output, flush=True)
            else:
                for name in names:
                    marks[name].touch()
    if options.times:
        for reason in tidy.apart:
            print(f"    taken apart because of {reason}")
    if failed:
        print("clang-tidy: findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
