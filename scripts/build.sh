#!/usr/bin/env bash
# Builds tarn for release, with what the build needs installed: build.sh [swift build options]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/packages.sh fuse3 libfuse3-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev pkg-config
command -v swift >/dev/null || { echo "Swift 6.3 is not installed: see https://www.swift.org/install/linux/" >&2; exit 1; }
# Imports that Package.swift does not list are errors: arrows between targets stay one-way.
swift build -c release --explicit-target-dependency-import-check error "$@"
