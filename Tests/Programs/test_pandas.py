import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest
from support import python, run_together

APPENDER = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for number in range(1000):
    os.write(file, b"%s,%d\\n" % (sys.argv[2].encode(), number))
"""


@pytest.fixture
def frame():
    return pandas.DataFrame({
        "day": pandas.date_range("2026-01-01", periods=50_000, freq="min"),
        "sensor": [f"s{number % 7}" for number in range(50_000)],
        "value": [number / 8 for number in range(50_000)],
    })


def test_parquet(lake, mount, frame):
    path = mount / "frame.parquet"
    frame.to_parquet(path, row_group_size=5000)
    lake.next_day()
    frame.assign(value=-frame.value).to_parquet(path, row_group_size=5000)

    def read():
        some = pandas.read_parquet(path, columns=["value"], filters=[("sensor", "==", "s3")])
        return pandas.read_parquet(path).equals(frame.assign(value=-frame.value)), len(some), float(some.value.sum())

    expected = -frame.value[frame.sensor == "s3"]
    assert lake.publish(read) == (True, len(expected), expected.sum())


def test_csv_that_is_appended_to(lake, mount, frame):
    path = mount / "frame.csv"
    for start in range(0, 50_000, 10_000):
        if start:
            lake.next_day()
        frame[start:start + 10_000].to_csv(path, mode="a", header=start == 0, index=False)
    assert lake.publish(lambda: pandas.read_csv(path, parse_dates=["day"]).astype(frame.dtypes).equals(frame))


def test_lines_that_two_processes_append_are_all_there(lake, mount):
    path = mount / "log.csv"
    path.write_text("writer,number\n")
    run_together(*(python(APPENDER, path, writer) for writer in ["a", "b"]))
    lines = lake.publish(lambda: sorted(path.read_text().splitlines()[1:]))
    assert lines == sorted(f"{writer},{number}" for writer in ["a", "b"] for number in range(1000))


def test_partitioned_dataset(lake, mount, frame):
    top = mount / "dataset"
    table = pyarrow.Table.from_pandas(frame)
    for part, behaviour in [(table, "error"), (table.slice(0, 7), "delete_matching")]:
        pyarrow.dataset.write_dataset(
            part, top, format="parquet", partitioning=["sensor"], partitioning_flavor="hive",
            existing_data_behavior=behaviour)
        lake.next_day()
    frame.head(14).to_parquet(top, partition_cols=["sensor"])

    def read():
        dataset = pyarrow.dataset.dataset(top, partitioning="hive")
        return dataset.count_rows(), dataset.count_rows(filter=pyarrow.dataset.field("sensor") == "s3")

    assert lake.publish(read) == (21, 3)
    assert sorted(path.name for path in top.iterdir()) == [f"sensor=s{number}" for number in range(7)]


@pytest.mark.parametrize("compression", ["uncompressed", "zstd"])
def test_feather_through_a_memory_map(lake, mount, frame, compression):
    path = mount / "frame.feather"
    pyarrow.feather.write_feather(frame, path, compression=compression)
    assert lake.publish(lambda: pyarrow.feather.read_feather(path, memory_map=True).equals(frame))
