"""Violations that are known and open. An entry that nothing matches any more fails the campaign."""
import re
from dataclasses import dataclass, field


@dataclass
class Entry:
    """Regular expressions of the whole title, the whole consumer and the whole verdict."""
    issue: str
    title: str
    consumer: str
    verdict: str
    hits: int = 0

    def matches(self, violation):
        return (re.fullmatch(self.title, violation.title)
                and re.fullmatch(self.consumer, violation.consumer)
                and re.fullmatch(self.verdict, violation.verdict))


ALL = ".*"
OPEN = [Entry(*one) for one in (
    ("13.2", r"(tree|list)\.location.*plainOffset = (neighbour's|zero|one|one less|off by one)",
     ALL, "wrong|poisoned|unfound"),
    ("13.2", r"forged\.places = a pack of others, another block", ALL, "poisoned|unfound"),
    ("13.3", r"forged\.nodes = (items of .*|the number of .*)", ALL,
     "unfound|poisoned|memory|signal|slow"),
    ("13.4", r"forged\.entries = size (of a list .*|2\^64 - 1)", ALL, "died|unfound|signal"),
    ("13.4", r"forged\.commits = (files|directories|bytes) .*", ALL, "died|unfound|signal"),
    ("13.4", r"forged\.commits = generation .*", ALL, "unfound|unnamed|signal"),
    ("13.13", r"forged\.keys = (1,200|4,000) directories deep", ALL,
     "signal|died|unnamed|poisoned"),
    ("13.5", r".*\.object = 6 GiB", ALL, "memory|slow|signal|died"),
    ("13.6", r"forged\.records = (main's head|what main showed) counts as collected.*", ALL,
     "unfound|poisoned|lost"),
    # One GET a page that a record names, whether or not there is one.
    ("13.5", r"forged\.records = a sweep with 2\^31 pages", "gc_delete", "slow"),
    # fsck believes what it could compute.
    ("13.3", r"forged\.nodes = (one child twice|a child's .*|leaves below .*|an empty leaf.*)",
     "fsck_data", "unfound"),
    ("13 fsck", r"forged\.keys = (below a .*|no root|the root is a file|no entry at all)",
     "fsck_data", "unfound"),
    ("13 fsck", r"forged\.entries = (target (empty|NUL)|attributes: .*)", "fsck_data", "unfound"),
    ("13 fsck", r"forged\.commits = (a parent twice|format 0)", "fsck_data", "unfound"),
    ("13.7", r"forged\.entries = (mode 0o7777|attributes: .*)", "export", "privilege"),
    ("13.9", r"ref\.object = absent", ALL, "lost|unfound"),
    ("13.8", r"forged\..*(control characters|escape in it)", ALL, "raw"),
)]


@dataclass
class Report:
    new: list = field(default_factory=list)
    known: dict = field(default_factory=dict)
    stale: list = field(default_factory=list)

    def show(self, faults, count, is_whole):
        for violation in self.new:
            print(f"VIOLATION {violation}")
        for fault in faults:
            print(f"FAULT of the campaign {fault}")
        for issue, violations in sorted(self.known.items()):
            print(f"KNOWN AND OPEN, issue {issue}: {len(violations)} violations, for example "
                  f"{violations[0]}")
        stale = self.stale if is_whole else []
        for entry in stale:
            print(f"STALE: {entry.issue} {entry.title} {entry.consumer} {entry.verdict} does not "
                  f"happen any more; remove it from known_open.py")
        failed = len(self.new) + len(faults) + len(stale)
        known = sum(map(len, self.known.values()))
        print(f"{known} known and open")
        print(f"{max(0, count - len({one.title for one in self.new}))} passed, {failed} failed")
        return 1 if failed else 0


def sorted_out(tasks, results):
    report = Report()
    for number, violations in sorted(results.items()):
        for violation in violations:
            entry = next((one for one in OPEN if one.matches(violation)), None)
            if entry:
                entry.hits += 1
                report.known.setdefault(entry.issue, []).append(violation)
            else:
                report.new.append(violation)
    report.stale = [entry for entry in OPEN if not entry.hits]
    return report
