"""Cells of their own: many open files, deep directories, a cache that fills while it is used."""
import os
import resource
import subprocess
import sys
import time

from commands import PROGRAM, Failed, exported, note, program, same, tarn
from conditions import fill, run
from lake import TOPIC, files_below, patience, remove

DESCRIPTORS = 1024
# How long a mount may take to notice that its control socket is gone.
SOCKET_SECONDS = patience(5)


def open_files(lake, say):
    """More written files open than the mount's process may have: nobody is refused."""
    said = []
    lake.before = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    tarn(lake, said, "mount", lake.repository, lake.point, "--ref", "main", "--write")
    lake.before = None
    note(lake)
    holder = subprocess.Popen(
        [sys.executable, PROGRAM, "hold", lake.point], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline() != "held\n":
            say("refused", holder.stderr.read())
            return
        attempt(say, "bystander", lambda: program(lake, said, "write", lake.point))
        holder.stdin.write("go\n")
        holder.stdin.flush()
        if holder.stdout.readline() != "written\n":
            say("refused", holder.stderr.read())
    finally:
        holder.kill()
        holder.communicate()
    attempt(say, "refused", lambda: tarn(lake, said, "-C", lake.point, "commit", "-m", "Commit"))
    held = files_below(os.path.join(lake.point, "held"))
    wrong = [name for name, data in held.items() if data != f"first {name}, second".encode()]
    if wrong or len(held) < DESCRIPTORS:
        say("wrong", f"{len(held)} files, {len(wrong)} of them wrong")
    attempt(say, "stuck", lambda: tarn(lake, said, "umount", lake.point))


def deep(lake, say):
    """1,200 nested directories: committed, mounted again, exported, imported, removed."""
    said = []
    mount = ("mount", lake.repository, lake.point, "--ref", "main", "--write")
    steps = (
        ("mount", lambda: tarn(lake, said, *mount)),
        ("mkdir", lambda: program(lake, said, "deep_make", lake.point)),
        ("commit", lambda: tarn(lake, said, "-C", lake.point, "commit", "-m", "Deep")),
        ("read", lambda: program(lake, said, "deep_read", lake.point)),
        ("umount", lambda: tarn(lake, said, "umount", lake.point)),
        ("mount again", lambda: tarn(lake, said, *mount)),
        ("read again", lambda: program(lake, said, "deep_read", lake.point)),
        ("export", lambda: tarn(lake, said, "export", "main", lake.out)),
        ("read what was exported", lambda: program(lake, said, "deep_read", lake.out)),
        ("import", lambda: import_deep(lake, said)),
        ("rm -r", lambda: remove_deep(lake)),
        ("commit again", lambda: tarn(lake, said, "-C", lake.point, "commit", "-m", "Shallow")),
        ("umount again", lambda: tarn(lake, said, "umount", lake.point)),
        ("fsck", lambda: tarn(lake, said, "fsck", "--read-data")))
    for name, step in steps:
        attempt(say, name, step)
        note(lake)


def import_deep(lake, said):
    """From a local tree of the same depth, whether or not the export made one."""
    remove(lake.source)
    os.makedirs(lake.source)
    program(lake, said, "deep_make", lake.source)
    tarn(lake, said, "branch", "create", "deep", "--from", "v1")
    tarn(lake, said, "import", lake.source, "--branch", "deep", "--to", "in", "-m", "Deep")


def remove_deep(lake):
    done = lake.outside(["rm", "-rf", "--", os.path.join(lake.point, "d" * 8)], 25)
    if done.code != 0 or os.path.exists(os.path.join(lake.point, "d" * 8)):
        raise Failed(done)


def filling_cache(lake, say):
    """The cache's disk fills while a mount is up: reading goes on, and the log says so once."""
    said = []
    os.makedirs(lake.cache)
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", lake.cache)
    tarn(lake, said, "mount", lake.repository, lake.point, "--ref", "topic")
    note(lake)
    fill(lake.cache)
    program(lake, said, "copy", lake.point, lake.out)
    problem = same(files_below(lake.out), TOPIC)
    if problem:
        say("wrong", problem)
    lines = [line for log in files_below(os.path.join(lake.state, "log")).values()
             for line in log.decode(errors="replace").splitlines() if "cache" in line]
    if len(lines) != 1:
        say("silent" if not lines else "repeated", f"{len(lines)} lines of the log name the cache")
    attempt(say, "stuck", lambda: tarn(lake, said, "umount", lake.point))


def changed_limit(lake, say):
    """What was committed under a limit is read without it."""
    said = []
    lake.before = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    attempt(say, "refused", lambda: tarn(lake, said, "import", lake.source, "-m", "x", "--delete"))
    lake.before = None
    problem = exported(lake, "main", files_below(lake.source))
    if problem and said[-1].code == 0:
        say("wrong", problem)


PRINTING = (("log", "main"), ("log", "main", "--json"), ("ls", "main:"), ("du",),
            ("cat", "main:large"), ("diff", "v1", "main"), ("branch", "list"), ("tag", "list"), ("audit", "log"),
            ("audit", "log", "--csv"), ("audit", "verify"), ("fsck",), ("blame", "small"),
            ("stat", "main:small"), ("show", "main"), ("retention", "list"), ("--help",))


def full_output(lake, say):
    """What is printed does not fit: no command may count as done."""
    for arguments in PRINTING:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [lake.binary, *arguments], env=lake.environment, cwd=lake.directory, stdout=full,
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=patience(25), check=False)
        name = " ".join(arguments)
        if done.returncode == 0:
            say("untold", f"{name}: exit 0")
        elif done.returncode < 0:
            say("crash", f"{name}: exit {done.returncode}")
        elif b"No space left on device" not in done.stderr:
            say("unnamed", f"{name}: exit {done.returncode}: {done.stderr.decode()[-200:]}")


def removed_runtime(lake, say):
    """The directory of the control socket goes, as at a logout: the mount can still be committed."""
    said = []
    tarn(lake, said, "mount", lake.repository, lake.point, "--ref", "main", "--write")
    note(lake)
    remove(lake.run)
    program(lake, said, "write", lake.point)
    # A new login makes the directory again, and the mount its socket in it.
    os.makedirs(lake.run)
    end = time.monotonic() + SOCKET_SECONDS
    while not os.path.isdir(os.path.join(lake.run, "tarn")) and time.monotonic() < end:
        time.sleep(0.1)
    attempt(say, "stuck", lambda: tarn(lake, said, "-C", lake.point, "commit", "-m", "Commit"))
    attempt(say, "stuck", lambda: tarn(lake, said, "umount", lake.point))


def attempt(say, verdict, action):
    """Does a step; its failure is a verdict of its own."""
    try:
        return action()
    except Failed as failed:
        result = failed.result
        how = ("hang" if result.code is None else
               f"exit {result.code}" if result.code >= 0 else f"signal {-result.code}")
        say(verdict, f"{how}: {result.errors.strip()[-300:]}")
        return None


SPECIAL = {"1,100 open files": open_files, "1,200 directories deep": deep,
           "output that is full": full_output, "a cache that fills": filling_cache, "a limit that goes": changed_limit,
           "a runtime directory that is removed": removed_runtime}
