"""What is scarce, full, read-only or missing in a cell."""
import ctypes
import os
import resource
import stat
import subprocess
from dataclasses import dataclass

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
# A user that nobody is, with a home directory of its own.
USER = 65533


@dataclass(frozen=True)
class Condition:
    """`kind` says what commands may do then: `work`, `work without a cache`, or `explain`.

    `explain`: they do their work, or say why not, in words that `words` matches."""
    name: str
    kind: str
    words: str = ""
    limits: tuple = ()
    area: str = ""
    is_full: bool = False
    home: str = None

    @property
    def is_of_addresses(self):
        return any(which == resource.RLIMIT_AS for which, _ in self.limits)

    def begin(self, lake):
        """Called in a mount namespace of the cell's own, with a lake that is as built."""
        if self.limits:
            lake.before = self.limit
        if self.area:
            self.replace(lake, getattr(lake, self.area))
        if self.home is not None:
            self.become_somebody(lake)

    def limit(self):
        for which, value in self.limits:
            resource.setrlimit(which, (value, value))

    def replace(self, lake, directory):
        """A small file system in the place of a directory, full or read-only."""
        os.makedirs(directory, exist_ok=True)
        copy = directory + ".copy"
        subprocess.run(["cp", "-a", "--", directory, copy], check=True)
        run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", directory)
        subprocess.run(["cp", "-a", "--", f"{copy}/.", directory], check=True)
        if self.is_full:
            fill(directory)
        else:
            run("mount", "-o", "remount,ro", directory)

    def become_somebody(self, lake):
        home = lake.home
        passwd = os.path.join(lake.scratch, "passwd")
        with open("/etc/passwd", encoding="utf-8") as old, open(passwd, "w") as new:
            new.write(old.read() + f"somebody:x:{USER}:{USER}::{home}:/bin/sh\n")
        os.chmod(passwd, 0o644)
        run("mount", "--bind", passwd, "/etc/passwd")
        fuse = os.path.join(lake.scratch, "fuse")
        if not os.path.exists(fuse):
            os.mknod(fuse, stat.S_IFCHR | 0o666, os.stat("/dev/fuse").st_rdev)
        os.chmod(fuse, 0o666)
        run("mount", "--bind", fuse, "/dev/fuse")
        subprocess.run(["chown", "-R", f"{USER}:{USER}", lake.now], check=True)
        os.chmod(os.path.dirname(lake.directory), 0o755)
        for directory in (lake.directory, lake.scratch):
            os.chmod(directory, 0o777)
        for name in ("HOME", "TARN_STATE_DIR", "TARN_CACHE_DIR"):
            lake.environment.pop(name, None)
        if self.home:
            lake.environment["HOME"] = self.home
        else:
            lake.state = os.path.join(home, ".local/state/tarn")
        lake.before = become


def become():
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)


def fill(directory):
    """Takes all room that there is, to the last byte."""
    descriptor = os.open(os.path.join(directory, "lost+found"), os.O_CREAT | os.O_WRONLY, 0o600)
    size = 1 << 20
    while size:
        try:
            os.write(descriptor, b"x" * size)
        except OSError:
            size //= 2
    os.close(descriptor)


def run(*arguments):
    subprocess.run(arguments, check=True, capture_output=True)


def own_mounts():
    """A mount namespace of this process's own: what it mounts goes with it."""
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


FULL, READ_ONLY = "No space left on device|disk is full", "Read-only file system"
CONDITIONS = (
    Condition("ulimit -n 64", "work", limits=((resource.RLIMIT_NOFILE, 64),)),
    Condition("ulimit -s 1024", "work", limits=((resource.RLIMIT_STACK, 1 << 20),)),
    Condition("ulimit -v 512 MiB", "explain", "memory|threads?",
              limits=((resource.RLIMIT_AS, 512 << 20),)),
    Condition("full cache", "work without a cache", area="cache", is_full=True),
    Condition("read-only cache", "work without a cache", area="cache"),
    Condition("full state", "explain", FULL, area="state", is_full=True),
    Condition("read-only state", "explain", READ_ONLY, area="state"),
    Condition("full runtime", "explain", FULL, area="run", is_full=True),
    Condition("read-only runtime", "explain", READ_ONLY, area="run"),
    Condition("HOME unset", "work", home=""),
    Condition("HOME=/", "work", home="/"),
)
