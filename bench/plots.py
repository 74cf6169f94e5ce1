"""Plots of bench/results.json: docs/plots/<benchmark>.svg, a bar for each figure that has a peer or a limit."""

import textwrap

import matplotlib

matplotlib.use("svg")
# The same input gives the same file.
matplotlib.rcParams["svg.hashsalt"] = "tarn"
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib import pyplot  # noqa: E402

COLOURS = {True: "#3a7d44", False: "#c0392b", None: "#7f8c8d"}
WIDTH_INCHES, ROW_INCHES, LABEL_CHARACTERS = 10, 0.38, 70


def draw(results, directory):
    """Answers the names of the files written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, one in results["benchmarks"].items():
        rows = [row for row in one["rows"] if row["ratio"]]
        if rows:
            path = directory / f"{name}.svg"
            draw_rows(f"{name} ({results['machine']}, {one['time'].split()[0]})", rows, path)
            written.append(path.name)
    return written


def draw_rows(title, rows, path):
    """`rows`: as in results.json. A bar to the right of 1 is better than what it stands against."""
    figure, axes = pyplot.subplots(figsize=(WIDTH_INCHES, 1.2 + ROW_INCHES * len(rows)), layout="constrained")
    for place, row in enumerate(rows):
        advantage, target = better(row, row["ratio"]), better(row, row["target"])
        axes.barh(place, advantage - 1, left=1, height=0.7, color=COLOURS[row["met"]])
        if target:
            axes.plot([target, target], [place - 0.42, place + 0.42], color="black", linewidth=1.5)
        axes.annotate(f"{advantage:.3g}", (max(advantage, 1), place), xytext=(3, 0), textcoords="offset points",
                      va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [label(row) for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.08)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_xlabel("times as good as the peer or limit (line: target; green: met, red: missed, grey: no target)",
                    fontsize=8)
    axes.set_title(title, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def better(row, ratio):
    """How many times as good: of what should be small, the inverse."""
    if not ratio:
        return None
    return ratio if row["better"] == "higher" else 1 / ratio


def label(row):
    return "\n".join(textwrap.wrap(f"{row['measure']} / {row['against']}", LABEL_CHARACTERS))
