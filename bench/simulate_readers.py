"""Hosts that limit their requests by `RequestLimit` and `RetryPolicy`, and a store that refuses."""
import heapq
import random

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
