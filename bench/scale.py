"""scale: what operations on a commit with millions of entries ask of an S3 store, and take.

The tree is imported once: directories of many small files each, which are one directory on this machine, bound to many
places (so that making the source takes no time; the repository knows nothing of it). A relay in front of the
server counts requests and bytes. Commands run with an empty cache, unless it says warm: then on a host that has made the
branch, and the commits that are merged."""

import contextlib
import os
from dataclasses import dataclass

import servers
from support import MIB, BenchError, Tarn, median, run, stopwatch

NAME = "scale"
ROUNDS = 3
LATENCY = 0.02
"""Seconds more for each request until the first listing."""
NEW_FILES, NEW_BYTES = 3_000, 4096


def main(bench):
    directories, per_directory = bench.size((5_000, 1_000), (20, 500))
    with bench.directory(NAME) as home, servers.rgw(bench, "memstore", 8) as server, \
            servers.Relay(server.endpoint) as relay:
        bucket = server.bucket("scale")
        env = server.env | {"AWS_ENDPOINT_URL": relay.endpoint}
        tarn = Tarn(bench, home / "tarn", f"s3://{bucket}/lake", env)
        tarn("init", tarn.repository)
        total, commit = load(bench, home, tarn, directories, per_directory)
        first_list(bench, home, server, tarn, commit, total)
        for changes in [Changes(kind, is_warm) for kind in ("far apart", "in one directory") for is_warm in (False, True)]:
            branch(bench, relay, tarn, changes, total)
            commits(bench, home, relay, tarn, directories, changes, total)
            merges(bench, relay, tarn, changes, total)
        diff(bench, home, relay, tarn, directories, total)
        daily(bench, home, relay, tarn, total)


# MARK: The tree


def load(bench, home, tarn, directories, per_directory):
    """Imports the tree; answers how many entries it has, and the commit."""
    root, model = home / "source", home / "model"
    model.mkdir()
    for number in range(per_directory):
        (model / f"part-{number:05}.parquet").write_text(f"{number}")
    for number in range(directories):
        directory(root, number).mkdir(parents=True)
    command = [bench.tarn_path, "import", root, "-m", "Millions of files"]
    if os.geteuid() == 0:
        # In a namespace of its own: no other program sees these mounts, and they go with it.
        bind = 'for place in "$1"/*/*; do mount --bind "$2" "$place" || exit 1; done; shift 2; exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", bind, "sh", root, model, *command]
    else:
        link_all(model, root, directories)
    loaded = run(command, 1200, env=tarn.env)
    # Of each directory, the files and itself.
    total = directories * (per_directory + 1)
    bench.add(NAME, f"import of {total:,} entries of a few bytes", total / loaded.seconds, "entries/s",
              cpu_seconds=loaded.cpu_seconds, peak_mib=loaded.peak_mib)
    return total, loaded.output.split()[0]


def link_all(model, root, directories):
    for number in range(directories):
        for name in os.listdir(model):
            os.link(model / name, directory(root, number) / name)


def directory(root, number):
    return root / f"table-{number // 100:02}" / f"day-{number % 100:02}"


# MARK: Counting


def kinds(lines):
    """Request lines by kind of object, in the order of their first: how many, and how many different ones, if fewer."""
    keys = {}
    for method, path in (line.split() for line in lines):
        parts = path.partition("?")[0].split("/")
        keys.setdefault(f"{method} {parts[3] if len(parts) > 3 else 'list'}", []).append(path)
    return ", ".join(f"{kind} x {len(each)}" + (f" ({len(set(each))} different)" if len(set(each)) < len(each) else "")
                     for kind, each in keys.items())


def add_requests(bench, what, counts, limit, seconds, used):
    """Rows for one operation, from what the relay counted in each round."""
    middle = sorted(counts, key=lambda one: one["requests"])[len(counts) // 2]
    bench.add(NAME, f"{what}: store requests", middle["requests"], "", "lower", against="limit", other=limit, target=1,
              cpu_seconds=used.cpu_seconds, peak_mib=used.peak_mib, runs=[one["requests"] for one in counts])
    bench.note(f"{what}: {median(seconds):.2f} s, {middle['up'] / MIB:.2f} MiB up, {middle['down'] / MIB:.2f} down: "
               f"{kinds(middle['lines'])}")


# MARK: Operations


def first_list(bench, home, server, tarn, commit, total):
    seconds, fetched = [], []
    with servers.Relay(server.endpoint, LATENCY) as far:
        distant = Tarn(bench, home / "distant", tarn.repository, server.env | {"AWS_ENDPOINT_URL": far.endpoint})
        for _ in range(ROUNDS):
            distant.forget_cache()
            far.reset()
            with contextlib.ExitStack() as stack:
                with stopwatch() as watch:
                    mount = stack.enter_context(distant.mount(home / "mount", ref=commit))
                    run(["ls", directory(mount.point, 7)], 60)
                seconds.append(watch[0])
                counts, used = far.counts(), mount.usage()
            fetched.append(sum(line.startswith("GET") for line in counts["lines"]))
    what = f"from `tarn mount` of a commit of {total:,} entries to the first `ls` of a directory"
    bench.add(NAME, f"{what}, each request {LATENCY * 1000:.0f} ms longer", median(seconds), "s", "lower",
              against="limit", other=0.5, target=1, cpu_seconds=used.cpu_seconds, peak_mib=used.peak_mib, runs=seconds)
    bench.add(NAME, f"{what}: object fetches", median(fetched), "", "lower", against="limit", other=9, target=1)
    bench.note(f"{what}: {kinds(counts['lines'])}")


@dataclass
class Changes:
    """Ten changes a branch. Far apart they touch ten leaves of the tree, each by itself."""
    kind: str
    is_warm: bool

    def __str__(self):
        return self.kind + (", warm" if self.is_warm else "")

    def branch(self, turn):
        return f"{self.kind.replace(' ', '-')}-{'warm' if self.is_warm else 'cold'}-{turn}"

    def places(self, point, directories, turn):
        """Where the changes of a branch go: to other names than those of other branches."""
        step = directories // 10 if self.kind == "far apart" else 0
        first = turn * 10 + (ROUNDS * 10 if self.is_warm else 0)
        return [directory(point, number * step) / f"part-{first + number:05}.parquet" for number in range(10)]


def branch(bench, relay, tarn, changes, total):
    counts, seconds = [], []
    for turn in range(ROUNDS):
        if changes.is_warm:
            tarn("branch", "create", f"before-{changes.branch(turn)}", "--from", "main")
        else:
            tarn.forget_cache()
        relay.reset()
        made = tarn("branch", "create", changes.branch(turn), "--from", "main")
        counts.append(relay.counts())
        seconds.append(made.seconds)
    if changes.kind == "far apart":
        what = f"branch create on {total:,} entries" + (", warm" if changes.is_warm else "")
        add_requests(bench, what, counts, 12, seconds, made)


def commits(bench, home, relay, tarn, directories, changes, total):
    """The mount comes before what is counted. What the changes themselves ask for, to find their directories, is told
    apart from the commit."""
    edits, whole, seconds = [], [], []
    for turn in range(ROUNDS):
        if not changes.is_warm:
            tarn.forget_cache()
        with tarn.mount(home / "mount", "--write", ref=changes.branch(turn)) as mount:
            if not relay.wait_until_idle(0.5, 60):
                raise BenchError("the mount does not come to rest")
            relay.reset()
            for place in changes.places(mount.point, directories, turn):
                place.write_text("changed")
            edits.append(relay.counts())
            made = tarn("commit", "-m", "Ten changes", cwd=mount.point)
            whole.append(relay.counts())
            seconds.append(made.seconds)
    what = f"commit of 10 changes {changes} in {total:,} entries"
    own = [without(all, edit) for all, edit in zip(whole, edits)]
    add_requests(bench, what, own, 40, seconds, made)
    bench.note(f"{what}: before it, to make the changes: {edits[-1]['requests']} requests ({kinds(edits[-1]['lines'])})")


def without(whole, part):
    """What was counted after `part`."""
    counts = {name: whole[name] - part[name] for name in ("requests", "up", "down")}
    return counts | {"lines": whole["lines"][len(part["lines"]):]}


def merges(bench, relay, tarn, changes, total):
    """The branches of ten changes each into main. After the first of them main has moved: a merge with two sides."""
    counts, seconds = [], []
    for turn in range(ROUNDS):
        if not changes.is_warm:
            tarn.forget_cache()
        relay.reset()
        made = tarn("merge", changes.branch(turn), "--into", "main", "-m", "Merge")
        counts.append(relay.counts())
        seconds.append(made.seconds)
    add_requests(bench, f"merge of 10 changes {changes} in {total:,} entries", counts[:1], 60, seconds[:1], made)
    add_requests(bench, f"merge of 10 changes and 10 {changes} in {total:,} entries", counts[1:], 60, seconds[1:], made)


def diff(bench, home, relay, tarn, directories, total):
    changes = 1_000
    tarn("branch", "create", "many", "--from", "main")
    with tarn.mount(home / "mount", "--write", ref="many") as mount:
        for number in range(changes):
            place = directory(mount.point, number % directories)
            (place / f"part-{100 + number // directories:05}.parquet").write_text("changed")
        tarn("commit", "-m", "A thousand changes", cwd=mount.point)
    tarn.forget_cache()
    relay.reset()
    first = tarn("diff", "main", "many")
    cold = relay.counts()
    if len(first.output.splitlines()) < changes:
        raise BenchError(f"the difference names {len(first.output.splitlines())} paths instead of {changes}")
    warm = [tarn("diff", "main", "many") for _ in range(ROUNDS)]
    what = f"diff of two commits of {total:,} entries, {changes:,} changes"
    bench.add(NAME, f"{what}, warm", median([one.seconds for one in warm]), "s", "lower", against="limit", other=1,
              target=1, cpu_seconds=warm[-1].cpu_seconds, peak_mib=warm[-1].peak_mib,
              runs=[one.seconds for one in warm])
    bench.note(f"{what}, cold: {first.seconds:.2f} s, {cold['down'] / MIB:.1f} MiB: {kinds(cold['lines'])}")


def daily(bench, home, relay, tarn, total):
    """Walks the commit (memory); then another host adds files, and the new commit is walked and its files are read."""
    with tarn.mount(home / "mount") as mount:
        with stopwatch() as watch:
            run(["find", mount.point, "-name", "none"], 600)
        used = mount.usage()
        resident = resident_mib(mount)
    bench.add(NAME, f"memory of a mount after `find` over {total:,} entries", resident, "MiB", "lower",
              against="limit", other=512, target=1, cpu_seconds=used.cpu_seconds, peak_mib=used.peak_mib)
    bench.note(f"find over {total:,} entries, first time: {watch[0]:.1f} s, {total / watch[0]:,.0f} entries/s")
    day = home / "day"
    for number in range(NEW_FILES):
        (day / f"hour-{number // 125:02}").mkdir(parents=True, exist_ok=True)
        (day / f"hour-{number // 125:02}" / f"part-{number:05}.parquet").write_bytes(os.urandom(NEW_BYTES))
    writer = Tarn(bench, home / "writer", tarn.repository, tarn.env)
    relay.reset()
    writer("import", day, "--to", "table-00/new", "-m", "Today")
    new = relay.counts()["up"]
    relay.reset()
    with tarn.mount(home / "mount") as mount:
        run(["find", mount.point, "-name", "none"], 600)
        run(["sh", "-c", f"cat {mount.point}/table-00/new/*/* | wc -c"], 120)
        counts = relay.counts()
    what = f"{NEW_FILES:,} new files beside {total:,}, host warm with yesterday's: walk, and read what is new"
    bench.add(NAME, f"{what}: bytes down", counts["down"] / MIB, "MiB", "lower", against="new bytes uploaded, MiB",
              other=new / MIB, target=1.2)
    bench.note(f"{what}: {counts['requests']} requests: {kinds(counts['lines'])}")


def resident_mib(mount):
    with open(f"/proc/{mount.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024
