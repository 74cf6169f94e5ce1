"""What a world looks like: every attribute of every object, and which times have moved.

Not compared is what each filesystem chooses: st_dev, st_blocks, st_blksize, the size of a
directory, and the inode numbers themselves. Whether two names have one number is compared.
"""

import os
import stat


def survey(reads=True, skip=()):
    """Path → (status, listing, content, target, attributes) of all in the working directory."""
    found, waiting = {}, ["."]
    while waiting:
        path = waiting.pop()
        status = os.lstat(path)
        listing = content = target = None
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
            listing = tuple(sorted(os.listdir(fd)))
            os.close(fd)
            waiting += [name if path == "." else f"{path}/{name}" for name in listing]
        elif kind == stat.S_IFREG and reads and status.st_size:
            fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
            content = os.read(fd, 64)
            if status.st_size > 64:
                content = (
                    content,
                    sum(os.pread(fd, 1 << 18, 64)),
                    os.pread(fd, 16, max(status.st_size - 16, 0)),
                )
            os.close(fd)
        elif kind == stat.S_IFLNK:
            target = os.readlink(path)
        attributes = None
        if reads:
            names = sorted(os.listxattr(path, follow_symlinks=False))
            attributes = tuple(
                (name, os.getxattr(path, name, follow_symlinks=False))
                for name in names
                if name != "security.selinux"
            )
        found[path] = (status, listing, content, target, attributes)
    return found


def latest_change(before):
    return max(entry[0].st_ctime_ns for entry in before.values())


def is_same(before, after):
    """Has nothing at all changed? Then the next row can have this world."""
    if before.keys() != after.keys():
        return False
    for path, (status, listing, _, target, _) in before.items():
        now = after[path]
        if (
            tuple(status) != tuple(now[0])
            or status.st_mtime_ns != now[0].st_mtime_ns
            or now[1] != listing
            or now[3] != target
            or status.st_atime_ns != now[0].st_atime_ns
            or status.st_ctime_ns != now[0].st_ctime_ns
        ):
            return False
    return True


def _time(value, before, floor):
    if value == before:
        return "same"
    return "now" if value >= floor else str(value)


def changes(before, after, floor):
    """The world after the row, in values that are equal when two filesystems behave alike.

    Times are told as "same", "now" (not before the row began: `floor`) or the nanoseconds that
    somebody set. Inode numbers are told as the path that the same object had before, or the first
    path that it has now.
    """
    old = {}
    for path in sorted(before):
        old.setdefault(before[path][0].st_ino, path)
    new, told = {}, {}
    for path in sorted(after):
        status, listing, content, target, attributes = after[path]
        number = status.st_ino
        known = old.get(number)
        if known is not None and stat.S_IFMT(before[known][0].st_mode) == stat.S_IFMT(
            status.st_mode
        ):
            identity, was = f"the former {known}", before[known][0]
        else:
            identity, was = f"new {new.setdefault(number, path)}", None
        fields = {
            "kind": stat.filemode(status.st_mode)[0],
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            "nlink": status.st_nlink,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "identity": identity,
            "atime": _time(status.st_atime_ns, was and was.st_atime_ns, floor),
            "mtime": _time(status.st_mtime_ns, was and was.st_mtime_ns, floor),
            "ctime": _time(status.st_ctime_ns, was and was.st_ctime_ns, floor),
            "xattrs": attributes,
        }
        if listing is not None:
            fields["listing"] = listing
        else:
            fields["size"] = status.st_size
        if target is not None:
            fields["target"] = target
        if content is not None:
            fields["content"] = content
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            fields["rdev"] = status.st_rdev
        told[path] = fields
    return told
