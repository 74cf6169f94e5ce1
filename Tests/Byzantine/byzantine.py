#!/usr/bin/env python3
"""A store that lies: every field that no verified hash covers is changed, every consumer asked.

What a consumer answers is right, or it is a clear error. Nothing dies, nothing takes 512 MiB or a
minute, the collector deletes nothing that honest refs need, and what a hostile branch says never
changes another.
"""
import argparse
import collections
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time

import format as f
import known_open
import process
from consumers import OTHERS, READERS
from forged import forged
from mutations import Enumeration, described_fields
from repository import Repository
from sample import Sample, check
from trial import Worker, change, ours


def chosen(mutations):
    """The short form: of every field some changes, other ones of each, so that all labels occur."""
    groups = collections.defaultdict(list)
    for mutation in mutations:
        groups[mutation.kind, mutation.name].append(mutation)
    picked, start = [], 0
    for (kind, name), group in groups.items():
        wanted = PICKED.get(kind, 1) + (1 if name == "object" else 0)
        step = max(1, len(group) // wanted)
        picked += [group[(start * 7 + index * step) % len(group)] for index in range(wanted)]
        start += 1
    must, seen = [], collections.Counter()
    for one in mutations:
        if ALWAYS.fullmatch(one.title) and seen[one.title] < 3:
            seen[one.title] += 1
            must.append(one)
    return list({id(one): one for one in picked + must}.values())


# How many changes of a field the short form tries.
PICKED = {"tree": 2, "list": 2, "moved": 2}
ALWAYS = re.compile(r"(tree|list)\.location.*(= (all )?zeros|plainOffset = (zero|neighbour's)"
                    r"|ffset = near the end)"
                    r"|ref\.object = (absent|6 GiB)|moved\.extents\[\]\.pack = neighbour's")


def rota(number, mutation, is_all):
    """Which consumers are asked about the number-th mutation."""
    if is_all:
        return READERS + OTHERS
    if mutation.is_forged:
        always, in_turn = FORGED[mutation.name]
        return (*always, in_turn[number % len(in_turn)], "gc_delete", "fsck_data")
    if ALWAYS.fullmatch(mutation.title):
        return ("mount_all", "cat", "export", "mirror", "gc_delete", "fsck_data")
    readers = [READERS[(number * 5 + step * 7) % len(READERS)] for step in range(2)]
    others = [OTHERS[number % len(OTHERS)]]
    if mutation.kind in ("tree", "list", "moved"):
        readers = ["export", *readers[:1]]
    if mutation.kind in ("tree", "list", "moved"):
        others.append("gc_delete")
    if mutation.kind in CONSUMED_BY:
        others += CONSUMED_BY[mutation.kind]
    return tuple(dict.fromkeys([*readers, *others, "fsck_data"]))


# Of each group of forged objects: who is always asked, and who in turn.
FORGED = {
    "nodes": (("mount_all",), ("export", "merge", "diff", "du", "mirror", "prefetch")),
    "keys": (("export", "mount_write"), ("mount_all", "ls", "merge", "mirror", "diff")),
    "entries": (("export", "mount_all", "ls"),
                ("prefetch", "mount_write", "merge", "diff", "mirror")),
    "places": (("export", "mount_all"), ("mirror", "du", "merge", "prefetch")),
    "bombs": (("export", "mount_all"), ("mirror", "ls", "diff")),
    "commits": (("log", "mount_write"), ("export", "merge", "diff", "audit", "mirror", "mount")),
    "records": (("audit", "export"), ("hooks", "gc", "log", "mirror", "mount_write"))}
CONSUMED_BY = {"lease": ["gc"], "sweeps": ["gc_delete"],
               "collected": ["gc_delete"], "hook": ["hooks"],
               "signature": ["audit"], "movement": ["audit"], "ref": ["audit", "gc_delete"]}

ADDRESS_SPACE = 4 << 30
tasks = []
worker = None


def begin(sample, directory):
    global worker
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not process.IS_SANITIZED:
        # So that a violation does not take the memory of everybody: it then ends as a trap.
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    worker = Worker(sample, tempfile.mkdtemp(prefix="worker-", dir=directory))


def work(number):
    mutation, names = tasks[number]
    before, began = worker.commands, time.monotonic()
    try:
        violations = worker.try_out(mutation, names)
    except Exception as error:  # A fault of the campaign itself: it must not pass for a success.
        return number, None, f"{type(error).__name__}: {error}", 0, 0
    return number, violations, "", worker.commands - before, time.monotonic() - began


def described_and_met(sample, mutations):
    """What the description, the sample and the enumeration do not agree about."""
    problems, _ = check(sample.repository)
    problems += [f"the sample: {one}" for one in sample.repository.damage(sample.refs.values())]
    mutated = {(one.kind, one.name) for one in mutations}
    problems += [f"{kind}.{name} is never mutated: the sample has none"
                 for kind, name in sorted(described_fields() - mutated)]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every change, through every consumer")
    parser.add_argument("--only", help="a regular expression of titles, e.g. 'tree.*codec'")
    parser.add_argument("--consumers", help="these, with commas between")
    parser.add_argument("--write", metavar="DIRECTORY",
                        help="only put the repositories of the mutations below it")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every N-th change")
    parser.add_argument("--list", action="store_true", help="print the titles and stop")
    parser.add_argument("--verbose", action="store_true", help="tell of each mutation at once")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="tarn-byzantine-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return campaign(options, directory)
    finally:
        clear(directory)


def clear(directory):
    """Ends and unmounts whatever is left below a directory, and removes it."""
    for process_id in ours(directory):
        process.end(process_id)
    for point in process.mounts_below(directory):
        process.detach(point)
    process.remove(directory)


def campaign(options, directory):
    began = time.monotonic()
    sample = Sample(process.tarn_binary(), os.path.join(directory, "sample"))
    sample.build()
    enumerated = list(Enumeration(sample).all())
    problems = described_and_met(sample, enumerated)
    for problem in problems:
        print(f"description: {problem}", flush=True)
    if problems:
        print(f"0 passed, {len(problems)} failed")
        return 1
    mutations = (enumerated if options.all or options.only else chosen(enumerated)) + forged(sample)
    if options.only:
        mutations = [one for one in mutations if re.search(options.only, one.title)]
    mutations = mutations[::options.sample]
    if options.list:
        print("\n".join(one.title for one in mutations))
        return 0
    for number, mutation in enumerate(mutations if options.write else ()):
        place = os.path.join(options.write, str(number))
        shutil.copytree(sample.lake, place)
        change(Repository(place), mutation)
        print(f"{place}: {mutation.title} ({mutation.place})")
    if options.write:
        return 0
    for number, mutation in enumerate(mutations):
        names = rota(number, mutation, options.all)
        if options.consumers:
            names = tuple(options.consumers.split(","))
        tasks.append((mutation, names))
    fields = {(one.kind, one.name) for one in mutations}
    print(f"{len(fields)} fields of {len(f.OBJECTS)} kinds, {len(mutations)} mutations "
          f"({sum(one.is_forged for one in mutations)} of them forged objects)", flush=True)
    results, faults, commands, slow = {}, [], 0, []
    with multiprocessing.get_context("fork").Pool(
            options.jobs, begin, (sample, directory)) as pool:
        for number, violations, fault, count, seconds in pool.imap_unordered(
                work, reversed(range(len(tasks)))):
            commands += count
            slow.append((seconds, tasks[number][0].title))
            if fault:
                faults.append(f"{tasks[number][0].title}: {fault}")
            results[number] = violations or []
            if options.verbose:
                print(f"{len(results)} of {len(tasks)}: {tasks[number][0].title}: {seconds:.1f} s",
                      *results[number], *filter(None, [fault]), sep="\n  ", flush=True)
    if not sample.is_unchanged():
        faults.append("an object of the sample was written in place")
    report = known_open.sorted_out(tasks, results)
    print(f"{commands} commands in {time.monotonic() - began:.0f} s; the slowest: "
          + "; ".join(f"{title} {seconds:.0f} s" for seconds, title in sorted(slow)[-3:]))
    is_whole = not options.only and not options.consumers and options.sample == 1
    return report.show(faults, len(tasks), is_whole)


if __name__ == "__main__":
    sys.exit(main())
