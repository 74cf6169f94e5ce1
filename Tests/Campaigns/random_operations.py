#!/usr/bin/env python3
"""Random operations through a writable mount, with a plain directory as the model (SEMANTICS B3, W1–W11).

Every operation is done by the same system calls in both trees; results and errno are compared at once, whole trees now
and then. In between: commits, also half-way while operations go on, remounts, SIGKILL, other writers, conflicts,
discards. A failing list is cut down and stored, so that --replay runs it again.
"""
import argparse
import faulthandler
import json
import os
import random
import signal
import sys
import time

from random_generator import FEATURES, Generator
from random_run import EVENTS, Run
from sandbox import Violation


def execute(operations, options, seed, has_base=True, record=None, useless=None, limit=None, deadline=None, keep=False):
    """Runs a list, or random operations up to `limit` and `deadline`. Answers the violation (or None) and counts."""
    run = Run(seed, options.without, has_base, options.fault)
    try:
        source = iter(operations) if operations is not None else generate(run, options, seed, limit, deadline)
        try:
            for operation in source:
                if record is not None:
                    record.append(operation)
                if not run.step(operation) and useless is not None:
                    useless.append(operation)
            run.event_finish()
            run.event_check()
            run.event_commit()
            run.close_all()
            run.sandbox.unmount(run.point)
            run.sandbox.tarn("fsck", "--read-data")
        except Violation as violation:
            return violation, run.counts
        return None, run.counts
    finally:
        run.close(keep)


def generate(run, options, seed, limit, deadline):
    generator = Generator(seed, run.model, options.without)
    count = 0
    while (limit is None or count < limit) and (deadline is None or time.monotonic() < deadline):
        yield generator.next(run.committing is not None)
        count += 1


def shrink(operations, useless, violation, options, seed):
    """Fewer operations that fail for the same reason, by leaving out ever smaller parts."""
    reruns, has_base, end = options.reruns, True, time.monotonic() + options.shrink_seconds

    def fails(candidate, with_base):
        nonlocal reruns
        if reruns <= 0 or time.monotonic() > end:
            reruns = 0
            return False
        reruns -= 1
        print(f"\r{len(candidate)} operations, {reruns} reruns left ", end="", file=sys.stderr, flush=True)
        found, _ = execute(candidate, options, seed, with_base)
        return found is not None and found.kind == violation.kind

    useless = {id(operation) for operation in useless}
    useful = [operation for operation in operations if id(operation) not in useless]
    if fails(useful, True):
        operations = useful
    if fails(operations, False):
        has_base = False
    size = max(1, len(operations) // 2)
    while reruns > 0:
        position, removed = len(operations), False
        while position > 0 and reruns > 0:
            # From the end: what is last is needed least often by what is left.
            start = max(0, position - size)
            candidate = operations[:start] + operations[position:]
            if candidate and fails(candidate, has_base):
                operations, removed = candidate, True
            position = start
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return operations, has_base


def campaign(seed, options, limit=None, deadline=None):
    """One seed, from its beginning; True when nothing was violated."""
    print(f"seed {seed}: begins", flush=True)
    began, record, useless = time.monotonic(), [], []
    violation, counts = execute(None, options, seed, record=record, useless=useless, limit=limit, deadline=deadline)
    events = ", ".join(f"{counts[name]} {name}" for name in sorted(counts.keys() & (EVENTS | {"conflict"})))
    print(f"seed {seed}: {len(record)} operations ({events}) in {time.monotonic() - began:.0f} s", flush=True)
    if violation is None:
        return True
    print(f"seed {seed}: VIOLATION at operation {len(record)}: {violation}")
    for number, operation in list(enumerate(record, 1))[-12:]:
        print(f"  {number}: {operation}")
    sys.stdout.flush()
    path = os.path.join(options.output, f"failing-{seed}.json")
    store(path, seed, True, violation, record)
    if options.reruns:
        shrunk, has_base = shrink(record, useless, violation, options, seed)
        store(path, seed, has_base, violation, shrunk)
        print(f"seed {seed}: {len(shrunk)} operations suffice (base: {has_base}); --replay {path}")
        for operation in shrunk[:40]:
            print(f"  {operation}")
    return False


def store(path, seed, has_base, violation, operations):
    with open(path, "w") as file:
        json.dump({"seed": seed, "base": has_base, "kind": violation.kind, "operations": operations}, file, indent=1)


def replay(options):
    with open(options.replay) as file:
        stored = json.load(file)
    for _ in range(options.times):
        violation, counts = execute(
            stored["operations"], options, stored["seed"], stored["base"], keep=options.keep)
        print(f"{sum(counts.values())} operations: {violation or 'nothing violated'}")
        if violation:
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="*", help="default: one at random")
    parser.add_argument("--operations", type=int, help="for each seed (default: 1500, without --minutes)")
    parser.add_argument("--minutes", type=float, help="new random seeds until then")
    parser.add_argument("--without", default="", help=f"features not to use: {','.join(FEATURES)}")
    parser.add_argument("--reruns", type=int, default=60, help="how often a failing list is run to cut it down")
    parser.add_argument("--shrink-seconds", type=float, default=900, help="and for how long")
    parser.add_argument("--output", default=".", help="where failing lists go")
    parser.add_argument("--replay", help="a stored list")
    parser.add_argument("--times", type=int, default=1, help="how often to replay it")
    parser.add_argument("--keep", action="store_true", help="leave the replay's directory")
    parser.add_argument("--fault", action="append", default=[], help="check the checker: wrong result, wrong commit")
    options = parser.parse_args()
    options.without = [name for name in options.without.split(",") if name]
    if unknown := set(options.without) - set(FEATURES):
        parser.error(f"--without: there is no {', '.join(unknown)}")
    os.umask(0o022)
    faulthandler.register(signal.SIGUSR1)
    # So that a run that is ended from outside ends its mounts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.replay:
        sys.exit(0 if replay(options) else 1)
    passed = failed = 0
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else None
    seeds = list(options.seed or [random.SystemRandom().randrange(1 << 31)])
    limit = options.operations or (2500 if options.minutes else 1500)
    while seeds:
        if campaign(seeds.pop(0), options, limit, deadline):
            passed += 1
        else:
            failed += 1
        if not seeds and deadline and time.monotonic() < deadline:
            seeds.append(random.SystemRandom().randrange(1 << 31))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
