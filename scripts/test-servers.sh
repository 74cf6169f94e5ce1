#!/bin/bash
# S3 servers for the tests: moto and Ceph RGW, on free loopback ports.
#
# usage: test-servers.sh start DIR    DIR must not exist; afterwards: . DIR/env && swift test
#        test-servers.sh stop DIR     stops what `start` started, and removes DIR
# environment: MOTO_SERVER  the moto_server to run (default: from PATH; pip install 'moto[server]')
#              TEST_SERVERS which ones to start (default: "moto rgw")
set -euo pipefail
export LC_ALL=C
HERE=$(cd "$(dirname "$0")" && pwd)

die() { echo "test-servers.sh: $*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_moto() {
    local server=${MOTO_SERVER:-$(command -v moto_server || true)} port deadline
    [ -x "$server" ] || die "no moto_server: pip install 'moto[server]', or set MOTO_SERVER"
    port=$(free_port)
    mkdir "$D/moto"
    setsid "$server" -H 127.0.0.1 -p "$port" >"$D/moto/log" 2>&1 </dev/null &
    echo $! >"$D/moto/moto.pid"
    deadline=$((SECONDS + 60))
    until curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$port/"; do
        kill -0 "$(cat "$D/moto/moto.pid")" 2>/dev/null || die "moto ended: $(tail -n 3 "$D/moto/log")"
        [ $SECONDS -lt $deadline ] || die "moto did not come up; see $D/moto/log"
        sleep 0.2
    done
    echo "export TARN_TEST_MOTO_ENDPOINT=http://127.0.0.1:$port" >>"$D/env"
}

start_rgw() {
    local endpoint
    endpoint=$(timeout 300 "$HERE/start-rgw.sh" "$D/rgw") || die "Ceph RGW did not start; see above and $D/rgw/log"
    echo "export TARN_TEST_RGW_ENDPOINT=$endpoint" >>"$D/env"
}

start() {
    [ -e "$D" ] && die "$D exists; run \`$0 stop $D\` first"
    mkdir -p "$D"
    # Whatever fails, nothing is left running; the logs stay.
    trap '[ $? -eq 0 ] || kill_all' EXIT
    : >"$D/env"
    for name in ${TEST_SERVERS:-moto rgw}; do
        case $name in
            moto | rgw) "start_$name" ;;
            *) die "TEST_SERVERS: there is no $name" ;;
        esac
    done
    cat "$D/env"
}

# A process that has ended and that nobody has waited for does not count.
is_running() { [ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# Ends the processes of the pid files, and waits until they are gone.
kill_all() {
    local pids pid
    pids=$(cat "$D"/*/*.pid 2>/dev/null || true)
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do
        for _ in $(seq 100); do is_running "$pid" || break; sleep 0.1; done
        if is_running "$pid"; then kill -9 "$pid" 2>/dev/null || true; fi
    done
}

stop() {
    [ -e "$D/env" ] || die "$D was not made by \`$0 start\`"
    kill_all
    rm -rf "$D"
}

[ $# -eq 2 ] || die "usage: $0 start|stop DIR"
D=$(realpath -m "$2")
case $1 in
    start) start ;;
    stop) stop ;;
    *) die "usage: $0 start|stop DIR" ;;
esac
