"""Events of a run of the random campaign: commits, also half-way, and ends of the mount."""
import fcntl
import hashlib
import os
import random
import sqlite3
import time

import trees
from sandbox import Violation


class CommitEvents:
    """A part of `Run`."""

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
