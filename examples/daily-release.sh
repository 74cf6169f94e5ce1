#!/usr/bin/env bash
# A daily release: branch, load, test, merge, tag. Nothing is seen on main before every gate has passed, and running it
# again on the same day continues where it broke off, wherever it was killed.
#
#   daily-release.sh DATE LOADER [ARGUMENT…]     LOADER writes the day's files into the directory $LAKE
#   environment: TARN_REPO, TARN_AUTHOR, TARN_TRUST_HOOKS (see docs/reference/HOOKS.md), TARN_SIGNING_KEY if you sign
set -euo pipefail
date=${1:?usage: daily-release.sh DATE LOADER [ARGUMENT…]}
shift
branch=ingest/$date

if tarn show "release-$date" >/dev/null 2>&1; then
    echo "release-$date is there already"
    tarn branch delete "$branch" >/dev/null 2>&1 || true
    exit
fi
tarn branch create "$branch" --from main >/dev/null 2>&1 || tarn show "$branch" >/dev/null

export LAKE
LAKE=$(mktemp -d)
trap 'rmdir "$LAKE"' EXIT
# The mount is seen by the loader alone, and ends with it. When all was committed before, there is nothing to commit, and
# that is no failure.
tarn run --write --ref "$branch" --at "$LAKE" --commit -m "Load $date" --metadata "date=$date" -- "$@"

# Asks main's rules and hooks about the exact result: exit code 4 when a gate refuses, 3 for conflicts. It prints the
# commit that brought the day in, also when that was before.
release=$(tarn merge "$branch" --into main -m "Release $date" --metadata "date=$date")
tarn tag create "release-$date" "$release" -m "The data of $date"
tarn branch delete "$branch" >/dev/null
