"""Table formats that publish by one file: delta-rs by a hard link, Iceberg by a row in its catalogue."""
import json
from contextlib import closing

import pyarrow
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import StringType
from support import python, run_together

DELTA_APPENDER = """
import pyarrow, sys
from deltalake import write_deltalake
for id in range(int(sys.argv[2]), int(sys.argv[2]) + 5):
    write_deltalake(sys.argv[1], pyarrow.table({"id": [id], "name": ["appended"]}), mode="append")
"""


def rows(*ids, name="first"):
    return pyarrow.table({"id": list(ids), "name": [name] * len(ids)})


def delta_ids(path, version=None):
    return sorted(DeltaTable(path, version=version).to_pyarrow_table()["id"].to_pylist())


@pytest.fixture
def delta(lake, mount):
    path = mount / "delta"
    write_deltalake(path, rows(1, 2, 3))
    lake.next_day()
    return path


def log_versions(path):
    return [int(file.stem) for file in sorted((path / "_delta_log").glob("*.json"))]


def test_delta_append_merge_delete_overwrite_and_time_travel(lake, delta):
    write_deltalake(delta, rows(4, 5), mode="append")
    merge = DeltaTable(delta).merge(rows(5, 6, name="merged"), "s.id = t.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    DeltaTable(delta).delete("id = 1")
    DeltaTable(delta).create_checkpoint()
    lake.next_day()
    write_deltalake(delta, rows(9), mode="overwrite")

    def read():
        merged = DeltaTable(delta, version=2).to_pyarrow_table().to_pylist()
        assert {row["id"] for row in merged if row["name"] == "merged"} == {5, 6}
        return [delta_ids(delta, version) for version in range(5)]

    assert lake.publish(read) == [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6], [9]]
    operations = [entry["operation"] for entry in DeltaTable(delta).history()]
    assert operations == ["WRITE", "DELETE", "MERGE", "WRITE", "WRITE"]
    assert log_versions(delta) == list(range(5))
    for file in (delta / "_delta_log").glob("*.json"):
        assert all(json.loads(line) for line in file.read_text().splitlines())


def test_delta_vacuum_and_compaction(lake, delta):
    for id in range(4, 9):
        write_deltalake(delta, rows(id), mode="append")
    table = DeltaTable(delta)
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(list(delta.glob("*.parquet"))) == 1
    assert lake.publish(lambda: delta_ids(delta)) == list(range(1, 9))


def test_delta_keeps_every_commit_of_two_writers(lake, delta):
    run_together(*(python(DELTA_APPENDER, delta, first) for first in [100, 200]))
    assert lake.publish(lambda: delta_ids(delta)) == [1, 2, 3, *range(100, 105), *range(200, 205)]
    assert log_versions(delta) == list(range(11))


def test_iceberg_appends_evolves_and_travels_in_time(lake, mount):
    def catalog():
        return closing(SqlCatalog("lake", uri=f"sqlite:///{mount}/catalog.sqlite", warehouse=f"file://{mount}/tables"))

    with catalog() as writer:
        writer.create_namespace("lake")
        table = writer.create_table("lake.t", rows(1).schema)
        table.append(rows(1, 2))
        first = table.current_snapshot().snapshot_id
        table.append(rows(3))
    lake.next_day()
    with catalog() as writer:
        table = writer.load_table("lake.t")
        with table.update_schema() as schema:
            schema.add_column("note", StringType())
        table.append(rows(4).append_column("note", pyarrow.array(["new"])))
        table.delete("id = 2")

    def read():
        with catalog() as reader:
            table = reader.load_table("lake.t")
            now = table.scan(row_filter="id > 0").to_arrow().sort_by("id").to_pylist()
            before = table.scan(snapshot_id=first).to_arrow()["id"].to_pylist()
            return [list(row.values()) for row in now], sorted(before)

    assert lake.publish(read) == ([[1, "first", None], [3, "first", None], [4, "first", "new"]], [1, 2])
