"""One mutation, and every consumer that is asked about it: what is forbidden is a violation."""
import contextlib
import hashlib
import errno
import json
import os
import re
import shutil
from dataclasses import dataclass

import process
from consumers import CONTENT, READERS, WRITERS, Consumers, Failed
from repository import Repository

# Errors that say that something is wrong. That a path is missing is an answer, and a wrong one.
CLEAR = {"EIO", "EFBIG", "ENAMETOOLONG", "EOVERFLOW", "ESTALE", "E2BIG", "ERANGE", "ENODATA",
         # The end of the mount's process is told as such.
         "ENOTCONN"}


@dataclass(frozen=True)
class Violation:
    title: str
    consumer: str
    verdict: str
    detail: str
    place: str

    def __str__(self):
        detail = re.sub(r"n{20,}", "nnn", " ".join(self.detail.split()))[:300]
        return f"{self.title} ({self.place}): {self.consumer}: {self.verdict}: {detail}"


class Worker:
    """A directory, a copy of the sample in it, and the answers of the unchanged sample."""

    def __init__(self, sample, directory):
        self.sample, self.directory = sample, directory
        self.answers, self.commands = {}, 0
        self.number = 0

    def try_out(self, mutation, names):
        violations, readers_differ = [], False
        stage = Stage(self, mutation)
        # Honest refs are read through the same cache, when all have filled it.
        last = [name for name in names if name in CONTENT][-1:]
        last = last[0] if last else None
        try:
            for name in names:
                if name == "fsck_data":
                    continue
                found, differs = stage.consume(name)
                violations += found
                readers_differ |= differs
                if any(one.verdict == "slow" for one in found):
                    # A minute is enough to know.
                    return violations
                if name == last or name == "mount_all":
                    violations += stage.honest(name)
            if "fsck_data" in names:
                violations += stage.must_be_found(readers_differ)
        finally:
            self.commands += stage.consumers.commands
            stage.close()
        return violations

    def expected(self, name, ref):
        """What a consumer says of the unchanged sample."""
        if (name, ref) not in self.answers:
            stage = Stage(self, None)
            try:
                try:
                    answer = getattr(stage.consumers, name)(ref)
                except Failed as error:
                    answer = None
                    if (name, ref) not in EXPECTED_REFUSALS:
                        raise RuntimeError(f"the unchanged sample: {name} {ref}: {error}") from None
                if stage.consumers.findings and (name, ref) not in EXPECTED_REFUSALS:
                    raise RuntimeError(f"the unchanged sample: {name}: {stage.consumers.findings}")
                self.answers[name, ref] = answer
            finally:
                stage.close()
        return self.answers[name, ref]


# Nobody but a merge may move a protected branch.
EXPECTED_REFUSALS = {("mount_write", "prod")}


class Stage:
    def __init__(self, worker, mutation):
        worker.number += 1
        self.worker, self.sample, self.mutation = worker, worker.sample, mutation
        self.directory = os.path.join(worker.directory, f"t{worker.number}")
        os.makedirs(self.directory)
        self.repository = Repository(os.path.join(self.directory, "lake"))
        self.is_fresh = False
        self.restore()
        words = list(mutation.words) + self.sample.words if mutation else []
        self.consumers = Consumers(self.sample.binary, self.directory, words)
        if mutation and mutation.label.startswith("the number of a file"):
            self.consumers.direct = "hostile-2"

    def restore(self):
        """The sample with the mutation, whatever a consumer has written."""
        if self.is_fresh:
            return
        if os.path.exists(self.repository.directory):
            # Renamed first: a process that is about to end may still write in it.
            self.worker.number += 1
            old = os.path.join(self.directory, f"old{self.worker.number}")
            os.rename(self.repository.directory, old)
            process.remove(old)
        shutil.copytree(self.sample.lake, self.repository.directory,
                        ignore=shutil.ignore_patterns(".tarn-tmp"), copy_function=copied)
        change(self.repository, self.mutation)
        self.is_fresh = True

    def consume(self, name):
        """(violations, whether a reader did not get what the unchanged sample gives)."""
        ref = self.mutation.refs[0]
        self.restore()
        expected = self.worker.expected(name, ref) if not self.mutation.is_forged else None
        self.is_fresh = name not in WRITERS
        before = len(self.consumers.findings)
        answer, failed = None, False
        try:
            answer = getattr(self.consumers, name)(ref)
        except (Failed, OSError, ValueError) as error:
            failed = True
            if self.mutation.is_control:
                self.consumers.forbid("control", f"refused though nothing is wrong: {error}")
            if not isinstance(error, Failed) and not is_clear(error):
                self.consumers.forbid("signal", f"{type(error).__name__} {error}")
        found = self.consumers.findings[before:]
        differs = failed
        if not failed and not self.mutation.is_forged and name in READERS + ("merge",):
            wrong = difference(expected, answer)
            differs = answer != expected
            if wrong and not self.mutation.decides:
                found.append(("wrong", wrong))
        if name == "export" and not failed and self.mutation.is_forged:
            found += list(privileges(answer))
        if name == "mirror" and not failed and not self.mutation.decides:
            copy = Repository(os.path.join(self.directory, "copy"))
            damage = self.damage_of(copy)
            if damage:
                found.append(("incomplete", f"a mirror that counts as verified: {damage[0]}"))
        if name == "gc_delete":
            lost = self.lost()
            if lost:
                found.append(("lost", lost))
        return [self.violation(name, *one) for one in found], differs and name in READERS

    def damage_of(self, copy):
        try:
            return copy.damage({record["commit"] for record in copy.refs().values()})
        except (OSError, ValueError) as error:
            return [f"{type(error).__name__} {error}"]

    def violation(self, name, verdict, detail):
        detail = detail.replace(self.directory, "DIR")
        return Violation(self.mutation.title, name, verdict, detail, self.mutation.place)

    def lost(self):
        """What honest refs need and was there before: it must be there, unchanged."""
        for key, digest in self.sample.digests.items():
            if key in self.mutation.changes:
                continue
            if not self.repository.has(key):
                return f"{key} is gone, which {', '.join(sorted(self.sample.reach[key]))} need"
            if key.startswith("packs/") and hashlib.sha256(
                    self.repository.get(key)).hexdigest() != digest:
                return f"{key} has other bytes"
        return None

    def honest(self, after):
        """Refs that do not need what was changed show what they did, through the same cache."""
        ref = next((name for name in ("main", "v1", "feature", "work/rolling")
                    if name not in self.mutation.reaches), None)
        if ref is None or "tarn.json" in self.mutation.changes:
            return []
        before, violations = len(self.consumers.findings), []
        if after == "mount_all" and self.consumers.neighbour:
            wrong = difference(self.worker.expected("mount_all", "main"), self.consumers.neighbour)
            if wrong and "main" not in self.mutation.reaches:
                violations = [self.violation(f"{after}, then main in it", "poisoned", wrong)]
        try:
            answer = self.consumers.export(ref)
        except Failed as error:
            del self.consumers.findings[before:]
            # What all commands read may stop them all, by a clear error.
            if self.mutation.decides:
                return violations
            return [*violations, self.violation(f"{after}, then export", "poisoned", str(error))]
        wrong = difference(self.worker.expected("export", ref), answer)
        if wrong:
            violations.append(self.violation(f"{after}, then export", "poisoned", wrong))
        return violations

    def must_be_found(self, readers_differ):
        self.restore()
        before = len(self.consumers.findings)
        try:
            self.consumers.fsck_data(self.mutation.refs[0])
        except Failed as error:
            if self.mutation.is_control:
                self.consumers.forbid("control", f"a finding though nothing is wrong: {error}")
            return [self.violation("fsck_data", *one) for one in self.consumers.findings[before:]]
        found = self.consumers.findings[before:]
        must_tell = not self.mutation.decides and not self.mutation.is_forged
        if self.mutation.is_false or (readers_differ and must_tell):
            why = "it is a false statement" if self.mutation.is_false else "readers do not get it"
            found.append(("unfound", f"fsck finds no damage, and {why}"))
        return [self.violation("fsck_data", *one) for one in found]

    def close(self):
        for process_id in ours(self.directory):
            process.end(process_id)
        for point in process.mounts_below(self.directory):
            process.detach(point)
        process.remove(self.directory)


def change(repository, mutation):
    """Puts a mutation into a copy of the sample."""
    for key, data in (mutation.changes if mutation else {}).items():
        path = repository.path(key)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if isinstance(data, int):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.truncate(data)
        elif data is not None:
            repository.put(key, data)


def is_clear(error):
    """Whether a program in the mount was told that something is wrong; not that the mount died."""
    name = errno.errorcode.get(getattr(error, "errno", None))
    return name in CLEAR - {"ENOTCONN"}


def copied(source, target):
    """Packs are linked, which saves most of the work: an object is never written in place, and
    `Sample.is_unchanged` finds out if one was."""
    if "/packs/" in source:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def ours(directory):
    """Processes that a command of this directory left behind."""
    mark = b"\0HOME=" + os.fsencode(directory) + b"/"
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if mark in b"\0" + file.read():
                    yield int(name)


def privileges(answer):
    """What an export must not give away, whoever runs it."""
    for path, one in answer.items():
        foreign = [name for name in one.get("attributes", ())
                   if not name.startswith("user.") or name.startswith("user.tarn.")]
        if foreign:
            yield "privilege", f"{path} is exported with {foreign[0]}"
        if one.get("mode", 0) & 0o6000:
            yield "privilege", f"{path} is exported with mode {one['mode'] & 0o7777:o}"


def difference(expected, answer):
    """Where an answer is neither right nor an error; None when it is nowhere."""
    if not isinstance(expected, dict) or not isinstance(answer, dict):
        return None if answer == expected else first_difference(expected, answer)
    failed = [path for path, found in answer.items()
              if isinstance(found, dict) and found.get("error") in CLEAR]
    for path in sorted(set(expected) | set(answer)):
        if path in failed or any(path.startswith(above + "/") or not above for above in failed):
            continue
        if path not in answer:
            if all(isinstance(one, str) for one in expected.values()):
                continue
            return f"{path} is missing"
        if expected.get(path) != answer[path]:
            return f"{path}: {shortened(answer[path])} for {shortened(expected.get(path))}"
    return None


def first_difference(expected, answer):
    lines = [str(one).splitlines() for one in (expected, answer)]
    for one, two in zip(*lines):
        if one != two:
            return f"{two[:120]!r} for {one[:120]!r}"
    return f"{len(lines[1])} lines for {len(lines[0])}"


def shortened(value):
    return json.dumps(value)[:160]
