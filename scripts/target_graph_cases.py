"""The self test of target-graph.py: a small made-up package, and changes to it that must be told."""
import pathlib
import tempfile

LAYERS = (("app",), ("Shop", "Yard"), ("Store",), ("Files",), ("CKernel",))
FORBIDDEN = (("app", "Files"),)
ONLY = {"Store": ("Files",)}

# Each target: its type, what Package.swift lists for it, and its files.
GOOD = {
    "CKernel": ("regular", [], {"include/kernel.h": "", "kernel.c": '#include "kernel.h"\n'}),
    "Files": ("regular", ["CKernel"], {"Files.swift": "import CKernel\n"}),
    "Store": ("regular", ["Files", "Logging"], {
        "Store.swift": "// import Shop\n/* a\nimport Shop\n*/\n@preconcurrency import Logging\n"
        'let script = """\n    import Yard\n    """\n',
        "Deep/Shelf.swift": "package import class Files.File\nimport Glibc\n"}),
    "Shop": ("regular", ["Store"], {"Shop.swift": "import Store; let url = \"a // b\"\n"}),
    "Yard": ("regular", [], {"Yard.swift": "import Foundation\n"}),
    "app": ("executable", ["Shop", "Yard"], {"Main.swift": "import Shop; import Yard\n"}),
    "ShopTests": ("test", ["Shop", "Support"], {"Shop.swift": "@testable import Shop\nimport Support\n"}),
    "Support": ("regular", ["Store", "Logging"], {
        "Support.swift": "@_exported import Store\nimport Logging\n"}),
}
PATHS = {"Support": "Tests/Support"}
TABLE = """# Architecture
| Layer | Target | Imports |
| --- | --- | --- |
| 4 | app | Shop, Yard |
| 3 | Shop | Store |
| 2 | Store | Files |
| 1 | Files | CKernel |
"""
# A replacement in the table, and what must be told.
BAD_TABLES = [
    (("Shop, Yard", "Shop"), ["missing: | 4 | app | Shop, Yard |", ":4: not in the graph: | 4 | app | Shop |"]),
    (("| 3 | Shop | Store |\n", ""), ["missing: | 3 | Shop | Store |"]),
    (("| 2 | Store", "| 3 | Store"), ["missing: | 2 | Store", ":6: not in the graph"]),
    (("Layer", "Level"), ["it has no table"]),
]


def listed(name, *modules):
    """The package whose target lists more, and imports it too."""
    kind, old, files = GOOD[name]
    more = "".join(f"import {module}\n" for module in modules)
    return {name: (kind, old + list(modules), {**files, "More.swift": more})}


def imported(name, text, file="More.swift"):
    kind, old, files = GOOD[name]
    return {name: (kind, old, {**files, file: text})}


def without(name, module):
    kind, old, files = GOOD[name]
    return {name: (kind, [one for one in old if one != module], files)}


# A change of the package, and a part of every fault that must be told.
BAD = [
    (imported("Shop", "import Files\n"), ["Sources/Shop/More.swift:1: imports Files"]),
    (imported("Shop", "\n@testable import Files\n"), ["Sources/Shop/More.swift:2: imports Files"]),
    (imported("Shop", "internal import struct Files.File\n"), ["imports Files"]),
    (imported("Shop", "import Glibc; import Files\n"), ["imports Files"]),
    (imported("Shop", "import Logging\n"), ["imports Logging"]),
    (imported("Shop", "#include <kernel.h>\n", "shop.c"), ["Sources/Shop/shop.c:1: imports CKernel"]),
    (imported("ShopTests", "import Files\n"), ["Tests/ShopTests/More.swift:1: imports Files"]),
    (without("Store", "Logging"), ["imports Logging, which Package.swift does not list"]),
    ({"Yard": ("regular", ["Store"], GOOD["Yard"][2])}, ["Yard lists Store, which no file"]),
    ({"Yard": ("regular", ["Logging"], {"Yard.swift": "// import Logging\n"})}, ["lists Logging"]),
    (listed("CKernel", "Store"), ["a cycle: CKernel > Store > Files > CKernel", "higher"]),
    (listed("Files", "Files"), ["a cycle: Files > Files", "Files must not import Files"]),
    (listed("Files", "Yard"), ["Files must not import Yard, which is in the same layer or a higher"]),
    (listed("Shop", "Yard"), ["Shop must not import Yard, which is in the same layer"]),
    (listed("app", "Files"), ["app must not import Files: FORBIDDEN"]),
    (listed("Store", "CKernel"), ["Store must not import CKernel: ONLY"]),
    (listed("Yard", "Support"), ["Yard must not import Support, which is for tests"]),
    ({"Barn": ("regular", [], {"Barn.swift": ""})}, ["Barn is in no layer"]),
    ({"Yard": None, "app": ("executable", ["Shop"], {"Main.swift": "import Shop\n"})},
     ["LAYERS names Yard, which Package.swift has not"]),
]


def faults(check, changes, document=None):
    package = {name: entry for name, entry in {**GOOD, **changes}.items() if entry}
    dump = {"targets": []}
    with tempfile.TemporaryDirectory(prefix="target-graph-") as directory:
        root = pathlib.Path(directory).resolve()
        for name, (kind, modules, files) in package.items():
            products = {"Logging": {"product": ["Logging", "swift-log", None, None]}}
            dependencies = [products.get(module) or {"byName": [module, None]} for module in modules]
            entry = {"name": name, "type": kind, "dependencies": dependencies, "path": PATHS.get(name)}
            dump["targets"].append(entry)
            top = PATHS.get(name) or f"{'Tests' if kind == 'test' else 'Sources'}/{name}"
            for file, text in files.items():
                path = root / top / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        rules = check.Rules(LAYERS, FORBIDDEN, ONLY)
        path = root / check.ARCHITECTURE
        path.parent.mkdir(parents=True)
        if document is None:
            # The table follows the change, which is to be told by itself.
            rows = check.table(check.read_targets(dump), LAYERS)
            document = "\n".join([check.TABLE_HEAD, "| --- | --- | --- |", *rows])
        path.write_text(document)
        return check.check(root, dump, rules)[1]


def run(check):
    """The number of cases that did not come out as they must, at most 1."""
    wrong = 0
    cases = [({}, None, []), ({}, TABLE, [])] + [(changes, None, words) for changes, words in BAD]
    cases += [({}, TABLE.replace(*change), words) for change, words in BAD_TABLES]
    for changes, document, words in cases:
        found = faults(check, changes, document)
        if any(not any(word in fault for word in words) for fault in found) or any(
                not any(word in fault for fault in found) for word in words):
            wrong += 1
            print(f"{changes}, {document}: wanted faults with {words}, got {found}")
    print(f"target-graph --self-test: {len(cases)} cases, {wrong} wrong")
    return min(wrong, 1)
