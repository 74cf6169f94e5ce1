#!/usr/bin/env python3
"""Puts the ten most telling rows of docs/BENCHMARKS.md first.

    bench/report.py            writes them
    bench/report.py --check    fails when they are not those of the table below

The rows are taken from the table that `bench/run.py --write-docs` writes into the same document.
"""
import pathlib
import sys

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / "docs/BENCHMARKS.md"
BEGIN, END = "<!-- ten: begin -->", "<!-- ten: end -->"

# What a row is about; the beginnings of its measure and of what it stands against.
TEN = [
    ("A second epoch over small files", "epoch over the small files, shuffled, 4 at a time", "ext4"),
    ("A first epoch from S3, 20 ms a request",
     "20 ms more: shuffled epoch of 2,000 small files, 4 workers", "rclone mount"),
    ("`tar` of small files from S3, 20 ms a request", "20 ms more: tar of 20,000 files of 10 KiB", "s3fs"),
    ("One large file from S3, verified", "sequential read of 1,024 MiB", "curl into openssl sha256"),
    ("A large file in the cache, by passthrough", "sequential read, block cache, passthrough", "ext4"),
    ("First `ls` of 5 million entries, 20 ms a request", "from `tarn mount` of a commit of 5,005,000 entries to the "
     "first `ls` of a directory, each request 20 ms longer", "limit"),
    ("A line appended to 10 GB on S3", "append a line to 10 GB: bytes up", "limit"),
    ("Import of small files into S3", "import of 40,000 small files, 1,324 MiB, into S3", "slowest limit"),
    ("Creating small files in a mount", "create 200,000 files", "bindfs"),
    ("8 KiB files, each with `fsync`", "2,000 files of 8 KiB, each with fsync", "ext4"),
]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def chosen(text):
    """The table of ten, from the rows of the document."""
    rows = [cells(line) for line in text.split("<!-- table: begin -->")[1].split("\n") if line.startswith("| ")]
    lines = ["| what | Tarn | against | ratio | target |", "|---|---:|---|---:|---|"]
    for what, measure, against in TEN:
        found = [row for row in rows if row[1] == measure and row[3].startswith(against)]
        if len(found) != 1:
            sys.exit(f"{len(found)} rows measure '{measure}' against '{against}'")
        lines.append(f"| {what} | {found[0][2]} | {found[0][3]} | {found[0][4]} | {found[0][5]} |")
    return "\n".join(lines)


def report(text):
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{chosen(text)}\n{END}{after}"


def main():
    text = DOCUMENT.read_text()
    new = report(text)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(new)
    elif new != text:
        sys.exit(f"{DOCUMENT.name}: the first table is not that of the rows below; run bench/report.py")


if __name__ == "__main__":
    main()
