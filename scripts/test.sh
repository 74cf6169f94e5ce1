#!/usr/bin/env bash
# Installs what the tests need, builds, starts the S3 servers, and runs every test. Nothing may be skipped.
#   scripts/test.sh [swift test options]     e.g. --filter MainJobTests
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 libfuse3-dev libcurl4-openssl-dev libsqlite3-dev libzstd-dev pkg-config python3 attr strace \
    procps curl openssl openssh-client radosgw ceph-mon ceph-osd ceph-common
scripts/moto.sh

swift format lint --strict -r Package.swift Sources Tests
scripts/check-files.py --self-test
scripts/check-files.py
scripts/target-graph.py --self-test
scripts/target-graph.py
scripts/check-protocols.sh
scripts/build.sh --build-tests
if [ $# = 0 ]; then
    scripts/check-docs.py --self-test
    scripts/check-docs.py --tarn .build/release/tarn
    scripts/run-examples.py .build/release/tarn
    python3 bench/report.py --check
fi

servers=$(mktemp -u -t tarn-servers-XXXXXX)
trap 'scripts/test-servers.sh stop "$servers" >/dev/null 2>&1 || true' EXIT
MOTO_SERVER=$PWD/.venv/bin/moto_server scripts/test-servers.sh start "$servers"
. "$servers/env"
export TARN_TEST_PYTHON=$PWD/.venv/bin/python TARN_TEST_REQUIRE=1

# What failed is printed once more at the end.
run() {
    swift test -c release --skip-build --explicit-target-dependency-import-check error "$@" 2>&1 | tee "$servers/tests.log" ||
        { grep -A 5 '✘' "$servers/tests.log" || true; return 1; }
}
if [ $# -gt 0 ]; then
    run "$@"
    exit
fi
# Apart: the end-to-end tests start programs of their own, which the other suites' exit tests would wait for.
run --skip EndToEndTests
run --filter EndToEndTests
scripts/simulate.sh 6000
scripts/test-posix.sh
scripts/test-programs.sh
scripts/test-campaigns.sh
scripts/test-failing-calls.sh --self-test
scripts/test-failing-calls.sh --short
scripts/test-resources.sh --self-test
scripts/test-resources.sh
scripts/test-byzantine.sh
scripts/fuzz.sh --short
# Does what measures still run? What it measures on a busy machine says nothing.
TARN=$PWD/.build/release/tarn scripts/bench.sh --smoke read-warm read-cold rename-directory
scripts/demo.sh >"$servers/demo.log" 2>&1 || { cat "$servers/demo.log"; echo "make demo failed" >&2; exit 1; }
echo "make demo: ok"
