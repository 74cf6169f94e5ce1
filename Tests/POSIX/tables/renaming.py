"""rename, renameat, renameat2: kind × kind × flags × users, forms of the paths, hard links."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, TEAM, entry, world
from rows import FD, do, row

FLAGS = (RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, RENAME_NOREPLACE | RENAME_EXCHANGE,
         RENAME_WHITEOUT | RENAME_EXCHANGE, RENAME_WHITEOUT | RENAME_NOREPLACE, Named(
             8, "8"), Named(1 << 31, "1<<31"))
SOURCES = ("g/p/x", "g/p/x/", "g/p/x/.", "g/p/x/..", "g/p/./x", "g/p/.", "g/p/..", "", ".", "..",
           "/", "g/p/x/inside", "g/p/x/absent")
TARGETS = ("g/p/y", "g/p/y/", "g/p/y/.", "g/p/y/..", "g/p/./y", "g/p/.", "g/p/..", "", ".", "..",
           "/", "g/p/y/new", "g/p/y/inside")


def pairs():
    for one, two in itertools.product(KINDS, KINDS):
        beside = world(one, second=two)
        apart = world(one, second=two, elsewhere=(0o777, ROOT))
        yield row(beside, "alice", do("rename", "g/p/x", "g/p/y"))
        yield row(apart, "alice", do("rename", "g/p/x", "h/q/y"))
        yield row(apart, "root", do("renameat", AT_FDCWD, "g/p/x", AT_FDCWD, "h/q/y"))
        for flags in FLAGS:
            yield row(beside, "root", do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/y", flags))
            yield row(apart, "alice", do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "h/q/y", flags))


def forms():
    for kind, second in itertools.product(
        ("file", "dir", "full", "link", "dirlink", "dangling", "loop", "absent"),
        ("absent", "file", "dir", "dirlink")):
        here = world(kind, second=second)
        for source in SOURCES:
            yield row(here, "alice", do("rename", source, "g/p/y"))
        for target in TARGETS:
            yield row(here, "alice", do("rename", "g/p/x", target))
            yield row(here, "alice",
                      do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, target, RENAME_NOREPLACE))
            yield row(here, "alice",
                      do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, target, RENAME_EXCHANGE))
        yield row(here, "alice", do("rename", "g/p/x/", "g/p/y/"))


def trees():
    deep = (entry("g/p/x/inside", "dir"), entry("g/p/x/inside/deep",
                                                "dir"), entry("g/p/x/inside/deep/f", "file"))
    here = world("dir", more=deep)
    ends = ("g/p/x", "g/p/x/inside", "g/p/x/inside/deep", "g/p/x/inside/deep/f",
            "g/p/x/inside/deep/new", "g/p/x/new", "g", "g/p", "g/new")
    for source, target, flags in itertools.product(ends, ends,
                                                   (NONE, RENAME_NOREPLACE, RENAME_EXCHANGE)):
        yield row(here, "root", do("renameat2", AT_FDCWD, source, AT_FDCWD, target, flags),
                  do("stat", "g/p/x/inside/deep/f"))


def names_of_one_file():
    for kind, flags in itertools.product(("file", "fifo", "link", "socket"), (NONE, *FLAGS[:3])):
        here = world(kind,
                     more=(entry("g/p/n", "hardlink", extra="g/p/x"), entry(
                         "d", "dir", 0o777, ROOT), entry("d/n", "hardlink", extra="g/p/x")))
        for source, target in itertools.permutations(("g/p/x", "g/p/n", "d/n"), 2):
            yield row(here, "alice", do("renameat2", AT_FDCWD, source, AT_FDCWD, target, flags))
        yield row(here, "alice", do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/x", flags))


def directories():
    """Moving a directory to another parent writes its `..`: the user must be allowed to."""
    for mode, owner, user in itertools.product((0o755, 0o555, 0o500, 0o777, 0o000),
                                               (ALICE, BOB, ROOT), ("root", "alice")):
        for kind in ("dir", "full"):
            here = world(kind, mode, owner, elsewhere=(0o777, ROOT))
            yield row(here, user, do("rename", "g/p/x", "g/p/z"))
            yield row(here, user, do("rename", "g/p/x", "h/q/z"))
            both = world(kind,
                         mode,
                         owner,
                         second="dir",
                         second_mode=0o777,
                         elsewhere=(0o777, ROOT))
            yield row(both, user, do("rename", "g/p/x", "h/q/y"))
            yield row(both, user,
                      do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "h/q/y", RENAME_EXCHANGE))
            yield row(both, user,
                      do("renameat2", AT_FDCWD, "h/q/y", AT_FDCWD, "g/p/x", RENAME_EXCHANGE))
    # Neither owner, group nor mode changes when a name moves into a set-group-ID directory.
    for kind, user in itertools.product(PRESENT, ("root", "alice")):
        here = world(kind, elsewhere=(0o2777, (0, TEAM)))
        yield row(here, user, do("rename", "g/p/x", "h/q/z"), do("lstat", "h/q/z"))
        yield row(here, user, do("link", "g/p/x", "h/q/z"), do("lstat", "h/q/z"))


def rows():
    yield from pairs()
    yield from forms()
    yield from trees()
    yield from names_of_one_file()
    yield from directories()
