"""link, linkat, O_TMPFILE: kinds × kinds × flags × users, and names for files that have none."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, TEAM, world
from rows import FD, do, root, row

FORMS = ("g/p/x", "g/p/x/", "g/p/x/.", "g/p/x/..", "g/p/./x", "", ".", "..", "g/p", "g/p/x/inside",
         "g/p/x/absent")


def rows():
    for one, two, user in itertools.product(KINDS, KINDS, ("root", "bob")):
        here = world(one, second=two)
        yield row(here, user, do("link", "g/p/x", "g/p/y"))
        yield row(here, user, do("linkat", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/y", AT_SYMLINK_FOLLOW))
    for kind, form, user in itertools.product(KINDS, FORMS, ("root", "alice")):
        here = world(kind)
        yield row(here, user, do("link", form, "g/p/new"))
        yield row(here, user, do("linkat", AT_FDCWD, form, AT_FDCWD, "g/p/new", AT_SYMLINK_FOLLOW))
        yield row(here, user, do("linkat", AT_FDCWD, form, AT_FDCWD, "g/p/new", AT_EMPTY_PATH))
        yield row(world("file", second=kind), user, do("link", "g/p/x", form.replace("x", "y")))
        yield row(world("file", second=kind), user, do("link", "g/p/x",
                                                       form.replace("x", "y") + "/"))
    for flags, kind in itertools.product(
        (AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, UNKNOWN_FLAG, Named(1, "1")), KINDS):
        yield row(world(kind), "root", do("linkat", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/new", flags))
    # Who may link what (fs.protected_hardlinks): own files, and those without set-user-ID that one
    # may read and write.
    for kind, mode, owner, user in itertools.product(
        ("file", "fifo", "socket", "char", "link"),
        (0o600, 0o644, 0o666, 0o4666, 0o2676, 0o2666, 0o444, 0o222), (ALICE, (BOB[0], TEAM), ROOT),
        ("alice", "root")):
        yield row(world(kind, mode, owner), user, do("link", "g/p/x", "g/p/new"))
    for kind, user in itertools.product(PRESENT, ("root", "alice", "bob")):
        for flags in (O_PATH | O_NOFOLLOW, O_RDONLY | O_NONBLOCK):
            yield row(world(kind), user, root("open", "g/p/x", flags),
                      do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH))
            yield row(world(kind), user, do("open", "g/p/x", flags),
                      do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH))
            yield row(world(kind), user, do("open", "g/p/x", flags),
                      do("linkat", FD, "", AT_FDCWD, "g/p/new", NONE))
    yield from nameless()


def nameless():
    writing = do("write", FD, b"no name yet")
    for kind, access, user in itertools.product(KINDS, (O_RDONLY, O_WRONLY, O_RDWR),
                                                ("root", "alice")):
        yield row(world(kind), user, do("open", "g/p/x", O_TMPFILE | access, Octal(0o640)),
                  do("fstat", FD))
    for mode, flags, user in itertools.product(octal(0, 0o600, 0o644, 0o2755, 0o4777),
                                               (NONE, O_EXCL, O_APPEND, O_SYNC), ("root", "alice")):
        opening = do("open", "g/p", O_TMPFILE | O_RDWR | flags, mode)
        yield row(world("file"), user, opening, writing, do("fstat", FD), do("pread", FD, 20, 0))
        yield row(world("file"), user, opening, writing,
                  do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH), do("fstat", FD))
        yield row(world("file"), "root", opening, writing,
                  do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH),
                  do("linkat", FD, "", AT_FDCWD, "second", AT_EMPTY_PATH), do("unlink", "g/p/new"),
                  do("fstat", FD))
    for kind in KINDS:
        yield row(world("absent", second=kind), "root",
                  do("open", "g", O_TMPFILE | O_RDWR, Octal(0o600)), writing,
                  do("linkat", FD, "", AT_FDCWD, "g/p/y", AT_EMPTY_PATH), do("fstat", FD))
    for step in (do(
            "fchmod", FD, Octal(0o4711)), do("fchown", FD, ALICE[0], TEAM), do(
                "ftruncate", FD, 100), do("fallocate", FD, NONE, 0,
                                          9000), do("fsetxattr", FD, "user.k", b"v", 0),
                 do("futimens", FD, ((1, 2), (3, 4))), do("lseek", FD, 0, SEEK_DATA), do(
                     "fsync", FD), do("mmap_write", FD, 11, 3, b"map"), do(
                         "unlink", "g/p/new"), do("rename", "g/p/new", "g/p/other")):
        yield row(world("absent"), "root", do("open", "g/p", O_TMPFILE | O_RDWR, Octal(0o644)),
                  writing, step, do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH),
                  do("fstat", FD), do("flistxattr", FD))
        yield row(world("absent"), "root", do("open", "g/p", O_TMPFILE | O_RDWR, Octal(0o644)),
                  writing, do("linkat", FD, "", AT_FDCWD, "g/p/new", AT_EMPTY_PATH), step,
                  do("fstat", FD))
    for mode, owner, user in itertools.product((0o777, 0o555, 0o700, 0o733, 0o000),
                                               (ALICE, BOB, ROOT), ("root", "alice")):
        yield row(world("file", parent=(mode, owner)), user,
                  do("open", "g/p", O_TMPFILE | O_RDWR, Octal(0o600)), do("fstat", FD))
