import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import duckdb
from support import run


def test_project_is_built_tested_and_built_again(lake, mount):
    project = mount / "project"
    shutil.copytree(Path(__file__).parent / "dbt-project", project)

    def build():
        run(Path(sys.executable).with_name("dbt"), "build", "--no-version-check", cwd=project, timeout=120)
        results = json.loads((project / "target/run_results.json").read_text())["results"]
        return Counter(result["status"] for result in results)

    assert build() == {"success": 4, "pass": 2}
    lake.next_day()
    with (project / "seeds/orders.csv").open("a") as seed:
        seed.write("bob,2026-01-03,1\n")
    assert build() == {"success": 4, "pass": 2}

    def read():
        with duckdb.connect(project / "shop.duckdb", read_only=True) as database:
            days = database.execute("select total from days order by day").fetchall()
        return days, sorted(duckdb.read_parquet(str(project / "totals.parquet")).fetchall())

    assert lake.publish(read) == ([(10,), (12,), (1,)], [("ada", 15), ("bob", 8)])
