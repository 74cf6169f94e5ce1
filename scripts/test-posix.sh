#!/usr/bin/env bash
# Holds a writable mount against ext4: every row of Tests/POSIX, then a sample of them on committed
# objects. With options (those of Tests/POSIX/run.py) only the rows that they choose:
#   scripts/test-posix.sh --only 'RENAME_EXCHANGE' --user alice
# Needs root: it acts as several users. TARN names another program than .build/release/tarn.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "test-posix.sh: must run as root" >&2; exit 1; }
scripts/packages.sh fuse3 python3 e2fsprogs mount util-linux
tarn=${TARN:-$PWD/.build/release/tarn}
[ -x "$tarn" ] || scripts/build.sh --product tarn
suite=$PWD/Tests/POSIX/run.py

work=$(mktemp -d -t tarn-posix-XXXXXX)
reference=$work/reference mount=$work/mount image=$work/image
export TARN_STATE_DIR=$work/state TARN_CACHE_DIR=$work/cache TARN_REPO=$work/lake
export TARN_AUTHOR='Test <test@example.org>'
clean() {
    local is_left=0
    cd /
    if mountpoint -q "$mount"; then
        "$tarn" umount "$mount" || fusermount3 -uz "$mount" || is_left=1
    fi
    for point in "$reference" "$image.mount"; do
        if mountpoint -q "$point"; then umount "$point" || umount -l "$point" || is_left=1; fi
    done
    if [ "$is_left" -eq 0 ]; then
        rm -rf --one-file-system "$work"
    else
        echo "test-posix.sh: something is still mounted below $work" >&2
    fi
}
trap clean EXIT
# Other users must reach the mount point.
chmod 755 "$work"
mkdir "$mount" "$reference"

# The reference is ext4: the temporary directory, or else an image.
if [ "$(findmnt -n -o FSTYPE -T "$work")" = ext4 ]; then
    source=$reference
else
    mkdir "$image.mount"
    truncate -s 1G "$image"
    mkfs.ext4 -q -F -b 4096 -N 200000 "$image"
    mount -o loop "$image" "$image.mount" || {
        echo "test-posix.sh: $work is not on ext4, and no ext4 image can be mounted here" >&2
        exit 1
    }
    mkdir "$image.mount/reference"
    source=$image.mount/reference
    # The workspace's disk shows through (reserving too much room): it is the same kind.
    export TARN_STATE_DIR=$image.mount/state
fi
# With the options of a FUSE mount, so that neither side opens devices.
mount --bind "$source" "$reference"
mount -o remount,bind,nosuid,nodev,relatime "$reference"

"$tarn" init "$TARN_REPO" >/dev/null
"$tarn" mount "$TARN_REPO" "$mount" --ref main --write -o allow_other
if [ $# -gt 0 ]; then
    python3 "$suite" "$reference" "$mount" --tarn "$@"
    exit
fi

# Can the suite fail? ext4 is like itself, and an errno that is told wrongly is found.
mkdir "$reference/a" "$reference/b"
few=("$reference/a" "$reference/b" --only '^removing: rmdir')
python3 "$suite" "${few[@]}" >"$work/self.log" || { cat "$work/self.log" >&2; exit 1; }
if python3 "$suite" "${few[@]}" --break rmdir >"$work/broken.log"; then
    echo "test-posix.sh: a wrong errno of rmdir was not found" >&2
    exit 1
fi
grep -q 'result: reference E' "$work/broken.log" || { cat "$work/broken.log" >&2; exit 1; }
rmdir "$reference/a" "$reference/b"

python3 "$suite" "$reference" "$mount" --tarn

# Every eighth row once more, on objects that a commit has made part of the base.
export tarn mount work
python3 "$suite" "$reference" "$mount" --tarn --sample 8 --settle '
    cd "$mount"
    "$tarn" commit -m "Objects to act on" 2>"$work/commit.log" || { cat "$work/commit.log" >&2; exit 1; }'
[ -z "$(ls -A "$mount")" ] || { echo "test-posix.sh: it left files behind" >&2; exit 1; }
