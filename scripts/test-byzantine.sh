#!/usr/bin/env bash
# A store that lies: changes every field of a small repository that no verified hash covers, and
# asks every consumer.
# The short form takes some 5 minutes on two cores; the last line is `N passed, N failed`.
#   scripts/test-byzantine.sh [--all] [--sample N] [--only REGEX] [--consumers NAME,…] [--list] [--verbose]
#       [--write DIRECTORY]
#   environment: TARN     the program (default: the release build)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 libzstd1 openssh-client
export TARN=${TARN:-$PWD/.build/release/tarn}
[ -x "$TARN" ] || { echo "there is no program $TARN; run scripts/build.sh first" >&2; exit 1; }
[ -c /dev/fuse ] || { echo "the campaign mounts, and there is no /dev/fuse here" >&2; exit 1; }
exec python3 Tests/Byzantine/byzantine.py "$@"
