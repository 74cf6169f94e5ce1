"""The self test of check-docs.py: small made-up repositories, each with one fault that must be found."""
import pathlib
import tempfile

GOOD = {
    "README.md": "# Lake\n\n`Pond.fill` and `Pond` in `Sources/Pond.swift`; `drain(from:into:)`, `isDeep`,\n"
    "`SEEK_HOLE`, `Pond+Water`, `outside/*`, `write(2)`. [depth](docs/a.md#how-deep-it-is)\n`tarn go --far`\n\n"
    "```\n$ tarn go --far; echo Nowhere.fill\n```\n",
    "docs/a.md": "# A\n## How deep it is?\n`POND_DEPTH` and [home](../README.md)\n",
    "docs/reference/CONFIGURATION.md": "# Settings\n`TARN_POND`\n",
    "scripts/check-docs-allowed.txt": "SEEK_HOLE  # lseek\noutside/*\n",
    "Sources/Pond.swift": "struct Pond { let isDeep = true; func fill() {} }\n"
    'func drain(\n  from one: Int, into two: [Int: Int]) { getenv("TARN_POND") }\nlet POND_DEPTH = 1\n',
    "Sources/Lake/Overview.swift": "// `Pond` drains by `Pond.fill`. See docs/a.md, \"How deep it\n// is?\".\n",
    "Makefile": "depth: docs/a.md docs/*.md\n",
    "Sources/Pond+Water.swift": "extension Pond { enum Wave { case high, low(Int) } }\n",
}
COMMANDS = {"commandName": "tarn", "arguments": [], "subcommands": [
    {"commandName": "go", "arguments": [{"kind": "flag", "names": [{"kind": "long", "name": "far"}]}],
     "subcommands": []}]}

# What is added to README.md (or which file is replaced), and a word of the fault that must be told.
BAD = [
    ("README.md", "`Puddle`\n", "no such type"),
    ("README.md", "`Puddle.fill`\n", "no type Puddle"),
    ("README.md", "`Pond.drown`\n", "Pond has no drown"),
    ("README.md", "`flood(…)`\n", "no function flood"),
    ("README.md", "`drain(from:onto:)`\n", "takes from:onto:"),
    ("README.md", "`isShallow`\n", "no such declaration"),
    ("README.md", "`FUSE_POND`\n", "no such name"),
    ("README.md", "`ENOPOND`\n", "no such name"),
    ("README.md", "`Sources/Puddle.swift`\n", "no such file"),
    ("README.md", "`Puddle.swift`\n", "no such file"),
    ("README.md", "`puddles/deep/`\n", "no such file"),
    ("README.md", "`Pond+Fire`\n", "no such file"),
    ("README.md", "`scripts/dig.sh --deep`\n", "no such file"),
    ("README.md", "[x](docs/b.md)\n", "leads nowhere"),
    ("README.md", "![x](docs/b.svg)\n", "leads nowhere"),
    ("README.md", "[x\ny](docs/b.md)\n", "leads nowhere"),
    ("README.md", "`Puddle\nFill`\n", "does not end in its line"),
    ("README.md", "[x](docs/a.md#how-wide)\n", "no such heading"),
    ("README.md", "[x](#nothing)\n", "no such heading"),
    ("README.md", "line\n" * 90, "80 is the most"),
    ("README.md", "word " * 21 + "\n", "100 is the most"),
    ("README.md", "| " + "x" * 100 + " |\n", "100 is the most"),
    ("docs/howto/b.md", "```\n" + "x" * 101 + "\n```\n", "100 is the most"),
    ("docs/a.md", "word " * 21 + "\n", "100 is the most"),
    ("Sources/Lake/Overview.swift", "// `Puddle`\n", "no such type"),
    ("Sources/Lake/Overview.swift", "// " + "word " * 21 + "\n", "100 is the most"),
    ("Sources/Pond.swift", "// See docs/b.md.\n", "no such document"),
    ("Sources/Pond.swift", "// See docs/a.md, \"How\n// wide\".\n", "no heading"),
    ("bench/dig.py", "# docs/plots/*.svg\n", "no such document"),
    ("docs/deep/c.md", "`Puddle`\n", "no such type"),
    ("README.md", "`tarn swim`\n", "no subcommand swim"),
    ("README.md", "`tarn go --wide`\n", "no option --wide"),
    ("README.md", "```\n$ X=1 tarn -C pond go --wide x\n```\n", "no option --wide"),
    ("README.md", "`tarn go there`\n", "takes no argument there"),
    ("Sources/Pond.swift", "let a = \"See 'tarn go \\(where(1).name)'\"\n", "takes no argument VALUE"),
    ("docs/reference/CONFIGURATION.md", None, "TARN_POND of Sources/Pond.swift is missing"),
]


def faults(check, changes):
    with tempfile.TemporaryDirectory(prefix="check-docs-") as directory:
        root = pathlib.Path(directory).resolve()
        for name, text in {**GOOD, **changes}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return check.Checker(root, COMMANDS).check()


def run(check):
    """The number of cases that did not come out as they must."""
    wrong = 0
    found = faults(check, {})
    if found:
        wrong += 1
        print("the good repository has faults:", *found, sep="\n  ")
    for name, addition, word in BAD:
        changes = {name: "# Nothing\n" if addition is None else GOOD.get(name, "# B\n") + addition}
        found = faults(check, changes)
        if not found or any(word not in fault for fault in found):
            wrong += 1
            print(f"{name} with {addition!r}: wanted one fault with '{word}', got {found}")
    print(f"check-docs --self-test: {len(BAD) + 1} cases, {wrong} wrong")
    return min(wrong, 1)
