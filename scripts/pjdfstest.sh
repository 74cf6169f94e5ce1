#!/usr/bin/env bash
# Runs pjdfstest, whole, through a writable mount: pjdfstest.sh [tests/…]  (default: all). Needs root: it acts as several users.
# Nothing is excluded, and what the suite expects of ext4 beyond POSIX (a rename moves ctime) is expected of us.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "pjdfstest.sh: must run as root" >&2; exit 1; }
scripts/packages.sh gcc libc6-dev perl openssl fuse3
export PATH=$PWD/.build/release:$PATH
command -v tarn >/dev/null || scripts/build.sh --product tarn

work=$(mktemp -d -t tarn-pjdfstest-XXXXXX)
export TARN_STATE_DIR=$work/state TARN_CACHE_DIR=$work/cache TARN_AUTHOR='Test <test@example.org>' TARN_REPO=$work/lake
clean() {
    cd /
    if mountpoint -q "$work/mount"; then tarn umount "$work/mount" || fusermount3 -uz "$work/mount" || true; fi
    rm -rf "$work"
}
trap clean EXIT

cp -r Tests/ThirdParty/pjdfstest "$work/suite"
echo 'fs=EXT4' >>"$work/suite/tests/conf"
defines=()
for name in FCHMODAT FCHOWNAT FSTATAT LINKAT MKDIRAT MKFIFOAT MKNODAT OPENAT POSIX_FALLOCATE RENAMEAT SYMLINKAT UNLINKAT UTIMENSAT \
    STRUCT_STAT_ST_ATIM STRUCT_STAT_ST_CTIM STRUCT_STAT_ST_MTIM SYS_SYSMACROS_H; do
    defines+=("-DHAVE_$name=1")
done
touch "$work/suite/config.h"
gcc -O1 -w -D_GNU_SOURCE "${defines[@]}" -I"$work/suite" -o "$work/suite/pjdfstest" "$work/suite/pjdfstest.c"

# Other users must reach the mount point.
chmod 755 "$work"
mkdir "$work/mount"
tarn init "$TARN_REPO" >/dev/null
tarn mount "$TARN_REPO" "$work/mount" --ref main --write -o allow_other
cd "$work/mount"
# Four at a time: most of the suite's time is waiting for clocks to move.
prove -j 4 -r "${@/#/$work/suite/}" $([ $# -gt 0 ] || echo "$work/suite/tests")
cd /
[ -z "$(ls -A "$work/mount")" ] || { echo "pjdfstest.sh: it left files behind" >&2; exit 1; }
