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
    ("13.6", r"forged\.records = (main's head|what main showed) counts as collected.*", ALL,
     "poisoned"),
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
