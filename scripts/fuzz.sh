#!/usr/bin/env bash
# Tries every decoder with inputs that libFuzzer makes, under the address sanitizer (Tests/Fuzzing).
#   scripts/fuzz.sh MINUTES [TARGET…]      MINUTES in all, shared by the targets; new inputs stay in .build/fuzz/corpus
#   scripts/fuzz.sh --short                a few seconds each, from the seeds and Tests/Fuzzing/Corpus: part of `make test`
#   scripts/fuzz.sh --build
# An input that a target fails on is left in .build/fuzz/found/. Mend it, then keep it in Tests/Fuzzing/Corpus/TARGET/.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { sed -n '2,6p' "$0" >&2; exit 2; }

short_seconds=${TARN_FUZZ_SECONDS:-3}
jobs=2
scratch=$PWD/.build/fuzz

build() {
    # The program has two mains, ours and libFuzzer's: ours comes first. And it has the objects of the command line, which
    # SwiftPM links into tests only. gold cannot link what the sanitizers need.
    bin=$(TARN_FUZZ=1 swift build --scratch-path "$scratch" -c release --show-bin-path)
    local link=(-Xlinker -z -Xlinker muldefs) source
    while read -r source; do
        link+=(-Xlinker "$bin/tarn.build/$(basename "$source").o")
    done < <(find Sources/tarn -name '*.swift' ! -name Overview.swift)
    TARN_FUZZ=1 swift build --scratch-path "$scratch" -c release --product Fuzzing -Xswiftc -enable-testing \
        -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld "${link[@]}"
    program=$bin/Fuzzing
}

# One target for some seconds; its last lines, or all of its output when it fails.
try_target() {
    local name=$1 seconds=$2 corpus=$3
    local folders=("$corpus/$name")
    mkdir -p "$corpus/$name" "$scratch/found/$name"
    if [ -d "Tests/Fuzzing/Corpus/$name" ]; then folders+=("Tests/Fuzzing/Corpus/$name"); fi
    local log=$scratch/found/$name.log
    if SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=symbolize=0:detect_leaks=1 "$program" "$name" \
        -max_total_time="$seconds" -rss_limit_mb=512 -timeout=5 -max_len=65536 -artifact_prefix="$scratch/found/$name/" \
        -print_final_stats=1 "${folders[@]}" >"$log" 2>&1; then
        printf '%-18s %10s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")"
    else
        printf '%-18s FAILED\n' "$name"
        tail -n 40 "$log"
        return 1
    fi
}

[ $# -ge 1 ] || usage
scripts/packages.sh fuse3 libfuse3-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev pkg-config
build
case $1 in
--build) exit ;;
--short)
    corpus=$(mktemp -d -t tarn-fuzz-corpus-XXXXXX)
    trap 'rm -rf "$corpus"' EXIT
    ;;
*[!0-9]*) usage ;;
*) corpus=$scratch/corpus ;;
esac
mkdir -p "$corpus"
"$program" --seeds "$corpus"
# Does it find what there is to find?
SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=symbolize=0 "$program" self-test -max_total_time=60 -artifact_prefix="$scratch/" \
    >"$scratch/self-test.log" 2>&1 && { echo "fuzz.sh: a fault of 1 in 2^24 inputs was not found" >&2; exit 1; }
grep -q 'broken: the self test' "$scratch/self-test.log" || { cat "$scratch/self-test.log"; exit 1; }
mapfile -t names < <("$program" --list)
seconds=$short_seconds
if [ "$1" != --short ]; then
    if [ $# -gt 1 ]; then names=("${@:2}"); fi
    seconds=$(($1 * 60 * jobs / ${#names[@]}))
fi
export -f try_target
export program scratch
printf '%s\n' "${names[@]}" | xargs -P "$jobs" -I '{}' bash -c 'try_target "$@"' - '{}' "$seconds" "$corpus"
