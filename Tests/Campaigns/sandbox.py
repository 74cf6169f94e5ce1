"""A directory, a repository and mounts of a campaign's own; whatever was started is ended with it."""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Shared"))
from programs import is_running, patience, tarn_binary  # noqa: E402


class Violation(Exception):
    """A promise was broken. `kind` is stable between runs, so that a shrunk list fails for the same reason."""

    def __init__(self, kind, detail=""):
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.detail = detail


def end_process(process, seconds=5):
    """SIGTERM, then SIGKILL, and reaped."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def is_mount_point(point):
    """Read from the kernel's table: a stat of a dead mount fails, and of a hung one hangs."""
    wanted = os.path.realpath(os.path.dirname(point)) + "/" + os.path.basename(point)
    with open("/proc/self/mounts", "rb") as table:
        return any(line.split(b" ")[1] == os.fsencode(wanted) for line in table)


class Sandbox:
    TIMEOUT = patience(120)

    def __init__(self, name="campaign", endpoint=None):
        self.directory = tempfile.mkdtemp(prefix=f"tarn-{name}-")
        self.binary = tarn_binary()
        self.repository = self.path("lake")
        self.mounts = []
        self.servers = {}
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.directory, "LC_ALL": "C.UTF-8",
            "TARN_AUTHOR": "Campaign <campaign@example.org>", "TARN_STATE_DIR": self.path("state"),
            "TARN_CACHE_DIR": self.path("cache"), "XDG_RUNTIME_DIR": self.directory,
        }
        if endpoint:
            # A bucket's name ends with a letter or a digit; a temporary directory's may not.
            self.repository = f"s3://{os.path.basename(self.directory).replace('_', '-').lower()}-x/lake"
            self.environment |= {
                "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1"}
        self.environment["TARN_REPO"] = self.repository

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    # Commands

    def start(self, *arguments, at=None, prefix=(), **options):
        command = [*prefix, self.binary, *(["-C", at] if at else []), *arguments]
        return subprocess.Popen(
            command, env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **options)

    def finish(self, process, timeout=None):
        """The exit code, output and errors of what `start` started; a command that never ends is a violation."""
        try:
            output, errors = process.communicate(timeout=timeout or self.TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Violation("hang", f"{process.args} did not end") from None
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def tarn(self, *arguments, code=0, at=None, timeout=None):
        """Runs tarn; any other exit code than `code` (a number or several; None: any) is a violation."""
        done = self.finish(self.start(*arguments, at=at), timeout)
        allowed = (code,) if isinstance(code, int) else code
        if allowed is not None and done.returncode not in allowed:
            text = (done.stdout[-500:] + done.stderr[-1500:]).decode(errors="replace")
            raise Violation(f"exit {arguments[0]} {done.returncode}", f"tarn {arguments} wants {allowed}:\n{text}")
        return done

    def tarn_json(self, *arguments, at=None):
        return json.loads(self.tarn(*arguments, "--json", at=at).stdout)

    def head(self, branch="main"):
        return self.tarn_json("log", branch, "-n", "1")[0]["id"]

    # Mounts

    def mount(self, point, *options):
        os.makedirs(point, exist_ok=True)
        if point not in self.mounts:
            self.mounts.append(point)
        # The mount's process inherits the pipes of the command that starts it, so its output goes to a file.
        with open(self.path("mount.out"), "ab") as out:
            done = subprocess.run(
                [self.binary, "mount", self.repository, point, *options], env=self.environment, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=self.TIMEOUT)
        if done.returncode:
            with open(self.path("mount.out"), "rb") as out:
                raise Violation("mount failed", out.read()[-1500:].decode(errors="replace"))
        description = json.loads(os.getxattr(point, "user.tarn.mount"))
        self.servers[point] = description["processID"]
        return description

    def unmount(self, point):
        self.tarn("umount", point)
        self.servers.pop(point, None)

    def kill_server(self, point, number=signal.SIGKILL):
        """Kills the mount's process and takes the dead mount away."""
        process = self.servers.pop(point)
        os.kill(process, number)
        wait_until(lambda: not is_running(process), 20, "the killed mount does not end")
        self.detach(point)

    def detach(self, point):
        for _ in range(5):
            if not is_mount_point(point):
                return
            subprocess.run(["fusermount3", "-u", "-z", "--", point], capture_output=True, timeout=30)
            time.sleep(0.02)

    def logs(self, last=40):
        lines = []
        for directory, _, names in os.walk(os.path.join(self.environment["TARN_STATE_DIR"], "log")):
            for name in sorted(names):
                with open(os.path.join(directory, name), errors="replace") as log:
                    lines += log.read().splitlines()
        return lines[-last:]

    def close(self, keep=False):
        for point in self.mounts:
            process = self.servers.pop(point, None)
            if is_mount_point(point):
                try:
                    self.tarn("umount", point, timeout=patience(20))
                except Violation:
                    if process and is_running(process):
                        os.kill(process, signal.SIGKILL)
                    self.detach(point)
            elif process and is_running(process):
                os.kill(process, signal.SIGKILL)
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)


def end_thread(thread, seconds, who):
    """Tells a thread to stop and waits for it; raises the violation that it found."""
    thread.stopping.set()
    thread.join(patience(seconds))
    if thread.is_alive():
        raise Violation("hang", f"{who} does not end")
    if thread.violation:
        raise thread.violation


def wait_until(condition, seconds, what):
    end = time.monotonic() + patience(seconds)
    while not condition():
        if time.monotonic() > end:
            raise Violation("hang", what)
        time.sleep(0.005)


# What Python's os module has not.

libc = ctypes.CDLL(None, use_errno=True)
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def renameat2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, ctypes.c_char_p(old), AT_FDCWD, ctypes.c_char_p(new), ctypes.c_uint(flags)))


def fallocate(descriptor, mode, offset, length):
    checked(libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def link_descriptor(descriptor, path):
    """Gives a file that was opened with O_TMPFILE its name."""
    source = f"/proc/self/fd/{descriptor}".encode()
    checked(libc.linkat(AT_FDCWD, ctypes.c_char_p(source), AT_FDCWD, ctypes.c_char_p(path), AT_SYMLINK_FOLLOW))
