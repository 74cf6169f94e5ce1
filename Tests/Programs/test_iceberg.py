"""Iceberg tables on many branches at one path, as docs/howto/iceberg-on-a-mount.md describes it."""
import json
import os
import sys
from pathlib import Path

import pytest
from iceberg_lake import put, read, read_through
from support import TARN, begin, end, finish, run

PROGRAM = Path(__file__).with_name("iceberg_lake.py")
COMMITS = 50
CONFLICT = 3


@pytest.fixture
def path(lake):
    """Where every program sees the lake, whatever branch it works on."""
    lake.tarn("umount", lake.mount)
    return lake.mount


def at(path, revision, *command, write=False):
    options = ["--write", "--commit", "-m", "what the program did"] if write else []
    return ["run", "--ref", revision, "--at", path, *options, "--", sys.executable, PROGRAM, path, *command]


def read_at(lake, path, revision, *names):
    return json.loads(lake.tarn(*at(path, revision, "read", *names)))


def write_at(lake, path, branch, id, *names):
    lake.tarn(*at(path, branch, "put", str(id), *names, write=True))


def test_every_branch_and_tag_has_its_tables_at_one_path(lake, path):
    write_at(lake, path, "main", 1, "orders")
    lake.tarn("branch", "create", "ingest")
    write_at(lake, path, "ingest", 2, "orders")
    assert read_at(lake, path, "main", "orders") == [[1]]
    assert read_at(lake, path, "ingest", "orders") == [[2]]
    lake.tarn("merge", "ingest", "--into", "main", "-m", "publish")
    lake.tarn("tag", "create", "published", "main")
    write_at(lake, path, "main", 3, "orders")
    assert read_at(lake, path, "main", "orders") == [[3]]
    assert read_at(lake, path, "published", "orders") == [[2]]


def test_two_tables_of_two_branches_merge_when_each_has_a_catalogue_file(lake, path):
    write_at(lake, path, "main", 1, "orders", "people")
    for branch in ["one", "two"]:
        lake.tarn("branch", "create", branch, "--from", "main")
    write_at(lake, path, "one", 2, "orders")
    write_at(lake, path, "two", 3, "people")
    for branch in ["one", "two"]:
        lake.tarn("merge", branch, "--into", "main", "-m", "publish")
    assert read_at(lake, path, "main", "orders", "people") == [[2], [3]]


def test_two_tables_of_two_branches_conflict_in_one_catalogue_file(lake, path):
    for branch, name in [("main", "stock"), ("one", "orders"), ("two", "people")]:
        if branch != "main":
            lake.tarn("branch", "create", branch, "--from", "main")
        lake.mount_again(branch, "--write")
        put(path, name, 1, file="all")
        lake.tarn("commit", "-m", "what the program did", cwd=path)
        lake.tarn("umount", path)
    lake.tarn("merge", "one", "--into", "main", "-m", "publish")
    lake.tarn("merge", "two", "--into", "main", "-m", "publish", code=CONFLICT)


def look(directory, below, names):
    """What a reader finds that opens `directory` once, and reads all catalogue files through it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return read_through(descriptor, below, *names)
    finally:
        os.close(descriptor)


def mixed(looks):
    return [(first, second) for first, second in looks if first != second]


def test_follower_that_opens_a_directory_below_the_root_once_reads_one_commit(lake, path):
    """The root itself moves with the mount, so what is read through it shows that the tables do change in between."""
    names = ["orders", "people"]
    write_at(lake, path, "main", 0, *names)
    below, root = [], []
    command = at(path, "main", "commit", str(COMMITS), TARN, *names, write=True)
    writer = begin(TARN, *command, env=lake.environment)
    try:
        assert writer.stdout.readline() == "ready\n"
        lake.mount_again("main", "--follow", "-o", "poll=0.1")
        while writer.poll() is None:
            below.append(look(path / "catalogues", ".", names))
            root.append(look(path, "catalogues", names))
        finish(writer)
    finally:
        end(writer)
    assert mixed(below) == []
    assert mixed(root) != []
    assert below == sorted(below)
    assert len({first for [first], _ in below}) > COMMITS / 5


def test_reader_in_the_directory_of_a_commit_stays_on_it(lake, mount, tmp_path, monkeypatch):
    """The tables are named by /proc/self/cwd, so they are found wherever the lake is mounted."""
    write = [sys.executable, PROGRAM, "/proc/self/cwd", "put"]
    run(*write, "1", "orders", cwd=mount)
    lake.commit()
    whole = tmp_path / "whole"
    whole.mkdir()
    lake.tarn("mount", lake.repository, whole)
    try:
        commit = os.getxattr(whole / "branches/work", "user.tarn.commit").decode()
        monkeypatch.chdir(whole / "commits" / commit)
        assert read("/proc/self/cwd", "orders") == [1]
        run(*write, "2", "orders", cwd=mount)
        lake.commit()
        assert read("/proc/self/cwd", "orders") == [1]
        monkeypatch.chdir(mount)
        assert read("/proc/self/cwd", "orders") == [2]
    finally:
        monkeypatch.undo()
        lake.tarn("umount", whole)
