"""Changes of all that no verified hash covers, enumerated from the description of the format."""
import base64
from dataclasses import dataclass, field

import format as f
import values
from repository import TwoPart
from wire import Raw, at, replaced

SPARSE = 6 << 30


@dataclass
class Mutation:
    """`changes`: {key: bytes, None for "take it away", or a number of bytes of a sparse file}.
    `is_false`: a check of the repository must find it, whatever readers see."""
    kind: str
    name: str
    label: str
    changes: dict
    decides: bool = False
    is_false: bool = False
    refs: tuple = ("evil",)
    words: list = field(default_factory=list)
    position: int = 0
    # Which refs need what was changed: {ref}.
    reaches: frozenset = frozenset()
    # Objects with right ids, which a writer of the branch can make.
    is_forged: bool = False
    # Nothing is wrong with it: whoever refuses it is wrong.
    is_control: bool = False

    @property
    def title(self):
        return f"{self.kind}.{self.name} = {self.label}"

    @property
    def place(self):
        """Which of several with one title it is."""
        key = next(iter(self.changes), "")
        return f"{self.refs[0]}, {('first', 'last')[self.position]}, {key[:20]}"


class Enumeration:
    def __init__(self, sample):
        self.sample, self.repository = sample, sample.repository
        self.reach = sample.reach

    def all(self):
        yield from self.two_part()
        yield from self.records()
        yield from self.whole()
        yield from self.listings()

    def make(self, kind, name, label, changes, **options):
        keys = list(changes)
        reaches = frozenset().union(*(self.reach.get(key, frozenset()) for key in keys))
        words = [word for key in keys for word in (
            key, key.rsplit("/", 1)[-1][:12], key.rsplit("/", 1)[-1].replace("%2F", "/"))]
        refs = tuple(ref for ref in ("evil", "work/rolling", "main", "prod") if ref in reaches)[:1]
        return Mutation(
            kind.name if kind else "listing", name, label, changes, refs=refs or ("evil",),
            words=words, reaches=reaches, decides=bool(kind and kind.decides), **options)

    def keys(self, kind):
        return sorted(key for key in self.repository.keys() if kind.matches(key))

    # Objects of two parts: the header and the location part

    def two_part(self):
        for kind in f.OBJECTS:
            if kind.body in ("node", "list"):
                for key in self.targets(kind):
                    yield from self.header(kind, key)
                    yield from self.location(kind, key)

    def targets(self, kind):
        """One of the hostile branch's own, one that all share, one whose pack was rewritten."""
        found = {}
        for key in self.keys(kind):
            value = TwoPart.read(self.repository.get(key))
            refs = self.reach.get(key, frozenset())
            if any(value.location) and refs:
                # Ids differ from run to run; what is chosen must not.
                order = value.logical["items"][0]["key"] if kind.body == "node" else b""
                place = ("evil" in refs, "main" in refs, "prod" in refs)
                found[place] = min(found.get(place, (order, key)), (order, key))
        return [found[place][1] for place in sorted(found)]

    def header(self, kind, key):
        data = self.repository.get(key)
        header = f.HEADER.read(data[:56])
        for name, path, shape, value in f.HEADER.fields(header, "header", ()):
            for label, new in values.binary(shape, value, self.paired(header, path[0])):
                changed = f.HEADER.write(replaced(header, path, new)) + data[56:]
                yield self.make(kind, name, label, {key: changed})

    @staticmethod
    def paired(header, name):
        other = {"logical": "location", "location": "logical"}
        return next((header.get(new + name[len(old):]) for old, new in other.items()
                     if name.startswith(old)), None)

    def location(self, kind, key):
        value = TwoPart.read(self.repository.get(key))
        shape = value.location_type
        for name, position, label, new in mutated(shape, value.location, "location"):
            data = value.write(location=shape.write(new))
            yield self.make(kind, name, label, {key: data}, position=position,
                            is_false=overlaps(value, new))
        # As one: what is left of a pack when nothing names it.
        for label, change in (("zeros", {"codec": 2}), ("another pack", {"pack": b"\x55" * 16})):
            def put(extents):
                return [change if len(change) == 1 and "codec" in change else extent | change
                        for extent in extents]
            new = put(value.location) if kind.body == "list" else list(map(put, value.location))
            yield self.make(kind, "location.items", f"all {label}",
                            {key: value.write(location=shape.write(new))})

    # JSON

    def records(self):
        for kind in f.OBJECTS:
            if not isinstance(kind.body, f.Record) or kind.proof:
                continue
            for key in self.chosen(kind):
                record = self.sample.mirror_config if key == "mirror" else self.repository.json(key)
                key = "tarn.json" if key == "mirror" else key
                yield from self.record(kind, key, record)

    def chosen(self, kind):
        keys = self.keys(kind)
        if kind.name == "config":
            return keys + ["mirror"]
        if kind.name == "ref":
            return ["refs/heads/evil", "refs/heads/main", "refs/rules/protection"]
        return keys[:1]

    def record(self, kind, key, record):
        same, fields = {}, list(f.json_fields(kind.body, record))
        for name, path, shape, value in fields:
            same.setdefault(name, []).append(value)
        if kind.name == "ref":
            same["commit"] = [self.repository.json(other).get("commit")
                              for other in ("refs/heads/main", "refs/heads/prod")]
            same["movement"] = [self.repository.json(other)["movement"]
                                for other in ("refs/heads/main", "refs/heads/prod")]
        for name, path, shape, value in fields:
            other = next((one for one in same[name] if one != value), None)
            for label, new in values.record(shape, value, other):
                yield self.make(kind, name, label, {key: values.changed(record, path, new)})
            if isinstance(shape, f.Packed):
                plain = shape.of.read(base64.b64decode(value))
                for field_name, position, label, new in mutated(shape.of, plain, name):
                    text = base64.b64encode(shape.of.write(new)).decode()
                    yield self.make(kind, field_name, label, position=position, changes={
                        key: values.changed(record, path, text)})

    # Whole objects, and keys that should not be there

    def whole(self):
        for kind in f.OBJECTS:
            keys = [key for key in self.keys(kind) if self.reach.get(key)] or self.keys(kind)
            keys.sort(key=lambda key: (len(self.reach.get(key, ())),
                                       sorted(self.reach.get(key, ())),
                                       len(self.repository.get(key)), key))
            for key in dict.fromkeys(keys[:1] + keys[-1:]):
                data = self.repository.get(key)
                sibling = next((self.repository.get(other) for other in keys if other != key),
                               b"{}")
                middle = len(data) // 2
                flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1:]
                for label, new in (("absent", None), ("empty", b""), ("half", data[:middle]),
                                   ("doubled", data * 2), ("bit", flipped), ("sibling's", sibling),
                                   ("one byte more", data + b" "), ("6 GiB", SPARSE),
                                   ("deep", b"[" * 200_000), ("null", b"null")):
                    if new != data:
                        # Its ref updates tell that a ref was there.
                        is_false = kind.name == "ref" and new is None
                        yield self.make(kind, "object", label, {key: new}, is_false=is_false)

    def listings(self):
        refs = self.repository.get("refs/heads/main")
        names = ["refs/heads/%2F", "refs/heads/..%2F..%2Fx", "refs/heads/a%2F%2Fb",
                 "refs/heads/x\ny",
                 "refs/tags/-x", "refs/other/main", "refs/heads/" + "n" * 240, "refs/approvals/x",
                 "movements/short", "commits/short", "trees/00/short", "lists/zz/short",
                 "packs/00/short", "packs/ff/" + "f" * 32, "leases/short", "collected/short",
                 "moved/00/short", "hooks/x/y.json", "signatures/x", "other"]
        for key in names:
            for label, data in (("a ref's bytes", refs), ("empty", b"")):
                yield self.make(None, key.split("/")[0], f"{key[:40]!r} {label}", {key: data})


def mutated(shape, value, name):
    """(name, position, label, the whole value) of every change of each field's first and last."""
    fields = {}
    for found in shape.fields(value, name, ()):
        fields.setdefault(found[0], []).append(found)
    for name, found in fields.items():
        filled = [one for one in found if one[3] not in ([], b"")] or found
        ends = [filled[0], filled[-1]][:len(filled)]
        for position, (_, path, inner, old) in enumerate(ends):
            other = next((one[3] for one in filled if one[3] != old), None)
            for label, new in values.binary(inner, old, other):
                yield name, position, label, replaced(value, path, new)
            if name.endswith(".codec"):
                yield name, position, "zeros", replaced(value, path[:-1], {"codec": 2})


def overlaps(value, location):
    """Whether blocks that differ would lie in one place of the unpacked pack, which is a lie."""
    if isinstance(location, Raw):
        return False
    taken = {}
    try:
        if value.letter == "L":
            pairs = list(zip(value.logical, location))
        else:
            pairs = [pair for item, extents in zip(value.logical["items"], location)
                     for pair in zip(item["value"].get("blocks", ()), extents)]
        for block, extent in pairs:
            if extent["codec"] in (0, 1):
                taken.setdefault(extent["pack"], []).append(
                    (int(extent["plainOffset"]), block["length"], block["hash"]))
    except (TypeError, ValueError, KeyError):
        return False
    for blocks in taken.values():
        blocks.sort()
        for (start, length, one), (next_start, _, two) in zip(blocks, blocks[1:]):
            if next_start < start + length and one != two:
                return True
    return False


def described_fields():
    """{(kind, field)} of all that no verified hash covers."""
    found = set()
    for kind in f.OBJECTS:
        if kind.body in ("node", "list"):
            found |= {(kind.name, name) for name in f.described(f.HEADER, "header")}
            shape = f.EXTENTS if kind.body == "list" else f.LEAF_PLACES
            found |= {(kind.name, name) for name in f.described(shape, "location")}
        elif isinstance(kind.body, f.Record) and not kind.proof:
            found |= {(kind.name, name) for name in f.described(kind.body)}
        found.add((kind.name, "object"))
    return found
