#!/usr/bin/env bash
# Real programs on a writable mount: installs them, and runs Tests/Programs. Nothing may fail or be skipped.
#   scripts/test-programs.sh [pytest options]     e.g. -k spark; TARN=… to test another tarn than the one built here
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 python3-venv git sqlite3 rsync tar zip unzip vim gcc libc6-dev make \
    openjdk-17-jre-headless util-linux diffutils findutils sed
if [ -z "${TARN:-}" ]; then
    scripts/build.sh --product tarn
    TARN=$PWD/.build/release/tarn
fi
requirements=Tests/Programs/requirements.txt
if ! cmp -s "$requirements" .venv-programs/requirements.txt; then
    python3 -m venv --clear .venv-programs
    .venv-programs/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" .venv-programs/
fi
TARN=$TARN exec .venv-programs/bin/pytest -q Tests/Programs "$@"
