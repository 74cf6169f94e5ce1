"""Makes calls with arguments at and beyond their limits on the files of a directory; prints what each came to.

Usage: boundaries.py DIRECTORY (reading|writing). The directory has a file `f` of 10,000 bytes and a directory `d`.
"""

import ctypes
import errno
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
PLACES = (-(2**63), -(2**63) + 1, -4096, -1, 0, 1, 4095, 4096, 9999, 10000, 10001, 2**31 - 1, 2**31, 2**32 - 1,
          2**32, 2**40, 2**43, 2**62, 2**63 - 4096, 2**63 - 1)
LENGTHS = (0, 1, 4096, 2**31 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
# What could be reserved is small; the rest is more than any disk has.
RESERVED = (-(2**63), -1, 0, 1, 8192, 2**44, 2**62, 2**63 - 1)
NAMES = (b"", b".", b"..", b"/", b"d/", b"d/..", b"n" * 255, b"n" * 256, b"n" * 4096, b"\xff\xfe", b"a\nb")
SEEK_DATA, SEEK_HOLE = 3, 4


def call(name, *arguments):
    kinds = [ctypes.c_char_p if isinstance(a, bytes) else
             a.__class__ if isinstance(a, (ctypes.Array, ctypes._SimpleCData)) else ctypes.c_long for a in arguments]
    values = [a if not isinstance(a, int) else ctypes.c_long(a).value for a in arguments]
    function = getattr(libc, name)
    function.argtypes = [ctypes.c_void_p if a is None or issubclass(k, ctypes.Array) else k
                         for a, k in zip(arguments, kinds)]
    function.restype = ctypes.c_long
    result = function(*values)
    # A C int is returned in half a register.
    if ctypes.c_int(result).value == -1 and name != "lseek" or result == -1:
        return errno.errorcode[ctypes.get_errno()]
    return result


def show(name, *arguments):
    result = call(name, *arguments)
    told = [a if isinstance(a, int) else len(a) if isinstance(a, (bytes, ctypes.Array)) else a for a in arguments[1:]]
    print(name, *told, "->", result, flush=True)
    return result


def reading(fd):
    buffer = ctypes.create_string_buffer(20000)
    for place in PLACES:
        for whence in (SEEK_DATA, SEEK_HOLE, 5, -1, 2**31 - 1):
            show("lseek", fd, place, whence)
        for length in (0, 1, 20000):
            show("pread", fd, buffer, length, place)
            if length: print(sum(buffer.raw))
        show("readahead", fd, place, 4096)
    for size in (0, 1, 10, 65536):
        show("fgetxattr", fd, b"user.none", ctypes.create_string_buffer(max(size, 1)), size)
        show("flistxattr", fd, ctypes.create_string_buffer(max(size, 1)), size)


def listing(directory):
    """No two file systems number entries alike: only that they answer."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    buffer = ctypes.create_string_buffer(4096)
    for place in PLACES:
        call("lseek", fd, place, os.SEEK_SET)
        for size in (0, 1, 4096): call("syscall", 217, fd, buffer, size)
    os.close(fd)


def sized(path):
    with open(path, "wb") as file: file.write(b"x" * 10000)
    return os.open(path, os.O_RDWR)


def writing(directory):
    path = directory + "/w"
    for place in PLACES:
        fd = sized(path)
        show("ftruncate", fd, place)
        print(os.fstat(fd).st_size)
        os.close(fd)
        fd = sized(path)
        for length in (0, 1, 4096): show("pwrite", fd, b"y" * length, length, place)
        print(os.fstat(fd).st_size)
        os.close(fd)
        for length in RESERVED:
            for mode in (0, 1, 2, 3, 64, 0x7fffffff, -1):
                # A hole far behind the end is a matter of the disk below.
                if place > 10001 and mode in (2, 3): continue
                fd = sized(path)
                show("fallocate", fd, mode, place, length)
                print(os.fstat(fd).st_size)
                os.close(fd)
    copies(path)
    attributes(path)
    names(directory)


def copies(path):
    source, target = sized(path), sized(path + "2")
    for at, to in ((a, b) for a in PLACES for b in (-1, 0, 4096, 2**62, 2**63 - 4096, 2**63 - 1)):
        for length in LENGTHS:
            if to > 2**40 and 0 <= at < 10000: continue
            pointers = ctypes.c_longlong(at), ctypes.c_longlong(to)
            libc.copy_file_range.argtypes = None
            libc.copy_file_range.restype = ctypes.c_long
            result = libc.copy_file_range(
                source, ctypes.byref(pointers[0]), target, ctypes.byref(pointers[1]), ctypes.c_size_t(length), 0)
            print("copy", at, to, length, result if result >= 0 else errno.errorcode[ctypes.get_errno()],
                  os.fstat(target).st_size, flush=True)
    os.close(source)
    os.close(target)


def attributes(path):
    fd = sized(path)
    for name in (b"", b"user.", b"user", b"user." + b"n" * 250, b"user." + b"n" * 251, b"user.a"):
        for size in (0, 1, 4096, 65537, 2**32, 2**64 - 1):
            for flags in (0, 1, 2, 3, 4, -1):
                value = ctypes.create_string_buffer(65537)
                show("fsetxattr", fd, name, value, size, flags)
        show("fremovexattr", fd, name)
    os.close(fd)


def names(directory):
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    for name in NAMES:
        for place in (fd, -1):
            print("mkdirat", len(name), call("mkdirat", place, name, 0o777777))
            print("unlinkat", len(name), call("unlinkat", place, name, 0x200))
            for mode in (0o100644, 0o040644, 0o120644, 0o170644, 0, 0o7777):
                print("mknodat", len(name), oct(mode), call("mknodat", place, name, mode, 0))
                call("unlinkat", place, name, 0)
            for flags in (0, 1, 2, 3, 4, 8, -1):
                print("renameat2", len(name), flags, call("renameat2", place, b"none", place, name, flags))
    os.close(fd)


if __name__ == "__main__":
    where, kind = sys.argv[1:]
    reader = os.open(where + "/f", os.O_RDONLY)
    reading(reader)
    listing(where + "/d")
    if kind == "writing": writing(where)
