"""Runs programs, and a repository with a branch mounted for them."""
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

TARN = shutil.which(os.environ.get("TARN", "tarn"))
TIMEOUT_SECONDS = 60


def begin(*command, **options):
    return subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, **options)


def end(process):
    """Ends the program, if it runs, with all that it started, which would go on to use the mount."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(process, code=0, timeout=TIMEOUT_SECONDS):
    """What the program printed; any other exit code than `code` fails the test."""
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == code, f"{process.args} ended with {process.returncode}:\n{output}{errors}"
    return output


def run_together(*commands):
    processes = [begin(*command) for command in commands]
    try:
        return [finish(process) for process in processes]
    finally:
        for process in processes:
            end(process)


def run(*command, code=0, timeout=TIMEOUT_SECONDS, **options):
    process = begin(*command, **options)
    try:
        return finish(process, code, timeout)
    finally:
        end(process)


def shell(script, **options):
    return run("sh", "-euc", script, **options)


def python(program, *arguments):
    """The command that runs `program`, with the libraries that the tests have."""
    return [sys.executable, "-c", program, *arguments]


def describe(path):
    """What Tarn keeps of `path`: type, mode, owner, modification time, link target, attributes, size, content."""
    status = path.lstat()
    facts = [stat.filemode(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns]
    if path.is_symlink():
        return facts + [os.readlink(path)]
    facts.append({name: os.getxattr(path, name) for name in os.listxattr(path) if name.startswith("user.")})
    if path.is_file():
        with path.open("rb") as file:
            facts += [status.st_size, hashlib.file_digest(file, "sha256").hexdigest()]
    return facts


def tree(top):
    def fail(error):
        raise error

    return {
        str(path.relative_to(top)): describe(path)
        for directory, directories, files in os.walk(top, onerror=fail)
        for path in (Path(directory, name) for name in directories + files)
    }


class Lake:
    """A repository of its own. `mount` shows its branch `work` for writing, and after `publish` main, read-only."""

    def __init__(self, directory):
        self.mount = directory / "mount"
        self.outside = directory / "outside"
        self.repository = directory / "repository"
        self.environment = os.environ | {
            "TARN_REPO": str(self.repository),
            "TARN_STATE_DIR": str(directory / "state"),
            "TARN_CACHE_DIR": str(directory / "cache"),
            "TARN_AUTHOR": "Ada <ada@example.org>",
        }

    def tarn(self, *arguments, **options):
        return run(TARN, *arguments, env=self.environment, **options)

    def start(self):
        self.mount.mkdir()
        self.outside.mkdir()
        self.tarn("init", self.repository)
        self.tarn("branch", "create", "work")
        self.mount_again("work", "--write")

    def mount_again(self, revision, *options):
        if self.mount.is_mount():
            self.tarn("umount", self.mount)
        self.tarn("mount", self.repository, self.mount, "--ref", revision, *options)

    def commit(self):
        staged = tree(self.mount)
        self.tarn("commit", "-m", "what the program did", cwd=self.mount)
        assert json.loads(self.tarn("status", "--json", cwd=self.mount))["changes"] == []
        assert tree(self.mount) == staged
        return staged

    def next_day(self):
        """Commits and mounts the branch again, so that what follows changes committed files instead of staged ones."""
        committed = self.commit()
        self.mount_again("work", "--write")
        assert tree(self.mount) == committed

    def publish(self, read=lambda: None):
        """Commits what is staged, merges it into main, and mounts main where the branch was, so that absolute paths
        lead to the published files. Every file, and what `read` returns, must be the same all the way."""
        result = read()
        committed = self.commit()
        self.tarn("merge", "work", "--into", "main", "-m", "publish")
        self.mount_again("main")
        assert tree(self.mount) == committed
        assert read() == result
        self.tarn("fsck", "--read-data")
        return result

    def stop(self):
        """Leaves no mount behind; that it took force is a failure."""
        if not self.mount.is_mount():
            return
        try:
            self.tarn("umount", self.mount)
        except BaseException:
            subprocess.run(["fusermount3", "-uz", self.mount], timeout=TIMEOUT_SECONDS, check=False)
            raise
