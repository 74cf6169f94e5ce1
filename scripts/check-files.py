#!/usr/bin/env python3
"""Holds the form of the files that we write. Needs only the standard library.

    scripts/check-files.py [--root DIRECTORY]
    scripts/check-files.py --self-test

Each fault is a line `file:line: what is wrong`; the exit code is 1 when there is one. The rules:
- A file has at most 400 lines: Swift, Python, shell, C, Markdown, YAML, SVG, makefiles.
- A line of Swift, Python or shell has no tab, and no blank at its end.
- Swift in Sources/ writes to standard output and standard error through WRITER alone, which escapes
  what is foreign and tells when a write failed.
- A line of Markdown has at most 100 columns, unless it is a row of a table, in a fence, or between
  the marks of the tables that bench/run.py writes.

GENERATED names the files that these rules do not hold for. Directories whose name begins with a dot
are not read, except .ci. swift-format holds the width of Swift lines.
"""
import argparse
import fnmatch
import os
import pathlib
import re
import sys
import tempfile
import unicodedata

LINES = 400
COLUMNS = 100
# Each pattern, and why nobody reads the file line by line.
GENERATED = {
    "docs/reference/CLI.md": "written by scripts/cli-reference.py from the program's own help",
    "docs/plots/*.svg": "drawn by bench/plots.py",
}
KINDS = {
    ".swift": "Swift", ".py": "Python", ".sh": "shell", ".md": "Markdown", ".c": "C", ".h": "C",
    ".yml": "YAML", ".yaml": "YAML", ".svg": "SVG", "Makefile": "make",
}
# The kinds in which no line has a tab or ends in a blank.
CLEAN_KINDS = ("Swift", "Python", "shell")
# The one door to standard output and standard error, and who leads the streams of a child there.
WRITER = "Sources/tarn/StandardStreams.swift"
STREAMS = (WRITER, "Sources/BlockingIO/ChildProcess.swift")
# What else would write there: functions of Swift, Foundation and C, the streams by name or number, and a log's own.
WRITES = re.compile(
    r"(?<![\w.])(?:print|debugPrint|dump|puts|putchar|printf|vprintf|perror)\(|\bFileHandle\b|\bSTD(?:OUT|ERR)_FILENO\b"
    r"|(?<![\w.\"])std(?:out|err)\b|\bStreamLogHandler\b|(?<![\w.])(?:write|writeFully|dprintf)\([12],"
    r"|/dev/(?:stdout|stderr|tty)|/proc/self/fd/[12]\b")
# What is no code: comments, and the words of a string that is no path of a device.
NO_CODE = re.compile(r'"""(?s:.*?)"""|"(?!/dev/|/proc/)(?:[^"\\\n]|\\.)*"|//[^\n]*')
HIDDEN_BUT_READ = (".ci",)
SHELL = re.compile(rb"#!\S*(?:/| )(?:env )?(?:ba|da)?sh\b")
# What bench/run.py writes stands between these.
WRITTEN = ("<!-- table: begin", "<!-- table: end")
FENCE = re.compile(r"^\s*(```+|~~~+)")


def kind_of(path):
    """What the file is written in; None for what we do not check."""
    kind = KINDS.get(path.name) or KINDS.get(path.suffix)
    if kind is None and path.suffix == "":
        with path.open("rb") as file:
            kind = "shell" if SHELL.match(file.readline()) else None
    return kind


def files(root):
    """The files below `root` that are checked, in order, with their kind."""
    for directory, names, entries in os.walk(root):
        names[:] = sorted(
            name for name in names
            if (not name.startswith(".") or name in HIDDEN_BUT_READ) and name != "__pycache__")
        for name in sorted(entries):
            path = pathlib.Path(directory, name)
            if path.is_file() and not path.is_symlink() and (kind := kind_of(path)):
                yield path, kind


def width(line):
    """Columns: marks that combine take none."""
    return sum(not unicodedata.combining(character) for character in line)


def wide_lines(lines):
    """The numbers and widths of lines of Markdown that are too long."""
    fence, is_written = None, False
    for number, line in enumerate(lines, 1):
        is_written = (is_written or line.startswith(WRITTEN[0])) and not line.startswith(WRITTEN[1])
        mark = FENCE.match(line)
        if mark and fence is None:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = None
        elif not (fence or is_written or line.lstrip().startswith("|")) and width(line) > COLUMNS:
            yield number, width(line)


def stray_writes(text):
    """The numbers of the lines of Swift that write past the one door."""
    code = NO_CODE.sub(lambda match: '""' + "\n" * match[0].count("\n"), text)
    for number, line in enumerate(code.split("\n"), 1):
        if match := WRITES.search(line):
            yield number, f"'{match[0]}': write through {WRITER}"


def file_faults(name, text, kind):
    """What is wrong with a file: the line and the fault."""
    if kind == "Swift" and name.startswith("Sources/") and name not in STREAMS:
        yield from stray_writes(text)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if len(lines) > LINES:
        yield len(lines), f"{len(lines)} lines; {LINES} is the most"
    if kind in CLEAN_KINDS:
        for number, line in enumerate(lines, 1):
            if "\t" in line:
                yield number, "a tab"
            if line != line.rstrip():
                yield number, "a blank at the end"
    if kind == "Markdown":
        for number, columns in wide_lines(lines):
            yield number, f"{columns} columns; {COLUMNS} is the most"


def check(root, generated):
    """How many files were checked, and the faults."""
    faults, count, unused = [], 0, set(generated)
    for path, kind in files(root):
        name = path.relative_to(root).as_posix()
        matches = {pattern for pattern in generated if fnmatch.fnmatchcase(name, pattern)}
        unused -= matches
        if matches:
            continue
        count += 1
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            faults.append(f"{name}:1: not UTF-8")
            continue
        faults += [f"{name}:{number}: {fault}" for number, fault in file_faults(name, text, kind)]
    faults += [f"{pattern}: in GENERATED, but there is no such file" for pattern in sorted(unused)]
    return count, faults


# The self test: files of a made-up directory, and all faults that must be told.
LONG = "x" * (COLUMNS + 1) + "\n"
CASES = [
    ({"a.py": "x\n" * LINES, "a.md": LONG[1:]}, []),
    ({"a.py": "x\n" * (LINES + 1)}, ["a.py:401: 401 lines"]),
    ({"deep/er/a.c": "x\n" * 500, "a.txt": "x\n" * 500}, ["deep/er/a.c:500: 500 lines"]),
    ({"Makefile": "x\n" * 401 + "y"}, ["Makefile:402: 402 lines"]),
    ({"a.h": "x\n" * 401, "a.yml": "x\n" * 401, "a.svg": "x\n" * 401, "a.md": "x\n" * 401},
     ["a.h:401:", "a.md:401:", "a.svg:401:", "a.yml:401:"]),
    ({".ci/run": "#!/usr/bin/env bash\n" + "x\n" * 400, ".build/a.py": "x\n" * 401}, [".ci/run:401:"]),
    ({"made.md": LONG * 500, "drawn/a.svg": "x\n" * 500}, []),
    ({"a.swift": "\n\tx\n"}, ["a.swift:2: a tab"]),
    ({"a.py": "x \n", "a.md": "x  \n"}, ["a.py:1: a blank"]),
    ({"a.sh": "x\t\n"}, ["a.sh:1: a tab", "a.sh:1: a blank"]),
    ({"run": "#!/bin/sh\nx \n", "other": "x \n"}, ["run:2: a blank"]),
    ({"a.py": "x\r\n"}, ["a.py:1: a blank"]),
    ({"a.md": "x\n" + LONG}, ["a.md:2: 101 columns"]),
    ({"a.md": "é" * 100 + "\n" + "e\u0301" * 100 + "\n"}, []),
    ({"a.md": "```\n" + LONG + "```\n" + LONG}, ["a.md:4: 101 columns"]),
    ({"a.md": "````\n```\n" + LONG + "````\n" + LONG}, ["a.md:5: 101 columns"]),
    ({"a.md": "| " + LONG + "  | " + LONG + "a | " + LONG}, ["a.md:3: 105 columns"]),
    ({"a.md": f"{WRITTEN[0]} -->\n{LONG}{WRITTEN[1]} -->\n{LONG}"}, ["a.md:4: 101 columns"]),
    ({"a.py": b"\xff\n"}, ["a.py:1: not UTF-8"]),
    ({"Sources/a.swift": 'x\nprint("x")\n', "Tests/a.swift": "print(1)\n", WRITER: "print(1)\n"},
     ["Sources/a.swift:2: 'print('"]),
    ({"Sources/a.swift": '// print(1)\nx.print(1)\n"print(1)"\nfingerprint(1)\nerror.stderr\n'}, []),
    ({"Sources/a.swift": "fputs(x, stderr)\n_ = write(1, x)\nlet x = FileHandle.standardError\n"},
     ["Sources/a.swift:1: 'stderr'", "Sources/a.swift:2: 'write(1,'", "Sources/a.swift:3: 'FileHandle'"]),
    ({"Sources/a.swift": 'open("/dev/tty", 1)\nStreamLogHandler.x\ndup2(x, STDOUT_FILENO)\n'},
     ["Sources/a.swift:1: '/dev/tty'", "Sources/a.swift:2: 'Stream", "Sources/a.swift:3: 'STDOUT"]),
]
MADE = {"made.md": "", "drawn/*.svg": ""}


def self_test():
    """The number of cases that did not come out as they must, at most 1."""
    wrong = 0
    unused = [f"{pattern}: in GENERATED" for pattern in sorted(MADE)]
    for contents, wanted in CASES + [({}, unused)]:
        with tempfile.TemporaryDirectory(prefix="check-files-") as directory:
            root = pathlib.Path(directory).resolve()
            always = {} if wanted is unused else {"made.md": "", "drawn/b.svg": ""}
            for name, content in {**always, **contents}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
            _, found = check(root, MADE)
        if len(found) != len(wanted) or not all(map(str.startswith, found, wanted)):
            wrong += 1
            print(f"{contents}: wanted {wanted}, got {found}")
    print(f"check-files --self-test: {len(CASES) + 1} cases, {wrong} wrong")
    return min(wrong, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--self-test", action="store_true", help="do made-up faults fail?")
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test())
    count, faults = check(options.root.resolve(), GENERATED)
    for fault in faults:
        print(fault)
    print(f"check-files: {count} files, {len(faults)} faults", file=sys.stderr)
    sys.exit(1 if faults or not count else 0)


if __name__ == "__main__":
    main()
