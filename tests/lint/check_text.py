#!/usr/bin/env python3
"""Checks of form that need no compiler: head comments, #pragma once, leftover markers, blanks,
length, and that shell and Python files parse."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

from repository import Finding, ROOT, list_files, report

MAX_LINES = 700
# Written in two parts so that this file passes its own check.
MARKER = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|XX" + "X|HA" + "CK)\\b")
CPP = (".hpp", ".cpp", ".h", ".c")
# Seeds of the fuzzers are input, not text of ours.
NOT_OURS = ("tests/fuzz/corpus/",)
BINARY = (".png", ".pcap", ".gz")


def language(path, text):
    """cpp, python, shell, cmake or other; scripts without an ending are known by their #! line."""
    suffix = Path(path).suffix
    first = text.partition("\n")[0]
    if suffix in CPP:
        return "cpp"
    if suffix == ".py" or (first.startswith("#!") and "python" in first):
        return "python"
    if suffix == ".sh" or (first.startswith("#!") and re.search(r"\b(ba)?sh\b", first)):
        return "shell"
    if suffix == ".cmake" or Path(path).name == "CMakeLists.txt":
        return "cmake"
    return "other"


def check_lines(path, text, kind):
    findings = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if match := MARKER.search(line):
            findings.append(Finding(path, number, f"leftover marker {match.group(0)}"))
        if "\t" in line:
            findings.append(Finding(path, number, "tab"))
        if line != line.rstrip():
            findings.append(Finding(path, number, "trailing blank"))
    if text and not text.endswith("\n"):
        findings.append(Finding(path, len(lines), "no newline at the end"))
    if kind != "other" and len(lines) >= MAX_LINES:
        findings.append(Finding(path, len(lines), f"{len(lines)} lines; a file has fewer than "
                                                  f"{MAX_LINES}: split it by role"))
    return findings


def check_head(path, text, kind):
    """The file says in its first lines what it is for."""
    lines = text.splitlines()
    if kind == "cpp":
        is_test = path.startswith("tests/")
        # x.cpp that opens with its x.hpp has its role stated there.
        header = Path(path).with_suffix(".hpp")
        mirrors = path.endswith(".cpp") and lines and lines[0] == f'#include "{header}"'
        if not is_test and not mirrors and not re.match(r"(//|/\*)\s*\S", text):
            return [Finding(path, 1, "must open with a comment that states its role")]
    elif kind == "shell":
        body = lines[1:] if lines and lines[0].startswith("#!") else lines
        body = [line for line in body if not line.startswith("# shellcheck ")]
        if not body or not re.match(r"#\s*\S", body[0]):
            return [Finding(path, 1, "must open with a comment that states its role")]
    elif kind == "python" and text.strip():
        try:
            if ast.get_docstring(ast.parse(text)) is None:
                return [Finding(path, 1, "must open with a docstring that states its role")]
        except SyntaxError:
            return []  # check_syntax says so
    return []


def check_pragma(path, text):
    if path.endswith((".hpp", ".h")):
        count = len(re.findall(r"^#pragma once$", text, re.MULTILINE))
        if count != 1:
            return [Finding(path, 1, f"#pragma once stands {count} times; it stands once")]
    return []


def shell_findings(path, root):
    parsed = subprocess.run(["bash", "-n", path], cwd=root, capture_output=True, text=True)
    if parsed.returncode != 0:
        return [Finding(path, 1, line) for line in parsed.stderr.splitlines()]
    if not shutil.which("shellcheck"):
        return []
    checked = subprocess.run(
        ["shellcheck", "--format=gcc", "--severity=info", "--external-sources",
         "--source-path=SCRIPTDIR", path], cwd=root, capture_output=True, text=True)
    findings = []
    for line in checked.stdout.splitlines():
        where = re.match(r"[^:]*:(\d+):\d+: (.*)", line)
        findings.append(Finding(path, int(where.group(1)) if where else 1,
                                where.group(2) if where else line))
    return findings


def check_syntax(path, text, kind, root):
    if kind == "python":
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            return [Finding(path, error.lineno or 1, f"does not compile: {error.msg}")]
    if kind == "shell":
        return shell_findings(path, root)
    return []


def check_file(path, root):
    try:
        text = (root / path).read_bytes().decode()
    except UnicodeDecodeError:
        return [Finding(path, 1, "is not UTF-8 text")]
    kind = language(path, text)
    return (check_head(path, text, kind) + check_pragma(path, text) +
            check_lines(path, text, kind) + check_syntax(path, text, kind, root))


def check(root):
    findings = []
    for path in list_files(root):
        if not path.startswith(NOT_OURS) and not path.endswith(BINARY):
            findings += check_file(path, root)
    return findings


if __name__ == "__main__":
    sys.exit(report("check_text", check(ROOT)))
