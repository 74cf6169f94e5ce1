"""Shows that the campaign can fail: programs that do wrong stand in the place of tarn."""
import os
from dataclasses import dataclass

from injector import Failure, Injection, Met
from lake import Lake
from mounting import BASE, Mounting, hashed
from scenarios import SCENARIOS, Verdicts


@dataclass
class Fake:
    """A shell script in the place of tarn, and the verdicts of which one must be given."""
    name: str
    script: str
    verdicts: tuple
    scenarios: tuple = tuple(SCENARIOS)
    failure: Failure = None


CHANGING = ("import", "commit", "update", "merge", "mirror", "export", "cat", "log", "mount")
FAKES = (
    Fake("does nothing and says 0", "exit 0", ("wrong", "lost", "stuck"),
         tuple(set(CHANGING) - {"update"})),
    Fake("fails without a word", "exit 1", ("silent",)),
    Fake("dies", "kill -SEGV $$", ("crash",)),
    Fake("never ends", "sleep 1000", ("hang",), ("import", "gc", "cat", "mount")),
    Fake("says 0 whatever happens", '"$TARN" "$@" 2>/dev/null; exit 0', ("wrong",),
         ("import", "merge", "commit", "cat"),
         Failure("openat", 1, "EIO", lambda met: "/repository/refs/" in met.path)),
    Fake("says nothing of an error", '"$TARN" "$@" 2>/dev/null', ("silent",),
         ("import", "merge", "commit", "gc", "cat"),
         Failure("openat", 1, "EIO", lambda met: "/repository/refs/" in met.path)),
    Fake("names another error", '"$TARN" "$@" 2>/dev/null || { echo "tarn: no" >&2; exit 1; }',
         ("unnamed",), ("import", "gc"),
         Failure("openat", 1, "EIO", lambda met: "/repository/refs/" in met.path)),
    Fake("stops for the cache", "echo 'tarn: Input/output error' >&2; cat $CACHE; exit 1",
         ("stopped",), ("cat", "log"),
         Failure("openat", 1, "EIO", lambda met: "/cache" in met.path)),
    Fake("loses packs", '"$TARN" "$@"; rm -r "$TARN_REPO/packs"', ("lost", "damage"),
         ("import", "commit", "merge", "gc")),
    Fake("forgets a branch", '"$TARN" "$@"; rm "$TARN_REPO/refs/heads/kept"', ("lost",),
         ("import", "commit", "merge", "gc", "mirror")),
    Fake("writes a byte too many", '"$TARN" "$@"; echo; exit 0', ("wrong",), ("cat",)),
)


def run(directory):
    lake = Lake(directory)
    lake.build()
    passed, failed = 0, 0
    try:
        for fake in FAKES:
            for name in fake.scenarios:
                found = outcome(lake, fake, name)
                if found.intersection(fake.verdicts):
                    passed += 1
                    continue
                failed += 1
                print(f"NOT FOUND: a tarn that {fake.name}, by {name}: {found or 'no violation'}")
        for problem in (forgotten_sync(lake), bystander(lake), doubt(lake)):
            passed, failed = passed + (not problem), failed + bool(problem)
            if problem:
                print(f"NOT FOUND: {problem}")
    finally:
        lake.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def outcome(lake, fake, name):
    path = os.path.join(lake.scratch, "fake")
    with open(path, "w") as script:
        script.write(f"#!/bin/sh\nTARN={lake.binary}\nCACHE={lake.cache}\n{fake.script}\n")
    os.chmod(path, 0o755)
    lake.tested, lake.seconds = path, 4
    injection = Injection((lake.now + "/",), fake.failure)
    try:
        violations = SCENARIOS[name].run(lake, injection, ["openat"])
    finally:
        lake.tested = lake.binary
        lake.end_daemons()
    return {one.verdict for one in violations}


def judge(lake, told, met, failure):
    """Judges what a program in a mount was told; it was told all of it at time 9."""
    injection = Injection((lake.now + "/",), failure, met=met, failed=met[:1])
    mounting = Mounting(lake, SCENARIOS["mount"], injection, [])
    mounting.times = {name: 9 for name in told}
    mounting.verdicts = Verdicts("mount", injection, lake.place(met[0].path))
    mounting.judge_steps(told)
    return mounting


def judged(lake, told, met, failure):
    """The verdicts on that."""
    return {one.verdict for one in judge(lake, told, met, failure).verdicts.found}


def forgotten_sync(lake):
    directory = os.path.join(lake.state, "workspaces/x/main")
    told = {"new.fsync": "EIO", "new.again": "ok"}
    failure = Failure("fdatasync", 1, "EIO")
    for failed, other in (("overlay.sqlite-wal", "data/01/1"), ("data/01/1", "overlay.sqlite-wal")):
        failed, other = os.path.join(directory, failed), os.path.join(directory, other)
        sync = Met("fdatasync", failed, 0, 1)
        for met in ([sync], [sync, Met("pwrite64", other, 0, 2)],
                    [sync, Met("pwrite64", failed, 0, 10)]):
            if "forgotten" not in judged(lake, told, met, failure):
                return f"an fsync that answers 0 after one of {failed} that failed"
        if "forgotten" in judged(lake, told, [sync, Met("pwrite64", failed, 0, 2)], failure):
            return "that what was written again may be synced"
    return ""


def bystander(lake):
    path = os.path.join(lake.state, "data/00")
    met = [Met("mkdir", path, 0, 1)]
    told = {"new.open": "EIO", "bystander.open": "EIO"}
    found = judged(lake, told, met, Failure("mkdir", 1, "ENOSPC"))
    return "" if {"mistold", "spread"} <= found else "a failure that spreads under another name"


def doubt(lake):
    """A file that cannot be read after a failed sync is lost, unless it had a write that no sync
    acknowledged."""
    met = [Met("fdatasync", os.path.join(lake.state, "workspaces/x/main/data/01/1"), 0, 1)]
    seen = {path: hashed(data) for path, data in BASE.items()} | {"made/new": "EIO"}
    for last, is_lost in (("ok", True), ("EIO", False)):
        told = {"new.write": "ok", "new.fsync": "ok", "edit2.write": "ok", "edit2.fsync": last}
        mounting = judge(lake, told, met, Failure("fdatasync", 1, "EIO"))
        mounting.judge_files("after a kill", told, seen, is_new=True)
        if ("lost" in {one.verdict for one in mounting.verdicts.found}) != is_lost:
            return f"that made/new is {'lost' if is_lost else 'in doubt, and not lost'}"
    return ""
