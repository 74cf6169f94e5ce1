"""What docs/explanation/SCALE.md says of sizes that nobody here has: simulated, with the standard library only.

    python3 bench/scale_simulation.py [tree] [readers] [committers]

- tree: how entries are cut into nodes (docs/reference/FORMAT.md), for real keys and for up to 10^9 drawn ones.
- readers: hosts whose requests are limited as `RequestLimit` and `RetryPolicy` do it, against a store that answers 503
  above a rate.
- committers: writers of one branch with the loop of `PublishCommit`.

Seeds are fixed, so the figures are the same every time. Each part asserts what it rests on."""
import sys
import time

from simulate_committers import show_committers
from simulate_readers import show_readers
from simulate_tree import tree


def main(parts):
    for name, part in (("tree", tree), ("readers", show_readers), ("committers", show_committers)):
        if not parts or name in parts:
            start = time.process_time()
            part()
            print(f"  ({time.process_time() - start:.1f} s of CPU; checks passed)\n")


if __name__ == "__main__":
    main(sys.argv[1:])
