"""What the scenarios of the crash campaign share: a repository, a mount, writers, and commits."""
import http.client
import os
import random
import shutil
import signal
import threading
import time

import trees
from sandbox import Sandbox, Violation, end_thread
from writers import Writer


class Committer(threading.Thread):
    """Commits again and again, and tells the writers what a commit that succeeded has promised."""

    def __init__(self, stage, kill_probability=0.0, allowed=(0,)):
        super().__init__(daemon=True)
        self.stage, self.kill_probability, self.allowed = stage, kill_probability, allowed
        self.random = random.Random(stage.random.randrange(1 << 30))
        self.stopping, self.process = threading.Event(), None
        self.commits = self.kills = self.failures = 0
        self.violation = None
        # The mount is being killed: any end of a commit is right.
        self.is_lost = False

    def run(self):
        try:
            while not self.stopping.is_set():
                self.commit()
                self.stopping.wait(self.random.random() * 0.1)
        except Violation as violation:
            self.violation = violation

    def commit(self):
        marks = [(writer, writer.marks()) for writer in self.stage.writers]
        self.process = self.stage.sandbox.start("commit", "-m", "campaign", "--timeout", "3", at=self.stage.point)
        is_killed = self.random.random() < self.kill_probability
        if is_killed:
            time.sleep(self.random.random() ** 2 * 0.15)
            self.process.kill()
        done = self.stage.sandbox.finish(self.process)
        if done.returncode == 0:
            self.commits += 1
            # Without its mount a commit holds what was saved before the mount ended.
            for writer, mark in marks if not self.is_lost else ():
                writer.promise(mark)
        elif done.returncode == -signal.SIGKILL:
            self.kills += 1
        elif b"nothing to commit" not in done.stderr and done.returncode not in self.allowed and not self.is_lost:
            raise Violation(f"exit commit {done.returncode}", done.stderr.decode(errors="replace")[-800:])
        else:
            self.failures += 1

    def end(self):
        end_thread(self, 150, "a commit")


class Stage:
    """A repository, a writable mount and writers in it."""

    def __init__(self, seed, endpoint=None, writers=3, state=None, faults=(), options=()):
        self.random = random.Random(seed)
        self.sandbox = Sandbox("crash", endpoint)
        self.point = self.sandbox.path("m")
        self.options = options
        if state:
            self.sandbox.environment["TARN_STATE_DIR"] = state
        if endpoint:
            make_bucket(endpoint, self.sandbox.repository.split("/")[2])
        self.sandbox.tarn("init", self.sandbox.repository)
        self.mount()
        self.writers = [Writer(self.point, f"w{number}", self.random.randrange(1 << 30), faults)
                        for number in range(writers)]
        self.head = self.sandbox.head()
        self.committer = None
        # What was done, for reports.
        self.story = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if isinstance(error, (Violation, OSError)):
            print("\n".join([f"{self.story}; the mounts' log ends:", *self.sandbox.logs(12)]), flush=True)
        for writer in self.writers:
            writer.stop()
        if self.committer:
            self.committer.stopping.set()
            if self.committer.process and self.committer.process.poll() is None:
                self.committer.process.kill()
        self.sandbox.close()

    def mount(self):
        self.sandbox.mount(self.point, "--ref", "main", "--write", *self.options)

    @property
    def server(self):
        return self.sandbox.servers[self.point]

    def begin(self):
        for writer in self.writers:
            writer.begin()

    def end_writers(self, expects_death):
        """All threads end; without a reason for it none has met an error."""
        for writer in self.writers:
            writer.stop()
        for writer in self.writers:
            writer.end()
            if writer.error and not expects_death:
                raise Violation("error", f"{writer.name}: {writer.error}")

    def verify(self, root=None, settle=True):
        for writer in self.writers:
            writer.verify(root or self.point, settle)

    def restart_writers(self):
        self.writers = [writer.restart() for writer in self.writers]

    def check_head(self):
        """The branch holds every commit that it held before."""
        head = self.sandbox.head()
        ids = [entry["id"] for entry in self.sandbox.tarn_json("log", "main", "-n", "1000")]
        if self.head not in ids:
            raise Violation("lost commit", f"{self.head} is not below {head}")
        self.head = head

    def commit(self):
        """Committing works (again), and what is committed is what the mount shows."""
        done = self.sandbox.tarn("commit", "-m", "after", at=self.point, code=(0, 1))
        if done.returncode == 1 and b"nothing to commit" not in done.stderr:
            raise Violation("exit commit 1", done.stderr.decode(errors="replace")[-800:])
        for writer in self.writers:
            writer.promise(writer.marks())
        self.check_head()

    def check_all(self):
        self.commit()
        out = self.sandbox.path("export")
        shutil.rmtree(out, ignore_errors=True)
        self.sandbox.tarn("export", "main", out)
        self.verify(out, settle=False)
        shown, exported = trees.take(os.fsencode(self.point)), trees.take(os.fsencode(out))
        trees.Comparison().check(shown, exported, "committed tree")
        self.sandbox.tarn("fsck", "--read-data")
        self.sandbox.tarn("audit", "verify")


def make_bucket(endpoint, name):
    connection = http.client.HTTPConnection(endpoint.split("/")[2], timeout=30)
    connection.request("PUT", f"/{name}")
    if connection.getresponse().status != 200:
        raise Violation("setup", "the bucket cannot be made")
    connection.close()
