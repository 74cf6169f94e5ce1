#!/usr/bin/env bash
# The n-th system call of each main command fails: an error is told, nothing acknowledged is lost,
# and work goes on. Needs root, FUSE, and Linux 5.0 or later on x86_64.
# The long form takes about an hour; the last line is `N passed, N failed`.
#   scripts/test-failing-calls.sh [--short] [--seed N] [--cells N] [--only REGEX] [--list]
#       [--scenarios NAME,…] [--verbose] [--self-test]
#   environment: TARN     the program (default: the release build)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3
export TARN=${TARN:-$PWD/.build/release/tarn}
[ -x "$TARN" ] || { echo "there is no program $TARN; run scripts/build.sh first" >&2; exit 1; }
[ -c /dev/fuse ] || { echo "the campaign mounts, and there is no /dev/fuse here" >&2; exit 1; }
exec python3 Tests/FailingCalls/failing_calls.py "$@"
