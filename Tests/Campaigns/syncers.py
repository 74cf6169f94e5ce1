"""Programs that write and sync, and what they may find after power loss.

SEMANTICS W2: bytes that fsync acknowledged are there. Bytes written since are as before, as written, or (past the
acknowledged end) zeros.
"""
import contextlib
import errno
import os
import random
import threading

from sandbox import Violation

FILES, LARGEST = 4, 40_000
GONE = (errno.EIO, errno.ENOTCONN, errno.ECONNABORTED, errno.EROFS)
"""What a program meets when the disk below the mount goes away."""


class Syncer(threading.Thread):
    """Writes to files of a directory of its own until a call fails, remembering for each file what fsync acknowledged and
    what was written since."""

    def __init__(self, point, name, seed):
        super().__init__(daemon=True)
        self.directory, self.random = os.path.join(point, name), random.Random(seed)
        self.synced, self.since = {}, {}
        self.stopping, self.error, self.violation = threading.Event(), None, None

    def run(self):
        opened = {}
        try:
            self.work(opened)
        except Violation as violation:
            self.violation = violation
        except OSError as error:
            self.error = error
        for descriptor in opened.values():
            # Without its disk a close may fail.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def work(self, opened):
        os.makedirs(self.directory, exist_ok=True)
        current = {}
        for number in range(FILES):
            path = os.path.join(self.directory, f"f{number}")
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
            opened[path] = descriptor
            current[path] = bytearray(os.pread(descriptor, 1 << 24, 0))
            self.sync(path, descriptor, current[path])
        while not self.stopping.is_set():
            path = self.random.choice(sorted(opened))
            choice = self.random.random()
            if choice < 0.3:
                self.sync(path, opened[path], current[path])
            elif choice < 0.35:
                self.copy(path, self.random.choice(sorted(opened)), opened, current)
            else:
                self.write(path, opened[path], current[path])

    def write(self, path, descriptor, image):
        # Appending, as a log is written, or somewhere in the file, as a database is.
        offset = len(image) if self.random.random() < 0.4 and len(image) < LARGEST else \
            self.random.randrange(min(len(image), LARGEST) + 1)
        # No zeros: those that were never written are seen.
        data = bytes([self.random.randrange(1, 256)]) * self.random.choice((7, 512, 4096, 9000))
        self.note(path, offset, data, image)
        done = os.pwrite(descriptor, data, offset)
        if done != len(data):
            # The disk may go away in the middle of a write: then the rest fails.
            os.pwrite(descriptor, data[done:], offset + done)
            raise Violation("short write", path)

    def copy(self, source, path, opened, current):
        if source == path or not current[source]:
            return
        count = self.random.randrange(1, len(current[source]) + 1)
        self.note(path, 0, bytes(current[source][:count]), current[path])
        done = os.copy_file_range(opened[source], opened[path], count, 0, 0)
        if done != count:
            os.copy_file_range(opened[source], opened[path], count - done, done, done)
            raise Violation("short copy", path)

    def note(self, path, offset, data, image):
        self.since.setdefault(path, []).append((offset, data))
        image[offset:offset + len(data)] = data

    def sync(self, path, descriptor, image):
        os.fsync(descriptor)
        self.synced[path], self.since[path] = bytes(image), []

    def verify(self):
        for path, acknowledged in self.synced.items():
            with open(path, "rb") as file:
                found = file.read()
            if len(found) < len(acknowledged):
                raise Violation("lost bytes", f"{path}: {len(found)} of {len(acknowledged)} acknowledged bytes")
            possible = [{byte} for byte in acknowledged] + [{0} for _ in range(len(found) - len(acknowledged))]
            for offset, data in self.since[path]:
                for place, byte in enumerate(data[:max(0, len(found) - offset)], offset):
                    possible[place].add(byte)
            for place, byte in enumerate(found):
                if byte not in possible[place]:
                    raise Violation("wrong byte", f"{path} at {place} of {len(found)} ({len(acknowledged)} acknowledged): "
                                    f"{byte}, not one of {sorted(possible[place])}")
