"""Many branches: writes refs, movements and commits straight into a directory repository, and times commands on it.

    python3 bench/scale_branches.py TARN DIRECTORY [BRANCHES] [COMMITS]

main gets COMMITS commits (all of one tree, which is empty); each branch is created at one of them, in turn. Nothing here
needs a package. Figures in docs/explanation/SCALE.md are from this."""

import hashlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

AUTHOR = "Scale <scale@example.org>"


def record(directory, value):
    """Writes a record below the SHA-256 of its canonical JSON; answers that."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    name = hashlib.sha256(data).hexdigest()
    (directory / name).write_bytes(data)
    return name


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def write_history(root, branches, commits):
    head = json.loads((root / "refs/heads/main").read_bytes())
    # Not before the repository was made, and never backwards.
    present = moment(time.time() + 1)
    commit, movement = head["commit"], head["movement"]
    base = json.loads((root / "commits" / commit).read_bytes())
    chain = [commit]
    for number in range(commits):
        new = record(root / "commits", base | {
            "author": AUTHOR, "committer": AUTHOR, "generation": base["generation"] + 1 + number, "parents": [commit],
            "message": f"Commit {number}", "time": present})
        movement = record(root / "movements", {
            "format": 1, "ref": "heads/main", "old": commit, "new": new, "who": AUTHOR, "operation": "commit",
            "when": present, "why": f"Commit {number}", "previous": movement})
        commit = new
        chain.append(commit)
    write_ref(root, "main", commit, movement)
    for number in range(branches):
        at = chain[number % len(chain)]
        movement = record(root / "movements", {
            "format": 1, "ref": f"heads/ingest/{number:05}", "new": at, "who": AUTHOR, "operation": "create",
            "when": present, "why": "Create the branch"})
        write_ref(root, f"ingest%2F{number:05}", at, movement)


def write_ref(root, name, commit, movement):
    value = {"format": 1, "commit": commit, "movement": movement, "writeID": os.urandom(16).hex()}
    (root / "refs/heads" / name).write_text(json.dumps(value, sort_keys=True, separators=(",", ":")))


def timed(tarn, root, *arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run([tarn, *arguments, "--repo", root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=os.environ | {"TARN_AUTHOR": AUTHOR})
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{' '.join(arguments):40} {seconds:7.2f} s  CPU {cpu:7.2f} s  peak so far {after.ru_maxrss // 1024} MiB")
    return done.stdout


def main(tarn, directory, branches=10_000, commits=1_000):
    branches, commits = int(branches), int(commits)
    root = pathlib.Path(directory).resolve()
    subprocess.run([tarn, "init", root], check=True, stdout=subprocess.DEVNULL, env=os.environ | {"TARN_AUTHOR": AUTHOR})
    write_history(root, branches, commits)
    listed = timed(tarn, root, "branch", "list")
    assert len(listed.splitlines()) >= branches, listed[:500]
    timed(tarn, root, "branch", "create", "another", "--from", "main")
    timed(tarn, root, "audit", "verify")
    timed(tarn, root, "gc")


if __name__ == "__main__":
    main(*sys.argv[1:])
