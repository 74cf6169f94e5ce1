"""import: a directory into S3 for the first time, and a large file again after an insertion.

Limits, each of the same bytes: reading the source, SHA-256 on all cores (openssl, which uses the CPU's instructions),
and uploading by large PUTs. Whichever is slowest is what Tarn is held against. DVC, git-lfs and aws s3 sync get fewer
files, and rates are compared. git-lfs has no S3 of its own: it pushes to a directory, and is held against an import into
a directory, whose limit of writing is a copy that is synced. Each round has a server of its own, which holds everything in
memory; the source is not in the page cache."""

import os
import random
import subprocess
import sys
from pathlib import Path

import servers
from partial_edits import pseudo_random
from read_warm import make_small
from support import MIB, BenchError, Tarn, drop_caches, median, run, stopwatch

NAME = "import"
ROUNDS = 3
PIECE = 16 * MIB
STREAMS = 8
LIMIT_MIB = 8
TARGETS = {"DVC": 10, "git-lfs": 10}


def main(bench):
    with bench.disk(NAME, 40) as disk:
        whole, part = make_sets(bench, disk)
        results, rivals = {name: {} for name in whole}, {}
        for turn in range(bench.size(ROUNDS, 1)):
            with servers.rgw(bench, "memstore", 14) as server:
                for name, root in whole.items():
                    first_import(bench, disk, server, root, results[name], f"{name}{turn}")
                if turn == 0:
                    rivals = {name: rates_of_rivals(disk, server, root, name) for name, root in part.items()}
        for name, root in whole.items():
            report(bench, name, root, "S3", results[name], rivals[name])
            local = {}
            for turn in range(bench.size(ROUNDS, 1)):
                into_directory(bench, disk, root, local, f"{name}-here{turn}")
            lfs = with_git_lfs(disk, part[name], f"lfs-{name}")
            report(bench, name, root, "a directory", local, {"git-lfs": lfs})
        run(["rm", "-rf", *whole.values(), *part.values()], 300)
        new_version(bench, disk)


def make_sets(bench, disk):
    """Directories by set, of the size for Tarn and of the size for its rivals."""
    choose = random.Random(8)
    small, large = bench.size(40_000, 1_000), bench.size(1024, 64) * MIB
    whole = {"small": disk / "small", "large": disk / "large"}
    part = {"small": disk / "few", "large": disk / "one"}
    for root in (*whole.values(), *part.values()):
        root.mkdir()
    make_small(whole["small"], "a", small, 1_000, choose, 4096, 65_536)
    make_small(part["small"], "a", bench.size(2_000, 100), 1_000, choose, 4096, 65_536)
    for number in range(2):
        pseudo_random(whole["large"] / f"file{number}", large, 20 + number)
    pseudo_random(part["large"] / "file", large // 4, 30)
    return whole, part


def size_of(root):
    """Files and bytes below a directory."""
    sizes = [os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(root) for name in names]
    return len(sizes), sum(sizes)


# MARK: Contenders


def first_import(bench, disk, server, root, results, bucket):
    """Notes the rates of one round, in MiB/s."""
    note = timed_import(bench, disk, root, results, bucket, f"s3://{server.bucket(bucket)}/lake", server)
    read_and_hash(root, note)
    note("upload by large PUTs", upload(disk, server, size_of(root)[1], bucket))
    server.remove_bucket(bucket)


def into_directory(bench, disk, root, results, name):
    """The same for a repository in a directory, on the disk that the source lies on."""
    note = timed_import(bench, disk, root, results, name, disk / name)
    run(["rm", "-rf", disk / name], 300)
    read_and_hash(root, note)
    drop_caches()
    note("cp and sync", run(["sh", "-c", f"cp -r '{root}' '{disk}/copy' && sync -f '{disk}/copy'"], 300).seconds)
    run(["rm", "-rf", disk / "copy"], 300)


def timed_import(bench, disk, root, results, name, repository, server=None):
    """Imports and notes the rate, CPU seconds (the server's, too) and peak memory; answers what notes the rate of a limit by its seconds."""
    size = size_of(root)[1]

    def note(what, seconds):
        results.setdefault(what, []).append(size / MIB / seconds)
        bench.say(f"{name}: {what}: {size / MIB / seconds:.0f} MiB/s")

    def busy():
        return server.cpu_seconds() if server else 0

    tarn = Tarn(bench, disk / f"tarn-{name}", repository, server.env if server else None)
    tarn("init", tarn.repository)
    drop_caches()
    before = busy()
    ran = tarn("import", root, "-m", "Data", timeout=600)
    results.setdefault("used", []).append((ran.cpu_seconds, ran.peak_mib, busy() - before))
    note("tarn", ran.seconds)
    return note


def read_and_hash(root, note):
    drop_caches()
    note("reading the source", each_file(root, ["cat"]))
    drop_caches()
    note("SHA-256 on all cores", each_file(root, ["openssl", "dgst", "-sha256"]))


def each_file(root, command):
    """Seconds for a command over all files, on all cores."""
    cores = os.cpu_count()
    share = max(1, min(500, size_of(root)[0] // cores))
    words = " ".join(command)
    return run(["sh", "-c", f"find '{root}' -type f -print0 | xargs -0 -P {cores} -n {share} {words} >/dev/null"],
               600).seconds


def upload(disk, server, size, bucket):
    """Seconds for as many bytes in PUTs of 16 MiB, on as many connections as Tarn has."""
    piece, client = disk / "piece", server.client()
    pseudo_random(piece, PIECE, 9)
    urls = [client.generate_presigned_url("put_object", {"Bucket": bucket, "Key": f"limit/{number}"})
            for number in range(max(1, size // PIECE))]
    with stopwatch() as watch:
        running = []
        for number in range(min(STREAMS, len(urls))):
            command = ["curl"]
            for url in urls[number::STREAMS]:
                command += ["--silent", "--fail", "--header", "Expect:", "--upload-file", piece, url, "--next"]
            running.append(subprocess.Popen(command[:-1], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        if any(one.wait(300) for one in running):
            raise BenchError("curl could not upload")
    return watch[0] * size / (len(urls) * PIECE)


def rates_of_rivals(disk, server, root, name):
    """MiB/s by name."""
    return {"DVC": with_dvc(disk, server, root, f"dvc-{name}"),
            "aws s3 sync": with_aws(disk, server, root, f"aws-{name}")}


def with_aws(disk, server, root, bucket):
    """MiB/s of `aws s3 sync` into an empty bucket: a copy, without versions."""
    aws = Path(sys.executable).with_name("aws")
    env = dict(os.environ) | server.env | {"HOME": str(disk), "AWS_DEFAULT_REGION": "us-east-1"}
    target = f"s3://{server.bucket(bucket)}/data"
    drop_caches()
    seconds = run([sys.executable, aws, "s3", "sync", "--only-show-errors", root, target], 600, env).seconds
    server.remove_bucket(bucket)
    return size_of(root)[1] / MIB / seconds


def with_dvc(disk, server, root, bucket):
    """MiB/s of `dvc add` and `dvc push`."""
    home = disk / bucket
    home.mkdir()
    run(["cp", "-r", root, home / "data"], 300)
    env = dict(os.environ) | server.env | {"HOME": str(home), "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(home)}
    dvc = os.environ.get("DVC", "dvc")
    run([dvc, "init", "--no-scm"], 60, env, home)
    run([dvc, "remote", "add", "--default", "store", f"s3://{server.bucket(bucket)}/dvc"], 60, env, home)
    run([dvc, "remote", "modify", "store", "endpointurl", server.endpoint], 60, env, home)
    drop_caches()
    seconds = run([dvc, "add", "data"], 600, env, home).seconds + run([dvc, "push"], 600, env, home).seconds
    rate = size_of(root)[1] / MIB / seconds
    run(["rm", "-rf", home], 300)
    return rate


def with_git_lfs(disk, root, name):
    """MiB/s of `git add`, `git commit` and `git push` to a directory, every file in LFS."""
    home = disk / name
    env = dict(os.environ) | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    for identity in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{identity}_NAME": "Bench", f"GIT_{identity}_EMAIL": "bench@example.org"}
    home.mkdir()
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", home / "remote"], 60, env)
    run(["cp", "-r", root, home / "work"], 300)

    def git(*arguments):
        return run(["git", *arguments], 600, env, home / "work").seconds

    git("init", "--quiet", "--initial-branch=main")
    git("lfs", "install", "--local")
    git("lfs", "track", "*")
    git("remote", "add", "origin", f"file://{home}/remote")
    drop_caches()
    seconds = git("add", ".") + git("commit", "--quiet", "-m", "Data") + git("push", "--quiet", "origin", "main")
    rate = size_of(root)[1] / MIB / seconds
    run(["rm", "-rf", home], 300)
    return rate


def report(bench, name, root, place, results, rivals):
    count, size = size_of(root)
    what = f"import of {count:,} {name} files, {size / MIB:,.0f} MiB, into {place}"
    used = results.pop("used")
    rates = {contender: median(each) for contender, each in results.items()}
    ours = rates.pop("tarn")
    slowest = min(rates, key=rates.get)
    facts = dict(runs=results["tarn"], cpu_seconds=median([one[0] for one in used]),
                 peak_mib=max(one[1] for one in used))
    bench.add(NAME, what, ours, "MiB/s", against=f"slowest limit ({slowest})", other=rates[slowest], target=0.7,
              **facts)
    for rival, rate in rivals.items():
        bench.add(NAME, what, ours, "MiB/s", against=rival, other=rate, target=TARGETS.get(rival), **facts)
    limits = ", ".join(f"{limit} {rate:,.0f} MiB/s" for limit, rate in rates.items())
    server = f"; the server's CPU during Tarn's import {median([one[2] for one in used]):.1f} s" if used[0][2] else ""
    bench.note(f"{what}: {limits}{server}")


# MARK: A new version


def new_version(bench, disk):
    """1 MiB inserted into the middle of a large CSV, which is imported again by the host that imported it before."""
    size = bench.size(5_000, 100) * 1_000_000
    data, spare = disk / "csv", disk / "spare"
    data.mkdir()
    make_csv(data / "table.csv", size, 40)
    make_csv(disk / "insertion", MIB * ROUNDS, 41)
    with servers.rgw(bench, "memstore", 14) as server, servers.Relay(server.endpoint) as relay:
        env = server.env | {"AWS_ENDPOINT_URL": relay.endpoint}
        tarn = Tarn(bench, disk / "tarn-csv", f"s3://{server.bucket('csv')}/lake", env)
        tarn("init", tarn.repository)
        first = tarn("import", data, "-m", "First", timeout=600)
        bench.note(f"first import of a CSV of {size / 1e9:g} GB, through the relay: {first.seconds:.1f} s, "
                   f"{relay.counts()['up'] / MIB:,.0f} MiB up")
        imports, hashes, sums, ups = [], [], [], []
        for turn in range(bench.size(ROUNDS, 1)):
            insert(data / "table.csv", spare, disk / "insertion", turn)
            relay.reset()
            drop_caches()
            imports.append(tarn("import", data, "-m", f"Version {turn}", timeout=600))
            ups.append(relay.counts()["up"] / MIB)
            drop_caches()
            sums.append(run(["sha256sum", data / "table.csv"], 300).seconds)
            drop_caches()
            hashes.append(run(["openssl", "dgst", "-sha256", data / "table.csv"], 300).seconds)
    what = f"import of a CSV of {size / 1e9:g} GB again, 1 MiB inserted in the middle"
    facts = dict(better="lower", cpu_seconds=median([one.cpu_seconds for one in imports]),
                 peak_mib=max(one.peak_mib for one in imports))
    bench.add(NAME, f"{what}: bytes up", median(ups), "MiB", against="limit, MiB", other=LIMIT_MIB, target=1, runs=ups,
              **facts)
    seconds = [one.seconds for one in imports]
    for against, other in (("sha256sum of it", sums), ("openssl sha256 of it", hashes)):
        bench.add(NAME, what, median(seconds), "s", against=against, other=median(other), target=1.3, runs=seconds,
                  **facts)


def make_csv(path, size, seed):
    """Lines of text that no other part of the file repeats."""
    with open(path, "wb") as file:
        run(["sh", "-c", f"openssl enc -aes-128-ctr -nosalt -K {seed:032x} -iv {0:032x} -in /dev/zero 2>/dev/null | "
             f"base64 -w 80 | tr / , | head -c {size}"], 600, stdout_to=file)


def insert(path, spare, insertion, turn):
    middle = os.path.getsize(path) // 2 + 77 * turn
    run(["sh", "-c", f"(head -c {middle} '{path}'; tail -c +{turn * MIB + 1} '{insertion}' | head -c {MIB}; "
         f"tail -c +{middle + 1} '{path}') > '{spare}' && mv '{spare}' '{path}'"], 300)
