"""read-cold: reading from S3 with nothing on this host yet, against raw curl, a cold ext4 and other mounts of S3.

nginx serves the bucket from memory, so that the server is not what is measured; its CPU stands beside. Every run has a
mount of its own, an empty cache directory, and comes after the kernel's caches were dropped. Peers read the same files,
as plain objects of the same server: fewer of them where they are slow, and rates are compared."""

import contextlib
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import servers
from read_warm import make_small, read_files, together
from support import MIB, BenchError, Tarn, drop_caches, median, run, stopwatch

NAME = "read-cold"
ROUNDS = 3
STREAMS = 16
"""Tarn's threads towards the store; curl gets as many."""
PIECE = 8 * MIB
WORKERS = 4
TAR_PER_DIRECTORY = 100
EPOCH_PER_DIRECTORY = 1000


@dataclasses.dataclass
class Scene:
    """The data set (`large`, `tar/`, `epoch/`) three times: on a disk, as plain objects, and in a repository on S3."""

    bench: object
    home: Path
    native: Path
    server: servers.Server
    tarn: Tarn
    tar_files: list
    epoch_files: list
    epoch_sizes: dict
    peer_number: int = 0

    @property
    def large_mib(self):
        return (self.native / "large").stat().st_size / MIB


@dataclasses.dataclass
class Sample:
    """One run of one contender: seconds, and what it took where that is known."""

    seconds: float
    store_bytes: int = 0
    requests: int = 0
    cpu_seconds: float = 0
    peak_mib: float = 0
    server_cpu_seconds: float = 0


def main(bench):
    with scene(bench, bench.size(1024, 64), bench.size(20_000, 600), bench.size(20_000, 600)) as one:
        sequential(one)
        tar(one)
        epochs(one)
        random_reads(one)
        from_rgw(one)


# MARK: The data


@contextlib.contextmanager
def scene(bench, large_mib, tar_count, epoch_count):
    with bench.directory(NAME) as home, bench.disk(NAME, 8) as disk, in_memory() as buckets:
        choose = random.Random(3)
        native = disk / "native"
        native.mkdir()
        with open(native / "large", "wb") as file:
            for _ in range(large_mib):
                file.write(choose.randbytes(MIB))
        tar_files = make_small(native, "tar", tar_count, TAR_PER_DIRECTORY, choose, 10_240, 10_240)
        epoch_files = make_small(native, "epoch", epoch_count, EPOCH_PER_DIRECTORY, choose, 4096, 65_536)
        shutil.copytree(native, buckets / "plain")
        # A directory repository has the keys of a bucket: written here as files, read below as objects.
        writer = Tarn(bench, home / "writer", buckets / "lake" / "repository")
        writer("init", writer.repository)
        writer("import", native, "-m", "Data", timeout=900)
        sizes = {name: (native / name).stat().st_size for name in epoch_files}
        with servers.static(bench, buckets) as server:
            tarn = Tarn(bench, home / "tarn", "s3://lake/repository", server.env)
            yield Scene(bench, home, native, server, tarn, tar_files, epoch_files, sizes)


@contextlib.contextmanager
def in_memory():
    """A directory in memory: dropping caches leaves it alone."""
    path = Path(tempfile.mkdtemp(prefix="tarn-bench-", dir="/dev/shm"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# MARK: Contenders


def cold_tarn(scene, work, *options):
    """Runs `work` (mount point → seconds) on a fresh mount."""
    scene.tarn.forget_cache()
    drop_caches()
    with scene.tarn.mount(scene.home / "mount", *(options or ("--cache-size", "20G"))) as mount:
        before, used, served = store_reads(scene, mount), mount.usage(), scene.server.cpu_seconds()
        seconds = work(mount.point)
        served, after = scene.server.cpu_seconds() - served, store_reads(scene, mount)
        return Sample(seconds, after["bytes"] - before["bytes"], after["requests"] - before["requests"],
                      mount.usage().cpu_seconds - used.cpu_seconds, mount.usage().peak_mib, served)


def store_reads(scene, mount):
    """The GETs so far: `requests`, `bytes`."""
    return json.loads(scene.tarn("stats", mount.point, "--json").output)["store"]["get"]


def cold_peer(scene, name, work):
    """The same on another mount of the plain objects."""
    drop_caches()
    scene.peer_number += 1
    home = scene.home / f"peer{scene.peer_number}"
    make = peers.s3fs if name == "s3fs" else lambda *arguments: peers.rclone(scene.bench, *arguments)
    try:
        with make(home, scene.server, "plain") as mount:
            used, served = mount.usage(), scene.server.cpu_seconds()
            seconds = work(mount.point)
            return Sample(seconds, 0, 0, mount.usage().cpu_seconds - used.cpu_seconds, mount.usage().peak_mib,
                          scene.server.cpu_seconds() - served)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def cold_ext4(scene, work):
    drop_caches()
    return Sample(work(scene.native))


def curl_piped(scene, hasher):
    """Parallel ranged GETs by curl, each on a connection of its own, put in order into a program that hashes."""
    size = (scene.native / "large").stat().st_size
    pieces = [(start, min(start + PIECE, size)) for start in range(0, size, PIECE)]
    url = f"{scene.server.endpoint}/plain/large"
    drop_caches()
    with contextlib.ExitStack() as stack, stopwatch() as watch:
        streams = []
        for number in range(min(STREAMS, len(pieces))):
            command = ["curl"]
            for start, end in pieces[number::STREAMS]:
                command += ["--silent", "--fail", "--range", f"{start}-{end - 1}", url, "--next"]
            streams.append(stack.enter_context(
                subprocess.Popen(command[:-1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pipesize=MIB)))
        sink = stack.enter_context(subprocess.Popen(hasher, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                    pipesize=MIB))
        for number, (start, end) in enumerate(pieces):
            move(streams[number % STREAMS].stdout, sink.stdin, end - start)
        sink.stdin.close()
        if not sink.stdout.read() or sink.wait(60):
            raise BenchError("the hash of what curl fetched was not made")
    return Sample(watch[0])


def move(source, target, count):
    """From pipe to pipe, without a copy."""
    while count:
        moved = os.splice(source.fileno(), target.fileno(), min(count, MIB))
        if not moved:
            raise BenchError("curl sent less than asked for")
        count -= moved


def cold_torch(scene, keys, workers):
    """s3torchconnector's client reads the same files as plain objects: no filesystem, nothing checked or kept."""
    listed = scene.home / "keys"
    listed.write_text("\n".join(keys))
    served = scene.server.cpu_seconds()
    ran = run([sys.executable, Path(__file__).with_name("torch_reader.py"), scene.server.endpoint, "plain", workers,
               listed], 300, env=dict(os.environ) | scene.server.env)
    return Sample(float(ran.output), cpu_seconds=ran.cpu_seconds, peak_mib=ran.peak_mib,
                  server_cpu_seconds=scene.server.cpu_seconds() - served)


def in_turns(scene, contenders):
    """Samples by contender: each has its turn in each round. `contenders`: name → function without arguments."""
    samples = {name: [] for name in contenders}
    for _ in range(scene.bench.size(ROUNDS, 1)):
        for name, measure in contenders.items():
            samples[name].append(measure())
    return samples


# MARK: Measures


def report(scene, measure, samples, amounts, unit, targets, name=NAME):
    """A row for each contender: amounts per second, ours against theirs. `amounts`: contender → units of a run."""
    def rate(contender):
        return median([amounts[contender] / one.seconds for one in samples[contender]])

    ours = samples["tarn"]
    for contender in samples:
        if contender != "tarn":
            scene.bench.add(
                name, measure, rate("tarn"), unit, against=contender, other=rate(contender),
                target=targets.get(contender), cpu_seconds=median([one.cpu_seconds for one in ours]),
                peak_mib=max(one.peak_mib for one in ours), runs=[amounts["tarn"] / one.seconds for one in ours])
    told = [f"{contender} {median([one.seconds for one in each]):.2f} s"
            + (f" (CPU {median([one.cpu_seconds for one in each]):.1f} s, server's "
               f"{median([one.server_cpu_seconds for one in each]):.1f} s)" if each[0].peak_mib else "")
            for contender, each in samples.items()]
    scene.bench.note(f"{measure}: {', '.join(told)}; tarn: {median([one.requests for one in ours]):,.0f} GETs, "
                     f"{median([one.store_bytes for one in ours]) / MIB:,.1f} MiB from the store")


def read_sequentially(root):
    return run(["dd", f"if={root}/large", "of=/dev/null", "bs=1M", "status=none"], 300).seconds


def sequential(scene):
    samples = in_turns(scene, {
        "tarn": lambda: cold_tarn(scene, read_sequentially),
        "curl into sha256sum": lambda: curl_piped(scene, ["sha256sum"]),
        "curl into openssl sha256": lambda: curl_piped(scene, ["openssl", "dgst", "-sha256"]),
        "s3fs": lambda: cold_peer(scene, "s3fs", read_sequentially),
        "rclone mount": lambda: cold_peer(scene, "rclone mount", read_sequentially),
        "s3torchconnector": lambda: cold_torch(scene, ["large"], 1)})
    report(scene, f"sequential read of {scene.large_mib:,.0f} MiB", samples, dict.fromkeys(samples, scene.large_mib),
           "MiB/s", {"curl into sha256sum": 0.85, "curl into openssl sha256": 0.85, "s3fs": 1.5, "rclone mount": 3})


def tar_of(root, directories):
    # Not to /dev/null: GNU tar would not read the files.
    names = " ".join(directories)
    return run(["sh", "-c", f"cd '{root}' && tar cf - {names} | cat >/dev/null"], 600).seconds


def tar(scene):
    few = scene.bench.size(10, 2)
    parts = [f"tar/d{number:04}" for number in range(few)]
    samples = in_turns(scene, {
        "tarn": lambda: cold_tarn(scene, lambda root: tar_of(root, ["tar"])),
        "ext4": lambda: cold_ext4(scene, lambda root: tar_of(root, ["tar"])),
        "s3fs": lambda: cold_peer(scene, "s3fs", lambda root: tar_of(root, parts)),
        "rclone mount": lambda: cold_peer(scene, "rclone mount", lambda root: tar_of(root, parts))})
    count, of_peers = len(scene.tar_files), few * TAR_PER_DIRECTORY
    report(scene, f"tar of {count:,} files of 10 KiB", samples,
           {"tarn": count, "ext4": count, "s3fs": of_peers, "rclone mount": of_peers}, "files/s",
           {"ext4": 0.5, "s3fs": 25, "rclone mount": 25})


def from_rgw(scene):
    """`tar` and the epoch on an object store that works for every request, as those in use do: Ceph RGW, on the same two
    cores."""
    few = scene.bench.size(4, 1)
    parts = [f"tar/d{number:04}" for number in range(few)]
    some = random.Random(5).sample(scene.epoch_files, scene.bench.size(500, 50))
    with servers.rgw(scene.bench, "memstore", 4) as server:
        client, bucket = server.client(), server.bucket("plain")
        for name in scene.tar_files[:few * TAR_PER_DIRECTORY] + some:
            client.upload_file(str(scene.native / name), bucket, name)
        repository = f"s3://{server.bucket('lake')}/repository"
        on_rgw = dataclasses.replace(
            scene, server=server, tarn=Tarn(scene.bench, scene.home / "rgw", repository, server.env))
        on_rgw.tarn("init", repository)
        for part in ("tar", "epoch"):
            on_rgw.tarn("import", scene.native / part, "--to", part, "-m", "Data", timeout=600)
        tars = in_turns(scene, {
            "tarn": lambda: cold_tarn(on_rgw, lambda root: tar_of(root, ["tar"])),
            "s3fs": lambda: cold_peer(on_rgw, "s3fs", lambda root: tar_of(root, parts)),
            "rclone mount": lambda: cold_peer(on_rgw, "rclone mount", lambda root: tar_of(root, parts))})
        shuffled = in_turns(scene, {
            "tarn": lambda: cold_tarn(on_rgw, epoch_of(scene.epoch_files)),
            "rclone mount": lambda: cold_peer(on_rgw, "rclone mount", epoch_of(some)),
            "s3torchconnector": lambda: cold_torch(on_rgw, some, WORKERS)})
    count, of_peers = len(scene.tar_files), few * TAR_PER_DIRECTORY
    report(scene, f"tar of {count:,} files of 10 KiB, from RGW", tars,
           {"tarn": count, "s3fs": of_peers, "rclone mount": of_peers}, "files/s", {"s3fs": 25, "rclone mount": 25})
    count = len(scene.epoch_files)
    report(scene, f"shuffled epoch of {count:,} small files, {WORKERS} workers, from RGW", shuffled,
           {"tarn": count, "rclone mount": len(some), "s3torchconnector": len(some)}, "files/s", {"rclone mount": 20})


def epoch_of(files, seed=4):
    """Every file once, shuffled, by some workers: a function of the mount point."""
    shuffled = random.Random(seed).sample(files, len(files))
    return lambda root: together([(read_files, (root, shuffled[part::WORKERS])) for part in range(WORKERS)])


def epochs(scene):
    count, total = len(scene.epoch_files), sum(scene.epoch_sizes.values())
    some = random.Random(5).sample(scene.epoch_files, scene.bench.size(1_000, 100))
    samples = in_turns(scene, {
        "tarn": lambda: cold_tarn(scene, epoch_of(scene.epoch_files)),
        "ext4": lambda: cold_ext4(scene, epoch_of(scene.epoch_files)),
        "rclone mount": lambda: cold_peer(scene, "rclone mount", epoch_of(some)),
        "s3torchconnector": lambda: cold_torch(scene, some, WORKERS)})
    what = f"shuffled epoch of {count:,} small files, {WORKERS} workers"
    amounts = {"tarn": count, "ext4": count, "rclone mount": len(some), "s3torchconnector": len(some)}
    report(scene, what, samples, amounts, "files/s", {"rclone mount": 20})
    amplification(scene, f"{what}: bytes fetched", samples["tarn"], total, 1.2)
    # 16 MiB is the least that the cache takes.
    tenth = max(total // 10, 16 * MIB)
    small = in_turns(
        scene, {"tarn": lambda: cold_tarn(scene, epoch_of(scene.epoch_files), "--cache-size", str(tenth))})
    amplification(scene, f"{what}, cache of 10 %: bytes fetched", small["tarn"], total, 3)
    scene.bench.note(f"{what}, cache of 10 %: {median([one.seconds for one in small['tarn']]):.2f} s, "
                     f"{median([one.requests for one in small['tarn']]):,.0f} GETs")


def amplification(scene, what, samples, total, target):
    scene.bench.add(NAME, what, median([one.store_bytes for one in samples]) / MIB, "MiB", "lower",
                    against="bytes read, MiB", other=total / MIB, target=target,
                    cpu_seconds=median([one.cpu_seconds for one in samples]),
                    peak_mib=max(one.peak_mib for one in samples), runs=[one.store_bytes / MIB for one in samples])


def random_reads(scene):
    count, size = scene.bench.size(400, 50), 128 << 10

    def read(root):
        choose = random.Random(6)
        with stopwatch() as watch:
            file = os.open(root / "large", os.O_RDONLY)
            for _ in range(count):
                if len(os.pread(file, size, choose.randrange(int(scene.large_mib) * MIB // size) * size)) != size:
                    raise BenchError("a read in the middle of the file came short")
            os.close(file)
        return watch[0]

    samples = in_turns(scene, {
        "tarn": lambda: cold_tarn(scene, read), "ext4": lambda: cold_ext4(scene, read),
        "s3fs": lambda: cold_peer(scene, "s3fs", read),
        "rclone mount": lambda: cold_peer(scene, "rclone mount", read)})
    report(scene, f"{count} random reads of 128 KiB in {scene.large_mib:,.0f} MiB", samples,
           dict.fromkeys(samples, count), "reads/s", {"s3fs": 2})
