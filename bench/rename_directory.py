"""rename-directory: rename of a committed directory with many files, and what status, commit and diff take after it.

Against git on ext4 with the same files (the tool whose words we use), rename(2) of ext4, and a mount of S3, which
copies every object; that one with fewer files, its figure scaled to as many."""

import os

import peers
import servers
from support import Tarn, median, run, stopwatch, sync

NAME = "rename-directory"
ROUNDS = 3


def fill(directory, count):
    directory.mkdir(parents=True)
    for number in range(count):
        with open(directory / f"file-{number:06}", "wb") as file:
            file.write(b"contents of %d\n" % number)


def rename(root, turn):
    with stopwatch() as watch:
        os.rename(root / f"dir{turn}", root / f"dir{turn + 1}")
    return watch[0]


def main(bench):
    count = bench.size(100_000, 5_000)
    with bench.disk(NAME, 16) as disk:
        fill(disk / "git/dir0", count)
        tarn = Tarn(bench, disk / "tarn", disk / "lake")
        tarn("init", tarn.repository)
        tarn("import", disk / "git", "-m", "Many files", timeout=900)
        ours, git, used = with_tarn(disk, tarn), with_git(disk / "git"), {}
        used["ours"] = ours.pop("used")
        remote = with_rclone(bench, disk, count)
    facts = dict(better="lower", cpu_seconds=used["ours"].cpu_seconds, peak_mib=used["ours"].peak_mib)
    what = f"rename of a directory of {count:,} files"
    for against, other in (("ext4", git["rename"]), ("rclone mount (scaled)", remote)):
        bench.add(NAME, what, median(ours["rename"]) * 1000, "ms", against=against, other=median(other) * 1000,
                  runs=ours["rename"], **facts)
    for verb, peer in (("status", "git status"), ("commit", "git add, commit"), ("diff", "git diff")):
        bench.add(NAME, f"then tarn {verb}", median(ours[verb]), "s", against=peer, other=median(git[verb]),
                  runs=ours[verb], better="lower", cpu_seconds=median(ours[verb + " cpu"]),
                  peak_mib=max(ours[verb + " peak"]))


def with_tarn(disk, tarn):
    """Seconds by step."""
    found = {}

    def note(step, one):
        found.setdefault(step, []).append(one.seconds)
        found.setdefault(step + " cpu", []).append(one.cpu_seconds)
        found.setdefault(step + " peak", []).append(one.peak_mib)

    for turn in range(ROUNDS):
        # Mounted anew: nothing of the directory is known yet.
        with tarn.mount(disk / "mount", "--write") as mount:
            sync()
            found.setdefault("rename", []).append(rename(mount.point, turn))
            note("status", tarn("status", cwd=mount.point))
            note("commit", tarn("commit", "-m", "Rename", cwd=mount.point))
            note("diff", tarn("diff", "main~1", "main"))
            found["used"] = mount.usage()
    return found


def with_git(root):
    settings = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"]

    def git(*arguments):
        return run(["git", *settings, *arguments], 900, cwd=root).seconds

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "Many files")
    found = {}
    for turn in range(ROUNDS):
        found.setdefault("rename", []).append(rename(root, turn))
        found.setdefault("status", []).append(git("status", "--short", "-uall"))
        found.setdefault("commit", []).append(git("add", "-A") + git("commit", "-q", "-m", "Rename"))
        found.setdefault("diff", []).append(git("diff", "--name-status", "--no-renames", "HEAD~1", "HEAD"))
    return found


def with_rclone(bench, disk, count):
    few = bench.size(500, 100)
    with servers.rgw(bench, "memstore", 2) as server:
        bucket = server.bucket("rename")
        client = server.client()
        for number in range(few):
            client.put_object(Bucket=bucket, Key=f"dir0/file-{number:06}", Body=b"contents of %d\n" % number)
        with peers.rclone(bench, disk / "rclone", server, bucket) as mount:
            return [rename(mount.point, turn) * count / few for turn in range(ROUNDS)]
