#!/usr/bin/env bash
# The campaigns for a long time: campaign.sh MINUTES [OUTPUT]. Half of it random operations, half crashes, with new seeds
# all the time. Failing lists go to OUTPUT (default: the present directory).
#   environment: as in test-campaigns.sh
set -uo pipefail
minutes=${1:?usage: campaign.sh MINUTES [OUTPUT]}
output=$(realpath "${2:-.}")
cd "$(dirname "$0")/.."
mkdir -p "$output"
half=$(python3 -c 'import sys; print(float(sys.argv[1]) / 2)' "$minutes")
status=0
python3 Tests/Campaigns/random_operations.py --minutes "$half" --without "${WITHOUT:-setid}" --output "$output" || status=1
python3 Tests/Campaigns/crash.py --minutes "$half" --rounds 60 || status=1
exit $status
