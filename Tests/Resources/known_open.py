"""Violations that are known and open; report.py says when an entry is stale."""
from report import Entry

ALL = ".*"
OPEN = [Entry(*one) for one in (
    ("13.14", "1,100 open files", "refused|bystander"),
    ("13.13", "1,200 directories deep", ALL),
    ("13.12", "output that is full", "untold"),
    ("13.17", "a runtime directory that is removed", "stuck"),
    ("13.15", "(full|read-only) cache: .*", "stopped"),
    ("13.15", "HOME=/: .*", "stopped"),
    ("13.17", "HOME unset: .*", "stopped"),
    # A thread that cannot be made.
    ("13 tests 4", "ulimit -v 512 MiB: .*", "crash|hang|unnamed", False),
)]
