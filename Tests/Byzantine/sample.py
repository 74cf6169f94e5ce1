"""Makes the sample repository: every kind of object, and something of every field."""
import base64
import hashlib
import json
import os
import random
import subprocess
import time

import format as f
import process
from repository import Repository, TwoPart, canonical

AUTHOR = "Sample <sample@example.org>"
HOOKS = """hooks:
  - name: passes
    on: pre-merge
    run: echo looked
"""


class Sample:
    """`directory`/lake is the repository; `environment` is what its commands run in."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        self.lake = os.path.join(directory, "lake")
        self.environment = environment(directory) | {
            "TARN_REPO": self.lake, "TARN_TRUST_HOOKS": "all"}
        self.repository = Repository(self.lake)

    def tarn(self, *arguments, **more):
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment | more, cwd=self.directory,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=process.patience(120))
        if done.returncode:
            raise RuntimeError(f"the sample: tarn {' '.join(arguments)} ended with "
                               f"{done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace")

    def load(self, branch, files, *options, **more):
        source = os.path.join(self.directory, "source")
        process.remove(source)
        os.makedirs(source)
        for name, content in files.items():
            path = os.path.join(source, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(content, str):
                os.symlink(content, path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
        os.chmod(source, 0o755)
        for name in files:
            if name.startswith("attributes/"):
                os.setxattr(os.path.join(source, name), "user.first", b"1")
                os.setxattr(os.path.join(source, name), "user.second", bytes(range(64)))
        self.tarn("import", source, "--branch", branch, "-m", f"Load {branch}", *options, **more)

    def build(self):
        chance = random.Random(13)
        os.makedirs(self.directory, exist_ok=True)
        for name in ("home", "run"):
            os.makedirs(os.path.join(self.directory, name), mode=0o700, exist_ok=True)
        self.tarn("init", self.lake)
        key = os.path.join(self.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        self.large = chance.randbytes(12 << 20)
        main = {
            "large": self.large, "small": b"a small file\n", "empty": b"", "link": "small",
            "packed": b"text that compresses well. " * 30_000,
            "holes": bytes(5 << 20) + chance.randbytes(70_000) + bytes(3 << 20),
            "attributes/one": b"with attributes", "deep/er/and/deeper": b"nested",
            ".tarn/hooks.yaml": HOOKS.encode(),
            "two-blocks": chance.randbytes(600_000)}
        for number in range(240):
            main[f"many/{number:03}-" + "n" * 200] = chance.randbytes(40)
        self.load("main", main, "--metadata", "run=7", "--owners", TARN_SIGNING_KEY=key)
        self.tarn("branch", "create", "feature", "--from", "main")
        self.load("feature", {"feature/new": b"of a feature", "small2": b"two"})
        self.tarn("merge", "feature", "--into", "main", "-m", "Merge the feature")
        self.tarn("tag", "create", "v1", "main", "-m", "A tag")
        self.expire(chance)
        self.tarn("branch", "create", "prod", "--from", "v1")
        self.tarn("branch", "create", "evil", "--from", "main")
        self.load("evil", {
            "evil/own": chance.randbytes(300_000), "evil/text": b"hostile text " * 5000,
            "evil/zeros": bytes(1 << 20), "small": b"evil bytes..\n",
            "many/120-" + "n" * 200: chance.randbytes(50)})
        self.tarn("protect", "add", "prod", "--approvals", "1")
        self.tarn("approve", "evil", "--into", "prod", TARN_AUTHOR="Other <other@example.org>")
        self.tarn("approve", "main", "--into", "prod", TARN_AUTHOR="Other <other@example.org>")
        self.tarn("merge", "main", "--into", "prod", "-m", "Release",
                  TARN_AUTHOR="Third <third@example.org>")
        self.leases()
        self.sweeps()
        mirror = os.path.join(self.directory, "mirror")
        self.tarn("mirror", mirror)
        self.mirror_config = Repository(mirror).json("tarn.json")
        self.baseline()

    def expire(self, chance):
        """Branches with rules, a collection, and a pack that was rewritten."""
        self.load("main", {"later": b"after the tag"})
        for name in ("gone/one", "gone/two", "work/rolling"):
            self.tarn("branch", "create", name, "--from", "main")
        live = {f"{number}": chance.randbytes(900) for number in range(3)}
        dead = {f"dead{number}": chance.randbytes(40_000) for number in range(6)}
        self.load("work/rolling", live | dead, "--to", "rolling")
        old = self.objects("trees")
        self.load("work/rolling", live, "--to", "rolling", "--delete")
        old |= self.objects("trees")
        self.load("gone/one", {"gone": chance.randbytes(200_000)})
        self.tarn("branch", "delete", "gone/one")
        self.tarn("retention", "set", "gone/**", "--days", "0")
        self.tarn("retention", "set", "work/**", "--commits", "1", "--days", "0")
        time.sleep(1.1)
        for _ in range(2):
            self.tarn("gc", "--delete", "--grace", "0", "--repack")
            time.sleep(1.1)
        # What a writer leaves that knew the old places: `moved/` says where the blocks are.
        for key, data in old.items():
            if self.repository.has(key):
                self.repository.put(key, data)
        # To be collected yet.
        self.load("gone/two", {"gone": chance.randbytes(200_000)})
        self.tarn("branch", "delete", "gone/two")

    def objects(self, folder):
        return {key: self.repository.get(key) for key in self.repository.keys()
                if key.startswith(folder + "/")}

    def leases(self):
        point = os.path.join(self.directory, "point")
        os.makedirs(point)
        self.tarn("mount", self.lake, point, "--ref", "v1")
        try:
            found = self.objects("leases")
        finally:
            self.tarn("umount", point)
        tree = self.repository.commit(self.repository.head("tags/v1"))["tree"]
        for key, data in found.items():
            lease = json.loads(data) | {"trees": [tree], "began": int(time.time()), "isBroken": False}
            self.repository.put(key, canonical(lease))
            # As a merge through gates leaves it when it is killed.
            waiting = {"id": "c" * 32, "holder": "h", "process": lease["process"], "pulse": 1}
            self.repository.put("queue/heads/main", canonical({"format": 1, "waiting": [waiting]}))

    def sweeps(self):
        """The optional fields that a run leaves only while it lasts, or long after it."""
        record = self.repository.json("gc/sweeps.json")
        record["lastEnded"] = record["runs"][0]["began"]
        record["runs"][0]["alive"] = record["runs"][0]["ended"]
        self.repository.put("gc/sweeps.json", canonical(record))

    def baseline(self):
        """What refs need: `reach` is {key: names of refs}, `digests` has the objects' hashes."""
        repository = self.repository
        self.refs = {name: record["commit"] for name, record in repository.refs().items()}
        reach = {}
        for ref, id in self.refs.items():
            name, needed = ref.split("/", 1)[1], {"refs/" + ref.replace("/", "\0", 1).replace(
                "/", "%2F").replace("\0", "/")}
            needed |= {f"commits/{ancestor}" for ancestor in repository.ancestors(id)}
            tree = repository.commit(id)["tree"]
            needed |= {f"trees/{node[:2]}/{node}" for node in repository.nodes(tree)}
            for _, _, blocks, source in repository.entries(tree):
                needed.add(source)
                for _, extent in blocks:
                    if extent["codec"] != 2:
                        needed |= self.way(extent)
            for key in needed:
                reach.setdefault(key, set()).add(name)
        self.reach = {key: frozenset(names) for key, names in reach.items()}
        self.digests = {key: hashlib.sha256(repository.get(key)).hexdigest() for key in reach}

        self.words = sorted({key.rsplit("/", 1)[-1][:12] for key in repository.keys()}
                            | {"'prod'", "evil/", "'large'", "many/", "packed", "holes", ":small", "/small"})

    def is_unchanged(self):
        return all(hashlib.sha256(self.repository.get(key)).hexdigest() == digest
                   for key, digest in self.digests.items())

    def way(self, extent):
        """The objects by which a block is found."""
        found, name = set(), extent["pack"].hex()
        while not self.repository.has(f"packs/{name[:2]}/{name}"):
            found.add(f"moved/{name[:2]}/{name}")
            extent = self.repository.moved(name, extent["offset"])
            name = extent["pack"].hex()
        return found | {f"packs/{name[:2]}/{name}"}


def environment(directory):
    """Nothing of a command lies outside of `directory`."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.path.join(directory, "home"),
        "LC_ALL": "C.UTF-8", "TARN_AUTHOR": AUTHOR, "TZ": "UTC",
        # A trap is a violation at once; to print its stack takes seconds.
        "SWIFT_BACKTRACE": "enable=no",
        "TARN_STATE_DIR": os.path.join(directory, "state"),
        "TARN_CACHE_DIR": os.path.join(directory, "cache"),
        "XDG_RUNTIME_DIR": os.path.join(directory, "run")}


def check(repository):
    """What the description does not know of a repository, and which fields were met.

    What is not encoded again to the bytes that it was decoded from counts as not known."""
    problems, met = [], {}
    for key in sorted(repository.keys()):
        kind = f.kind_of(key)
        if kind is None:
            problems.append(f"{key}: no kind of object")
            continue
        try:
            again, names = round_trip(kind, repository.get(key))
            met.setdefault(kind.name, set()).update(names)
        except Exception as error:  # Whatever a decoder throws is a problem of the description.
            problems.append(f"{key}: {type(error).__name__}: {error}")
            continue
        if again != repository.get(key):
            problems.append(f"{key}: is encoded to other bytes")
    return problems, met


def round_trip(kind, data):
    if kind.body == "bytes":
        return data, {"bytes"}
    if kind.body in ("node", "list"):
        value = TwoPart.read(data)
        names = {name for name, *_ in value.logical_type.fields(value.logical, "logical", ())}
        names |= {name for name, *_ in value.location_type.fields(value.location, "location", ())}
        return value.write(), names
    if isinstance(kind.body, f.Record):
        value = json.loads(data)
        names = set()
        for name, _, shape, inner in f.json_fields(kind.body, value):
            names.add(name)
            if isinstance(shape, f.Packed):
                plain = base64.b64decode(inner)
                fields = shape.of.read(plain)
                names |= {field for field, *_ in shape.of.fields(fields, name, ())}
                if shape.of.write(fields) != plain:
                    raise ValueError(f"{name} is encoded to other bytes")
        return canonical(value), names
    value = kind.body.read(data)
    return kind.body.write(value), {name for name, *_ in kind.body.fields(value, "", ())}
