"""Runs a command and watches it: how it ends, how long it takes, how much memory it holds."""
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Shared"))
from programs import IS_SANITIZED, is_running, patience, tarn_binary  # noqa: E402

MEMORY_BYTES = 4 << 30 if IS_SANITIZED else 512 << 20
SECONDS = patience(60)


@dataclass
class Result:
    arguments: tuple
    code: int
    output: bytes
    errors: str
    seconds: float
    memory: int
    is_late: bool = False
    is_large: bool = False

    @property
    def text(self):
        return self.output[:100_000].decode(errors="replace") + self.errors


def peak(process):
    """The most memory that a running process has held, in bytes; 0 when it has ended."""
    try:
        with open(f"/proc/{process}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run(arguments, environment, directory, scratch, seconds=SECONDS):
    """Ends what takes too long or too much. Output goes to files: a daemon may inherit them."""
    names = [os.path.join(scratch, f"{name}-{os.getpid()}") for name in ("out", "err")]
    with open(names[0], "w+b") as output, open(names[1], "w+b") as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            arguments, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=output,
            stderr=errors, start_new_session=True)
        is_late = is_large = False
        pause, memory = 0.001, 0
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            memory = max(memory, peak(process.pid))
            is_large = memory > MEMORY_BYTES
            is_late = time.monotonic() - began > seconds
            if is_late or is_large:
                process.kill()
                _, status, usage = os.wait4(process.pid, 0)
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        output.seek(0)
        errors.seek(0)
        memory = max(memory, usage.ru_maxrss * 1024 if took < seconds else 0)
        return Result(tuple(arguments), code, output.read(64 << 20),
                      errors.read(1 << 20).decode(errors="replace"), took, memory,
                      is_late, is_large or memory > MEMORY_BYTES)


def remove(directory):
    """Also a tree that is deeper than Python's stack or longer than a path."""
    subprocess.run(["rm", "-rf", "--", directory], check=False, stderr=subprocess.DEVNULL)


def end(process):
    if is_running(process):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def mounts_below(directory):
    with open("/proc/self/mounts", "rb") as table:
        points = [os.fsdecode(line.split(b" ")[1]) for line in table]
    return [point for point in points if point.startswith(directory + "/")]


def is_mounted(point):
    return point in mounts_below(os.path.dirname(point))


def detach(point):
    for _ in range(3):
        if not is_mounted(point):
            return
        subprocess.run(["fusermount3", "-u", "-z", "--", point], capture_output=True, timeout=30)
        time.sleep(0.02)
