import sqlite3
from contextlib import closing

import pytest
from support import begin, end, python, run, run_together

ROWS = 150
JOURNALS = pytest.mark.parametrize("journal", ["wal", "delete"])

WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=50, isolation_level=None)
for number in range(int(sys.argv[3])):
    database.execute("insert into t values (?, ?, ?)", (sys.argv[2], number, "x" * 1000))
    print(number, flush=True)
"""

# The cache is so small that changed pages are in the file before the transaction ends.
KILLED_WRITER = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("pragma cache_size = 5")
database.execute("update t set filler = 'overwritten by a process that was killed'")
database.executemany("insert into t values ('killed', ?, hex(randomblob(500)))", ((n,) for n in range(2000)))
os.kill(os.getpid(), 9)
"""


def writer(database, name, rows=ROWS):
    return python(WRITER, database, name, str(rows))


@pytest.fixture
def database(mount, journal):
    path = mount / "data.sqlite"
    schema = f"pragma journal_mode = {journal}; create table t (writer, number, filler, unique (writer, number))"
    assert run("sqlite3", path, schema) == f"{journal}\n"
    return path


def counts(path):
    # A database in WAL mode can be read from a read-only file system only as immutable; its log is empty here.
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        count = "select writer, count(*), sum(number), sum(length(filler)) from t group by writer order by writer"
        return database.execute(count).fetchall()


def whole(name):
    return (name, ROWS, sum(range(ROWS)), ROWS * 1000)


@JOURNALS
def test_two_processes_write_at_once(lake, database):
    for names in ["ab", "cd"]:
        lake.next_day()
        run_together(*(writer(database, name) for name in names))
    assert lake.publish(lambda: counts(database)) == [whole(name) for name in "abcd"]


@JOURNALS
def test_transaction_of_a_killed_process_is_rolled_back(lake, database):
    run(*writer(database, "a"))
    lake.next_day()
    run(*python(KILLED_WRITER, database), code=-9)
    run("sqlite3", database, "pragma wal_checkpoint(truncate); insert into t values ('after', 1, 'x'); vacuum")
    assert lake.publish(lambda: counts(database)) == [whole("a"), ("after", 1, 1, 1)]


@JOURNALS
def test_each_commit_made_while_sqlite_writes_is_a_sound_database(lake, mount, database):
    """W4: a commit is what the end of all processes at that moment would have left, which SQLite repairs."""
    rows = [0]
    process = begin(*writer(database, "a", 1_000_000))
    try:
        for number in range(6):
            for line in process.stdout:
                if int(line) > rows[-1]:
                    break
            else:
                pytest.fail(process.stderr.read())
            lake.tarn("commit", "-m", "in between", cwd=mount)
            copy = lake.outside / str(number)
            lake.tarn("export", "work", copy)
            check = run("sqlite3", copy / database.name, "pragma integrity_check; select count(*) from t")
            rows.append(int(check.removeprefix("ok\n")))
    finally:
        end(process)
    assert rows == sorted(set(rows))
    run("sqlite3", database, "pragma journal_mode = delete; vacuum")
    [(_, count, *_)] = lake.publish(lambda: counts(database))
    assert count >= rows[-1]


@JOURNALS
def test_connection_that_stays_open_writes_after_each_commit(lake, mount, database):
    """SQLite refuses to write once the file at the path has another inode number than the file it opened."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for number in range(3):
            lake.tarn("commit", "-m", "in between", cwd=mount)
            for part in "xy":
                connection.execute("insert into t values (?, ?, 'z')", (part, number))
    assert lake.publish(lambda: counts(database)) == [("x", 3, 3, 3), ("y", 3, 3, 3)]
