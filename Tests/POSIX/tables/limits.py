"""Lengths of names and paths at their limits; symbolic links in chains and circles."""
import itertools

from names import *
from objects import ALICE, Entry, entry, world
from rows import FD, do, row


def path_of(length):
    """A path of this length that leads to g/p/x."""
    tail = "g/p/x"
    fill = length - len(tail)
    return "./" * (fill // 2) + (
        "/" if fill % 2 else "") + tail if fill % 2 == 0 else "./" * (fill // 2 - 1) + ".//" + tail


def calls_on(path):
    """One a line; the second name of links and renames is at another place."""
    yield do("open", path, O_RDONLY | O_NONBLOCK)
    yield do("open", path, O_RDWR | O_CREAT, Octal(0o644))
    yield do("open", path, O_RDWR | O_CREAT | O_EXCL, Octal(0o644))
    yield do("creat", path, Octal(0o644))
    yield do("mkdir", path, Octal(0o755))
    yield do("mkfifo", path, Octal(0o644))
    yield do("mknod", path, S_IFREG | Octal(0o644), 0)
    yield do("symlink", "target", path)
    yield do("symlink", path, "g/p/new")
    yield do("link", path, "g/p/new")
    yield do("link", "t0", path)
    yield do("rename", path, "g/p/new")
    yield do("rename", "t0", path)
    yield do("renameat2", AT_FDCWD, "t0", AT_FDCWD, path, RENAME_NOREPLACE)
    yield do("renameat2", AT_FDCWD, "t0", AT_FDCWD, path, RENAME_EXCHANGE)
    yield do("unlink", path)
    yield do("rmdir", path)
    yield do("unlinkat", AT_FDCWD, path, AT_REMOVEDIR)
    yield do("chmod", path, Octal(0o600))
    yield do("chown", path, ALICE[0], ALICE[1])
    yield do("lchown", path, ALICE[0], ALICE[1])
    yield do("truncate", path, 2)
    yield do("utimensat", AT_FDCWD, path, ((1, 1), (1, 1)), NONE)
    yield do("utimensat", AT_FDCWD, path, ((1, 1), (1, 1)), AT_SYMLINK_NOFOLLOW)
    yield do("access", path, R_OK)
    yield do("stat", path)
    yield do("lstat", path)
    yield do("readlink", path, 10)
    yield do("chdir", path)
    yield do("listdir", path)
    yield do("getxattr", path, "user.a")
    yield do("setxattr", path, "user.a", b"1", NONE)


def rows():
    more = (entry("t0", "file"), )
    for kind, length in itertools.product(("file", "dir", "absent"),
                                          (4094, 4095, 4096, 4097, 8000)):
        for call in calls_on(path_of(length)):
            yield row(world(kind, more=more), "alice", call)
    for length, made in itertools.product((254, 255, 256, 300), ("present", "absent")):
        name = "g/p/" + "n" * length
        for kind in ("file", "dir"):
            there = (entry(name, kind), ) if made == "present" and length <= 255 else ()
            if kind == "file" or there:
                for call in calls_on(name):
                    yield row(world("absent", more=(*more, *there)), "alice", call)
    for name in ("n" * 255 + "/x", "n" * 256 + "/x", "x/" + "n" * 256, "absent/" + "n" * 256,
                 "\u00e9" * 127, "\u00e9" * 128, " ", "a b", "-", "*", "\\", "a\nb", "\x01", "...",
                 "..a", ".a", "a.", "~"):
        for call in calls_on("g/p/" + name):
            yield row(world("dir", more=more), "alice", call)
    # Bytes that are not UTF-8.
    for name in (b"g/p/\xff\xfe", b"g/p/a\x80"):
        yield row(world("absent"), "alice", do("mkdir", name, Octal(0o755)), do("listdir", "g/p"))
        yield row(world("absent"), "alice", do("creat", name, Octal(0o644)),
                  do("rename", name, "g/p/x"))
        yield row(world("absent"), "alice", do("symlink", name, "g/p/x"), do("readlink", "g/p/x"))
    # A file through a chain of 39, 40 and 41 links: the kernel follows 40.
    for count in (1, 39, 40, 41):
        chain = tuple(
            Entry(f"c{number}", "symlink", 0o777, ALICE, f"c{number - 1}" if number else "g/p/x")
            for number in range(count))
        for kind in ("file", "dir", "absent"):
            here = world(kind, more=(*more, *chain))
            for call in calls_on(f"c{count - 1}"):
                yield row(here, "alice", call)
    circle = (Entry("a", "symlink", 0o777, ALICE, "b"), Entry("b", "symlink", 0o777, ALICE, "a"))
    for path in ("a", "b", "a/x", "g/../a", "a/"):
        for call in calls_on(path):
            yield row(world("absent", more=(*more, *circle)), "alice", call)
    # Through links as directories on the way.
    for kind in ("dirlink", "link", "dangling", "loop"):
        for path in ("g/p/x/new", "g/p/x/", "g/p/x/.", "g/p/x/..", "g/p/x/../t0"):
            for call in calls_on(path):
                yield row(world(kind, more=more), "alice", call)
    for kind in ("file", "fifo", "full", "dir", "socket", "char"):
        for path in ("g/p/x/inside", "g/p/x/.", "g/p/x/..", "g/p/x/"):
            for call in calls_on(path):
                if not (kind == "fifo" and call.call == "open"):
                    yield row(world(kind, more=more), "bob", call)
