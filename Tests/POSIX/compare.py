"""Compares what a row gave on the two sides, and tells promised differences from others."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Found:
    """One difference: of a step's result (`step` is its number), or afterwards of a `field` of the
    object at `path`."""

    row: object
    step: int
    path: str
    field: str
    reference: object
    subject: object
    # The kind of the object at `path` on the subject, as in `ls -l`.
    kind: str = None

    @property
    def call(self):
        """The call whose result differs; for the state of an object, the last call of the row."""
        return self.row.steps[-1 if self.step is None else self.step].call

    @property
    def arguments(self):
        return self.row.steps[-1 if self.step is None else self.step].arguments

    @property
    def calls(self):
        return [step.call for step in self.row.steps]

    def __str__(self):
        if self.step is not None:
            where = (
                f"step {self.step + 1}, {self.row.steps[self.step]}"
                if len(self.row.steps) > 1
                else "result"
            )
        elif self.path:
            where = f"{self.path}: {self.field}"
        else:
            where = self.field
        sides = f"reference {_short(self.reference)}, subject {_short(self.subject)}"
        return f"{self.row.name}: {where}: {sides}"


def _short(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"


def differences(row, reference, subject):
    """`reference` and `subject` are what the workers answered: (results, state). Where results are
    None, the row could not be run."""
    if reference[0] is None or subject[0] is None:
        if reference[0] is None:
            return [
                Found(
                    row,
                    None,
                    "",
                    "cannot be run on the reference",
                    reference[1],
                    subject[1] if subject[0] is None else "-",
                )
            ]
        return [Found(row, None, "", "cannot be run", "it can", subject[1])]
    found = []
    for number, (one, other) in enumerate(zip(reference[0], subject[0], strict=True)):
        if one != other:
            found.append(Found(row, number, "", "result", one, other))
    for path in sorted(reference[1].keys() | subject[1].keys()):
        one, other = reference[1].get(path), subject[1].get(path)
        if one is None or other is None:
            found.append(
                Found(
                    row,
                    None,
                    path,
                    "existence",
                    "absent" if one is None else one["kind"],
                    "absent" if other is None else other["kind"],
                )
            )
            continue
        for field in sorted(one.keys() | other.keys()):
            if one.get(field) != other.get(field):
                found.append(
                    Found(row, None, path, field, one.get(field), other.get(field), other["kind"])
                )
    return found


class Judge:
    """Holds differences against the list of those that are known, and counts the entries seen."""

    def __init__(self, entries, conditions):
        self.seen = {
            entry: 0 for entry in entries if entry.needs is None or entry.needs in conditions
        }

    def judge(self, found, subject):
        """The row's differences that no entry allows. `subject` is what its worker answered."""
        left, allowed = [], set()
        for difference in found:
            entry = next((entry for entry in self.seen if entry.match(difference)), None)
            if entry is None:
                left.append(difference)
            else:
                allowed.add(entry)
        for entry in allowed:
            self.seen[entry] += 1
            if (
                entry.consequence == "any"
                or entry.consequence == "refused"
                and _is_untouched(subject[1])
            ):
                left = []
        return left

    def count(self, entries):
        return sum(self.seen.get(entry, 0) for entry in entries)

    def unused(self):
        return [entry for entry, count in self.seen.items() if not count]


def _is_untouched(state):
    """Is every object the one that it was, with the times that it had?"""
    return all(
        fields["identity"] == f"the former {path}"
        and {fields["atime"], fields["mtime"], fields["ctime"]} == {"same"}
        for path, fields in state.items()
    )
