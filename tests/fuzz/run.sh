#!/usr/bin/env bash
# Runs the fuzzers of the build preset fuzz, each for SECONDS, as many at a time as there are cores.
# RINGWAY_FUZZ_RUNS ends those that are quick after so many inputs.
# Seeds are read from tests/fuzz/corpus/NAME/; what a run finds beyond them goes to
# build/fuzz/corpus/NAME/, inputs that crash to build/fuzz/crashes/. RINGWAY_FUZZ_BUILD names another
# build than build/fuzz, such as build/asan-ubsan.
#
#   tests/fuzz/run.sh SECONDS [NAME...]
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${RINGWAY_FUZZ_BUILD:-$ROOT/build/fuzz}

# ASan of clang 14 and kernels that randomise addresses by more than 28 bits do not go together.
FIXED_ADDRESSES=()
if setarch -R true 2>/dev/null; then FIXED_ADDRESSES=(setarch -R); fi

run_fuzzer() {
  local name=$1 seconds=$2 status=0
  local log=$BUILD/$name.log found=$BUILD/corpus/$name
  local options=()
  mkdir -p "$found" "$BUILD/crashes"
  if [[ -f $ROOT/tests/fuzz/$name.dict ]]; then options+=("-dict=$ROOT/tests/fuzz/$name.dict"); fi
  # The limits make a hang or a memory hog a finding as well. The outer timeout is for a fuzzer
  # that libFuzzer itself cannot stop.
  timeout --kill-after=5 $((seconds + 60)) "${FIXED_ADDRESSES[@]}" "$BUILD/bin/$name" \
    -max_total_time="$seconds" -runs="${RINGWAY_FUZZ_RUNS:--1}" -timeout=5 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
    -artifact_prefix="$BUILD/crashes/$name-" "${options[@]}" \
    "$found" "$ROOT/tests/fuzz/corpus/$name" >"$log" 2>&1 || status=$?
  local runs
  runs=$(awk '/number_of_executed_units/ { print $2 }' "$log")
  if ((status == 0)); then
    printf '    %-20s %s runs, no finding\n' "$name" "${runs:-0}"
  else
    printf '    %-20s FAILED (status %d), log %s\n' "$name" "$status" "$log"
    grep -m1 -E 'ERROR:|SUMMARY:|runtime error|CHECK failed|Test unit written' "$log" || true
  fi
  return "$status"
}

if [[ ${1:-} == --one ]]; then
  run_fuzzer "$2" "$3"
  exit
fi

if [[ ! ${1:-} =~ ^[0-9]+$ ]]; then
  printf 'usage: %s SECONDS [NAME...]\n' "$0" >&2
  exit 2
fi
seconds=$1
shift
names=("$@")
if ((${#names[@]} == 0)); then
  mapfile -t names < <(cd "$BUILD/bin" 2>/dev/null && find . -name '*_fuzz' -printf '%f\n' | sort)
fi
if ((${#names[@]} == 0)); then
  printf 'There are no fuzzers in %s/bin: cmake --preset fuzz && cmake --build --preset fuzz\n' \
    "$BUILD" >&2
  exit 1
fi
for name in "${names[@]}"; do
  if [[ -z $(ls "$ROOT/tests/fuzz/corpus/$name" 2>/dev/null) ]]; then
    printf '%s has no seeds in tests/fuzz/corpus/%s/\n' "$name" "$name" >&2
    exit 1
  fi
done
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} "${BASH_SOURCE[0]}" --one {} "$seconds"
