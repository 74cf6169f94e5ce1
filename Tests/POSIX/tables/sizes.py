"""truncate, ftruncate, fallocate, lseek, copy_file_range, sendfile: up to the limits and beyond."""
import itertools

from names import *
from objects import ALICE, BOB, KINDS, ROOT, Entry, entry, world
from rows import FD, do, root, row

K = 1024
# Data of 64 KiB with holes between and at the end, aligned so that any filesystem can keep them.
SPARSE = Entry("s", "sized", 0o644, ALICE,
               (1024 * K, ((0, b"a" * 64 * K), (256 * K, b"b" * 64 * K), (512 * K, b"c" * 64 * K))))
HOLE = Entry("s", "sized", 0o644, ALICE, (512 * K, ()))
SOLID = Entry("s", "sized", 0o644, ALICE, (128 * K, ((0, b"abcdefgh" * 16 * K), )))
LARGEST = 2 ** 63 - 1
EXT4_LARGEST = (2 ** 32 - 1) * 4 * K


def truncating():
    lengths = (0, 1, 5, 9, 10, 11, 4096, 4097, 1 << 20, (1 << 32) + 1, -1, -5, EXT4_LARGEST,
               -(2 ** 63))
    for kind, length, user in itertools.product(KINDS, lengths, ("root", "alice", "bob")):
        yield row(world(kind), user, do("truncate", "g/p/x", length))
    for kind, length, flags in itertools.product(("file", "empty", "dir", "fifo", "link", "socket"),
                                                 lengths, (O_RDONLY, O_WRONLY, O_RDWR, O_PATH)):
        yield row(world(kind), "alice", do("open", "g/p/x", flags | O_NONBLOCK),
                  do("ftruncate", FD, length), do("fstat", FD))
    for length in (EXT4_LARGEST + 1, 1 << 50, LARGEST):
        yield row(world("file"), "alice", do("truncate", "g/p/x", length))
    for form, kind in itertools.product(("g/p/x/", "g/p/x/.", "", "g/p/x/inside", ".", "g/absent"),
                                        KINDS):
        yield row(world(kind), "alice", do("truncate", form, 3))
    for first, second in itertools.permutations((0, 3, 10, 20, 5000), 2):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR), do("ftruncate", FD, first),
                  do("ftruncate", FD, second), do("pread", FD, 6000, 0))


def allocating():
    modes = (NONE, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE,
             FALLOC_ZERO_RANGE, FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, FALLOC_COLLAPSE_RANGE,
             FALLOC_INSERT_RANGE, FALLOC_COLLAPSE_RANGE | FALLOC_KEEP_SIZE,
             FALLOC_INSERT_RANGE | FALLOC_KEEP_SIZE, FALLOC_COLLAPSE_RANGE | FALLOC_INSERT_RANGE,
             FALLOC_ZERO_RANGE | FALLOC_PUNCH_HOLE, FALLOC_UNSHARE_RANGE, Named(0x1000, "0x1000"))
    ranges = ((0, 0), (0, 1), (0, 10), (5, 3), (5, 100), (20, 10), (-1, 5), (0, -1), (-5, -5),
              (4096, 4096), (0, 4096), (LARGEST, 1), (LARGEST - 10, 5))
    for mode, (offset, length) in itertools.product(modes, ranges):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR),
                  do("fallocate", FD, mode, offset, length))
        yield row(world("absent", more=(SOLID, )), "root", do("open", "s", O_RDWR),
                  do("fallocate", FD, mode, offset, length))
        yield row(world("absent", more=(SPARSE, )), "root", do("open", "s", O_RDWR),
                  do("fallocate", FD, mode, offset * 64, length * 64))
    for mode, kind, flags in itertools.product(modes[:8], KINDS,
                                               (O_RDONLY, O_WRONLY, O_RDWR | O_APPEND, O_PATH)):
        yield row(world(kind), "root", do("open", "g/p/x", flags | O_NONBLOCK),
                  do("fallocate", FD, mode, 0, 4096))
    for kind, (offset, length) in itertools.product(("file", "empty", "dir", "fifo"), ranges[:-1]):
        for flags in (O_RDWR, O_RDONLY):
            yield row(world(kind), "alice", do("open", "g/p/x", flags | O_NONBLOCK),
                      do("posix_fallocate", FD, offset, length), do("fstat", FD))
    for mode, (offset, length) in itertools.product(
            modes[3:6],
        ((0, 64 * K), (64 * K, 64 * K), (32 * K, 64 * K), (128 * K, 64 * K), (1, 128 * K),
         (0, 128 * K), (1000, 5), (4095, 2), (128 * K, 1), (127 * K, 1024 * K))):
        yield row(world("absent", more=(SOLID, )), "alice", do("open", "s", O_RDWR),
                  do("fallocate", FD, mode, offset, length), do("pread", FD, 16, offset),
                  do("pread", FD, 16, max(offset - 8, 0)), do("fstat", FD))


def seeking():
    # SEEK_DATA and SEEK_HOLE at offsets that name no byte.
    offsets = (0, 1, 5, 9, 10, 11, 4096, 1 << 40, -1, -10, -11, LARGEST, -(2 ** 63))
    for whence, offset, kind in itertools.product(
        (SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, Named(5, "5"), Named(-1, "-1")),
            offsets, ("file", "empty", "link", "fifo", "char")):
        yield row(world(kind), "alice", do("open", "g/p/x", O_RDWR | O_NONBLOCK),
                  do("lseek", FD, offset, whence), do("lseek", FD, 0, SEEK_CUR))
    for whence, offset in itertools.product((SEEK_SET, SEEK_CUR, SEEK_DATA, SEEK_HOLE), (0, -1)):
        yield row(world("dir"), "alice", do("open", "g/p/x", O_RDONLY),
                  do("lseek", FD, offset, whence))
    for offset, whence in itertools.product((3, -3, 0, 100), (SEEK_CUR, SEEK_END, SEEK_SET)):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR), do("read", FD, 4),
                  do("lseek", FD, offset, whence), do("read", FD, 4), do("lseek", FD, 0, SEEK_CUR))
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR),
                  do("lseek", FD, offset, whence), do("write", FD, b"XY"),
                  do("lseek", FD, 0, SEEK_CUR), do("pread", FD, 200, 0))
    places = [
        piece * 64 * K + shift for piece in range(17) for shift in (-1, 0, 1) if piece or shift >= 0
    ]
    for here, whence, offset in itertools.product((SPARSE, HOLE, SOLID), (SEEK_DATA, SEEK_HOLE),
                                                  places):
        yield row(world("absent", more=(here, )), "alice", do("open", "s", O_RDONLY),
                  do("lseek", FD, offset, whence), do("lseek", FD, 0, SEEK_CUR))
    for here, (offset, length) in itertools.product(
        (SPARSE, SOLID), ((0, 64 * K), (64 * K, 64 * K), (256 * K, 32 * K), (0, 1024 * K))):
        yield row(world("absent", more=(here, )), "alice", do("open", "s", O_RDWR),
                  do("fallocate", FD, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length),
                  do("extents", FD), do("fsync", FD), do("extents", FD))
        yield row(world("absent", more=(here, )), "alice", do("open", "s", O_RDWR),
                  do("ftruncate", FD, length), do("ftruncate", FD, 2048 * K), do("extents", FD))
        yield row(world("absent", more=(here, )), "alice", do("open", "s", O_RDWR),
                  do("pwrite", FD, b"new" * 64 * K, offset + 64 * K), do("fsync", FD),
                  do("extents", FD))


def copying():
    two = world("file", second="file", more=(SPARSE, ))
    a, b = Descriptor("a"), Descriptor("b")
    opening = (do("open", "g/p/x", O_RDONLY, keep="a"), do("open", "g/p/y", O_RDWR, keep="b"))
    for source, target, length in itertools.product(
        (0, 3, 10, 20, None, -1, LARGEST), (0, 5, 10, 100, None, -1, LARGEST), (0, 4, 10, 1000)):
        yield row(two, "alice", *opening, do("copy_file_range", a, source, b, target, length, NONE),
                  do("lseek", a, 0, SEEK_CUR), do("lseek", b, 0, SEEK_CUR), do("pread", b, 200, 0))
    for flags in (Named(1, "1"), Named(1 << 31, "1<<31")):
        yield row(two, "alice", *opening, do("copy_file_range", a, 0, b, 0, 4, flags))
    for source, target in itertools.product(
        (O_RDONLY, O_WRONLY, O_RDWR, O_PATH),
        (O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_PATH)):
        yield row(two, "alice", do("open", "g/p/x", source, keep="a"),
                  do("open", "g/p/y", target, keep="b"), do("copy_file_range", a, 0, b, 0, 4, NONE))
        yield row(two, "alice", do("open", "g/p/x", source, keep="a"),
                  do("open", "g/p/y", target, keep="b"), do("sendfile", b, a, 2, 4),
                  do("pread", b, 20, 0))
    for one, other in itertools.product(KINDS[1:], KINDS[1:]):
        yield row(world(one, second=other), "root",
                  do("open", "g/p/x", O_RDONLY | O_NONBLOCK, keep="a"),
                  do("open", "g/p/y", O_WRONLY | O_NONBLOCK, keep="b"),
                  do("copy_file_range", a, 0, b, 0, 10, NONE))
    for source, target, length in itertools.product((0, 2, 5), (0, 2, 5, 10, 12),
                                                    (0, 2, 3, 5, 10, 100)):
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDWR, keep="a"),
                  do("copy_file_range", a, source, a, target, length, NONE), do("pread", a, 100, 0))
        yield row(world("file"), "alice", do("open", "g/p/x", O_RDONLY, keep="a"),
                  do("open", "g/p/x", O_WRONLY, keep="b"),
                  do("copy_file_range", a, source, b, target, length, NONE), do("pread", a, 100, 0))
    for mode in (0o4777, 0o6777, 0o2777):
        for user in ("root", "bob"):
            yield row(world("file", second="file", second_mode=mode), user, *opening[:1],
                      do("open", "g/p/y", O_WRONLY, keep="b"),
                      do("copy_file_range", a, 0, b, 0, 4, NONE))
    for offset in (0, 64 * K, 200 * K, 1000 * K):
        yield row(two, "alice", do("open", "s", O_RDONLY, keep="a"),
                  do("open", "g/p/y", O_RDWR, keep="b"),
                  do("copy_file_range", a, offset, b, 4096, 300 * K, NONE), do("fstat", b),
                  do("pwrite", b, b"later", 5000), do("pread", b, 20, 4990))


def rows():
    yield from truncating()
    yield from allocating()
    yield from seeking()
    yield from copying()
