"""Fixtures: the users, the kinds of object, and the worlds (small trees) that rows act in.

A world is built by root below a directory of its own, and looks the same on both sides.
Its usual shape:

    g        the grandparent of what is looked at
    g/p      the parent
    g/p/x    the object under test, of any kind, or absent
    g/p/y    a second object, where a call takes two paths (or h/q/y, in another directory)
    t, td    a file and a directory that symbolic links lead to
"""

import dataclasses
import os
import socket
import stat

TEAM = 64010
ROOT, ALICE, BOB = (0, 0), (64001, 64001), (64002, 64002)
GROUPS = {"root": [], "alice": [ALICE[1], TEAM], "bob": [BOB[1], TEAM]}
USERS = {"root": ROOT, "alice": ALICE, "bob": BOB}

KINDS = (
    "absent",
    "file",
    "empty",
    "dir",
    "full",
    "link",
    "dirlink",
    "dangling",
    "loop",
    "fifo",
    "socket",
    "char",
    "block",
)
PRESENT = KINDS[1:]
MODES = {
    "file": 0o644,
    "empty": 0o644,
    "dir": 0o755,
    "full": 0o755,
    "fifo": 0o644,
    "socket": 0o755,
    "char": 0o666,
    "block": 0o660,
}
TARGETS = {"link": "../../t", "dirlink": "../../td", "dangling": "../../nowhere"}
CONTENT = b"0123456789"
# What every object's times are when a row begins. The access times of links lie in the future:
# otherwise following a link, or looking at it, moves its access time on a filesystem with relatime.
ACCESSED, MODIFIED = 1_000_000_000_111_222_333, 1_100_000_000_444_555_666
LINK_ACCESSED = 4_000_000_000_777_888_999


@dataclasses.dataclass(frozen=True)
class Entry:
    path: str
    kind: str
    mode: int = 0o755
    owner: tuple = ROOT
    extra: object = None
    xattrs: tuple = ()


@dataclasses.dataclass(frozen=True)
class World:
    label: str
    entries: tuple


def entry(path, kind, mode=None, owner=ALICE, extra=None, xattrs=()):
    return Entry(path, kind, MODES.get(kind, 0o755) if mode is None else mode, owner, extra, xattrs)


def objects(path, kind, mode=None, owner=ALICE, xattrs=()):
    """The entries that an object of this kind is made of."""
    if kind == "absent":
        return []
    if kind in TARGETS:
        return [Entry(path, "symlink", 0o777, owner, TARGETS[kind])]
    if kind == "loop":
        return [Entry(path, "symlink", 0o777, owner, os.path.basename(path))]
    if kind == "full":
        return [
            entry(path, "dir", mode, owner, xattrs=xattrs),
            entry(path + "/inside", "file", None, owner),
        ]
    return [entry(path, kind, mode, owner, xattrs=xattrs)]


def name_of(owner):
    names = {0: "root", ALICE[0]: "alice", BOB[0]: "bob", TEAM: "team"}
    user, group = names.get(owner[0], owner[0]), names.get(owner[1], owner[1])
    return user if user == group else f"{user}:{group}"


def world(
    kind="file",
    mode=None,
    owner=ALICE,
    parent=(0o777, ROOT),
    grand=(0o755, ROOT),
    second=None,
    second_owner=None,
    second_mode=None,
    elsewhere=None,
    xattrs=(),
    more=(),
):
    """`second` is the kind of y. `elsewhere` is the mode and owner of the directory q that y lies
    in; without it y lies beside x."""
    label = kind
    if mode is not None:
        label += f" {mode:04o}"
    if owner != ALICE:
        label += f" of {name_of(owner)}"
    if parent != (0o777, ROOT):
        label += f" in {parent[0]:04o} of {name_of(parent[1])}"
    if grand != (0o755, ROOT):
        label += f" below {grand[0]:04o} of {name_of(grand[1])}"
    entries = [Entry("g", "dir", *grand), Entry("g/p", "dir", *parent)]
    links = {kind, second} & {"link", "dirlink"}
    links |= {"link"} if any(item.extra == "../../t" for item in more) else set()
    entries += [entry("t", "file", mode, owner)] if "link" in links else []
    entries += [entry("td", "dir", mode, owner)] if "dirlink" in links else []
    entries += objects("g/p/x", kind, mode, owner, xattrs)
    place = "g/p"
    if elsewhere is not None:
        place = "h/q"
        entries += [Entry("h", "dir"), Entry("h/q", "dir", *elsewhere)]
        label += f", q {elsewhere[0]:04o} of {name_of(elsewhere[1])}"
    if second is not None:
        entries += objects(f"{place}/y", second, second_mode, second_owner or owner)
        label += f", y {second}"
        label += f" of {name_of(second_owner)}" if second_owner else ""
    entries += more
    label += "".join(f", {item.path}" for item in more)
    return World(label, tuple(entries))


def _make(item):
    path, kind = item.path, item.kind
    if kind in ("file", "empty"):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, item.mode & 0o777)
        content = CONTENT if item.extra is None else item.extra
        if kind == "file" and content:
            os.write(fd, content)
        os.close(fd)
    elif kind == "sized":
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, item.mode & 0o777)
        size, pieces = item.extra
        os.ftruncate(fd, size)
        for offset, data in pieces:
            os.pwrite(fd, data, offset)
        os.close(fd)
    elif kind == "dir":
        os.mkdir(path, item.mode & 0o1777)
    elif kind == "symlink":
        os.symlink(item.extra, path)
    elif kind == "hardlink":
        os.link(item.extra, path, follow_symlinks=False)
        return
    elif kind == "fifo":
        os.mkfifo(path, item.mode & 0o777)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | item.mode & 0o777)
    elif kind in ("char", "block"):
        number = os.makedev(1, 3) if kind == "char" else os.makedev(240, 7)
        os.mknod(
            path, (stat.S_IFCHR if kind == "char" else stat.S_IFBLK) | item.mode & 0o777, number
        )
    else:
        raise ValueError(kind)
    if item.owner != ROOT:
        os.chown(path, *item.owner, follow_symlinks=False)
    if item.mode & 0o7000 and kind != "symlink":
        os.chmod(path, item.mode)
    for name, value in item.xattrs:
        os.setxattr(path, name, value, follow_symlinks=False)


def build(world_):
    """Builds the world in the working directory. Must be root with umask 0."""
    for item in world_.entries:
        _make(item)
    for item in reversed(world_.entries):
        accessed = LINK_ACCESSED if item.kind == "symlink" else ACCESSED
        if item.kind != "hardlink":
            os.utime(item.path, ns=(accessed, MODIFIED), follow_symlinks=False)
    os.utime(".", ns=(ACCESSED, MODIFIED))


def remove(path):
    """Removes a tree, whatever it holds."""
    with os.scandir(path) as found:
        children = [
            (os.path.join(path, child.name), child.is_dir(follow_symlinks=False)) for child in found
        ]
    for child, is_directory in children:
        remove(child) if is_directory else os.unlink(child)
    os.rmdir(path)
