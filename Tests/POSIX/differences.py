"""How a writable mount of Tarn differs from ext4: what docs/SEMANTICS.md promises, and what it does not.

An entry that no row shows is stale and fails the run.
"""
import dataclasses
import typing


@dataclasses.dataclass(frozen=True, eq=False)
class Difference:
    number: str
    sentence: str
    match: typing.Callable
    # What else may differ in such a row: "nothing", "refused" (anything, if on the subject the row has changed nothing at
    # all), or "any".
    consequence: str = "nothing"
    # A mount option of the reference ("relatime") without which the difference cannot be seen.
    needs: str = None


def refused(number, sentence, match):
    """ext4 does what the subject refuses."""
    return Difference(number, sentence, match, "refused")


PROMISED = (
    Difference("W20", "Reading does not move access times.",
               lambda found: found.field == "atime" and (found.reference, found.subject) == ("now", "same"), needs="relatime"),
    refused("W21", "RENAME_WHITEOUT is refused.",
            lambda found: found.call == "renameat2" and found.field == "result" and found.arguments[4] & 4
            and found.reference == 0 and found.subject == "EINVAL"),
)

# Bugs: no promise covers them.
NOT_PROMISED = (
)

# Rows that end the mount's process. They are counted and not run until that is mended.
KNOWN_TO_KILL = (
    Difference("14.17", "lseek to a negative offset with SEEK_DATA or SEEK_HOLE ends the mount's process.",
               lambda row: any(step.call == "lseek" and step.arguments[1] < 0 and step.arguments[2] in (3, 4)
                               for step in row.steps)),
)
