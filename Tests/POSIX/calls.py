"""The system-call layer: every call that a row can name, made through the C library.

`perform(call, arguments)` returns what the call returned as plain data, or the name of its errno.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)
INT, UNSIGNED, LONG = ctypes.c_int, ctypes.c_uint, ctypes.c_long
PATH, SIZE = ctypes.c_char_p, ctypes.c_size_t

# Calls whose arguments are numbers and paths, and whose return value says all.
PLAIN = {
    "open": (PATH, INT, UNSIGNED),
    "openat": (INT, PATH, INT, UNSIGNED),
    "creat": (PATH, UNSIGNED),
    "dup": (INT,),
    "close": (INT,),
    "mkdir": (PATH, UNSIGNED),
    "mkdirat": (INT, PATH, UNSIGNED),
    "mknod": (PATH, UNSIGNED, ctypes.c_ulong),
    "mknodat": (INT, PATH, UNSIGNED, ctypes.c_ulong),
    "mkfifo": (PATH, UNSIGNED),
    "mkfifoat": (INT, PATH, UNSIGNED),
    "link": (PATH, PATH),
    "linkat": (INT, PATH, INT, PATH, INT),
    "symlink": (PATH, PATH),
    "symlinkat": (PATH, INT, PATH),
    "rename": (PATH, PATH),
    "renameat": (INT, PATH, INT, PATH),
    "renameat2": (INT, PATH, INT, PATH, UNSIGNED),
    "unlink": (PATH,),
    "rmdir": (PATH,),
    "remove": (PATH,),
    "unlinkat": (INT, PATH, INT),
    "chmod": (PATH, UNSIGNED),
    "fchmod": (INT, UNSIGNED),
    "fchmodat": (INT, PATH, UNSIGNED, INT),
    "chown": (PATH, UNSIGNED, UNSIGNED),
    "lchown": (PATH, UNSIGNED, UNSIGNED),
    "fchown": (INT, UNSIGNED, UNSIGNED),
    "fchownat": (INT, PATH, UNSIGNED, UNSIGNED, INT),
    "truncate": (PATH, LONG),
    "ftruncate": (INT, LONG),
    "lseek": (INT, LONG, INT),
    "access": (PATH, INT),
    "faccessat": (INT, PATH, INT, INT),
    "fallocate": (INT, INT, LONG, LONG),
    "posix_fallocate": (INT, LONG, LONG),
    "posix_fadvise": (INT, LONG, LONG, INT),
    "fsync": (INT,),
    "fdatasync": (INT,),
    "sync_file_range": (INT, LONG, LONG, UNSIGNED),
    "readahead": (INT, LONG, SIZE),
    "flock": (INT, INT),
    "chdir": (PATH,),
    "fchdir": (INT,),
    "removexattr": (PATH, PATH),
    "lremovexattr": (PATH, PATH),
    "fremovexattr": (INT, PATH),
    "setxattr": (PATH, PATH, PATH, SIZE, INT),
    "lsetxattr": (PATH, PATH, PATH, SIZE, INT),
    "fsetxattr": (INT, PATH, PATH, SIZE, INT),
    "getxattr": (PATH, PATH, ctypes.c_void_p, SIZE),
    "lgetxattr": (PATH, PATH, ctypes.c_void_p, SIZE),
    "fgetxattr": (INT, PATH, ctypes.c_void_p, SIZE),
    "listxattr": (PATH, ctypes.c_void_p, SIZE),
    "llistxattr": (PATH, ctypes.c_void_p, SIZE),
    "flistxattr": (INT, ctypes.c_void_p, SIZE),
    "readlink": (PATH, ctypes.c_void_p, SIZE),
    "readlinkat": (INT, PATH, ctypes.c_void_p, SIZE),
    "read": (INT, ctypes.c_void_p, SIZE),
    "pread": (INT, ctypes.c_void_p, SIZE, LONG),
    "write": (INT, PATH, SIZE),
    "pwrite": (INT, PATH, SIZE, LONG),
    "utimensat": (INT, PATH, ctypes.c_void_p, INT),
    "futimens": (INT, ctypes.c_void_p),
    "copy_file_range": (INT, ctypes.c_void_p, INT, ctypes.c_void_p, SIZE, UNSIGNED),
    "sendfile": (INT, INT, ctypes.c_void_p, SIZE),
    "mmap": (ctypes.c_void_p, SIZE, INT, INT, INT, LONG),
    "munmap": (ctypes.c_void_p, SIZE),
    "msync": (ctypes.c_void_p, SIZE, INT),
    "fcntl": (INT, INT, ctypes.c_void_p),
    "statx": (INT, PATH, INT, UNSIGNED, ctypes.c_void_p),
}
RETURNS_DESCRIPTOR = {"open", "openat", "creat", "dup", "reopen"}
RETURNS_LONG = {
    "read",
    "pread",
    "write",
    "pwrite",
    "readlink",
    "readlinkat",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "llistxattr",
    "flistxattr",
    "lseek",
    "copy_file_range",
    "sendfile",
    "readahead",
}
for _name, _types in PLAIN.items():
    getattr(libc, _name).argtypes = _types
    getattr(libc, _name).restype = LONG if _name in RETURNS_LONG else INT
libc.mmap.restype = ctypes.c_void_p
MAP_FAILED, MS_SYNC, F_GETLK, F_OFD_GETLK = ctypes.c_void_p(-1).value, 4, 5, 36


def raw(name, *arguments):
    """Makes the call; raises OSError if it failed."""
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def _filled(name, before, size, after=()):
    buffer = ctypes.create_string_buffer(max(size, 1))
    length = raw(name, *before, buffer, size, *after)
    return buffer.raw[:length] if size else length


def _times(times):
    """((seconds, nanoseconds) of access, the same of modification), or None: now."""
    return None if times is None else (LONG * 4)(*times[0], *times[1])


def posix_fallocate(fd, offset, length):
    error = libc.posix_fallocate(fd, offset, length)
    if error:
        raise OSError(error, "posix_fallocate")
    return 0


def listxattr(name, target, size):
    names = _filled(name, (target,), size)
    return sorted(names.split(b"\0")[:-1]) if size else names


def describe(status):
    """What of a stat is the same on any filesystem. A directory's size is not."""
    size = "-" if stat.S_ISDIR(status.st_mode) else status.st_size
    return (
        stat.filemode(status.st_mode)[0],
        f"{stat.S_IMODE(status.st_mode):04o}",
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        size,
    )


def statx(dirfd, path, flags, mask):
    buffer = ctypes.create_string_buffer(256)
    raw("statx", dirfd, path, flags, mask, buffer)
    got, _, _, links, uid, gid, mode = struct.unpack_from("=IIQIIIH", buffer)
    size = struct.unpack_from("=Q", buffer, 40)[0]
    # Only basic fields that were asked for: what else a filesystem tells differs by right.
    basic = got & mask & 0x7FF
    return (f"{basic:#x}", f"{mode:06o}", links, uid, gid, "-" if stat.S_ISDIR(mode) else size)


def seconds(path):
    status = os.lstat(path)
    return (status.st_atime_ns, status.st_mtime_ns)


def lock(fd, command, kind, start, length, whence=0):
    """fcntl's record locks. The asking commands answer what stands in the way, but not whose it is:
    numbers of processes differ."""
    packed = ctypes.create_string_buffer(struct.pack("hhqqi4x", kind, whence, start, length, 0))
    raw("fcntl", fd, command, packed)
    return struct.unpack("hhqqi4x", packed.raw[:32])[:4] if command in (F_GETLK, F_OFD_GETLK) else 0


def copy_file_range(source, source_offset, target, target_offset, length, flags):
    offsets = [
        None if offset is None else LONG(offset) for offset in (source_offset, target_offset)
    ]
    pointers = [None if offset is None else ctypes.byref(offset) for offset in offsets]
    copied = raw("copy_file_range", source, pointers[0], target, pointers[1], length, flags)
    return (copied, *(None if offset is None else offset.value for offset in offsets))


def sendfile(target, source, offset, length):
    place = None if offset is None else LONG(offset)
    sent = raw("sendfile", target, source, None if place is None else ctypes.byref(place), length)
    return (sent, None if place is None else place.value)


@contextlib.contextmanager
def mapped(fd, length, flags, protection, offset=0):
    address = libc.mmap(None, length, protection, flags, fd, offset)
    if address == MAP_FAILED:
        raise OSError(ctypes.get_errno(), "mmap")
    try:
        yield address
    finally:
        libc.munmap(address, length)


def mmap(fd, length, flags, protection):
    """Maps and lets go again: may this be mapped so?"""
    with mapped(fd, length, flags, protection):
        return 0


def mmap_read(fd, length, start, stop):
    with mapped(fd, length, 1, 1) as address:
        return ctypes.string_at(address + start, stop - start)


def mmap_write(fd, length, start, data, flags=1):
    with mapped(fd, length, flags, 3) as address:
        ctypes.memmove(address + start, data, len(data))
        if flags == 1:
            raw("msync", address, length, MS_SYNC)
        return ctypes.string_at(address + start, len(data))


def bind(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
    return 0


def connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(path)
    return 0


def getfl(fd):
    known = os.O_ACCMODE | os.O_APPEND | os.O_DIRECT | os.O_SYNC | os.O_PATH | os.O_NONBLOCK
    known |= os.O_NOATIME | os.O_DIRECTORY
    return oct(fcntl.fcntl(fd, fcntl.F_GETFL) & known)


def setfl(fd, flags):
    return fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def getcwd():
    """The last name of the working directory: what is above differs between the two sides."""
    return os.path.basename(os.getcwdb())


def tell_times(path):
    return tuple("past" if value < 1_500_000_000_000_000_000 else "now" for value in seconds(path))


def directory_size(path):
    return os.stat(path).st_size


def same_file(first, second):
    return os.path.samestat(os.stat(first), os.stat(second))


def extents(fd):
    """The file's data as (start, end), as SEEK_DATA and SEEK_HOLE tell it."""
    found, place, end = [], 0, os.fstat(fd).st_size
    while place < end:
        try:
            start = os.lseek(fd, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        place = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, place))
    return found


SPECIAL = {
    "open": lambda path, flags, mode=0: raw("open", path, flags, mode),
    "openat": lambda fd, path, flags, mode=0: raw("openat", fd, path, flags, mode),
    "posix_fallocate": posix_fallocate,
    "read": lambda fd, size: _filled("read", (fd,), size),
    "pread": lambda fd, size, offset: _filled("pread", (fd,), size, (offset,)),
    "write": lambda fd, data: raw("write", fd, data, len(data)),
    "pwrite": lambda fd, data, offset: raw("pwrite", fd, data, len(data), offset),
    "readlink": lambda path, size=4096: _filled("readlink", (path,), size),
    "readlinkat": lambda fd, path, size=4096: _filled("readlinkat", (fd, path), size),
    "utimensat": lambda fd, path, times, flags: raw("utimensat", fd, path, _times(times), flags),
    "futimens": lambda fd, times: raw("futimens", fd, _times(times)),
    "copy_file_range": copy_file_range,
    "sendfile": sendfile,
    "statx": statx,
    "stat": lambda path: describe(os.stat(path)),
    "lstat": lambda path: describe(os.lstat(path)),
    "fstat": lambda fd: describe(os.fstat(fd)),
    "fstatat": lambda fd, path, follow: describe(os.stat(path, dir_fd=fd, follow_symlinks=follow)),
    "lock": lock,
    "mmap": mmap,
    "mmap_read": mmap_read,
    "mmap_write": mmap_write,
    "bind": bind,
    "connect": connect,
    "getfl": getfl,
    "setfl": setfl,
    "getcwd": getcwd,
    "listdir": lambda path: sorted(os.listdir(path)),
    "umask": os.umask,
    "tell_times": tell_times,
    "directory_size": directory_size,
    "same_file": same_file,
    "reopen": lambda fd, flags: raw("open", f"/proc/self/fd/{fd}".encode(), flags, 0),
    "extents": extents,
    "ioctl": lambda fd, request, value: fcntl.ioctl(fd, request, value),
}
for _prefix in ("", "l", "f"):
    SPECIAL[_prefix + "setxattr"] = (
        lambda target, name, value, flags, _call=_prefix + "setxattr": raw(
            _call, target, name, value, len(value), flags
        )
    )
    SPECIAL[_prefix + "getxattr"] = (
        lambda target, name, size=1 << 16, _call=_prefix + "getxattr": _filled(
            _call, (target, name), size
        )
    )
    SPECIAL[_prefix + "listxattr"] = (
        lambda target, size=1 << 16, _call=_prefix + "listxattr": listxattr(_call, target, size)
    )


def perform(call, arguments):
    """The result, or the name of the errno."""
    try:
        function = SPECIAL.get(call)
        return function(*arguments) if function else raw(call, *arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
