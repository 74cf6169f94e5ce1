"""Violations that are known and open; report.py says when an entry is stale."""
from report import Entry

ALL = ".*"
OPEN = [Entry(*one) for one in (
    # Every errno of lstat is absence.
    ("13.9", r"gc: newfstatat (EIO|ESTALE)\+ repository:refs/(heads|tags)/.*", "lost"),
    ("13.9", r"init: newfstatat (EIO|ESTALE)\+? repository:tarn\.json", "wrong|unnamed"),
    ("13.9", r"init: newfstatat (EIO|ESTALE)\+? repository:probe-.*", "unnamed", False),
    ("13.9", r"mirror: newfstatat (EIO|ESTALE)\+ repository:refs/heads/main", "wrong"),
    ("13.9", r"mirror: newfstatat (EIO|ESTALE)\+? (target|repository):.*", "unnamed|wrong", False),
    ("13.9", r"gc: newfstatat (EIO|ESTALE)\+ repository:gc/clock", "unnamed"),
    # So is every errno of access, of the repository and of a workspace, and of workspace.json.
    ("13.9", r".*: access (EIO|ESTALE)\+? (repository|target):", "unnamed"),
    ("13.9", r"(commit|update): access (EIO|ESTALE)\+? state:.*", "unnamed"),
    ("13.9", r".*: (openat|newfstatat|read) .* state:.*/workspace\.json", "unnamed|stuck", False),
    ("13.10", r"mount: fdatasync (EIO|ENOSPC)\+? state:.*(-wal|/data/\*/\*)",
     "forgotten|swallowed"),
    ("13.11", r"mount: mkdir ENOSPC\+? state:.*/data/\*", "mistold"),
    ("13.15", r".*: \S+ \S+ cache:.*", "stopped", False),
    # Everybody who opens the cache waits for whoever could not give it back.
    ("13.15", r"mount: flock (EINTR|ENOLCK)\+? cache:\*/open", "hang"),
    # SQLite's words for what a system call answered.
    ("13 tests 3", r".*: \S+ \S+ state:.*/main(/overlay\.sqlite.*)?", "unnamed", False),
    ("13 tests 3", r".*: newfstatat (EIO|ESTALE)\+? state:(workspaces(/\*)?)?", "unnamed", False),
    ("13 tests 3", r"(commit|update): flock \S+ state:.*", "unnamed", False),
)]
