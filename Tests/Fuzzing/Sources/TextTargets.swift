import Operations
import ProllyTree
import Versioning

/// What people write, and what is shown to them.
let textTargets: [FuzzTarget] = [
    FuzzTarget(
        name: "hooks-yaml",
        seeds: {
            [
                "hooks:\n- name: check\n  on: pre-commit\n  run: ./check.sh\n  timeout: 90s\n",
                "hooks:\n- {name: a, on: [post-merge], url: \"https://h/\", secret: S, branches: ['rel/*'], after: b}\n",
                "hooks: &a [*a]\n",
                "programs: [checks]\nhooks:\n- {name: a, on: pre-merge, run: x, at: /lake, env: [A]}\n",
                "a: &a [x, x]\nb: &b [*a, *a]\n? *b\n: c\n", "--- |\n  x\n...\n", "!!binary x",
            ].map { Array($0.utf8) }
        }
    ) { input in
        guard let text = String(validating: input, as: UTF8.self), let hooks = try? parseHooks(text).hooks else {
            return
        }
        require(hooks.allSatisfy { $0.timeoutSeconds > 0 && $0.timeoutSeconds <= 86_400 }, "a hook has a limit")
    },
    text("revision", ["main", "v1~2^2", "main@{2026-01-31}~1", "~", "main~1000000", "a@{"]) { text in
        _ = try? Revision(parsing: text)
        _ = try? splitRevisionPath(text)
    },
    text("ref-name", ["main", "release/1.0", "HEAD", "a..b", "x.lock"]) { text in
        for kind in RefName.Kind.allCases {
            guard let name = try? RefName(kind, text) else { continue }
            require(name.name == text && printableText(text) == text, "a name is for printing")
        }
    },
    FuzzTarget(
        name: "glob",
        seeds: { [joined(Array("a*b**?c".utf8), Array("axb/c".utf8)), Array("\u{80}**********aaaaaaaaaa".utf8)] }
    ) { input in
        let (pattern, text) = inTwo(input)
        _ = Glob(pattern).matches(text)
        require(Glob(Array("**".utf8)).matches(text), "two stars match all")
    },
    text(
        "date",
        [
            "2026-01-31", "2026-01-31T10:00:00.5+02:00", "0000-01-01", "9999-12-31", "yesterday", "3 days ago",
            "2.hours.ago",
        ]
    ) { text in
        let now = Timestamp(seconds: 1_800_000_000, nanoseconds: 5)
        _ = Timestamp(parsing: text, now: now)
        guard let time = Timestamp(parsing: text) else { return }
        if (-62_167_219_200..<253_402_300_800).contains(time.seconds) {
            require(Timestamp(parsing: time.rfc3339) == time, "a time comes back from its text")
        }
    },
    FuzzTarget(name: "seconds", seeds: { [[0, 0, 0, 0, 0, 0, 0, 128, 1], Array(repeating: 255, count: 9)] }) { input in
        guard input.count >= 8 else { return }
        let seconds = input.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
        _ = Timestamp(seconds: seconds, nanoseconds: UInt32(input.count)).rfc3339
    },
    FuzzTarget(name: "shown-text", seeds: { [[0x1b, 0x5b, 0x41], [0xff, 0xfe], Array("a\u{202e}b\r\n\tc".utf8)] }) {
        input in
        require(unescapedBytes(escapedText(input)) == input, "bytes come back from their text")
        let shown = printableName(input)
        require(!shown.unicodeScalars.contains(where: isUnprintable), "what is shown is for printing")
        require(printableText(shown) == shown, "what was escaped stays as it is")
        _ = TerminalText.block(String(decoding: input, as: UTF8.self), indent: "  ")
        _ = TerminalText.firstLine(of: escapedText(input))
    },
]

private func text(_ name: String, _ seeds: [String], _ body: @escaping @Sendable (String) -> Void) -> FuzzTarget {
    FuzzTarget(name: name, seeds: { seeds.map { Array($0.utf8) } }) { body(escapedText($0)) }
}
