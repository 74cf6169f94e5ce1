"""Programs that write and remember what they were promised, so that it can be checked after a crash.

SEMANTICS W2: names and attributes survive the end of the mount's process at once; bytes when fsync or close has returned;
and what a commit that succeeded held (W5). Of later writes any part may be there, but nothing that was never written.
"""
import collections
import errno
import os
import random
import struct
import threading
import time

from sandbox import Violation, end_thread

RECORD = struct.Struct("<QQ")
FILES, LARGEST = 8, 60_000


def read_file(path):
    """All bytes. Closing may tell of somebody else's bytes that found no room."""
    descriptor, pieces = os.open(path, os.O_RDONLY), []
    try:
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
    finally:
        try:
            os.close(descriptor)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return b"".join(pieces)


class FileModel:
    """Every version of a file that may be found: the last promised one, and those of the writes since."""

    def __init__(self, image=b"", mode=0o644):
        self.images, self.first, self.mode, self.is_certain = [bytes(image)], 0, mode, True
        # By what the oldest version was promised: for reports.
        self.reason = "creation"
        self.history = collections.deque(maxlen=60)

    @property
    def number(self):
        return self.first + len(self.images) - 1

    def write(self, offset, data):
        image = bytearray(self.images[-1].ljust(offset, b"\0"))
        image[offset:offset + len(data)] = data
        self.images.append(bytes(image))

    def truncate(self, size):
        self.images.append(self.images[-1][:size].ljust(size, b"\0"))

    def promise(self, number, reason):
        """Nothing older than this version may be found any more."""
        if self.is_certain and number > self.first:
            del self.images[:number - self.first]
            self.first, self.reason = number, reason
            self.history.append((reason,))

    def check(self, path, found):
        sizes = {len(image) for image in self.images}
        if len(found) not in sizes and not min(sizes) <= len(found) <= max(sizes):
            raise Violation("lost bytes", f"{path}: {len(found)} bytes, but {sorted(sizes)} are possible by "
                            f"{self.reason}: {list(self.history)}")
        for start in range(0, len(found), 512):
            part = found[start:start + 512]
            choices = [image[start:start + 512].ljust(len(part), b"\0")[:len(part)] for image in self.images]
            if part in choices:
                continue
            for place, byte in enumerate(part):
                if all(choice[place] != byte for choice in choices):
                    raise Violation(
                        "wrong bytes", f"{path} at {start + place}: {byte}, possible by {self.reason}: "
                        f"{sorted({choice[place] for choice in choices})}: {list(self.history)}")

    def settle(self, found):
        self.images, self.first, self.is_certain = [found], self.number, True
        self.history.append(("found", len(found)))


class Writer(threading.Thread):
    """Works in a directory of its own until it is stopped or a system call fails in a way that is not expected."""

    def __init__(self, root, name, seed, faults=(), reads=True):
        super().__init__(daemon=True)
        self.directory, self.name, self.seed = os.path.join(root, name), name, seed
        self.random = random.Random(seed)
        self.faults, self.reads = set(faults), reads
        self.files, self.pending = {}, None
        self.open, self.lock = {}, threading.Lock()
        self.stopping = threading.Event()
        self.error = self.violation = self.last_error = None
        self.operations = self.expected_errors = 0
        self.written = self.promised = 0
        self.log = None

    # What was promised

    def marks(self):
        """How far the writer is; what a commit that begins now must hold."""
        with self.lock:
            return {name: (file, file.number) for name, file in self.files.items()}, self.written

    def promise(self, marks):
        files, written = marks
        with self.lock:
            for file, number in files.values():
                file.promise(number, "commit")
            self.promised = max(self.promised, written)

    # Running

    def restart(self):
        """A new thread that goes on where this one stood."""
        other = Writer(os.path.dirname(self.directory), self.name, self.random.randrange(1 << 30), self.faults,
                       self.reads)
        other.files, other.written, other.promised = self.files, self.written, self.promised
        other.operations, other.expected_errors = self.operations, self.expected_errors
        return other

    def begin(self):
        if not os.path.isdir(self.directory):
            os.mkdir(self.directory)
        self.log = os.open(os.path.join(self.directory, "log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                with self.lock:
                    self.step()
        except Violation as violation:
            self.violation = violation
        except OSError as error:
            self.error = error

    def step(self):
        actions = [self.append_log] * 4 + [self.write] * 6 + [self.sync] * 3 + [self.close, self.create, self.rename]
        actions += [self.unlink, self.truncate, self.chmod] + [self.read] * (2 if self.reads else 0)
        self.operations += 1
        try:
            self.random.choice(actions)()
        except OSError as error:
            if error.errno not in self.faults:
                raise
            self.expected_errors += 1
            self.last_error = error
        finally:
            if self.pending is not None:
                self.doubt()

    def doubt(self):
        """An operation on names failed: it may have been done all the same. Looked up, as a program would."""
        names = set(self.list_again()) - {"log"}
        for choice in (self.files, self.pending):
            if set(choice) == names:
                self.files = choice
                break
        else:
            raise Violation("names", f"{self.name}: {names}, not {set(self.files)} or {set(self.pending)}")
        self.pending = None

    def list_again(self):
        """Also while the store is away."""
        end = time.monotonic() + 60
        while True:
            try:
                return os.listdir(self.directory)
            except OSError as error:
                if error.errno not in self.faults or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def stop(self):
        self.stopping.set()

    def end(self, seconds=30):
        """Waits for the thread and closes what it has open; answers whether everything was closed without an error."""
        end_thread(self, seconds, self.name)
        clean = True
        for name, descriptor in [*self.open.items(), ("log", self.log)]:
            file, number = self.files.get(name), self.files[name].number if name in self.files else 0
            try:
                os.close(descriptor)
                if file:
                    file.promise(number, "close")
                elif name == "log":
                    self.promised = self.written
            except OSError:
                clean = False
        self.open = {}
        return clean

    # Operations

    def path(self, name):
        return os.path.join(self.directory, name)

    def pick(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def descriptor(self, name):
        if name not in self.open:
            self.open[name] = os.open(self.path(name), os.O_RDWR)
        return self.open[name]

    def append_log(self):
        os.write(self.log, RECORD.pack(self.written, self.written ^ self.key))
        self.written += 1

    @property
    def key(self):
        return 0x5555555555555555 + sum(self.name.encode())

    def write(self):
        name = self.pick()
        if name is None:
            return
        file, descriptor = self.files[name], self.descriptor(name)
        offset = self.random.randrange(max(1, min(LARGEST, len(file.images[-1]) + 3000)))
        # No zero bytes: a hole where bytes should be is seen.
        data = bytes(self.random.randrange(1, 256) for _ in range(self.random.randrange(1, 40)))
        data *= self.random.choice((1, 5, 100))
        was_certain, file.is_certain = file.is_certain, False
        file.write(offset, data)
        file.history.append(("write", offset, len(data)))
        count = os.pwrite(descriptor, data, offset)
        file.history.append(count)
        if count == len(data):
            file.is_certain = was_certain
        if len(file.images) > 30:
            self.sync_file(name)

    def truncate(self):
        name = self.pick()
        if name is None:
            return
        file, descriptor = self.files[name], self.descriptor(name)
        was_certain, file.is_certain = file.is_certain, False
        size = self.random.randrange(len(file.images[-1]) + 5000)
        file.truncate(size)
        file.history.append(("truncate", size))
        os.ftruncate(descriptor, size)
        file.history.append("ok")
        file.is_certain = was_certain

    def sync(self):
        if self.random.random() < 0.3:
            count = self.written
            os.fsync(self.log)
            self.promised = count
        elif self.files:
            self.sync_file(self.pick())

    def sync_file(self, name):
        file, descriptor = self.files[name], self.descriptor(name)
        number = file.number
        file.history.append("fsync")
        os.fsync(descriptor)
        self.settle_if_uncertain(name, file)
        file.promise(number, "fsync")

    def settle_if_uncertain(self, name, file):
        """After a write that failed nobody knows the content without looking."""
        if not file.is_certain:
            found = read_file(self.path(name))
            file.check(self.path(name), found)
            file.settle(found)

    def close(self):
        if not self.open:
            return
        name = self.random.choice(sorted(self.open))
        file = self.files[name]
        number = file.number
        os.close(self.open.pop(name))
        self.settle_if_uncertain(name, file)
        file.promise(number, "close")

    def create(self):
        name = f"f{self.random.randrange(FILES)}"
        if name in self.files:
            return
        self.pending = self.files | {name: FileModel()}
        descriptor = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        self.files, self.pending = self.pending, None
        self.open[name] = descriptor

    def rename(self):
        name, target = self.pick(), f"f{self.random.randrange(FILES)}"
        if name is None or name == target:
            return
        self.drop(name)
        self.drop(target)
        self.pending = {key: file for key, file in self.files.items() if key != name} | {target: self.files[name]}
        os.rename(self.path(name), self.path(target))
        self.files, self.pending = self.pending, None

    def unlink(self):
        if len(self.files) < FILES // 2:
            return
        name = self.pick()
        self.drop(name)
        self.pending = {key: file for key, file in self.files.items() if key != name}
        os.unlink(self.path(name))
        self.files, self.pending = self.pending, None

    def drop(self, name):
        """Closes without asking for a promise, as most programs do."""
        if name in self.open:
            file, number = self.files[name], self.files[name].number
            os.close(self.open.pop(name))
            file.promise(number, "close")

    def chmod(self):
        name = self.pick()
        if name is None:
            return
        file, mode = self.files[name], self.random.choice((0o600, 0o644, 0o755))
        before, file.mode = file.mode, None
        os.chmod(self.path(name), mode)
        file.mode = mode if before is not None else None

    def read(self):
        name = self.pick()
        if name is None:
            return
        file = self.files[name]
        found = read_file(self.path(name))
        if file.is_certain and found != file.images[-1]:
            wrong = [place for place, (a, b) in enumerate(zip(found, file.images[-1])) if a != b]
            raise Violation("read", f"{self.path(name)}: not what was written just before: {len(found)} of "
                            f"{len(file.images[-1])} bytes, {len(wrong)} wrong from {wrong[:1]}: {list(file.history)}")
        file.check(self.path(name), found)

    # Checking

    def verify(self, root, settle=True):
        """Checks the writer's directory below `root` against what was promised, and goes on from what is there."""
        directory = os.path.join(root, self.name)
        names = set(os.listdir(directory)) - {"log"}
        choices = [choice for choice in (self.files, self.pending) if choice is not None and set(choice) == names]
        if not choices:
            raise Violation("names", f"{directory}: {sorted(names)}, not {sorted(self.files)}"
                            + (f" or {sorted(self.pending)}" if self.pending is not None else ""))
        for position, files in enumerate(choices):
            try:
                for name, file in files.items():
                    self.verify_file(os.path.join(directory, name), file, settle and position == len(choices) - 1)
                break
            except Violation:
                if position == len(choices) - 1:
                    raise
        if settle:
            for name, file in files.items():
                file.settle(read_file(os.path.join(directory, name)))
                file.mode = os.stat(os.path.join(directory, name)).st_mode & 0o7777
            self.files, self.pending = files, None
        count = self.check_log(read_file(os.path.join(directory, "log")), self.promised, self.written + 1)
        if settle:
            self.written = self.promised = count

    def verify_file(self, path, file, _):
        file.check(path, read_file(path))
        mode = os.stat(path).st_mode & 0o7777
        if file.mode is not None and mode != file.mode:
            raise Violation("mode", f"{path}: {mode:o}, not {file.mode:o}")

    def check_log(self, found, least, most):
        """The log is a run of records from the first on; answers how many."""
        count = len(found) // RECORD.size
        if len(found) % RECORD.size or not least <= count <= most:
            raise Violation("log", f"{self.name}: {len(found) / RECORD.size} records, promised {least} to {most}")
        for number in range(count):
            if RECORD.unpack_from(found, number * RECORD.size) != (number, number ^ self.key):
                raise Violation("log", f"{self.name}: record {number} is wrong")
        return count


DISK_FULL = {errno.ENOSPC}
FAILING_DISK = {errno.ENOSPC, errno.EIO}
