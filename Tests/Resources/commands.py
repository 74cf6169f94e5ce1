"""Every main command, and whether its result is right."""
import os
import shutil
import sys

from lake import FIRST, IMPORTED, KEPT, SECOND, STAGED, THIRD, TOPIC, files_below, remove

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")
# One that every user may run: that of this process may lie in a home directory.
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
MERGED = TOPIC | THIRD | {"many/1": TOPIC["many/1"]}
# What the mount shows of a workspace that was staged on an older head.
MOUNTED = SECOND | STAGED


class Failed(Exception):
    """A command ended with another code than 0; its `result` says how."""

    def __init__(self, result):
        super().__init__(result.errors)
        self.result = result


class Command:
    """`run` answers what is wrong with what came out, in words, or nothing."""

    def __init__(self, name, run, is_without_cache=False, needs_state=False, needs_run=False):
        self.name, self.run = name, run
        self.is_without_cache = is_without_cache
        self.needs_state, self.needs_run = needs_state, needs_run


def tarn(lake, said, *arguments):
    """What a command printed; its errors are kept in `said`."""
    done = lake.tarn(*arguments, code=None, seconds=25)
    said.append(done)
    if done.code != 0:
        raise Failed(done)
    return done.output


def program(lake, said, *arguments):
    """Runs a program that reads or writes; what it answers."""
    done = lake.outside([PYTHON, PROGRAM, *arguments], 25)
    if done.code != 0:
        said.append(done)
        raise Failed(done)
    return done.output


def same(got, wanted):
    return "" if got == wanted else f"other files or bytes: {sorted(set(got) ^ set(wanted))[:5]}"


def exported(lake, revision, wanted, repository=None):
    """Judged without the cell's limits: what the command left in the repository."""
    before, lake.before = lake.before, None
    home = lake.environment.get("HOME")
    lake.environment["HOME"] = lake.scratch
    try:
        got = lake.exported(revision, repository)
    finally:
        lake.before = before
        lake.environment.pop("HOME")
        if home is not None:
            lake.environment["HOME"] = home
    return got if isinstance(got, str) else same(got, wanted)


def init(lake, said):
    tarn(lake, said, "init", lake.now + "/new")
    return "" if os.path.exists(lake.now + "/new/tarn.json") else "there is no repository"


def import_(lake, said):
    tarn(lake, said, "import", lake.source, "-m", "Import", "--delete")
    return exported(lake, "main", IMPORTED)


def log(lake, said):
    lines = tarn(lake, said, "log", "main", "--oneline").decode().splitlines()
    return "" if sum("Load main" in line for line in lines) == 3 else f"{len(lines)} commits"


def cat(lake, said):
    return same([tarn(lake, said, "cat", "main:large")], [FIRST["large"]])


def export(lake, said):
    tarn(lake, said, "export", "main", lake.out)
    return same(files_below(lake.out), THIRD)


def mount_read(lake, said):
    tarn(lake, said, "mount", lake.repository, lake.point, "--ref", "topic")
    note(lake)
    program(lake, said, "copy", lake.point, lake.out)
    tarn(lake, said, "umount", lake.point)
    return same(files_below(lake.out), TOPIC)


def mount_write(lake, said):
    tarn(lake, said, "mount", lake.repository, lake.point, "--ref", "main", "--write")
    note(lake)
    program(lake, said, "write", lake.point)
    tarn(lake, said, "-C", lake.point, "commit", "-m", "Commit")
    program(lake, said, "copy", lake.point, lake.out)
    tarn(lake, said, "umount", lake.point)
    wanted = THIRD | STAGED if os.path.exists(lake.out + "/staged") else THIRD
    wanted |= {"written": b"w" * 70_000, "small": b"written"}
    return same(files_below(lake.out), wanted) or exported(lake, "main", wanted)


def merge(lake, said):
    tarn(lake, said, "merge", "topic", "--into", "main")
    return exported(lake, "main", MERGED)


def gc(lake, said):
    tarn(lake, said, "gc", "--delete", "--grace", "0")
    return "".join(exported(lake, revision, files) for revision, files in (
        ("main", THIRD), ("topic", TOPIC), ("kept", KEPT), ("v1", FIRST)))


def fsck(lake, said):
    output = tarn(lake, said, "fsck", "--read-data")
    return "" if b"No damage" in output else "damage"


def mirror(lake, said):
    tarn(lake, said, "mirror", lake.target)
    return exported(lake, "main", THIRD, lake.target)


def prefetch(lake, said):
    tarn(lake, said, "prefetch", "main")
    return ""


def run(lake, said):
    output = tarn(lake, said, "run", "--ref", "main", "--at", lake.point, "--", "cat",
                  lake.point + "/large")
    return same([output], [FIRST["large"]])


def note(lake):
    """Who serves the mount; asked as whoever may look into it."""
    done = lake.outside([PYTHON, PROGRAM, "daemon", lake.point], 10)
    if done.code == 0:
        lake.daemons.add(int(done.output))


COMMANDS = (
    Command("init", init, is_without_cache=True), Command("import", import_), Command("log", log),
    Command("cat", cat), Command("export", export),
    Command("mount", mount_read, needs_run=True),
    Command("mount --write", mount_write, needs_state=True, needs_run=True),
    Command("merge", merge), Command("gc", gc), Command("fsck", fsck), Command("mirror", mirror),
    # Its only work is to fill the cache.
    Command("prefetch", prefetch, needs_state=False), Command("run", run),
)


def prepare(lake):
    os.makedirs(lake.point, exist_ok=True)
    remove(lake.out)
