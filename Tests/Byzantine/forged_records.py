"""Forged commits, ref updates and records.

Each is a label, whether fsck must find it, and a function of the drafts.
"""
import json

from repository import canonical, sha
from values import Verbatim, changed


def commits():
    for label, number in (("0", 0), ("too large", 1000), ("2^63 - 1", 2**63 - 1), ("2^63", 2**63),
                          ("2^64 - 1", 2**64 - 1), ("1", 1)):
        yield f"generation {label}", True, lambda d, n=number: same_tree(d, generation=n)
    for field in ("files", "directories", "bytes"):
        for number in (0, 2**63, 2**64 - 1):
            yield f"{field} {number}", True, lambda d, k=field, n=number: same_tree(
                d, counts=d.base["counts"] | {k: n})
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "-001-01-01T00:00:00Z",
                 "292277026596-12-04T15:30:07Z", "2026-02-30T00:00:00Z"):
        is_false = time[:4] not in ("0001", "9999")
        yield f"time {time}", is_false, lambda d, t=time: same_tree(d, time=t)
    nasty = "hostile\x1b[31m\nAuthor: Root <root@example.org>\x00"
    for field in ("author", "committer", "message"):
        yield f"{field} with control characters", False, lambda d, k=field: same_tree(
            d, **{k: nasty})
        yield f"{field} of 8 MiB", False, lambda d, k=field: same_tree(d, **{k: "h" * (8 << 20)})
    yield "metadata with control characters", False, lambda d: same_tree(d, metadata={nasty: nasty})
    yield "100,000 metadata", False, lambda d: same_tree(
        d, metadata={f"k{n}": "" for n in range(100_000)})
    yield "a parent that is missing", True, lambda d: same_tree(d, parents=["3" * 64])
    yield "a parent twice", True, lambda d: same_tree(d, parents=[d.parent] * 2)
    yield "10,000 parents", False, lambda d: same_tree(d, parents=[d.parent] * 10_000)
    yield "no parents", False, lambda d: same_tree(d, parents=[], generation=1)
    yield "a parent that is a ref update", True, lambda d: same_tree(
        d, parents=[d.json("refs/heads/main")["movement"]])
    yield "format 2", True, lambda d: same_tree(d, format=2)
    yield "format 0", True, lambda d: same_tree(d, format=0)
    yield "a field more", False, lambda d: same_tree(d, hostile={"x": [1]})
    yield "a field of another type", True, lambda d: same_tree(d, parents="none")
    yield "deep", True, deep_commit
    yield "5,000 commits", False, chain


def same_tree(d, **changes):
    d.show(d.base["tree"], **changes)


def deep_commit(d):
    data = changed(d.base | {"hostile": 1}, ("hostile",), Verbatim("[" * 20_000 + "]" * 20_000))
    d.put("commits/" + sha(data), data)
    d.publish("evil", sha(data))


def chain(d):
    for number in range(5000):
        d.base |= {"parents": [d.parent], "generation": d.base["generation"] + 1,
                   "message": f"forged {number}"}
        d.parent = d.put_json("commits/", d.base)
    d.publish("evil", d.parent)


def records():
    """Ref updates, records of collections and moves that nobody made."""
    nasty = "hostile\x1b[31m\n2026-01-01T00:00:00Z  heads/main  merge  Root <root@example.org>"
    for field in ("who", "why"):
        yield f"{field} of an update with control characters", False, \
            lambda d, k=field: d.publish("evil", d.parent, **{k: nasty})
    for label, changes, is_false in (
            ("another ref", {"ref": "heads/main"}, True), ("another old", {"old": "4" * 64}, True),
            ("previous is missing", {"previous": "5" * 64}, True),
            ("an operation that never was", {"operation": "hostile"}, True),
            ("a gate that is missing", {"gates": ["6" * 64]}, True),
            ("an approval that is missing", {"approvals": ["7" * 64]}, True),
            ("an update of long ago", {"when": "0001-01-01T00:00:00Z"}, False),
            ("an update of the far future", {"when": "9999-12-31T23:59:59Z"}, False),
            ("100,000 gates", {"gates": ["6" * 64] * 100_000}, True),
            ("a ref with control characters", {"ref": nasty}, True)):
        yield label, is_false, lambda d, c=changes: d.publish("evil", d.parent, **c)
    yield "what main showed counts as collected, and is gone", True, lambda d: excuse(d, True)
    yield "what main showed counts as collected", True, lambda d: excuse(d, False)
    yield "main's head counts as collected", True, lambda d: excuse(d, False, parent=False)
    yield "a branch whose ref update is missing", True, unknown_update
    yield "a lease of a tree that is missing", False, lambda d: lease(d, tree="8" * 64)
    yield "a lease of a list", False, lambda d: lease(d, tree=next(
        key for key in d.keys() if key.startswith("lists/")).rsplit("/", 1)[1])
    yield "a lease for ever", False, lambda d: lease(d, lasts=366 * 86_400)
    yield "a lease of a holder with control characters", False, lambda d: lease(d, holder=nasty)
    yield "a sweep that never ends", False, lambda d: sweep(d, "9999-12-31T23:59:59Z")
    yield "a sweep of long ago", False, lambda d: sweep(d, "2026-01-01T00:00:00Z")


def excuse(d, is_gone, parent=True):
    """`collected/` is put by anybody; the data was never collected."""
    id, trees = d.head("heads/main"), {d.commit(one)["tree"] for one in d.sample.refs.values()}
    while parent and d.commit(id)["tree"] in trees:
        id = d.commit(id)["parents"][0]
    tree = d.commit(id)["tree"]
    d.put(f"collected/{tree}", canonical({
        "format": 1, "commits": [id], "when": "2026-01-01T00:00:00Z", "rule": "hostile"}))
    if is_gone:
        d.changes[f"trees/{tree[:2]}/{tree}"] = None


def unknown_update(d):
    record = json.loads(d.get("refs/heads/evil")) | {"movement": "9" * 64}
    d.put("refs/heads/evil", canonical(record))


def lease(d, **changes):
    key = sorted(one for one in d.keys() if one.startswith("leases/"))[0]
    d.put("leases/" + "a" * 32, canonical(d.json(key) | changes))


def sweep(d, began):
    record = d.json("gc/sweeps.json")
    record["runs"].append({"id": "b" * 32, "began": began, "pulse": 1, "deletes": True})
    d.put("gc/sweeps.json", canonical(record))
