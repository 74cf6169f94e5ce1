"""Objects whose hashes are right and whose words are not: what a writer of a branch can put."""
import hashlib

from forged_records import commits, records
from forged_trees import bombs, entries, keys, nodes, places
from mutations import Mutation
from repository import Repository, TwoPart
from wire import Malformed


class Drafts(Repository):
    """What is put is kept apart, so that the sample stays as it is."""

    def __init__(self, sample):
        super().__init__(sample.lake)
        self.sample, self.changes = sample, {}
        head = self.head("heads/evil")
        self.parent, self.base = head, self.commit(head)

    def get(self, key):
        return self.changes[key] if key in self.changes else super().get(key)

    def put(self, key, data):
        self.changes[key] = data

    # Parts of a tree

    def block(self, data, number=1):
        """A block and its extent, in a pack of its own."""
        pack = hashlib.sha256(b"forged pack" + data[:64] + bytes([number])).digest()[:16]
        self.put(f"packs/{pack.hex()[:2]}/{pack.hex()}", data)
        return ({"hash": hashlib.sha256(data).digest(), "length": len(data)},
                {"codec": 0, "pack": pack, "offset": 0, "storedLength": len(data),
                 "plainOffset": 0})

    def file(self, data=b"hostile bytes\n", **changes):
        block, extent = self.block(data)
        return entry(1, size=len(data), form=0, blocks=[block]) | changes, [extent]

    def leaf(self, items):
        """The id of a leaf; items are (key, entry or Raw, extents) as they come."""
        logical = {"format": 1, "level": 0,
                   "items": [{"key": key, "value": value} for key, value, _ in items]}
        places = [extents for *_, extents in items]
        return self.put_two_part(TwoPart("N", logical, places if any(places) else []))

    def interior(self, children, level=1):
        """Children are (last key, id, items)."""
        logical = {"format": 1, "level": level, "items": [
            {"key": key, "value": {"node": bytes.fromhex(id), "items": count}}
            for key, id, count in children]}
        return self.put_two_part(TwoPart("N", logical, []))

    def tree(self, items):
        """A commit of the hostile branch with these entries below a root directory."""
        return self.show(self.leaf([ROOT, *items]))

    def show(self, tree, **changes):
        record = self.base | {
            "counts": self.counts(tree), "tree": tree, "parents": [self.parent],
            "generation": self.base["generation"] + 1, "message": "forged"} | changes
        self.publish("evil", self.put_json("commits/", record))

    def counts(self, tree):
        """What the entries add up to, so that nothing but the forgery is false."""
        counts = {"files": 0, "directories": 0, "bytes": 0}
        try:
            for _, entry, *_ in self.entries(tree):
                counts["directories" if entry["kind"] == 2 else "files"] += 1
                counts["bytes"] += entry.get("size", 0)
        except (OSError, ValueError, KeyError, TypeError, Malformed):
            return self.base["counts"]
        return counts if counts["bytes"] <= 2**64 - 1 else self.base["counts"]


def entry(kind, **changes):
    return {"kind": kind, "flags": 0, "mode": 0o755 if kind == 2 else 0o644,
            "seconds": 1_700_000_000, "nanoseconds": 5} | changes


CONTROL = "nothing"
ROOT = (b"", entry(2), [])
GROUPS = (nodes, keys, entries, places, bombs, commits, records)


def forged(sample):
    found = []
    for group in GROUPS:
        for label, is_false, make in group():
            drafts = Drafts(sample)
            make(drafts)
            keys_changed = list(drafts.changes)
            words = [word for key in keys_changed
                     for word in (key, key.rsplit("/", 1)[-1][:12])]
            words += ["hostile", *(digit * 12 for digit in "123456789")]
            found.append(Mutation(
                "forged", group.__name__, label, drafts.changes, is_false=is_false, words=words,
                reaches=frozenset({"evil"} if "refs/heads/evil" in keys_changed else ()),
                is_forged=True, is_control=label == CONTROL))
    return found
