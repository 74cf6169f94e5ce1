"""What a program does in the mount: each step is tried, and told with its errno. A process of its
own, because a mount that hangs must not hang the campaign."""
import errno
import hashlib
import json
import os
import random
import sys
import time


def content(seed, size):
    return random.Random(seed).randbytes(size)


class Steps:
    def __init__(self, point):
        self.point = point
        self.told = {}
        self.times = {}

    def step(self, name, action):
        """Notes `ok` or the errno; a step after one that failed is still tried."""
        try:
            answer = action()
            self.told[name], self.times[name] = "ok", time.monotonic()
            return answer
        except OSError as error:
            self.told[name] = errno.errorcode.get(error.errno, str(error.errno))
            return None

    def sync(self, name, descriptor):
        """Once more at once when it failed: an error must not be forgotten."""
        if descriptor is None:
            return
        self.step(f"{name}.fsync", lambda: os.fsync(descriptor))
        if self.told[f"{name}.fsync"] != "ok":
            self.step(f"{name}.again", lambda: os.fsync(descriptor))

    def write(self, name, path, offset, data, flags=0):
        path = os.path.join(self.point, path)
        descriptor = self.step(f"{name}.open", lambda: os.open(path, os.O_RDWR | flags, 0o644))
        if descriptor is None:
            return
        def all_of_it():
            done = 0
            while done < len(data):
                done += os.pwrite(descriptor, data[done:], offset + done)
        self.step(f"{name}.write", all_of_it)
        self.sync(name, descriptor)
        self.step(f"{name}.close", lambda: os.close(descriptor))

    def first(self):
        point, new = self.point, os.O_CREAT | os.O_EXCL
        self.read("large")
        self.step("made.mkdir", lambda: os.mkdir(f"{point}/made"))
        self.write("new", "made/new", 0, content(21, 20_000), new)
        self.write("edit", "large", 200_000, content(22, 5_000))
        self.write("one", "made/one", 0, content(23, 3_000), new)
        self.step("two.rename", lambda: os.rename(f"{point}/made/one", f"{point}/made/two"))
        self.step("gone.unlink", lambda: os.unlink(f"{point}/gone"))
        self.step("cut.truncate", lambda: os.truncate(f"{point}/cut", 10))
        self.step("link.link", lambda: os.link(f"{point}/small", f"{point}/link"))
        self.step("attribute.set", lambda: os.setxattr(f"{point}/small", "user.x", b"value"))
        self.write("bystander", "bystander", 0, content(24, 100), new)

    def second(self):
        self.write("late", "late", 0, content(25, 5_000), os.O_CREAT | os.O_EXCL)
        self.write("edit2", "made/new", 100, content(26, 50))

    def rewrite(self, path):
        """Writes a file anew, as most programs do: cut to nothing first."""
        self.write("rewrite", path, 0, content(27, 3_000), os.O_TRUNC)

    def remove(self, path):
        self.step("remove.unlink", lambda: os.unlink(os.path.join(self.point, path)))

    def read(self, name):
        def whole():
            with open(os.path.join(self.point, name), "rb") as file:
                return hashlib.sha256(file.read()).hexdigest()
        answer = self.step(f"{name}.read", whole)
        return answer if answer else self.told[f"{name}.read"]

    def read_all(self):
        """{path: hash or errno} of all files below the point."""
        found = {}
        def fail(error):
            found[os.path.relpath(error.filename, self.point) + "/"] = errno.errorcode.get(
                error.errno, str(error.errno))
        for folder, _, names in os.walk(self.point, onerror=fail):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.point)
                found[path] = self.read(path)
        return found


def main():
    steps = Steps(sys.argv[1])
    files = {}
    action, arguments = sys.argv[2], sys.argv[3:]
    if action == "read":
        files = steps.read_all()
    else:
        getattr(steps, action)(*arguments)
    print(json.dumps({"told": {name: value for name, value in steps.told.items()
                               if not name.endswith(".read")},
                      "times": steps.times, "files": files}))


if __name__ == "__main__":
    main()
