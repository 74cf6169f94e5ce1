"""Constants that print as their names, so that a row reads like the call that it makes."""

import os
import stat


class Named(int):
    """An integer with a name. `|` joins names, as in `O_RDWR|O_CREAT`."""

    def __new__(cls, value, name):
        self = super().__new__(cls, value)
        self.name = name
        return self

    def __or__(self, other):
        if int(other) == 0 and not isinstance(other, Named):
            return self
        if int(self) == 0 and self.name == "0":
            return other
        if int(other) == 0 and getattr(other, "name", "") == "0":
            return self
        return Named(int(self) | int(other), f"{self.name}|{getattr(other, 'name', hex(other))}")

    def __reduce__(self):
        return int, (int(self),)

    def __repr__(self):
        return self.name

    __str__ = __repr__


class Octal(int):
    """A mode: prints in octal."""

    def __repr__(self):
        return f"{int(self):04o}"

    __str__ = __repr__


class Descriptor(str):
    """The file descriptor that an earlier step of the same row kept under this name."""

    def __repr__(self):
        return f"<{str(self)}>"


def _take(module, *names):
    for name in names:
        globals()[name] = Named(getattr(module, name), name)


NONE = Named(0, "0")
_take(
    os,
    "O_RDONLY",
    "O_WRONLY",
    "O_RDWR",
    "O_CREAT",
    "O_EXCL",
    "O_TRUNC",
    "O_APPEND",
    "O_DIRECTORY",
    "O_NOFOLLOW",
    "O_PATH",
    "O_DIRECT",
    "O_SYNC",
    "O_DSYNC",
    "O_TMPFILE",
    "O_NONBLOCK",
    "O_NOATIME",
    "O_CLOEXEC",
    "O_NOCTTY",
    "F_OK",
    "R_OK",
    "W_OK",
    "X_OK",
    "SEEK_SET",
    "SEEK_CUR",
    "SEEK_END",
    "SEEK_DATA",
    "SEEK_HOLE",
)
_take(stat, "S_IFREG", "S_IFDIR", "S_IFLNK", "S_IFIFO", "S_IFSOCK", "S_IFCHR", "S_IFBLK")

AT_FDCWD = Named(-100, "AT_FDCWD")
AT_SYMLINK_NOFOLLOW = Named(0x100, "AT_SYMLINK_NOFOLLOW")
AT_REMOVEDIR = Named(0x200, "AT_REMOVEDIR")
AT_EACCESS = Named(0x200, "AT_EACCESS")
AT_SYMLINK_FOLLOW = Named(0x400, "AT_SYMLINK_FOLLOW")
AT_EMPTY_PATH = Named(0x1000, "AT_EMPTY_PATH")
UNKNOWN_FLAG = Named(0x800000, "0x800000")

RENAME_NOREPLACE = Named(1, "RENAME_NOREPLACE")
RENAME_EXCHANGE = Named(2, "RENAME_EXCHANGE")
RENAME_WHITEOUT = Named(4, "RENAME_WHITEOUT")

FALLOC_KEEP_SIZE = Named(0x01, "KEEP_SIZE")
FALLOC_PUNCH_HOLE = Named(0x02, "PUNCH_HOLE")
FALLOC_COLLAPSE_RANGE = Named(0x08, "COLLAPSE_RANGE")
FALLOC_ZERO_RANGE = Named(0x10, "ZERO_RANGE")
FALLOC_INSERT_RANGE = Named(0x20, "INSERT_RANGE")
FALLOC_UNSHARE_RANGE = Named(0x40, "UNSHARE_RANGE")

XATTR_CREATE = Named(1, "XATTR_CREATE")
XATTR_REPLACE = Named(2, "XATTR_REPLACE")

UTIME_NOW = Named((1 << 30) - 1, "UTIME_NOW")
UTIME_OMIT = Named((1 << 30) - 2, "UTIME_OMIT")

LOCK_SH = Named(1, "LOCK_SH")
LOCK_EX = Named(2, "LOCK_EX")
LOCK_UN = Named(8, "LOCK_UN")
LOCK_NB = Named(4, "LOCK_NB")
F_RDLCK = Named(0, "F_RDLCK")
F_WRLCK = Named(1, "F_WRLCK")
F_UNLCK = Named(2, "F_UNLCK")
F_GETLK = Named(5, "F_GETLK")
F_SETLK = Named(6, "F_SETLK")
F_OFD_GETLK = Named(36, "F_OFD_GETLK")
F_OFD_SETLK = Named(37, "F_OFD_SETLK")

PROT_READ = Named(1, "PROT_READ")
PROT_WRITE = Named(2, "PROT_WRITE")
MAP_SHARED = Named(1, "MAP_SHARED")
MAP_PRIVATE = Named(2, "MAP_PRIVATE")


def octal(*modes):
    return [Octal(mode) for mode in modes]
