#!/usr/bin/env python3
"""Kills, full disks and failing stores, checked against what was promised (SEMANTICS B1, B4, B5, R6, W2–W5).

Prints a table in Markdown: scenario, rounds, faults injected, violations.
"""
import argparse
import os
import random
import signal
import sys
import time

from crash_disks import Unavailable, failing_disk, full_disk, power_loss
from crash_kills import kill_both, kill_commit, kill_import, kill_mount
from crash_stage import Stage
from crash_store import failing_store
from sandbox import Violation


# A scenario counts in `tally.faults` what it injects, and raises a broken promise.
# Each row: the scenario, its share of the rounds, and whether it needs root.
SCENARIOS = (
    (kill_mount, 4, False), (kill_commit, 4, False), (kill_both, 4, False), (kill_import, 2, False),
    (full_disk, 2, True), (power_loss, 3, True), (failing_disk, 3, False), (failing_store, 6, False))


def spoil(stage_class):
    """For checking the checker: after a crash one byte of a file is another."""
    original = stage_class.verify

    def verify(self, root=None, settle=True):
        for writer in self.writers:
            for name in sorted(writer.files):
                path = os.path.join(root or self.point, writer.name, name)
                if os.path.exists(path) and os.path.getsize(path) > 100 and root is None:
                    with open(path, "r+b") as file:
                        file.seek(50)
                        file.write(b"\0")
        original(self, root, settle)

    stage_class.verify = verify


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=25, help="of all scenarios together")
    parser.add_argument("--minutes", type=float, help="again and again with new seeds until then")
    parser.add_argument("--only", default="", help=",".join(scenario.__name__ for scenario, _, _ in SCENARIOS))
    parser.add_argument("--fault", action="append", default=[], help="check the checker: wrong byte")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    if "wrong byte" in options.fault:
        spoil(Stage)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    chosen = [entry for entry in SCENARIOS if not options.only or entry[0].__name__ in options.only.split(",")]
    total = sum(share for _, share, _ in chosen)
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else None
    table = {scenario.__name__: argparse.Namespace(rounds=0, faults=0, violations=0) for scenario, _, _ in chosen}
    passed = failed = 0
    while True:
        print(f"seed {seed}", flush=True)
        for scenario, share, needs_root in chosen:
            if needs_root and os.geteuid() != 0:
                print(f"{scenario.__name__}: SKIPPED, needs root", flush=True)
                continue
            rounds = max(1, round(options.rounds * share / total))
            row, began = table[scenario.__name__], time.monotonic()
            row.rounds += rounds
            try:
                scenario(rounds, seed, row)
                passed += 1
                verdict = "ok"
            except Unavailable as reason:
                row.rounds -= rounds
                verdict = f"SKIPPED, {reason}"
            except (Violation, OSError) as violation:
                row.violations += 1
                failed += 1
                verdict = f"VIOLATION: {violation}"
            print(f"{scenario.__name__}: {rounds} rounds in {time.monotonic() - began:.0f} s: {verdict}", flush=True)
        if deadline is None or time.monotonic() > deadline:
            break
        seed = random.SystemRandom().randrange(1 << 31)
    print("\n| scenario | rounds | faults injected | violations |\n| --- | ---: | ---: | ---: |")
    for scenario, _, _ in chosen:
        row = table[scenario.__name__]
        print(f"| {scenario.__doc__.rstrip('.')} | {row.rounds} | {row.faults} | {row.violations} |")
    print(f"\n{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
