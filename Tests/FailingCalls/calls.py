"""The system calls that touch files: how their arguments name a file, and how each may fail."""
import errno
import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """`files` says where the arguments name files: ("fd", i), ("path", i) or ("at", i, j).

    `errors` are the ways of failing that a disk, a network file system or a limit can cause."""
    name: str
    number: int
    files: tuple
    errors: tuple


def path(*indices):
    return tuple(("path", index) for index in indices)


def at(*pairs):
    return tuple(("at", *pair) for pair in pairs)


DESCRIPTOR = (("fd", 0),)
OPENING = ("EIO", "EMFILE", "ENOSPC", "ESTALE", "EINTR")
READING = ("EIO", "ESTALE", "EINTR")
WRITING = ("EIO", "ENOSPC", "EINTR")
SYNCING = ("EIO", "ENOSPC")
MAKING = ("EIO", "ENOSPC")
TAKING = ("EIO", "ESTALE")
LOOKING = ("EIO", "ESTALE")
LOCKING = ("ENOLCK", "EINTR")

# x86_64: arch/x86/entry/syscalls/syscall_64.tbl
CALLS = {one.name: one for one in (
    Call("read", 0, DESCRIPTOR, READING),
    Call("write", 1, DESCRIPTOR, WRITING),
    Call("open", 2, path(0), OPENING),
    Call("stat", 4, path(0), LOOKING),
    Call("fstat", 5, DESCRIPTOR, LOOKING),
    Call("lstat", 6, path(0), LOOKING),
    Call("lseek", 8, DESCRIPTOR, ("EIO",)),
    Call("mmap", 9, (("fd", 4),), ("ENOMEM", "ENODEV")),
    Call("pread64", 17, DESCRIPTOR, READING),
    Call("pwrite64", 18, DESCRIPTOR, WRITING),
    Call("readv", 19, DESCRIPTOR, READING),
    Call("writev", 20, DESCRIPTOR, WRITING),
    Call("access", 21, path(0), LOOKING),
    Call("fcntl", 72, DESCRIPTOR, LOCKING),
    Call("flock", 73, DESCRIPTOR, LOCKING),
    Call("fsync", 74, DESCRIPTOR, SYNCING),
    Call("fdatasync", 75, DESCRIPTOR, SYNCING),
    Call("truncate", 76, path(0), WRITING),
    Call("ftruncate", 77, DESCRIPTOR, WRITING),
    Call("rename", 82, path(0, 1), MAKING),
    Call("mkdir", 83, path(0), MAKING),
    Call("rmdir", 84, path(0), TAKING),
    Call("link", 86, path(0, 1), MAKING),
    Call("unlink", 87, path(0), TAKING),
    Call("symlink", 88, path(1), MAKING),
    Call("readlink", 89, path(0), LOOKING),
    Call("chmod", 90, path(0), MAKING),
    Call("fchmod", 91, DESCRIPTOR, MAKING),
    Call("fchown", 93, DESCRIPTOR, MAKING),
    Call("lchown", 94, path(0), MAKING),
    Call("setxattr", 188, path(0), MAKING),
    Call("lsetxattr", 189, path(0), MAKING),
    Call("fsetxattr", 190, DESCRIPTOR, MAKING),
    Call("flistxattr", 196, DESCRIPTOR, LOOKING),
    Call("getdents64", 217, DESCRIPTOR, LOOKING),
    Call("openat", 257, at((0, 1)), OPENING),
    Call("mkdirat", 258, at((0, 1)), MAKING),
    Call("fchownat", 260, at((0, 1)), MAKING),
    Call("newfstatat", 262, at((0, 1)), LOOKING),
    Call("unlinkat", 263, at((0, 1)), TAKING),
    Call("renameat", 264, at((0, 1), (2, 3)), MAKING),
    Call("linkat", 265, at((0, 1), (2, 3)), MAKING),
    Call("symlinkat", 266, at((1, 2)), MAKING),
    Call("readlinkat", 267, at((0, 1)), LOOKING),
    Call("fchmodat", 268, at((0, 1)), MAKING),
    Call("faccessat", 269, at((0, 1)), LOOKING),
    Call("utimensat", 280, at((0, 1)), MAKING),
    Call("fallocate", 285, DESCRIPTOR, WRITING),
    Call("preadv", 295, DESCRIPTOR, READING),
    Call("pwritev", 296, DESCRIPTOR, WRITING),
    Call("renameat2", 316, at((0, 1), (2, 3)), MAKING),
    Call("copy_file_range", 326, (("fd", 0), ("fd", 2)), WRITING),
    Call("statx", 332, at((0, 1)), LOOKING),
    Call("faccessat2", 439, at((0, 1)), LOOKING),
)}
BY_NUMBER = {one.number: one for one in CALLS.values()}

# Of fcntl only what locks: F_GETLK, F_SETLK, F_SETLKW and the same for open file descriptions.
LOCK_COMMANDS = (5, 6, 7, 36, 37, 38)
O_CREAT = 0o100
OPEN_FLAGS = {"open": 1, "openat": 2}
AUDIT_ARCH_X86_64 = 0xC000003E


def is_supported():
    return platform.machine() == "x86_64"


def errors_of(call, flags):
    """How this call may fail: no room matters only to what may make a file."""
    if call.name in OPEN_FLAGS and not flags & O_CREAT:
        return tuple(one for one in call.errors if one != "ENOSPC")
    return call.errors


def number_of(name):
    return getattr(errno, name)
