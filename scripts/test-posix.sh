#!/usr/bin/env bash
# Holds a writable mount against ext4 (Tests/POSIX): every row of every table, or what the options choose.
#   scripts/test-posix.sh [options of Tests/POSIX/run.py]     e.g. --only "EXCHANGE" --user alice
# Needs root: it acts as several users. TARN names another program than .build/release/tarn.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "test-posix.sh: must run as root" >&2; exit 1; }
scripts/packages.sh fuse3 python3 e2fsprogs mount util-linux
tarn=${TARN:-$PWD/.build/release/tarn}
[ -x "$tarn" ] || scripts/build.sh --product tarn

work=$(mktemp -d -t tarn-posix-XXXXXX)
export TARN_STATE_DIR=$work/state TARN_CACHE_DIR=$work/cache TARN_AUTHOR='Test <test@example.org>' TARN_REPO=$work/lake
clean() {
    local failed=0
    if mountpoint -q "$work/mount"; then "$tarn" umount "$work/mount" || fusermount3 -uz "$work/mount" || failed=1; fi
    if mountpoint -q "$work/reference"; then umount "$work/reference" || umount -l "$work/reference" || failed=1; fi
    if mountpoint -q "$work/image.mount"; then umount "$work/image.mount" || umount -l "$work/image.mount" || failed=1; fi
    # Nothing is removed through a mount that is still there.
    if [ "$failed" -eq 0 ]; then rm -rf --one-file-system "$work"; else echo "test-posix.sh: $work is still mounted" >&2; fi
}
trap clean EXIT
# Other users must reach the mount point.
chmod 755 "$work"
mkdir "$work/mount" "$work/reference"

# The reference is ext4: the temporary directory, or else an image.
if [ "$(stat -f -c %T "$work")" = ext2/ext3 ] && [ "$(findmnt -n -o FSTYPE -T "$work")" = ext4 ]; then
    source=$work/reference
else
    mkdir "$work/image.mount"
    truncate -s 1G "$work/image"
    mkfs.ext4 -q -F -b 4096 -N 200000 "$work/image"
    mount -o loop "$work/image" "$work/image.mount" || {
        echo "test-posix.sh: $work is not on ext4, and an ext4 image cannot be mounted here" >&2
        exit 1
    }
    mkdir "$work/image.mount/reference"
    source=$work/image.mount/reference
fi
# With the mount options of a FUSE mount: both sides refuse to open devices.
mount --bind "$source" "$work/reference"
mount -o remount,bind,nosuid,nodev,relatime "$work/reference"

"$tarn" init "$TARN_REPO" >/dev/null
"$tarn" mount "$TARN_REPO" "$work/mount" --ref main --write -o allow_other
if [ $# -eq 0 ]; then
    # Can the suite fail? An errno that is told wrongly must be found, and ext4 must be like itself.
    mkdir "$work/reference/a" "$work/reference/b"
    if python3 Tests/POSIX/run.py "$work/reference/a" "$work/reference/b" --only '^removing: rmdir' --break rmdir >"$work/broken.log"; then
        echo "test-posix.sh: a wrong errno of rmdir was not found" >&2
        exit 1
    fi
    grep -q 'result: reference E' "$work/broken.log" || { cat "$work/broken.log" >&2; exit 1; }
    python3 Tests/POSIX/run.py "$work/reference/a" "$work/reference/b" --only '^removing: rmdir' >"$work/self.log" ||
        { cat "$work/self.log" >&2; exit 1; }
    rmdir "$work/reference/a" "$work/reference/b"
fi
python3 Tests/POSIX/run.py "$work/reference" "$work/mount" --tarn "$@"
if [ $# -eq 0 ]; then
    # Once more, every eighth row, on objects that a commit has made part of the base.
    python3 Tests/POSIX/run.py "$work/reference" "$work/mount" --tarn --sample 8 \
        --settle "cd '$work/mount' && '$tarn' commit -m 'Objects to act on' 2>'$work/commit.log' || { cat '$work/commit.log' >&2; false; }"
fi
[ -z "$(ls -A "$work/mount")" ] || { echo "test-posix.sh: it left files behind" >&2; exit 1; }
