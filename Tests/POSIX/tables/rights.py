"""Permissions: access and faccessat on every set of bits; every call below directories of every
mode."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, ROOT, TEAM, world
from rows import FD, do, row

# The class of bits that alice meets: as owner, as member of the group, as other. The two other
# classes have all.
CLASSES = (((ALICE[0], ALICE[1]), 6), ((BOB[0], TEAM), 3), (BOB, 0))


def modes():
    for owner, shift in CLASSES:
        for bits in range(8):
            yield owner, 0o777 & ~(7 << shift) | bits << shift


def path_calls():
    """Calls on g/p/x and g/p/y, one a line."""
    yield do("open", "g/p/x", O_RDONLY | O_NONBLOCK)
    yield do("open", "g/p/x", O_RDWR | O_CREAT | O_NONBLOCK, Octal(0o644))
    yield do("open", "g/p/x", O_RDWR | O_CREAT | O_EXCL, Octal(0o644))
    yield do("open", "g/p/x", O_PATH)
    yield do("open", "g/p", O_RDONLY | O_DIRECTORY)
    yield do("open", "g/p", O_RDWR | O_TMPFILE, Octal(0o600))
    yield do("creat", "g/p/new", Octal(0o644))
    yield do("mkdir", "g/p/new", Octal(0o755))
    yield do("mkdir", "g/p/x", Octal(0o755))
    yield do("mkfifo", "g/p/new", Octal(0o644))
    yield do("mknod", "g/p/new", S_IFREG | Octal(0o644), 0)
    yield do("symlink", "target", "g/p/new")
    yield do("bind", "g/p/new")
    yield do("link", "g/p/x", "g/p/new")
    yield do("link", "g/p/x", "free/new")
    yield do("link", "free/f", "g/p/new")
    yield do("unlink", "g/p/x")
    yield do("rmdir", "g/p/x")
    yield do("rename", "g/p/x", "g/p/new")
    yield do("rename", "g/p/x", "free/new")
    yield do("rename", "free/f", "g/p/new")
    yield do("rename", "free/f", "g/p/x")
    yield do("rename", "g/p/x", "g/p/x")
    yield do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "free/f", RENAME_EXCHANGE)
    yield do("renameat2", AT_FDCWD, "free/f", AT_FDCWD, "g/p/x", RENAME_NOREPLACE)
    yield do("unlink", "g/p/absent")
    yield do("stat", "g/p/x")
    yield do("lstat", "g/p/x")
    yield do("stat", "g/p/absent")
    yield do("stat", "g/p/x/..")
    yield do("stat", "g/p/.")
    yield do("chmod", "g/p/x", Octal(0o700))
    yield do("chown", "g/p/x", ALICE[0], TEAM)
    yield do("truncate", "g/p/x", 3)
    yield do("utimensat", AT_FDCWD, "g/p/x", None, NONE)
    yield do("utimensat", AT_FDCWD, "g/p/x", ((1, 1), (2, 2)), NONE)
    yield do("access", "g/p/x", R_OK)
    yield do("access", "g/p/x", F_OK)
    yield do("access", "g/p", W_OK | X_OK)
    yield do("chdir", "g/p/x")
    yield do("chdir", "g/p")
    yield do("listdir", "g/p")
    yield do("readlink", "g/p/x", 100)
    yield do("setxattr", "g/p/x", "user.a", b"1", NONE)
    yield do("getxattr", "g/p/x", "user.a")
    yield do("listxattr", "g/p/x")
    yield do("removexattr", "g/p/x", "user.a")
    yield do("statx", AT_FDCWD, "g/p/x", NONE, 0x7FF)


def rows():
    from objects import entry
    free = (entry("free", "dir", 0o777), entry("free/f", "file"))
    for (owner, mode), call in itertools.product(modes(), path_calls()):
        for kind in ("file", "dir"):
            yield row(world(kind, parent=(mode, owner), more=free), "alice", call)
        # Without search permission on the grandparent nothing is reached.
        yield row(world("file", grand=(mode, owner), more=free), "alice", call)
    for mode, call, kind in itertools.product((0o000, 0o500, 0o200), path_calls(), ("file", "dir")):
        yield row(world(kind, mode=0o000, parent=(mode, ALICE), more=free), "root", call)
    # The object's own bits.
    own = ("truncate", "access", "chdir", "utimensat", "setxattr", "getxattr", "listxattr",
           "removexattr", "chmod", "chown", "link", "statx")
    for (owner, mode), kind in itertools.product(
            modes(), ("file", "dir", "empty", "full", "fifo", "link", "dirlink")):
        here = world(kind, mode, owner, more=free)
        for call in path_calls():
            if call.call in own:
                yield row(here, "alice", call)
        for asked in (F_OK, R_OK, W_OK, X_OK, R_OK | W_OK, R_OK | X_OK, W_OK | X_OK,
                      R_OK | W_OK | X_OK, Named(8, "8"), Named(-1, "-1")):
            for user in ("alice", "root"):
                yield row(here, user, do("access", "g/p/x", asked))
                yield row(here, user, do("faccessat", AT_FDCWD, "g/p/x", asked, AT_EACCESS))
        yield row(here, "alice", do("listdir", "g/p/x"))
        yield row(here, "alice", do("stat", "g/p/x/inside"))
        yield row(here, "alice", do("open", "g/p/x/new", O_CREAT | O_WRONLY, Octal(0o644)))
        yield row(here, "alice", do("unlink", "g/p/x/inside"))
    for kind, asked, user in itertools.product(KINDS, (F_OK, R_OK, W_OK, X_OK),
                                               ("root", "alice", "bob")):
        for flags in (AT_SYMLINK_NOFOLLOW, AT_EACCESS | AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH,
                      UNKNOWN_FLAG):
            yield row(world(kind), user, do("faccessat", AT_FDCWD, "g/p/x", asked, flags))
        yield row(world(kind), user, do("open", "g/p/x", O_PATH | O_NOFOLLOW),
                  do("faccessat", FD, "", asked, AT_EMPTY_PATH))
        for form in ("g/p/x/", "g/p/x/.", "g/p/x/..", "g/p/x/inside", ""):
            yield row(world(kind), user, do("access", form, asked))
