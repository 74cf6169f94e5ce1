"""Prints as JSON what a directory tree shows: {path: what lstat, readlink, listxattr and read say}.

An error is an answer, too: {path: {"error": its name}}. It is a process of its own, for a mount may
hang.
"""
import errno
import hashlib
import json
import os
import stat
import sys

LONGEST = 64 << 20


def look(path):
    status = os.lstat(path)
    found = {"mode": status.st_mode, "size": status.st_size, "time": status.st_mtime_ns}
    if stat.S_ISDIR(status.st_mode):
        found.pop("size")
    if not stat.S_ISLNK(status.st_mode):
        found["attributes"] = {
            name: os.getxattr(path, name).hex() for name in sorted(os.listxattr(path))}
    else:
        found["target"] = os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        if status.st_size > LONGEST:
            with open(path, "rb") as file:
                file.read(1 << 20)
            return found
        digest, count = hashlib.sha256(), 0
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
                count += len(part)
                if count > LONGEST:
                    break
        found["sha256"], found["read"] = digest.hexdigest(), count
    return found


def walk(root):
    found, waiting, inodes = {}, [""], {}
    while waiting and len(found) < 20_000:
        path = waiting.pop()
        whole = os.path.join(root, path) if path else root
        try:
            found[path] = look(whole)
            if stat.S_ISDIR(found[path]["mode"]):
                names = sorted(os.listdir(whole))
                waiting += [os.path.join(path, name) for name in names]
        except OSError as error:
            found[path] = {"error": errno.errorcode.get(error.errno, str(error.errno))}
        else:
            number = os.lstat(whole).st_ino
            if not stat.S_ISDIR(found[path]["mode"]) and inodes.setdefault(number, path) != path:
                found[path]["inode of"] = inodes[number]
    try:
        os.statvfs(root)
    except OSError as error:
        found["statvfs"] = {"error": errno.errorcode.get(error.errno, str(error.errno))}
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(json.dumps(walk(sys.argv[1])).encode("utf-8", "surrogateescape"))
