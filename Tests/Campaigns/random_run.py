"""One run of the random campaign: a repository, a mount and the model that it is compared with."""
import os
import random
import signal
import threading
import time

import trees
from operations import READING, TIMES, World, content
from random_commits import CommitEvents
from random_others import OtherEvents
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


class Run(CommitEvents, OtherEvents):
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
        self.sandbox.tarn("export", "--special-modes", "main", directory)
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
