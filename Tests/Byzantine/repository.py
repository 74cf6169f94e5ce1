"""Reads and writes a repository in a directory, from docs/reference/FORMAT.md alone.

Nothing here is shared with the program under test but the library of Zstandard.
"""
import base64
import ctypes
import datetime
import hashlib
import json
import os
import secrets

import format as f
from wire import Malformed

PART_BYTES = 64 << 20

zstd = ctypes.CDLL("libzstd.so.1")
for function in ("ZSTD_compress", "ZSTD_decompress", "ZSTD_compressBound"):
    getattr(zstd, function).restype = ctypes.c_size_t


def compress(data, level=3):
    bound = zstd.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    output = ctypes.create_string_buffer(bound)
    size = zstd.ZSTD_compress(
        output, ctypes.c_size_t(bound), data, ctypes.c_size_t(len(data)), level)
    if zstd.ZSTD_isError(ctypes.c_size_t(size)):
        raise Malformed("it does not compress")
    return output.raw[:size]


def decompress(data, plain):
    output = ctypes.create_string_buffer(max(plain, 1))
    size = zstd.ZSTD_decompress(output, ctypes.c_size_t(plain), data, ctypes.c_size_t(len(data)))
    if size != plain:
        raise Malformed(f"no frame of {plain} bytes")
    return output.raw[:plain]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def timestamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TwoPart:
    """A tree node or a block list; `logical` and `location` are values of the types in `types`."""

    def __init__(self, letter, logical, location, stored=None, nonce=b""):
        self.letter, self.logical, self.location = letter, logical, location
        # 16 bytes that differ in each writing, or none.
        self.nonce = nonce
        # Plain bytes of a part to its codec and stored bytes.
        self.stored = stored or {}

    @staticmethod
    def types(letter, logical):
        if letter == "L":
            return f.BLOCKS, f.EXTENTS
        return (f.INTERIOR if logical[1:2] > b"\0" else f.LEAF), f.LEAF_PLACES

    @classmethod
    def read(cls, data):
        header = f.HEADER.read(data[:56])
        rest = data[56:]
        if header["magic"] != b"TARN" or header["format"] != 1 or header["kind"] not in b"LN":
            raise Malformed("no object of two parts")
        parts, stored = [], {}
        for name in ("logical", "location"):
            size = header[name + "Stored"]
            part, rest = rest[:size], rest[size:]
            if header[name + "Plain"] > PART_BYTES:
                raise Malformed("a part of more than 64 MiB")
            plain = decompress(part, header[name + "Plain"]) if header[name + "Codec"] else part
            if len(plain) != header[name + "Plain"]:
                raise Malformed("a part of another size than its header says")
            stored[plain] = (header[name + "Codec"], part)
            parts.append(plain)
        if len(rest) not in (0, 16) or hashlib.sha256(parts[1]).digest() != header["locationHash"]:
            raise Malformed("bytes are left over, or the location part has another hash")
        letter = chr(header["kind"])
        kinds = cls.types(letter, parts[0])
        return cls(letter, kinds[0].read(parts[0]), kinds[1].read(parts[1]), stored, rest)

    @property
    def logical_type(self):
        if self.letter == "L":
            return f.BLOCKS
        return f.INTERIOR if self.logical["level"] else f.LEAF

    @property
    def location_type(self):
        return f.EXTENTS if self.letter == "L" else f.LEAF_PLACES

    @property
    def parts(self):
        return self.logical_type.write(self.logical), self.location_type.write(self.location)

    @property
    def id(self):
        return sha(self.parts[0])

    def write(self, logical=None, location=None, header=None, packs=True):
        """The object's bytes; `header` replaces fields, `logical` and `location` plain parts."""
        plain = [part if given is None else given
                 for part, given in zip(self.parts, (logical, location))]
        known = [self.stored.get(part) or (0, part) for part in plain]
        if packs:
            known = [self.stored.get(part) or min((0, part), (1, compress(part)),
                                                  key=lambda one: len(one[1])) for part in plain]
        values = {
            "magic": b"TARN", "format": 1, "kind": ord(self.letter), "logicalCodec": known[0][0],
            "locationCodec": known[1][0], "logicalPlain": len(plain[0]),
            "logicalStored": len(known[0][1]), "locationPlain": len(plain[1]),
            "locationStored": len(known[1][1]), "locationHash": hashlib.sha256(plain[1]).digest()}
        return f.HEADER.write(values | (header or {})) + known[0][1] + known[1][1] + self.nonce


def content_id(blocks):
    if len(blocks) == 1:
        return blocks[0]["hash"].hex()
    return sha(f.BLOCKS.write(blocks))


class Repository:
    def __init__(self, directory):
        self.directory = directory

    def path(self, key):
        return os.path.join(self.directory, key)

    def get(self, key):
        with open(self.path(key), "rb") as file:
            return file.read()

    def put(self, key, data):
        path = self.path(key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def has(self, key):
        return os.path.isfile(self.path(key))

    def keys(self):
        for directory, names, files in os.walk(self.directory):
            if ".tarn-tmp" in names:
                names.remove(".tarn-tmp")
            for name in files:
                yield os.path.relpath(os.path.join(directory, name), self.directory)

    def json(self, key):
        return json.loads(self.get(key))

    def verified(self, key, name):
        data = self.get(key)
        if sha(data) != name:
            raise Malformed(f"{key} has another hash")
        return json.loads(data)

    # References and history

    def refs(self):
        """{qualified name: record} of all refs that are not deleted."""
        found = {}
        for kind in ("heads", "tags"):
            place = self.path(f"refs/{kind}")
            for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
                record = self.json(f"refs/{kind}/{name}")
                if "commit" in record:
                    found[f"{kind}/{name.replace('%2F', '/')}"] = record
        return found

    def commit(self, id):
        return self.verified(f"commits/{id}", id)

    def head(self, ref):
        return self.json("refs/" + ref)["commit"]

    def ancestors(self, id):
        seen, waiting = {}, [id]
        while waiting:
            id = waiting.pop()
            if id not in seen:
                seen[id] = self.commit(id)
                waiting += seen[id]["parents"]
        return seen

    # Trees

    def two_part(self, key, letter, id):
        value = TwoPart.read(self.get(key))
        if value.letter != letter or value.id != id:
            raise Malformed(f"{key} is another object")
        return value

    def node(self, id):
        return self.two_part(f"trees/{id[:2]}/{id}", "N", id)

    def list(self, id):
        return self.two_part(f"lists/{id[:2]}/{id}", "L", id)

    def nodes(self, root):
        waiting, seen = [root], {}
        while waiting:
            id = waiting.pop()
            if id in seen:
                continue
            seen[id] = value = self.node(id)
            if value.logical["level"]:
                waiting += [item["value"]["node"].hex() for item in value.logical["items"]]
        return seen

    def entries(self, root):
        """(key, entry, its block list as [(block, extent)], object that has the places)."""
        for id, value in self.nodes(root).items():
            if value.logical["level"]:
                continue
            places = value.location or [[]] * len(value.logical["items"])
            for item, extents in zip(value.logical["items"], places, strict=True):
                entry = item["value"]
                blocks, source = entry.get("blocks", []), f"trees/{id[:2]}/{id}"
                if "list" in entry:
                    name = entry["list"].hex()
                    source = f"lists/{name[:2]}/{name}"
                    found = self.list(name)
                    blocks, extents = found.logical, found.location
                yield item["key"], entry, list(zip(blocks, extents, strict=True)), source

    def block(self, block, extent, hops=8):
        """A block's bytes, by way of `moved/` if its pack is gone; verified."""
        if extent["codec"] == 2:
            plain = bytes(block["length"])
        else:
            name = extent["pack"].hex()
            if not self.has(f"packs/{name[:2]}/{name}"):
                if hops == 0:
                    raise Malformed("a block is moved in a circle")
                return self.block(block, self.moved(name, extent["offset"]), hops - 1)
            with open(self.path(f"packs/{name[:2]}/{name}"), "rb") as pack:
                pack.seek(extent["offset"])
                plain = pack.read(extent["storedLength"])
            if extent["codec"] == 1:
                plain = decompress(plain, block["length"])
        if len(plain) != block["length"] or hashlib.sha256(plain).digest() != block["hash"]:
            raise Malformed("a block has another hash")
        return plain

    def moved(self, pack, offset):
        record = self.json(f"moved/{pack[:2]}/{pack}")
        extents = f.EXTENTS.read(base64.b64decode(record["extents"]))
        return extents[record["offsets"].index(offset)]

    def damage(self, commits):
        """What of these commits' trees cannot be read whole: every object and block is verified."""
        found, done = [], set()
        for id in commits:
            try:
                for key, _, blocks, source in self.entries(self.commit(id)["tree"]):
                    for block, extent in blocks:
                        if (block["hash"], f.EXTENT.write(extent)) in done:
                            continue
                        done.add((block["hash"], f.EXTENT.write(extent)))
                        self.block(block, extent)
            except (OSError, ValueError, KeyError, RecursionError, Malformed) as error:
                found.append(f"{id[:12]}: {type(error).__name__} {error}")
        return found

    # What a holder of write access to the bucket can do

    def put_json(self, prefix, value):
        data = canonical(value)
        self.put(prefix + sha(data), data)
        return sha(data)

    def put_two_part(self, value, **options):
        logical = options.get("logical")
        id = sha(value.parts[0] if logical is None else logical)
        folder = "trees" if value.letter == "N" else "lists"
        self.put(f"{folder}/{id[:2]}/{id}", value.write(**options))
        return id

    def publish(self, branch, commit, **changes):
        """Moves a branch to a commit as a writer of the branch may: ref and ref update agree."""
        key = f"refs/heads/{branch}"
        record = self.json(key)
        update = {"format": 1, "ref": f"heads/{branch}", "old": record["commit"], "new": commit,
                  "who": "Eve <eve@example.org>", "when": timestamp(),
                  "operation": "commit", "why": "forged", "previous": record["movement"]} | changes
        record |= {"commit": commit, "movement": self.put_json("movements/", update),
                   "writeID": secrets.token_hex(16)}
        self.put(key, canonical(record))
