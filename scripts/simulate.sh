#!/usr/bin/env bash
# Runs the simulator (docs/explanation/RELIABILITY.md) on COUNT seeds from FIRST on, by two processes.
#   scripts/simulate.sh [COUNT] [FIRST]     20,000 seeds from 0, in minutes
#   scripts/simulate.sh --replay SEED       what happens in one seed, step by step
# A seed that fails is printed with its last steps and the command that replays it.
set -euo pipefail
cd "$(dirname "$0")/.."
program=.build/release/Simulation
[ -x "$program" ] || { echo "simulate.sh: $program is not there; run scripts/build.sh --build-tests" >&2; exit 2; }
if [ "${1:-}" = --replay ]; then
    exec "$program" "${2:?simulate.sh: --replay needs a seed}" 1 --trace
fi
count=${1:-20000} first=${2:-0}
half=$((count / 2))
outputs=$(mktemp -d -t tarn-simulate-XXXXXX)
trap 'rm -r "$outputs"' EXIT
"$program" "$first" "$half" >"$outputs/1" 2>&1 &
one=$!
"$program" $((first + half)) $((count - half)) >"$outputs/2" 2>&1 &
two=$!
status=0
wait "$one" || status=1
wait "$two" || status=1
cat "$outputs/1" "$outputs/2"
if [ "$status" != 0 ]; then
    for seed in $(sed -n 's/^seed \([0-9]*\): .*/\1/p' "$outputs/1" "$outputs/2"); do
        echo "the last steps of seed $seed; all of them: scripts/simulate.sh --replay $seed"
        "$program" "$seed" 1 --trace >"$outputs/trace" 2>&1 || true
        grep -n -B 40 '\*\*\*' "$outputs/trace" | cut -c1-400 || tail -n 40 "$outputs/trace"
    done
fi
exit "$status"
