#!/usr/bin/env python3
"""Reads objects as s3torchconnector does, by its client with its defaults, and prints the seconds it took.

    torch_reader.py ENDPOINT BUCKET WORKERS FILE   (of keys, one a line)

Every worker is a process with a client of its own, as a DataLoader's are, and reads each of its keys whole."""

import multiprocessing
import sys
import time
from pathlib import Path

from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client

CHUNK = 8 << 20
"""s3torchconnector's part size, in bytes; it aims at 10 Gbit/s."""


def read(endpoint, bucket, keys, ready, begin):
    client = MountpointS3Client("us-east-1", throughput_target_gbps=10.0, part_size=CHUNK, endpoint=endpoint,
                                force_path_style=True)
    ready.release()
    begin.wait()
    for key in keys:
        for _ in client.get_object(bucket, key):
            pass


def main(endpoint, bucket, workers, file):
    keys, workers = Path(file).read_text().splitlines(), int(workers)
    ready, begin = multiprocessing.Semaphore(0), multiprocessing.Event()
    running = [multiprocessing.Process(target=read, args=(endpoint, bucket, keys[part::workers], ready, begin))
               for part in range(workers)]
    for one in running:
        one.start()
    for _ in running:
        if not ready.acquire(timeout=60):
            sys.exit("a worker did not begin")
    start = time.monotonic()
    begin.set()
    for one in running:
        one.join()
    if any(one.exitcode for one in running):
        sys.exit("a worker failed")
    print(time.monotonic() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
