"""Scenarios of the crash campaign that kill processes: the mount, a commit, an import."""
import os
import random
import shutil
import time

import trees
from crash_stage import Committer, Stage
from sandbox import Sandbox


def kill_mount(rounds, seed, tally):
    """SIGKILL of the mount's process while programs write."""
    kill_rounds(rounds, seed, tally, kills_mount=True)


def kill_commit(rounds, seed, tally):
    """SIGKILL of `tarn commit` while programs write."""
    kill_rounds(rounds, seed, tally, kills_commit=True)


def kill_both(rounds, seed, tally):
    """SIGKILL of the mount's process and of commits."""
    kill_rounds(rounds, seed, tally, kills_mount=True, kills_commit=True)


def kill_rounds(rounds, seed, tally, kills_mount=False, kills_commit=False):
    with Stage(seed) as stage:
        for number in range(rounds):
            stage.begin()
            stage.committer = committer = Committer(stage, 0.6 if kills_commit else 0.0)
            committer.start()
            time.sleep(0.1 + stage.random.random() * 0.9)
            if kills_mount:
                committer.is_lost = True
                stage.sandbox.kill_server(stage.point)
                tally.faults += 1
            committer.end()
            tally.faults += committer.kills
            stage.end_writers(expects_death=kills_mount)
            if kills_mount:
                stage.mount()
            stage.verify()
            stage.check_head()
            if number % 5 == 4 or number == rounds - 1:
                stage.check_all()
            elif stage.random.random() < 0.7:
                stage.commit()
            stage.restart_writers()


def kill_import(rounds, seed, tally):
    """SIGKILL of `tarn import`; the branch stays, and the import run again succeeds."""
    rng = random.Random(seed)
    with Sandbox("crash") as sandbox:
        sandbox.tarn("init", sandbox.repository)
        source = sandbox.path("source")
        for number in range(rounds):
            shutil.rmtree(source, ignore_errors=True)
            os.makedirs(os.path.join(source, "small"))
            for name in range(200):
                with open(os.path.join(source, "small", str(name)), "wb") as file:
                    file.write(rng.randbytes(rng.randrange(20_000)))
            for name in range(3):
                with open(os.path.join(source, f"large{name}"), "wb") as file:
                    file.write(rng.randbytes(12_000_000))
            before, length = sandbox.head(), 0.4
            for _ in range(3):
                process = sandbox.start("import", source, "-m", f"import {number}", "--delete")
                time.sleep(rng.random() * length)
                process.kill()
                process.communicate()
                tally.faults += 1
                head = sandbox.head()
                if head != before:
                    # It was killed after the swap.
                    break
                if rng.random() < 0.5:
                    sandbox.tarn("fsck", "--read-data")
            sandbox.tarn("import", source, "-m", f"import {number}", "--delete", code=(0, 1))
            out = sandbox.path("export")
            shutil.rmtree(out, ignore_errors=True)
            sandbox.tarn("export", "main", out)
            trees.Comparison().check(
                trees.take(os.fsencode(source)), trees.take(os.fsencode(out)), "imported tree")
        sandbox.tarn("fsck", "--read-data")
        sandbox.tarn("audit", "verify")
