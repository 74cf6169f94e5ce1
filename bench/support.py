"""What every benchmark needs: programs with a timeout, mounts that are stopped whatever happens, a disk of its own,
and rows that hold a figure beside the peer or limit it is judged by."""

import contextlib
import dataclasses
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A benchmark could not be run, or the program under test gave a wrong result."""


# MARK: Figures


@dataclasses.dataclass
class Row:
    """One figure. `ratio` is value / other; the target bounds it from below (`higher`) or above (`lower`)."""

    benchmark: str
    measure: str
    value: float
    unit: str
    better: str = "higher"
    against: str = ""
    other: float | None = None
    target: float | None = None
    cpu_seconds: float | None = None
    peak_mib: float | None = None
    runs: list = dataclasses.field(default_factory=list)

    @property
    def ratio(self):
        return self.value / self.other if self.other else None

    @property
    def met(self):
        if self.target is None or self.ratio is None:
            return None
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target

    def as_json(self):
        return dataclasses.asdict(self) | {"ratio": self.ratio, "met": self.met}


@dataclasses.dataclass
class Usage:
    """What a process has used so far."""

    cpu_seconds: float
    peak_mib: float


def usage(pid):
    with open(f"/proc/{pid}/stat") as file:
        # The command's name may hold blanks; the fields after its closing bracket do not.
        fields = file.read().rpartition(")")[2].split()
    with open(f"/proc/{pid}/status") as file:
        peak = next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
    return Usage((int(fields[11]) + int(fields[12])) / TICKS, peak / 1024)


@dataclasses.dataclass
class Ran:
    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: str


def median(values):
    return statistics.median(values)


@contextlib.contextmanager
def stopwatch():
    """`watch[0]` holds the seconds once the block has ended."""
    watch = [0.0]
    start = time.monotonic()
    yield watch
    watch[0] = time.monotonic() - start


# MARK: Programs


def run(command, timeout, env=None, cwd=None, stdout_to=None):
    """Runs a program to its end, with what it used; a failure or a timeout is a BenchError with its last words."""
    command = [str(part) for part in command]
    # Files, not pipes: a filled pipe would stop the program, and a daemon that keeps one open would hold us.
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout_to or output, stderr=errors, env=env, cwd=cwd,
            start_new_session=True)
        try:
            status, used = wait_for(process, timeout)
        except BaseException as error:
            end_group(process)
            if isinstance(error, TimeoutError):
                raise BenchError(f"{' '.join(command)[:200]}: not done after {timeout} s") from error
            raise
        seconds = time.monotonic() - start
        if status != 0:
            errors.seek(0)
            words = errors.read().decode(errors="replace")[-1000:]
            raise BenchError(f"{' '.join(command)[:200]}: exit code {status}: {words}")
        output.seek(0)
        text = output.read().decode(errors="replace")
        return Ran(seconds, used.ru_utime + used.ru_stime, peak_of(used), text)


def peak_of(used):
    """MiB; 0 where it is not known: a program inherits the peak of who started it, and ours may be the higher."""
    peak = used.ru_maxrss / 1024
    return peak if peak > usage(os.getpid()).peak_mib * 1.01 else 0.0


def wait_for(process, timeout):
    """Its exit code and resource usage. Polls with growing pauses: short programs are timed to about a millisecond."""
    deadline, pause = time.monotonic() + timeout, 0.0005
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)
        pause = min(pause * 1.2, 0.02)


def end_group(process):
    """Ends a program started in a session of its own, with everything it started."""
    if process.returncode is not None:
        return
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


# MARK: Mounts


class Mount:
    """A FUSE filesystem whose server runs in the foreground as our child, so that what it uses can be measured."""

    def __init__(self, name, point, command, env=None, log=None, patience=60):
        self.name, self.point = name, Path(point)
        self.point.mkdir(parents=True, exist_ok=True)
        self.log = open(log or os.devnull, "ab")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env,
            start_new_session=True)
        deadline = time.monotonic() + patience
        try:
            while not os.path.ismount(self.point):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"{name} did not mount: {self.last_words()}")
                time.sleep(0.02)
        except BaseException:
            self.stop(kill=True)
            raise

    def last_words(self):
        with contextlib.suppress(OSError):
            return Path(self.log.name).read_text(errors="replace")[-500:]
        return ""

    def usage(self):
        return usage(self.process.pid)

    def stop(self, kill=False, patience=300):
        """Unmounts and waits for the server. `kill`: what it still had to upload may be lost."""
        if kill and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if os.path.ismount(self.point) or kill:
            subprocess.run(
                ["fusermount3", "-u", *(["-z"] if kill else []), str(self.point)], timeout=60, check=False,
                stderr=subprocess.DEVNULL)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            end_group(self.process)
            subprocess.run(["fusermount3", "-uz", str(self.point)], timeout=60, check=False,
                           stderr=subprocess.DEVNULL)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(kill=kind is not None)


# MARK: The bench


class Bench:
    """One run of the harness: where it works, how large it works, and the rows so far."""

    def __init__(self, work, smoke, repository_root, tarn):
        self.work, self.smoke, self.root = Path(work), smoke, Path(repository_root)
        self.tarn_path = tarn
        self.rclone_path = os.environ.get("RCLONE") or shutil.which("rclone")
        self.rows, self.notes = [], []

    def size(self, full, smoke):
        return smoke if self.smoke else full

    def say(self, text):
        print(f"  {text}", flush=True)

    def add(self, *arguments, **facts):
        row = Row(*arguments, **facts)
        self.rows.append(row)
        ratio = f", {row.ratio:.3g} x {row.against}" if row.ratio else ""
        self.say(f"{row.measure}: {row.value:.4g} {row.unit}{ratio}")
        return row

    def note(self, text):
        self.notes.append(text)
        self.say(f"note: {text}")

    @contextlib.contextmanager
    def directory(self, name):
        """A directory that is gone afterwards."""
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def disk(self, name, gib):
        """A directory on an ext4 of its own, in a sparse file: a filesystem in use is slow to give out inodes that were
        freed lately, and would so favour whoever comes first. Not root, or no loop device: a directory on the disk there
        is, and a note."""
        with self.directory(name) as directory:
            point = directory / "disk"
            point.mkdir()
            if reason := self.cannot_mount(directory / "image", gib, point):
                self.note(f"{name}: {reason}, so on the disk in use instead of a fresh ext4")
                yield directory
                return
            try:
                yield point
            finally:
                subprocess.run(["umount", str(point)], timeout=120, check=False, stderr=subprocess.DEVNULL)
                if os.path.ismount(point):
                    subprocess.run(["umount", "-l", str(point)], timeout=60, check=False)

    @staticmethod
    def cannot_mount(image, gib, point):
        """Mounts a fresh ext4; the reason, where that is not possible here."""
        if os.geteuid() != 0:
            return "not root"
        with open(image, "wb") as file:
            file.truncate(gib << 30)
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], 300)
        try:
            run(["mount", "-o", "loop", image, point], 60)
        except BenchError as error:
            return f"no loop device ({error})"
        return None


class Tarn:
    """The program under test, with state, cache and author of its own."""

    def __init__(self, bench, home, repository, env=None):
        self.bench, self.home, self.repository = bench, Path(home), str(repository)
        self.home.mkdir(parents=True, exist_ok=True)
        self.env = dict(os.environ) | {
            "TARN_STATE_DIR": str(self.home / "state"), "TARN_CACHE_DIR": str(self.home / "cache"),
            "TARN_AUTHOR": "Bench <bench@example.org>", "TARN_REPO": self.repository} | (env or {})

    def __call__(self, *arguments, timeout=600, cwd=None):
        return run([self.bench.tarn_path, *arguments], timeout, env=self.env, cwd=cwd)

    def mount(self, point, *options, ref="main", env=None):
        command = [self.bench.tarn_path, "mount", self.repository, point, "--ref", ref, "-f", *options]
        return Mount("tarn", point, command, env=self.env | (env or {}), log=self.home / "mount.log")

    def forget_cache(self):
        shutil.rmtree(self.home / "cache", ignore_errors=True)


def sync():
    """What others wrote must not be written back in the next one's time."""
    run(["sync"], 600)


def drop_caches():
    """The kernel forgets what it has read of any disk; files in memory stay. Only root can, others read warm."""
    sync()
    if os.geteuid() == 0:
        Path("/proc/sys/vm/drop_caches").write_text("3")
