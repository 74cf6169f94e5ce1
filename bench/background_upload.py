"""background-upload: how long a commit takes after a long write, with `-o upload=background` and without.

The repository is on S3 behind a relay. Before the commit nothing is done until the relay has been quiet for a while, in
both ways alike: that is the pause which a writer leaves anyway, in which uploads can go ahead."""

import os
import random

import servers
from support import MIB, BenchError, Tarn, median

NAME = "background-upload"
ROUNDS = 3
# Longer than a file must be left alone before its upload begins.
QUIET_SECONDS = 12


def main(bench):
    with bench.directory(NAME) as home:
        if "upload=" not in Tarn(bench, home / "none", home / "none")("mount", "--help").output:
            bench.note("not measured: this build has no -o upload=")
            return
        with servers.rgw(bench, "memstore", bench.size(14, 2)) as server, servers.Relay(server.endpoint) as relay:
            measure(bench, home, server, relay)


def measure(bench, home, server, relay):
    size = bench.size(2048, 64) * MIB
    results = {}
    for turn in range(ROUNDS):
        for way, options in (("background", ["-o", "upload=background"]), ("at commit", [])):
            name = f"upload-{turn}-{way.split()[0]}"
            bucket = server.bucket(name)
            tarn = Tarn(bench, home / name, f"s3://{bucket}/lake", server.env | {"AWS_ENDPOINT_URL": relay.endpoint})
            tarn("init", tarn.repository)
            with tarn.mount(home / "mount", "--write", *options) as mount:
                write(mount.point / "file", size, seed=turn)
                relay.reset()
                if not relay.wait_until_idle(QUIET_SECONDS, 300):
                    raise BenchError("the upload in the background does not end")
                ahead = relay.counts()["up"] / MIB
                one = tarn("commit", "-m", "Large", cwd=mount.point)
                used = mount.usage()
            results.setdefault(way, []).append((one.seconds, used.cpu_seconds + one.cpu_seconds,
                                                max(used.peak_mib, one.peak_mib), ahead))
            server.remove_bucket(bucket)
    ours, plain = results["background"], results["at commit"]
    bench.add(NAME, f"commit after {size // MIB:,} MiB, upload=background", median([one[0] for one in ours]), "s",
              "lower", against="without", other=median([one[0] for one in plain]), runs=[one[0] for one in ours],
              cpu_seconds=median([one[1] for one in ours]), peak_mib=max(one[2] for one in ours))
    with_it, without = (median([one[3] for one in runs]) for runs in (ours, plain))
    bench.note(f"uploaded after the write and before the commit: {with_it:,.0f} MiB with, {without:,.0f} MiB without")


def write(path, size, seed):
    choose = random.Random(seed)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(choose.randbytes(MIB))
        file.flush()
        os.fsync(file.fileno())
