#!/usr/bin/env python3
"""Kills, full disks and failing stores, checked against what was promised (SEMANTICS B1, B4, B5, R6, W2–W5).

Prints a table in Markdown: scenario, rounds, faults injected, violations.
"""
import argparse
import contextlib
import errno
import fcntl
import http.client
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import trees
from faulty_proxy import FaultyProxy
from sandbox import Sandbox, Violation, end_process, end_thread, is_mount_point, is_running, wait_until
from syncers import GONE, Syncer
from writers import DISK_FULL, FAILING_DISK, Writer


class Unavailable(Exception):
    """This machine cannot run the scenario."""


class Committer(threading.Thread):
    """Commits again and again, and tells the writers what a commit that succeeded has promised."""

    def __init__(self, stage, kill_probability=0.0, allowed=(0,)):
        super().__init__(daemon=True)
        self.stage, self.kill_probability, self.allowed = stage, kill_probability, allowed
        self.random = random.Random(stage.random.randrange(1 << 30))
        self.stopping, self.process = threading.Event(), None
        self.commits = self.kills = self.failures = 0
        self.violation = None
        # The mount is being killed: any end of a commit is right.
        self.is_lost = False

    def run(self):
        try:
            while not self.stopping.is_set():
                self.commit()
                self.stopping.wait(self.random.random() * 0.1)
        except Violation as violation:
            self.violation = violation

    def commit(self):
        marks = [(writer, writer.marks()) for writer in self.stage.writers]
        self.process = self.stage.sandbox.start("commit", "-m", "campaign", "--timeout", "3", at=self.stage.point)
        is_killed = self.random.random() < self.kill_probability
        if is_killed:
            time.sleep(self.random.random() ** 2 * 0.15)
            self.process.kill()
        done = self.stage.sandbox.finish(self.process)
        if done.returncode == 0:
            self.commits += 1
            # Without its mount a commit holds what was saved before the mount ended.
            for writer, mark in marks if not self.is_lost else ():
                writer.promise(mark)
        elif done.returncode == -signal.SIGKILL:
            self.kills += 1
        elif b"nothing to commit" not in done.stderr and done.returncode not in self.allowed and not self.is_lost:
            raise Violation(f"exit commit {done.returncode}", done.stderr.decode(errors="replace")[-800:])
        else:
            self.failures += 1

    def end(self):
        end_thread(self, 150, "a commit")


class Stage:
    """A repository, a writable mount and writers in it."""

    def __init__(self, seed, endpoint=None, writers=3, state=None, faults=(), options=()):
        self.random = random.Random(seed)
        self.sandbox = Sandbox("crash", endpoint)
        self.point = self.sandbox.path("m")
        self.options = options
        if state:
            self.sandbox.environment["TARN_STATE_DIR"] = state
        if endpoint:
            make_bucket(endpoint, self.sandbox.repository.split("/")[2])
        self.sandbox.tarn("init", self.sandbox.repository)
        self.mount()
        self.writers = [Writer(self.point, f"w{number}", self.random.randrange(1 << 30), faults)
                        for number in range(writers)]
        self.head = self.sandbox.head()
        self.committer = None
        # What was done, for reports.
        self.story = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if isinstance(error, (Violation, OSError)):
            print("\n".join([f"{self.story}; the mounts' log ends:", *self.sandbox.logs(12)]), flush=True)
        for writer in self.writers:
            writer.stop()
        if self.committer:
            self.committer.stopping.set()
            if self.committer.process and self.committer.process.poll() is None:
                self.committer.process.kill()
        self.sandbox.close()

    def mount(self):
        self.sandbox.mount(self.point, "--ref", "main", "--write", *self.options)

    @property
    def server(self):
        return self.sandbox.servers[self.point]

    def begin(self):
        for writer in self.writers:
            writer.begin()

    def end_writers(self, expects_death):
        """All threads end; without a reason for it none has met an error."""
        for writer in self.writers:
            writer.stop()
        for writer in self.writers:
            writer.end()
            if writer.error and not expects_death:
                raise Violation("error", f"{writer.name}: {writer.error}")

    def verify(self, root=None, settle=True):
        for writer in self.writers:
            writer.verify(root or self.point, settle)

    def restart_writers(self):
        self.writers = [writer.restart() for writer in self.writers]

    def check_head(self):
        """The branch holds every commit that it held before."""
        head = self.sandbox.head()
        ids = [entry["id"] for entry in self.sandbox.tarn_json("log", "main", "-n", "1000")]
        if self.head not in ids:
            raise Violation("lost commit", f"{self.head} is not below {head}")
        self.head = head

    def commit(self):
        """Committing works (again), and what is committed is what the mount shows."""
        done = self.sandbox.tarn("commit", "-m", "after", at=self.point, code=(0, 1))
        if done.returncode == 1 and b"nothing to commit" not in done.stderr:
            raise Violation("exit commit 1", done.stderr.decode(errors="replace")[-800:])
        for writer in self.writers:
            writer.promise(writer.marks())
        self.check_head()

    def check_all(self):
        self.commit()
        out = self.sandbox.path("export")
        shutil.rmtree(out, ignore_errors=True)
        self.sandbox.tarn("export", "main", out)
        self.verify(out, settle=False)
        shown, exported = trees.take(os.fsencode(self.point)), trees.take(os.fsencode(out))
        trees.Comparison().check(shown, exported, "committed tree")
        self.sandbox.tarn("fsck", "--data")
        self.sandbox.tarn("audit", "verify")


def make_bucket(endpoint, name):
    connection = http.client.HTTPConnection(endpoint.split("/")[2], timeout=30)
    connection.request("PUT", f"/{name}")
    if connection.getresponse().status != 200:
        raise Violation("setup", "the bucket cannot be made")
    connection.close()


# Scenarios: each counts in `tally.faults` what it injected; a broken promise is raised.

def kill_mount(rounds, seed, tally):
    """SIGKILL of the mount's process while programs write."""
    kill_rounds(rounds, seed, tally, kills_mount=True)


def kill_commit(rounds, seed, tally):
    """SIGKILL of `tarn commit` while programs write."""
    kill_rounds(rounds, seed, tally, kills_commit=True)


def kill_both(rounds, seed, tally):
    """SIGKILL of the mount's process and of commits."""
    kill_rounds(rounds, seed, tally, kills_mount=True, kills_commit=True)


def kill_rounds(rounds, seed, tally, kills_mount=False, kills_commit=False):
    with Stage(seed) as stage:
        for number in range(rounds):
            stage.begin()
            stage.committer = committer = Committer(stage, 0.6 if kills_commit else 0.0)
            committer.start()
            time.sleep(0.1 + stage.random.random() * 0.9)
            if kills_mount:
                committer.is_lost = True
                stage.sandbox.kill_server(stage.point)
                tally.faults += 1
            committer.end()
            tally.faults += committer.kills
            stage.end_writers(expects_death=kills_mount)
            if kills_mount:
                stage.mount()
            stage.verify()
            stage.check_head()
            if number % 5 == 4 or number == rounds - 1:
                stage.check_all()
            elif stage.random.random() < 0.7:
                stage.commit()
            stage.restart_writers()


def kill_import(rounds, seed, tally):
    """SIGKILL of `tarn import`; the branch stays, and the import run again succeeds."""
    rng = random.Random(seed)
    with Sandbox("crash") as sandbox:
        sandbox.tarn("init", sandbox.repository)
        source = sandbox.path("source")
        for number in range(rounds):
            shutil.rmtree(source, ignore_errors=True)
            os.makedirs(os.path.join(source, "small"))
            for name in range(200):
                with open(os.path.join(source, "small", str(name)), "wb") as file:
                    file.write(rng.randbytes(rng.randrange(20_000)))
            for name in range(3):
                with open(os.path.join(source, f"large{name}"), "wb") as file:
                    file.write(rng.randbytes(12_000_000))
            before, length = sandbox.head(), 0.4
            for _ in range(3):
                process = sandbox.start("import", source, "-m", f"import {number}", "--delete")
                time.sleep(rng.random() * length)
                process.kill()
                process.communicate()
                tally.faults += 1
                head = sandbox.head()
                if head != before:
                    # It was killed after the swap.
                    break
                if rng.random() < 0.5:
                    sandbox.tarn("fsck", "--data")
            sandbox.tarn("import", source, "-m", f"import {number}", "--delete", code=(0, 1))
            out = sandbox.path("export")
            shutil.rmtree(out, ignore_errors=True)
            sandbox.tarn("export", "main", out)
            trees.Comparison().check(
                trees.take(os.fsencode(source)), trees.take(os.fsencode(out)), "imported tree")
        sandbox.tarn("fsck", "--data")
        sandbox.tarn("audit", "verify")


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
        sandbox.tarn("fsck", "--data")
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


def room(directory):
    status = os.statvfs(directory)
    return f"{status.f_bavail * status.f_frsize} of {status.f_blocks * status.f_frsize} bytes are free"


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


STRACE_FAULTS = (
    "fsync,fdatasync:error=EIO:when=2+3", "pwrite64:error=ENOSPC:when=5+4", "pwrite64:error=EIO:when=7+5",
    "fdatasync:error=ENOSPC:when=1+2", "openat:error=EMFILE:when=20+9", "pread64:error=EIO:when=30+17")


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


class Moto:
    """An S3 server of the campaign's own."""

    def __init__(self):
        program = os.environ.get("MOTO_SERVER") or os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "../../.venv/bin/moto_server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, 60, "moto does not answer")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def close(self):
        end_process(self.process)


def failing_store(rounds, seed, tally):
    """The S3 server refuses, stalls, cuts, spoils or loses replies: commits fail or succeed, never wrong bytes."""
    moto = Moto()
    proxy = FaultyProxy(moto.port, seed)
    try:
        with Stage(seed, proxy.endpoint, writers=2, faults={errno.EIO}, options=("--timeout", "3")) as stage:
            want = make_files(stage)
            for number in range(rounds):
                fault = FaultyProxy.FAULTS[number % len(FaultyProxy.FAULTS)]
                proxy.probability = 0.2 if fault == "stall" else stage.random.choice((0.15, 0.5, 1.0))
                stage.story.append(f"{fault} {proxy.probability}")
                stage.begin()
                proxy.fault = fault
                stage.committer = Committer(stage, 0.0, allowed=(0, 1))
                stage.committer.start()
                read_files(stage, want, number)
                time.sleep(0.5)
                proxy.fault = None
                stage.committer.end()
                stage.end_writers(expects_death=False)
                stage.verify()
                stage.check_head()
                stage.commit()
                stage.restart_writers()
            stage.check_all()
            read_files(stage, want, rounds, must_succeed=True)
    finally:
        tally.faults += proxy.injected
        proxy.close()
        moto.close()


def make_files(stage):
    """Files in the branch for readers; answers their bytes."""
    source = stage.sandbox.path("source")
    os.mkdir(source)
    want = {}
    for number, size in enumerate((10, 3000, 70_000, 600_000, 2_000_000)):
        want[f"r{number}"] = stage.random.randbytes(size)
        with open(os.path.join(source, f"r{number}"), "wb") as file:
            file.write(want[f"r{number}"])
    stage.sandbox.tarn("import", source, "-m", "files for readers")
    return want


def read_files(stage, want, number, must_succeed=False):
    """Reads through a mount with an empty cache, and by `tarn cat`: the right bytes, or an error."""
    point, errors = stage.sandbox.path(f"reader{number}"), 0
    try:
        stage.sandbox.mount(point, "--ref", "main", "--timeout", "3", "--cache-dir", point + "-cache")
    except Violation:
        if must_succeed:
            raise
        return 1
    for name, content in want.items():
        try:
            with open(os.path.join(point, name), "rb") as file:
                if file.read() != content:
                    raise Violation("wrong bytes", f"{name} is read wrongly")
        except OSError as error:
            errors += 1
            if must_succeed or error.errno != errno.EIO:
                raise Violation("read", str(error)) from None
    done = stage.sandbox.tarn(
        "cat", "main:r3", "--timeout", "3", "--cache-dir", point + "-cat", code=0 if must_succeed else None)
    if done.returncode == 0 and done.stdout != want["r3"] or not want["r3"].startswith(done.stdout):
        raise Violation("wrong bytes", "tarn cat")
    stage.sandbox.unmount(point)
    return errors


# Scenario, its share of the rounds, and whether it needs root.
SCENARIOS = (
    (kill_mount, 4, False), (kill_commit, 4, False), (kill_both, 4, False), (kill_import, 2, False),
    (full_disk, 2, True), (power_loss, 3, True), (failing_disk, 3, False), (failing_store, 6, False))


def spoil(stage_class):
    """For checking the checker: after a crash one byte of a file is another."""
    original = stage_class.verify

    def verify(self, root=None, settle=True):
        for writer in self.writers:
            for name in sorted(writer.files):
                path = os.path.join(root or self.point, writer.name, name)
                if os.path.exists(path) and os.path.getsize(path) > 100 and root is None:
                    with open(path, "r+b") as file:
                        file.seek(50)
                        file.write(b"\0")
        original(self, root, settle)

    stage_class.verify = verify


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=25, help="of all scenarios together")
    parser.add_argument("--minutes", type=float, help="again and again with new seeds until then")
    parser.add_argument("--only", default="", help=",".join(scenario.__name__ for scenario, _, _ in SCENARIOS))
    parser.add_argument("--fault", action="append", default=[], help="check the checker: wrong byte")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    if "wrong byte" in options.fault:
        spoil(Stage)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    chosen = [entry for entry in SCENARIOS if not options.only or entry[0].__name__ in options.only.split(",")]
    total = sum(share for _, share, _ in chosen)
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else None
    table = {scenario.__name__: argparse.Namespace(rounds=0, faults=0, violations=0) for scenario, _, _ in chosen}
    passed = failed = 0
    while True:
        print(f"seed {seed}", flush=True)
        for scenario, share, needs_root in chosen:
            if needs_root and os.geteuid() != 0:
                print(f"{scenario.__name__}: SKIPPED, needs root", flush=True)
                continue
            rounds = max(1, round(options.rounds * share / total))
            row, began = table[scenario.__name__], time.monotonic()
            row.rounds += rounds
            try:
                scenario(rounds, seed, row)
                passed += 1
                verdict = "ok"
            except Unavailable as reason:
                row.rounds -= rounds
                verdict = f"SKIPPED, {reason}"
            except (Violation, OSError) as violation:
                row.violations += 1
                failed += 1
                verdict = f"VIOLATION: {violation}"
            print(f"{scenario.__name__}: {rounds} rounds in {time.monotonic() - began:.0f} s: {verdict}", flush=True)
        if deadline is None or time.monotonic() > deadline:
            break
        seed = random.SystemRandom().randrange(1 << 31)
    print("\n| scenario | rounds | faults injected | violations |\n| --- | ---: | ---: | ---: |")
    for scenario, _, _ in chosen:
        row = table[scenario.__name__]
        print(f"| {scenario.__doc__.rstrip('.')} | {row.rounds} | {row.faults} | {row.violations} |")
    print(f"\n{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
