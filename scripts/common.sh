# shellcheck shell=bash
# What scripts/demo and scripts/test share: messages, timed steps, Debian packages by name, and
# builds by CMake preset. Sourced, never run; the caller has set -euo pipefail.
#
#   say TEXT...                      one line of progress
#   warn TEXT... / die TEXT...       one line on stderr; die ends the script with status 1
#   run_step TITLE COMMAND...        runs the command between a title and its elapsed time
#   ensure_packages SET...           installs what is missing of the sets: build, test, demo
#   build_preset NAME [TARGET...]    configures and builds; log in build/NAME/build.log
#   give_back_build                  for an EXIT trap: what sudo built belongs to who called sudo

if [[ -z ${RINGWAY_ROOT:-} ]]; then
  RINGWAY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
fi

# --- Messages ---------------------------------------------------------------------------------

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' GREEN='' YELLOW='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "${YELLOW}warning:${PLAIN} $*" >&2; }
die() {
  printf '%s\n' "${RED}error:${PLAIN} $*" >&2
  exit 1
}

# Milliseconds of a clock that only goes forward.
now_ms() {
  local uptime
  read -r uptime _ </proc/uptime
  printf '%s\n' "$((10#${uptime/./} * 10))"
}

# 83400 -> "1m23s", 1240 -> "1.2s".
format_ms() {
  local ms=$1
  if ((ms >= 60000)); then
    printf '%dm%02ds\n' $((ms / 60000)) $((ms / 1000 % 60))
  else
    printf '%d.%ds\n' $((ms / 1000)) $((ms / 100 % 10))
  fi
}

# The command's status is returned, so `run_step ... || ...` works as expected.
run_step() {
  local title=$1 started status=0
  shift
  say "${BOLD}==> ${title}${PLAIN}"
  started=$(now_ms)
  "$@" || status=$?
  local elapsed
  elapsed=$(format_ms $(($(now_ms) - started)))
  if ((status == 0)); then
    say "    ${GREEN}done${PLAIN} ${DIM}${title}, ${elapsed}${PLAIN}"
  else
    say "    ${RED}failed${PLAIN} ${title}, ${elapsed}"
  fi
  return "$status"
}

# --- Packages ---------------------------------------------------------------------------------

# One line a package; `a|b` takes what is installed, else the first that this release offers
# (Debian 12 has Boost 1.74 and 1.81, Ubuntu 24.04 has 1.83).
package_set() {
  case $1 in
    build)
      printf '%s\n' g++ cmake ninja-build pkg-config ccache git \
        clang 'bpftool|linux-tools-generic' libbpf-dev libxdp-dev libipsec-mb-dev libssl-dev libsodium-dev zlib1g-dev libsqlite3-dev \
        'libboost1.81-dev|libboost1.83-dev|libboost-dev' \
        libspdlog-dev libfmt-dev libexpected-dev libtomlplusplus-dev nlohmann-json3-dev \
        libcli11-dev libmnl-dev libnftables-dev libgtest-dev libgmock-dev libbenchmark-dev
      ;;
    test)
      # The formatter is named with its version: another one formats differently.
      printf '%s\n' clang-format-14 clang-tidy shellcheck gdb openssl \
        "$(clang_runtime_package)" \
        python3 python3-pytest python3-pytest-xdist python3-cryptography \
        bind9-dnsutils dnsmasq-base dropbear-bin python3-pyftpdlib traceroute
      package_set demo
      ;;
    demo)
      printf '%s\n' iproute2 nftables iperf3 wireguard-go wireguard-tools tcpdump ethtool curl \
        iputils-ping procps python3 nginx-light util-linux
      ;;
    *) die "there is no package set '$1' (sets: build, test, demo)" ;;
  esac
}

# The sanitizer and fuzzer runtime that belongs to the release's default clang.
clang_runtime_package() {
  # shellcheck source=/dev/null
  case $(. /etc/os-release && printf '%s-%s' "$ID" "${VERSION_ID:-}") in
    debian-12) printf '%s\n' libclang-rt-14-dev ;;
    ubuntu-24.04) printf '%s\n' libclang-rt-18-dev ;;
    *) printf '%s\n' 'libclang-rt-dev|libclang-rt-14-dev' ;;
  esac
}

package_installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

package_offered() {
  local candidate
  candidate=$(apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
  [[ -n $candidate && $candidate != '(none)' ]]
}

# Prints the entries of the sets that have no installed alternative, each once.
missing_packages() {
  local set entry name found
  for set in "$@"; do package_set "$set"; done | sort -u | while read -r entry; do
    found=''
    while read -r -d '|' name; do
      if package_installed "$name"; then found=1; fi
    done <<<"$entry|"
    if [[ -z $found ]]; then printf '%s\n' "$entry"; fi
  done
}

# 'a|b' -> the first that apt offers; the first name when it offers none, for the error text.
choose_package() {
  local name
  while read -r -d '|' name; do
    if package_offered "$name"; then
      printf '%s\n' "$name"
      return
    fi
  done <<<"$1|"
  printf '%s\n' "${1%%|*}"
}

enabled_services() {
  find /etc/systemd/system -path '*.wants/*.service' -printf '%f\n' 2>/dev/null | sort -u
}

# Packages such as a web server would start and enable themselves. While apt runs, policy-rc.d says
# no to starting (unless the machine's owner has put one there: theirs is kept), and what became
# enabled is disabled again. The file is ours only if it carries the marker, so that one left by a
# killed run is recognised and removed.
kPolicyFile=/usr/sbin/policy-rc.d
kPolicyMarker='# temporary: ringway is installing packages'

remove_policy() {
  if grep -qsF "$kPolicyMarker" "$kPolicyFile"; then rm -f "$kPolicyFile"; fi
}

install_packages() (
  exec 9>/run/ringway-packages.lock
  flock 9
  local enabled_before service
  enabled_before=$(enabled_services)
  trap remove_policy EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  remove_policy
  if [[ ! -e $kPolicyFile ]]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$kPolicyMarker" >"$kPolicyFile"
    chmod 755 "$kPolicyFile"
  fi
  local status=0
  # --no-remove: a package that conflicts with one of the owner's is an error, not a removal.
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends --no-remove \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" 9>&- || status=$?
  comm -13 <(printf '%s\n' "$enabled_before") <(enabled_services) | while read -r service; do
    deb-systemd-helper disable "$service" >/dev/null || warn "could not disable $service"
  done
  exit "$status"
)

ensure_packages() {
  local missing=() chosen=() entry log
  command -v apt-get >/dev/null || die "this needs apt-get: Debian 12 or Ubuntu 24.04"
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then return 0; fi
  if ((EUID != 0)); then
    die "Debian packages are missing: ${missing[*]%%|*}. Run this script with sudo, or install them."
  fi
  say "Installing Debian packages: ${missing[*]%%|*}"
  log=$(mktemp)
  # A failed update is no error yet: the lists that are there may do.
  if ! apt-get update --quiet -o DPkg::Lock::Timeout=120 -o APT::Update::Error-Mode=any \
    >"$log" 2>&1; then
    warn "apt-get update failed: $(grep -m1 -E '^(E|W|Err)' "$log" || tail -n 1 "$log")"
  fi
  for entry in "${missing[@]}"; do chosen+=("$(choose_package "$entry")"); done
  if ! install_packages "${chosen[@]}" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${chosen[*]}. Is the machine online, and are its apt sources right?"
  fi
  rm -f "$log"
}

# --- Builds -----------------------------------------------------------------------------------

# As many compilers as there are cores, but no more than memory carries at 1 GiB each.
build_jobs() {
  local cores memory_jobs
  cores=$(nproc)
  memory_jobs=$(awk '/^MemTotal:/ { print int($2 / 1048576) }' /proc/meminfo)
  if ((memory_jobs < 1)); then memory_jobs=1; fi
  printf '%s\n' $((cores < memory_jobs ? cores : memory_jobs))
}

# Ninja's "[12/80] ..." lines as one line that moves on a terminal, else as a line every tenth.
show_build_progress() {
  local live=''
  if [[ -t 1 ]]; then live=1; fi
  awk -v live="$live" -v width="${COLUMNS:-80}" -v name="$1" '
    match($0, /^\[[0-9]+\/[0-9]+\]/) {
      split(substr($0, 2, RLENGTH - 2), count, "/")
      tenth = int(count[1] * 10 / count[2])
      if (live) {
        printf "\r\033[K    %s", substr(name " " $0, 1, width - 5); fflush()
      } else if (tenth != last) {
        printf "    %s [%d/%d]\n", name, count[1], count[2]; fflush()
      }
      last = tenth
    }
    END { if (live) printf "\r\033[K" }'
}

# The log from the first failed command on and the errors in short, or the log's end when no command
# failed (configuration).
show_build_failure() {
  local log=$1
  {
    if grep -q '^FAILED: ' "$log"; then
      sed -n '/^FAILED: /,$p' "$log" | head -n 40
      say "Errors:"
      grep -E '(error|undefined reference)' "$log" | grep -v '^/usr/bin' | sort -u | head -n 20
    else
      tail -n 40 "$log"
    fi
    say "The whole log: $log"
  } >&2
}

# One at a time in a build directory: stages that run side by side may want the same.
build_preset() {
  mkdir -p "$RINGWAY_ROOT/build/$1"
  {
    if ! flock --nonblock 8; then
      say "    $1: being built already, see build/$1/build.log"
      flock 8
    fi
    build_preset_alone "$@" 8>&-
  } 8>"$RINGWAY_ROOT/build/$1/.lock"
}

build_preset_alone() {
  local name=$1 log="$RINGWAY_ROOT/build/$1/build.log"
  shift
  if ! (cd "$RINGWAY_ROOT" && cmake --preset "$name") >"$log" 2>&1; then
    show_build_failure "$log"
    return 1
  fi
  local command=(cmake --build --preset "$name" --parallel "$(build_jobs)")
  if (($# > 0)); then command+=(--target "$@"); fi
  # NINJA_STATUS pinned: the progress display reads it.
  if ! (cd "$RINGWAY_ROOT" && NINJA_STATUS='[%f/%t] ' "${command[@]}") 2>&1 |
    tee -a "$log" | show_build_progress "$name"; then
    show_build_failure "$log"
    return 1
  fi
}

# Without this, a later build as the user would stop at files of root's.
give_back_build() {
  if ((EUID == 0)) && [[ -n ${SUDO_UID:-} && ${SUDO_UID} != 0 && -d $RINGWAY_ROOT/build ]]; then
    chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$RINGWAY_ROOT/build"
  fi
}
