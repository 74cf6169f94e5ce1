"""How the random campaign makes up its next operation or event; operations.py does it."""
import os
import random

from operations import TIMES, text
from sandbox import KEEP_SIZE, PUNCH_HOLE, RENAME_EXCHANGE, RENAME_NOREPLACE, ZERO_RANGE

# `sealtime`: setting a time while a commit is under way. `kindclash`: a file and a directory at one path in a merge.
# `rawargs`: names on the command line that are no UTF-8. `invalidation`: content that another process changed is seen.
FEATURES = ("link", "exchange", "fallocate", "owner", "fifo", "copyrange", "tmpfile", "seek", "update", "kindclash",
            "rawargs", "invalidation", "setid", "sealtime")
SLOTS = 5
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
