"""read, write, pread, pwrite, mmap, fsync on right and wrong kinds and modes; O_APPEND, O_DIRECT;
listings after changes."""
import itertools

from names import *
from objects import ALICE, KINDS, ROOT, entry, world
from rows import FD, do, root, row

TWO = Descriptor("two")


def on_every_kind():
    steps = (do("read", FD, 4), do("read", FD, 0), do("pread", FD, 4, 2), do("pread", FD, 4, -1),
             do("pread", FD, 4,
                2 ** 63 - 1), do("pread", FD, 4, 100), do("write", FD, b"abc"), do(
                    "write", FD, b""), do("pwrite", FD, b"abc", 4), do("pwrite", FD, b"abc", -1),
             do("pwrite", FD, b"abc", 20), do("pwrite", FD, b"", 2 ** 62), do(
                 "fsync", FD), do("fdatasync", FD), do("sync_file_range", FD, 0, 10, Named(2, "2")),
             do("readahead", FD, 0, 100), do("posix_fadvise", FD, 0, 0,
                                             4), do("mmap", FD, 4096, MAP_SHARED, PROT_READ),
             do("mmap", FD, 4096, MAP_SHARED,
                PROT_READ | PROT_WRITE), do(
                    "mmap", FD, 4096, MAP_PRIVATE, PROT_READ | PROT_WRITE), do(
                        "setfl", FD, O_APPEND), do("setfl", FD, O_DIRECT), do(
                            "setfl", FD, O_NOATIME), do("listdir", FD), do("fchdir",
                                                                           FD), do("fstat", FD))
    for kind, flags, step in itertools.product(
            KINDS[1:], (O_RDONLY, O_WRONLY, O_RDWR, O_PATH, O_RDWR | O_APPEND), steps):
        if kind in ("fifo", "char") and step.call in ("read", "write", "mmap"):
            continue
        yield row(world(kind), "alice", do("open", "g/p/x", flags | O_NONBLOCK), step)


def appending():
    for one, two in itertools.product(
        (O_APPEND | O_WRONLY, O_WRONLY, O_RDWR | O_SYNC, O_RDWR | O_APPEND | O_DSYNC), repeat=2):
        both = (do("open", "g/p/x", one), do("open", "g/p/x", two, keep="two"))
        for first, second in itertools.product(
            (do("write", FD, b"one"), do("pwrite", FD, b"one", 2), do("ftruncate", FD, 2)),
            (do("write", TWO, b"TWO"), do("pwrite", TWO, b"TWO", 15), do("ftruncate", TWO, 5))):
            yield row(world("file"), "alice", *both, first, second, do("write", FD, b"end"),
                      do("lseek", FD, 0, SEEK_CUR), do("lseek", TWO, 0, SEEK_CUR))
    for flags in (O_APPEND, O_NONBLOCK, O_NOATIME, NONE):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR), do("setfl", FD, flags),
                  do("getfl", FD), do("write", FD, b"abc"), do("lseek", FD, 0, SEEK_CUR))
        yield row(world("file", 0o666), "bob", do("open", "g/p/x", O_RDWR), do("setfl", FD, flags),
                  do("getfl", FD), do("write", FD, b"abc"))


def across():
    """What one descriptor, mapping or name writes, another one sees at once."""
    writers = (do("pwrite", FD, b"<new>", 3), do(
        "mmap_write", FD, 10, 3, b"<new>"), do("ftruncate", FD, 4), do(
            "ftruncate", FD, 20), do("fallocate", FD, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 2,
                                     4), do("fallocate", FD, FALLOC_ZERO_RANGE, 2,
                                            14), do("copy_file_range", FD, 0, FD, 12, 6, NONE))
    readers = (do("pread", TWO, 40, 0), do("mmap_read", TWO, 4, 0, 4), do("stat", "g/p/n"),
               do("fstat", TWO), do("pread", TWO, 40, 0, other=True), do("lseek", TWO, 0, SEEK_END))
    names = (entry("g/p/n", "hardlink", extra="g/p/x"), )
    for writer, reader, second in itertools.product(writers, readers, ("g/p/x", "g/p/n")):
        opening = do("open", second, O_RDWR, keep="two", other=reader.other)
        yield row(world("file", more=names), "alice", do("open", "g/p/x", O_RDWR), opening, writer,
                  reader)
        yield row(world("file", more=names), "root", do("open", "g/p/x", O_RDWR), opening, reader,
                  writer, do("fsync", FD), reader, do("close", FD), reader)
    for size, start in itertools.product((4096, 5000, 8192, 70_000), (0, 4090, 4999)):
        here = world("absent", more=(entry("s", "sized", extra=(size, ((0, b"z" * size), ))), ))
        if start < size:
            yield row(here, "alice", do("open", "s", O_RDWR), do("mmap_write", FD, size, start,
                                                                 b"!"),
                      do("pread", FD, 6, max(start - 2, 0)), do("fstat", FD))
            yield row(here, "alice", do("open", "s", O_RDWR),
                      do("mmap_write", FD, size, start, b"!", MAP_PRIVATE),
                      do("pread", FD, 6, max(start - 2, 0)))
            yield row(here, "alice", do("open", "s", O_RDWR), do("pwrite", FD, b"w" * 9000, start),
                      do("mmap_read", FD, size, start, start + 4), do("fstat", FD))
            yield row(here, "alice", do("open", "s", O_RDWR | O_TRUNC),
                      do("pwrite", FD, b"w" * 9000, start), do("pread", FD, 8, start),
                      do("fstat", FD))
    for length, flags, protection, opened in itertools.product(
        (0, 1, 10, 4096, 8192), (MAP_SHARED, MAP_PRIVATE),
        (PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE), (O_RDONLY, O_WRONLY, O_RDWR)):
        yield row(world("file"), "alice", do("open", "g/p/x", opened),
                  do("mmap", FD, length, flags, protection))


def direct():
    for flags in (O_RDWR | O_DIRECT, O_WRONLY | O_DIRECT | O_SYNC):
        yield row(world("file"), "alice", do("open", "g/p/x", flags), do("pread", FD, 0, 0),
                  do("pread", FD, 0, 4096), do("getfl", FD))
    # Not aligned to a block.
    yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR | O_DIRECT),
              do("pwrite", FD, b"abc", 1))
    yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR | O_DIRECT), do("pread", FD, 3, 1))


def listings():
    """What a directory lists after each change, through a descriptor that was opened before it."""
    changes = (do("creat", "g/p/x/new", Octal(0o644),
                  keep="two"), do("mkdir", "g/p/x/new", Octal(0o755)), do(
                      "unlink", "g/p/x/inside"), do("rmdir", "g/p/x/sub"),
               do("rename", "g/p/x/inside",
                  "g/p/x/moved"), do("rename", "g/p/x/inside", "out"), do(
                      "rename",
                      "t0", "g/p/x/in"), do("link", "t0", "g/p/x/in"), do(
                          "symlink", "t", "g/p/x/in"), do("mkfifo", "g/p/x/in", Octal(0o644)),
               do("rename", "g/p/x/sub", "g/p/x/moved"), do("bind", "g/p/x/sock"),
               do("renameat2", AT_FDCWD, "g/p/x/inside", AT_FDCWD, "t0",
                  RENAME_EXCHANGE), do("rename", "t0", "g/p/x/inside"))
    more = (entry("t0", "file"), entry("g/p/x/sub", "dir"))
    for one, two in itertools.product(changes, repeat=2):
        # All are held open, so that no inode number is given again.
        held = [do("open", path, O_PATH, keep=path) for path in ("g/p/x/inside", "g/p/x/sub", "t0")]
        yield row(world("full", more=more), "root", *held,
                  do("open", "g/p/x", O_RDONLY | O_DIRECTORY), do("listdir", FD), one,
                  do("listdir", "g/p/x"), two, do("listdir", FD), do("stat", "g/p/x"))
    for count in (1, 100, 300):
        here = world("dir",
                     more=tuple(entry(f"g/p/x/f{number}", "empty") for number in range(count)))
        yield row(here, "alice", do("listdir", "g/p/x"), do("unlink", "g/p/x/f0"),
                  do("listdir", "g/p/x"))
        yield row(here, "alice", do("rmdir", "g/p/x"))


def same_object():
    for kind in ("file", "dir", "link", "full"):
        for path in ("g/p/./x", "g/../g/p/x", "%W/g/p/x", "g/p/x/" if kind != "file" else "g/p/x"):
            yield row(world(kind), "bob", do("same_file", "g/p/x", path))
    for path in ("g/p/x/..", "g/p/x/.", "g/..", "g/p/x/../.."):
        yield row(world("dir"), "bob", do("same_file", path, "g/p"), do("same_file", path, "."),
                  do("stat", path))


def what_filesystems_choose():
    """Where docs/reference/SEMANTICS.md promises another answer than ext4's."""
    yield row(world("dir"), "bob", do("directory_size", "g/p/x"))
    yield row(world("full"), "bob", do("directory_size", "g/p"))
    for request, value in ((Named(0x40049409, "FICLONE"), 0), (Named(0x5401, "TCGETS"), 0)):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR),
                  do("ioctl", FD, request, value))


def rows():
    yield from on_every_kind()
    yield from appending()
    yield from across()
    yield from direct()
    yield from listings()
    yield from same_object()
    yield from what_filesystems_choose()
