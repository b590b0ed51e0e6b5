#!/usr/bin/env python3
"""Checks that the C++ files are as clang-format 14 leaves them; --fix makes them so."""

import argparse
import re
import shutil
import subprocess
import sys

from repository import ROOT, list_files

# Other versions place some lines differently, so only this one may judge.
VERSION = 14


def find_formatter():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return path
    sys.exit(f"clang-format {VERSION} is not installed (Debian package clang-format-{VERSION})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="rewrite the files")
    fix = parser.parse_args().fix
    files = [f for f in list_files(ROOT) if f.endswith((".hpp", ".cpp", ".h", ".c"))]
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    done = subprocess.run([find_formatter(), *mode, *files], cwd=ROOT)
    if done.returncode != 0:
        print("tests/lint/run_format.py --fix puts this right")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
