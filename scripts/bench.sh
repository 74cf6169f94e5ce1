#!/usr/bin/env bash
# Measures mounts against peers and limits: bench.sh [NAME…] [--smoke] [--write-docs]  (names: bench.sh --help)
# environment: TARN  the tarn to measure (default: the release build, built now)
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 python3-venv e2fsprogs util-linux mount procps curl openssl coreutils findutils \
    radosgw ceph-mon ceph-osd ceph-common nginx-light git bindfs fuse-overlayfs s3fs
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
export TARN RCLONE=$PWD/.venv-bench/bin/rclone
exec .venv-bench/bin/python bench/run.py "$@"
