"""Operations on a tree: how each is done by system calls. random_generator.py makes up random ones.

An operation is a dictionary of plain values (paths as Latin-1 text), so that a list of them can be stored as JSON, cut
down and run again. It may fail: then it must fail with the same errno in both trees.
"""
import errno
import hashlib
import mmap
import os
import random
import stat

import sandbox
from sandbox import Violation

READING = {"read", "fstat", "stat", "cat", "holes", "getxattr", "list", "readlink", "fsyncdir"}
# Few values, so that different versions of a file often have the same time and size.
TIMES = (1_000_000_000_123_456_789, 1_234_567_890_000_000_001, 1_500_000_000_500_000_000, 86_400_000_000_000,
         -86_399_999_999_999)


def content(seed, size):
    """Bytes that depend on nothing else: random, repeated (compressible, with equal blocks) or zeros."""
    if seed % 8 == 0:
        return bytes(size)
    if seed % 8 == 1:
        return (b"line %d of a text\n" % seed * (size // 16 + 1))[:size]
    return random.Random(seed).randbytes(size)


def raw(path):
    return path.encode("latin-1")


def text(path):
    return path.decode("latin-1")


class World:
    """A tree at `root`, with descriptors that stay open between operations."""

    def __init__(self, root, counts_links=True):
        self.root = os.fsencode(root)
        self.counts_links = counts_links
        self.slots = {}

    def at(self, path):
        return self.root + b"/" + raw(path) if path else self.root

    def do(self, operation):
        arguments = {key: value for key, value in operation.items() if key != "op"}
        try:
            return "ok", getattr(self, "do_" + operation["op"])(**arguments)
        except OSError as error:
            return "failed", errno.errorcode.get(error.errno, str(error.errno))

    def close_all(self, sync=False):
        for slot in list(self.slots):
            self.do_close(slot, sync)

    # Descriptors

    def descriptor(self, slot):
        if slot not in self.slots:
            raise OSError(errno.EBADF, "nothing is open")
        return self.slots[slot]

    def do_open(self, slot, path, flags, mode=0o644):
        self.do_close(slot)
        self.slots[slot] = os.open(self.at(path), flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
        return self.status(self.slots[slot])

    def do_tmpfile(self, slot, path, mode):
        self.do_close(slot)
        self.slots[slot] = os.open(self.at(path), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
        return self.status(self.slots[slot])

    def do_linktmp(self, slot, path):
        sandbox.link_descriptor(self.descriptor(slot), self.at(path))

    def do_close(self, slot, sync=False):
        if slot in self.slots:
            descriptor = self.slots.pop(slot)
            try:
                if sync and stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def status(self, descriptor):
        status = os.fstat(descriptor)
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        return size, oct(status.st_mode), status.st_nlink if self.counts_links and size is not None else None

    def do_write(self, slot, offset, size, seed):
        written = os.pwrite(self.descriptor(slot), content(seed, size), offset)
        return written, self.status(self.descriptor(slot))

    def do_append(self, slot, size, seed):
        """write(2) at the end, with or without O_APPEND."""
        os.lseek(self.descriptor(slot), 0, os.SEEK_END)
        written = os.write(self.descriptor(slot), content(seed, size))
        return written, os.lseek(self.descriptor(slot), 0, os.SEEK_CUR)

    def do_read(self, slot, offset, size):
        bytes_read = os.pread(self.descriptor(slot), size, offset)
        return len(bytes_read), hashlib.md5(bytes_read).hexdigest()

    def do_ftruncate(self, slot, size):
        os.ftruncate(self.descriptor(slot), size)
        return self.status(self.descriptor(slot))

    def do_fsync(self, slot, data_only):
        (os.fdatasync if data_only else os.fsync)(self.descriptor(slot))

    def do_fstat(self, slot):
        return self.status(self.descriptor(slot))

    def do_fchmod(self, slot, mode):
        os.fchmod(self.descriptor(slot), mode)

    def do_fallocate(self, slot, mode, offset, size):
        sandbox.fallocate(self.descriptor(slot), mode, offset, size)
        # Whether an allocation that changes nothing moves the time is each file system's own.
        os.utime(self.descriptor(slot))
        return self.status(self.descriptor(slot))

    def do_copyrange(self, slot, source_offset, target, target_offset, size):
        """May copy less than was asked for, so it is repeated until nothing is left."""
        source, target, total = self.descriptor(slot), self.descriptor(target), 0
        while total < size:
            count = os.copy_file_range(source, target, size - total, source_offset + total, target_offset + total)
            if count == 0:
                break
            total += count
        return total, self.status(target)

    # Paths

    def do_stat(self, path):
        status = os.lstat(self.at(path))
        is_directory = stat.S_ISDIR(status.st_mode)
        # The mode of a link is the kernel's affair; a directory's size is each file system's own.
        return oct(stat.S_IFMT(status.st_mode) if stat.S_ISLNK(status.st_mode) else status.st_mode), (
            None if is_directory else status.st_size)

    def open(self, path, flags):
        """Not waiting for the other end of a pipe."""
        return os.open(self.at(path), flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)

    def do_put(self, path, size, seed):
        """Whole new content, as most programs write."""
        with open(self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb", buffering=0) as file:
            return file.write(content(seed, size))

    def do_edit(self, path, offset, size, seed):
        """Overwrites in place and puts the time back, as `rsync --inplace --times` of an equal time does."""
        descriptor = self.open(path, os.O_WRONLY)
        try:
            before = os.fstat(descriptor)
            count = max(0, min(size, before.st_size - offset))
            written = os.pwrite(descriptor, content(seed, count), offset)
            if before.st_mtime_ns in TIMES:
                os.utime(descriptor, ns=(before.st_mtime_ns, before.st_mtime_ns))
            return written
        finally:
            os.close(descriptor)

    def do_cat(self, path):
        with open(self.open(path, os.O_RDONLY), "rb") as file:
            # An empty pipe without waiting gives nothing at all.
            return hashlib.md5(file.read() or b"").hexdigest()

    def do_truncate(self, path, size):
        # An equal size may or may not move the time (POSIX leaves it open for truncate).
        status = os.stat(self.at(path))
        if status.st_size != size or not stat.S_ISREG(status.st_mode):
            os.truncate(self.at(path), size)

    def do_mmap(self, path, offset, size, seed):
        descriptor = self.open(path, os.O_RDWR)
        try:
            length = os.fstat(descriptor).st_size
            if length == 0 or offset >= length:
                return "empty"
            with mmap.mmap(descriptor, length) as memory:
                before = hashlib.md5(memory[offset:offset + size]).hexdigest()
                count = min(size, length - offset)
                memory[offset:offset + count] = content(seed, count)
                if seed & 16:
                    memory.flush()
                return before
        finally:
            os.close(descriptor)

    def do_holes(self, path):
        """What SEEK_HOLE calls a hole must be zeros, and data and holes must follow each other up to the end."""
        descriptor = self.open(path, os.O_RDONLY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "no file"
            size, position = os.fstat(descriptor).st_size, 0
            while position < size:
                try:
                    data = os.lseek(descriptor, position, os.SEEK_DATA)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    data = size
                if data < position or data > size:
                    raise Violation("SEEK_DATA", f"{path!r}: {data} after {position} of {size}")
                if any(os.pread(descriptor, data - position, position)):
                    raise Violation("SEEK_HOLE", f"{path!r}: bytes in the hole {position}..<{data}")
                if data == size:
                    break
                position = os.lseek(descriptor, data, os.SEEK_HOLE)
                if position <= data or position > size:
                    raise Violation("SEEK_HOLE", f"{path!r}: {position} after {data} of {size}")
            try:
                return "found", os.lseek(descriptor, size, os.SEEK_DATA)
            except OSError as error:
                return errno.errorcode[error.errno]
        finally:
            os.close(descriptor)

    def do_rename(self, path, target, flags):
        if flags:
            sandbox.renameat2(self.at(path), self.at(target), flags)
        else:
            os.rename(self.at(path), self.at(target))

    def do_unlink(self, path):
        os.unlink(self.at(path))

    def do_mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def do_rmdir(self, path):
        os.rmdir(self.at(path))

    def do_symlink(self, path, target):
        os.symlink(raw(target), self.at(path))

    def do_readlink(self, path):
        return text(os.readlink(self.at(path)))

    def do_link(self, path, target):
        os.link(self.at(path), self.at(target), follow_symlinks=False)
        return os.lstat(self.at(target)).st_nlink

    def do_fifo(self, path, mode):
        os.mkfifo(self.at(path), mode)

    def do_chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def do_chown(self, path, user, group):
        os.chown(self.at(path), user, group, follow_symlinks=False)
        status = os.lstat(self.at(path))
        return status.st_uid, status.st_gid, oct(status.st_mode) if not stat.S_ISLNK(status.st_mode) else None

    def do_utime(self, path, time):
        os.utime(self.at(path), ns=(time, time), follow_symlinks=False)
        return os.lstat(self.at(path)).st_mtime_ns

    def do_setxattr(self, path, name, value, flags):
        os.setxattr(self.at(path), name, raw(value), flags, follow_symlinks=False)

    def do_getxattr(self, path, name):
        return text(os.getxattr(self.at(path), name, follow_symlinks=False))

    def do_removexattr(self, path, name):
        os.removexattr(self.at(path), name, follow_symlinks=False)

    def do_list(self, path):
        with os.scandir(self.at(path)) as entries:
            return sorted((text(entry.name), entry.is_dir(follow_symlinks=False), entry.is_symlink())
                          for entry in entries)

    def do_fsyncdir(self, path):
        descriptor = os.open(self.at(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
