#!/bin/bash
# Starts a real S3 server on this machine: Ceph RGW from Debian's packages (radosgw ceph-mon ceph-osd ceph-common), one
# monitor and one OSD on loopback ports, no systemd, no manager. About 15 s, and 115 MB at rest.
#
# usage: start-rgw.sh DIR [memstore|bluestore]
#   DIR must not exist. Prints the endpoint, which is also in DIR/endpoint. Keys: labaccess / labsecretlabsecret.
#   Stop it with: kill $(cat DIR/*.pid)
# environment: RGW_PORT (default: a free one), OSD_GIB (default: 8)
set -euo pipefail
export LC_ALL=C

die() { echo "start-rgw.sh: $*" >&2; exit 1; }

D=$(realpath -m "${1:?usage: start-rgw.sh DIR [memstore|bluestore]}")
STORE=${2:-memstore}
GIB=${OSD_GIB:-8}
[ -e "$D" ] && die "$D exists; remove it first"
for tool in radosgw radosgw-admin ceph ceph-mon ceph-osd monmaptool curl python3; do
    command -v "$tool" >/dev/null || die "$tool is missing; install radosgw ceph-mon ceph-osd ceph-common curl python3"
done

# Whatever fails below, nothing is left running.
trap '[ $? -eq 0 ] || { for f in "$D"/*.pid; do [ -s "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; true; }' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
uuid() { cat /proc/sys/kernel/random/uuid; }

# wait_for SECONDS WHAT COMMAND…
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || die "$what did not come up; see $D/log"
        sleep 0.3
    done
}

mkdir -p "$D"/{mon,osd,rgw,run,log}
cd "$D"
MON2=$(free_port) MON1=$(free_port) PORT=${RGW_PORT:-$(free_port)} FSID=$(uuid)
export CEPH_CONF=$D/ceph.conf
cat >ceph.conf <<CONF
[global]
fsid = $FSID
mon_host = [v2:127.0.0.1:$MON2/0,v1:127.0.0.1:$MON1/0]
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_supported = none
run_dir = $D/run
admin_socket = $D/run/\$name.\$pid.asok
log_file = $D/log/\$name.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
osd_class_dir = /usr/lib/$(uname -m)-linux-gnu/rados-classes
osd_class_load_list = *
osd_class_default_list = *
[mon]
mon_data = $D/mon
mon_data_avail_crit = 1
auth_allow_insecure_global_id_reclaim = true
[osd]
osd_data = $D/osd
osd_objectstore = $STORE
osd_journal =
memstore_device_bytes = $((GIB << 30))
memstore_page_set = false
bluestore_block_size = $((GIB << 30))
bluestore_block_create = true
bluestore_block_db_size = 0
bluestore_block_wal_size = 0
osd_memory_target = 1073741824
[client]
rgw_data = $D/rgw
ms_mon_client_mode = crc
# Without tcp_nodelay a small GET takes 48 ms instead of 3.5.
rgw_frontends = beast endpoint=127.0.0.1:$PORT tcp_nodelay=1
rgw_thread_pool_size = 64
rgw_enable_apis = s3, admin
rgw_dns_name = localhost
rgw_run_sync_thread = false
CONF

monmaptool --create --clobber --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON2,v1:127.0.0.1:$MON1]" monmap >/dev/null
ceph-mon -i a --mkfs --monmap monmap -c ceph.conf
ceph-mon -i a -c ceph.conf --pid-file "$D/mon.pid"
wait_for 60 "the monitor" timeout 10 ceph --connect-timeout 5 -c ceph.conf -s

OSD=$(uuid)
ceph -c ceph.conf osd new "$OSD" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$OSD" -c ceph.conf >log/mkfs.out 2>&1
ceph -c ceph.conf osd crush add-bucket lab host >/dev/null 2>&1
ceph -c ceph.conf osd crush move lab root=default >/dev/null 2>&1
ceph -c ceph.conf osd crush add osd.0 1.0 host=lab >/dev/null 2>&1
ceph-osd -i 0 -c ceph.conf --pid-file "$D/osd.pid" >log/osd.out 2>&1
osd_is_up() { timeout 10 ceph --connect-timeout 5 -c ceph.conf osd stat | grep -q ' 1 up'; }
wait_for 60 "the OSD" osd_is_up

radosgw -n client.rgw.a -c ceph.conf --pid-file "$D/rgw.pid" >log/rgw.out 2>&1
wait_for 90 "radosgw" curl -s -o /dev/null --max-time 5 "http://127.0.0.1:$PORT/"
timeout 60 radosgw-admin -c ceph.conf user create --uid=lab --display-name=lab \
    --access-key=labaccess --secret=labsecretlabsecret >/dev/null 2>log/admin.err || die "no user; see $D/log/admin.err"
echo "http://127.0.0.1:$PORT" | tee endpoint
