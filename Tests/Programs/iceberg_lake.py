"""Iceberg tables in a lake that everybody sees at one path, each with a catalogue file of its own. As a program:
iceberg_lake.py LAKE put ID TABLE…    replaces the row of each table
iceberg_lake.py LAKE read TABLE…      prints the ids of each table
iceberg_lake.py LAKE commit COUNT TARN TABLE…    says "ready", and COUNT times replaces each table's row and commits"""
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

SCHEMA = pyarrow.schema([("id", pyarrow.int64())])


def open_catalogue(lake, file):
    os.makedirs(f"{lake}/catalogues", exist_ok=True)
    uri = f"sqlite:///{lake}/catalogues/{file}.sqlite"
    return closing(SqlCatalog("lake", uri=uri, warehouse=f"file://{lake}/tables"))


def put(lake, name, id, file=None):
    with open_catalogue(lake, file or name) as catalogue:
        catalogue.create_namespace_if_not_exists("sales")
        table = catalogue.create_table_if_not_exists(f"sales.{name}", SCHEMA)
        change = table.overwrite if table.current_snapshot() else table.append
        change(pyarrow.table({"id": [id]}, SCHEMA))


def rows(table):
    return table.scan().to_arrow()["id"].to_pylist()


def read(lake, name):
    with open_catalogue(lake, name) as catalogue:
        return rows(catalogue.load_table(f"sales.{name}"))


def read_through(directory, below, *names):
    """The tables as the catalogue files `below` the open `directory` name them, with time between for the mount to
    move. SQLite gets the bytes: it would open the file by its path, which leads to the newest commit."""
    found = []
    for name in names:
        with open(os.open(f"{below}/{name}.sqlite", os.O_RDONLY, dir_fd=directory), "rb") as file:
            content = file.read()
        with closing(sqlite3.connect(":memory:")) as catalogue:
            catalogue.deserialize(content)
            query = "select metadata_location from iceberg_tables where table_name = ?"
            (location,) = catalogue.execute(query, (name,)).fetchone()
        found.append(rows(StaticTable.from_metadata(location)))
        time.sleep(0.1)
    return found


def commit_often(lake, count, tarn, names):
    print("ready", flush=True)
    for number in range(1, count + 1):
        for name in names:
            put(lake, name, number)
        subprocess.run([tarn, "commit", "-m", f"number {number}"], cwd=lake, check=True, capture_output=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [lake, "put", id, *names]:
            for name in names:
                put(lake, name, int(id))
        case [lake, "read", *names]:
            print(json.dumps([read(lake, name) for name in names]))
        case [lake, "commit", count, tarn, *names]:
            commit_often(lake, int(count), tarn, names)
        case _:
            sys.exit(__doc__)
