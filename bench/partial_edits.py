"""partial-edits: small edits of a large file on S3 through a writable mount, with a cold cache, then commit.

A relay between Tarn and the server counts bytes (headers too) and requests, in both directions, from the edit to the
end of the commit. The mount begins before; the fresh read-only mount that verifies comes after. The same edits are made
to a local copy, which says what must be read back."""

import hashlib
import itertools
import os

import peers
import servers
from support import MIB, BenchError, Tarn, median, run, stopwatch

NAME = "partial-edits"
LIMIT_MIB = 8
ROUNDS = 3


def pseudo_random(path, size, seed):
    """Bytes that nothing compresses, at the speed of AES in hardware."""
    with open(path, "wb") as file:
        run(["sh", "-c", f"head -c {size} /dev/zero | openssl enc -aes-128-ctr -nosalt -K {seed:032x} -iv {0:032x}"],
            900, stdout_to=file)


def append_line(path, turn):
    with open(path, "ab", buffering=0) as file:
        start = file.tell()
        file.write(b"one more line, number %d\n" % turn)
        os.fsync(file.fileno())
    return start


def change_byte(path, turn):
    # Apart from each other, and on no boundary of anything.
    at = os.path.getsize(path) * (turn + 1) // (ROUNDS + 1) + 12_345
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, bytes([65 + turn]), at)
    os.fsync(descriptor)
    os.close(descriptor)
    return at


def insert_mebibyte(path, turn):
    """As an editor must: everything from the middle on is written again, a mebibyte further."""
    at = os.path.getsize(path) // 2 + 77 * turn
    with open(path, "r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        # From the end, so that nothing is overwritten before it is read.
        while end > at:
            start = max(at, end - 4 * MIB)
            file.seek(start)
            data = read_fully(file, end - start)
            file.seek(start + MIB)
            write_fully(file, data)
            end = start
        file.seek(at)
        write_fully(file, hashlib.shake_128(b"%d" % turn).digest(MIB))
        os.fsync(file.fileno())
    return at


def read_fully(file, count):
    parts = []
    while count and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def write_fully(file, data):
    while data:
        data = data[file.write(data):]


def differs(one, other, at, around=4 * MIB):
    start = max(0, at - around)
    for path in (one, other):
        if os.path.getsize(path) != os.path.getsize(one):
            return True
    pieces = []
    for path in (one, other):
        with open(path, "rb") as file:
            file.seek(start)
            pieces.append(file.read(2 * around))
    return pieces[0] != pieces[1]


def main(bench):
    size, small = bench.size(10_000, 256) * 1_000_000, bench.size(1024, 64) * MIB
    with bench.directory(NAME) as home, servers.rgw(bench, "bluestore", bench.size(28, 4)) as server, \
            servers.Relay(server.endpoint) as relay:
        data = home / "data"
        data.mkdir()
        pseudo_random(data / "large", size, 1)
        pseudo_random(data / "medium", small, 2)
        bucket = server.bucket("edits")
        tarn = Tarn(bench, home / "tarn", f"s3://{bucket}/lake", server.env)
        tarn("init", tarn.repository)
        loaded = tarn("import", data, "-m", "Large files", timeout=1800)
        hashed = run(["sha256sum", data / "large", data / "medium"], 600)
        bench.add(NAME, f"import of {(size + small) / 1e9:.1f} GB into S3", (size + small) / 1e6 / loaded.seconds,
                  "MB/s", against="sha256sum of it", other=(size + small) / 1e6 / hashed.seconds,
                  cpu_seconds=loaded.cpu_seconds, peak_mib=loaded.peak_mib)
        relayed = Tarn(bench, home / "tarn", tarn.repository, server.env | {"AWS_ENDPOINT_URL": relay.endpoint})
        for what, edit, name in ((f"append a line to {size / 1e9:g} GB", append_line, "large"),
                                 (f"change one byte in {size / 1e9:g} GB", change_byte, "large"),
                                 (f"insert 1 MiB into {small / MIB:,.0f} MiB by rewriting", insert_mebibyte, "medium")):
            runs = [one_edit(bench, home, tarn, relayed, relay, data / name, edit, turn) for turn in range(ROUNDS)]
            report(bench, what, runs, loaded.seconds)
        verify_whole(bench, home, tarn, data)
        against_rclone(bench, home, server, relay, data / "medium")


def one_edit(bench, home, tarn, relayed, relay, local, edit, turn):
    relayed.forget_cache()
    with relayed.mount(home / "mount", "--write") as mount:
        if not relay.wait_until_idle(0.5, 60):
            raise BenchError("the mount does not come to rest")
        relay.reset()
        with stopwatch() as editing:
            at = edit(mount.point / local.name, turn)
        edited = relay.counts()
        committed = relayed("commit", "-m", f"{edit.__name__} {turn}", cwd=mount.point)
        counts, used = relay.counts(), mount.usage()
    edit(local, turn)
    tarn.forget_cache()
    with tarn.mount(home / "check") as check:
        if differs(check.point / local.name, local, at):
            raise BenchError(f"{edit.__name__}: the commit does not hold what was written")
    return {"up": counts["up"] / MIB, "down": counts["down"] / MIB, "requests": counts["requests"],
            "edit_down": edited["down"] / MIB, "edit": editing[0], "commit": committed.seconds,
            "cpu": used.cpu_seconds + committed.cpu_seconds, "peak": max(used.peak_mib, committed.peak_mib),
            "lines": in_short(counts["lines"])}


def in_short(lines):
    """Request lines as kinds of objects, in order; a run of one kind is counted."""
    kinds = [f"{method} {path.split('?')[0].split('/')[3]}" for method, path in (line.split() for line in lines)]
    runs = [(kind, len(list(run))) for kind, run in itertools.groupby(kinds)]
    return ", ".join(kind if count == 1 else f"{kind} x {count}" for kind, count in runs)


def report(bench, what, runs, whole_seconds):
    def middle(key):
        return median([one[key] for one in runs])

    facts = dict(better="lower", cpu_seconds=middle("cpu"), peak_mib=max(one["peak"] for one in runs))
    for key, word in (("up", "bytes up"), ("down", "bytes down")):
        bench.add(NAME, f"{what}: {word}", middle(key), "MiB", against="limit, MiB", other=LIMIT_MIB,
                  # The program that inserts reads the second half itself: that is no download of ours.
                  target=None if "insert" in what and key == "down" else 1, runs=[one[key] for one in runs], **facts)
    for key, word in (("edit", "edit + fsync"), ("commit", "commit")):
        bench.add(NAME, f"{what}: {word}", middle(key), "s", against="import, s", other=whole_seconds,
                  runs=[one[key] for one in runs], **facts)
    bench.note(f"{what}: {middle('requests'):.0f} requests, {middle('edit_down'):.2f} MiB down before the commit: "
               f"{runs[-1]['lines']}")


def verify_whole(bench, home, tarn, data):
    tarn.forget_cache()
    with tarn.mount(home / "check", "--cache-size", "2G") as check:
        for name in ("large", "medium"):
            sums = [run(["sha256sum", place / name], 1800).output.split()[0] for place in (check.point, data)]
            if sums[0] != sums[1]:
                raise BenchError(f"{name}: the whole file is not what was written")
    bench.note("both files, whole, read through a fresh read-only mount have the SHA-256 of the local copies")


def against_rclone(bench, home, server, relay, medium):
    """What a mount without blocks does with the same append, at the smaller size."""
    bucket = server.bucket("rclone")
    server.client().upload_file(str(medium), bucket, "medium")
    with peers.rclone(bench, home / "rclone", server, bucket, endpoint=relay.endpoint) as mount:
        relay.reset()
        append_line(mount.point / "medium", 0)
        relay.wait_until_idle(15, 300)
        counts = relay.counts()
    bench.note(f"rclone mount, a line appended to {os.path.getsize(medium) / MIB:,.0f} MiB: "
               f"{counts['up'] / MIB:,.0f} MiB up, {counts['down'] / MIB:,.0f} MiB down, {counts['requests']} requests")
