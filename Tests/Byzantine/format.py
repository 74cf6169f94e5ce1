"""Format 1 as data: every kind of object, every field, its range, and what proves it.

Mutations are enumerated from here, so a field that is missing here is a field that is never tested.
`check.py` fails when a sample repository holds a key or a field that this page does not know.
"""
import re
from dataclasses import dataclass, field

from wire import Byte, Counted, Fixed32, Number, Octets, Rest, Run, Struct, Varint, Zigzag

U64 = 2**64 - 1
BLOCK_BYTES = 4 << 20

# Binary parts

HEADER = Struct(
    ("magic", Octets(4)), ("format", Byte(1, 1)), ("kind", Byte(0x4C, 0x4E)),
    ("logicalCodec", Byte(0, 1)), ("locationCodec", Byte(0, 1)),
    ("logicalPlain", Fixed32(0, 64 << 20)), ("logicalStored", Fixed32(0, 64 << 20)),
    ("locationPlain", Fixed32(0, 64 << 20)), ("locationStored", Fixed32(0, 64 << 20)),
    ("locationHash", Octets(32)))


def is_stored(extent):
    return extent["codec"] != 2


EXTENT = Struct(
    ("codec", Byte(0, 2)), ("pack", Octets(16), is_stored), ("offset", Varint(0, U64), is_stored),
    ("storedLength", Varint(0, BLOCK_BYTES), is_stored),
    ("plainOffset", Varint(0, U64), is_stored))
EXTENTS = Rest(EXTENT)
BLOCK = Struct(("hash", Octets(32)), ("length", Fixed32(1, BLOCK_BYTES)))

KINDS = {1: "file", 2: "directory", 3: "link"}
ATTRIBUTE = Struct(("name", Run()), ("value", Run()))


def is_file(entry):
    return entry["kind"] == 1


ENTRY = Struct(
    ("kind", Byte(1, 3)), ("flags", Byte(0, 3)), ("mode", Varint(0, 0o7777)),
    ("seconds", Zigzag(-2**63, 2**63 - 1)), ("nanoseconds", Varint(0, 999_999_999)),
    ("user", Varint(0, 2**32 - 1), lambda e: e["flags"] & 1),
    ("group", Varint(0, 2**32 - 1), lambda e: e["flags"] & 1),
    ("attributes", Counted(ATTRIBUTE), lambda e: e["flags"] & 2),
    ("size", Varint(0, U64), is_file), ("form", Byte(0, 1), is_file),
    ("blocks", Counted(BLOCK), lambda e: is_file(e) and e["form"] == 0),
    ("list", Octets(32), lambda e: is_file(e) and e["form"] == 1),
    ("target", Run(), lambda e: e["kind"] == 3))
CHILD = Struct(("node", Octets(32)), ("items", Varint(1, U64)))


def node(value):
    item = Struct(("key", Run()), ("value", Run(value)))
    return Struct(("format", Byte(1, 1)), ("level", Byte(0, 32)), ("items", Counted(item)))


LEAF, INTERIOR = node(ENTRY), node(CHILD)
LEAF_PLACES = Rest(Run(EXTENTS))
BLOCKS = Rest(BLOCK)

# JSON


@dataclass(frozen=True)
class Int:
    low: int
    high: int


@dataclass(frozen=True)
class Text:
    pass


@dataclass(frozen=True)
class Flag:
    pass


@dataclass(frozen=True)
class Time:
    pass


@dataclass(frozen=True)
class Hex:
    """Digits of an id. `of` names the kind of object, if it is one's id."""
    digits: int
    of: str = ""


@dataclass(frozen=True)
class UUID:
    pass


@dataclass(frozen=True)
class Choice:
    words: tuple


@dataclass(frozen=True)
class Many:
    item: object


@dataclass(frozen=True)
class Map:
    value: object


@dataclass(frozen=True)
class Packed:
    """Base64 of binary fields."""
    of: object


@dataclass(frozen=True)
class Record:
    fields: dict = field(hash=False)
    optional: tuple = ()


FORMAT = Int(1, 1)
SHA = 64
OPERATIONS = Choice(("create", "commit", "import", "merge", "fast-forward", "delete", "reset",
                     "revert", "restore", "cherry-pick", "protect", "approve", "withdraw"))

CONFIG = Record({
    "format": FORMAT, "id": UUID(), "created": Time(),
    "chunking": Record({
        "algorithm": Text(), "minimumBytes": Int(262144, 262144),
        "averageBytes": Int(1048576, 1048576), "maximumBytes": Int(4194304, 4194304)}),
    "store": Record({"quoteIfMatch": Flag()}),
    "mirror": Record({"source": Text(), "since": Time()})}, ("mirror",))
REF = Record({
    "format": FORMAT, "commit": Hex(SHA, "commit"), "movement": Hex(SHA, "movement"),
    "writeID": Hex(32)}, ("commit",))
MOVEMENT = Record({
    "format": FORMAT, "ref": Text(), "old": Hex(SHA, "commit"), "new": Hex(SHA, "commit"),
    "who": Text(), "when": Time(), "operation": OPERATIONS, "why": Text(),
    "previous": Hex(SHA, "movement"), "gates": Many(Hex(SHA, "hook")),
    "approvals": Many(Hex(SHA, "movement"))}, ("old", "new", "previous", "gates", "approvals"))
COMMIT = Record({
    "format": FORMAT, "tree": Hex(SHA, "tree"), "parents": Many(Hex(SHA, "commit")),
    "author": Text(), "committer": Text(), "time": Time(), "message": Text(),
    "metadata": Map(Text()), "generation": Int(1, U64),
    "counts": Record({"files": Int(0, U64), "directories": Int(0, U64), "bytes": Int(0, U64)})})
HOOK = Record({
    "format": FORMAT, "hook": Text(), "event": Text(), "ref": Text(), "commit": Hex(SHA, "commit"),
    "file": Hex(SHA), "action": Text(), "who": Text(), "host": Text(), "started": Time(),
    "ended": Time(), "verdict": Choice(("passed", "refused", "timed out", "crashed", "skipped")),
    "code": Int(-2**31, 2**31 - 1), "output": Text(), "isOutputCut": Flag()}, ("code",))
LEASE = Record({
    "format": FORMAT, "purpose": Choice(("import", "mount", "upload", "write", "mirror")),
    "tree": Hex(SHA, "tree"), "trees": Many(Hex(SHA, "tree")), "lasts": Int(-2**63, 2**63 - 1),
    "holder": Text(), "subject": Text(), "began": Int(-2**63, 2**63 - 1), "nonce": Text(), "isBroken": Flag(), "process": Record({
        "boot": Text(), "namespace": Text(), "process": Int(-2**31, 2**31 - 1), "began": Int(0, U64)})},
    ("trees", "lasts", "began", "nonce", "isBroken", "process"))
COLLECTED = Record({
    "format": FORMAT, "commits": Many(Hex(SHA, "commit")), "when": Time(), "rule": Text(),
    "rules": Hex(SHA, "movement"), "runs": Many(Text())}, ("rules", "runs"))
MOVED = Record({
    "format": FORMAT, "when": Time(), "offsets": Many(Int(0, U64)), "extents": Packed(EXTENTS)})
SWEEPS = Record({
    "format": FORMAT, "lastEnded": Time(), "runs": Many(Record({
        "id": Hex(32), "began": Time(), "ended": Time(), "pulse": Int(0, 2**63 - 1),
        "alive": Time(), "deletes": Flag(), "isSettled": Flag()},
        ("ended", "alive", "deletes", "isSettled")))}, ("lastEnded",))
PROCESS = Record({
    "boot": Text(), "namespace": Text(), "process": Int(-2**31, 2**31 - 1), "began": Int(0, U64)})
QUEUE = Record({"format": FORMAT, "waiting": Many(Record({
    "id": Text(), "holder": Text(), "process": PROCESS, "pulse": Int(0, 2**63 - 1)}, ("process",)))})
CLOCK = Record({"format": FORMAT})


@dataclass(frozen=True)
class Kind:
    """`proof`: what a hash covers that readers check against the name of the object.
    "all" its bytes, "logical" the first of its two parts, "blocks" bytes that blocks name, ""
    nothing.
    `decides`: what it says is believed as a decision of somebody who may make it (a rule, a lease):
    readers may then show something else, but never wrong bytes under a commit's id."""
    name: str
    key: str
    body: object
    proof: str = ""
    decides: bool = False

    def matches(self, key):
        return re.fullmatch(self.key, key) is not None


ID = "[0-9a-f]{64}"
OBJECTS = [
    Kind("config", r"tarn\.json", CONFIG, decides=True),
    Kind("ref", r"refs/(heads|tags|rules|approvals)/[^/]+", REF, decides=True),
    Kind("movement", f"movements/{ID}", MOVEMENT, "all"),
    Kind("commit", f"commits/{ID}", COMMIT, "all"),
    Kind("hook", f"hooks/{ID}/{ID}\\.json", HOOK, "all"),
    Kind("tree", f"trees/[0-9a-f]{{2}}/{ID}", "node", "logical"),
    Kind("list", f"lists/[0-9a-f]{{2}}/{ID}", "list", "logical"),
    Kind("pack", r"packs/[0-9a-f]{2}/[0-9a-f]{32}", "bytes", "blocks"),
    Kind("signature", f"signatures/{ID}/{ID}", "bytes", decides=True),
    Kind("lease", r"leases/[0-9a-f]{32}", LEASE, decides=True),
    Kind("collected", f"collected/{ID}", COLLECTED, decides=False),
    Kind("moved", r"moved/[0-9a-f]{2}/[0-9a-f]{32}", MOVED),
    Kind("sweeps", r"gc/sweeps\.json", SWEEPS, decides=True),
    Kind("clock", r"gc/clock", CLOCK),
    Kind("queue", r"queue/heads/[^/]+", QUEUE, decides=True),
]


def kind_of(key):
    """The kind of the object under a key; None for one that the format does not know."""
    return next((kind for kind in OBJECTS if kind.matches(key)), None)


def json_fields(shape, value, name="", path=()):
    """(name, path, shape, value) of every field; an undescribed key is a ValueError."""
    if isinstance(shape, Record):
        if not isinstance(value, dict):
            raise ValueError(f"{name} is no object")
        unknown = set(value) - set(shape.fields)
        missing = set(shape.fields) - set(value) - set(shape.optional)
        if unknown or missing:
            raise ValueError(f"{name or 'the record'}: not described {sorted(unknown)}, "
                             f"missing {sorted(missing)}")
        if name:
            yield name, path, shape, value
        for key, inner in shape.fields.items():
            if key in value:
                yield from json_fields(inner, value[key], f"{name}.{key}" if name else key,
                                       path + (key,))
    elif isinstance(shape, Many):
        yield name, path, shape, value
        for index, item in enumerate(value):
            yield from json_fields(shape.item, item, name + "[]", path + (index,))
    elif isinstance(shape, Map):
        yield name, path, shape, value
        for key, item in value.items():
            yield from json_fields(shape.value, item, name + "{}", path + (key,))
    else:
        yield name, path, shape, value


def described(shape, name="", part=True):
    """The names of all fields that a shape can have, whether or not a sample has them."""
    if isinstance(shape, Record):
        for key, inner in shape.fields.items():
            yield from described(inner, f"{name}.{key}" if name else key)
    elif isinstance(shape, Many):
        yield name
        yield from described(shape.item, name + "[]")
    elif isinstance(shape, Map):
        yield name
        yield from described(shape.value, name + "{}")
    elif isinstance(shape, Packed):
        yield name
        yield from described(shape.of, name)
    elif isinstance(shape, Struct):
        for key, inner, _ in shape.parts:
            yield from described(inner, f"{name}.{key}")
    elif isinstance(shape, Rest):
        yield name + ".items"
        yield from described(shape.item, name + "[]")
    elif isinstance(shape, Counted):
        yield name + ".count"
        yield from described(shape.item, name + "[]")
    elif isinstance(shape, Run) and shape.inner:
        yield name + ".length"
        yield from described(shape.inner, name)
    else:
        yield name
