"""staging-small-files: many new small files in one workspace, and what status and commit then take.

One writer: mkdir, then open(O_CREAT|O_EXCL), one write, close for each file. The files come in rounds, which all
contenders take in turn, so that each round is a run and a slow moment of the machine meets everybody; the workspace
grows over the rounds to the whole number."""

import os
import random
import shutil

import peers
import servers
from support import Tarn, median, run, stopwatch, sync

NAME = "staging-small-files"
PER_DIRECTORY = 200


def create(root, first, count):
    """Makes the files `first`… below root; seconds. The same numbers give the same files everywhere."""
    choose = random.Random(first)
    pool = choose.randbytes(1 << 20)
    plan = [(choose.randrange(1024, 16385), choose.randrange(len(pool) - 16384)) for _ in range(count)]
    with stopwatch() as watch:
        for number, (size, start) in enumerate(plan, first):
            directory = f"{root}/d{number // PER_DIRECTORY:05}"
            if number % PER_DIRECTORY == 0 or number == first:
                os.makedirs(directory, exist_ok=True)
            file = os.open(f"{directory}/f{number:07}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(file, pool[start:start + size])
            os.close(file)
    return watch[0]


def main(bench):
    rounds = 4
    count = bench.size(200_000, 5_000) // rounds
    with bench.disk(NAME, 24) as disk:
        tarn = Tarn(bench, disk / "tarn", disk / "lake")
        tarn("init", tarn.repository)
        rates, daemons, cpu = {}, {}, {}
        (disk / "ext4").mkdir()
        with tarn.mount(disk / "mount", "--write") as mount, peers.bindfs(disk / "bindfs") as bindfs, \
                peers.fuse_overlayfs(disk / "overlay") as overlay:
            roots = {"ext4": disk / "ext4"} | {one.name: one.point for one in (mount, overlay, bindfs)}
            for turn in range(rounds):
                for name, root in roots.items():
                    sync()
                    rates.setdefault(name, []).append(count / create(root, turn * count, count))
                bench.say("  ".join(f"{name} {each[-1]:.0f}/s" for name, each in rates.items()))
            for one in (mount, overlay, bindfs):
                daemons[one.name] = one.usage()
            status = [tarn("status", cwd=mount.point, timeout=900) for _ in range(3)]
        whole = rounds * count
        remote_rates = against_s3(bench, disk)
        report_rates(bench, whole, rates | remote_rates, daemons)
        for name, used in daemons.items():
            cpu[name] = used.cpu_seconds / whole * 1e6
        bench.note("daemon CPU per file: " + ", ".join(f"{name} {each:.0f} us" for name, each in cpu.items()))

        limits = read_limits(disk, disk / "ext4")
        bench.add(NAME, f"tarn status of {whole:,} files", median([one.seconds for one in status]), "s", "lower",
                  against="find -newer over them on ext4", other=limits["find"],
                  cpu_seconds=median([one.cpu_seconds for one in status]),
                  peak_mib=max(one.peak_mib for one in status))
        commits(bench, disk, tarn, whole, limits)


def report_rates(bench, whole, rates, daemons):
    middle = {name: median(each) for name, each in rates.items()}
    bench.note("created/s: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in middle.items()))
    best = max((name for name in ("fuse-overlayfs", "bindfs", "rclone mount", "s3fs") if name in middle),
               key=middle.get)
    facts = dict(cpu_seconds=daemons["tarn"].cpu_seconds, peak_mib=daemons["tarn"].peak_mib, runs=rates["tarn"])
    for name, target in ((best, 0.5), ("ext4", None), ("rclone mount", None), ("s3fs", None)):
        bench.add(NAME, f"create {whole:,} files", middle["tarn"], "files/s", against=name, other=middle[name],
                  target=target, **facts)


def against_s3(bench, disk):
    """Rates of the peers that keep their files in S3, with fewer files: they are slow."""
    rates = {}
    with servers.rgw(bench, "memstore", 4) as server:
        for name, files in (("rclone mount", bench.size(5_000, 300)), ("s3fs", bench.size(999, 60))):
            bucket = server.bucket(f"small-{name.split()[0]}")
            home = disk / name.split()[0]
            with peers.rclone(bench, home, server, bucket) if name != "s3fs" else peers.s3fs(
                    home, server, bucket) as mount:
                part = files // 3
                rates[name] = [part / create(mount.point, turn * part, part) for turn in range(3)]
                # Uploads that go on afterwards are not waited for: rclone's are in its favour here.
                mount.stop(kill=True)
    return rates


def read_limits(disk, files):
    """Seconds (and bytes) of what a commit cannot do without, over the same files: walking, hashing, copying."""
    run(["find", files, "-newer", "/", "-name", "x"], 300)
    found = {
        "find": median([run(["find", files, "-newer", "/"], 600).seconds for _ in range(3)]),
        "sha256sum": median([
            run(["sh", "-c", f"find '{files}' -type f -print0 | xargs -0 sha256sum >/dev/null"], 900).seconds
            for _ in range(3)])}
    copies = []
    for turn in range(3):
        copies.append(run(["cp", "-r", files, disk / f"copy{turn}"], 900).seconds)
    found["cp"] = median(copies)
    for turn in range(3):
        shutil.rmtree(disk / f"copy{turn}")
    return found


def commits(bench, disk, tarn, whole, limits):
    """Commits the same workspace three times: workspace and repository are put back before each."""
    saved = disk / "saved"
    saved.mkdir()
    for name in ("tarn", "lake"):
        run(["cp", "-a", disk / name, saved / name], 900)
    runs = []
    for turn in range(3):
        if turn:
            for name in ("tarn", "lake"):
                shutil.rmtree(disk / name)
                run(["cp", "-a", saved / name, disk / name], 900)
        sync()
        with tarn.mount(disk / "mount", "--write") as mount:
            before = mount.usage()
            one = tarn("commit", "-m", "Many small files", cwd=mount.point, timeout=1800)
            after = mount.usage()
        one.cpu_seconds += after.cpu_seconds - before.cpu_seconds
        runs.append((one, after))
    seconds = median([one.seconds for one, _ in runs])
    facts = dict(cpu_seconds=median([one.cpu_seconds for one, _ in runs]),
                 peak_mib=max(one.peak_mib for one, _ in runs), runs=[one.seconds for one, _ in runs])
    for name in ("sha256sum", "cp"):
        what = "sha256sum" if name == "sha256sum" else "cp -r"
        bench.add(NAME, f"tarn commit of {whole:,} files", seconds, "s", "lower", against=f"{what} of them",
                  other=limits[name], **facts)
    bench.note(f"commit: {whole / seconds:,.0f} files/s; peak memory of its daemon "
               f"{max(used.peak_mib for _, used in runs):.0f} MiB")
