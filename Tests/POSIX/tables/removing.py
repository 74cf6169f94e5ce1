"""unlink, rmdir, remove, unlinkat: kinds × forms of the path × users, sticky directories, open
files, working directories."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, PRESENT, ROOT, entry, world
from rows import FD, do, row

FORMS = ("g/p/x", "g/p/x/", "g/p/x//", "g/p/x/.", "g/p/x/..", "g/p/./x", "g/p/x/inside",
         "g/p/x/absent", "g/absent/x", "", ".", "..", "/", "g/p/.", "g/p/..", "g/p", "g")


def removers(path):
    yield do("unlink", path)
    yield do("rmdir", path)
    yield do("remove", path)
    yield do("unlinkat", AT_FDCWD, path, NONE)
    yield do("unlinkat", AT_FDCWD, path, AT_REMOVEDIR)
    yield do("unlinkat", AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
    yield do("unlinkat", AT_FDCWD, path, AT_REMOVEDIR | AT_EMPTY_PATH)


def sticky():
    owners = (ROOT, ALICE, BOB)
    for parent, owner, user, kind in itertools.product(owners, owners, ("root", "alice", "bob"),
                                                       ("file", "dir", "link", "fifo", "full")):
        here = world(kind, owner=owner, parent=(0o1777, parent))
        yield row(here, user, do("unlink", "g/p/x"))
        yield row(here, user, do("rmdir", "g/p/x"))
        yield row(here, user, do("rename", "g/p/x", "g/p/z"))
        yield row(here, user, do("rename", "g/p/x", "t2"))
        for second_owner in owners:
            both = world(kind,
                         owner=owner,
                         parent=(0o1777, parent),
                         second=kind,
                         second_owner=second_owner)
            yield row(both, user, do("rename", "g/p/x", "g/p/y"))
            yield row(both, user,
                      do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/y", RENAME_EXCHANGE))
    for parent, owner, user, kind in itertools.product(owners, owners, ("alice", "bob"),
                                                       ("file", "dir")):
        # Only the directory that the name leaves, or that it comes to, is sticky.
        free = world(kind,
                     owner=owner,
                     parent=(0o777, ROOT),
                     second=kind,
                     second_owner=BOB,
                     elsewhere=(0o1777, parent))
        yield row(free, user, do("rename", "g/p/x", "h/q/y"))
        yield row(free, user, do("rename", "h/q/y", "g/p/x"))
        yield row(free, user, do("rename", "g/p/x", "h/q/z"))
        yield row(free, user, do("rename", "h/q/y", "g/p/z"))
        yield row(free, user, do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "h/q/y",
                                 RENAME_EXCHANGE))
        yield row(free, user, do("link", "g/p/x", "h/q/z"))


def still_open():
    """What happens to a file after its last name is gone."""
    after = (do("fstat", FD), do("pread", FD, 20, 0), do("pwrite", FD, b"!!!", 8),
             do("ftruncate", FD, 3), do("fchmod", FD, Octal(0o600)), do("fchown", FD, 65533, 65533),
             do("fsetxattr", FD, "user.a", b"1", 0), do("fgetxattr", FD, "user.a", 9),
             do("flistxattr", FD), do("futimens", FD, ((5, 0), (6, 0))), do(
                 "fsync", FD), do("fallocate", FD, NONE, 0, 5000), do("lseek", FD, 0, SEEK_END),
             do("linkat", FD, "", AT_FDCWD, "g/p/again",
                AT_EMPTY_PATH), do("openat", FD, "", O_RDONLY), do("mmap_write", FD, 10, 2, b"mm"),
             do("flock", FD, LOCK_EX), do("fchdir", FD), do(
                 "fstatat", FD, "", True), do("faccessat", FD, "", R_OK, AT_EMPTY_PATH))
    removed = (do("unlink", "g/p/x"), do("rename", "g/p/y", "g/p/x"),
               do("renameat2", AT_FDCWD, "g/p/x", AT_FDCWD, "g/p/y",
                  RENAME_EXCHANGE), do("rename", "g/p/x", "g/p/z"), do("rename", "g/p/x", "z"))
    for step, way, user in itertools.product(after, removed, ("root", "alice")):
        here = world("file", second="file")
        yield row(here, user, do("open", "g/p/x", O_RDWR), do(way.call, *way.arguments, by="root"),
                  step, do("fstat", FD), do("pread", FD, 20, 0))
    for one, two in itertools.permutations(after[:14], 2):
        yield row(world("file"), "root", do("open", "g/p/x", O_RDWR), do("unlink", "g/p/x"), one,
                  two, do("fstat", FD), do("pread", FD, 20, 0))


def working_directory():
    """A working directory that was removed or renamed."""
    gone = ((do("rmdir", "../x"), ), (do("rename", "../x", "../../z"), ), (do(
        "rename", "../../p", "../../r"), ), (do("rename", "../y", "../x"), ))
    calls = (do("getcwd"), do("stat", "."), do("stat", ".."), do("listdir", "."),
             do("open", "new", O_CREAT | O_RDWR, Octal(0o644)), do("mkdir", "new", Octal(0o755)),
             do("symlink", "a", "new"), do("mkfifo", "new",
                                           Octal(0o644)), do("link", "%W/g/f",
                                                             "new"), do("rename", "%W/g/f", "new"),
             do("chmod", ".", Octal(0o700)), do("open", ".", O_RDONLY | O_DIRECTORY),
             do("open", "..", O_RDONLY), do("rmdir", "."), do("rmdir", "%W/g/p/x"), do(
                 "chdir", ".."), do("chdir", "."), do("access", ".", W_OK), do("stat", "../y"),
             do("open", ".", O_TMPFILE | O_RDWR,
                Octal(0o600)), do("utimensat", AT_FDCWD, ".", None,
                                  NONE), do("setxattr", ".", "user.a", b"1", 0), do(
                                      "listxattr", "."))
    for way, call in itertools.product(gone, calls):
        here = world("dir",
                     mode=0o777,
                     parent=(0o777, ALICE),
                     grand=(0o777, ALICE),
                     second="dir",
                     more=(entry("g/f", "file"), ))
        yield row(here, "alice", do("chdir", "g/p/x"), *way, call)


def open_directory():
    """A directory that is open while it is removed or renamed: calls relative to it."""
    for way in (do("rmdir", "g/p/x"), do("rename", "g/p/x", "g/z"), do("rename", "g/p/y", "g/p/x")):
        for call in (do("openat", FD, "new", O_CREAT | O_RDWR, Octal(0o644),
                        keep="n"), do("mkdirat", FD, "new", Octal(0o755)), do("fstat", FD),
                     do("listdir", FD), do("fchmod", FD, Octal(0o700)), do(
                         "fstatat", FD, "..", True), do("fstatat", FD, ".",
                                                        True), do("symlinkat", "a", FD, "new"),
                     do("unlinkat", FD, "absent", NONE), do("fsync", FD), do("futimens", FD, None),
                     do("renameat", AT_FDCWD, "g/f", FD,
                        "new"), do("linkat", AT_FDCWD, "g/f", FD, "new", NONE)):
            here = world("dir", second="dir", more=(entry("g/f", "file"), ))
            yield row(here, "root", do("open", "g/p/x", O_RDONLY | O_DIRECTORY), way, call)


def rows():
    for kind, user in itertools.product(KINDS, ("root", "alice")):
        for form in FORMS:
            for remover in removers(form):
                if user == "root" or remover.call in ("unlink", "rmdir"):
                    yield row(world(kind), user, remover)
    yield from sticky()
    yield from still_open()
    yield from working_directory()
    yield from open_directory()
    # Several names of one file.
    for count in (1, 2, 5):
        names = tuple(entry(f"g/p/n{number}", "hardlink", extra="g/p/x") for number in range(count))
        for kind in PRESENT:
            if kind in ("dir", "full"):
                continue
            here = world(kind, more=names)
            yield row(here, "alice", do("unlink", "g/p/x"))
            yield row(here, "alice", do("unlink", "g/p/n0"))
            yield row(here, "alice", do("rename", "g/p/x", "g/p/n0"))
            yield row(here, "alice", do("rename", "g/p/n0", "g/p/m"))
            yield row(here, "alice", do("lchown", "g/p/n0", -1 & 0xFFFFFFFF, 64010))
