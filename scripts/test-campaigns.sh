#!/usr/bin/env bash
# The campaigns' short form (some 4 minutes): random operations against a plain directory, and crashes of every kind.
# The last line is `N passed, N failed`.
#   environment: TARN     the program (default: the release build)
#                SEED     of the crashes and of one list of operations (default: 3 and 5)
#                WITHOUT  features that random_operations.py is not to use
set -uo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh fuse3 python3 strace procps e2fsprogs util-linux mount
scripts/moto.sh
output=$(mktemp -d -t tarn-campaigns-XXXXXX)
trap 'rm -rf "$output"' EXIT
passed=0
failed=0

# Runs a campaign, shows what it says, and adds up its last line.
campaign() {
    local log=$output/log line status
    timeout --kill-after=30 "$@" 2>&1 | tee "$log" | grep -v '^[0-9]* passed, [0-9]* failed$'
    status=${PIPESTATUS[0]}
    line=$(grep '^[0-9]* passed, [0-9]* failed$' "$log" | tail -n 1)
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
    else
        echo "$3 did not come to its end: exit code $status" >&2
        failed=$((failed + 1))
    fi
}

campaign 500 python3 Tests/Campaigns/random_operations.py --seed 1 2 ${SEED:-3} --operations 1500 \
    --without "${WITHOUT:-setid}" --reruns 25 --output "$output"
for list in "$output"/failing-*.json; do
    [ ! -e "$list" ] || { echo "$list:"; cat "$list"; }
done
campaign 500 python3 Tests/Campaigns/crash.py --rounds 25 --seed "${SEED:-5}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
