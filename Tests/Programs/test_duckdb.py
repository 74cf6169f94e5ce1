import duckdb
import pytest
from support import python, run

SECOND_PROCESS = """
import duckdb, sys
try:
    duckdb.connect(sys.argv[1])
except duckdb.IOException as error:
    sys.exit("lock" in str(error) and 7)
"""

# Ends without closing: the rows are in the write-ahead log only.
ENDS_ABRUPTLY = """
import duckdb, os, sys
database = duckdb.connect(sys.argv[1])
database.execute("pragma disable_checkpoint_on_shutdown")
database.execute("insert into t select 1_000_000 + i, 'logged' from range(1000) s(i)")
os._exit(0)
"""


@pytest.fixture
def path(lake, mount):
    path = mount / "data.duckdb"
    with duckdb.connect(path) as database:
        database.execute("create table t as select i, 'name ' || i % 100 as name from range(200_000) s(i)")
        database.execute("checkpoint")
    lake.next_day()
    with duckdb.connect(path) as database:
        database.execute("delete from t where i % 2 = 1")
        database.execute("update t set name = 'edited' where i < 1000")
    return path


def summary(path, source="t"):
    query = f"select count(*), sum(i), sum((name = 'edited')::int), sum((name = 'logged')::int) from {source}"
    with duckdb.connect(path, read_only=True) as database:
        return database.execute(query).fetchone()


EDITED = (100_000, sum(range(0, 200_000, 2)), 500, 0)


def test_database_and_its_parquet_copy(lake, mount, path):
    copies = [mount / "one.parquet", mount / "parts"]
    with duckdb.connect(path) as database:
        database.execute(f"copy t to '{copies[0]}'")
        query = "select *, i // 50_000 as part from t"
        database.execute(f"copy ({query}) to '{copies[1]}' (format parquet, partition_by part)")

    def read():
        return [summary(path), summary(path, f"'{copies[0]}'"), summary(path, f"'{copies[1]}/*/*.parquet'")]

    assert lake.publish(read) == [EDITED] * 3
    assert len(list(copies[1].iterdir())) == 4


def test_second_process_is_kept_out(path):
    with duckdb.connect(path):
        run(*python(SECOND_PROCESS, path), code=7)
    run(*python(SECOND_PROCESS, path))


def test_write_ahead_log_is_replayed(lake, path):
    run(*python(ENDS_ABRUPTLY, path))
    assert path.with_suffix(".duckdb.wal").stat().st_size > 0
    with duckdb.connect(path) as database:
        database.execute("checkpoint")
    logged = sum(range(1_000_000, 1_001_000))
    assert lake.publish(lambda: summary(path)) == (101_000, EDITED[1] + logged, 500, 1000)
