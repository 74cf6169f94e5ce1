"""Violations that are known and open; report.py says when an entry is stale."""
from report import Entry

OPEN = [Entry(*one) for one in (
    # The command and its mount each say that there is no cache.
    ("13.15", "(full|read-only) cache: run", "repeated"),
    # A thread that cannot be made.
    ("13 tests 4", "ulimit -v 512 MiB: (mount|run)", "unnamed", False),
    ("13 tests 4", "ulimit -v 512 MiB: mount --write", "hang|unnamed", False),
)]
