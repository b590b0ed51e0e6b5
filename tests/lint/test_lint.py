"""Each lint check finds what it is for, and is silent on what is right."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import check_includes  # noqa: E402
import check_text  # noqa: E402
from repository import list_files  # noqa: E402

FILES = {
    "base/bytes.hpp",
    "base/net/address.hpp",
    "overlay/ring.hpp",
    "dataplane/packet.hpp",
    "dataplane/worker.hpp",
    "dataplane/io/port.hpp",
    "dataplane/tunnel/messages.hpp",
    "dataplane/nat/flow.hpp",
    "controlplane/config.hpp",
}


def include_findings(path, *lines):
    return check_includes.check_source(path, "\n".join(lines) + "\n", FILES)


@pytest.mark.parametrize("path, header", [
    ("base/x.cpp", "base/net/address.hpp"),
    ("overlay/x.cpp", "base/bytes.hpp"),
    ("dataplane/tunnel/x.cpp", "base/bytes.hpp"),
    ("dataplane/io/x.cpp", "dataplane/packet.hpp"),
    ("dataplane/x.cpp", "dataplane/io/port.hpp"),
    ("dataplane/x.cpp", "dataplane/tunnel/messages.hpp"),
    ("controlplane/x.cpp", "dataplane/worker.hpp"),
    ("controlplane/x.cpp", "overlay/ring.hpp"),
    ("bench/x.cpp", "controlplane/config.hpp"),
    ("tests/unit/x.cpp", "dataplane/nat/flow.hpp"),
])
def test_include_along_an_arrow_is_fine(path, header):
    assert include_findings(path, f'#include "{header}"') == []


@pytest.mark.parametrize("path, header", [
    ("base/x.cpp", "dataplane/packet.hpp"),
    ("dataplane/tunnel/x.cpp", "dataplane/packet.hpp"),
    ("dataplane/tunnel/x.cpp", "dataplane/nat/flow.hpp"),
    ("dataplane/nat/x.cpp", "dataplane/tunnel/messages.hpp"),
    ("overlay/x.cpp", "dataplane/tunnel/messages.hpp"),
    ("dataplane/x.cpp", "overlay/ring.hpp"),
    ("dataplane/x.cpp", "controlplane/config.hpp"),
    ("dataplane/io/x.cpp", "dataplane/tunnel/messages.hpp"),
    ("dataplane/io/x.cpp", "dataplane/worker.hpp"),
    ("controlplane/x.cpp", "nowhere.hpp"),
    ("dataplane/x.cpp", "packet.hpp"),
])
def test_include_against_an_arrow_is_found(path, header):
    findings = include_findings(path, "// head", f'#include "{header}"')
    assert len(findings) == 1
    assert findings[0].line == 2


@pytest.mark.parametrize("path, header", [
    ("base/x.cpp", "vector"),
    ("base/x.cpp", "sys/random.h"),
    ("base/result.hpp", "tl/expected.hpp"),
    ("dataplane/tunnel/ipsec_mb.hpp", "intel-ipsec-mb.h"),
    ("dataplane/tunnel/noise.cpp", "openssl/evp.h"),
    ("dataplane/io/tun_port.cpp", "linux/if_tun.h"),
    ("controlplane/main.cpp", "boost/asio.hpp"),
    ("controlplane/bpf/steering.cpp", "bpf/libbpf.h"),
    ("bpf/steer.bpf.c", "bpf/bpf_helpers.h"),
    ("dataplane/io/xsk_port.cpp", "xdp/xsk.h"),
    ("bench/main.cpp", "CLI/CLI.hpp"),
    ("tests/unit/x.cpp", "gtest/gtest.h"),
    ("tests/unit/x.cpp", "openssl/evp.h"),
])
def test_header_at_home_is_fine(path, header):
    assert include_findings(path, f"#include <{header}>") == []


@pytest.mark.parametrize("path, header", [
    ("base/bytes.hpp", "tl/expected.hpp"),
    ("dataplane/tunnel/noise.cpp", "intel-ipsec-mb.h"),
    ("dataplane/worker.cpp", "openssl/evp.h"),
    ("dataplane/worker.cpp", "boost/asio.hpp"),
    ("dataplane/worker.cpp", "spdlog/spdlog.h"),
    ("dataplane/worker.cpp", "linux/if_tun.h"),
    ("dataplane/worker.cpp", "rte_mbuf.h"),
    ("controlplane/main.cpp", "rte_mbuf.h"),
    ("controlplane/main.cpp", "bpf/libbpf.h"),
    ("controlplane/bpf/steering.cpp", "bpf/bpf_helpers.h"),
    ("dataplane/io/xsk_port.cpp", "bpf/libbpf.h"),
    ("overlay/ring.cpp", "boost/asio.hpp"),
    ("bench/main.cpp", "toml++/toml.h"),
    ("controlplane/main.cpp", "gtest/gtest.h"),
    ("controlplane/main.cpp", "never/heard_of.hpp"),
])
def test_header_away_from_home_is_found(path, header):
    assert len(include_findings(path, f"#include <{header}>")) == 1


@pytest.mark.parametrize("line", [
    "#include <sys/socket.h>", "#include <time.h>", "#include <chrono>", "#include <random>",
    "const auto now = Instant::now();", "SystemRng rng;", "clock_gettime(CLOCK_BOOTTIME, &t);",
])
@pytest.mark.parametrize("folder", ["dataplane/tunnel", "overlay"])
def test_sockets_clocks_and_randomness_are_found_in_sans_io_code(folder, line):
    assert len(include_findings(f"{folder}/x.cpp", line)) == 1
    assert include_findings("dataplane/x.cpp", line) == []


def test_call_named_in_a_comment_is_fine():
    assert include_findings("dataplane/tunnel/x.cpp", "// never Instant::now()") == []


def test_file_outside_every_module_is_found():
    assert len(include_findings("somewhere/x.cpp", "#include <vector>")) == 1


BASE_CMAKE = "ringway_module(ringway_base SOURCES bytes.cpp)\n"
WORKER_CMAKE = "ringway_module(ringway_dataplane SOURCES io/port.cpp USES ringway_base)\n"
TUNNEL_CMAKE = """\
# The tunnel.
ringway_module(ringway_tunnel  # with a comment (and a bracket)
  SOURCES
    noise.cpp
  USES {uses} OpenSSL::Crypto
)
"""


def target_findings(uses, noise):
    sources = {
        "base/bytes.hpp": "#pragma once\n",
        "dataplane/packet.hpp": "#pragma once\n",
        "base/bytes.cpp": "",
        "dataplane/tunnel/noise.cpp": noise,
    }
    targets = check_includes.parse_targets("base/CMakeLists.txt", BASE_CMAKE)
    targets += check_includes.parse_targets("dataplane/CMakeLists.txt", WORKER_CMAKE)
    targets += check_includes.parse_targets("dataplane/tunnel/CMakeLists.txt",
                                            TUNNEL_CMAKE.format(uses=uses))
    return check_includes.check_targets(targets, sources)


def test_targets_are_parsed_with_sources_and_uses():
    (base,) = check_includes.parse_targets("base/CMakeLists.txt", BASE_CMAKE)
    assert base.sources == ("base/bytes.cpp",)
    (tunnel,) = check_includes.parse_targets("dataplane/tunnel/CMakeLists.txt",
                                             TUNNEL_CMAKE.format(uses="ringway_base"))
    assert tunnel.name == "ringway_tunnel"
    assert tunnel.sources == ("dataplane/tunnel/noise.cpp",)
    assert tunnel.uses == ("ringway_base", "OpenSSL::Crypto")
    assert tunnel.line == 2


def test_target_that_uses_along_the_arrows_is_fine():
    assert target_findings("ringway_base", '#include "base/bytes.hpp"\n') == []


@pytest.mark.parametrize("uses", ["ringway_dataplane", "ringway_nowhere"])
def test_target_that_uses_against_the_arrows_is_found(uses):
    assert len(target_findings(uses, "")) == 1


def test_included_module_that_the_target_does_not_use_is_found():
    assert len(target_findings("", '#include "base/bytes.hpp"\n')) == 1


def test_source_without_a_target_is_found():
    targets = check_includes.parse_targets("base/CMakeLists.txt",
                                           "ringway_module(ringway_base SOURCES a.cpp)")
    sources = {"base/a.cpp": "", "base/b.cpp": "", "base/c.hpp": ""}
    assert [f.path for f in check_includes.check_orphans(targets, sources)] == ["base/b.cpp"]


def text_findings(tmp_path, path, text):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [finding.text for finding in check_text.check_file(path, tmp_path)]


GOOD = {
    "base/a.hpp": "// The role of a.\n#pragma once\n",
    "base/a.cpp": '#include "base/a.hpp"\n',
    "base/b.cpp": "// The role of b.\nint b = 1;\n",
    "tests/unit/a_test.cpp": "int a = 1;\n",
    "scripts/run": "#!/usr/bin/env bash\n# What it runs.\necho ran\n",
    "scripts/tool.py": '"""What it is for."""\n',
    "README.md": "# Text\n",
}


@pytest.mark.parametrize("path", GOOD)
def test_good_text_is_fine(tmp_path, path):
    assert text_findings(tmp_path, path, GOOD[path]) == []


@pytest.mark.parametrize("path, text, expected", [
    ("base/a.hpp", "#pragma once\n// late\n", "role"),
    ("base/a.cpp", '#include "base/other.hpp"\n', "role"),
    ("base/a.hpp", "// role\n", "#pragma once"),
    ("base/a.hpp", "// role\n#pragma once\n#pragma once\n", "#pragma once"),
    ("base/a.cpp", "// role\n// TO" "DO: later\n", "marker"),
    ("docs/A.md", "FIX" "ME\n", "marker"),
    ("base/a.cpp", "// role\n\tint a;\n", "tab"),
    ("base/a.cpp", "// role \nint a;\n", "trailing blank"),
    ("base/a.cpp", "// role\nint a;", "newline"),
    ("base/a.cpp", "// role\n" + "int a;\n" * 699, "700 lines"),
    ("base/a.cpp", b"// role\n// \xff\n", "UTF-8"),
    ("scripts/run", "#!/bin/sh\necho ran\n", "role"),
    ("scripts/run", "#!/usr/bin/env bash\n# role\nif then\n", "syntax error"),
    ("scripts/tool.py", "x = 1\n", "docstring"),
    ("scripts/tool.py", '"""Role."""\nif:\n', "compile"),
])
def test_bad_text_is_found(tmp_path, path, text, expected):
    findings = text_findings(tmp_path, path, text)
    assert any(expected in finding for finding in findings), findings


def test_shellcheck_is_asked(tmp_path):
    assert check_text.shutil.which("shellcheck"), "shellcheck is not installed"
    findings = text_findings(tmp_path, "scripts/run.sh", "#!/bin/bash\n# Role.\nrm -rf $1/x\n")
    assert any("SC2086" in finding for finding in findings), findings


def test_listing_without_git_skips_build_folders(tmp_path):
    for path in ("base/a.hpp", "build/dev/x.cpp", ".hidden/y.cpp"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert list_files(tmp_path) == ["base/a.hpp"]


def test_the_repository_itself_is_read():
    files = list_files(check_text.ROOT)
    assert "CMakeLists.txt" in files and "base/bytes.hpp" in files
