"""How a writable mount of Tarn differs from ext4: what docs/reference/SEMANTICS.md promises and what not.

An entry is as narrow as its sentence. One that no row shows is stale and fails the run.
"""

import dataclasses
import os
import stat
import typing

from names import FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE, FALLOC_UNSHARE_RANGE
from names import O_DIRECT, O_TMPFILE, RENAME_WHITEOUT

# The longest file that ext4 keeps, with blocks of 4 KiB, and its first and last second.
EXT4_BYTES = (2**32 - 1) * 4096
EXT4_SECONDS = (-(2**31), 2**34 - 2**31 - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Difference:
    """`match` is asked about a `compare.Found`.

    `consequence` is what else may differ in such a row: "nothing", "refused" (anything, if on the
    subject the row has changed nothing at all), or "any". `needs` is what the run must have for the
    difference to be seen: "relatime" (of the reference's mount), "settled" (--settle).
    """

    number: str
    sentence: str
    match: typing.Callable
    consequence: str = "nothing"
    needs: str = None


def result(*calls):
    """Is it the result of one of these calls that differs?"""
    return lambda found: found.field == "result" and found.call in calls


def does_not_move_access_time(found):
    if found.field == "atime":
        # The time that it was made with or that the row has set.
        is_set = str(found.subject).isdigit() and {"utimensat", "futimens"} & set(found.calls)
        return found.reference == "now" and (found.subject == "same" or is_set)
    return result("tell_times")(found) and (found.reference, found.subject) == (
        ("now", "past"),
        ("past", "past"),
    )


def _modes(found):
    """The two modes, where that is what differs."""
    if found.field == "mode":
        return int(found.reference, 8), int(found.subject, 8)
    if (
        result("fstat")(found)
        and found.reference[:1] + found.reference[2:] == found.subject[:1] + found.subject[2:]
    ):
        return int(found.reference[1], 8), int(found.subject[1], 8)
    return None


def _lost(mode):
    """The mode without what writing takes from it."""
    return mode & ~stat.S_ISUID & ~(stat.S_ISGID if mode & stat.S_IXGRP else 0)


WRITING = {
    "write",
    "pwrite",
    "open",
    "creat",
    "truncate",
    "ftruncate",
    "fallocate",
    "mmap_write",
    "copy_file_range",
}


def root_loses_privileges(found):
    modes = _modes(found)
    return (
        modes is not None
        and found.row.user == "root"
        and WRITING & set(found.calls)
        and modes[1] == _lost(modes[0])
    )


def mapping_takes_privileges(found):
    modes = _modes(found)
    return (
        modes is not None
        and found.row.user != "root"
        and "mmap_write" in found.calls
        and modes[1] == _lost(modes[0])
    )


def is_whiteout_refused(found):
    return (
        result("renameat2")(found)
        and found.arguments[4] & RENAME_WHITEOUT
        and found.subject == "EINVAL"
        and found.reference in (0, "ENOTEMPTY")
    )


def is_shift_refused(found):
    return (
        result("fallocate")(found)
        and found.arguments[1] & (FALLOC_COLLAPSE_RANGE | FALLOC_INSERT_RANGE)
        and found.subject == "ENOTSUP"
        and found.reference in (0, "EINVAL", "EFBIG")
    )


def is_foreign_attribute_refused(found):
    return (
        result("setxattr", "lsetxattr")(found)
        and found.arguments[1].split(".")[0] in ("trusted", "security")
        and (found.reference, found.subject) == (0, "ENOTSUP")
    )


def is_beyond_ext4(found):
    """A size or offset that ext4 cannot keep."""
    if result("truncate")(found):
        return found.reference == "EFBIG" and found.arguments[1] > EXT4_BYTES and found.subject == 0
    if result("lseek")(found):
        return (
            found.reference == "EINVAL"
            and found.arguments[1] > EXT4_BYTES
            and found.subject == found.arguments[1]
        )
    # What neither does is refused for another reason then.
    return (
        result("fallocate")(found)
        and found.reference == "EFBIG"
        and sum(found.arguments[2:]) > EXT4_BYTES
        and found.subject == ("ENOTSUP" if found.arguments[1] == FALLOC_UNSHARE_RANGE else 0)
    )


def counts_no_subdirectories(found):
    """Link counts of directories alone: in the state, and in what stat calls answer."""
    if found.field == "nlink":
        return found.kind == "d" and found.subject == 1
    if not result("statx", "stat", "lstat", "fstat", "fstatat")(found):
        return False
    one, other = found.reference, found.subject
    is_directory = other[1].startswith("04") if found.call == "statx" else other[0] == "d"
    return is_directory and other[2] == 1 and one[:2] + one[3:] == other[:2] + other[3:]


def is_hole_in_block(found):
    """A position that lies in a hole of a sparse file, or what follows from it."""
    return result("lseek", "extents")(found) and any(
        item.path == "s" and item.extra[1] != item.extra[0] for item in found.row.world.entries
    )


PROMISED = (
    Difference(
        "W20", "Reading does not move access times.", does_not_move_access_time, needs="relatime"
    ),
    Difference(
        "W21",
        "Every directory has a size of 0.",
        lambda found: result("directory_size")(found) and found.subject == 0,
    ),
    Difference(
        "W21",
        "A directory of the base has a link count of 1.",
        counts_no_subdirectories,
        needs="settled",
    ),
    Difference(
        "W21",
        "Set-user-ID and set-group-ID go when root writes to a file or truncates it.",
        root_loses_privileges,
    ),
    Difference("W21", "Files may have up to 2^63 - 1 bytes.", is_beyond_ext4, "any"),
    Difference(
        "W21", "Attributes other than user.* are refused.", is_foreign_attribute_refused, "refused"
    ),
    Difference(
        "W21", "FALLOC_FL_COLLAPSE_RANGE and INSERT_RANGE are refused.", is_shift_refused, "refused"
    ),
    Difference("W21", "RENAME_WHITEOUT is refused.", is_whiteout_refused, "refused"),
    Difference(
        "W21",
        "A write through a mapping takes set-user-ID and set-group-ID; on ext4 they stay.",
        mapping_takes_privileges,
    ),
    Difference(
        "W21",
        "O_DIRECT takes what is not aligned; ext4 answers EINVAL.",
        lambda found: result("pwrite", "pread")(found)
        and found.reference == "EINVAL"
        and any(step.call == "open" and step.arguments[1] & O_DIRECT for step in found.row.steps),
        "any",
    ),
    Difference(
        "W21",
        "O_TMPFILE makes a file in a removed directory; ext4 answers EPERM.",
        lambda found: result("open")(found)
        and found.arguments[:1] == (".",)
        and found.arguments[1] & O_TMPFILE == O_TMPFILE
        and (found.reference, found.subject) == ("EPERM", "a descriptor"),
    ),
    Difference(
        "W21",
        "SEEK_DATA and SEEK_HOLE in a directory answer ENXIO; ext4 answers a position.",
        lambda found: result("lseek")(found)
        and found.row.world.label == "dir"
        and found.arguments[2] in (os.SEEK_DATA, os.SEEK_HOLE)
        and found.subject == "ENXIO",
        "any",
    ),
    Difference(
        "W21",
        "Times before 1901 and after 2446 are kept; ext4 keeps its first or last.",
        lambda found: found.field in ("atime", "mtime")
        and found.call in ("utimensat", "futimens")
        and found.reference in [str(second * 10**9) for second in EXT4_SECONDS]
        and str(found.subject).lstrip("-").isdigit(),
    ),
    Difference(
        "W21",
        "Holes smaller than a block of a committed file are told as data.",
        is_hole_in_block,
        needs="settled",
    ),
)

# What docs/reference/SEMANTICS.md does not promise. Each is to be mended or to be promised.
NOT_PROMISED = ()
