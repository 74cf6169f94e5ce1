"""The processes that make the calls: one for each side and share of the rows, each with a partner
where a row needs a second process.

A worker is root and takes a user's identity for the calls of a row only. It answers with what each
step returned and what the world looked like afterwards.
"""

import os
import pickle
import select
import signal
import struct
import sys
import time
import traceback

import calls
import objects
import snapshots
from names import Descriptor

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Shared"))
from programs import patience  # noqa: E402

ROW_SECONDS = patience(5)
# CLOCK_REALTIME_COARSE: the clock that the kernel takes the times of files from.
COARSE = 5


class Blocked(BaseException):
    """A call did not return in time."""


def _alarm(*_):
    raise Blocked()


def take_identity(user):
    uid, gid = objects.USERS[user]
    os.setgroups(objects.GROUPS[user])
    os.setresgid(gid, gid, 0)
    # The saved user stays root, to come back. With the others changed no capability is in force.
    os.setresuid(uid, uid, 0)


def drop_identity():
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
    os.setgroups([])


def send(fd, message):
    data = pickle.dumps(message)
    data = struct.pack("<I", len(data)) + data
    while data:
        data = data[os.write(fd, data) :]


def receive(fd):
    """The next message, or None at the end."""

    def exactly(count):
        data = b""
        while len(data) < count:
            piece = os.read(fd, count - len(data))
            if not piece:
                return None
            data += piece
        return data

    head = exactly(4)
    body = None if head is None else exactly(struct.unpack("<I", head)[0])
    return None if body is None else pickle.loads(body)


class Actor:
    """Makes steps: keeps the descriptors of the row that it is in."""

    def __init__(self, broken=None):
        self.descriptors, self.broken, self.home = {}, broken, None

    def make(self, step, user):
        arguments = []
        for value in step.arguments:
            if isinstance(value, Descriptor):
                if value not in self.descriptors:
                    return "no descriptor"
                value = self.descriptors[value]
            elif isinstance(value, str):
                value = value.replace("%W", self.home).encode()
            elif isinstance(value, int):
                value = int(value)
            arguments.append(value)
        user = step.by or user
        if user != "root":
            take_identity(user)
        try:
            result = calls.perform(step.call, arguments)
        except Blocked:
            result = "blocks"
        finally:
            if user != "root":
                drop_identity()
        if step.call in calls.RETURNS_DESCRIPTOR and isinstance(result, int):
            if step.keep in self.descriptors:
                os.close(self.descriptors[step.keep])
            self.descriptors[step.keep] = result
            result = "a descriptor"
        if step.call == self.broken and isinstance(result, str) and result.startswith("E"):
            result = "EIO" if result != "EIO" else "ENOENT"
        if step.call == "close" and result == 0:
            for name in [name for name, fd in self.descriptors.items() if fd == arguments[0]]:
                del self.descriptors[name]
        return result

    def let_go(self):
        for fd in self.descriptors.values():
            try:
                os.close(fd)
            except OSError:
                pass
        self.descriptors = {}


class Partner:
    """A second process, for locks between two."""

    def __init__(self):
        request, self.request = os.pipe()
        self.answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.request), os.close(self.answer)
            self.serve(request, answer)
        os.close(request), os.close(answer)

    def serve(self, request, answer):
        actor = Actor()
        while (message := receive(request)) is not None:
            home, step, user = message
            if step is None:
                actor.let_go()
                os.chdir("/")
                send(answer, 0)
                continue
            os.chdir(home)
            actor.home = home
            signal.setitimer(signal.ITIMER_REAL, ROW_SECONDS)
            result = actor.make(step, user)
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(answer, result)
        os._exit(0)

    def make(self, home, step, user):
        send(self.request, (home, step, user))
        return receive(self.answer)

    def close(self):
        os.close(self.request)
        os.waitpid(self.pid, 0)


class Worker:
    """One side's share of the rows, in a directory of its own.

    With `gate`, a descriptor, each row's own world is built first, and the rows are run when the
    other end of the gate is closed.
    """

    def __init__(self, directory, rows, broken=None, gate=None):
        self.directory, self.rows, self.gate = directory, rows, gate
        self.actor, self.partner = Actor(broken), None
        self.built, self.number = None, 0

    def serve(self, answer):
        signal.signal(signal.SIGALRM, _alarm)
        os.umask(0)
        os.setgroups([])
        self.partner = Partner()
        if self.gate is not None:
            for index, row in self.rows:
                self.build(row, os.path.join(self.directory, f"r{index}"))
            os.chdir(self.directory)
            send(answer, "built")
            os.read(self.gate, 1)
        for index, row in self.rows:
            try:
                send(answer, (index, *self.run(index, row)))
            except OSError as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                send(
                    answer,
                    (index, None, f"{error} ({os.path.basename(place.filename)}:{place.lineno})"),
                )
                if error.errno in (5, 107, 103):
                    os._exit(1)
                self.forget()
        self.forget()
        self.partner.close()
        os._exit(0)

    def forget(self):
        os.chdir(self.directory)
        if self.built is not None:
            try:
                objects.remove(self.home)
            finally:
                self.built = None

    def build(self, row, home):
        os.mkdir(home, 0o755)
        os.chdir(home)
        objects.build(row.world)

    def prepare(self, index, row):
        """A world as the row wants it, and what it looks like."""
        if self.built == row.world.entries and self.gate is None:
            os.chdir(self.home)
            return
        self.forget()
        if self.gate is None:
            self.number += 1
            self.home = os.path.join(self.directory, f"w{self.number}")
            self.built = row.world.entries
            self.build(row, self.home)
        else:
            self.home = os.path.join(self.directory, f"r{index}")
            self.built = row.world.entries
            os.chdir(self.home)
        self.before = snapshots.survey(reads=False)

    def run(self, index, row):
        self.prepare(index, row)
        latest = snapshots.latest_change(self.before)
        while (floor := time.clock_gettime_ns(COARSE)) <= latest:
            time.sleep(0.0005)
        self.actor.home = self.home
        results, is_shared = [], False
        signal.setitimer(signal.ITIMER_REAL, ROW_SECONDS)
        for step in row.steps:
            if step.other:
                is_shared = True
                results.append(self.partner.make(self.home, step, row.user))
            else:
                results.append(self.actor.make(step, row.user))
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.actor.let_go()
        if is_shared:
            self.partner.make(self.home, None, row.user)
        os.umask(0)
        os.chdir(self.home)
        after = snapshots.survey()
        state = snapshots.changes(self.before, after, floor)
        if not snapshots.is_same(self.before, after):
            self.forget()
        return results, state


def start(directory, rows, broken=None, gate=None):
    """Starts a worker: its process's number, and the descriptor that its answers come from.
    `gate` is a pipe."""
    answers, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.close(answers)
            if gate is not None:
                os.close(gate[1])
            Worker(directory, rows, broken, gate and gate[0]).serve(answer)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(answer)
    return pid, answers


def wait_for(descriptors, seconds):
    return select.select(descriptors, [], [], seconds)[0]
