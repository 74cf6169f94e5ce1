#!/usr/bin/env python3
"""Random operations through a writable mount, with a plain directory as the model (SEMANTICS B3, W1–W11).

Every operation is done by the same system calls in both trees; results and errno are compared at once, whole trees now
and then. In between: commits, also half-way while operations go on, remounts, SIGKILL, other writers, conflicts,
discards. A failing list is cut down and stored, so that --replay runs it again.
"""
import argparse
import faulthandler
import fcntl
import hashlib
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time

import trees
from operations import FEATURES, READING, TIMES, Generator, World, content, raw, text
from sandbox import Sandbox, Violation, is_running

EVENTS = {"check", "commit", "begin", "finish", "remount", "kill", "others", "clash", "discard", "update"}
# The kernel may show a name or attributes this long after another process changed them (W10).
STALE_SECONDS = 1.1


class Watchdog:
    """Kills the mount's process when an operation takes too long: the system call then fails instead of hanging."""

    def __init__(self, seconds):
        self.seconds, self.server, self.began, self.fired = seconds, None, None, False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(0.5):
            began = self.began
            if began and time.monotonic() - began > self.seconds and self.server and is_running(self.server):
                self.fired = True
                os.kill(self.server, signal.SIGKILL)

    def end(self):
        self.ended.set()
        self.thread.join()


class Run:
    """One repository, one mount and its model, from the first operation to the last or to the first violation."""

    def __init__(self, seed, without=(), has_base=True, faults=()):
        self.seed, self.without, self.faults = seed, set(without), set(faults)
        self.sandbox = Sandbox("random")
        self.point = self.sandbox.path("m", "t")
        os.makedirs(self.sandbox.path("r", "t"))
        self.model = World(self.sandbox.path("r", "t"), "link" not in self.without)
        self.mounted = World(self.point, "link" not in self.without)
        self.counts = {}
        self.watchdog = Watchdog(60)
        self.committing = self.lock = None
        self.exports = 0
        self.started = time.time_ns() - 2_000_000_000
        self.sandbox.tarn("init", self.sandbox.repository)
        if has_base:
            self.make_base()
            self.sandbox.tarn("import", os.fsdecode(self.model.root), "-m", "base")
        self.take_base()
        self.tell_model(self.base, self.base.keys())
        self.mount()

    def close(self, keep=False):
        if self.committing:
            self.committing.kill()
            self.release()
            self.committing.wait()
        self.model.close_all()
        try:
            self.mounted.close_all()
        except OSError:
            pass
        self.watchdog.end()
        self.sandbox.close(keep)

    def make_base(self):
        rng = random.Random(self.seed)
        for path, size in ((b"a", 10), (b"b", 5000), (b"sub/a", 300_000), (b"sub/big", 7_000_000), (b"sub/deep/c", 10),
                           (b"sub/deep/~", 0), (b"e f/\xff\xfe", 90_000), (b"e f/d.txt", 1_500_000)):
            place = self.model.root + b"/" + path
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(content(rng.randrange(1 << 30), size))
            time_ = rng.choice(TIMES)
            os.utime(place, ns=(time_, time_))
        os.symlink("sub/a", self.model.root + b"/-x")
        os.setxattr(self.model.root + b"/sub/a", "user.a", b"value")
        os.mkdir(self.model.root + b"/c")

    # The branch

    def export(self):
        """The branch as a tree, and where its bytes lie."""
        self.exports += 1
        directory = self.sandbox.path(f"export-{self.exports}")
        self.sandbox.tarn("export", "main", directory)
        return trees.take(os.fsencode(directory)), os.fsencode(directory)

    def take_base(self, exported=None):
        """The branch as it is now is what the workspace stands on, and nobody else has changed it since."""
        self.base, self.base_directory = exported or self.export()
        self.base_commit = self.sandbox.head()
        self.base_inodes = self.model_directories()
        self.forget_others()

    def forget_others(self):
        self.theirs, self.theirs_directory, self.theirs_commit = self.base, self.base_directory, self.base_commit

    def model_directories(self):
        return {os.lstat(path).st_ino: os.path.relpath(path, self.model.root) if path != self.model.root else b""
                for path, _, _ in os.walk(self.model.root)}

    @property
    def others_changed(self):
        return self.theirs_commit != self.base_commit

    def compare(self, want, got, what, exact=False):
        comparison = trees.Comparison(
            None if exact else self.started, links=not exact and "link" not in self.without,
            owners="owner" not in self.without)
        comparison.check(want, got, what)

    def tell_model(self, tree, paths, directory=None):
        """The model becomes `tree` at `paths`, with the times of all directories."""
        trees.restore(self.model.root, tree, directory or self.base_directory, paths)
        times = {path: entry.mtime for path, entry in tree.items() if path in paths or entry.kind == "directory"}
        trees.set_times(self.model.root, times)

    def changed_paths(self, old, new):
        return [path for path in old.keys() | new.keys() if not trees.same(old.get(path), new.get(path))]

    def committable(self, tree):
        """Pipes stay in the workspace."""
        return {path: entry for path, entry in tree.items() if entry.kind != "fifo"}

    def has_pipes(self):
        return len(self.committable(taken := trees.take(self.model.root))) < len(taken)

    # Steps

    def step(self, operation):
        """Answers whether the operation may have changed anything."""
        name = operation["op"]
        self.counts[name] = self.counts.get(name, 0) + 1
        if name in EVENTS:
            arguments = {key: value for key, value in operation.items() if key != "op"}
            try:
                getattr(self, "event_" + name)(**arguments)
            except OSError as error:
                raise Violation(f"error in {name}", f"{error}\n{self.log_text()}") from error
            return True
        want = self.model.do(operation)
        if "wrong result" in self.faults and name == "write" and want[0] == "ok" and self.counts[name] > 20:
            os.pwrite(self.model.slots[operation["slot"]], b"!", operation["offset"])
        self.watchdog.began = time.monotonic()
        got = self.mounted.do(operation)
        self.watchdog.began = None
        if want != got:
            if not is_running(self.sandbox.servers[self.point]):
                raise Violation("hang" if self.watchdog.fired else "mount ended", f"{got}\n" + self.log_text())
            both = sorted({value[1] if value[0] == "failed" else "ok" for value in (want, got)})
            raise Violation(f"result of {name} {both}", f"wants {want}, is {got}")
        return want[0] == "ok" and name not in READING

    def log_text(self):
        return "\n".join(self.sandbox.logs(30))

    def mount(self):
        description = self.sandbox.mount(self.point, "--ref", "main", "--write")
        self.workspace = description["workspace"]
        self.watchdog.server = description["processID"]

    def close_all(self, sync=False):
        self.model.close_all()
        self.mounted.close_all(sync)

    def both(self):
        """The mounted tree, which equals the model."""
        self.watchdog.began = time.monotonic()
        try:
            mounted = trees.take(self.mounted.root)
        except OSError as error:
            raise Violation("walk " + os.strerror(error.errno), f"{error}\n" + self.log_text()) from None
        finally:
            self.watchdog.began = None
        self.compare(trees.take(self.model.root), mounted, "mounted tree")
        return mounted

    def event_check(self):
        self.both()

    def let_kernel_see(self):
        """What another process changed below the mount must be seen after this; without the feature, a fresh mount."""
        if "invalidation" not in self.without:
            time.sleep(STALE_SECONDS)
            return
        self.sandbox.unmount(self.point)
        self.mount()

    # Commits

    def event_commit(self, seed=0):
        if self.committing:
            return
        if self.others_changed:
            self.close_all()
        ours = self.committable(self.both())
        rng, decisions = random.Random(seed), {}
        for _ in range(6):
            want, conflicts = trees.merge(self.base, ours, self.theirs, decisions)
            is_empty = not self.changed_paths(self.base, ours)
            done = self.sandbox.tarn("commit", "-m", "a commit", at=self.point, code=None)
            if b"nothing to commit" in done.stderr.lower() + done.stdout.lower():
                if not is_empty:
                    raise Violation("nothing to commit", f"but {self.changed_paths(self.base, ours)}")
                return
            if is_empty and done.returncode == 0:
                # The overlay may hold what was done and undone; then this is a merge of nothing.
                want = dict(self.theirs)
            if done.returncode not in (0, 3):
                raise Violation(f"exit commit {done.returncode}", (done.stderr + b"\n").decode() + self.log_text())
            status = self.sandbox.tarn_json("status", at=self.point)
            named = {bytes.fromhex(entry["path"]["pathHex"]) if "pathHex" in entry["path"]
                     else entry["path"]["path"].encode() for entry in status["conflicts"]}
            if done.returncode == 0:
                if conflicts:
                    raise Violation("conflict overlooked", f"{conflicts} with {decisions}")
                return self.finish_commit(want, ours)
            self.counts["conflict"] = self.counts.get("conflict", 0) + 1
            if not conflicts:
                raise Violation("false conflict", f"{done.stderr.decode()}; decided: {decisions}")
            # What was decided in vain is in conflict again.
            if named | decisions.keys() != conflicts | decisions.keys():
                raise Violation("conflicts", f"are {named}, should be {conflicts}; decided: {decisions}")
            if self.sandbox.head() != self.theirs_commit:
                raise Violation("conflict published", f"{conflicts}")
            ours = self.decide(conflicts, decisions, rng, ours)
        raise Violation("conflict without end", f"{conflicts} after {decisions}")

    def decide(self, conflicts, decisions, rng, ours):
        for path in sorted(conflicts):
            choice = rng.choice(("ours", "theirs", "base", "edit"))
            if path in decisions:
                # The version chosen first cannot be there: its directory is a file on the other side.
                choice = "ours" if decisions[path] == "theirs" else "theirs"
            entry = ours.get(path)
            if choice == "edit" and entry and entry.kind == "file":
                for world in (self.model, self.mounted):
                    with open(world.root + b"/" + path, "ab") as file:
                        file.write(b"merged by hand\n")
                decisions[path] = "ours"
                continue
            if choice == "edit":
                choice = "ours"
            decisions[path] = choice
            self.sandbox.tarn("resolve", "--" + choice, "--", os.fsdecode(path), at=self.point)
        return self.committable(self.both())

    def finish_commit(self, want, ours):
        exported, directory = self.export()
        self.compare(want, exported, "committed tree", exact=True)
        if "wrong commit" in self.faults:
            path = next(path for path, entry in exported.items() if entry.kind == "file")
            self.compare(want, exported | {path: exported[path].__class__("file", 0, 0)}, "committed tree", exact=True)
        if self.others_changed:
            self.let_kernel_see()
            self.tell_model(exported, self.changed_paths(ours, exported), directory)
        self.take_base((exported, directory))
        self.both()

    # A commit that is stopped just before it moves the branch, while operations go on.

    def event_begin(self):
        if self.committing or self.others_changed:
            return
        self.sealed = self.committable(self.both())
        if not self.changed_paths(self.base, self.sealed):
            return
        self.sealed_inodes = self.model_directories()
        shard = hashlib.sha256(b"refs/heads/main").digest()[0] % 64
        self.lock = os.open(
            os.path.join(self.sandbox.repository, ".tarn-tmp", "locks", str(shard)), os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        before = self.sealed_commit()
        self.committing = self.sandbox.start("commit", "-m", "slow", at=self.point)
        end = time.monotonic() + 3
        while self.committing.poll() is None and self.sealed_commit() in (None, before):
            if time.monotonic() > end:
                # It waits for the same lock to upload something: a plain commit, then.
                self.event_finish()
                break
            time.sleep(0.005)

    def sealed_commit(self):
        """What the workspace notes just before the branch is moved."""
        database = sqlite3.connect(f"file:{self.workspace}/overlay.sqlite?mode=ro", uri=True, timeout=20)
        try:
            rows = database.execute("SELECT value FROM meta WHERE key = 'sealed-commit'").fetchall()
            return rows[0][0] if rows else None
        finally:
            database.close()

    def release(self):
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def event_finish(self, kill=False, allowed=(0,)):
        if not self.committing:
            return
        process, self.committing = self.committing, None
        if kill:
            process.kill()
            process.communicate()
            self.release()
            return
        self.release()
        done = self.sandbox.finish(process)
        if done.returncode not in allowed:
            raise Violation(f"exit slow commit {done.returncode}", done.stderr.decode() + self.log_text())
        exported, directory = self.export()
        if done.returncode == 0 or self.changed_paths(exported, self.base):
            self.compare(self.sealed, exported, "tree of a slow commit", exact=True)
            self.take_base((exported, directory))
            self.base_inodes = self.sealed_inodes
        if self.point in self.sandbox.servers:
            self.both()

    # Ends of the mount

    def event_remount(self):
        self.event_finish()
        self.close_all()
        self.sandbox.unmount(self.point)
        self.mount_again()

    def event_kill(self, sync):
        self.mounted.close_all(sync)
        self.model.close_all()
        process = self.committing
        self.sandbox.kill_server(self.point)
        self.event_finish(allowed=(0, 1))
        self.mount()
        if process:
            # It may have been published without being told to the workspace: then that is done by now.
            self.both()
        else:
            self.see_base_move()

    def mount_again(self):
        self.mount()
        self.see_base_move()

    def see_base_move(self):
        """A workspace in which nothing is staged goes to the branch's head when it is mounted."""
        base = self.sandbox.tarn_json("status", at=self.point)["base"]
        if base != self.base_commit:
            if base != self.theirs_commit:
                raise Violation("base", f"is {base}, was {self.base_commit}; the branch is at {self.theirs_commit}")
            ours = self.committable(trees.take(self.model.root))
            changed = [path for path in self.changed_paths(self.base, ours)
                       if path not in self.base or path not in ours or self.base[path].content != ours[path].content]
            if changed:
                raise Violation("base moved", f"over what is staged: {changed}")
            self.base, self.base_directory, self.base_commit = self.theirs, self.theirs_directory, self.theirs_commit
            self.tell_model(self.base, self.changed_paths(ours, self.base))
            self.base_inodes = self.model_directories()
        self.both()

    # Others

    def event_others(self, prefix, files, seed):
        if self.committing or self.has_pipes():
            return
        directory = os.fsencode(self.sandbox.path("others"))
        trees.remove(directory)
        os.mkdir(directory)
        for path, size, file_seed, time_ in files:
            if not self.can_be_argument(raw(prefix) + raw(path)):
                continue
            if not self.copy_parents(raw(prefix), os.path.dirname(raw(path)), directory):
                continue
            place = directory + b"/" + raw(path)
            if "kindclash" in self.without and not self.is_file_or_nothing(self.under(raw(prefix), raw(path))):
                continue
            if os.path.lexists(place):
                continue
            with open(place, "wb") as file:
                file.write(content(file_seed, size))
            os.utime(place, ns=(time_, time_))
        if not os.listdir(directory):
            return
        arguments = ["--to=" + os.fsdecode(raw(prefix))] if prefix else []
        self.copy_attributes(raw(prefix), directory)
        self.sandbox.tarn("import", os.fsdecode(directory), "-m", "others", *arguments)
        self.theirs, self.theirs_directory = self.export()
        self.theirs_commit = self.sandbox.head()

    event_clash = event_others

    def can_be_argument(self, path):
        """Names on the command line are any bytes, too."""
        try:
            return "rawargs" not in self.without or path.decode() is not None
        except UnicodeDecodeError:
            return False

    def under(self, prefix, path):
        return prefix + b"/" + path if prefix else path

    def is_file_or_nothing(self, path):
        """So that a file and a directory do not come to one path; the directories above count too."""
        mounted = self.model.root + b"/" + path
        if os.path.lexists(mounted) and (os.path.islink(mounted) or os.path.isdir(mounted)):
            return False
        directory = os.path.dirname(path)
        while directory:
            if os.path.lexists(self.model.root + b"/" + directory) and (
                    os.path.islink(self.model.root + b"/" + directory)
                    or not os.path.isdir(self.model.root + b"/" + directory)):
                return False
            directory = os.path.dirname(directory)
        return path not in self.theirs or self.theirs[path].kind == "file"

    def copy_parents(self, prefix, path, directory):
        """Makes the directories of `path` as the branch has them; false where one of them is something else there."""
        parts = path.split(b"/") if path else []
        for count in range(1, len(parts) + 1):
            below = b"/".join(parts[:count])
            if below and not os.path.isdir(directory + b"/" + below):
                if os.path.lexists(directory + b"/" + below):
                    return False
                os.mkdir(directory + b"/" + below)
                self.copy_attributes(self.under(prefix, below), directory + b"/" + below)
        return True

    def copy_attributes(self, path, place):
        entry = self.theirs.get(path)
        if entry and entry.kind == "directory":
            os.chmod(place, entry.mode)
            for name, value in entry.attributes:
                os.setxattr(place, name, value)

    # Discards

    def event_discard(self, path):
        path = raw(path)
        if self.committing or not self.can_be_argument(path) or not self.is_discardable(path):
            return
        self.close_all()
        arguments = ["--", os.fsdecode(path)] if path else ["--all"]
        self.sandbox.tarn("discard", *arguments, at=self.point)
        self.let_kernel_see()
        now = trees.take(self.model.root)
        below = [name for name in now.keys() | self.base.keys()
                 if not path or name == path or name.startswith(path + b"/")]
        times = {name: entry.mtime for name, entry in now.items() if entry.kind == "directory"} if path else {}
        times |= {name: self.base[name].mtime for name in below if name in self.base}
        inodes = {place: inode for inode, place in self.base_inodes.items()}
        trees.restore(self.model.root, self.base, self.base_directory, below)
        trees.set_times(self.model.root, times)
        for name in below:
            if name in self.base and self.base[name].kind == "directory":
                inodes[name] = os.lstat(self.model.root + b"/" + name).st_ino
        self.base_inodes = {inode: place for place, inode in inodes.items()}
        self.see_base_move()

    def is_discardable(self, path):
        """Whether the directories above are the base's own, in place: else it is not said what comes back."""
        directory = os.path.dirname(path)
        while path:
            try:
                inode = os.lstat(self.model.root + b"/" + directory if directory else self.model.root).st_ino
            except OSError:
                return False
            if self.base_inodes.get(inode) != directory:
                return False
            if not directory:
                break
            directory = os.path.dirname(directory)
        return True

    def event_update(self):
        """`tarn update` brings the branch's new commits below what is staged."""
        if self.committing:
            return
        self.close_all()
        ours = self.committable(self.both())
        want, conflicts = trees.merge(self.base, ours, self.theirs, {})
        if conflicts:
            return
        self.sandbox.tarn("update", at=self.point)
        self.let_kernel_see()
        self.tell_model(want, self.changed_paths(ours, want), self.theirs_directory)
        self.base, self.base_directory, self.base_commit = self.theirs, self.theirs_directory, self.theirs_commit
        self.base_inodes = self.model_directories()
        self.both()


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
            run.sandbox.tarn("fsck", "--data")
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
