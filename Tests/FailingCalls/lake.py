"""A worker's directory: a repository, a mirror, a workspace, and commands on them."""
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import injector

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Shared"))
from programs import is_running, patience, tarn_binary  # noqa: E402

AUTHOR = "Campaign <campaign@example.org>"
SECONDS = patience(40)
TIME = 1_700_000_000
AREAS = ("repository", "target", "cache", "state", "run", "source", "out", "home", "point")


@dataclass
class Result:
    """How a command ended. `code` is None when it had to be killed, negative for a signal."""
    arguments: tuple
    code: int
    output: bytes
    errors: str
    seconds: float = 0


def content(seed, size):
    return random.Random(seed).randbytes(size)


def files_below(directory):
    """{path: bytes} of a local tree; the campaign's trees hold only files and directories."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = file.read()
    return found


def remove(directory):
    """Also a tree that is deeper than Python's stack."""
    subprocess.run(["rm", "-rf", "--", directory], check=False, stderr=subprocess.DEVNULL)


def write_tree(directory, files):
    for name, data in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        # So that files that nobody changed are the same in every load.
        os.utime(path, (TIME, TIME))


def is_mounted(point):
    with open("/proc/self/mounts", "rb") as table:
        return any(os.fsdecode(line.split(b" ")[1]) == point for line in table)


def clear(directory):
    """Ends whatever runs below a directory, and removes it; what was being made meanwhile too."""
    for _ in range(20):
        end_mounts_below(directory)
        remove(directory)
        if not os.path.exists(directory):
            return
        time.sleep(0.1)


def end_mounts_below(directory):
    """Whatever is left of a campaign that was broken off: first the processes, then the mounts."""
    with open("/proc/self/mounts", "rb") as table:
        points = [os.fsdecode(line.split(b" ")[1]) for line in table]
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as line:
                is_ours = os.fsencode(directory + "/") in line.read()
            if is_ours and int(process) != os.getpid():
                os.kill(int(process), signal.SIGKILL)
        except OSError:
            continue
    for point in points:
        if point.startswith(directory + "/"):
            subprocess.run(["fusermount3", "-u", "-z", "--", point], capture_output=True,
                           timeout=30, check=False)


FIRST = {"small": b"hello\n", "large": content(1, 300_000), "gone": content(2, 5_000),
         "cut": content(3, 9_000), "many/1": b"one", "many/2": content(4, 70_000),
         "deep/er/file": content(5, 2_000)}
SECOND = FIRST | {"small": b"hello again\n", "later": content(6, 40_000)}
TOPIC = SECOND | {"topic": content(7, 30_000), "many/1": b"another one"}
THIRD = SECOND | {"others": content(8, 10_000)}
STAGED = {"staged/new": content(9, 50_000), "staged/two": b"two", "large": FIRST["large"][:100_000]
          + content(10, 5_000) + FIRST["large"][105_000:]}
IMPORTED = THIRD | {"imported/1": content(11, 60_000), "imported/2": b"2" * 3_000,
                    "many/2": content(12, 71_000)}
KEPT = {"kept": content(13, 50_000), "small": b"kept\n"}


class Lake:
    def __init__(self, directory):
        self.directory = directory
        self.now = os.path.join(directory, "now")
        self.kept = os.path.join(directory, "kept")
        self.scratch = os.path.join(directory, "scratch")
        os.makedirs(self.scratch)
        for area in AREAS:
            setattr(self, area, os.path.join(self.now, area))
        # The program that the command under test runs; the self-test puts another in its place.
        self.binary = self.tested = tarn_binary()
        self.daemons = set()
        self.seconds = SECONDS
        # Run in each child before its program: limits, another user.
        self.before = None
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.home,
            "LC_ALL": "C.UTF-8", "TARN_AUTHOR": AUTHOR, "TZ": "UTC",
            "SWIFT_BACKTRACE": "enable=no", "TARN_STATE_DIR": self.state,
            "TARN_CACHE_DIR": self.cache, "XDG_RUNTIME_DIR": self.run,
            "TARN_REPO": self.repository}

    # Commands

    def tarn(self, *arguments, code=0, seconds=SECONDS, **variables):
        done = self.outside([self.binary, *arguments], seconds, variables)
        allowed = (code,) if isinstance(code, int) else code
        if allowed and done.code not in allowed:
            raise RuntimeError(f"tarn {arguments}: exit {done.code}: {done.errors[-600:]}")
        return done

    def outside(self, arguments, seconds=SECONDS, variables=None):
        """Runs a program without injection. Output goes to files: a daemon may inherit them."""
        with tempfile.TemporaryFile(dir=self.scratch) as out, \
                tempfile.TemporaryFile(dir=self.scratch) as err:
            began = time.monotonic()
            process = subprocess.Popen(
                arguments, env=self.environment | (variables or {}), cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                preexec_fn=self.before)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = None
            return self.result(arguments, code, out, err, began)

    def injected(self, arguments, injection, names):
        """Runs the command under test; `injection` says what fails, and has what was met."""
        with tempfile.TemporaryFile(dir=self.scratch) as out, \
                tempfile.TemporaryFile(dir=self.scratch) as err:
            began = time.monotonic()
            child, server = injector.begin(
                [self.tested, *arguments], self.environment, self.directory, out.fileno(),
                err.fileno(), injection, names)
            code = injector.wait(child, self.seconds)
            if not is_mounted(self.point):
                server.join(5)
            return self.result(arguments, code, out, err, began)

    def result(self, arguments, code, out, err, began):
        took = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return Result(tuple(arguments), code, out.read(), err.read().decode(errors="replace"), took)

    # Mounts

    def description(self):
        return json.loads(os.getxattr(self.point, "user.tarn.mount"))

    def mounted(self, *options):
        os.makedirs(self.point, exist_ok=True)
        self.tarn("mount", self.repository, self.point, *options)
        self.note_daemon()

    def note_daemon(self):
        self.daemons.add(self.description()["processID"])

    def end_daemons(self):
        for process in self.daemons:
            if is_running(process):
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        end = time.monotonic() + 10
        while any(map(is_running, self.daemons)) and time.monotonic() < end:
            time.sleep(0.005)
        self.daemons.clear()
        for _ in range(5):
            if not is_mounted(self.point):
                break
            subprocess.run(["fusermount3", "-u", "-z", "--", self.point], capture_output=True,
                           timeout=30, check=False)

    # What the repository says

    def exported(self, revision, repository=None):
        """The files of a revision, read past every cache; an error in words otherwise."""
        out = os.path.join(self.scratch, "export")
        remove(out)
        cache = os.path.join(self.scratch, "no-cache")
        remove(cache)
        done = self.tarn("export", revision, out, "--repo", repository or self.repository,
                         code=None, TARN_CACHE_DIR=cache)
        if done.code != 0:
            return f"exit {done.code}: {done.errors.strip()[-300:]}"
        return files_below(out)

    def damage(self, repository=None):
        """What `tarn fsck --read-data` finds, in words; empty when there is nothing."""
        cache = os.path.join(self.scratch, "no-cache")
        done = self.tarn("fsck", "--read-data", "--repo", repository or self.repository,
                         code=None, TARN_CACHE_DIR=cache)
        if done.code == 0:
            return ""
        return f"exit {done.code}: {(done.output.decode(errors='replace') + done.errors)[-300:]}"

    def refs(self):
        return {name: data for name, data in
                files_below(os.path.join(self.repository, "refs")).items()}

    # The beginning of every run

    def build_once(self):
        if not os.path.exists(self.kept):
            self.build()

    def build(self):
        for area in ("source", "home", "run", "state"):
            os.makedirs(getattr(self, area))
        self.tarn("init", self.repository)
        self.load(FIRST, "main")
        self.tarn("tag", "create", "v1", "main")
        self.tarn("branch", "create", "gone", "--from", "main")
        self.tarn("branch", "create", "kept", "--from", "main")
        self.load({"garbage": content(14, 50_000)}, "gone")
        self.load(KEPT, "kept")
        self.tarn("mirror", self.target)
        self.load(SECOND, "main")
        self.tarn("branch", "create", "topic", "--from", "main")
        self.load(TOPIC, "topic")
        self.mounted("--ref", "main", "--write")
        write_tree(self.point, STAGED)
        self.tarn("umount", self.point)
        self.daemons.clear()
        self.load(THIRD, "main")
        self.tarn("branch", "delete", "gone")
        for name in ("gone", "kept"):
            self.tarn("retention", "set", name, "--days", "0")
        # So that nothing is younger than a grace period of no seconds.
        time.sleep(1.1)
        remove(self.source)
        write_tree(self.source, IMPORTED)
        remove(self.cache)
        os.rename(self.now, self.kept)
        self.restore()

    def load(self, files, branch):
        remove(self.source)
        write_tree(self.source, files)
        self.tarn("import", self.source, "--branch", branch, "-m", f"Load {branch}", "--delete")

    def restore(self):
        self.end_daemons()
        remove(self.now)
        subprocess.run(["cp", "-a", "--", self.kept, self.now], check=True)

    def close(self):
        self.end_daemons()
        remove(self.directory)

    # Names of places

    def place(self, path):
        """Where a path lies, without what differs from run to run."""
        parts = os.path.relpath(path, self.now).split(os.sep)
        area, rest = parts[0], [VARYING.sub("*", part) for part in parts[1:]]
        return f"{area}:{'/'.join(rest)}"


VARYING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|^[0-9a-f]{2}$"
                     r"|^\d+(?=\.|$)|(?<=-)\d{4,}")


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]
