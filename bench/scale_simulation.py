"""What docs/explanation/SCALE.md says of sizes that nobody here has: simulated, with the standard library only.

    python3 bench/scale_simulation.py [tree] [readers] [committers]

- tree: how entries are cut into nodes (docs/reference/FORMAT.md), for real keys and for up to 10^9 drawn ones.
- readers: hosts whose requests are limited as `RequestLimit` and `RetryPolicy` do it, against a store that answers 503
  above a rate.
- committers: writers of one branch with the loop of `PublishCommit`.

Seeds are fixed, so the figures are the same every time. Each part asserts what it rests on."""

import heapq
import math
import random
import sys
import time

# MARK: The tree

LEAST, MEAN, MOST = 16_384, 49_152, 262_144
"""A node ends behind `LEAST` bytes with a chance of an item's size in `MEAN`, and at `MOST`."""
U64 = (1 << 64) - 1


def varint(number):
    return max(1, (number.bit_length() + 6) // 7)


def fnv(data, state=0xcbf29ce484222325):
    for byte in data:
        state = (state ^ byte) * 0x100000001b3 & U64
    return state


def finish(x):
    x ^= x >> 33
    x = x * 0xff51afd7ed558ccd & U64
    x ^= x >> 33
    x = x * 0xc4ceb9fe1a85ec53 & U64
    return (x ^ x >> 33) >> 32


def item_bytes(key, value):
    return varint(key) + key + varint(value) + value


def file_bytes(size, nanoseconds=500_000_000):
    """The value of a file of one block: kind, flags, mode, time, size, form, count, block."""
    return 2 + 2 + 5 + varint(nanoseconds) + varint(size) + 2 + 36


def cut(items, least_items=1):
    """Cuts (size, hash) pairs; answers how many items each node has."""
    nodes, count, total = [], 0, 0
    for size, chance in items:
        count += 1
        total += size
        if count >= least_items and (total >= MOST or total >= LEAST and chance * MEAN < size << 32):
            nodes.append(count)
            count = total = 0
    if count:
        nodes.append(count)
    return nodes


def synthetic_tree(directories, files):
    """The tree of `directories` × `files`, with the names and sizes of the repository that was measured."""
    items = []
    directory_entry = 2 + 2 + 5 + 5
    for table in range(directories // 100):
        items.append((f"\0table-{table:02}".encode(), directory_entry))
    keys = [(b"", directory_entry)] + sorted(items)
    for table in range(directories // 100):
        for day in range(100):
            keys.append((f"table-{table:02}\0day-{day:02}".encode(), directory_entry))
        for day in range(100):
            path = f"table-{table:02}/day-{day:02}\0"
            for number in range(files):
                keys.append((f"{path}part-{number:05}.parquet".encode(), file_bytes(1, number * 1_000_003)))
    levels, level, sizes = [], 0, []
    prefix_key, prefix_state = None, 0
    for key, value in keys:
        end = key.find(b"\0") + 1
        if key[:end] != prefix_key:
            prefix_key, prefix_state = key[:end], fnv(key[:end], fnv(bytes([0])))
        sizes.append((item_bytes(len(key), value), finish(fnv(key[end:], prefix_state))))
    nodes = cut(sizes)
    levels.append((len(nodes), sum(size for size, _ in sizes)))
    last, position = [], -1
    for count in nodes:
        position += count
        last.append((keys[position][0], count))
    while len(last) > 1:
        level += 1
        sizes = [(item_bytes(len(key), 32 + varint(below)), finish(fnv(key, fnv(bytes([level]))))) for key, below in last]
        nodes = cut(sizes, least_items=2)
        levels.append((len(nodes), sum(size for size, _ in sizes)))
        above, position = [], -1
        for count in nodes:
            first = position + 1
            position += count
            above.append((last[position][0], sum(below for _, below in last[first:position + 1])))
        last = above
    return levels


def drawn_tree(entries, key, value, seed=1):
    """The same for entries of one size with hashes that are drawn: a node at a time, so that 10^9 take seconds."""
    draw = random.Random(seed).random
    levels, left, size, level = [], entries, item_bytes(key, value), 0
    while True:
        before = max(2 if level else 1, math.ceil(LEAST / size))
        longest = math.ceil(MOST / size)
        chance = math.log1p(-min(0.999, size / MEAN))
        nodes, rest = 0, left
        while rest > 0:
            rest -= min(longest, before + int(math.log(1 - draw()) / chance))
            nodes += 1
        levels.append((nodes, left * size))
        if nodes == 1:
            return levels
        left, level = nodes, level + 1
        size = item_bytes(key, 32 + 3)


def tree():
    print("tree: nodes of each level, from the leaves")
    real = synthetic_tree(1_000, 1_000)
    counts = [count for count, _ in real]
    print(f"  1,001,011 entries by the rules of FORMAT.md: {counts}, leaves of {real[0][1] // counts[0]:,} bytes")
    # A repository of these files, imported by Tarn, has 1,334 nodes.
    assert abs(sum(counts) - 1_334) <= 7, counts
    drawn = drawn_tree(1_001_011, 34, file_bytes(1))
    assert abs(drawn[0][0] / counts[0] - 1) < 0.05 and len(drawn) == len(counts), (drawn, counts)
    for entries in (10**6, 10**8, 10**9):
        for key in (34, 60, 120):
            levels = drawn_tree(entries, key, file_bytes(10**7))
            leaves = levels[0][0]
            assert 60_000 < levels[0][1] / leaves < 70_000
            print(f"  {entries:>13,} entries, keys of {key:3} bytes: {[n for n, _ in levels]}, fan-out "
                  f"{entries / leaves:,.0f} and {leaves / levels[1][0]:,.0f}, "
                  f"{sum(b for _, b in levels) / 1e9:.1f} GB before compression")


# MARK: Readers

FIRST_LIMIT, LARGEST_LIMIT, QUIET = 16, 64, 1.0
ATTEMPTS, TIMEOUT, FIRST_PAUSE, LONGEST_PAUSE = 1000, 60.0, 0.1, 10.0


class Host:
    def __init__(self, number, gets):
        self.number, self.left, self.limit = number, gets, float(FIRST_LIMIT)
        self.flying, self.line, self.cut_at = 0, [], -1e9
        self.done_at, self.failed, self.answered = None, 0, 0

    def is_full(self):
        return self.flying >= int(self.limit)


def readers(hosts, rate, gets, threads, latency=0.05, refusal=0.01, attempts=ATTEMPTS, backs_off=False, until=600.0,
            seed=1):
    """`hosts` with `threads` threads each make `gets` GETs each; the store serves `rate` a second, and refuses the rest.
    Fairness is Jain's index of what the hosts had when half of all was served.

    A call that fails for good is counted and begun again, as a job that tries again would. With `backs_off` a refused
    request keeps its place while it waits."""
    rng = random.Random(seed)
    all_hosts = [Host(number, gets) for number in range(hosts)]
    events, order = [], 0
    tokens, filled = rate * 0.1, 0.0
    sent = refused = served = 0
    half = None
    now = 0.0

    def push(at, kind, host, call):
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, kind, host, call))

    def begin(host, call):
        """The thread of `call` asks for a place."""
        if host.flying < int(host.limit) and not host.line:
            send(host, call)
        else:
            host.line.append(call)

    def send(host, call):
        nonlocal tokens, filled, sent, refused
        host.flying += 1
        sent += 1
        tokens = min(rate * 0.1, tokens + (now - filled) * rate)
        filled = now
        call[2] = now
        if tokens >= 1:
            tokens -= 1
            push(now + latency * rng.uniform(0.7, 1.3), "answer", host, call)
        else:
            refused += 1
            push(now + refusal * rng.uniform(0.7, 1.3), "refusal", host, call)

    def give_back(host):
        host.flying -= 1
        while host.line and not host.is_full():
            send(host, host.line.pop(0))

    def next_call(host):
        if host.left > 0:
            host.left -= 1
            begin(host, [1, now, now])

    for host in all_hosts:
        for _ in range(threads):
            push(rng.uniform(0, 1), "start", host, None)
    while events:
        now, _, kind, host, call = heapq.heappop(events)
        if now > until:
            break
        if kind == "start":
            next_call(host)
        elif kind == "again":
            if backs_off:
                give_back(host)
            begin(host, call)
        elif kind == "answer":
            if host.is_full():
                host.limit = min(LARGEST_LIMIT, host.limit + 1 / host.limit)
            host.answered += 1
            served += 1
            if served == gets * hosts // 2:
                half = [each.answered for each in all_hosts]
            if host.answered == gets:
                host.done_at = now
            give_back(host)
            next_call(host)
        else:
            if call[2] > host.cut_at and now - host.cut_at >= QUIET:
                host.limit, host.cut_at = max(1.0, host.limit / 2), now
            pause = rng.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (call[0] - 1)))
            gives_up = call[0] >= attempts or now - call[1] + pause >= TIMEOUT
            if gives_up:
                host.failed += 1
                call[0], call[1] = 0, now + pause
            call[0] += 1
            push(now + pause, "again", host, call)
            if not backs_off:
                give_back(host)
        assert host.flying <= LARGEST_LIMIT
    ended = max((host.done_at or until) for host in all_hosts)
    ends = sorted(host.done_at or until for host in all_hosts)
    total = sum(host.answered for host in all_hosts)
    half = half or [host.answered for host in all_hosts]
    assert total <= gets * hosts
    assert total <= rate * (now + 0.1) + hosts, "more than the store serves"
    return {"seconds": ended, "median": ends[len(ends) // 2], "unfinished": sum(h.done_at is None for h in all_hosts),
            "use": total / (rate * min(ended, now or 1)), "refused": refused / sent, "calls failed": sum(
                h.failed for h in all_hosts), "of": total, "offered": sent / now,
            "fairness": sum(half) ** 2 / (hosts * sum(a * a for a in half)) if any(half) else 1}


def show_readers():
    print("readers: N hosts, a store of R requests/s; a tenth of both is simulated")
    print("  hosts      R threads     | all done  median host | use of R  503s  offered/s  calls failed | fairness")
    # One host on an idle store is never refused, and takes what its threads and the latency allow.
    alone = readers(1, 10_000, 2_000, 32)
    assert alone["refused"] == 0 and alone["calls failed"] == 0
    assert 2_000 / 32 * 0.05 < alone["seconds"] < 2_000 / 16 * 0.05 * 1.2 + 1, alone
    again = readers(1, 10_000, 2_000, 32)
    assert again == alone, "the same seed gives the same run"

    def row(hosts, rate, threads, note="", **more):
        gets = max(20, int(40 * rate / hosts))
        more = {"until": 400.0} | more
        got = readers(hosts // 10, rate / 10, gets, threads, **more)
        print(f"  {hosts:5} {rate:6} {threads:3} {note:11} | {got['seconds']:7.1f} s  {got['median']:7.1f} s | "
              f"{got['use']:6.2f}  {got['refused']:6.2f}  {got['offered'] * 10:8,.0f}  "
              f"{got['calls failed'] * 10:7,} of {got['of'] * 10:9,} | {got['fairness']:.3f}"
              + (f", {got['unfinished'] * 10} hosts not done" if got["unfinished"] else ""))
        return got

    for rate in (352_000, 88_000, 22_000, 5_500):
        for threads in (4, 32):
            row(1_000, rate, threads)
    base = row(100, 5_500, 32)
    assert base["fairness"] > 0.9
    small = row(1_000, 5_500, 32, "8 tries", attempts=8)
    held = row(1_000, 5_500, 32, "holds place", backs_off=True)
    both = row(1_000, 5_500, 32, "both", attempts=8, backs_off=True)
    assert held["refused"] < small["refused"]
    assert held["calls failed"] == 0 and both["calls failed"] < small["calls failed"]


# MARK: Committers

PUBLISH_ATTEMPTS = 60
TRIPS_READ = 3
"""Requests one after the other: the ref, its movement, the commit."""
TRIPS_MERGE = 4
"""Nodes of the new head, level by level."""
TRIPS_WRITE = 6
"""Nodes (side by side), gc/sweeps.json, commit, rules, movement, and the ref."""
TRIPS_LOST = 2
"""Who won: the ref and its movement."""


def committers(writers, latency, merge, think=0.0, until=600.0, attempts=PUBLISH_ATTEMPTS, looks=False, longest=1.0,
               seed=1):
    """`writers` commit to one branch again and again, with pauses of `think` seconds on average between.

    An attempt wins if nobody moved the ref between its first request and its last. With `looks` it asks for the ref
    again before it writes the commit and the movement, and gives the attempt up if that has moved."""
    rng = random.Random(seed)
    version = wins = failures = garbage = 0
    events, order = [], 0
    won, tries, times = [0] * writers, [], []
    lost_tries = 0

    def push(at, kind, writer, state):
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, kind, writer, state))

    def jitter(trips):
        return sum(latency * rng.uniform(0.7, 1.6) for _ in range(trips))

    for writer in range(writers):
        push(rng.uniform(0, max(think, 1.0)), "begin", writer, None)
    now = 0.0
    while events:
        now, _, kind, writer, state = heapq.heappop(events)
        if now > until:
            break
        if kind == "begin":
            push(now + latency, "read", writer, [1, now, 0])
        elif kind == "read":
            # The ref is here; the rest is read and merged.
            state[2] = version
            push(now + jitter(TRIPS_READ - 1 + TRIPS_MERGE + TRIPS_WRITE - 4) + merge * rng.uniform(0.8, 1.5), "look",
                 writer, state)
        elif kind == "look":
            if looks and version != state[2]:
                lose_at = now + latency
                push(lose_at, "lost", writer, state)
            else:
                garbage += 1
                push(now + jitter(4 + (1 if looks else 0)), "swap", writer, state)
        elif kind == "swap":
            if version == state[2]:
                version += 1
                wins += 1
                garbage -= 1
                won[writer] += 1
                tries.append(state[0])
                times.append(now - state[1])
                push(now + (rng.expovariate(1 / think) if think else 0), "begin", writer, None)
            else:
                push(now + jitter(TRIPS_LOST), "lost", writer, state)
        else:
            lost_tries += 1
            if state[0] >= attempts:
                failures += 1
                push(now + (rng.expovariate(1 / think) if think else 0), "begin", writer, None)
                continue
            pause = rng.uniform(0.001, min(longest, 0.020 * 2 ** min(state[0], 6)))
            state[0] += 1
            push(now + pause + latency, "read", writer, state)
    assert sum(won) == wins == version, "every success moved the ref once"
    assert all(count <= attempts for count in tries)
    squares = sum(w * w for w in won)
    tries.sort()
    times.sort()

    def share(values, part):
        return values[min(len(values) - 1, int(len(values) * part))] if values else 0

    return {"rate": wins / until, "failed": failures / max(1, failures + wins), "tries": sum(tries) / max(1, len(tries)),
            "p99 tries": share(tries, 0.99), "median": share(times, 0.5), "p99": share(times, 0.99),
            "fairness": wins * wins / (writers * squares) if squares else 1, "garbage": garbage / max(1, wins)}


def show_committers():
    print("committers of one branch, 10 changes each")
    print("  writers think latency  merge | commits/s  fail  tries  wait: median    99 % | lost movements a commit, fairness")
    alone = committers(1, 0.02, 0.05)
    assert alone["failed"] == 0 and alone["tries"] == 1 and alone["garbage"] == 0
    quiet = committers(100, 0.02, 0.05, think=600, until=3000)
    assert quiet["failed"] == 0 and quiet["tries"] < 1.5, quiet

    def row(writers, latency, merge, think=0.0, note="", **more):
        got = committers(writers, latency, merge, think, **more)
        print(f"  {writers:7} {think:5.0f} {latency * 1000:4.0f} ms {merge * 1000:4.0f} ms | {got['rate']:7.2f}  "
              f"{got['failed']:6.1%} {got['tries']:6.1f}  {got['median']:8.1f} s {got['p99']:8.1f} s | "
              f"{got['garbage']:6.1f}  {got['fairness']:.3f} {note}")
        return got

    for latency in (0.005, 0.02, 0.05):
        for merge in (0.02, 0.1):
            crowd = row(100, latency, merge)
            single = committers(1, latency, merge)
            # Compare-and-swap makes them take turns: a crowd is never much faster than one who never waits.
            assert crowd["rate"] < 1.5 * single["rate"], (crowd, single)
    for writers in (2, 10, 30):
        row(writers, 0.02, 0.05)
    for think in (10, 30, 60, 300):
        row(100, 0.02, 0.05, think, until=1200)
    row(100, 0.02, 0.05)
    row(100, 0.02, 0.05, note="looks at the ref again before it writes", looks=True)
    row(100, 0.02, 0.05, note="pauses of up to 10 s", longest=10.0)


def main(parts):
    for name, part in (("tree", tree), ("readers", show_readers), ("committers", show_committers)):
        if not parts or name in parts:
            start = time.process_time()
            part()
            print(f"  ({time.process_time() - start:.1f} s of CPU; checks passed)\n")


if __name__ == "__main__":
    main(sys.argv[1:])
