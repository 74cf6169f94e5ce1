#!/usr/bin/env bash
# Installs moto, an S3 server of the tests, and boto3 into .venv, unless they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/moto_server ] && exit 0
scripts/packages.sh python3 python3-venv
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check 'moto[server]==5.2.*' boto3
