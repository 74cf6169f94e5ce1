"""What programs do in a mount, each as a process of its own: `program.py ACTION POINT …`.

It ends with 0, or with 1 and the error of the call that failed."""
import json
import os
import resource
import subprocess
import sys

DEPTH = 1200
NAME = "d" * 8
HELD = 1100


def copy(point, target):
    subprocess.run(["cp", "-r", "--", point, target], check=True)


def write(point):
    with open(os.path.join(point, "written"), "xb", buffering=0) as file:
        file.write(b"w" * 70_000)
        os.fsync(file.fileno())
    with open(os.path.join(point, "small"), "wb", buffering=0) as file:
        file.write(b"written")
        os.fsync(file.fileno())


def daemon(point):
    print(json.loads(os.getxattr(point, "user.tarn.mount"))["processID"])


def hold(point):
    """Holds many written files open, and says so; writes to all of them again when told."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    files = []
    os.mkdir(os.path.join(point, "held"))
    for number in range(HELD):
        path = os.path.join(point, "held", str(number))
        files.append(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
        os.write(files[-1], b"first %d" % number)
    print("held", flush=True)
    sys.stdin.readline()
    for number, file in enumerate(files):
        os.write(file, b", second")
        os.fsync(file)
        if os.pread(file, 100, 0) != b"first %d, second" % number:
            raise OSError(f"{number} has other bytes")
        os.close(file)
    print("written", flush=True)


def deep_make(point):
    """Directories below each other, longer than any path that a call may name."""
    os.chdir(point)
    for _ in range(DEPTH):
        os.mkdir(NAME)
        os.chdir(NAME)
    with open("bottom", "xb", buffering=0) as file:
        file.write(b"deep")
        os.fsync(file.fileno())


def deep_read(point):
    os.chdir(point)
    for _ in range(DEPTH):
        os.chdir(NAME)
    with open("bottom", "rb") as file:
        if file.read() != b"deep":
            raise OSError("other bytes at the bottom")


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](*sys.argv[2:])
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        sys.exit(1)
