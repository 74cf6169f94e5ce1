"""read-warm: reading what is on this host already, against the same files on ext4.

One small-file set and one large file, imported into a directory repository and mounted read-only. Each measure is made
in turns on ext4 and on the mount. "Page cache" has read everything just before; "block cache" drops the kernel's caches
(as root) before each run, so that both read their disk."""

import json
import mmap
import multiprocessing
import os
import random

from support import MIB, BenchError, Tarn, drop_caches, median, run, stopwatch, sync

NAME = "read-warm"
ROUNDS = 3
PER_DIRECTORY = 1000


def main(bench):
    with bench.disk(NAME, 24) as disk:
        native = disk / "native"
        files = make_files(native, bench.size(100_000, 2_000), bench.size(1024, 64) * MIB)
        tarn = Tarn(bench, disk / "tarn", disk / "lake")
        tarn("init", tarn.repository)
        imported = tarn("import", native, "-m", "Data", timeout=1800)
        bench.note(f"import of {len(files):,} small files and a large one: {imported.seconds:.1f} s")
        sync()
        first_look(bench, tarn, disk, files)
        for opening in ("none", "passthrough"):
            with tarn.mount(disk / opening, "--cache-size", "20G", "-o", f"open={opening}") as mount:
                places = {"ext4": native, "tarn": mount.point}
                warm(places, files)
                if opening == "none":
                    epochs(bench, tarn, mount, places, files)
                    walks(bench, places, files)
                large_file(bench, tarn, mount, places, opening)
                used = mount.usage()
                bench.note(f"open={opening}: daemon {used.cpu_seconds:.1f} s of CPU, {used.peak_mib:.0f} MiB at most")


def large_file(bench, tarn, mount, places, opening):
    passes = statistics(tarn, mount).get("passthroughOpens") is not None
    if opening == "passthrough" and not passes:
        bench.note("no passthrough here: it needs Linux 6.9 and root")
        return
    how, target = ("passthrough", 0.85) if passes else ("open=none", 0.5)
    sequential(bench, places, how, target)
    random_reads(bench, places, how, bench.size(1_000_000, 5_000))
    if os.geteuid() == 0:
        cold_pages(bench, places, how, 0.85 if passes else 0.75)


def make_files(root, count, large):
    choose = random.Random(1)
    names = make_small(root, "", count, PER_DIRECTORY, choose, 4096, 65_536)
    with open(root / "large", "wb") as file:
        for _ in range(large // MIB):
            file.write(choose.randbytes(MIB))
    return names


def make_small(root, top, count, per_directory, choose, least, most):
    """Files of `least` to `most` bytes, `per_directory` each; answers their names, with `top`."""
    pool = choose.randbytes(MIB + most)
    names = []
    for number in range(count):
        directory = os.path.join(top, f"d{number // per_directory:04}")
        if number % per_directory == 0:
            os.makedirs(root / directory)
        size, start = choose.randrange(least, most + 1), choose.randrange(MIB)
        names.append(f"{directory}/f{number:06}")
        with open(root / names[-1], "wb") as file:
            file.write(number.to_bytes(8, "little") + pool[start:start + size - 8])
    return names


def read_whole(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(MIB):
            pass


def warm(places, files):
    for root in places.values():
        read_whole(root / "large")
        for name in files:
            with open(root / name, "rb", buffering=0) as file:
                file.read()


def in_turns(places, measure):
    """Seconds by place: the median of rounds in which every place had its turn."""
    seconds = {name: [] for name in places}
    for _ in range(ROUNDS):
        for name, root in places.items():
            seconds[name].append(measure(root))
    return {name: median(each) for name, each in seconds.items()}


def add(bench, measure, seconds, amount, unit, target):
    bench.add(NAME, measure, amount / seconds["tarn"], unit, against="ext4", other=amount / seconds["ext4"],
              target=target)


def first_look(bench, tarn, disk, files):
    """Names and attributes that the kernel has not seen: each round has a mount of its own."""
    stats, walked = [], []
    for turn in range(ROUNDS):
        with tarn.mount(disk / f"fresh{turn}") as mount, stopwatch() as watch:
            for name in files:
                os.stat(f"{mount.point}/{name}")
        stats.append(len(files) / watch[0])
        with tarn.mount(disk / f"walk{turn}") as mount, stopwatch() as watch:
            run(["find", mount.point, "-size", "+0"], 600)
        walked.append(len(files) / watch[0])
    bench.add(NAME, "first stat of every file", median(stats), "files/s", against="the goal", other=20_000, target=1)
    bench.add(NAME, "first walk with attributes (READDIRPLUS)", median(walked), "files/s", against="the goal",
              other=50_000, target=1)


def sequential(bench, places, how, target):
    def measure(root):
        return run(["dd", f"if={root}/large", "of=/dev/null", "bs=1M", "status=none"], 300).seconds
    size = (places["ext4"] / "large").stat().st_size / MIB
    add(bench, f"sequential read, page cache, {how}", in_turns(places, measure), size, "MiB/s", target)


def pread_blocks(path, seed, count):
    choose = random.Random(seed)
    file = os.open(path, os.O_RDONLY)
    blocks = os.fstat(file).st_size // 4096
    for _ in range(count):
        os.pread(file, 4096, choose.randrange(blocks) * 4096)
    os.close(file)


def random_reads(bench, places, how, count):
    for workers in (1, 4):
        def measure(root, workers=workers):
            return together([(pread_blocks, (root / "large", seed, count // workers)) for seed in range(workers)])
        add(bench, f"random 4 KiB reads, page cache, {workers} at a time, {how}", in_turns(places, measure), count,
            "reads/s", 0.9)


def together(calls):
    """Seconds until all calls, each in a process of its own, have ended."""
    workers = [multiprocessing.Process(target=function, args=arguments) for function, arguments in calls]
    with stopwatch() as watch:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise BenchError("a worker failed")
    return watch[0]


def read_files(root, names):
    for name in names:
        file = os.open(f"{root}/{name}", os.O_RDONLY)
        while os.read(file, 1 << 17):
            pass
        os.close(file)


def epochs(bench, tarn, mount, places, files):
    shuffled = random.Random(2).sample(files, len(files))
    for workers in (1, 4):
        def measure(root, workers=workers):
            return together([(read_files, (root, shuffled[part::workers])) for part in range(workers)])
        before = messages(tarn, mount)
        seconds = in_turns(places, measure)
        # Asking costs a few messages itself.
        sent = sum(messages(tarn, mount).values()) - sum(before.values())
        add(bench, f"epoch over the small files, shuffled, {workers} at a time", seconds, len(files), "files/s", 0.75)
        bench.note(f"messages of {ROUNDS} warm epochs, {workers} at a time: {sent} (with those of asking)")


def statistics(tarn, mount):
    return json.loads(tarn("stats", mount.point, "--json").output)


def messages(tarn, mount):
    return statistics(tarn, mount)["messages"]


def walks(bench, places, files):
    add(bench, "find, warm", in_turns(places, lambda root: run(["find", root, "-name", "x"], 300).seconds), len(files),
        "files/s", 0.8)

    def stat_all(root):
        with stopwatch() as watch:
            for name in files:
                os.stat(f"{root}/{name}")
        return watch[0]
    add(bench, "stat of every file, warm", in_turns(places, stat_all), len(files), "files/s", 0.8)


def cold_pages(bench, places, how, target):
    def read(root):
        drop_caches()
        return run(["dd", f"if={root}/large", "of=/dev/null", "bs=1M", "status=none"], 300).seconds

    def touch(root):
        drop_caches()
        with open(root / "large", "rb") as file, stopwatch() as watch:
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
                for offset in range(0, len(pages), 4096):
                    pages[offset]
        return watch[0]
    size = (places["ext4"] / "large").stat().st_size / MIB
    add(bench, f"sequential read, block cache, {how}", in_turns(places, read), size, "MiB/s", target)
    add(bench, f"mmap, block cache, {how}", in_turns(places, touch), size, "MiB/s", target)
