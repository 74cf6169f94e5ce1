"""write-fsync: 1 GiB written and fsynced, and many small files each with fsync, against ext4 and mounts of S3.

Three rounds, contenders in turn. fsync says different things: ext4 and Tarn have the bytes on the disk; rclone's and
s3fs's take more or less than that (rclone: in its cache, not synced; s3fs: in the bucket)."""

import os
import random

import peers
import servers
from support import MIB, Tarn, median, stopwatch, sync

NAME = "write-fsync"


def write_large(root, name, size, pool):
    with stopwatch() as watch:
        file = os.open(root / name, os.O_WRONLY | os.O_CREAT, 0o644)
        for _ in range(size // MIB):
            os.write(file, pool)
        os.fsync(file)
        os.close(file)
    return size / MIB / watch[0]


def write_small(root, name, count, pool):
    os.mkdir(root / name)
    with stopwatch() as watch:
        for number in range(count):
            file = os.open(root / name / f"{number:05}", os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(file, pool[number:number + 8192])
            os.fsync(file)
            os.close(file)
    return count / watch[0]


def main(bench):
    large, small = bench.size(1024, 64) * MIB, bench.size(2_000, 100)
    pool = random.Random(1).randbytes(MIB)
    rates = {}

    def measure(name, root, turn, small=small):
        sync()
        rates.setdefault((name, "large"), []).append(write_large(root, f"large{turn}", large, pool))
        sync()
        rates.setdefault((name, "small"), []).append(write_small(root, f"small{turn}", small, pool))
        os.unlink(root / f"large{turn}")
        bench.say(f"{name}: {rates[name, 'large'][-1]:.0f} MiB/s, {rates[name, 'small'][-1]:.0f} files/s")

    with bench.disk(NAME, 16) as disk:
        tarn = Tarn(bench, disk / "tarn", disk / "lake")
        tarn("init", tarn.repository)
        (disk / "ext4").mkdir()
        with tarn.mount(disk / "mount", "--write") as mount:
            for turn in range(3):
                measure("ext4", disk / "ext4", turn)
                measure("tarn", mount.point, turn)
            used = mount.usage()
        with servers.rgw(bench, "memstore", 8) as server:
            for turn in range(3):
                for name in ("rclone mount", "s3fs"):
                    bucket = server.bucket(f"fsync-{name.split()[0]}-{turn}")
                    home = disk / f"{name.split()[0]}-{turn}"
                    with peers.s3fs(home, server, bucket) if name == "s3fs" else peers.rclone(
                            bench, home, server, bucket) as peer:
                        measure(name, peer.point, turn, small=small // 10 if name == "s3fs" else small)
                        # Its uploads would go on in the next one's time.
                        peer.stop(kill=True)
                    server.remove_bucket(bucket)
    facts = dict(cpu_seconds=used.cpu_seconds, peak_mib=used.peak_mib)
    for kind, what, unit in (("large", f"write {large // MIB:,} MiB + fsync", "MiB/s"),
                             ("small", f"{small:,} files of 8 KiB, each with fsync", "files/s")):
        for peer, target in (("ext4", 0.5), ("rclone mount", 3), ("s3fs", None)):
            bench.add(NAME, what, median(rates["tarn", kind]), unit, against=peer, other=median(rates[peer, kind]),
                      target=target, runs=rates["tarn", kind], **facts)
