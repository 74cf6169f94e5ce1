import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    scratch = str(tmp_path_factory.mktemp("spark"))
    session = (
        SparkSession.builder.master("local[2]").config("spark.ui.enabled", False).config("spark.local.dir", scratch)
        .config("spark.sql.warehouse.dir", scratch).config("spark.sql.shuffle.partitions", 2)
        .config("spark.driver.memory", "1g").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
    yield session
    session.stop()


@pytest.mark.parametrize("kind", ["parquet", "orc"])
def test_partitioned_table_is_overwritten(lake, mount, spark, kind):
    path = str(mount / "table")

    def write(frame, mode, partitions):
        frame.write.format(kind).partitionBy("day").mode(mode).option("partitionOverwriteMode", partitions).save(path)

    frame = spark.range(10_000).withColumn("day", F.col("id") % 5)
    write(frame, "error", "static")
    write(frame.where("day < 4"), "overwrite", "static")
    lake.next_day()
    write(frame.where("day = 1 and id < 100"), "overwrite", "dynamic")
    write(frame.where("day = 4 and id < 50"), "append", "static")

    def read():
        counts = spark.read.format(kind).load(path).groupBy("day").agg(F.count("*"), F.sum("id")).orderBy("day")
        return [tuple(row) for row in counts.collect()]

    def day(number, below):
        ids = range(number, below, 5)
        return number, len(ids), sum(ids)

    assert lake.publish(read) == [day(0, 10_000), day(1, 100), day(2, 10_000), day(3, 10_000), day(4, 50)]
    assert (mount / "table/_SUCCESS").exists()
    assert not (mount / "table/_temporary").exists()
