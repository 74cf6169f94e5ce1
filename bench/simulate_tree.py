"""How entries are cut into nodes (docs/reference/FORMAT.md), simulated for up to 10^9 of them."""
import math
import random

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
