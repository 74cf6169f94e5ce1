"""Whole directory trees as dictionaries: taken, compared, merged and put back."""
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass, replace

from sandbox import Violation

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}


@dataclass(frozen=True)
class Entry:
    kind: str
    mode: int
    mtime: int
    size: int = 0
    digest: str = ""
    target: bytes = b""
    attributes: tuple = ()
    owner: tuple = (0, 0)
    links: int = 1
    inode: int = 0

    @property
    def content(self):
        return self.kind, self.size, self.digest, self.target


def take(root):
    """The tree below `root` by relative path (bytes; the root is b"")."""
    entries = {}
    pending = [b""]
    while pending:
        path = pending.pop()
        entry = take_entry(root + b"/" + path if path else root)
        entries[path] = entry
        if entry.kind == "directory":
            for name in os.listdir(root + b"/" + path):
                pending.append(path + b"/" + name if path else name)
    return entries


def take_entry(path):
    status = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    size, digest, target, attributes = 0, "", b"", ()
    if kind == "file":
        size, digest = status.st_size, digest_of(path, status.st_size)
    elif kind == "symlink":
        target = os.readlink(path)
        size = status.st_size
    if kind in ("file", "directory"):
        names = sorted(name for name in os.listxattr(path) if name.startswith("user."))
        attributes = tuple((name, os.getxattr(path, name)) for name in names)
    return Entry(
        kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns, size, digest, target, attributes,
        (status.st_uid, status.st_gid), status.st_nlink, status.st_ino)


def digest_of(path, size):
    digest, count = hashlib.blake2b(digest_size=16), 0
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            count += len(piece)
    if count != size:
        raise Violation("short file", f"{path}: {count} bytes are read, stat says {size}")
    return digest.hexdigest()


class Comparison:
    """How two trees are compared. Times that nobody set are those of the same operation, done twice: they may differ by
    `slack`; those that were set lie before `recent` and must be equal."""

    def __init__(self, recent=None, slack=10_000_000_000, links=False, owners=False):
        self.recent, self.slack, self.links, self.owners = recent, slack, links, owners

    def differences(self, want, got):
        found = []
        for path in sorted(want.keys() | got.keys()):
            if path not in got:
                found.append(("missing", path, want[path].kind, None))
            elif path not in want:
                found.append(("unexpected", path, None, got[path].kind))
            else:
                found += [(field, path, a, b) for field, a, b in self.fields(want[path], got[path])]
        return found

    def fields(self, want, got):
        if want.kind != got.kind:
            yield "kind", want.kind, got.kind
            return
        if want.size != got.size:
            yield "size", want.size, got.size
        elif want.content != got.content:
            yield "content", want.digest or want.target, got.digest or got.target
        if want.kind != "symlink" and want.mode != got.mode:
            yield "mode", oct(want.mode), oct(got.mode)
        if not self.is_same_time(want.mtime, got.mtime):
            yield "mtime", want.mtime, got.mtime
        if want.attributes != got.attributes:
            yield "attributes", want.attributes, got.attributes
        if self.links and want.kind == "file" and want.links != got.links:
            yield "links", want.links, got.links
        if self.owners and want.owner != got.owner:
            yield "owner", want.owner, got.owner

    def is_same_time(self, want, got):
        if want == got:
            return True
        return self.recent is not None and min(want, got) >= self.recent and abs(want - got) <= self.slack

    def check(self, want, got, what):
        found = self.differences(want, got)
        if found:
            lines = [f"{field} of {path!r}: wants {a}, is {b}" for field, path, a, b in found[:12]]
            raise Violation(f"{what} differs in {found[0][0]}", "\n  ".join([""] + lines))


# Merging, as SEMANTICS W6 and W7 say.

def merge(base, ours, theirs, decisions):
    """The merged tree and the paths that are in conflict and not decided (`decisions`: path to ours, theirs, base)."""
    sides = {"ours": ours, "theirs": theirs, "base": base}
    result, conflicts = dict(theirs), set()

    def put(path, entry):
        if entry is None:
            result.pop(path, None)
        else:
            result[path] = entry

    changed = set()
    for path in base.keys() | ours.keys() | theirs.keys():
        old, our, their = base.get(path), ours.get(path), theirs.get(path)
        if not same(old, our) or not same(old, their):
            changed.add(path)
        if same(old, our):
            continue
        if same(old, their):
            put(path, our)
            continue
        entry, clash = merge_entries(old, our, their)
        if not clash:
            put(path, entry)
        elif path in decisions:
            put(path, sides[decisions[path]].get(path))
        else:
            conflicts.add(path)
    for path in sorted(changed, key=lambda path: path.split(b"/")):
        if path not in result or not path or path in conflicts:
            continue
        missing = []
        directory = os.path.dirname(path)
        while directory not in result:
            missing.append(directory)
            directory = os.path.dirname(directory)
        if result[directory].kind != "directory":
            # One side put something where the other has a file for a directory: the decision says whose.
            our = ours.get(directory)
            is_our_file = our is not None and our.kind != "directory"
            if path not in decisions:
                conflicts.add(path)
            elif decisions[path] == "ours" and not is_our_file:
                put(directory, our)
            elif decisions[path] != "ours" and is_our_file:
                put(directory, theirs.get(directory))
            else:
                put(path, None if is_our_file else theirs.get(path))
            if path not in result or result[directory].kind != "directory":
                continue
        for directory in missing:
            result[directory] = theirs.get(directory) or ours.get(directory)
    return result, conflicts


def same(a, b):
    """Equal in everything that a commit holds."""
    if a is None or b is None:
        return a is b
    return a.content == b.content and a.mtime == b.mtime and a.attributes == b.attributes and (
        a.mode == b.mode or a.kind == "symlink") and a.owner == b.owner


def merge_entries(base, ours, theirs):
    """The merged entry, and whether the two do not go together."""
    if same(ours, theirs):
        return theirs, False
    if ours is None or theirs is None:
        left = ours or theirs
        touched = base is not None and base.kind == "directory" and same(replace(base, mtime=left.mtime), left)
        return None, not touched
    content, clash1 = pick(base and base.content, ours.content, theirs.content)
    mode, clash2 = pick(base and base.mode, ours.mode, theirs.mode)
    owner, clash3 = pick(base and base.owner, ours.owner, theirs.owner)
    attributes, clash4 = [], False
    tables = [dict(entry.attributes) if entry else {} for entry in (base, ours, theirs)]
    for name in sorted(tables[1].keys() | tables[2].keys()):
        value, clash = pick(*(table.get(name) for table in tables))
        clash4 = clash4 or clash
        if value is not None:
            attributes.append((name, value))
    kind, size, digest, target = content
    merged = Entry(
        kind, mode, max(ours.mtime, theirs.mtime), size, digest, target, tuple(attributes), owner)
    return merged, clash1 or clash2 or clash3 or clash4


def pick(base, ours, theirs):
    if ours == theirs or theirs == base:
        return ours, False
    return theirs, ours != base


# Putting back.

def restore(root, entries, source, paths):
    """Makes `paths` below `root` what they are in `entries`, taking bytes from the tree at `source`. Times of the
    directories above stay."""
    for path in sorted(paths, reverse=True):
        place = root + b"/" + path if path else root
        if path not in entries or (os.path.lexists(place) and not same_kind(place, entries[path])):
            remove(place)
    for path in sorted(path for path in paths if path in entries):
        entry, place = entries[path], root + b"/" + path if path else root
        if entry.kind == "directory":
            if not os.path.isdir(place):
                os.mkdir(place)
        elif entry.kind == "symlink":
            if os.path.lexists(place):
                os.unlink(place)
            os.symlink(entry.target, place)
        elif entry.kind == "file":
            # A file of its own: another name that it may have keeps the old bytes.
            remove(place)
            with open(source + b"/" + path, "rb") as old, open(place, "wb") as new:
                shutil.copyfileobj(old, new, 1 << 20)
        if entry.kind in ("file", "directory"):
            for name in os.listxattr(place):
                os.removexattr(place, name)
            for name, value in entry.attributes:
                os.setxattr(place, name, value)
        if os.geteuid() == 0:
            os.chown(place, *entry.owner, follow_symlinks=False)
        if entry.kind != "symlink":
            os.chmod(place, entry.mode)


def same_kind(place, entry):
    return KINDS.get(stat.S_IFMT(os.lstat(place).st_mode)) == entry.kind


def remove(place):
    if not os.path.lexists(place):
        return
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    else:
        os.unlink(place)


def set_times(root, times):
    """Deepest first, so that nothing moves a directory's time afterwards."""
    for path in sorted(times, reverse=True):
        place = root + b"/" + path if path else root
        if os.path.lexists(place):
            os.utime(place, ns=(times[path], times[path]), follow_symlinks=False)
