#!/usr/bin/env bash
# Runs tests built with a sanitizer, in a build directory of its own (.build/thread, .build/address).
#   scripts/sanitize.sh [thread|address] [swift test options]     the unit tests; both sanitizers when none is named
#   scripts/sanitize.sh campaigns [thread|address] [NAME…]        short samples of the campaigns, on mounts of the program
# A campaign's NAME: end-to-end, posix, operations, crashes, byzantine, failing-calls, resources. They need root and FUSE.
# A report of a sanitizer fails the run; they are kept in .build/SANITIZER/found/. What other people's code does wrong is
# listed in scripts/sanitizers/, with a reason each.
#   environment: SEED     of the campaigns (default: 5)
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { sed -n '2,8p' "$0" >&2; exit 2; }

# What the sanitizers need of us, linked into each program: how they act, and what the runtime does.
objects() {
    local source object hash
    reports=$PWD/.build/$sanitizer/reports/report
    for source in options runtime; do
        hash=$(sha256sum "scripts/sanitizers/$source.c")
        # A new name makes SwiftPM link again.
        object=$PWD/.build/$sanitizer/$source-${hash:0:12}.o
        clang -O1 -c -DREPORTS="\"$reports\"" -DSUPPRESSIONS="\"$PWD/scripts/sanitizers/thread.txt\"" \
            -DSYMBOLIZER="\"$(command -v llvm-symbolizer)\"" "scripts/sanitizers/$source.c" -o "$object"
        linked+=(-Xlinker "$object")
    done
}

# Do reports come, and only for what is wrong? Also in a process without our environment.
self_test() {
    local faulty=$PWD/.build/$sanitizer/faulty fault=race
    [ "$sanitizer" = thread ] || fault=freed
    swiftc -g -O -sanitize="$sanitizer" -use-ld=lld "${linked[@]}" scripts/sanitizers/faulty.swift -o "$faulty"
    new_reports
    env -i "$faulty" nothing || true
    [ "$(count_reports)" = 0 ] || { cat "$reports".*; echo "sanitize.sh: what is right is reported" >&2; exit 1; }
    env -i "$faulty" "$fault" || true
    [ "$(count_reports)" = 1 ] || { echo "sanitize.sh: a fault is not reported: $fault" >&2; exit 1; }
}

# Any user may write one.
new_reports() { rm -rf "${reports%/*}" && mkdir -p -m 1777 "${reports%/*}"; }
count_reports() { find "${reports%/*}" -type f -size +0 | wc -l; }

# Builds the tests and the program with a sanitizer. The release build: unoptimised, they are too slow.
build() {
    sanitizer=$1
    mkdir -p ".build/$sanitizer"
    linked=()
    objects
    self_test
    # gold does not link what the sanitizers need.
    flags=(-c release --scratch-path ".build/$sanitizer" --sanitize="$sanitizer" -Xswiftc -use-ld=lld "${linked[@]}"
        --explicit-target-dependency-import-check error)
    swift build "${flags[@]}" --build-tests
}

# Runs a command: it fails when the command does, or when a process that it started left a report.
watched() {
    local name=$1 status=0 began=$SECONDS found
    shift
    new_reports
    "$@" || status=$?
    found=$(count_reports)
    echo "$sanitizer: $name: $((SECONDS - began)) s, exit code $status, processes with reports: $found"
    if [ "$found" != 0 ]; then
        head -q -n 60 "$reports".* | sed -n 1,300p
        rm -rf ".build/$sanitizer/found/$name"
        mkdir -p ".build/$sanitizer/found"
        mv "${reports%/*}" ".build/$sanitizer/found/$name"
    fi
    [ "$status" = 0 ] && [ "$found" = 0 ] || failed+=("$sanitizer: $name")
}

units() {
    watched "unit tests" swift test "${flags[@]}" --skip-build --skip EndToEndTests "$@"
}

# One campaign's sample, small enough for a program that is many times slower.
campaign() {
    # Tests/Shared/programs.py: limits of time and memory that a sanitized program would break.
    export TARN=$PWD/.build/$sanitizer/release/tarn TARN_SANITIZED=$sanitizer
    local seed=${SEED:-5} output=.build/$sanitizer
    case $1 in
    end-to-end) watched "$1" swift test "${flags[@]}" --skip-build --filter "$end_to_end" ;;
    posix) watched "$1" scripts/test-posix.sh --sample 12 ;;
    operations)
        watched "$1" python3 Tests/Campaigns/random_operations.py --seed "$seed" --operations 300 --without setid \
            --reruns 0 --output "$output"
        ;;
    crashes)
        scripts/moto.sh
        watched "$1" python3 Tests/Campaigns/crash.py --rounds 9 --seed "$seed"
        ;;
    byzantine) watched "$1" scripts/test-byzantine.sh --sample 40 ;;
    failing-calls) watched "$1" scripts/test-failing-calls.sh --short --cells 40 --seed "$seed" ;;
    resources) watched "$1" scripts/test-resources.sh --only '.*: (cat|mount --write|gc)|.*open.*' ;;
    esac
}

campaigns=(end-to-end posix operations crashes byzantine failing-calls resources)
# Those in which many processes or threads meet.
end_to_end='EndToEndTests\.(Concurrency|Durability|Follow|MainJob|Prefetch|WritableMount)'
failed=()
scripts/packages.sh fuse3 libfuse3-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev pkg-config
mode=units
if [ "${1-}" = campaigns ]; then
    mode=campaigns
    shift
fi
case ${1-} in
thread | address) chosen=("$1") && shift ;;
'') chosen=(thread address) ;;
*) usage ;;
esac
if [ "$mode" = campaigns ]; then
    for name in "$@"; do [[ " ${campaigns[*]} " == *" $name "* ]] || usage; done
fi
for each in "${chosen[@]}"; do
    build "$each"
    if [ "$mode" = units ]; then
        units "$@"
    else
        for name in "${@:-${campaigns[@]}}"; do campaign "$name"; done
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
