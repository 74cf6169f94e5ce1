"""open, openat, creat: flags × kinds of object × users, and forms of the path."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, ROOT, TEAM, world
from rows import FD, do, row

ACCESS = (O_RDONLY, O_WRONLY, O_RDWR)
CREATION = (NONE, O_CREAT, O_CREAT | O_EXCL)
EXTRA = (NONE, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_DIRECT, O_SYNC, O_NOATIME,
         O_TRUNC | O_APPEND, O_NOFOLLOW | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_TRUNC | O_NOFOLLOW)
# A pipe without a partner would make the caller wait.
PATIENCE = O_NONBLOCK
FORMS = ("g/p/x/", "g/p/x/.", "g/p/x/..", "g/p/./x", "g//p//x", "g/p/../p/x", "g/p/x/inside",
         "g/p/x/absent", "g/p/x/../x")


def combinations():
    for kind, access, creation, extra in itertools.product(KINDS, ACCESS, CREATION, EXTRA):
        flags = access | creation | extra | PATIENCE
        mode = Octal(0o640)
        here = world(kind)
        yield row(here, "root", do("open", "g/p/x", flags, mode), do("getfl", FD), do("fstat", FD))
        yield row(here, "bob", do("open", "g/p/x", flags, mode), do("getfl", FD))


def forms():
    for kind, form, flags in itertools.product(
            KINDS, FORMS, (O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
                           O_WRONLY | O_TRUNC, O_RDONLY | O_DIRECTORY, O_PATH | O_RDONLY)):
        yield row(world(kind), "alice", do("open", form, flags | O_NONBLOCK, Octal(0o600)))


def creating():
    for mode, mask, user in itertools.product(
            octal(0, 0o200, 0o400, 0o644, 0o666, 0o777, 0o1777, 0o2755, 0o4755, 0o7777),
            octal(0, 0o022, 0o027, 0o077, 0o777), ("root", "alice")):
        here = world("absent")
        yield row(here, user, do("umask", mask), do("open", "g/p/x", O_RDWR | O_CREAT, mode),
                  do("write", FD, b"abc"), do("pread", FD, 10, 0))
        yield row(here, user, do("umask", mask), do("creat", "g/p/x", mode))
    for kind, mode, user in itertools.product(KINDS, octal(0o600, 0o755), ("root", "alice", "bob")):
        if kind != "fifo":
            yield row(world(kind), user, do("creat", "g/p/x", mode), do("getfl", FD))


def permissions():
    """Each class of users with each set of bits, while the other two classes have all."""
    classes = ((ALICE, 6), ((BOB[0], TEAM), 3), (BOB, 0))
    for (owner, shift), bits, kind in itertools.product(classes, range(8),
                                                        ("file", "empty", "dir", "fifo")):
        mode = 0o777 & ~(7 << shift) | bits << shift
        here = world(kind, mode, owner)
        for access in ACCESS:
            for extra in (NONE, O_TRUNC, O_APPEND, O_PATH, O_NOATIME, O_CREAT):
                yield row(here, "alice",
                          do("open", "g/p/x", access | extra | O_NONBLOCK, Octal(0o644)))
        yield row(here, "root", do("open", "g/p/x", O_RDWR | O_NONBLOCK))


def opened_mode_rules():
    """A descriptor's rights are those of the moment when it was opened."""
    for mode, flags in itertools.product(octal(0, 0o200, 0o400), (O_RDWR, O_WRONLY, O_RDONLY)):
        yield row(world("absent"), "alice", do("open", "g/p/x", flags | O_CREAT, mode),
                  do("write", FD, b"xyz"), do("pread", FD, 5, 0),
                  do("open", "g/p/x", flags, keep="again"))
        yield row(world("file"), "alice", do("open", "g/p/x", flags), do("chmod", "g/p/x", mode),
                  do("pread", FD, 5, 0), do("pwrite", FD, b"!", 0), do("ftruncate", FD, 4),
                  do("open", "g/p/x", O_RDWR, keep="again"))
    for kind in KINDS:
        for again in (O_WRONLY, O_RDWR, O_RDONLY, O_TRUNC | O_WRONLY):
            yield row(world(kind), "root", do("open", "g/p/x", O_PATH | O_NOFOLLOW),
                      do("reopen", FD, again | O_NONBLOCK, keep="again"),
                      do("openat", FD, "", again | O_NONBLOCK, 0, keep="more"), do("read", FD, 1),
                      do("fchmod", FD, Octal(0o600)), do("fstat", FD))


def rows():
    yield from combinations()
    yield from forms()
    yield from creating()
    yield from permissions()
    yield from opened_mode_rules()
