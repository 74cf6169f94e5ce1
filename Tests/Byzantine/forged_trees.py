"""Forged tree nodes, keys, entries and places.

Each is a label, whether fsck must find it, and a function of the drafts.
"""
import base64
import functools
import hashlib

import format as f
from repository import TwoPart, canonical, content_id
from wire import Raw, varint


def nodes():
    """Interior nodes that say something else than their children, and leaves out of order."""
    yield "nothing", False, two_leaves
    for label, count in (("0", 0), ("one more", 3), ("2^40 + 1", 2**40 + 1), ("2^63", 2**63),
                         ("2^64 - 1", 2**64 - 1), ("2^32", 2**32)):
        yield f"items of a child: {label}", True, lambda d, n=count: two_leaves(d, first=n)
        yield f"items of the last child: {label}", True, lambda d, n=count: two_leaves(d, last=n)
    for slot in (1, 2, 3):
        yield f"the number of a file of main, {slot} commits on", True, \
            lambda d, n=slot: alias(d, n)
    yield "one child twice", True, lambda d: two_leaves(d, twice=True)
    yield "a child's last key is another", True, lambda d: two_leaves(d, last_key=b"\0zzz")
    yield "children in descending order", True, lambda d: two_leaves(d, swapped=True)
    yield "a child's items lie beyond its key", True, lambda d: two_leaves(d, first_key=b"\0a")
    for level in (0, 2, 5, 32, 33, 255):
        yield f"leaves below level {level}", True, lambda d, n=level: two_leaves(d, level=n)
    yield "a child is missing", True, lambda d: two_leaves(d, missing=True)
    yield "40 levels", True, levels
    yield "no children", True, lambda d: d.show(d.interior([]))
    yield "an empty leaf among children", True, lambda d: two_leaves(d, empty=True)
    yield "keys descend", True, lambda d: plain(d, [b"\0hostile-b", b"\0hostile-a"])
    yield "a key twice", True, lambda d: plain(d, [b"\0hostile", b"\0hostile"])
    yield "a list for a tree", True, lambda d: d.show(next(
        key for key in d.keys() if key.startswith("lists/")).rsplit("/", 1)[1])
    yield "a tree that is missing", True, lambda d: d.show("1" * 64)
    yield "format 2", True, lambda d: raw_node(d, b"\x02\x00\x00")
    yield "2^60 items", True, lambda d: raw_node(d, b"\x01\x00" + varint(2**60))
    yield "no bytes", True, lambda d: raw_node(d, b"")


def two_leaves(d, first=None, last=None, twice=False, last_key=None, first_key=None, swapped=False,
               level=1, missing=False, empty=False):
    one = [(b"", ROOT, []), (b"\0hostile-1", *d.file(b"hostile one"))]
    two = [(b"\0hostile-2", *d.file(b"hostile two"))]
    children = [(first_key or one[-1][0], d.leaf(one), len(one) if first is None else first),
                (last_key or two[-1][0], d.leaf(two), len(two) if last is None else last)]
    if twice:
        children.append((b"\0hostile-3", children[1][1], 1))
    if empty:
        children.append((b"\0hostile-3", d.leaf([]), 0))
    if missing:
        children.append((b"\0hostile-3", "2" * 64, 1))
    if swapped:
        children.reverse()
    d.show(d.interior(children, level))


def alias(d, slot):
    """An entry whose rank is that of an honest file in a commit that is shown next to this one."""
    names = sorted(key for key, *_ in d.entries(d.commit(d.head("heads/main"))["tree"]))
    two_leaves(d, first=(slot << 40) + names.index(b"\0small"))


def levels(d):
    child = d.leaf([(b"", ROOT, [])])
    for level in range(1, 41):
        child = d.interior([(b"", child, 1)], level)
    d.show(child)


def plain(d, names):
    d.tree([(name, *d.file()) for name in names])


def raw_node(d, logical):
    value = TwoPart("N", {"format": 1, "level": 0, "items": []}, [])
    d.show(d.put_two_part(value, logical=logical))


ROOT = {"kind": 2, "flags": 0, "mode": 0o755, "seconds": 0, "nanoseconds": 0}


def keys():
    """Names that no directory has, and paths that no system call takes."""
    for label, key in (("..", b"\0.."), (".", b"\0."), ("a slash", b"\0hostile/x"),
                       ("empty", b"\0"),
                       ("NUL", b"\0host\0ile"), ("256 bytes", b"\0" + b"h" * 256),
                       ("no zero byte", b"hostile"), ("escape in it", b"\0hostile\x1b[31m"),
                       ("path with ..", b"../..\0hostile"), ("1 MiB", b"\0" + b"h" * (1 << 20)),
                       ("absolute path", b"/etc\0hostile")):
        is_false = label not in ("escape in it",)
        yield f"name: {label}", is_false, lambda d, k=key: plain(d, [k])
    yield "below a directory that is not there", True, lambda d: plain(d, [b"nowhere\0hostile"])
    yield "below a file", True, lambda d: plain(d, [b"\0hostile", b"hostile\0x"])
    yield "no root", True, lambda d: d.show(d.leaf([(b"\0hostile", *d.file())]))
    yield "the root is a file", True, lambda d: d.show(d.leaf([(b"", *d.file())]))
    yield "no entry at all", True, lambda d: d.show(d.leaf([]))
    yield "1,200 directories deep", False, lambda d: deep(d, 1200, b"d")
    yield "a path of 5,000 bytes", False, lambda d: deep(d, 25, b"h" * 200)
    yield "4,000 directories deep", False, lambda d: deep(d, 4000, b"d" * 5)


def deep(d, count, name):
    """Every directory of the way has its entry, in the order of keys."""
    items, parent = [], b""
    for _ in range(count):
        items.append((parent + b"\0" + name, ROOT, []))
        parent = parent + b"/" + name if parent else name
    items.append((parent + b"\0hostile", *d.file()))
    items.sort(key=lambda item: item[0])
    d.tree(items)


def entries():
    """Every field of an entry beyond its range, or not what its blocks are."""
    def file(**changes):
        def make(d):
            value, extents = d.file()
            if "blocks" in changes and callable(changes["blocks"]):
                changes["blocks"] = changes["blocks"](value["blocks"])
            d.tree([(b"\0hostile", value | changes, extents)])
        return make

    for label, size in (("0", 0), ("2^63", 2**63), ("2^63 - 1", 2**63 - 1), ("2^64 - 1", 2**64 - 1),
                        ("one more", 15)):
        yield f"size {label}", True, file(size=size)
        yield f"size of a list {label}", True, lambda d, n=size: listed(d, size=n)
    for label, field, new, is_false in (
            ("kind 0", "kind", 0, True), ("kind 4", "kind", 4, True),
            ("flags", "flags", 0x80, True),
            ("flags 3 without fields", "flags", 3, True), ("mode 0o7777", "mode", 0o7777, False),
            ("mode 0o10000", "mode", 0o10000, True), ("mode 2^40", "mode", 2**40, True),
            ("seconds at the end", "seconds", 2**63 - 1, False),
            ("seconds at the beginning", "seconds", -2**63, False),
            ("seconds 2^62", "seconds", 2**62, False), ("seconds -1", "seconds", -1, False),
            ("nanoseconds 10^9", "nanoseconds", 10**9, True),
            ("nanoseconds 2^64 - 1", "nanoseconds", 2**64 - 1, True),
            ("form 2", "form", 2, True), ("block count 2^60", "blocks", Raw(varint(2**60)), True),
            ("block count 0", "blocks", [], True)):
        yield label, is_false, file(**{field: new})
    for label, length in (("0", 0), ("5 MiB", 5 << 20), ("2^32 - 1", 2**32 - 1), ("13", 13)):
        yield f"block length {label}", True, lambda d, n=length: block_length(d, n)
    yield "nine inline blocks", True, lambda d: many_blocks(d, 9)
    yield "owner 2^32", True, file(flags=1, user=2**32, group=0)
    yield "a list that is missing", True, lambda d: listed(d, missing=True)
    for label, target, is_false in (("empty", b"", True), ("5,000 bytes", b"x" * 5000, False),
                                    ("NUL", b"a\0b", True), ("2 MiB", b"x" * (2 << 20), True),
                                    ("/etc/passwd", b"/etc/passwd", False)):
        yield f"target {label}", is_false, lambda d, t=target: d.tree(
            [(b"\0hostile", {**ROOT, "kind": 3, "target": t}, [])])
    for label, attributes, is_false in (
            ("65 MiB", [(b"user.%d" % n, bytes(1_000_000)) for n in range(65)], False),
            ("70,000", [(b"user.%d" % n, b"") for n in range(70_000)], True),
            ("60,000", sorted((b"user.%d" % n, b"") for n in range(60_000)), False),
            ("capability", [(b"security.capability", bytes(20))], True),
            ("trusted", [(b"trusted.x", b"1")], True), ("one twice", [(b"user.a", b"")] * 2, True),
            ("without a name", [(b"", b"1")], True),
            ("name of 300", [(b"user." + b"a" * 300, b"")], True),
            ("of the mount", [(b"user.tarn.mount", b'{"repository":"s3://x"}')], True),
            ("descending", [(b"user.b", b""), (b"user.a", b"")], True),
            ("100 KiB", [(b"user.a", bytes(100_000))], False)):
        attributes = [{"name": name, "value": value} for name, value in attributes]
        yield f"attributes: {label}", is_false, file(flags=2, attributes=attributes)


def listed(d, size=None, missing=False):
    pairs = [d.block(b"hostile block %d" % number, number) for number in range(9)]
    blocks, extents = [list(one) for one in zip(*pairs)]
    name = content_id(blocks)
    if not missing:
        d.put_two_part(TwoPart("L", blocks, extents))
    total = sum(block["length"] for block in blocks)
    value, _ = d.file()
    value = value | {
        "form": 1, "size": total if size is None else size, "list": bytes.fromhex(name)}
    del value["blocks"]
    d.tree([(b"\0hostile", value, [])])


def block_length(d, length):
    value, extents = d.file()
    block = value["blocks"][0] | {"length": length}
    d.tree([(b"\0hostile", value | {"size": length, "blocks": [block]}, extents)])


def many_blocks(d, count):
    value, extents = d.file()
    value = value | {"size": value["size"] * count, "blocks": value["blocks"] * count}
    d.tree([(b"\0hostile", value, extents * count)])


def places():
    """Extents that lead nowhere, round in a circle, or into another's bytes."""
    for label, changes in (
            ("no such pack", {"pack": b"\x77" * 16}), ("offset 2^64 - 2", {"offset": 2**64 - 2}),
            ("offset 2^63", {"offset": 2**63}), ("offset 1", {"offset": 1}),
            ("stored 0", {"storedLength": 0}), ("stored 4 MiB", {"storedLength": 4 << 20}),
            ("stored 2^63", {"storedLength": 2**63}), ("zstd", {"codec": 1})):
        yield label, True, lambda d, c=changes: placed(d, c)
    for label, offset in (("2^63 + 5", 2**63 + 5), ("2^64 - 1", 2**64 - 1), ("2^62", 2**62)):
        yield f"plain offset {label}", True, lambda d, n=offset: placed(d, {"plainOffset": n})
    yield "moved to itself", True, lambda d: circle(d, [b"\x21" * 16])
    yield "moved in a circle of two", True, lambda d: circle(d, [b"\x21" * 16, b"\x22" * 16])
    yield "moved 70 times", True, lambda d: circle(d, [bytes([n]) * 16 for n in range(1, 71)], True)
    yield "the place of an honest block", True, honest_place
    yield "a pack of others, another block", True, lambda d: honest_place(d, other=True)


def placed(d, changes):
    value, extents = d.file()
    d.tree([(b"\0hostile", value, [extents[0] | changes])])


def circle(d, packs, is_open=False):
    value, extents = d.file()
    d.tree([(b"\0hostile", value, [extents[0] | {"pack": packs[0]}])])
    for pack, following in zip(packs, packs[1:] + ([] if is_open else packs[:1])):
        place = base64.b64encode(f.EXTENTS.write([extents[0] | {"pack": following}])).decode()
        d.put(f"moved/{pack.hex()[:2]}/{pack.hex()}", canonical(
            {"format": 1, "when": "2026-01-01T00:00:00Z", "offsets": [0], "extents": place}))


def honest_place(d, other=False):
    """A block claims the plain offset of an honest file's block, in that block's pack."""
    tree = d.commit(d.head("heads/main"))["tree"]
    files = [(blocks, entry) for key, entry, blocks, _ in d.entries(tree)
             if key.startswith(b"many\0")]
    block, extent = files[0][0][0]
    if other:
        extent = extent | {"offset": files[1][0][0][1]["offset"]}
        block = files[1][0][0][0]
    else:
        block, own = d.block(b"h" * block["length"])
        extent = own | {"pack": extent["pack"], "plainOffset": extent["plainOffset"]}
    value, _ = d.file()
    d.tree([(b"\0hostile", value | {"size": block["length"], "blocks": [block]}, [extent])])


def bombs():
    """Frames of Zstandard that unpack to 1 GiB, from some 33 kB."""
    def node(d):
        value = TwoPart("N", {"format": 1, "level": 0, "items": []}, [])
        bomb_object(d, value, "logical")

    def place(d):
        value = TwoPart("N", {"format": 1, "level": 0, "items": [
            {"key": b"", "value": ROOT}, {"key": b"\0hostile", "value": d.file()[0]}]}, [])
        bomb_object(d, value, "location")

    def block(d):
        value, extents = d.file()
        pack = b"\x42" * 16
        d.put(f"packs/42/{pack.hex()}", BOMB)
        d.tree([(b"\0hostile", value, [extents[0] | {
            "codec": 1, "pack": pack, "storedLength": len(BOMB)}])])

    yield "node", True, node
    yield "location part", True, place
    yield "block", True, block


UNPACKED = 1 << 30


def repeated(size):
    """A frame of `size` zeros: a header that tells the size, and blocks of one repeated byte."""
    blocks = []
    while size:
        count = min(size, 128 << 10)
        size -= count
        blocks.append((int(not size) | 1 << 1 | count << 3).to_bytes(3, "little") + b"\0")
    return bytes.fromhex("28b52ffda0") + UNPACKED.to_bytes(4, "little") + b"".join(blocks)


BOMB = repeated(UNPACKED)


@functools.cache
def unpacked_hash():
    digest, part = hashlib.sha256(), bytes(1 << 20)
    for _ in range(UNPACKED >> 20):
        digest.update(part)
    return digest.digest()


def bomb_object(d, value, part):
    """The named part is the bomb, under its true hash."""
    logical, location = value.parts
    id = unpacked_hash().hex() if part == "logical" else value.id
    header = f.HEADER.read(value.write(packs=False)[:56])
    header |= {part + "Codec": 1, part + "Plain": UNPACKED, part + "Stored": len(BOMB)}
    if part == "location":
        header["locationHash"] = unpacked_hash()
    body = BOMB + location if part == "logical" else logical + BOMB
    d.put(f"trees/{id[:2]}/{id}", f.HEADER.write(header) + body)
    d.show(id)
