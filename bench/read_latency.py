"""read-latency: cold reads when every request to the store takes 20 or 50 ms more.

As read-cold, but through a relay that holds each request back by that time (those on other connections go on), and
once through the same relay without delay, since it costs time itself. curl goes through it too."""

import contextlib
import dataclasses
import random

import servers
from partial_edits import in_short
from read_cold import (
    ROUNDS, TAR_PER_DIRECTORY, cold_peer, cold_tarn, curl_piped, epoch_of, in_turns, read_sequentially, report, scene,
    tar_of)
from support import Tarn, drop_caches, median, run, stopwatch

NAME = "read-latency"
DELAYS = (0, 0.02, 0.05)
"""Seconds for each request."""


def main(bench):
    with scene(bench, bench.size(512, 32), bench.size(20_000, 600), bench.size(2_000, 200)) as near:
        for delay in bench.size(DELAYS, DELAYS[:2]):
            with servers.Relay(near.server.endpoint, delay) as relay:
                server = servers.Server(relay.endpoint, near.server.pids)
                far = dataclasses.replace(
                    near, server=server, tarn=Tarn(bench, near.home / "tarn", near.tarn.repository, server.env),
                    home=near.home / f"far{delay * 1000:.0f}")
                far.home.mkdir()
                word = f"{delay * 1000:.0f} ms more"
                first_list(far, relay, word)
                sequential(far, word)
                tar(far, word)
                epoch(far, word)


def first_list(far, relay, word):
    """From the start of `tarn mount` to the end of the first listing, with an empty cache."""
    seconds, lines = [], []
    for _ in range(far.bench.size(ROUNDS, 1)):
        far.tarn.forget_cache()
        drop_caches()
        relay.reset()
        with contextlib.ExitStack() as stack:
            with stopwatch() as watch:
                mount = stack.enter_context(far.tarn.mount(far.home / "mount"))
                run(["ls", mount.point / "epoch"], 60)
            seconds.append(watch[0])
            lines = relay.counts()["lines"]
    far.bench.add(NAME, f"{word}: from `tarn mount` to the first listing", median(seconds), "s", "lower", runs=seconds)
    far.bench.note(f"{word}: until the first listing: {in_short(lines)}")


def sequential(far, word):
    samples = in_turns(far, {"tarn": lambda: cold_tarn(far, read_sequentially),
                             "curl into openssl sha256": lambda: curl_piped(far, ["openssl", "dgst", "-sha256"]),
                             "rclone mount": lambda: cold_peer(far, "rclone mount", read_sequentially)})
    report(far, f"{word}: sequential read of {far.large_mib:,.0f} MiB", samples,
           dict.fromkeys(samples, far.large_mib), "MiB/s", {}, NAME)


def tar(far, word):
    parts, some = far.bench.size((["tar/d0000"], TAR_PER_DIRECTORY), (["tar/d0000/f00000*"], 10))
    samples = in_turns(far, {"tarn": lambda: cold_tarn(far, lambda root: tar_of(root, ["tar"])),
                             "s3fs": lambda: cold_peer(far, "s3fs", lambda root: tar_of(root, parts)),
                             "rclone mount": lambda: cold_peer(far, "rclone mount", lambda root: tar_of(root, parts))})
    count = len(far.tar_files)
    report(far, f"{word}: tar of {count:,} files of 10 KiB", samples,
           {"tarn": count, "s3fs": some, "rclone mount": some}, "files/s", {"s3fs": 25, "rclone mount": 25}, NAME)


def epoch(far, word):
    some = random.Random(7).sample(far.epoch_files, far.bench.size(100, 20))
    samples = in_turns(far, {"tarn": lambda: cold_tarn(far, epoch_of(far.epoch_files)),
                             "rclone mount": lambda: cold_peer(far, "rclone mount", epoch_of(some))})
    count, total = len(far.epoch_files), sum(far.epoch_sizes.values())
    what = f"{word}: shuffled epoch of {count:,} small files, 4 workers"
    report(far, what, samples, {"tarn": count, "rclone mount": len(some)}, "files/s", {"rclone mount": 20}, NAME)
    far.bench.note(f"{what}: {median([one.store_bytes for one in samples['tarn']]) / total:.2f} bytes fetched for "
                   "each byte read")
