#!/usr/bin/env bash
# Checks the models in docs/explanation/protocols/ with Spin: with its rules a model must hold, and without one of them it must
# not, or the model could not find anything. One line for each row.
#   scripts/check-protocols.sh                          small sizes, about a minute
#   scripts/check-protocols.sh --long                   more processes and more faults, about half an hour and 8 GB
#   scripts/check-protocols.sh --story MODEL SWITCH…    one row's counter-example, step by step, the shortest that is found
#   environment: JOBS, how many rows at a time (default 2); CFLAGS, for gcc
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/packages.sh spin gcc libc6-dev
models=$PWD/docs/explanation/protocols
work=$(mktemp -d -t tarn-protocols-XXXXXX)
trap 'rm -rf "$work"' EXIT

# build DIRECTORY MODEL SWITCH…: the model's checker, DIRECTORY/pan. (For a small size compiling costs more than it gains.)
build() {
    local directory=$1 model=$2
    shift 2
    mkdir -p "$directory"
    cp "$models"/*.pml "$directory"
    (cd "$directory" && spin "${@/#/-D}" -a "$model.pml" && gcc ${CFLAGS:--O0} -w -DSAFETY -DMEMLIM=8000 -o pan pan.c) \
        >"$directory/build.log" 2>&1 || { cat "$directory/build.log" >&2; return 1; }
}

# row EXPECTED MODEL SWITCH…
row() {
    local expected=$1 model=$2 directory=$work/$BASHPID found states start=$EPOCHREALTIME
    shift 2
    found=broken
    if build "$directory" "$model" "$@" && (cd "$directory" && ./pan -m500000) >"$directory/pan.log" 2>&1; then
        if grep -q 'errors: 0$' "$directory/pan.log"; then found=holds; fi
        if grep -q 'assertion violated' "$directory/pan.log"; then found=falls; fi
        if grep -qE 'out of memory|max search depth too small|Search not completed' "$directory/pan.log" &&
            [ $found = holds ]; then found='not finished'; fi
    fi
    states=$(grep -oE '[0-9.e+]+ states, stored' "$directory/pan.log" 2>/dev/null | cut -d ' ' -f 1 || true)
    LC_ALL=C awk -v model="$model" -v found="$found" -v states="${states:-0}" -v from="$start" -v to="$EPOCHREALTIME" \
        -v switches="$*" 'BEGIN { printf "%-8s %-12s %12.0f states %7.1f s  %s\n", model, found, states, to - from, switches }'
    rm -rf "$directory"
    [ "$found" = "$expected" ] || { echo "$model $*: expected that it $expected" >&2; return 1; }
}

if [ "${1:-}" = --row ]; then
    shift
    row "$@"
    exit
fi
if [ "${1:-}" = --story ]; then
    shift
    CFLAGS="${CFLAGS:--O0} -DREACH" build "$work" "$@"
    model=$1
    shift
    cd "$work"
    ./pan -m500000 -i >pan.log || true
    spin "${@/#/-D}" -t -p -g -l "$model.pml"
    exit
fi

rows=()
holds() { rows+=("holds $*"); }
falls() { rows+=("falls $*"); }
# without RULE SWITCH…: the other switches.
without() {
    local rule=$1 switch
    shift
    for switch in "$@"; do [ "$switch" = "$rule" ] || printf '%s ' "$switch"; done
}
# needs MODEL "RULES" SWITCH…: with these rules the model holds, and without any one of them it does not.
needs() {
    local model=$1 rules=$2 rule
    shift 2
    for rule in $rules; do
        # shellcheck disable=SC2046,SC2086
        falls "$model" $(without "$rule" $rules) "$@"
    done
}

ref='UNIQUE_ETAG READ_BACK TOLD_UNKNOWN'
staging='VERSION_REMEMBERED UNCHANGED_IS_SAME'
sweep='CONDITIONAL_DELETION UNIQUE_ETAG'
lease='UNIQUE_ETAG LEASE_SWAPPED LEASE_REVOKED REFS_FENCED SETTLED'
expiry='NOTE_PER_RUN'
mount='BASE_NAMED_FIRST LEASE_SWAPPED'
mirror='UNIQUE_ETAG WHOLE_BY_REFS COPY_FENCED PACK_NAMED_ONCE'

case ${1:-} in
'')
    holds ref $ref WRITERS=2 FAULTS=2
    needs ref "$ref" FAULTS=2

    holds staging $staging COMMANDS=4
    holds staging $staging NEW_FILE
    falls staging INVARIANTS=1 NEW_FILE
    falls staging INVARIANTS=2
    falls staging INVARIANTS=3
    needs staging "$staging" NEW_FILE

    holds sweep $sweep COLLECTORS=1
    holds sweep $sweep WRITERS=1
    falls sweep COLLECTORS=1
    needs sweep "$sweep" COLLECTORS=1
    falls sweep $sweep COLLECTORS=1 TOMBSTONE_GOES
    holds sweep $sweep COLLECTORS=1 TOMBSTONE_GOES DELETE_IF_MATCH

    holds lease $lease LEASE_NAMED_ONCE
    holds lease $lease LEASE_NAMED_ONCE BORN_DELETED CREATES
    falls lease $lease LEASE_NAMED_ONCE CREATES
    falls lease
    needs lease "$lease" LEASE_NAMED_ONCE
    falls lease $lease COLLECTORS=2 MAXIMUM_TIME=2

    holds expiry $expiry WRITERS=1
    falls expiry
    needs expiry "$expiry"

    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=2 WRITES=1 MAXIMUM_TIME=1
    falls mount COMMITS=2 MAXIMUM_TIME=1 FAULTS=0
    falls mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=2 WRITES=1 MAXIMUM_TIME=1 FAULTS=0 NAMED_AFTER_MOVE
    needs mount "$mount" UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=2 WRITES=1 MAXIMUM_TIME=1
    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=1 WRITES=1 MAXIMUM_TIME=1 MOUNTS=2
    falls mount $mount UNIQUE_ETAG STORE_CLOCK COMMITS=1 WRITES=1 MAXIMUM_TIME=1 MOUNTS=2
    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=1 FAULTS=0 MAXIMUM_TIME=4 BEHIND
    falls mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE COMMITS=1 FAULTS=0 MAXIMUM_TIME=4 BEHIND

    holds mirror $mirror LEASE_NAMED_ONCE MAXIMUM_TIME=2 FAULTS=0
    falls mirror MAXIMUM_TIME=2 FAULTS=0
    needs mirror "$(without PACK_NAMED_ONCE $mirror)" PACK_NAMED_ONCE LEASE_NAMED_ONCE MAXIMUM_TIME=2 FAULTS=0
    falls mirror $(without PACK_NAMED_ONCE $mirror) LEASE_NAMED_ONCE MAXIMUM_TIME=2

    holds cache SWEEPS_NUMBERED
    falls cache
    ;;
--long)
    CFLAGS=${CFLAGS:--O2 -DCOLLAPSE}
    export CFLAGS
    holds ref $ref FAULTS=3
    holds staging $staging WRITES=4 COMMANDS=4 OTHERS=3
    holds staging $staging WRITES=4 COMMANDS=4 OTHERS=3 NEW_FILE
    holds sweep $sweep
    holds sweep $sweep COLLECTORS=1 FAULTS=3
    lease+=' LEASE_NAMED_ONCE'
    holds lease $lease FAULTS=3
    holds lease $lease BORN_DELETED CREATES FAULTS=2
    holds lease $lease COLLECTORS=2 MAXIMUM_TIME=2
    holds lease $lease WRITERS=2 MAXIMUM_TIME=2
    holds expiry $expiry
    holds expiry $expiry FAULTS=2
    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=3 MAXIMUM_TIME=1
    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=2 MAXIMUM_TIME=1 MOUNTS=2
    holds mount $mount UNIQUE_ETAG LEASE_NAMED_ONCE STORE_CLOCK COMMITS=1 MAXIMUM_TIME=4 BEHIND
    holds mirror $mirror LEASE_NAMED_ONCE MAXIMUM_TIME=2
    holds mirror $mirror LEASE_NAMED_ONCE MAXIMUM_TIME=2 COLLECTORS=2 FAULTS=0
    falls mirror $mirror MAXIMUM_TIME=2 COLLECTORS=2 FAULTS=0
    holds cache SWEEPS_NUMBERED SWEEPS=3
    ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac

printf '%s\n' "${rows[@]}" | xargs -P "${JOBS:-2}" -I {} bash -c 'exec "$0" --row $1' "$PWD/scripts/check-protocols.sh" {} ||
    { echo "check-protocols: some rows are not as expected" >&2; exit 1; }
echo "check-protocols: ${#rows[@]} rows are as expected"
