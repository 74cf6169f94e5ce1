#!/usr/bin/env python3
"""Resources that are scarce: every main command under small limits, with full and read-only
directories, and without a home.

The result is right, or a message says what is the matter. Nothing dies or hangs, and a cache that
cannot be written stops nobody: one line says so.
"""
import argparse
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "FailingCalls"))

import known_open  # noqa: E402
from commands import COMMANDS, Failed, prepare  # noqa: E402
from conditions import CONDITIONS, own_mounts  # noqa: E402
from lake import Lake, clear, is_mounted  # noqa: E402
from programs import IS_SANITIZED, patience  # noqa: E402
from report import Report  # noqa: E402
from scenarios import Violation  # noqa: E402
from special import SPECIAL  # noqa: E402

worker = None
# Longer than all steps of a cell may take together.
CELL_SECONDS = patience(120)


class Cell:
    def __init__(self, condition, command=None):
        self.condition, self.command = condition, command
        self.title = condition if command is None else f"{condition.name}: {command.name}"

    def run(self, lake):
        """In a mount namespace of this process's own; the violations."""
        self.found = []
        prepare(lake)
        if self.command is None:
            try:
                SPECIAL[self.condition](lake, self.say)
            except Failed as failed:
                self.say("stuck", failed.result.errors)
            return self.found
        self.condition.begin(lake)
        said = []
        try:
            problem = self.command.run(lake, said)
            if problem:
                self.say("wrong", problem)
            self.warnings(said)
        except Failed as failed:
            self.judge(failed.result)
        if is_mounted(lake.point):
            lake.before = None
            lake.end_daemons()
        return self.found

    def say(self, verdict, detail):
        self.found.append((verdict, " ".join(str(detail).split())[-400:]))

    def judge(self, result):
        """A command that did not end with 0."""
        condition = self.condition
        text = f"{' '.join(result.arguments[1:3])}: exit {result.code}: {result.errors.strip()}"
        if result.code is None:
            self.say("hang", text)
        elif result.code < 0 or result.code > 128:
            self.say("crash", text)
        elif not result.errors.strip():
            self.say("silent", text)
        elif self.may_fail():
            if not re.search(condition.words, result.errors, re.IGNORECASE):
                self.say("unnamed", text)
        else:
            self.say("stopped", text)

    def may_fail(self):
        """Whether this command cannot do its work then, so that a message is enough."""
        kind, command = self.condition.kind, self.command
        if kind == "work without a cache":
            return command.name == "prefetch"
        if self.condition.area == "state":
            return command.needs_state
        if self.condition.area == "run":
            return command.needs_run
        return kind == "explain"

    def warnings(self, said):
        """One line about a cache that cannot be written, however much is read."""
        if self.condition.kind != "work without a cache" or self.command.is_without_cache:
            return
        first = said[0].errors.splitlines()
        lines = [line for line in first if "cache" in line]
        if len(lines) != 1:
            self.say("silent" if not lines else "repeated", f"{len(lines)} lines name the cache")


def begin(directory):
    """Builds nothing yet: a pool begins a worker whose beginning fails again and again."""
    global worker
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    worker = Lake(tempfile.mkdtemp(prefix="worker-", dir=directory))


def tried(task):
    """Runs a cell in a child of its own, whose mounts and limits go with it."""
    number, tested = task
    cell = cells()[number]
    worker.build_once()
    worker.binary = tested or worker.binary
    reading, writing = os.pipe()
    worker.restore()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        signal.alarm(CELL_SECONDS)
        try:
            own_mounts()
            answer = {"found": cell.run(worker), "fault": ""}
        except Exception as error:  # A fault of the campaign must not pass for a success.
            answer = {"found": [], "fault": f"{cell.title}: {type(error).__name__}: {error}"}
        worker.before = None
        worker.end_daemons()
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text) if text else {"found": [], "fault": f"{cell.title}: did not end"}
    violations = [Violation(cell.title, *one) for one in answer["found"]]
    return cell.title, violations, answer["fault"], time.monotonic() - began


def cells():
    return [Cell(name) for name in SPECIAL] + [
        Cell(condition, command) for condition in CONDITIONS for command in COMMANDS
        if not (IS_SANITIZED and condition.is_of_addresses)]


def campaign(options, directory):
    began = time.monotonic()
    numbers = [number for number, cell in enumerate(cells())
               if not options.only or re.fullmatch(options.only, cell.title)]
    violations, faults, titles, slow = [], [], set(), []
    with multiprocessing.get_context("fork").Pool(
            options.jobs, begin, (directory,)) as pool:
        tasks = [(number, options.tested) for number in numbers]
        for title, bad, fault, seconds in pool.imap_unordered(tried, tasks):
            titles.add(title)
            violations += bad
            slow.append((seconds, title))
            if fault:
                faults.append(fault)
            if options.verbose:
                print(f"{title}: {seconds:.1f} s", *bad, sep="\n  ", flush=True)
    print(f"{len(titles)} cells in {time.monotonic() - began:.0f} s; the slowest: "
          + "; ".join(f"{title} {seconds:.0f} s" for seconds, title in sorted(slow)[-3:]))
    return Report(violations, titles, known_open.OPEN), faults, len(titles)


def self_test(options, directory):
    """Programs that do wrong, in the place of tarn: every cell of some conditions must find it."""
    failed = passed = 0
    for number, (name, script, verdict) in enumerate((
            ("does nothing", "exit 0", "wrong|silent|stuck|refused|.*"),
            ("fails without a word", "exit 1", "silent"),
            ("dies", "kill -SEGV $$", "crash"),
            ("stops for a full cache", "echo 'tarn: no cache' >&2; exit 1", "stopped"))):
        fake = os.path.join(directory, f"fake-{number}")
        with open(fake, "w") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(fake, 0o755)
        options.tested, options.only = fake, "full cache: (?!prefetch).*"
        report, faults, count = campaign(options, directory)
        found = {one.title for one in report.all if re.fullmatch(verdict, one.verdict)}
        # A command that does nothing is not found where its result is that nothing is lost.
        missed = count - len(found) - (name == "does nothing") * 1
        passed, failed = passed + len(found), failed + max(0, missed) + len(faults)
        if missed > 0 or faults:
            print(f"NOT FOUND: a tarn that {name}: {missed} cells", *faults, sep="\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a regular expression of titles, e.g. 'full .*: cat'")
    parser.add_argument("--verbose", action="store_true", help="tell of each cell at once")
    parser.add_argument("--self-test", action="store_true",
                        help="put programs that do wrong in the place of tarn: all are found")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 2))
    options = parser.parse_args()
    options.tested = None
    if os.geteuid() != 0:
        print("this campaign mounts small file systems: run it as root", file=sys.stderr)
        return 1
    directory = tempfile.mkdtemp(prefix="tarn-resources-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.self_test:
            return self_test(options, directory)
        report, faults, count = campaign(options, directory)
        return report.show(faults, count)
    finally:
        clear(directory)


if __name__ == "__main__":
    sys.exit(main())
