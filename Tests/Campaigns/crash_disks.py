"""Scenarios of the crash campaign in which the workspace's disk loses power, is full, or fails."""
import contextlib
import errno
import fcntl
import os
import random
import shutil
import struct
import subprocess
import time

from crash_stage import Stage
from sandbox import Sandbox, Violation, end_process, end_thread, is_running, wait_until
from syncers import GONE, Syncer
from writers import DISK_FULL, FAILING_DISK


class Unavailable(Exception):
    """This machine cannot run the scenario."""


@contextlib.contextmanager
def ext4(megabytes):
    """A file system of its own, whose power can be cut."""
    home = Sandbox("power").directory
    image, directory = os.path.join(home, "image"), os.path.join(home, "disk")
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    os.mkdir(directory)
    done = subprocess.run(["mount", "-o", "loop", image, directory], capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(home)
        raise Unavailable(done.stderr.strip())
    try:
        yield image, directory
    finally:
        unmount_disk(directory)
        shutil.rmtree(home)


def unmount_disk(directory):
    wait_until(lambda: subprocess.run(["umount", directory], capture_output=True).returncode == 0, 20,
               "the disk stays in use")


def cut_power(directory):
    """EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: what is not on the disk yet will not be."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, 0x8004587D, struct.pack("I", 2))
    finally:
        os.close(descriptor)


def power_loss(rounds, seed, tally):
    """The power of the workspace's disk is cut while programs write and sync, and others commit."""
    rng = random.Random(seed)
    with ext4(1024) as (image, disk), Sandbox("crash") as sandbox:
        sandbox.environment["TARN_STATE_DIR"] = state = os.path.join(disk, "state")
        os.mkdir(state)
        sandbox.tarn("init", sandbox.repository)
        point = sandbox.path("m")
        sandbox.mount(point, "--ref", "main", "--write")
        for _ in range(rounds):
            syncers = [Syncer(point, f"s{number}", rng.randrange(1 << 30)) for number in range(3)]
            for syncer in syncers:
                syncer.start()
            end = time.monotonic() + 0.3 + rng.random() * 1.5
            while time.monotonic() < end:
                sandbox.tarn("commit", "-m", "campaign", at=point, code=(0, 1))
                time.sleep(rng.random() * 0.3)
            cut_power(disk)
            tally.faults += 1
            for syncer in syncers:
                # Reads and unsynced writes may go on for a while.
                end_thread(syncer, 30, "a program")
                if syncer.error and syncer.error.errno not in GONE:
                    raise Violation("error", str(syncer.error))
            sandbox.kill_server(point)
            unmount_disk(disk)
            subprocess.run(["mount", "-o", "loop", image, disk], check=True)
            sandbox.mount(point, "--ref", "main", "--write")
            for syncer in syncers:
                syncer.verify()
            sandbox.tarn("commit", "-m", "after", at=point, code=(0, 1))
            for syncer in syncers:
                syncer.verify()
        sandbox.unmount(point)
        sandbox.tarn("fsck", "--read-data")
        sandbox.tarn("audit", "verify")


@contextlib.contextmanager
def small_disk(megabytes):
    directory = Sandbox("disk").directory
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tarn-campaign", directory], check=True)
    try:
        yield directory
    finally:
        for _ in range(50):
            if subprocess.run(["umount", directory], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        os.rmdir(directory)


def full_disk(rounds, seed, tally, writers=3):
    """The workspace's disk fills up: ENOSPC, nothing that was acknowledged is lost, and it goes on when there is room."""
    with small_disk(16) as state:
        for number in range(rounds):
            with Stage(seed + number, state=state, writers=writers, faults=DISK_FULL) as stage:
                stage.begin()
                time.sleep(0.4)
                ballast = os.path.join(stage.point, "ballast")
                filled = fill(ballast, stage.random.choice((1 << 20, 40_000, 4096)))
                time.sleep(0.8)
                kills = stage.random.random() < 0.5
                if kills:
                    stage.sandbox.kill_server(stage.point)
                stage.end_writers(expects_death=kills)
                tally.faults += 1 + sum(writer.expected_errors for writer in stage.writers)
                if kills:
                    # No room may be left for the database: then the mount says so, and comes when there is.
                    make_room_to_mount(stage, state)
                    stage.story.append("killed")
                stage.verify()
                with open(ballast, "rb") as file:
                    found = file.read()
                if found != b"\x5a" * len(found) or len(found) < filled:
                    raise Violation("ballast", f"{len(found)} of {filled} acknowledged bytes, or wrong ones")
                if stage.random.random() < 0.5:
                    # A commit of a full workspace: it succeeds or fails, and nothing is lost.
                    done = stage.sandbox.tarn("commit", "-m", "full", at=stage.point, code=(0, 1))
                    stage.story.append(f"commit {done.returncode} {done.stderr[:100]}")
                    stage.verify()
                free_room(stage, ballast)
                wait_for_room(state)
                stage.restart_writers()
                for writer in stage.writers:
                    writer.expected_errors = 0
                stage.begin()
                time.sleep(0.4)
                stage.end_writers(expects_death=False)
                if errors := sum(writer.expected_errors for writer in stage.writers):
                    said = [str(writer.last_error) for writer in stage.writers]
                    raise Violation("still full", f"{errors} errors after room was made: {said}; {room(state)}")
                stage.check_all()
            shutil.rmtree(os.path.join(state, "workspaces"), ignore_errors=True)


# Of the disk's 16 MiB, which the ballast filled.
ROOM_BYTES = 4 << 20


def free_bytes(directory):
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def wait_for_room(directory):
    """A file's room is given back once its removal is durable."""
    try:
        wait_until(lambda: free_bytes(directory) > ROOM_BYTES, 5, "room")
    except Violation:
        raise Violation("room not given back", room(directory)) from None


def room(directory):
    status = os.statvfs(directory)
    sizes = {os.path.join(path, name): os.path.getsize(os.path.join(path, name))
             for path, _, names in os.walk(directory) for name in names}
    large = ", ".join(f"{path[len(directory):]} {size}" for path, size in sizes.items() if size > 100_000)
    return f"{free_bytes(directory)} of {status.f_blocks * status.f_frsize} bytes are free; there are {large}"


def fill(path, piece):
    """Writes until the disk is full and closes; answers how many bytes were promised (by fsync, if it succeeded)."""
    descriptor, count = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644), 0
    promised = 0
    try:
        while count < 64 << 20:
            count += os.write(descriptor, b"\x5a" * piece)
            if count % (4 << 20) < piece:
                os.fsync(descriptor)
                promised = count
        raise Violation("no ENOSPC", "64 MiB fit into 16")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise Violation("full disk", f"{error} instead of ENOSPC") from None
    finally:
        try:
            os.close(descriptor)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return promised


def make_room_to_mount(stage, state):
    try:
        stage.mount()
    except Violation:
        subprocess.run(["mount", "-o", "remount,size=24m", state], check=True)
        stage.mount()


def free_room(stage, ballast):
    choice = stage.random.choice(("unlink", "truncate", "discard"))
    stage.story.append(choice)
    if choice == "unlink":
        os.unlink(ballast)
    elif choice == "truncate":
        os.truncate(ballast, 0)
    else:
        stage.sandbox.tarn("discard", "ballast", at=stage.point)
        # It may have been committed; then it is back.
        time.sleep(1.1)
        if os.path.exists(ballast):
            os.unlink(ballast)


# Not syncs: what holds after one that failed (W27) is tried by Tests/FailingCalls.
STRACE_FAULTS = (
    "pwrite64:error=ENOSPC:when=5+4", "pwrite64:error=EIO:when=7+5", "openat:error=EMFILE:when=20+9", "pread64:error=EIO:when=30+17")


def failing_disk(rounds, seed, tally):
    """System calls of the mount fail (strace -e inject): errors are told, and what was acknowledged is there."""
    for number in range(rounds):
        rule = STRACE_FAULTS[number % len(STRACE_FAULTS)]
        with Stage(seed + number, faults=FAILING_DISK | {errno.EMFILE}) as stage:
            stage.story.append(rule)
            stage.begin()
            time.sleep(0.3)
            log = stage.sandbox.path("strace")
            tracer = subprocess.Popen(
                ["strace", "-f", "-qq", "-p", str(stage.server), "-o", log, "-e", "trace=" + rule.split(":")[0],
                 "-e", "inject=" + rule], stderr=subprocess.DEVNULL)
            time.sleep(1.2)
            kills = stage.random.random() < 0.3
            if kills:
                stage.sandbox.kill_server(stage.point)
                stage.story.append("killed")
            end_process(tracer)
            with open(log, errors="replace") as text:
                tally.faults += text.read().count("(INJECTED)")
            if not kills and not is_running(stage.server):
                raise Violation("mount ended", "by a failing system call:\n" + "\n".join(stage.sandbox.logs(20)))
            stage.end_writers(expects_death=kills)
            if kills:
                stage.mount()
            stage.verify()
            stage.restart_writers()
            stage.begin()
            time.sleep(0.3)
            stage.end_writers(expects_death=False)
            stage.check_all()
