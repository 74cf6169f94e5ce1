"""The commands under test, and what must be true after each, whichever call failed in it."""
import os
import re
from dataclasses import dataclass

import calls
import injector
from lake import FIRST, IMPORTED, KEPT, SECOND, STAGED, THIRD, TOPIC, digest, files_below, remove
from mounting import Mounting


@dataclass
class Violation:
    title: str
    verdict: str
    detail: str

    def __str__(self):
        return f"{self.title}: {self.verdict}: {self.detail}"


# How strerror(3) says what was injected, and what our own words for it may be.
WORDS = {
    "EIO": "Input/output error", "ENOSPC": "No space left on device",
    "EMFILE": "Too many open files", "ESTALE": "Stale file handle",
    "EINTR": "Interrupted system call", "ENOMEM": "Cannot allocate memory",
    "ENODEV": "No such device", "ENOLCK": "No locks available"}
# A message in other words that is as clear, or clearer.
OTHER_WORDS = {"ENOSPC": r"disk is full|no (more )?room|full", "EMFILE": r"open files|ulimit",
               # As SQLite says it; the path of its database stands before it.
               "EIO": "disk I/O error", "ESTALE": "disk I/O error"}


class Verdicts:
    """Collects what is wrong with one run."""

    def __init__(self, scenario, injection, place):
        self.failed = injection.failed[0] if injection.failed else None
        self.error = injection.failure.error if injection.failure else ""
        self.stays = injection.failure is not None and injection.failure.times > 1
        self.area = place.split(":")[0]
        self.title = (f"{scenario}: {self.failed.name} {self.error}{'+' if self.stays else ''} "
                      f"{place}"
                      if self.failed else f"{scenario}: nothing fails")
        self.found = []
        if injection.fault:
            raise RuntimeError(injection.fault)

    def say(self, verdict, detail=""):
        self.found.append(Violation(self.title, verdict, " ".join(str(detail).split())[:400]))

    def ending(self, result, is_refusal=False):
        """What holds for every command: it ends, by itself, and tells what failed.

        `is_refusal`: it is to end with another code than 0 even if nothing fails."""
        if result.code is None:
            self.say("hang", f"{result.arguments[1]} did not end")
        elif result.code < 0 or result.code in (132, 133, 134, 135, 136, 137, 139):
            self.say("crash", f"exit {result.code}: {result.errors[-300:]}")
        elif result.code != 0 and not result.errors.strip():
            self.say("silent", f"exit {result.code} without a word")
        elif self.failed is None and result.code != 0:
            if not is_refusal:
                self.say("failed", f"exit {result.code}: {result.errors[-300:]}")
        elif is_refusal and "already" in result.errors:
            return False
        elif result.code and self.area == "cache":
            self.say("stopped", f"exit {result.code}: {result.errors[-300:]}")
        elif result.code != 0 and not self.is_named(result.errors):
            self.say("unnamed", f"exit {result.code}: {result.errors[-300:]}")
        return result.code == 0

    def is_named(self, text):
        """Whether a message says what happened: the reason, and not another one."""
        words = WORDS[self.error] + "|" + OTHER_WORDS.get(self.error, "\0")
        return re.search(words, text, re.IGNORECASE) is not None

    def files(self, what, got, *allowed):
        """Whether a tree is one of those that it may be."""
        if any(got == one for one in allowed):
            return True
        verdict = "lost" if isinstance(got, str) else "wrong"
        self.say(verdict, f"{what}: {difference(got, allowed[0])}")
        return False


def difference(got, wanted):
    if isinstance(got, str):
        return got
    lines = [f"{name} is missing" for name in wanted if name not in got]
    lines += [f"{name} is there" for name in got if name not in wanted]
    lines += [f"{name} has {len(got[name])} bytes {digest(got[name])}, not {len(wanted[name])}"
              for name in wanted if name in got and got[name] != wanted[name]]
    return "; ".join(lines[:4])


class Scenario:
    """One command; `names` are the calls that are watched beside the one that fails."""
    names = ()
    is_refused = False

    def arguments(self, lake):
        raise NotImplementedError

    def prepare(self, lake):
        """What must be there besides what a lake has."""

    def run(self, lake, injection, names):
        """Runs the command with one failure; answers the violations."""
        lake.restore()
        self.prepare(lake)
        self.before = lake.refs()
        result = lake.injected(self.arguments(lake), injection, names)
        verdicts = Verdicts(self.name, injection, place_of(lake, injection))
        self.check(lake, verdicts, result, verdicts.ending(result, self.is_refused))
        return verdicts.found

    def check(self, lake, verdicts, result, is_done):
        raise NotImplementedError

    def again(self, lake, verdicts, already=r"\0"):
        """Runs the same command without a failure. `already`: it may say that all is done."""
        done = lake.tarn(*self.arguments(lake), code=None)
        if done.code != 0 and not re.search(already, done.errors):
            verdicts.say("stuck", f"again: exit {done.code}: {done.errors.strip()[-300:]}")
        return done

    def other_refs(self, lake, verdicts, *changed):
        now = lake.refs()
        for name, data in self.before.items():
            if name not in changed and now.get(name) != data:
                verdicts.say("lost", f"the ref {name} changed")

    def whole(self, lake, verdicts, repository=None):
        damage = lake.damage(repository)
        if damage:
            verdicts.say("damage", damage)


def place_of(lake, injection):
    return lake.place(injection.failed[0].path) if injection.failed else ":"


class Moves(Scenario):
    """A command that moves `main` from `THIRD` to `result`."""
    result = None
    already = r"\0"

    def check(self, lake, verdicts, result, is_done):
        after = (self.result,) if is_done else (THIRD, self.result)
        verdicts.files("main", lake.exported("main"), *after)
        self.other_refs(lake, verdicts, "heads/main")
        self.again(lake, verdicts, self.already)
        verdicts.files("main after another try", lake.exported("main"), self.result)
        self.whole(lake, verdicts)


class Import(Moves):
    name, result, already = "import", IMPORTED, "nothing to commit"

    def arguments(self, lake):
        return ("import", lake.source, "-m", "Import", "--delete")


class Init(Scenario):
    """A second `tarn init` is refused, and nothing of the repository changes."""
    name, is_refused = "init", True

    def arguments(self, lake):
        return ("init", lake.repository)

    def check(self, lake, verdicts, result, is_done):
        if is_done:
            verdicts.say("wrong", "exit 0 where there is a repository")
        self.other_refs(lake, verdicts)
        verdicts.files("tarn.json", config(lake.repository), config(lake.kept + "/repository"))
        self.again(lake, verdicts, "already")
        verdicts.files("main", lake.exported("main"), THIRD)


def config(repository):
    with open(os.path.join(repository, "tarn.json"), "rb") as file:
        return {"tarn.json": file.read()}


class Merge(Moves):
    name, result, already = "merge", TOPIC | THIRD | {"many/1": TOPIC["many/1"]}, "already"

    def arguments(self, lake):
        return ("merge", "topic", "--into", "main")


class Commit(Moves):
    name, result, already = "commit", THIRD | STAGED, "nothing to commit"

    def arguments(self, lake):
        return ("commit", "--workspace", "main", "-m", "Commit")


class Update(Scenario):
    """Puts what is staged on the head; nothing staged may be lost."""
    name = "update"

    def arguments(self, lake):
        return ("update", "--workspace", "main")

    def check(self, lake, verdicts, result, is_done):
        verdicts.files("main", lake.exported("main"), THIRD)
        self.again(lake, verdicts)
        done = lake.tarn("commit", "--workspace", "main", "-m", "Commit", code=None)
        if done.code != 0:
            verdicts.say("stuck", f"commit: exit {done.code}: {done.errors.strip()[-300:]}")
        verdicts.files("main after a commit", lake.exported("main"), THIRD | STAGED)
        self.whole(lake, verdicts)


class Collect(Scenario):
    """Deletes what no branch needs, and nothing else."""
    name = "gc"
    NEEDED = (("main", THIRD), ("topic", TOPIC), ("kept", KEPT), ("v1", FIRST), ("main~1", SECOND))

    def arguments(self, lake):
        return ("gc", "--delete", "--grace", "0")

    def needed(self, lake, verdicts, when):
        for revision, files in self.NEEDED:
            verdicts.files(f"{revision}{when}", lake.exported(revision), files)

    def check(self, lake, verdicts, result, is_done):
        self.needed(lake, verdicts, "")
        self.other_refs(lake, verdicts)
        if verdicts.found:
            return
        self.again(lake, verdicts)
        self.needed(lake, verdicts, " after another try")
        self.whole(lake, verdicts)


class Mirror(Scenario):
    name = "mirror"

    def arguments(self, lake):
        return ("mirror", lake.target)

    def check(self, lake, verdicts, result, is_done):
        old = () if is_done else (FIRST,)
        verdicts.files("the mirror's main", lake.exported("main", lake.target), THIRD, *old)
        verdicts.files("the mirror's tag", lake.exported("v1", lake.target), FIRST)
        self.again(lake, verdicts)
        for revision, files in (("main", THIRD), ("topic", TOPIC), ("kept", KEPT)):
            verdicts.files(f"the mirror's {revision} after another try",
                           lake.exported(revision, lake.target), files)
        self.other_refs(lake, verdicts)
        self.whole(lake, verdicts, lake.target)


class Export(Scenario):
    name = "export"

    def arguments(self, lake):
        return ("export", "main", lake.out)

    def read(self, lake, verdicts, what):
        verdicts.files(what, files_below(lake.out), THIRD)

    def check(self, lake, verdicts, result, is_done):
        if is_done:
            self.read(lake, verdicts, "what was exported")
        remove(lake.out)
        self.again(lake, verdicts)
        if os.path.isdir(lake.out):
            self.read(lake, verdicts, "what was exported then")
        self.whole(lake, verdicts)


class Cat(Scenario):
    """Reads cold through a cache that fills, then warm."""
    name = "cat"

    def arguments(self, lake):
        return ("cat", "main:large")

    def check(self, lake, verdicts, result, is_done):
        if is_done and result.output != FIRST["large"]:
            verdicts.say("wrong", f"{len(result.output)} bytes, exit 0")
        for _ in range(2):
            done = self.again(lake, verdicts)
            if done.code == 0 and done.output != FIRST["large"]:
                verdicts.say("wrong", f"{len(done.output)} other bytes later")
        self.whole(lake, verdicts)


class Log(Scenario):
    name = "log"

    def arguments(self, lake):
        return ("log", "main", "--oneline")

    def check(self, lake, verdicts, result, is_done):
        done = self.again(lake, verdicts)
        if is_done and result.output != done.output:
            verdicts.say("wrong", f"{result.output[:200]}, then {done.output[:200]}")


class Mount(Scenario):
    """A mount whose process meets the failure while a program writes, and while it commits."""
    name = "mount"
    names = ("pwrite64", "write", "copy_file_range", "fsync", "fdatasync")

    def arguments(self, lake):
        return ("mount", lake.repository, lake.point, "--ref", "main", "--write")

    def run(self, lake, injection, names):
        lake.restore()
        return Mounting(lake, self, injection, sorted({*names, *self.names})).run(Verdicts)


SCENARIOS = {one.name: one for one in (
    Init(), Import(), Commit(), Update(), Merge(), Collect(), Mirror(), Export(), Cat(), Log(), Mount())}


def trace(lake, scenario):
    """The calls of a run in which nothing fails, and what was wrong with it."""
    injection = injector.Injection((lake.now + "/",))
    violations = scenario.run(lake, injection, list(calls.CALLS))
    return injection.met, violations
