#!/usr/bin/env python3
"""Prints the target graph of Package.swift in layers, and holds the sources against it.

    scripts/target-graph.py [--root DIRECTORY]
    scripts/target-graph.py --self-test

Each fault is a line, and the exit code is 1 when there is one. The rules:
- A file imports only what Package.swift lists for its target.
- What Package.swift lists for a target is imported by a file of it.
- The graph has no cycle.
- A target imports only targets of lower layers (LAYERS), with the exceptions of FORBIDDEN and ONLY.
- No target outside Tests/ depends on one in Tests/.
- The table of docs/explanation/ARCHITECTURE.md that begins `| Layer | Target | Imports |` is this graph.

Needs `swift` (for `swift package dump-package`) and the standard library. The self test needs
neither `swift` nor the package.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import textwrap

COLUMNS = 100
ARCHITECTURE = "docs/explanation/ARCHITECTURE.md"
TABLE_HEAD = "| Layer | Target | Imports |"
# The targets in Sources/, highest first. Those of one layer do not import each other.
LAYERS = (
    ("tarn",),
    ("FUSEServer",),
    ("VFS",),
    ("ErrorMessages", "Operations"),
    ("ObjectDatabase", "Staging"),
    ("BlockCache", "ObjectStorage", "Versioning"),
    ("ProllyTree",),
    ("BlockingIO",),
    ("CCurl", "CFUSE", "CLinux", "CZstd"),
)
# Imports that the layers would allow.
FORBIDDEN = (("VFS", "Operations"),)
# All that these targets may import of ours.
ONLY = {"BlockCache": ("BlockingIO",)}

IMPORT = re.compile(
    r"(?:^|;)[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|typealias|func|let|var|actor)\s+)?(\w+)", re.M)
# What is no code: strings of many lines, strings of one, and comments.
NO_CODE = re.compile(r'#*"""(?s:.*?)"""#*|"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*(?s:.*?)\*/')
INCLUDE = re.compile(r"^\s*#\s*(?:include|import)\s*[<\"]([^>\"]+)[>\"]", re.M)


class Rules:
    """What the arrows must keep to."""

    def __init__(self, layers=LAYERS, forbidden=FORBIDDEN, only=ONLY):
        self.layers, self.forbidden, self.only = layers, forbidden, only


class Target:
    def __init__(self, name, directory, modules, is_test):
        self.name, self.directory, self.modules, self.is_test = name, directory, modules, is_test


def read_targets(dump):
    """The targets of `swift package dump-package`; a product is called like its module."""
    targets = {}
    for entry in dump["targets"]:
        modules = []
        for dependency in entry["dependencies"]:
            (values,) = dependency.values()
            modules.append(values[0])
        top = "Tests" if entry["type"] == "test" else "Sources"
        directory = entry.get("path") or f"{top}/{entry['name']}"
        targets[entry["name"]] = Target(entry["name"], directory, modules, directory.startswith("Tests/"))
    return targets


def imports_of(root, target, headers):
    """The modules that the target's files import, each with its first place `file:line`."""
    found = {}
    for path in sorted((root / target.directory).rglob("*")):
        if path.suffix == ".swift":
            # Lines stay where they are.
            text = NO_CODE.sub(lambda match: "\n" * match[0].count("\n"), path.read_text())
            matches = [(match[1], match.start(1)) for match in IMPORT.finditer(text)]
        elif path.suffix in (".c", ".h"):
            text = path.read_text()
            matches = [(headers.get(pathlib.Path(match[1]).name), match.start(1)) for match in INCLUDE.finditer(text)]
        else:
            continue
        for name, offset in matches:
            line = text.count("\n", 0, offset) + 1
            found.setdefault(name, f"{path.relative_to(root)}:{line}")
    return found


def headers_of(root, targets):
    """Whose each public header is."""
    return {path.name: target.name for target in targets.values()
            for path in (root / target.directory / "include").glob("*.h")}


def import_faults(root, targets):
    known = set(targets) | {name for target in targets.values() for name in target.modules}
    headers, faults = headers_of(root, targets), []
    for target in targets.values():
        imports = imports_of(root, target, headers)
        for name, place in imports.items():
            if name in known and name != target.name and name not in target.modules:
                faults.append(f"{place}: imports {name}, which Package.swift does not list for {target.name}")
        for name in target.modules:
            if name not in imports:
                faults.append(f"Package.swift: {target.name} lists {name}, which no file of it imports")
    return faults


def cycle_faults(targets):
    """One fault for each cycle that a walk meets."""
    faults, done = [], set()

    def walk(name, path):
        if name in path:
            faults.append("Package.swift: a cycle: " + " > ".join(path[path.index(name):] + [name]))
        elif name in targets and name not in done:
            for below in targets[name].modules:
                walk(below, path + [name])
            done.add(name)

    for name in targets:
        walk(name, [])
    return faults


def layer_faults(targets, rules):
    height = {name: -number for number, layer in enumerate(rules.layers) for name in layer}
    faults = [f"LAYERS names {name}, which Package.swift has not" for name in height if name not in targets]
    for target in targets.values():
        if target.is_test:
            continue
        if target.name not in height:
            faults.append(f"Package.swift: {target.name} is in no layer of scripts/target-graph.py")
            continue
        for name in target.modules:
            arrow = f"Package.swift: {target.name} must not import {name}"
            if name not in targets:
                continue
            if targets[name].is_test:
                faults.append(f"{arrow}, which is for tests")
            elif height.get(name, -len(rules.layers)) >= height[target.name]:
                faults.append(f"{arrow}, which is in the same layer or a higher one")
            elif (target.name, name) in rules.forbidden:
                faults.append(f"{arrow}: FORBIDDEN in scripts/target-graph.py")
            elif name not in rules.only.get(target.name, (name,)):
                faults.append(f"{arrow}: ONLY in scripts/target-graph.py")
    return faults


def table(targets, layers):
    """The rows of the table in ARCHITECTURE, highest first; targets that import nothing of ours have none."""
    rows = []
    for number, layer in reversed(list(enumerate(reversed(layers)))):
        for name in sorted(name for name in layer if name in targets):
            ours = [below for below in targets[name].modules if below in targets]
            rows += [f"| {number} | {name} | {', '.join(ours)} |"] if ours else []
    return rows


def document_faults(root, targets, layers):
    """What the table in ARCHITECTURE lacks and has too much."""
    lines = (root / ARCHITECTURE).read_text().splitlines()
    if TABLE_HEAD not in lines:
        return [f"{ARCHITECTURE}: it has no table {TABLE_HEAD}"]
    start = lines.index(TABLE_HEAD) + 2
    end = next((number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines))
    found, wanted = lines[start:end], table(targets, layers)
    return ([f"{ARCHITECTURE}: missing: {row}" for row in wanted if row not in found]
            + [f"{ARCHITECTURE}:{start + number}: not in the graph: {row}"
               for number, row in enumerate(found, 1) if row not in wanted])


def graph(targets, layers):
    """Lowest first: each target with ours that it lists, and in brackets the others'."""
    named = [name for layer in layers for name in layer]
    tests = [name for name in targets if name not in named]
    rows = [(str(number), sorted(layer)) for number, layer in enumerate(reversed(layers))] + [("tests", tests)]
    width = max(map(len, targets))
    lines = [f"{'layer':5}  {'target':{width}}  imports"]
    for label, names in rows:
        for name in (name for name in names if name in targets):
            ours = [below for below in targets[name].modules if below in targets]
            others = [below for below in targets[name].modules if below not in targets]
            brackets = [f"({', '.join(others)})"] if others else []
            start = f"{label:5}  {name:{width}}  "
            text = start + " ".join([", ".join(ours)] * bool(ours) + brackets)
            lines += textwrap.wrap(text, COLUMNS, subsequent_indent=" " * len(start))
            label = ""
    return "\n".join(lines)


def check(root, dump, rules):
    """The targets, and what is wrong with them."""
    targets = read_targets(dump)
    faults = import_faults(root, targets) + cycle_faults(targets) + layer_faults(targets, rules)
    return targets, faults + document_faults(root, targets, rules.layers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--self-test", action="store_true", help="do made-up faults fail?")
    options = parser.parse_args()
    if options.self_test:
        sys.dont_write_bytecode = True
        import target_graph_cases
        sys.exit(target_graph_cases.run(sys.modules[__name__]))
    done = subprocess.run(["swift", "package", "dump-package"], cwd=options.root, check=True, stdout=subprocess.PIPE)
    targets, faults = check(options.root.resolve(), json.loads(done.stdout), Rules())
    print(graph(targets, LAYERS))
    for fault in faults:
        print(fault)
    print(f"target-graph: {len(targets)} targets, {len(faults)} faults", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
