"""Makes the n-th system call of a program fail, by the kernel's seccomp user notification.

Unlike strace's injection the calls of all threads and children are counted together, and only
those on files below given directories are. A call that fails is not carried out.
"""
import collections
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

import calls

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS = 38
SYS_SECCOMP = 317
SECCOMP_SET_MODE_FILTER = 1
FLAG_NEW_LISTENER = 8
RET_ALLOW, RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
PATH_BYTES = 4096
AT_FDCWD = -100


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def program(numbers):
    """A filter that tells of these calls and lets all others go."""
    lines = [(LOAD_WORD, 0, 0, 4), (JUMP_EQUAL, 1, 0, calls.AUDIT_ARCH_X86_64),
             (RETURN, 0, 0, RET_ALLOW), (LOAD_WORD, 0, 0, 0)]
    for number in numbers:
        lines += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, RET_USER_NOTIF)]
    lines.append((RETURN, 0, 0, RET_ALLOW))
    array = (Instruction * len(lines))(*(Instruction(*line) for line in lines))
    return Program(len(lines), array), array


@dataclass(frozen=True)
class Met:
    """A call on a file that counts."""
    name: str
    path: str
    flags: int
    # time.monotonic(), which is one clock for all processes.
    at: float = 0


@dataclass
class Failure:
    """Which call fails: the n-th of a name, on a path that `accepts` holds for, with an errno."""
    name: str
    number: int
    error: str
    accepts: object = None
    # How many calls from there on fail: a disk that stays full, or one bad answer.
    times: int = 1


@dataclass
class Injection:
    """What a run met, and what failed in it."""
    roots: tuple
    failure: Failure = None
    met: list = field(default_factory=list)
    counts: collections.Counter = field(default_factory=collections.Counter)
    failed: list = field(default_factory=list)
    fault: str = ""

    def paths(self, call, thread, arguments):
        """The paths that a call names, as far as they can be known."""
        for kind, *indices in call.files:
            number = ctypes.c_int(arguments[indices[0]]).value
            if kind == "fd":
                yield link(thread, number)
                continue
            text = string(thread, arguments[indices[-1]])
            if kind == "at" and not text.startswith("/"):
                base = link(thread, None if number == AT_FDCWD else number)
                text = os.path.join(base, text) if text else base
            elif not text.startswith("/"):
                text = os.path.join(link(thread, None), text)
            yield text

    def answer(self, number, thread, arguments):
        """0, or the errno with which the call is to fail."""
        call = calls.BY_NUMBER[number]
        if call.name == "fcntl" and arguments[1] not in calls.LOCK_COMMANDS:
            return 0
        found = next((one for one in self.paths(call, thread, arguments)
                      if one.startswith(self.roots)), None)
        if found is None:
            return 0
        flags = arguments[calls.OPEN_FLAGS[call.name]] if call.name in calls.OPEN_FLAGS else 0
        met = Met(call.name, os.path.normpath(found), flags, time.monotonic())
        self.met.append(met)
        failure = self.failure
        if failure is None or failure.name != call.name or (
                failure.accepts and not failure.accepts(met)):
            return 0
        self.counts[call.name] += 1
        nth = self.counts[call.name]
        if not failure.number <= nth < failure.number + failure.times:
            return 0
        self.failed.append(met)
        return calls.number_of(failure.error)

    def serve(self, listener):
        """Answers until nobody is left who has the filter."""
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        buffer = bytearray(80)
        while True:
            events = poll.poll()
            if not events[0][1] & select.POLLIN:
                break
            buffer[:] = bytes(80)
            try:
                fcntl.ioctl(listener, NOTIF_RECV, buffer)
            except OSError as error:
                # ENOENT: the thread was killed meanwhile.
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            identifier, thread, _ = struct.unpack_from("QII", buffer)
            number, _, _, *arguments = struct.unpack_from("iIQ6Q", buffer, 16)
            try:
                code = self.answer(number, thread, arguments)
            except OSError:
                # The thread ended, or its argument is no address: the kernel says what is wrong.
                code = 0
            except Exception as error:  # Without an answer the program would hang.
                self.fault = f"{type(error).__name__}: {error}"
                code = 0
            answer = struct.pack("QqiI", identifier, 0, -code, 0 if code else CONTINUE)
            try:
                fcntl.ioctl(listener, NOTIF_SEND, answer)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
        os.close(listener)


def link(thread, descriptor):
    name = "cwd" if descriptor is None else f"fd/{descriptor}"
    return os.readlink(f"/proc/{thread}/{name}")


def string(thread, address):
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        # Not past a page's end at once: the next one need not be there.
        first = os.pread(memory.fileno(), min(PATH_BYTES, 4096 - address % 4096), address)
        if b"\0" not in first:
            first += os.pread(memory.fileno(), PATH_BYTES, address + len(first))
    return os.fsdecode(first.split(b"\0")[0])


def begin(arguments, environment, directory, output, errors, injection, names, before=None):
    """Starts a program under the filter; the answer is its process id and the serving thread."""
    here, there = socket.socketpair()
    filter_program, _keep = program([calls.CALLS[name].number for name in names])
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            for source, target in ((null, 0), (output, 1), (errors, 2)):
                os.dup2(source, target)
            os.chdir(directory)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if before:
                before()
            if os.geteuid() != 0:
                libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            listener = libc.syscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, FLAG_NEW_LISTENER,
                                    ctypes.byref(filter_program))
            if listener < 0:
                os.write(2, b"seccomp: " + os.strerror(ctypes.get_errno()).encode() + b"\n")
                os._exit(126)
            # Once sent, whoever has the other end answers: sendmsg itself is not watched.
            socket.send_fds(there, [b"x"], [listener])
            os.closerange(3, 256)
            os.execve(arguments[0], arguments, environment)
        finally:
            os._exit(127)
    there.close()
    try:
        data, descriptors, _, _ = socket.recv_fds(here, 1, 1)
    finally:
        here.close()
    if not data:
        os.waitpid(child, 0)
        raise RuntimeError("the seccomp filter could not be set: the campaign needs root and "
                           "Linux 5.0 or later")
    server = threading.Thread(target=injection.serve, args=(descriptors[0],), daemon=True)
    server.start()
    return child, server


def wait(child, seconds):
    """The exit code of a child, negative for a signal; None when it had to be killed."""
    end, pause = time.monotonic() + seconds, 0.001
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(pause * 1.3, 0.01)
