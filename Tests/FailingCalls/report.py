"""What a campaign says at its end. An entry of what is known and open whose cells were tried, and
that none of them violates any more, is stale and fails the campaign."""
import collections
import re
from dataclasses import dataclass


@dataclass
class Entry:
    """Regular expressions of the whole title and the whole verdict.

    `is_certain`: in every run at least one of its cells violates. Where threads or clocks decide,
    an entry is not held to be stale."""
    issue: str
    title: str
    verdict: str
    is_certain: bool = True
    hits: int = 0

    def matches(self, violation):
        return re.fullmatch(self.title, violation.title) and self.accepts(violation.verdict)

    def accepts(self, verdict):
        return re.fullmatch(self.verdict, verdict)


class Report:
    def __init__(self, violations, titles, known):
        self.all, self.new = list(violations), []
        self.known = collections.defaultdict(list)
        for violation in violations:
            entry = next((one for one in known if one.matches(violation)), None)
            if entry:
                entry.hits += 1
                self.known[entry.issue].append(violation)
            else:
                self.new.append(violation)
        self.stale = [entry for entry in known if entry.is_certain and not entry.hits
                      and any(re.fullmatch(entry.title, title) for title in titles)]

    def show(self, faults, count):
        grouped = collections.defaultdict(list)
        for violation in self.new:
            grouped[violation.title, violation.verdict].append(violation)
        for violations in grouped.values():
            times = f" ({len(violations)} times)" if len(violations) > 1 else ""
            print(f"VIOLATION {violations[0]}{times}")
        for fault in faults:
            print(f"FAULT of the campaign {fault}")
        for issue, violations in sorted(self.known.items()):
            print(f"KNOWN AND OPEN, issue {issue}: {len(violations)} violations, for example "
                  f"{violations[0]}")
        for entry in self.stale:
            print(f"STALE: {entry.issue} {entry.title} {entry.verdict} does not happen any more; "
                  "remove it from known_open.py")
        failed = len(grouped) + len(faults) + len(self.stale)
        print(f"{sum(map(len, self.known.values()))} known and open")
        print(f"{max(0, count - len({one.title for one in self.new}))} passed, {failed} failed")
        return 1 if failed else 0
