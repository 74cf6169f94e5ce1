"""Writers of one branch with the loop of `PublishCommit`, simulated."""
import heapq
import random

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
