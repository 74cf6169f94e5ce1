#!/usr/bin/env python3
"""Runs benchmarks: run.py [NAME…] [--smoke] [--write-docs] [--plots]. scripts/bench.sh installs what it needs and
starts it.

Prints a table, writes bench/results.json (smoke: results-smoke.json), with --write-docs puts the table into
docs/BENCHMARKS.md, and with --plots draws docs/plots/*.svg; --plots without names only draws what was measured before.
The exit code says whether everything could be run, not whether targets were met."""

import argparse
import importlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from report import report
from support import Bench

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAMES = ["read-warm", "read-cold", "read-latency", "partial-edits", "rename-directory", "staging-small-files",
         "write-fsync", "background-upload", "import", "scale"]
MODULES = {"import": "import_data"}
RESULTS = {False: HERE / "results.json", True: HERE / "results-smoke.json"}
"""By whether the sizes were small."""
PLOTS = ROOT / "docs/plots"
DOCUMENT = ROOT / "docs/BENCHMARKS.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def number(value):
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(benchmarks):
    lines = ["| benchmark | measure | Tarn | against | ratio | target | CPU s | peak MiB |",
             "|---|---|---:|---|---:|---|---:|---:|"]
    for row in (row for one in benchmarks.values() for row in one["rows"]):
        against = row["against"] + (f": {number(row['other'])}" if row["other"] is not None else "")
        target = ""
        if row["target"] is not None:
            sign = "≥" if row["better"] == "higher" else "≤"
            target = f"{sign} {row['target']:g} {'met' if row['met'] else '**missed**'}"
        lines.append(
            f"| {row['benchmark']} | {row['measure']} | {number(row['value'])} {row['unit']} | {against} | "
            f"{number(row['ratio'])} | {target} | {number(row['cpu_seconds'])} | {number(row['peak_mib'] or None)} |")
    return "\n".join(lines)


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    # No more of the release than its numbers: the rest names a machine.
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}"


def kept_results(smoke):
    """What earlier runs of the same sizes measured, by benchmark: a run of some leaves the others' figures."""
    try:
        return json.loads(RESULTS[smoke].read_text())["benchmarks"]
    except (OSError, ValueError, KeyError):
        return {}


def write_document(results, text):
    when = ", ".join(f"{name} {one['time']}" for name, one in results["benchmarks"].items())
    words = f"{results['machine']}{', smoke sizes' if results['smoke'] else ''}. Measured: {when}."
    notes = "\n".join(
        f"- {name}: {note}" for name, one in results["benchmarks"].items() for note in one["notes"])
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    document = f"{before}{BEGIN}\n{words}\n\n{text}\n\n{notes}\n{END}{after}"
    # Of small sizes some rows have other names.
    DOCUMENT.write_text(document if results["smoke"] else report(document))


def draw_plots(results):
    # Only here: the benchmarks need no matplotlib.
    from plots import draw
    print(f"docs/plots: {', '.join(draw(results, PLOTS))}")


def main():
    parser = argparse.ArgumentParser(description="Benchmarks of mounts, and of what goes with them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--smoke", action="store_true", help="small sizes: does it run?")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/BENCHMARKS.md")
    parser.add_argument("--plots", action="store_true", help="draw docs/plots; without names, only that")
    parser.add_argument("--work", help="where the temporary directory is made (default: $TMPDIR or /tmp)")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name}; there are {', '.join(NAMES)}")

    if arguments.plots and not arguments.names:
        draw_plots(json.loads(RESULTS[arguments.smoke].read_text()))
        return
    # SIGTERM unwinds like ^C does, so that mounts and servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed, measured = [], {}
    with tempfile.TemporaryDirectory(prefix="tarn-bench-", dir=arguments.work, ignore_cleanup_errors=True) as work:
        # A copy: the build may be replaced while we measure.
        tarn = shutil.copy2(os.environ["TARN"], Path(work) / "tarn")
        bench = Bench(work, arguments.smoke, ROOT, tarn)
        for name in arguments.names or NAMES:
            print(f"{name}", flush=True)
            start, bench.rows, bench.notes = time.monotonic(), [], []
            try:
                importlib.import_module(MODULES.get(name) or name.replace("-", "_")).main(bench)
            except Exception:
                traceback.print_exc()
                failed.append(name)
                continue
            measured[name] = {"time": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
                              "rows": [row.as_json() for row in bench.rows], "notes": bench.notes}
            print(f"  ({time.monotonic() - start:.0f} s)", flush=True)
    every = kept_results(arguments.smoke) | measured
    results = {"machine": machine(), "smoke": arguments.smoke,
               "benchmarks": {name: every[name] for name in NAMES if name in every}}
    RESULTS[arguments.smoke].write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print("\n" + table(measured))
    if arguments.write_docs:
        write_document(results, table(results["benchmarks"]))
    if arguments.plots:
        draw_plots(results)
    if failed:
        sys.exit(f"could not be run: {', '.join(failed)}")


if __name__ == "__main__":
    main()
