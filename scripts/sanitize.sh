#!/usr/bin/env bash
# Runs the unit tests built with a sanitizer, in a build directory of its own (.build/thread, .build/address).
#   scripts/sanitize.sh [thread|address] [swift test options]     both when none is named
# What other people's code does wrong is listed in scripts/sanitizers/, with a reason each.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/packages.sh fuse3 libfuse3-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev pkg-config

run() {
    local sanitizer=$1
    shift
    local flags=(--scratch-path ".build/$sanitizer" --sanitize="$sanitizer" --explicit-target-dependency-import-check error)
    # Exit tests and children end on purpose, with what they allocated.
    export TSAN_OPTIONS="suppressions=$PWD/scripts/sanitizers/thread.txt halt_on_error=0 exitcode=66 report_signal_unsafe=0"
    export ASAN_OPTIONS="detect_leaks=0 symbolize=1 detect_stack_use_after_return=0"
    # gold does not link what the sanitizers need.
    swift build "${flags[@]}" --build-tests -Xswiftc -use-ld=lld
    local preload=
    if [ "$sanitizer" = thread ]; then
        preload=$PWD/.build/thread/mutex.so
        clang -shared -fPIC -O1 scripts/sanitizers/mutex.c -o "$preload"
    fi
    LD_PRELOAD=$preload swift test "${flags[@]}" --skip-build -Xswiftc -use-ld=lld --skip EndToEndTests "$@"
}

case ${1-} in
thread | address) run "$@" ;;
'') run thread && run address ;;
*) sed -n '2,4p' "$0" >&2; exit 2 ;;
esac
