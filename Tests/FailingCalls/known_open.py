"""Violations that are known and open; report.py says when an entry is stale."""
from report import Entry

OPEN = [Entry(*one) for one in (
)]
