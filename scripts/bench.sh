#!/usr/bin/env bash
# Measures mounts against peers and limits: bench.sh [NAME…] [--smoke] [--write-docs] [--plots]  (names: bench.sh --help)
# environment: TARN  the tarn to measure (default: the release build, built now)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 python3-venv e2fsprogs util-linux mount procps curl openssl coreutils findutils \
    radosgw ceph-mon ceph-osd ceph-common nginx-light git git-lfs bindfs fuse-overlayfs s3fs
if [ -z "${TARN:-}" ]; then
    scripts/build.sh --product tarn
    TARN=$PWD/.build/release/tarn
fi
requirements=bench/requirements.txt
if ! cmp -s "$requirements" .venv-bench/requirements.txt; then
    python3 -m venv --clear .venv-bench
    .venv-bench/bin/pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" .venv-bench/
fi
# Of its own: what it needs in versions contradicts what we need. Only importing is compared with it.
names=$(printf '%s\n' "$@" | grep -v '^-' || true)
if { [ -z "$names" ] || grep -qx import <<<"$names"; } && ! cmp -s bench/requirements-dvc.txt .venv-dvc/requirements.txt; then
    python3 -m venv --clear .venv-dvc
    .venv-dvc/bin/pip install --quiet --disable-pip-version-check -r bench/requirements-dvc.txt
    cp bench/requirements-dvc.txt .venv-dvc/requirements.txt
fi
export TARN RCLONE=$PWD/.venv-bench/bin/rclone DVC=$PWD/.venv-dvc/bin/dvc
exec .venv-bench/bin/python bench/run.py "$@"
