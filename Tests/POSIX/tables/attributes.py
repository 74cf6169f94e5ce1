"""Extended attributes: calls × namespaces × flags × kinds × users, sizes, permissions."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, world
from rows import FD, do, root, row

NAMES = ("user.a", "user.", "user", "", "a", "trusted.a", "security.a", "system.a",
         "system.posix_acl_access", "unknown.a", "user." + "n" * 250, "user." + "n" * 251, "USER.a",
         "user.\u00e9", "user.a.b")
ONE = (("user.a", b"first"), )
FOREIGN = ("trusted.a", "security.a")


def rows():
    for kind, name, user in itertools.product(KINDS, NAMES, ("root", "alice", "bob")):
        yield row(world(kind), user, do("setxattr", "g/p/x", name, b"value", NONE))
        yield row(world(kind), user, do("lsetxattr", "g/p/x", name, b"value", NONE))
        yield row(world(kind), user, do("getxattr", "g/p/x", name))
        if name in NAMES[:7] + NAMES[9:10]:
            yield row(world(kind), user, do("removexattr", "g/p/x", name))
            yield row(world(kind), user, do("lremovexattr", "g/p/x", name))
            yield row(world(kind), user, do("lgetxattr", "g/p/x", name))
    for kind, user in itertools.product(("file", "dir", "empty", "full"), ("root", "alice", "bob")):
        here = world(kind, xattrs=ONE)
        for flags, name in itertools.product(
            (NONE, XATTR_CREATE, XATTR_REPLACE, XATTR_CREATE | XATTR_REPLACE, Named(4, "4")),
            ("user.a", "user.b")):
            yield row(here, user, do("setxattr", "g/p/x", name, b"second", flags))
            yield row(here, user, root("open", "g/p/x", O_RDONLY),
                      do("fsetxattr", FD, name, b"second", flags), do("fgetxattr", FD, name))
        for size in (0, 1, 4, 5, 6, 100):
            yield row(here, user, do("getxattr", "g/p/x", "user.a", size))
            yield row(here, user, do("listxattr", "g/p/x", size))
            yield row(here, user, root("open", "g/p/x", O_RDONLY),
                      do("fgetxattr", FD, "user.a", size), do("flistxattr", FD, size))
        for name in ("user.a", "user.b", "user.A"):
            yield row(here, user, do("removexattr", "g/p/x", name), do("listxattr", "g/p/x"))
            yield row(here, user, root("open", "g/p/x", O_RDONLY), do("fremovexattr", FD, name),
                      do("flistxattr", FD))
        for value in (b"", b"x", b"\0", b"a\0b", b"v" * 255, b"v" * 256, b"v" * 1000, b"v" * 2000):
            yield row(here, user, do("setxattr", "g/p/x", "user.a", value, NONE),
                      do("getxattr", "g/p/x", "user.a"), do("listxattr", "g/p/x"))
        for size in (65_536, 65_537, 1 << 20):
            if size > 65_536:
                yield row(here, user, do("setxattr", "g/p/x", "user.a", b"v" * size, NONE),
                          do("getxattr", "g/p/x", "user.a"))
        for flags in (O_PATH, O_WRONLY, O_RDWR):
            yield row(here, user, root("open", "g/p/x", flags),
                      do("fsetxattr", FD, "user.b", b"1", NONE), do("fgetxattr", FD, "user.a"),
                      do("flistxattr", FD), do("fremovexattr", FD, "user.a"))
    # Permission bits of the file decide, for owners too.
    for kind, mode, user, parent in itertools.product(
        ("file", "dir"), (0o000, 0o200, 0o400, 0o600, 0o006, 0o004, 0o002, 0o444, 0o666, 0o1777),
        ("alice", "bob"), ((0o777, ROOT), (0o700, ROOT))):
        here = world(kind, mode, xattrs=ONE, parent=parent)
        yield row(here, user, do("getxattr", "g/p/x", "user.a"))
        yield row(here, user, do("setxattr", "g/p/x", "user.b", b"1", NONE))
        yield row(here, user, do("removexattr", "g/p/x", "user.a"))
        yield row(here, user, do("listxattr", "g/p/x"))
    for kind, user in itertools.product(KINDS, ("root", "alice")):
        for form in ("g/p/x/", "g/p/x/.", "", "g/absent", ".", "g/p/x/inside"):
            yield row(world(kind), user, do("setxattr", form, "user.a", b"1", NONE))
            yield row(world(kind), user, do("listxattr", form))
        yield row(world(kind), user, do("listxattr", "g/p/x"))
        yield row(world(kind), user, do("llistxattr", "g/p/x"))
        yield row(world(kind), user, root("open", "g/p/x", O_PATH | O_NOFOLLOW),
                  do("fsetxattr", FD, "user.a", b"1", NONE), do("flistxattr", FD))
    # Attributes go with the file.
    for step in (do("rename", "g/p/x", "g/p/z"), do("link", "g/p/x", "g/p/z"),
                 do("rename",
                    "g/p/x", "g/p/y"), do("chmod", "g/p/x", Octal(0o600)), do(
                        "truncate", "g/p/x", 0), do("chown", "g/p/x", BOB[0], BOB[1]),
                 do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/y", RENAME_EXCHANGE)):
        for kind in ("file", "dir"):
            yield row(world(kind, xattrs=(*ONE, ("user.b", b"2" * 300)), second=kind), "root", step)
    for count in (2, 10, 30):
        yield row(
            world("file"), "alice",
            *(do("setxattr", "g/p/x", f"user.k{number}", b"%d" % number, NONE)
              for number in range(count)), do("listxattr", "g/p/x"))
