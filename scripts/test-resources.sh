#!/usr/bin/env bash
# Every main command under small limits, with full and read-only directories, and without a home.
# Needs root and FUSE. Takes a minute; the last line is `N passed, N failed`.
#   scripts/test-resources.sh [--only REGEX] [--verbose] [--self-test]
#   environment: TARN     the program (default: the release build)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 util-linux mount
export TARN=${TARN:-$PWD/.build/release/tarn}
[ -x "$TARN" ] || { echo "there is no program $TARN; run scripts/build.sh first" >&2; exit 1; }
[ -c /dev/fuse ] || { echo "the campaign mounts, and there is no /dev/fuse here" >&2; exit 1; }
exec python3 Tests/Resources/resources.py "$@"
