#!/usr/bin/env python3
"""Holds README.md and docs/ against the repository. Needs only the standard library.

    scripts/check-docs.py [--tarn PROGRAM] [--root DIRECTORY]
    scripts/check-docs.py --self-test

Each fault is a line `file:line: what is wrong`; the exit code is 1 when there is one. The rules:
- Names in backticks exist: paths, types, `Type.member`, `function(…)`, `camelCase`, `ALL_CAPS`.
  Names of the outside world are listed in scripts/check-docs-allowed.txt.
- Relative links lead to a file, and their anchor to a heading of it.
- README.md has at most 80 lines, no document a line over 100 columns (table rows apart, but not in
  README, tutorial, howto, ARCHITECTURE and BENCHMARKS, unless the table is generated).
- The targets' files Overview.swift are held like documents: their lines, and names in backticks.
- A path `docs/…` that a source file names leads to a file, and `docs/….md, "Heading"` to a heading.
- Every environment variable that Sources reads stands in docs/reference/CONFIGURATION.md.
- With --tarn: docs/reference/CLI.md is what scripts/cli-reference.py prints, and every command line
  in a document, and every 'tarn ...' in quotes in a Swift source, uses subcommands, options and
  arguments that the program has.
"""
import argparse
import fnmatch
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import unicodedata

README_LINES = 80
COLUMNS = 100
WIDE_TABLES_REFUSED = (
    "README.md", "docs/tutorial/", "docs/howto/", "docs/explanation/ARCHITECTURE.md", "docs/BENCHMARKS.md")
GENERATED = re.compile(r"<!-- (?:table|ten): (begin|end)")
# Their made-up names are nobody's.
OWN_FILES = ("check-docs.py", "check_docs_cases.py")
ALLOWED = "scripts/check-docs-allowed.txt"
CONFIGURATION = "docs/reference/CONFIGURATION.md"
CLI = "docs/reference/CLI.md"
EXTENSIONS = ("swift", "md", "py", "sh", "c", "h", "svg", "txt")

FENCE = re.compile(r"^\s*(```|~~~)")
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
ANCHOR = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
OVERVIEW = "Overview.swift"
SOURCES = ("Sources", "Tests", "bench", "scripts", "examples", "Package.swift", "Makefile", ".ci")
# A path of a document in a comment or help text, and the heading that may be named after it.
DOCUMENT = re.compile(r"(?<![\w/.-])docs/[\w./*-]*[\w*]")
SECTION = re.compile(r"\s*,\s*(?://+|#)?\s*\"([^\"]+)\"")
VARIABLE = re.compile(r"\"((?:TARN|AWS|XDG|GIT|SSL|SSH)_[A-Z0-9_]*[A-Z0-9])\"")

TYPE = re.compile(r"\b(?:class|struct|enum|protocol|actor|typealias)\s+([A-Z]\w*)")
EXTENSION = re.compile(r"\bextension\s+(?:\w+\.)*([A-Z]\w*)")
# Functions and values, by the kind of file.
FUNCTION = {
    ".swift": re.compile(r"\bfunc\s+(\w+)|\b(init)[?!]?\s*[<(]"),
    ".py": re.compile(r"\bdef\s+(\w+)"),
    ".c": re.compile(r"^[a-z][\w ]*[ *](\w+)\([^;]*$", re.M),
    ".h": re.compile(r"^[a-z][\w ]*[ *](\w+)\(", re.M),
    ".sh": re.compile(r"^(\w+)\(\)", re.M),
}
VALUE = {
    ".swift": re.compile(r"\b(?:let|var)\s+(\w+)"),
    ".py": re.compile(r"^\s*(\w+)\s*=", re.M),
}
CASE = re.compile(r"^\s*(?:indirect\s+)?case\s+(.+)$", re.M)

UPPER_CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
LOWER_CAMEL = re.compile(r"[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*")
ALL_CAPS = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|E[A-Z]{3,}")
MEMBER = re.compile(r"([A-Z]\w*)\.([a-z]\w*)(\(.*\))?")
CALL = re.compile(r"\.?([A-Za-z_]\w*)\((.*)\)")
QUOTED_COMMAND = re.compile(r"'(tarn [^'\n]+)'")
INTERPOLATION = re.compile(r"\\\((?:[^()]|\([^()]*\))*\)")
LABELS = re.compile(r"(?:\w+:)+")
TOPIC_FILE = re.compile(r"[A-Z]\w*\+[A-Z]\w*(?:\.swift)?")


class Code:
    """What the repository declares, by name."""

    def __init__(self, root):
        self.root, self.types, self.functions, self.values = root, set(), set(), set()
        self.files, self.text, self.members, self.labels = {}, [], {}, {}
        for top in ("Sources", "Tests", "bench", "scripts"):
            for path in sorted((root / top).rglob("*")):
                if path.suffix in (".swift", ".py", ".c", ".h", ".sh") and path.is_file():
                    self.read(path)
        self.text = "\n".join(self.text)
        self.words = set(re.findall(r"\w+", self.text))
        package = root / "Package.swift"
        if package.exists():
            self.types |= set(re.findall(r"\"([A-Z]\w+)\"", package.read_text()))
        self.variables = {}
        for path in sorted((root / "Sources").rglob("*.swift")):
            for name in VARIABLE.findall(path.read_text()):
                self.variables.setdefault(name, path.relative_to(root))

    def read(self, path):
        text = path.read_text(errors="replace")
        self.files.setdefault(path.name, []).append(path)
        if path.name in OWN_FILES or path.name == OVERVIEW:
            return
        self.text.append(text)
        declared = set(TYPE.findall(text))
        names = found(FUNCTION.get(path.suffix), text)
        values = found(VALUE.get(path.suffix), text)
        for line in CASE.findall(text):
            values |= set(re.findall(r"(?:^|,)\s*`?([a-z]\w*)", re.sub(r"\([^()]*\)", "", line)))
        self.types |= declared
        self.functions |= names
        self.values |= values
        for owner in declared | set(EXTENSION.findall(text)):
            self.members.setdefault(owner, set()).update(names, values, declared)
        for match in re.finditer(r"\bfunc\s+(\w+)\s*(?:<[^>]*>)?\s*\(|\b(init)\??\s*\(", text):
            self.labels.setdefault(match[1] or match[2], set()).add(labels(text, match.end()))


def found(pattern, text):
    """The names that a pattern's groups hold."""
    return {name for match in pattern.finditer(text) for name in match.groups() if name} if pattern else set()


def labels(text, start):
    """The argument labels of the declaration whose parenthesis opens before `start`: `a:_:`."""
    depth, piece, pieces = 0, "", []
    for character in text[start:start + 2000]:
        if character in "([{<":
            depth += 1
        elif character in ")]}>":
            depth -= 1
            if depth < 0:
                break
        if character == "," and depth == 0:
            pieces.append(piece)
            piece = ""
        else:
            piece += character
    pieces.append(piece)
    return "".join(piece.split()[0].rstrip(":") + ":" for piece in pieces if piece.split())


class Checker:
    def __init__(self, root, commands=None):
        self.root, self.commands, self.faults = root, commands, []
        self.code = Code(root)
        allowed = root / ALLOWED
        lines = allowed.read_text().splitlines() if allowed.exists() else []
        self.allowed = [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
        self.anchors = {}

    def fault(self, path, line, text):
        self.faults.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def documents(self):
        overviews = [*self.root.glob(f"Sources/*/{OVERVIEW}"), *self.root.glob(f"Tests/*/{OVERVIEW}")]
        return sorted([*self.root.glob("README.md"), *(self.root / "docs").rglob("*.md"), *overviews])

    def sources(self):
        """The files, other than documents, that may name one."""
        for top in map(self.root.joinpath, SOURCES):
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.is_file() and path.name not in OWN_FILES and path.suffix != ".pyc":
                    yield path

    def check(self):
        for path in self.documents():
            self.check_document(path)
        for path in self.sources():
            self.check_source(path)
        configuration = self.root / CONFIGURATION
        told = set(re.findall(r"\w+", configuration.read_text())) if configuration.exists() else set()
        for name, source in self.code.variables.items():
            if name not in told:
                self.fault(configuration, 1, f"the variable {name} of {source} is missing")
        return self.faults

    def check_document(self, path):
        name = str(path.relative_to(self.root))
        lines = path.read_text().splitlines()
        if name == "README.md" and len(lines) > README_LINES:
            self.fault(path, len(lines), f"README has {len(lines)} lines; {README_LINES} is the most")
        fenced = generated = False
        for number, line in enumerate(lines, 1):
            mark = GENERATED.match(line)
            generated = mark[1] == "begin" if mark else generated
            is_table = line.startswith("|") and not fenced
            wide = is_table and not name.startswith(WIDE_TABLES_REFUSED) or generated
            if width(line) > COLUMNS and not wide:
                self.fault(path, number, f"{width(line)} columns; {COLUMNS} is the most")
            if FENCE.match(line):
                fenced = not fenced
            elif fenced:
                self.check_commands(path, number, line)
            else:
                self.check_prose(path, number, line)

    def check_prose(self, path, number, line):
        if "`" in SPAN.sub("", line):
            self.fault(path, number, "a name in backticks does not end in its line")
        for _, text in SPAN.findall(line):
            reason = self.reason(text.strip(), path)
            if reason:
                self.fault(path, number, f"`{text.strip()}`: {reason}")
            self.check_commands(path, number, text)
        for target in LINK.findall(SPAN.sub("", line)):
            self.check_link(path, number, target)

    def check_source(self, path):
        text = path.read_text(errors="replace")
        for match in DOCUMENT.finditer(text):
            line, name = text.count("\n", 0, match.start()) + 1, match[0]
            section = SECTION.match(text, match.end())
            if not any(self.root.glob(name)):
                self.fault(path, line, f"{name}: no such document")
            elif section and name.endswith(".md"):
                heading = re.sub(r"\s*\n\s*(?://+|#)?\s*", " ", section[1])
                if slugged(heading) not in self.anchors_of(self.root / name):
                    self.fault(path, line, f"{name} has no heading \"{heading}\"")
        for match in QUOTED_COMMAND.finditer(text) if path.suffix == ".swift" else []:
            line = text.count("\n", 0, match.start()) + 1
            self.check_commands(path, line, INTERPOLATION.sub("VALUE", match[1]))

    # What a name in backticks may be.
    def reason(self, text, document):
        """Why a span in backticks is wrong; nothing when it is right or no name of code."""
        if any(fnmatch.fnmatchcase(text, pattern) for pattern in self.allowed):
            return None
        if re.search(r"[\s<>…{}\[\]$\"'=|\\]", text) and not CALL.fullmatch(text):
            first = text.split()[0]
            return self.missing_path(first, document) if first.startswith(("scripts/", "bench/")) else None
        if TOPIC_FILE.fullmatch(text):
            return None if text.removesuffix(".swift") + ".swift" in self.code.files else "no such file"
        is_file = re.fullmatch(rf"[\w.+-]+\.({'|'.join(EXTENSIONS)})", text)
        if MEMBER.fullmatch(text) and not is_file:
            owner, member, _ = MEMBER.fullmatch(text).groups()
            if owner not in self.code.types:
                return f"no type {owner}"
            return None if member in self.code.members.get(owner, ()) else f"{owner} has no {member}"
        call = CALL.fullmatch(text)
        if call and not re.fullmatch(r"\d", call[2]):
            return self.missing_call(*call.groups())
        if "/" in text or is_file:
            return self.missing_path(text, document)
        if ALL_CAPS.fullmatch(text):
            return None if text in self.code.words else "no such name in the sources"
        if UPPER_CAMEL.fullmatch(text):
            return None if text in self.code.types else "no such type"
        if LOWER_CAMEL.fullmatch(text):
            return None if text in self.code.functions | self.code.values else "no such declaration"
        return None

    def missing_call(self, name, arguments):
        if name not in self.code.functions and name not in self.code.values and name not in self.code.types:
            return f"no function {name}"
        if LABELS.fullmatch(arguments) and arguments not in self.code.labels.get(name, ()):
            return f"no {name} takes {arguments}"
        return None

    def missing_path(self, text, document):
        if text.startswith(("/", "~", "s3:", "http:", "https:", "file:", "--", "-")) or "*" in text:
            return None
        text = text.rstrip("/").removeprefix("./")
        if (self.root / text).exists() or (document.parent / text).exists():
            return None
        if "/" not in text and (text in self.code.files or any(self.root.glob(f"docs/**/{text}"))):
            return None
        return "no such file or directory"

    # Links.
    def check_link(self, path, number, target):
        if re.match(r"[a-z]+:", target):
            return
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        if not place.exists():
            self.fault(path, number, f"the link {target} leads nowhere")
        elif anchor and anchor not in self.anchors_of(place):
            self.fault(path, number, f"the link {target}: there is no such heading")

    def anchors_of(self, path):
        if path not in self.anchors:
            found, fenced = set(), False
            for line in path.read_text().splitlines():
                fenced ^= bool(FENCE.match(line))
                heading = None if fenced else HEADING.match(line)
                if heading:
                    slug = base = slugged(heading[2])
                    count = 0
                    while slug in found:
                        count += 1
                        slug = f"{base}-{count}"
                    found.add(slug)
                found |= set(ANCHOR.findall(line))
            self.anchors[path] = found
        return self.anchors[path]

    # Command lines.
    def check_commands(self, path, number, line):
        if self.commands is None:
            return
        line = re.sub(r"\s#.*|\s{2,}.*", "", line.strip().removeprefix("$ "))
        line = re.sub(r"\"[^\"]*\"|'[^']*'|<[^>]*>", "VALUE", re.sub(r"[\[\]]| \.\.\.", "", line))
        for part in re.split(r"&&|\|\||[;|()>]", line):
            words = part.split()
            while words and re.fullmatch(r"[A-Z_]+=\S*|sudo|!|if|do|then|-", words[0]):
                words.pop(0)
            if words[:1] == ["tarn"]:
                reason = wrong_command(self.commands, words[1:])
                if reason:
                    self.fault(path, number, f"`{part.strip()}`: {reason}")


def wrong_command(command, words):
    """Why the words are no command of the program; nothing when they may be one."""
    words = iter(words[2:] if words[:1] == ["-C"] else words)
    values = 0
    for word in words:
        subcommands = {one["commandName"]: one for one in command.get("subcommands", [])}
        arguments = command.get("arguments", [])
        if word == "--" or word == "VALUE" and subcommands:
            break
        if word in subcommands and not word.startswith("-"):
            command = subcommands[word]
        elif subcommands and re.fullmatch(r"[a-z][a-z-]*", word) and not has_default(command):
            return f"'{command['commandName']}' has no subcommand {word}"
        elif re.fullmatch(r"--[a-z][a-z-]*(=.*)?|-[a-zA-Z0]", word):
            name, _, value = word.lstrip("-").partition("=")
            options = [one for one in arguments if any(known["name"] == name for known in one.get("names", []))]
            if not options and name not in {"help", "version", "experimental-dump-help"}:
                return f"'{command['commandName']}' has no option {word}"
            if options and options[0]["kind"] == "option" and not value:
                next(words, None)
        elif re.fullmatch(r"[\w.:/~^@-]+", word) and not subcommands:
            values += 1
            positional = [one for one in arguments if one["kind"] == "positional"]
            if values > len(positional) and not any(one["isRepeating"] for one in positional):
                return f"'{command['commandName']}' takes no argument {word}"
    return None


def has_default(command):
    return bool(command.get("defaultSubcommand")) or any(
        argument["kind"] == "positional" for argument in command.get("arguments", []))


def width(line):
    """Columns: marks that combine take none."""
    return sum(not unicodedata.combining(character) for character in line)


def slugged(heading):
    """The anchor of a heading, as GitHub makes it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def load(name):
    path = pathlib.Path(__file__).parent / name
    spec = importlib.util.spec_from_file_location(path.stem.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tarn", help="the built program")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--self-test", action="store_true", help="do made-up faults fail?")
    options = parser.parse_args()
    if options.self_test:
        sys.dont_write_bytecode = True
        sys.exit(load("check_docs_cases.py").run(sys.modules[__name__]))
    commands = None
    if options.tarn:
        dump = subprocess.run([options.tarn, "--experimental-dump-help"], check=True, stdout=subprocess.PIPE)
        commands = json.loads(dump.stdout)["command"]
    checker = Checker(options.root.resolve(), commands)
    faults = checker.check()
    if commands:
        sys.dont_write_bytecode = True
        reference = checker.root / CLI
        if not reference.exists() or reference.read_text() != load("cli-reference.py").document(commands):
            faults.append(f"{CLI}: out of date; run scripts/cli-reference.py {options.tarn} > {CLI}")
    for fault in faults:
        print(fault)
    documents = len(checker.documents())
    print(f"check-docs: {documents} documents, {len(faults)} faults", file=sys.stderr)
    sys.exit(1 if faults or not documents else 0)


if __name__ == "__main__":
    main()
