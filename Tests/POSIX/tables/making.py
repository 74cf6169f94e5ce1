"""mkdir, mknod, mkfifo, symlink, bind: modes, masks, kinds in the way, forms of the path, and
set-group-ID directories; readlink."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, ROOT, TEAM, world
from rows import FD, do, row

NULL = 259  # device 1:3
FORMS = ("g/p/x", "g/p/x/", "g/p/x//", "g/p/x/.", "g/p/x/..", "g/p/x/new", "g/p/x/new/",
         "g/p/x/inside/new", "g/p/./x", "g/absent/x", "", "g/p", "g/p/", ".", "..", "/")


def makers(path, mode):
    """Every call that makes a name, one a line."""
    yield do("mkdir", path, mode)
    yield do("mkfifo", path, mode)
    yield do("mknod", path, S_IFIFO | mode, 0)
    yield do("mknod", path, S_IFREG | mode, 0)
    yield do("mknod", path, S_IFSOCK | mode, 0)
    yield do("mknod", path, S_IFCHR | mode, NULL)
    yield do("mknod", path, S_IFBLK | mode, NULL)
    yield do("mknod", path, mode, 0)
    yield do("mknod", path, S_IFDIR | mode, 0)
    yield do("mknod", path, S_IFLNK | mode, 0)
    yield do("mknod", path, S_IFCHR | mode, 0)
    yield do("symlink", "target", path)
    yield do("bind", path)


def rows():
    for kind, user in itertools.product(KINDS, ("root", "bob")):
        for maker in makers("g/p/x", Octal(0o640)):
            yield row(world(kind), user, maker)
    for kind, form in itertools.product(KINDS, FORMS):
        for maker in (do("mkdir", form, Octal(0o750)), do("mkfifo", form, Octal(0o640)),
                      do("symlink", "target", form), do("mknod", form, S_IFREG | Octal(0o640),
                                                        0), do("bind", form)):
            yield row(world(kind), "alice", maker)
    for mode, mask in itertools.product(
            octal(0, 0o111, 0o644, 0o777, 0o1777, 0o2777, 0o4777, 0o7777), octal(0, 0o027, 0o777)):
        for user, maker in itertools.product(("root", "alice"), makers("g/p/x", mode)):
            if maker.call in ("mkdir", "mkfifo", "mknod", "bind"):
                yield row(world("absent"), user, do("umask", mask), maker)
    # What a set-group-ID directory gives to what is made in it.
    for parent_mode, group, mode, user in itertools.product(
        (0o2777, 0o3777, 0o777), (TEAM, ALICE[1], BOB[1], 0),
            octal(0o755, 0o2755, 0o2745, 0o6711, 0o1777), ("root", "alice")):
        here = world("absent", parent=(parent_mode, (ROOT[0], group)))
        for maker in (*makers("g/p/x", mode), do("open", "g/p/x", O_CREAT | O_WRONLY, mode),
                      do("creat", "g/p/x", mode), do("open", "g/p", O_TMPFILE | O_RDWR, mode)):
            if maker.call == "mknod" and int(maker.arguments[1]) & 0o170000 not in (S_IFREG,
                                                                                    S_IFIFO,
                                                                                    S_IFCHR):
                continue
            yield row(here, user, maker,
                      *([do("fstat", FD)] if maker.call in ("open", "creat") else []))
    for target in ("a", ".", "/", "..", "//", "a/b/c", "x" * 255, "x" * 256, "y/" * 2000,
                   "z" * 4094, "z" * 4095, "z" * 4096, "", "\u00e9", "a b", "a\nb"):
        for user in ("root", "alice"):
            yield row(world("absent"), user, do("symlink", target, "g/p/x"), do(
                "readlink", "g/p/x"), do("lstat", "g/p/x"))
            yield row(world("absent"), user, do("symlinkat", target, AT_FDCWD, "g/p/x"),
                      do("readlinkat", AT_FDCWD, "g/p/x"))
    for kind, size in itertools.product(KINDS, (0, 1, 3, 8, 100)):
        yield row(world(kind), "bob", do("readlink", "g/p/x", size))
    for kind, form in itertools.product(KINDS, FORMS):
        yield row(world(kind), "bob", do("readlink", form, 100))
        yield row(world(kind), "bob", do("readlinkat", AT_FDCWD, form, 100))
    for kind in KINDS:
        yield row(world(kind), "alice", do("open", "g/p/x", O_PATH | O_NOFOLLOW),
                  do("readlinkat", FD, "", 100))
        yield row(world(kind), "alice", do("connect", "g/p/x"))
