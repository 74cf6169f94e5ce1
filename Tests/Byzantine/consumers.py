"""Everything that reads a repository.

A consumer answers what it saw, to be compared with what the unchanged repository shows. What is
forbidden whatever it saw, it tells at once.
"""
import contextlib
import errno
import hashlib
import json
import os
import re
import sys

import process
from sample import environment

# What people must not be shown: a value as the compiler would print it.
DUMP = re.compile(r"Swift\.|\bVersioning\.|\bObjectDatabase\.|Optional\(|Fatal error|odingPath|CodingKeys?\b|"
                  r"\b[A-Z]\w+(Error|Fault|Failure)\b|\bError Domain=|error 1\.\)|"
                  r"Cannot initialize|\b[a-z]\w*\([a-z]\w*: |\[\d+, \d+, \d+")


# Of a file that is exported the place says enough, of a hook its name, of an entry its path, and of a
# pack or a list that a changed place leads to, that it is one.
NAMING = ("/exported", "hook '", "packs/", "lists/", "the tree's entry '", "no Tarn repository at")


class Failed(Exception):
    """The consumer said no; what it said is judged already."""


class Consumers:
    def __init__(self, binary, directory, words):
        self.binary, self.directory, self.words = binary, directory, words
        self.lake = os.path.join(directory, "lake")
        for name in ("home", "run", "scratch"):
            os.makedirs(os.path.join(directory, name), mode=0o700, exist_ok=True)
        self.environment = environment(directory) | {
            "TARN_REPO": self.lake, "TARN_TRUST_HOOKS": "all"}
        self.count = 0
        self.findings = []
        # A file of the branch that is read before all others, where numbers of files are forged.
        self.direct = None
        # What the branch main shows in the same mount, after the one that was asked for.
        self.neighbour = None
        self.commands = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    def forbid(self, verdict, detail):
        self.findings.append((verdict, detail))

    def tarn(self, *arguments, ok=(0,)):
        """Output of a command; `Failed` when it ended with another code than those in `ok`."""
        result = process.run([self.binary, *arguments], self.environment, self.directory,
                             self.path("scratch"))
        self.commands += 1
        self.judge(arguments[2 if arguments[0] == "-C" else 0], result, ok)
        if result.code not in ok:
            raise Failed(result.errors)
        return result.output

    def judge(self, name, result, ok):
        said = result.errors.strip()
        if result.is_large:
            self.forbid("memory", f"{name} held {result.memory >> 20} MiB")
        elif result.is_late:
            self.forbid("slow", f"{name} did not end in {process.SECONDS} s")
        elif result.code < 0 or result.code > 125:
            lines = [one for one in said.splitlines() if "Fatal" in one or "rror" in one][:1]
            self.forbid("signal", f"{name} died ({result.code}) {lines[0][:200] if lines else ''}")
            return
        # Bytes of files and of CSV are data, not text for a terminal.
        is_data = name == "cat" or "--csv" in result.arguments
        dump = DUMP.search(result.errors if is_data else result.text)
        if dump:
            self.forbid("dump", f"{name}: {dump.group()}: {said[:300]}")
        if "\x1b" in result.errors or not is_data and b"\x1b" in result.output:
            self.forbid("raw", f"{name} prints foreign bytes raw: {result.text[-300:]!r}")
        if result.code not in ok and not (result.is_large or result.is_late):
            if not said and name not in ("fsck", "audit"):
                self.forbid("silent", f"{name} ended with {result.code} without a word")
            elif not any(word in result.text for word in (*self.words, *NAMING)):
                self.forbid("unnamed", f"{name}: {said[:300]}")

    # Readers: what they answer must be what the unchanged repository shows

    def cat(self, ref):
        found = {}
        for path in ("large", "small", "holes", "packed", f"many/120-{'n' * 200}"):
            with contextlib.suppress(Failed):
                found[path] = hashlib.sha256(self.tarn("cat", f"{ref}:{path}")).hexdigest()
        return found

    def export(self, ref):
        self.count += 1
        target = self.path(f"exported{self.count}")
        try:
            self.tarn("export", ref, target)
            return self.walk(target)
        finally:
            process.remove(target)

    def ls(self, ref):
        return self.tarn("ls", "-l", "-r", ref).decode(errors="replace")

    def stat(self, ref):
        return [self.tarn("stat", f"{ref}:{path}").decode(errors="replace")
                for path in ("large", "small", "many")]

    def log(self, ref):
        return self.tarn("log", ref).decode(errors="replace")

    def diff(self, ref):
        return self.tarn("diff", "v1", ref).decode(errors="replace")

    def du(self, ref):
        return self.tarn("du").decode(errors="replace")

    def prefetch(self, ref):
        self.tarn("prefetch", ref)
        return self.export(ref)

    def mount(self, ref):
        with self.mounted(ref) as point:
            return self.walk(point)

    def mount_all(self, ref):
        kind = "tags" if ref == "v1" else "branches"
        with self.mounted() as point:
            branches = os.path.join(point, "branches")
            if self.direct:
                # A file that is looked up by its name, not listed, after all of main has numbers.
                for name in (ref, "feature"):
                    os.lstat(os.path.join(branches, name))
                self.walk(os.path.join(branches, "main"))
                with contextlib.suppress(OSError), open(
                        os.path.join(branches, ref, self.direct), "rb") as file:
                    file.read()
                self.neighbour = self.walk(os.path.join(branches, "main"))
                return None
            found = self.walk(os.path.join(point, kind, ref))
            if ref != "main":
                self.neighbour = self.walk(os.path.join(branches, "main"))
            return found

    def mount_write(self, ref):
        with self.mounted(ref, "--write") as point:
            found = self.walk(point)
            with contextlib.suppress(Failed, OSError):
                with open(os.path.join(point, "written"), "w") as file:
                    file.write("written")
                with open(os.path.join(point, "small"), "a") as file:
                    file.write("more")
                self.tarn("-C", point, "status")
                self.tarn("-C", point, "diff")
                self.tarn("-C", point, "commit", "-m", "over what others say")
            return found

    def merge_dry(self, ref):
        return self.tarn("merge", ref, "--into", "feature", "--dry-run", ok=(0, 3)).decode(
            errors="replace")

    # Writers and checks: they leave something to be looked at

    def merge(self, ref):
        self.tarn("merge", ref, "--into", "feature", "-m", "merged", ok=(0, 3))
        return self.export("feature")

    def mirror(self, ref):
        target = self.path("copy")
        process.remove(target)
        self.tarn("mirror", target, "--ref", ref)
        return None

    def gc(self, ref):
        self.tarn("gc")

    def gc_delete(self, ref):
        self.tarn("gc", "--delete", "--grace", "0", ok=(0, 4))

    def fsck(self, ref):
        self.tarn("fsck")

    def fsck_data(self, ref):
        self.tarn("fsck", self.data_flag())

    def audit(self, ref):
        self.tarn("audit", "verify")
        self.tarn("audit", "log")
        self.tarn("audit", "log", "--csv")

    def hooks(self, ref):
        self.tarn("hooks", "log")
        self.tarn("protect", "list")
        self.tarn("retention", "list")
        self.tarn("branch", "list")
        self.tarn("tag", "list")

    flags = {}

    def data_flag(self):
        if self.binary not in self.flags:
            text = process.run([self.binary, "fsck", "--help"], self.environment, self.directory,
                               self.path("scratch")).output
            self.flags[self.binary] = "--read-data" if b"--read-data" in text else "--data"
        return self.flags[self.binary]

    # Mounts

    def walk(self, place):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "walk.py")
        result = process.run([sys.executable, program, place], self.environment, self.directory,
                             self.path("scratch"))
        if result.is_late or result.code:
            self.forbid("slow" if result.is_late else "walk", f"a walk: {result.errors[-300:]}")
            raise Failed("the walk did not end")
        return json.loads(result.output)

    @contextlib.contextmanager
    def mounted(self, ref=None, *options):
        self.count += 1
        point = self.path(f"m{self.count}")
        os.makedirs(point)
        server = 0
        try:
            self.tarn("mount", self.lake, point, *(["--ref", ref] if ref else []), *options)
            server = self.server(point)
            yield point
            if not process.is_running(server):
                self.forbid("died", f"the mount's process ended: {self.last_words(server)}")
            elif process.peak(server) > process.MEMORY_BYTES:
                self.forbid("memory", f"the mount held {process.peak(server) >> 20} MiB")
        finally:
            if server and process.is_running(server):
                with contextlib.suppress(Failed):
                    self.tarn("umount", point)
            if server:
                process.end(server)
            process.detach(point)
            with contextlib.suppress(OSError):
                os.rmdir(point)

    def server(self, point):
        """The mount's process. A root that cannot be read answers an error, but is not missing."""
        try:
            return json.loads(os.getxattr(point, "user.tarn.mount"))["processID"]
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTCONN):
                self.forbid("died" if error.errno == errno.ENOTCONN else "errno",
                            f"the root of a mount: {error.strerror}")
            raise Failed(f"{error}") from None

    def last_words(self, server):
        """What a mount's log says of its end."""
        try:
            with open(self.path(f"state/log/{server}.log"), errors="replace") as log:
                lines = log.read().splitlines()
        except OSError:
            return "it left no log"
        return next((line for line in lines if "Fatal" in line), lines[-1] if lines else "")[:300]


READERS = ("cat", "export", "mount", "mount_all", "prefetch", "ls", "stat", "log", "diff", "du",
           "merge_dry", "mount_write")
OTHERS = ("audit", "hooks", "gc", "fsck", "mirror", "merge", "gc_delete", "fsck_data")
# Those that read blocks: what they show of a wrong place is what the cache then holds.
CONTENT = ("cat", "export", "mount", "mount_all", "prefetch", "mount_write")
WRITERS = ("merge", "mount_write", "gc_delete", "mirror")
