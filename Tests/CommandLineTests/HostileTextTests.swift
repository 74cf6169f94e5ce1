import ArgumentParser
import BlockingIO
import ErrorMessages
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

@testable import tarn

/// A repository in which everything that somebody may name or write does its worst to a terminal. Rule (A6): no command lets
/// any of it through, and no line of its output is one that a stranger wrote.
@Suite struct HostileTextTests {
    /// Colours, a title, the cursor's place, C1, direction, and line breaks with a line that looks like ours.
    private static let worst =
        "A\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{2066}\r\nFALSE line\u{2028}FALSE\u{2029}FALSE\u{85}FALSE\rFALSE\u{0b}FALSE"

    private final class Lake {
        let directory = "/tmp/tarn-hostile-\(UUID().uuidString)"
        let repository: Repository

        init() throws {
            try makeDirectories(directory + "/data")
            let store = try openStore(
                StoreLocation.parse(directory + "/lake"), options: StoreOptions(create: true))
            repository = try Repository.create(
                in: store, quirks: .init(quoteIfMatch: false), author: worst, logger: makeLogger(verbose: false))
            for (number, name) in ["x" + worst, "link"].enumerated() {
                let path = directory + "/data/" + name
                if number == 0 { try Data("text".utf8).write(to: URL(filePath: path)) } else { symlink(worst, path) }
            }
            let main = try RefName.branch("main")
            let published = try repository.importDirectory(
                directory + "/data", into: main, CommitInfo(author: worst, message: worst, metadata: [worst: worst]))
            try repository.createRef(.tag("v1"), at: published.commitID, who: worst, why: worst, main: nil)
            _ = try repository.approve(published.commitID, for: .merge, of: main, who: worst, why: worst)
            _ = try repository.changeProtection(who: worst, why: worst) {
                $0.adding(ProtectionRule(pattern: "x" + worst, approvals: 1))
            }
            _ = try repository.setRetention(
                worst, to: RetentionRule(branches: worst, days: 1, commits: nil, who: worst, when: now()), who: worst)
            let record = HookRecord(
                hook: worst, event: worst, ref: worst, commit: published.commitID, file: ContentID(hashing: [1]),
                action: worst, who: worst, host: worst, started: now(), ended: now(), verdict: .refused, code: 1,
                output: worst + "\tx", isOutputCut: false)
            _ = try repository.saveHookRecord(record)
        }

        deinit { try? FileManager.default.removeItem(atPath: directory) }

        /// What a command prints on both streams.
        func output(_ words: [String]) throws -> String {
            let ends = try makePipe()
            var options = ChildProcess.Options()
            options.output = .descriptor(ends.writing)
            options.error = .descriptor(ends.writing)
            options.environment = [
                "HOME=\(directory)", "TARN_REPO=\(directory)/lake", "TARN_STATE_DIR=\(directory)/state",
                "TARN_CACHE_DIR=\(directory)/cache", "TARN_AUTHOR=Ada <ada@example.org>", "PATH=/usr/bin:/bin",
            ]
            let child = try ChildProcess.start(testedProgram, ["tarn"] + words, options)
            close(ends.writing)
            defer { close(ends.reading) }
            let bytes = try #require(try readToEnd(ends.reading, limitBytes: 16 << 20))
            _ = child.wait()
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private static let commands: [[String]] = [
        ["log"], ["log", "--oneline"], ["log", "--graph"], ["show", "main"], ["blame"], ["ls", "-l"], ["ls", "-r"],
        ["stat", "main:link"], ["audit", "log"], ["audit", "verify"], ["branch", "list"], ["tag", "list"],
        ["hooks", "log"], ["hooks", "list"], ["protect", "list"], ["retention", "list"],
        ["gc", "--all", "--grace", "0"],
        ["du"], ["fsck"], ["diff", "main~1", "main"], ["approve", "main"], ["merge", "v1", "--dry-run"],
        ["protect", "remove", "x\u{1b}[2J"], ["log", "no\u{1b}[2J\nFALSE"], ["stat", "main:no\u{1b}\nFALSE"],
        ["log", "--no-such\u{1b}\nFALSE"], ["\u{1b}[2J\nFALSE"], ["ls", "--repo", "/no/\u{1b}\nFALSE"],
        ["branch", "create", "x\u{1b}[2J\nFALSE"], ["receipt", "diff", "/no\u{1b}\nFALSE", "/no\u{9b}"],
        ["-C", "/no\u{1b}\nFALSE", "log"], ["mount", "/no\u{1b}", "/no\u{1b}\nFALSE"],
    ]

    @Test func noCommandPrintsWhatDoesSomethingToATerminal() throws {
        let lake = try Lake()
        for command in Self.commands {
            for words in [command, command + ["--json"]] {
                let text = try lake.output(words)
                #expect(!text.isEmpty || command == ["hooks", "list"], "\(words)")
                for scalar in text.unicodeScalars where isUnprintable(scalar) && scalar != "\n" && scalar != "\t" {
                    Issue.record("U+\(String(scalar.value, radix: 16)) in \(words): \(text.debugDescription)")
                    break
                }
                let lines = text.unicodeScalars.split(separator: "\n").map { String($0) }
                #expect(!lines.contains { $0.hasPrefix("FALSE") }, "\(words): \(text)")
            }
        }
    }

    /// JSON says exactly what there is.
    @Test func jsonIsExact() throws {
        let lake = try Lake()
        struct Line: Decodable {
            struct Commit: Decodable {
                let author: String
                let message: String
                let metadata: [String: String]
            }
            let commit: Commit
        }
        let text = try lake.output(["log", "-n", "1", "--json"])
        let lines = try JSONDecoder().decode([Line].self, from: Data(text.utf8))
        let commit = try #require(lines.first?.commit)
        #expect(commit.author == Self.worst && commit.message == Self.worst)
        #expect(commit.metadata == [Self.worst: Self.worst])
    }

    /// A record of CSV has ten cells, whatever is in them, and only quoted ones go over the end of a line.
    @Test func csvOfTheAuditTrailIsWellFormed() throws {
        let text = try Lake().output(["audit", "log", "--csv"])
        var records: [[String]] = [[""]]
        var isQuoted = false
        for scalar in text.unicodeScalars {
            let last = records.count - 1
            switch scalar {
            case "\"": isQuoted.toggle()
            case "," where !isQuoted: records[last].append("")
            case "\n" where !isQuoted: records.append([""])
            case "\r" where !isQuoted: break
            default: records[last][records[last].count - 1].unicodeScalars.append(scalar)
            }
        }
        #expect(records.removeLast() == [""])
        #expect(records.count > 4)
        #expect(records.allSatisfy { $0.count == 10 }, "\(records)")
        #expect(!text.unicodeScalars.contains { isUnprintable($0) && $0 != "\r" && $0 != "\n" })
        #expect(csvCell("a\nb") == "\"a\nb\"" && csvCell("a\"b") == "\"a\"\"b\"" && csvCell("plain") == "plain")
    }

    /// What cannot be printed cannot be a name.
    @Test func anAuthorHasNoControlCharacters() throws {
        for bad in ["A\nB <a@b>", "A\u{1b}[2J <a@b>", "A\u{202e} <a@b>", "A\u{9b} <a@b>", "A\r", "A"] {
            let failure = #expect(throws: CommandFailure.self) {
                try AuthorArguments.parse(["--author", bad]).resolve()
            }
            #expect(failure?.kind.exitCode == .usage)
        }
        #expect(try AuthorArguments.parse(["--author", "Zoë <z@b>"]).resolve() == "Zoë <z@b>")
    }

    @Test func theLogOfAMountIsEscaped() {
        let error = StoreError.refused(key: "a\u{1b}", status: 400, code: "x\n", message: Self.worst)
        #expect(!logLine(of: error).shown.unicodeScalars.contains(where: isUnprintable))
    }
}
