"""chmod, chown and their relatives: values × kinds × users; when set-user-ID and set-group-ID
go."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, TEAM, world
from rows import FD, do, root, row

MODES = octal(0, 0o001, 0o111, 0o222, 0o444, 0o644, 0o755, 0o777, 0o1777, 0o2755, 0o2745, 0o4755,
              0o6711, 0o7777, 0o10777, 0o100644)
KEEP = Named(0xFFFFFFFF, "-1")
PAIRS = ((KEEP, KEEP), (ALICE[0], KEEP), (KEEP, ALICE[1]), (KEEP, TEAM), (KEEP, BOB[1]),
         (BOB[0], KEEP), (ALICE[0], TEAM), (BOB[0], BOB[1]), (0, 0), (KEEP, 0), (0, KEEP),
         (ALICE[0], ALICE[1]), (4_000_000_000, 4_000_000_001))
FORMS = ("g/p/x/", "g/p/x/.", "g/p/x/..", "", "g/p/x/inside", "g/absent", ".", "..")


def rows():
    for kind, mode, user in itertools.product(KINDS, MODES, ("root", "alice", "bob")):
        yield row(world(kind), user, do("chmod", "g/p/x", mode))
        if mode in (0o644, 0o4755, 0o2745, 0o7777):
            yield row(world(kind), user, do("fchmodat", AT_FDCWD, "g/p/x", mode, NONE))
            yield row(world(kind), user, do("fchmodat", AT_FDCWD, "g/p/x", mode,
                                            AT_SYMLINK_NOFOLLOW))
            yield row(world(kind), user, do("fchmodat", AT_FDCWD, "g/p/x", mode, UNKNOWN_FLAG))
            for flags in (O_RDONLY, O_RDWR, O_PATH):
                yield row(world(kind), user, root("open", "g/p/x", flags | O_NONBLOCK),
                          do("fchmod", FD, mode), do("fstat", FD))
    # Set-group-ID is lost where the owner is not in the file's group.
    for kind, mode, group, user in itertools.product(("file", "empty", "dir", "fifo"),
                                                     octal(0o2755, 0o2745, 0o6777, 0o2000, 0o1644,
                                                           0o1755), (ALICE[1], TEAM, BOB[1], 0),
                                                     ("root", "alice")):
        here = world(kind, owner=(ALICE[0], group))
        yield row(here, user, do("chmod", "g/p/x", mode))
        yield row(here, user, root("open", "g/p/x", O_RDONLY | O_NONBLOCK), do("fchmod", FD, mode))
    for kind, (uid, gid), user in itertools.product(KINDS, PAIRS, ("root", "alice", "bob")):
        yield row(world(kind), user, do("chown", "g/p/x", uid, gid))
        yield row(world(kind), user, do("lchown", "g/p/x", uid, gid))
        yield row(world(kind), user, do("fchownat", AT_FDCWD, "g/p/x", uid, gid,
                                        AT_SYMLINK_NOFOLLOW))
    for kind, user in itertools.product(KINDS, ("root", "alice", "bob")):
        for flags in (O_RDONLY | O_NONBLOCK, O_PATH | O_NOFOLLOW):
            yield row(world(kind), user, root("open", "g/p/x", flags), do("fchown", FD, KEEP, TEAM))
            yield row(world(kind), user, root("open", "g/p/x", flags),
                      do("fchownat", FD, "", KEEP, TEAM, AT_EMPTY_PATH))
        yield row(world(kind), user, do("fchownat", AT_FDCWD, "g/p/x", KEEP, TEAM, UNKNOWN_FLAG))
    # What a change of owner does to set-user-ID and set-group-ID.
    for kind, mode, (uid, gid), user in itertools.product(
        ("file", "dir", "fifo"), (0o4755, 0o6755, 0o2745, 0o6711, 0o7777, 0o6644, 0o2010), PAIRS,
        ("root", "alice")):
        yield row(world(kind, mode), user, do("chown", "g/p/x", uid, gid))
    # What writing does to them.
    for mode, user in itertools.product((0o4777, 0o6777, 0o2777, 0o2767, 0o6666, 0o7777, 0o1777),
                                        ("root", "alice", "bob")):
        here = world("file", mode)
        yield row(here, user, do("open", "g/p/x", O_WRONLY), do("write", FD, b"!"))
        yield row(here, user, do("open", "g/p/x", O_WRONLY), do("write", FD, b""))
        yield row(here, user, do("open", "g/p/x", O_WRONLY), do("pwrite", FD, b"!", 100))
        yield row(here, user, do("open", "g/p/x", O_WRONLY | O_TRUNC))
        yield row(here, user, do("open", "g/p/x", O_WRONLY | O_APPEND), do("write", FD, b"more"))
        yield row(here, user, do("truncate", "g/p/x", 5))
        yield row(here, user, do("truncate", "g/p/x", 10))
        yield row(here, user, do("open", "g/p/x", O_WRONLY), do("ftruncate", FD, 3))
        yield row(here, user, do("open", "g/p/x", O_RDWR), do("fallocate", FD, NONE, 0, 100))
        yield row(here, user, do("open", "g/p/x", O_RDWR),
                  do("fallocate", FD, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 0, 4))
        yield row(here, user, do("open", "g/p/x", O_RDWR), do("mmap_write", FD, 10, 0, b"!"))
        yield row(here, user, do("setxattr", "g/p/x", "user.a", b"1", 0))
        yield row(here, user, do("utimensat", AT_FDCWD, "g/p/x", None, NONE))
        yield row(here, user, do("link", "g/p/x", "g/p/n"))
        yield row(here, user, do("rename", "g/p/x", "g/p/n"))
    for form, kind, user in itertools.product(FORMS, KINDS, ("root", "alice")):
        yield row(world(kind), user, do("chmod", form, Octal(0o700)))
        yield row(world(kind), user, do("chown", form, KEEP, TEAM))
        yield row(world(kind), user, do("lchown", form, KEEP, TEAM))
