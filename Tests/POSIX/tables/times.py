"""utimensat and futimens: values × kinds × flags × users; and which times other calls move."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, world
from rows import FD, do, root, row

NOW, OMIT = (0, UTIME_NOW), (0, UTIME_OMIT)
SET = (1_234_567_890, 123_456_789)
VALUES = (None, (NOW, NOW), (OMIT, OMIT), (NOW, OMIT), (OMIT, NOW), (SET, SET), (SET, OMIT),
          (OMIT, SET), (NOW, SET), (SET, NOW), ((0, 0), (0, 0)), ((1, 999_999_999), (2, 1)),
          ((-1, 0), (-1, 5)), ((-86_400 * 365, 1), (5, 0)), ((2 ** 31, 1), (2 ** 31 - 1, 2)),
          ((2 ** 32, 3), (2 ** 32 + 7, 4)), ((1, 1_000_000_000), (1, 0)), ((1, 0), (1, -1)),
          ((1, 0), (1, (1 << 30))), ((2 ** 33, 0), (3 * 2 ** 32, 9)))
BEYOND = (((-(2 ** 31), 0), (-(2 ** 31), 1)), ((2 ** 34, 5), (2 ** 34, 5)),
          ((-(2 ** 31) - 1, 5), (-(2 ** 33), 5)), ((2 ** 40, 1), (2 ** 40, 1)), ((2 ** 62, 0),
                                                                                 (2 ** 62, 0)))


def rows():
    for kind, times, user in itertools.product(KINDS, VALUES, ("root", "alice", "bob")):
        yield row(world(kind), user, do("utimensat", AT_FDCWD, "g/p/x", times, NONE))
        yield row(world(kind), user, do("utimensat", AT_FDCWD, "g/p/x", times, AT_SYMLINK_NOFOLLOW))
        if kind in ("file", "dir", "fifo", "link"):
            yield row(world(kind), user, root("open", "g/p/x", O_RDONLY | O_NONBLOCK),
                      do("futimens", FD, times))
            yield row(world(kind), user, root("open", "g/p/x", O_PATH | O_NOFOLLOW),
                      do("utimensat", FD, "", times, AT_EMPTY_PATH))
    for kind, times in itertools.product(("file", "dir", "link"), BEYOND):
        yield row(world(kind), "alice",
                  do("utimensat", AT_FDCWD, "g/p/x", times, AT_SYMLINK_NOFOLLOW))
    # "Now" needs write permission, a given time needs the owner.
    for kind, mode, times, user in itertools.product(
        ("file", "dir"), (0o666, 0o444, 0o222, 0o000, 0o600), VALUES[:10], ("alice", "bob")):
        yield row(world(kind, mode), user, do("utimensat", AT_FDCWD, "g/p/x", times, NONE))
    for flags, kind in itertools.product((AT_SYMLINK_FOLLOW, UNKNOWN_FLAG, Named(1, "1")), KINDS):
        yield row(world(kind), "alice", do("utimensat", AT_FDCWD, "g/p/x", None, flags))
    for form, kind in itertools.product(("g/p/x/", "g/p/x/.", "g/p/x/..", "", "g/absent", "."),
                                        KINDS):
        yield row(world(kind), "alice", do("utimensat", AT_FDCWD, form, (SET, SET), NONE))
    # Which times a call moves on an open file or directory.
    for step in (do("read", FD, 4), do("pread", FD, 4, 0), do("pread", FD, 4, 100), do(
            "read", FD, 0), do("write", FD, b"ab"), do("pwrite", FD, b"", 0), do(
                "ftruncate", FD, 10), do("ftruncate", FD, 11), do("ftruncate", FD, 0),
                 do("mmap_read", FD, 10, 0, 4), do("mmap_write", FD, 10, 0, b"12"),
                 do("mmap_write", FD, 10, 0, b"12",
                    MAP_PRIVATE), do("fsync", FD), do("lseek", FD, 3, SEEK_SET), do("fstat", FD),
                 do("fchmod", FD, Octal(0o644)), do("fchown", FD, ALICE[0], ALICE[1]),
                 do("fsetxattr", FD, "user.a", b"1",
                    0), do("fgetxattr", FD, "user.a"), do("flistxattr", FD), do(
                        "flock", FD, LOCK_EX), do("lock", FD, F_SETLK, F_WRLCK, 0,
                                                  0), do("fallocate", FD, NONE, 0, 10),
                 do("fallocate", FD, NONE, 0, 20), do("fallocate", FD, FALLOC_KEEP_SIZE, 0, 50),
                 do("fallocate", FD, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 0,
                    4), do("fallocate", FD, FALLOC_ZERO_RANGE, 0,
                           4), do("posix_fallocate", FD, 0,
                                  10), do("readahead", FD, 0, 10), do("sync_file_range", FD, 0, 0,
                                                                      0), do("setfl", FD, O_APPEND),
                 do("dup", FD, keep="two"), do("copy_file_range", FD, 0, FD, 20, 5, 0)):
        for flags, user in itertools.product(
            (O_RDWR, O_RDWR | O_NOATIME, O_RDWR | O_APPEND, O_RDWR | O_SYNC), ("root", "alice")):
            yield row(world("file"), user, do("open", "g/p/x", flags), step, do("fstat", FD))
    for step in (do("listdir", "g/p/x"), do(
            "chdir", "g/p/x"), do("open", "g/p/x", O_RDONLY | O_DIRECTORY), do("stat", "g/p/x"),
                 do("access", "g/p/x", R_OK), do("readlink", "g/p/x", 100), do("lstat", "g/p/x"),
                 do("getxattr", "g/p/x", "user.a"), do("listxattr",
                                                       "g/p/x"), do("open", "g/p/x", O_PATH)):
        for kind, user in itertools.product(PRESENT, ("root", "alice")):
            if kind != "fifo" or step.call != "open":
                yield row(world(kind), user, step)
    for kind in ("link", "dirlink", "dangling", "loop"):
        yield row(
            world(kind), "alice",
            do("utimensat", AT_FDCWD, "g/p/x", ((1_000_000_000, 0), (1_100_000_000, 0)),
               AT_SYMLINK_NOFOLLOW), do("readlink", "g/p/x", 100), do("tell_times", "g/p/x"))
