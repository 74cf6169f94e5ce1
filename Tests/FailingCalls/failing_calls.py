#!/usr/bin/env python3
"""The n-th call fails: each system call on files of each main command, once with each errno.

Whatever fails, the command succeeds with the right result, or ends with an error that says why.
Nothing dies or hangs, nothing acknowledged is lost, the same command works afterwards, and
`tarn fsck --read-data` finds nothing.

A cell is: this scenario, the k-th call of this name on files of this place, this errno. The cells
are counted in a run in which nothing fails. The short form tries some of them, chosen by a seed.
"""
import argparse
import collections
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass

import calls
import known_open
import selftest
from injector import Failure, Injection
from lake import Lake, clear
from report import Report
from scenarios import SCENARIOS, trace

# In the long form: of the calls of one name on one place so many, and the last.
OF_ONE_PLACE = 3
# Errors that stay when they are met: not a signal, and not what others soon give back.
STAYING = {"EIO", "ENOSPC", "ESTALE"}
FOR_EVER = 1 << 30
SHORT_CELLS = 170
DEFAULT_SEED = 13


@dataclass(frozen=True)
class Cell:
    scenario: str
    call: str
    place: str
    number: int
    error: str
    # Whether all that follow fail too: a disk that is full or broken stays so.
    stays: bool = False

    def __str__(self):
        number = f"{self.number}{'+' if self.stays else ''}"
        return f"{self.scenario}: {self.call} {number} {self.error} {self.place}"

    @property
    def title(self):
        error = self.error + ("+" if self.stays else "")
        return f"{self.scenario}: {self.call} {error} {self.place}"


# What has failed before is always tried.
ALWAYS = re.compile(
    r"init: newfstatat 1 EIO repository:tarn.json|(gc|mirror): newfstatat 1\+? EIO repository:refs/.*"
    r"|mount: fdatasync [12] EIO state:.*"
    r"|mount: mkdir \d\+? ENOSPC state:.*/data/\*"
    r"|cat: (mkdir|openat|pwrite64|fallocate) 1\+? ENOSPC cache:.*")

worker = None


def begin(directory):
    """Builds nothing yet: a pool begins a worker whose beginning fails again and again."""
    global worker
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    worker = Lake(tempfile.mkdtemp(prefix="worker-", dir=directory))


def traced(name):
    """What a run of a scenario meets: {(call, place): [may it make a file, for each]}."""
    worker.build_once()
    met, violations = trace(worker, SCENARIOS[name])
    found = collections.defaultdict(list)
    for one in met:
        if not one.path.startswith(worker.point):
            found[one.name, worker.place(one.path)].append(one.flags)
    return name, dict(found), violations


def tried(cell):
    """Runs one cell: the violations, whether the call was met at all, a fault of the campaign."""
    injection = Injection((worker.now + "/",), Failure(
        cell.call, cell.number, cell.error,
        lambda met: worker.place(met.path) == cell.place, FOR_EVER if cell.stays else 1))
    began = time.monotonic()
    try:
        worker.build_once()
        violations = SCENARIOS[cell.scenario].run(worker, injection, [cell.call])
    except Exception as error:  # A fault of the campaign itself must not pass for a success.
        worker.end_daemons()
        return cell, [], False, f"{cell}: {type(error).__name__}: {error}", 0
    return cell, violations, bool(injection.failed), "", time.monotonic() - began


def cells_of(name, found):
    """Every cell of a scenario, in order."""
    for (call, place), flags in found.items():
        count = len(flags)
        numbers = [*range(1, min(count, OF_ONE_PLACE) + 1)]
        if count > OF_ONE_PLACE:
            numbers.append(count)
        for number in numbers:
            for error in calls.errors_of(calls.CALLS[call], flags[number - 1]):
                yield Cell(name, call, place, number, error)
                if number == 1 and error in STAYING:
                    yield Cell(name, call, place, number, error, True)


def chosen(cells, seed, limit):
    """What has failed before, and of each call and place in turn one cell, until the limit."""
    rng = random.Random(seed)
    groups = collections.defaultdict(list)
    for cell in cells:
        groups[cell.scenario, cell.call, cell.place].append(cell)
    picked = {cell for cell in cells if ALWAYS.fullmatch(str(cell))}
    for group in rng.sample(sorted(groups), len(groups)):
        if len(picked) >= limit:
            break
        picked.add(rng.choice(groups[group]))
    return [cell for cell in cells if cell in picked]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="some cells, in 100 s")
    parser.add_argument("--cells", type=int, default=SHORT_CELLS, help="of the short form")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--only", help="a regular expression of cells, e.g. 'gc: newfstatat .*'")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="with commas between")
    parser.add_argument("--list", action="store_true", help="print the cells and stop")
    parser.add_argument("--verbose", action="store_true", help="tell of each violation at once")
    parser.add_argument("--self-test", action="store_true",
                        help="put programs that do wrong in the place of tarn: all are found")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 2))
    options = parser.parse_args()
    if not calls.is_supported():
        print("this campaign knows the system calls of x86_64 only", file=sys.stderr)
        return 1
    directory = tempfile.mkdtemp(prefix="tarn-failing-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.self_test:
            return selftest.run(os.path.join(directory, "selftest"))
        return campaign(options, directory)
    finally:
        clear(directory)


def campaign(options, directory):
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(options.jobs, begin, (directory,)) as pool:
        cells, violations = [], []
        for name, found, bad in pool.imap(traced, options.scenarios.split(",")):
            violations += bad
            cells += cells_of(name, found)
        whole = len(cells)
        if options.only:
            cells = [cell for cell in cells if re.fullmatch(options.only, str(cell))]
        if options.short:
            cells = chosen(cells, options.seed, options.cells)
        if options.list:
            print("\n".join(map(str, cells)))
            return 0
        print(f"seed {options.seed}: {len(cells)} of {whole} cells", flush=True)
        faults, failed, slow = [], collections.Counter(), []
        for cell, bad, is_met, fault, seconds in pool.imap_unordered(tried, cells):
            violations += bad
            slow.append((seconds, str(cell)))
            if fault:
                faults.append(fault)
            if is_met:
                failed[cell.call] += 1
            for one in bad if options.verbose else ():
                print(f"{cell}: {one}", flush=True)
    print(f"{sum(failed.values())} calls failed: "
          + ", ".join(f"{name} {count}" for name, count in failed.most_common()))
    print(f"{time.monotonic() - began:.0f} s; the slowest: "
          + "; ".join(f"{title} {seconds:.0f} s" for seconds, title in sorted(slow)[-3:]))
    if cells and not sum(failed.values()):
        faults.append("no call failed at all")
    report = Report(violations, {cell.title for cell in cells}, known_open.OPEN)
    return report.show(faults, len(cells))


if __name__ == "__main__":
    sys.exit(main())
