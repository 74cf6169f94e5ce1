#!/usr/bin/env python3
"""Runs the sessions of README.md and docs/tutorial/ and compares what they print.

    scripts/run-examples.py PROGRAM [FILE…]             fails when a session prints something else
    scripts/run-examples.py PROGRAM --write [FILE…]     puts what it printed into the documents

A session is a fenced block marked `console`. A line `$ COMMAND` is run by bash; lines `> …` below it
go on with the command; what follows is what it prints. The blocks of a file share one shell in a
directory of their own, which stands as /home/ada in the document. Ids, times and durations may
differ, and so may the breaks of lines: longer ones than the document's width are folded. A line `…`
stands for any number of lines, and such an output is not rewritten.
"""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = "/home/ada"
SECONDS = 300
REMOVAL_ATTEMPTS = 100
COLUMNS = 98
MARK = "\x01"
MASKS = [
    (r"\s+", " "),
    (r"\b[0-9a-f]{2}/[0-9a-f]{32,64}\b|\b[0-9a-f]{32,64}\b|\b[0-9a-f]{12}\b(?!-)", "<id>"),
    (r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "<uuid>"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>"),
    (r"\d{4}-\d\d-\d\d(?![\w-])", "<date>"),
    (r"\b[\d.,]+ (ms|s)\b", r"<duration>"),
    (r"\bof \d+ B\b", "of <bytes>"),
]


class Session:
    """The commands of a document, each with the lines that it is to print."""

    def __init__(self, path):
        self.path, self.lines, self.commands, self.outputs = path, path.read_text().split("\n"), [], []
        inside = False
        for number, line in enumerate(self.lines):
            if line.startswith("```"):
                inside = line == "```console"
            elif inside and line.startswith("$ "):
                self.commands.append(line[2:])
                self.outputs.append((number + 1, number + 1))
            elif inside and line.startswith("> ") and self.outputs and self.outputs[-1][1] == number:
                self.commands[-1] += "\n" + line[2:]
                self.outputs[-1] = (number + 1, number + 1)
            elif inside and self.outputs:
                self.outputs[-1] = (self.outputs[-1][0], number + 1)

    def script(self):
        parts = []
        for number, command in enumerate(self.commands):
            parts.append(f"printf '\\1%d\\n' {number}\neval {shlex.quote(command)} </dev/null\n")
        return "".join(parts) + "printf '\\1end\\n'\n"

    def run(self, program):
        """What each command printed, as lines."""
        with temporary() as place:
            home = place / "ada"
            home.mkdir()
            (place / "bin").mkdir()
            (place / "bin/tarn").symlink_to(pathlib.Path(program).resolve())
            (place / "script").write_text(self.script())
            keep = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TERM") if name in os.environ}
            environment = keep | {
                "PATH": f"{place}/bin:{ROOT}/examples:{os.environ['PATH']}", "HOME": str(home), "TZ": "UTC",
                "TARN_STATE_DIR": f"{place}/state", "TARN_CACHE_DIR": f"{place}/cache"}
            with open(place / "log", "wb") as log:
                process = subprocess.Popen(["bash", str(place / "script")], cwd=home, env=environment, stdout=log,
                                           stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                finally:
                    for point in mounts(place):
                        ended = subprocess.run([str(place / "bin/tarn"), "umount", point], check=False)
                        if ended.returncode != 0:
                            subprocess.run(["fusermount3", "-uz", point], check=False)
            text = (place / "log").read_text(errors="replace").replace(str(home), HOME)
            # A document names no machine.
            text = text.replace(f" on {socket.gethostname()}, ", " on host-a, ")
            text = re.sub(rf"{re.escape(str(place))}/script: line \d+: ", "bash: ", text)
        printed = [[] for _ in self.commands]
        pieces = text.split(MARK)
        for piece in pieces[1:]:
            number, _, output = piece.partition("\n")
            if number != "end":
                printed[int(number)] = output.rstrip("\n").split("\n") if output.strip() else []
        if not pieces[-1].startswith("end"):
            sys.exit(f"{self.path}: the session did not end:\n{text}")
        return [[line.rstrip() for line in lines] for lines in printed]

    def expected(self, number):
        first, end = self.outputs[number]
        lines = self.lines[first:end]
        while lines and not lines[-1].strip():
            lines.pop()
        return lines

    def differences(self, printed):
        for number, command in enumerate(self.commands):
            if not matches(self.expected(number), printed[number]):
                yield "\n".join([f"{self.path.relative_to(ROOT)}:{self.outputs[number][0]}: $ {command}",
                                 "  the document says:", *(f"    {line}" for line in self.expected(number)),
                                 "  it printed:", *(f"    {line}" for line in printed[number])])

    def write(self, printed):
        """All outputs, so that the ids of a document fit each other; nothing when none differs."""
        wide = any(len(line) > COLUMNS for number in range(len(printed)) for line in self.expected(number))
        if not wide and not list(self.differences(printed)):
            return
        for number in reversed(range(len(self.commands))):
            first, end = self.outputs[number]
            expected = self.expected(number)
            if "…" not in expected:
                blank = end - first - len(expected)
                self.lines[first:end - blank] = [part for line in printed[number] for part in folded(line)]
        self.path.write_text("\n".join(self.lines))


@contextlib.contextmanager
def temporary():
    """A directory that is removed at the end; a mount's process that has just ended may still write there."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="tarn-example-")).resolve()
    try:
        yield place
    finally:
        for attempt in range(REMOVAL_ATTEMPTS):
            try:
                shutil.rmtree(place)
                break
            except OSError:
                if attempt == REMOVAL_ATTEMPTS - 1:
                    raise
                time.sleep(0.1)


def mounts(below):
    lines = pathlib.Path("/proc/self/mounts").read_text().split("\n")
    return [line.split()[1] for line in lines if line and line.split()[1].startswith(f"{below}/")]


def folded(line):
    if len(line) <= COLUMNS:
        return [line]
    parts = textwrap.wrap(line, COLUMNS, subsequent_indent="    ", drop_whitespace=False, break_long_words=False,
                          break_on_hyphens=False)
    return [part.rstrip() for part in parts]


def masked(lines):
    text = "\n".join(lines)
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text.strip()


def matches(expected, printed):
    parts, part = [], []
    for line in expected:
        if line == "…":
            parts.append(part)
            part = []
        else:
            part.append(line)
    pattern = ".*".join(re.escape(masked(lines)) + r"\s*" for lines in [*parts, part])
    return re.fullmatch(pattern, masked(printed), re.DOTALL) is not None


def main():
    words = [word for word in sys.argv[1:] if word != "--write"]
    if not words:
        sys.exit(__doc__)
    default = [ROOT / "README.md", *sorted((ROOT / "docs/tutorial").glob("*.md"))]
    paths = [pathlib.Path(word).resolve() for word in words[1:]] or default
    wrong = count = 0
    for path in paths:
        session = Session(path)
        count += len(session.commands)
        if not session.commands:
            continue
        printed = session.run(words[0])
        differences = list(session.differences(printed))
        if "--write" in sys.argv:
            session.write(printed)
            continue
        wrong += len(differences)
        print(*differences, sep="\n") if differences else None
    print(f"run-examples: {count} commands of {len(paths)} documents, {wrong} differ")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
