"""clang-tidy over the sources of a folder at once finds what it finds in each of them alone, at the
same places; and a source that passed is checked again when something it depends on has changed.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run_tidy  # noqa: E402


@pytest.fixture(autouse=True)
def tools():
    assert run_tidy.find_tidy(), "clang-tidy 14 is not installed"
    assert shutil.which("ninja") and shutil.which("c++"), "ninja or a compiler is not installed"


NINJA_RULE = """\
rule compile
  command = c++ -std=c++20 -w -I.. -o $out -c $in -MD -MF $out.d
  depfile = $out.d
  deps = gcc
"""

HEADER = """\
#pragma once
namespace shared {
struct Point {
  Point(int initial) : x(initial) {}  // google-explicit-constructor
  int x;
};
inline int BadName() { return 1; }  // readability-identifier-naming
int length_of(const char* text);  // readability-inconsistent-declaration-parameter-name
}
"""
# Each finding stands in a comment at the end of its line.
WITH_FINDINGS = {
    "base/shared.hpp": HEADER,
    "base/first.cpp": """\
#include "base/shared.hpp"
namespace first {
using shared::Point;  // misc-unused-using-decls
}
namespace shared {
int length_of(const char* other) { return other[0]; }
double half(int whole) {
  return whole / 2;  // bugprone-integer-division
}
}
""",
    "base/second.cpp": """\
#include "base/shared.hpp"
namespace {
struct Tag {
  int count;  // modernize-use-default-member-init
  Tag() : count(0) {}
};
int declared(int left);  // readability-inconsistent-declaration-parameter-name
int declared(int right) { return right; }
using shared::length_of;  // misc-unused-using-decls
}
int second() {
  int wrongCase = declared(Tag().count);  // readability-identifier-naming
  return wrongCase;
}
""",
    "base/third.cpp": """\
#include "base/shared.hpp"
namespace third {
using shared::Point;
int third(double value) {
  int result;  // cppcoreguidelines-init-variables
  result = Point(static_cast<int>(value)).x;
  return result;
}
}
""",
}
# Not together with second.cpp, which has another Tag.
CLASHING = {
    "base/fourth.cpp": """\
namespace {
struct Tag {};
}
const int fourth() {  // readability-const-return-type
  return sizeof(Tag);
}
""",
}
# Of a header it would be a finding that everybody gets this name.
GLOBAL = {
    "base/fifth.cpp": """\
#include "base/shared.hpp"
using shared::Point;
int fifth() { return Point(5).x; }
""",
}
WITHOUT_FINDINGS = {
    "base/shared.hpp": "#pragma once\ninline int shared() { return 1; }\n",
    "base/first.cpp": '#include "base/shared.hpp"\nint first() { return shared(); }\n',
    "base/second.cpp": '#include "base/shared.hpp"\nint second() { return shared(); }\n',
    "base/third.cpp": "int third() { return 3; }\n",
}
FINDING = re.compile(r"^(/\S+?):(\d+):\d+: error: .*\[([a-z-]+)(?:,-warnings-as-errors)?\]$", re.M)
EXPECTED = re.compile(r"  // ([a-z]+-[a-z-]+)$")


class Repository:
    """A checkout with these sources and a build of them."""

    def __init__(self, root, monkeypatch, capsys):
        self.root, self.build = root, root / "build"
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.build.mkdir()
        shutil.copy(run_tidy.ROOT / ".clang-tidy", root)
        monkeypatch.setattr(run_tidy, "ROOT", root)

    def write(self, sources, together=False):
        for name, text in sources.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        compiled = sorted(self.root.glob("*/*.cpp"))
        if together:
            batch = self.build / "unity_0_cxx.cxx"
            batch.write_text("".join(f'#include "{path}"\n' for path in compiled))
            compiled = [batch]
        objects = "".join(f"build {path.stem}.o: compile {path}\n" for path in compiled)
        (self.build / "build.ninja").write_text(NINJA_RULE + objects)
        subprocess.run(["ninja", "-C", self.build], check=True, capture_output=True)
        commands = subprocess.run(["ninja", "-C", self.build, "-t", "compdb", "compile"],
                                  check=True, capture_output=True).stdout
        (self.build / "compile_commands.json").write_bytes(commands)

    def tidy(self, *names):
        """(exit status, how many sources it checked, {(file, line, check)})"""
        self._monkeypatch.setattr(sys, "argv",
                                  ["run_tidy.py", "--build", str(self.build), *names])
        status = run_tidy.main()
        output = self._capsys.readouterr().out
        checked = int(re.search(r"tidy: (\d+) of", output).group(1))
        found = {(str(Path(path).resolve().relative_to(self.root)), int(line), check)
                 for path, line, check in FINDING.findall(output)}
        return status, checked, found


@pytest.fixture
def repository(tmp_path, monkeypatch, capsys):
    return Repository(tmp_path, monkeypatch, capsys)


def expected_findings(sources):
    return {(name, number, found.group(1))
            for name, text in sources.items()
            for number, line in enumerate(text.splitlines(), 1)
            if (found := EXPECTED.search(line))}


@pytest.mark.parametrize("sources",
                         [WITH_FINDINGS, WITH_FINDINGS | CLASHING, WITH_FINDINGS | GLOBAL],
                         ids=["that fit together", "that clash", "with global names"])
def test_each_finding_is_reported_at_its_place(repository, sources):
    repository.write(sources)
    status, checked, found = repository.tidy()
    assert status == 1
    assert checked == len(sources) - 1
    assert found == expected_findings(sources)


def test_a_source_alone_has_the_same_findings(repository):
    repository.write(WITH_FINDINGS)
    found = set().union(*(repository.tidy(name)[2] for name in WITH_FINDINGS if name.endswith("cpp")))
    assert found == expected_findings(WITH_FINDINGS)


def test_what_passed_is_checked_again_when_its_header_changed(repository):
    repository.write(WITHOUT_FINDINGS)
    assert repository.tidy() == (0, 3, set())
    assert repository.tidy() == (0, 0, set())
    repository.write({"base/shared.hpp": "#pragma once\ninline int shared() { return 2; }\n"})
    assert repository.tidy() == (0, 2, set())


def test_what_is_compiled_together_is_checked_like_single_sources(repository):
    repository.write(WITH_FINDINGS, together=True)
    status, checked, found = repository.tidy()
    assert (status, checked) == (1, len(WITH_FINDINGS) - 1)
    assert found == expected_findings(WITH_FINDINGS)
    assert repository.tidy("base/third.cpp")[1] == 1


def test_what_had_findings_is_checked_again(repository):
    repository.write(WITH_FINDINGS)
    assert repository.tidy() == repository.tidy()
