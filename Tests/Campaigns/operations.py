"""Operations on a tree: how each is done by system calls, and how a random one is made up.

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
from sandbox import KEEP_SIZE, PUNCH_HOLE, RENAME_EXCHANGE, RENAME_NOREPLACE, ZERO_RANGE, Violation

# `sealtime`: setting a time while a commit is under way. `kindclash`: a file and a directory at one path in a merge.
# `rawargs`: names on the command line that are no UTF-8. `invalidation`: content that another process changed is seen.
FEATURES = ("link", "exchange", "fallocate", "owner", "fifo", "copyrange", "tmpfile", "seek", "update", "kindclash", "rawargs",
            "invalidation", "setid", "sealtime")
READING = {"read", "fstat", "stat", "cat", "holes", "getxattr", "list", "readlink", "fsyncdir"}
# Few values, so that different versions of a file often have the same time and size.
TIMES = (1_000_000_000_123_456_789, 1_234_567_890_000_000_001, 1_500_000_000_500_000_000, 86_400_000_000_000,
         -86_399_999_999_999)
SLOTS = 5
LARGEST = 12 << 20


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


NAMES = [b"a", b"b", b"c", b"d.txt", b"e f", b"\xff\xfe", b"new\nline", "ü".encode(), b"-x", b"sub", b"deep", b"~"]
LONG_NAME = b"n" * 255


class Generator:
    """Makes up operations that suit the model's present state, so that most of them succeed."""

    WEIGHTS = {
        "open": 12, "close": 6, "write": 16, "append": 5, "read": 6, "ftruncate": 4, "fsync": 2, "fstat": 2,
        "fchmod": 1, "stat": 3, "put": 8, "edit": 5, "cat": 5, "truncate": 4, "mmap": 3, "rename": 11, "unlink": 7,
        "mkdir": 7, "rmdir": 4, "symlink": 3, "readlink": 1, "chmod": 3, "utime": 5, "setxattr": 3, "getxattr": 1,
        "removexattr": 1, "list": 2, "fsyncdir": 1, "link": 4, "fifo": 1, "chown": 2, "fallocate": 5, "copyrange": 4,
        "tmpfile": 1, "linktmp": 1, "holes": 2}
    # What happens between a program's system calls, per 1,000 operations.
    EVENTS = {
        "check": 14, "commit": 9, "begin": 6, "finish": 30, "remount": 3, "kill": 4, "others": 6, "clash": 5,
        "discard": 4, "update": 2}
    NEEDS = {
        "link": "link", "fifo": "fifo", "chown": "owner", "fallocate": "fallocate", "copyrange": "copyrange",
        "tmpfile": "tmpfile", "linktmp": "tmpfile", "holes": "seek", "update": "update"}

    def __init__(self, seed, model, without):
        self.random = random.Random(seed)
        self.model = model
        self.without = set(without)
        if os.geteuid() != 0:
            self.without.add("owner")
        self.operations = {name: weight for name, weight in self.WEIGHTS.items() if self.has(name)}
        self.events = {name: weight for name, weight in self.EVENTS.items() if self.has(name)}

    def has(self, name):
        return self.NEEDS.get(name) not in self.without

    def next(self, is_committing):
        self.look()
        event = self.random.random() * 1000
        for name, weight in self.events.items():
            event -= weight
            if event < 0:
                return getattr(self, "make_" + name, lambda: {})() | {"op": name}
        name = self.random.choices(list(self.operations), list(self.operations.values()))[0]
        if name == "utime" and is_committing and "sealtime" in self.without:
            name = "stat"
        return {"op": name} | getattr(self, "make_" + name)()

    def look(self):
        self.directories, self.files, self.links = [b""], [], []
        for directory in self.directories:
            with os.scandir(self.model.root + b"/" + directory) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = directory + b"/" + entry.name if directory else entry.name
                    if entry.is_symlink():
                        self.links.append(path)
                    elif entry.is_dir(follow_symlinks=False):
                        self.directories.append(path)
                    else:
                        self.files.append(path)

    # Choices

    def chance(self, probability):
        return self.random.random() < probability

    def seed(self):
        return self.random.randrange(1 << 30)

    def new_path(self):
        """A name that may be there already, in a directory that is; seldom in what is none."""
        shallow = [path for path in self.directories if path.count(b"/") < 4]
        directory = self.random.choice(shallow)
        if self.chance(0.02) and self.files:
            directory = self.random.choice(self.files + self.links)
        name = LONG_NAME if self.chance(0.01) else self.random.choice(NAMES)
        if self.chance(0.002):
            name = LONG_NAME + b"n"
        return text(directory + b"/" + name if directory else name)

    def some_path(self, *kinds):
        choices = [path for kind in kinds for path in kind if path]
        if not choices or self.chance(0.04):
            return self.new_path()
        return text(self.random.choice(choices))

    def file_path(self):
        return self.some_path(self.files, self.links if self.chance(0.05) else ())

    def any_path(self):
        return self.some_path(self.files, self.links, self.directories)

    def size(self):
        kind = self.random.random()
        if kind < 0.15:
            return self.random.choice((0, 1, 4095, 4096, 4097, 10, 10, 10))
        if kind < 0.8:
            return self.random.randrange(1, 20_000)
        if kind < 0.97:
            return self.random.randrange(20_000, 400_000)
        return self.random.randrange(400_000, 3_000_000)

    def offset(self):
        kind = self.random.random()
        if kind < 0.2:
            return 0
        if kind < 0.75:
            return self.random.randrange(0, 30_000)
        if kind < 0.97:
            return self.random.randrange(0, 1 << 20)
        return self.random.randrange(0, 8 << 20)

    def slot(self):
        if self.model.slots and self.chance(0.97):
            return self.random.choice(sorted(self.model.slots))
        return self.random.randrange(SLOTS)

    def mode(self, directory=False):
        mode = self.random.choice((0o644, 0o600, 0o755, 0o444, 0o640, 0o7777, 0o2755, 0o1777, 0o000))
        if "setid" in self.without:
            mode &= 0o1777
        return mode | (0o700 if directory else 0o600) if os.geteuid() != 0 else mode

    # Operations

    def make_open(self):
        flags = self.random.choice((os.O_RDWR, os.O_RDWR, os.O_RDWR, os.O_WRONLY, os.O_RDONLY))
        new = self.chance(0.4)
        if new or self.chance(0.2):
            flags |= os.O_CREAT
        for flag, probability in ((os.O_EXCL, 0.2 if flags & os.O_CREAT else 0), (os.O_TRUNC, 0.15),
                                  (os.O_APPEND, 0.15), (os.O_NOFOLLOW, 0.05)):
            if self.chance(probability) and not (flag == os.O_TRUNC and flags & os.O_ACCMODE == os.O_RDONLY):
                flags |= flag
        path = self.new_path() if new else self.file_path()
        return {"slot": self.random.randrange(SLOTS), "path": path, "flags": flags, "mode": self.mode()}

    def make_close(self):
        return {"slot": self.slot()}

    def make_write(self):
        return {"slot": self.slot(), "offset": self.offset(), "size": self.size(), "seed": self.seed()}

    def make_append(self):
        return {"slot": self.slot(), "size": self.size(), "seed": self.seed()}

    def make_read(self):
        return {"slot": self.slot(), "offset": self.offset(), "size": self.size()}

    def make_ftruncate(self):
        return {"slot": self.slot(), "size": self.offset()}

    def make_fsync(self):
        return {"slot": self.slot(), "data_only": self.chance(0.3)}

    def make_fstat(self):
        return {"slot": self.slot()}

    def make_fchmod(self):
        return {"slot": self.slot(), "mode": self.mode()}

    def make_fallocate(self):
        mode = self.random.choice(
            (0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE))
        return {"slot": self.slot(), "mode": mode, "offset": self.offset(), "size": self.size()}

    def make_copyrange(self):
        return {"slot": self.slot(), "source_offset": self.offset(), "target": self.slot(),
                "target_offset": self.offset(), "size": self.size()}

    def make_stat(self):
        return {"path": self.any_path()}

    def make_put(self):
        path = self.new_path() if self.chance(0.5) else self.file_path()
        return {"path": path, "size": self.size(), "seed": self.seed()}

    def make_edit(self):
        return {"path": self.file_path(), "offset": self.offset() // 8, "size": self.size(), "seed": self.seed()}

    def make_cat(self):
        return {"path": self.file_path()}

    make_holes = make_cat

    def make_truncate(self):
        return {"path": self.file_path(), "size": self.offset()}

    def make_mmap(self):
        return {"path": self.file_path(), "offset": self.offset() // 8, "size": self.size(), "seed": self.seed()}

    def make_rename(self):
        flags = self.random.choice((0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE))
        if flags == RENAME_EXCHANGE and "exchange" in self.without:
            flags = 0
        target = self.any_path() if flags == RENAME_EXCHANGE or self.chance(0.25) else self.new_path()
        path = self.some_path(self.directories) if self.chance(0.45) else self.any_path()
        if self.chance(0.03):
            target = path + "/" + text(self.random.choice(NAMES))
        return {"path": path, "target": target, "flags": flags}

    def make_unlink(self):
        return {"path": self.some_path(self.files, self.links) if self.chance(0.95) else self.any_path()}

    def make_mkdir(self):
        return {"path": self.new_path(), "mode": self.mode(directory=True)}

    def make_rmdir(self):
        return {"path": self.some_path(self.directories) if self.chance(0.9) else self.any_path()}

    def make_symlink(self):
        names = [self.random.choice(NAMES) for _ in range(self.random.randrange(1, 3))]
        target = self.random.choice((b"/".join(names), b"/nonexistent/x", b"\xfe\x01" * 20, b"."))
        return {"path": self.new_path(), "target": text(target)}

    def make_readlink(self):
        return {"path": self.some_path(self.links)}

    def make_link(self):
        path = self.some_path(self.files, self.links) if self.chance(0.95) else self.any_path()
        return {"path": path, "target": self.new_path()}

    def make_fifo(self):
        return {"path": self.new_path(), "mode": 0o644}

    def make_tmpfile(self):
        return {"slot": self.random.randrange(SLOTS), "path": self.some_path(self.directories), "mode": 0o640}

    def make_linktmp(self):
        return {"slot": self.slot(), "path": self.new_path()}

    def make_chmod(self):
        return {"path": self.any_path(), "mode": self.mode(directory=True)}

    def make_chown(self):
        user, group = self.random.choice(((0, 0), (1000, 1000), (-1, 7), (65534, -1)))
        return {"path": self.any_path(), "user": user, "group": group}

    def make_utime(self):
        return {"path": self.any_path(), "time": self.random.choice(TIMES)}

    def make_setxattr(self):
        value = text(self.random.randbytes(self.random.choice((0, 1, 20, 200))))
        return {"path": self.any_path(), "name": self.random.choice(("user.a", "user.bc", "user.d")), "value": value,
                "flags": self.random.choice((0, 0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))}

    def make_getxattr(self):
        return {"path": self.any_path(), "name": self.random.choice(("user.a", "user.bc"))}

    make_removexattr = make_getxattr

    def make_list(self):
        return {"path": self.some_path(self.directories) if self.chance(0.9) else self.any_path()}

    make_fsyncdir = make_list

    # Events

    def make_finish(self):
        return {"kill": self.chance(0.25)}

    def make_kill(self):
        return {"sync": self.chance(0.5)}

    def make_others(self):
        """Another writer adds files; their directories may be ours."""
        prefix = text(self.random.choice(self.directories))
        files = [(f"theirs-{self.random.randrange(4)}", self.size(), self.seed(), self.random.choice(TIMES))
                 for _ in range(self.random.randrange(1, 4))]
        return {"prefix": prefix, "files": files, "seed": self.seed()}

    def make_clash(self):
        """Another writer puts files where ours are, too."""
        files = []
        for _ in range(self.random.randrange(1, 4)):
            path = self.some_path(self.files) if self.chance(0.8) else self.new_path()
            files.append((path, self.random.choice((10, self.size())), self.seed(), self.random.choice(TIMES)))
        return {"prefix": "", "files": files, "seed": self.seed()}

    def make_discard(self):
        return {"path": self.any_path() if self.chance(0.85) else ""}
