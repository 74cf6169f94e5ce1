"""The *at calls: what their descriptor may be, absolute paths, and where they act; statx."""
import itertools

from names import *
from objects import ALICE, KINDS, TEAM, entry, world
from rows import FD, do, row

CLOSED = Named(999, "999")
NEGATIVE = Named(-1, "-1")


def at_calls(fd, path):
    """Every call that takes a descriptor and a path, one a line."""
    yield do("openat", fd, path, O_RDONLY | O_NONBLOCK, keep="new")
    yield do("openat", fd, path, O_RDWR | O_CREAT, Octal(0o640), keep="new")
    yield do("openat", fd, path, O_PATH | O_NOFOLLOW, keep="new")
    yield do("mkdirat", fd, path, Octal(0o750))
    yield do("mkfifoat", fd, path, Octal(0o640))
    yield do("mknodat", fd, path, S_IFREG | Octal(0o640), 0)
    yield do("symlinkat", "target", fd, path)
    yield do("readlinkat", fd, path, 100)
    yield do("linkat", fd, path, AT_FDCWD, "g/new", NONE)
    yield do("linkat", AT_FDCWD, "t0", fd, path, NONE)
    yield do("renameat", fd, path, AT_FDCWD, "g/new")
    yield do("renameat", AT_FDCWD, "t0", fd, path)
    yield do("renameat2", fd, path, fd, "other", RENAME_NOREPLACE)
    yield do("unlinkat", fd, path, NONE)
    yield do("unlinkat", fd, path, AT_REMOVEDIR)
    yield do("fchmodat", fd, path, Octal(0o600), NONE)
    yield do("fchownat", fd, path, ALICE[0], TEAM, AT_SYMLINK_NOFOLLOW)
    yield do("utimensat", fd, path, ((7, 7), (8, 8)), NONE)
    yield do("faccessat", fd, path, R_OK, NONE)
    yield do("fstatat", fd, path, False)
    yield do("statx", fd, path, AT_SYMLINK_NOFOLLOW, 0x7FF)


def rows():
    more = (entry("t0", "file"), )
    for kind in KINDS:
        here = world(kind, more=more)
        for flags in (O_RDONLY | O_NONBLOCK, O_PATH | O_NOFOLLOW):
            opening = do("open", "g/p/x", flags)
            for path in ("inside", "%W/g/p/x", "../x", ""):
                for call in at_calls(FD, path):
                    if "%W" not in path or flags == O_RDONLY | O_NONBLOCK:
                        yield row(here, "alice", opening, call)
        for call in at_calls(FD, "x"):
            yield row(here, "alice", do("open", "g/p", O_RDONLY | O_DIRECTORY), call)
            yield row(here, "bob", do("open", "g/p", O_PATH), do("chdir", "g"), call)
        for fd in (CLOSED, NEGATIVE):
            for path in ("x", "%W/g/p/x"):
                if kind in ("file", "dir", "absent"):
                    for call in at_calls(fd, path):
                        yield row(here, "alice", call)
    here = world("file", more=more)
    for fd in (CLOSED, NEGATIVE):
        for call in (do("fstat", fd), do("fchmod", fd, Octal(0o600)), do(
                "fchown", fd, 1, 1), do("ftruncate", fd, 0), do("read", fd, 1), do(
                    "write", fd, b"x"), do("lseek", fd, 0, SEEK_SET), do("fsync", fd),
                     do("fdatasync", fd), do("flock", fd, LOCK_EX), do("futimens", fd, None),
                     do("fchdir", fd), do("fallocate", fd, NONE, 0, 1), do(
                         "listdir", fd), do("fgetxattr", fd, "user.a"), do("flistxattr", fd),
                     do("close", fd), do("copy_file_range", fd, 0, fd, 0, 1,
                                         NONE), do("lock", fd, F_GETLK, F_RDLCK, 0,
                                                   0), do("mmap", fd, 4096, MAP_SHARED, PROT_READ)):
            yield row(here, "root", call)
    for kind, flags, mask in itertools.product(
            KINDS,
        (NONE, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, UNKNOWN_FLAG, Named(
            0x2000, "AT_STATX_FORCE_SYNC"), Named(
                0x4000, "AT_STATX_DONT_SYNC"), Named(0x6000, "0x6000")), (0x7FF, 0x200, 0)):
        yield row(world(kind), "bob", do("statx", AT_FDCWD, "g/p/x", flags, mask))
        if flags == AT_EMPTY_PATH:
            yield row(world(kind), "bob", do("open", "g/p/x", O_PATH | O_NOFOLLOW),
                      do("statx", FD, "", flags, mask))
