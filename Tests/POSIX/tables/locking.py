"""flock, record locks of processes and of open files: between two processes, and within one."""
import itertools

from names import *
from objects import world
from rows import FD, do, row

TWO = Descriptor("two")
RANGES = ((0, 0), (0, 10), (5, 5), (5, 10), (10, 0), (20, 5))


def mine(*arguments):
    return do("lock", FD, *arguments)


def theirs(*arguments):
    return do("lock", FD, *arguments, other=True)


def rows():
    here = world("file")
    both = (do("open", "g/p/x", O_RDWR), do("open", "g/p/x", O_RDWR, other=True))
    shared, exclusive, unlock = LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, LOCK_UN
    for one, two, three in itertools.product(
        (shared, exclusive, unlock), (shared, exclusive, unlock), (shared, exclusive, unlock)):
        yield row(here, "alice", *both, do("flock", FD, one), do("flock", FD, two, other=True),
                  do("flock", FD, three), do("flock", FD, exclusive, other=True))
        yield row(here, "alice", do("open", "g/p/x", O_RDWR),
                  do("open", "g/p/x", O_RDONLY, keep="two"), do("flock", FD, one),
                  do("flock", TWO, two), do("flock", FD, three), do("flock", TWO, exclusive))
        yield row(here, "alice", do("open", "g/p/x", O_RDWR), do("dup", FD, keep="two"),
                  do("flock", FD, one), do("flock", TWO, two), do("close", FD),
                  do("flock", TWO, three))
    for operation in (shared, exclusive, unlock, LOCK_SH | LOCK_EX, NONE, LOCK_NB, Named(64, "64")):
        for kind, flags in itertools.product(("file", "empty", "dir", "fifo", "link"),
                                             (O_RDONLY, O_WRONLY, O_RDWR, O_PATH)):
            yield row(world(kind), "alice", do("open", "g/p/x", flags | O_NONBLOCK),
                      do("flock", FD, operation))
    # Closing lets go.
    for way in (do("close", FD), do("flock", FD, unlock)):
        yield row(here, "alice", *both, do("flock", FD, exclusive),
                  do("flock", FD, exclusive, other=True), way, do("flock",
                                                                  FD,
                                                                  exclusive,
                                                                  other=True))
        yield row(here, "alice", *both, mine(F_SETLK, F_WRLCK, 0, 0), theirs(
            F_SETLK, F_RDLCK, 0, 0), way, theirs(F_SETLK, F_RDLCK, 0, 0))
    # Closing any descriptor of the file loses a process's record locks, but no open file's.
    for command in (F_SETLK, F_OFD_SETLK):
        yield row(here, "alice", *both, do("open", "g/p/x", O_RDONLY, keep="two"),
                  mine(command, F_WRLCK, 0, 10), do("close", TWO), theirs(command, F_WRLCK, 0, 10))
    for kind, first, second in itertools.product((F_RDLCK, F_WRLCK), RANGES, RANGES):
        for other_kind in (F_RDLCK, F_WRLCK):
            yield row(here, "alice", *both, mine(F_SETLK, kind, *first),
                      theirs(F_SETLK, other_kind, *second), theirs(F_GETLK, other_kind, *second))
            yield row(
                here, "bob" if kind == other_kind == F_RDLCK else "alice",
                *(both if kind == F_WRLCK or other_kind == F_WRLCK else
                  (do("open", "g/p/x", O_RDONLY), do("open", "g/p/x", O_RDONLY, other=True))),
                mine(F_OFD_SETLK, kind, *first), theirs(F_OFD_SETLK, other_kind, *second),
                theirs(F_OFD_GETLK, other_kind, *second))
        yield row(here, "alice", *both, mine(F_SETLK, kind, *first), mine(
            F_SETLK, F_UNLCK, *second), theirs(F_GETLK, F_WRLCK, 0, 0),
                  theirs(F_SETLK, F_WRLCK, *second), theirs(F_SETLK, F_WRLCK, *first))
        yield row(here, "alice", *both, mine(F_SETLK, kind, *first),
                  mine(F_SETLK, F_RDLCK if kind == F_WRLCK else F_WRLCK, *second),
                  theirs(F_GETLK, F_RDLCK, 0, 0), theirs(F_GETLK, F_WRLCK, 0, 0))
    for command, kind, flags in itertools.product((F_SETLK, F_OFD_SETLK, F_GETLK, F_OFD_GETLK),
                                                  (F_RDLCK, F_WRLCK, F_UNLCK, Named(9, "9")),
                                                  (O_RDONLY, O_WRONLY, O_RDWR, O_PATH)):
        for target in ("file", "dir", "fifo"):
            yield row(world(target), "alice", do("open", "g/p/x", flags | O_NONBLOCK),
                      mine(command, kind, 0, 10))
    for start, length, whence in itertools.product((0, 5, -1, -5, 2 ** 63 - 1),
                                                   (0, 5, -3, -10, 2 ** 63 - 1),
                                                   (SEEK_SET, SEEK_CUR, SEEK_END, Named(7, "7"))):
        yield row(here, "alice", *both, do("lseek", FD, 4, SEEK_SET),
                  mine(F_SETLK, F_WRLCK, start, length, whence), theirs(F_GETLK, F_WRLCK, 0, 0))
    # flock and record locks do not know of each other.
    yield row(here, "alice", *both, do("flock", FD, exclusive), theirs(F_SETLK, F_WRLCK, 0, 0),
              theirs(F_GETLK, F_RDLCK, 0, 0))
    for way in (do("unlink", "g/p/x"), do("rename", "g/p/x", "g/p/z")):
        yield row(here, "alice", *both, mine(F_SETLK, F_WRLCK, 0, 5), way,
                  theirs(F_SETLK, F_WRLCK, 3, 5), theirs(F_SETLK, F_WRLCK, 5, 5))
        yield row(here, "alice", *both, do("flock", FD, exclusive), way,
                  do("flock", FD, shared, other=True))
