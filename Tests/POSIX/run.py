#!/usr/bin/env python3
"""Holds one filesystem against another: makes the same calls in both and compares the outcome.

    run.py REFERENCE SUBJECT        every row, in new directories below these two; needs root
    run.py … --tarn                 SUBJECT is a writable mount of Tarn: the differences that
                                    differences.py lists pass
    run.py … --only PATTERN         rows whose name, as --list prints it, matches this regular
                                    expression somewhere
    run.py … --user root|alice|bob  rows of one user
    run.py … --sample N             every Nth row
    run.py … --settle COMMAND       builds the world of every row, runs COMMAND, then makes the
                                    calls; for objects that a filesystem keeps in another way
                                    once they are old (in Tarn, once they are committed)
    run.py … --break CALL           the subject's errors of CALL are misreported: the run must fail
    run.py --list [--only …]        prints the rows' names and runs nothing

One row: take its name from --list, and give enough of it to --only.

A row is a line of a table (tables/*.py): a world, a user and some calls. The world (objects.py) is
built by root on both sides. The calls are made by the user (workers.py, calls.py). Then every
result and every attribute of every object is compared (snapshots.py, compare.py). A row is one
check. A kernel that keeps access times otherwise than by relatime or noatime on REFERENCE shows
more differences.

Exit code 0: no difference but those in the list; 1: differences, or entries of the list that no
row shows; 2: usage.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import compare
import differences
import rows
import workers

SHARE_ROWS = 24
SILENCE_SECONDS = workers.patience(60)
RELATIME = 4096


def options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", nargs="?")
    parser.add_argument("subject", nargs="?")
    parser.add_argument("--tarn", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--user", choices=("root", "alice", "bob"))
    parser.add_argument("--sample", type=int, default=1, metavar="N")
    parser.add_argument("--settle", metavar="COMMAND")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--break", dest="broken", metavar="CALL")
    parser.add_argument(
        "--jobs", type=int, default=3, help="shares that run side by side (default 3)"
    )
    parser.add_argument(
        "--differences", type=int, default=200, help="how many to print (default 200)"
    )
    chosen = parser.parse_args()
    if not chosen.list and chosen.subject is None:
        parser.error("REFERENCE and SUBJECT are missing")
    if not chosen.list and os.geteuid() != 0:
        parser.error("must run as root: it acts as several users")
    return chosen


def select(chosen):
    """The rows to run."""
    picked = [row for row in rows.every_row() if chosen.user in (None, row.user)]
    if chosen.only:
        pattern = re.compile(chosen.only)
        picked = [row for row in picked if pattern.search(row.name)]
    return picked[:: chosen.sample]


def shares(picked, jobs):
    """Runs of neighbouring rows, dealt out in turn: rows of one world mostly stay together."""
    dealt = [[] for _ in range(jobs)]
    for number, start in enumerate(range(0, len(picked), SHARE_ROWS)):
        dealt[number % jobs] += [
            (index, picked[index]) for index in range(start, min(start + SHARE_ROWS, len(picked)))
        ]
    return dealt


class Run:
    """All workers of one run, and the answers that have come."""

    def __init__(self, picked, chosen, places):
        self.picked, self.sources, self.pids = picked, {}, []
        self.waiting, self.failure = {}, None
        self.settling, gate = chosen.settle, os.pipe() if chosen.settle else None
        self.gate = gate and gate[1]
        for side, place in places.items():
            for number, share in enumerate(shares(picked, chosen.jobs)):
                directory = os.path.join(place, str(number))
                pid, answers = workers.start(
                    directory, share, chosen.broken if side == "subject" else None, gate
                )
                self.sources[answers] = (side, [index for index, _ in share])
                self.pids.append(pid)

    def settle(self):
        """Runs the command of --settle when all worlds are built, and lets the workers go on."""
        if any(workers.receive(source) != "built" for source in self.sources):
            self.failure = "the worlds could not be built"
        elif subprocess.run(self.settling, shell=True, stdout=subprocess.DEVNULL).returncode != 0:
            self.failure = "the command of --settle failed"
        else:
            os.close(self.gate)

    def answers(self):
        """Each row with what both sides said, as it comes."""
        if self.settling:
            self.settle()
        while self.sources and not self.failure:
            ready = workers.wait_for(list(self.sources), SILENCE_SECONDS)
            if not ready:
                stuck = [
                    f"{side} at {self.picked[left[0]].name}"
                    for side, left in self.sources.values()
                    if left
                ]
                self.failure = f"no answer for {SILENCE_SECONDS} s: {'; '.join(stuck)}"
                return
            for source in ready:
                side, left = self.sources[source]
                message = workers.receive(source)
                if message is None:
                    os.close(source)
                    del self.sources[source]
                    if left:
                        name = self.picked[left[0]].name
                        self.failure = f"the worker of the {side} ended at: {name}"
                    continue
                index, *answer = message
                left.remove(index) if left[0] != index else left.pop(0)
                pair = self.waiting.setdefault(index, {})
                pair[side] = answer
                if len(pair) == 2:
                    del self.waiting[index]
                    yield self.picked[index], pair["reference"], pair["subject"]

    def close(self):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.waitpid(pid, 0)


def main():
    chosen = options()
    picked = select(chosen)
    if chosen.list:
        try:
            print(*(row.name for row in picked), f"{len(picked):,} rows", sep="\n")
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    if not picked:
        print("POSIX suite: no row matches", file=sys.stderr)
        return 2
    # Stopped from outside, it cleans up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.monotonic()
    promised, bugs = (differences.PROMISED, differences.NOT_PROMISED) if chosen.tarn else ((), ())
    conditions = {"settled"} if chosen.settle else set()
    if os.statvfs(chosen.reference).f_flag & RELATIME:
        conditions.add("relatime")
    judge, failures, checks = compare.Judge((*promised, *bugs), conditions), 0, 0
    places = {
        side: tempfile.mkdtemp(prefix="posix-", dir=place)
        for side, place in (("reference", chosen.reference), ("subject", chosen.subject))
    }
    for place in places.values():
        os.chmod(place, 0o755)
        for number in range(chosen.jobs):
            os.mkdir(os.path.join(place, str(number)), 0o755)
    run = Run(picked, chosen, places)
    try:
        for row, reference, subject in run.answers():
            checks += 1
            found = compare.differences(row, reference, subject)
            for difference in judge.judge(found, subject) if found else ():
                failures += 1
                if failures <= chosen.differences:
                    print(difference, flush=True)
    finally:
        run.close()
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
    stale = []
    if not (chosen.only or chosen.user):
        # A sample cannot show every entry, but those of old objects it must.
        stale = [
            entry for entry in judge.unused() if chosen.sample == 1 or entry.needs == "settled"
        ]
    for entry in stale:
        print(
            f"No row shows this entry of the list of differences: {entry.number} {entry.sentence}"
        )
    if run.failure:
        print(f"POSIX suite: {run.failure}")
    for entry in bugs:
        if count := judge.count([entry]):
            print(f"Not promised, seen in {count} checks: {entry.number} {entry.sentence}")
    print(
        f"POSIX suite{', settled' if chosen.settle else ''}: {checks:,} checks, "
        f"{failures:,} differences not in the list, "
        f"{judge.count(promised):,} promised differences seen "
        f"({time.monotonic() - started:.0f} s)"
    )
    return 1 if failures or stale or run.failure or checks != len(picked) else 0


if __name__ == "__main__":
    sys.exit(main())
