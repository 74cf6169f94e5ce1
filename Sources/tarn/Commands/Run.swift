import ArgumentParser
import BlockingIO
import CLinux
import ErrorMessages
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Versioning

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a program over a commit at a path of its own, and write down what it read.",
        discussion: """
            The revision is mounted read-only at DIR for this program and its children alone: whatever else lies at DIR, and on however many \
            branches, each run sees its own at the same place. It works without privileges, too (the program is then root in a user \
            namespace). The exit code is the program's.

            --receipt writes what was read: the commit, each file with its content id, the command, times, exit code, host. \
            'tarn receipt verify' checks it against the repository, 'tarn receipt diff' compares two runs. With TARN_SIGNING_KEY it is \
            signed (FILE.sig). The file must not be there yet. It is made before the program starts; when 'tarn run' is killed, the mount \
            ends, and the receipt says so.

            --write mounts a branch to be written to. What the program writes is staged; with --commit it is committed when the program \
            ends with 0. Otherwise it stays staged ('tarn status --workspace BRANCH'), unless --discard-on-failure. A run that is \
            killed leaves no mount: run it again, or commit what is staged.

              tarn run --ref main --at /lake --receipt train.jsonl -- python3 train.py /lake
              tarn run --write --ref ingest --at /lake --commit -m "Load" -- sh load.sh /lake
            """)

    @Option(name: .customLong("ref"), help: ArgumentHelp("The branch, tag or commit.", valueName: "rev")) var revision:
        String
    @Option(
        name: .customLong("at"),
        help: ArgumentHelp("Where the program sees it; made if it is not there.", valueName: "dir"))
    var directory: String
    @Option(help: ArgumentHelp("Write what was read to this file.", valueName: "file")) var receipt: String?
    @Flag(help: "Note the byte ranges, too (with the kernel's read-ahead).") var ranges = false
    @OptionGroup var writing: WritingArguments
    @Option(
        name: .customLong("cache-size"),
        help: ArgumentHelp("The most that the block cache takes on disk from now on.", valueName: "size"))
    var cacheSize: String?
    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.") var command: [String]
    @OptionGroup var repository: RepositoryArguments

    func run() throws {
        let words = command.first == "--" ? Array(command.dropFirst()) : command
        guard !words.isEmpty else { throw CommandFailure(message: "which program?", kind: .usage) }
        guard directory.hasPrefix("/") else {
            throw CommandFailure(message: "--at is an absolute path, such as /lake", kind: .usage)
        }
        try writing.check(receipt: receipt)
        let limit = try cacheSize.map { try parseSize($0) }
        try prepareMountPoint()
        // Before any thread is started, which a user namespace forbids.
        guard tarn_private_mounts() == 0 else {
            throw CommandFailure(
                message: "this process cannot have mounts of its own: \(String(cString: strerror(errno)))",
                hint: "Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)")
        }
        let opened = try repository.open(cacheLimitBytes: limit)
        if writing.write {
            return try writing.run(words, on: revision, at: directory, opened, repository.store)
        }
        let found = try opened.database.resolve(revision)
        // Of this user only: nobody else can put a file of theirs there.
        let records = try makeTemporaryDirectory("reads")
        let reads = records + "/reads"
        defer {
            unlink(reads)
            rmdir(records)
        }
        var header = ReceiptFile.Header(
            repository: opened.database.config.id.uuidString.lowercased(), location: opened.database.store.location,
            revision: revision, commit: found.commitID, mountPoint: directory, command: words,
            directory: currentDirectory() ?? "", who: try? AuthorArguments.parse([]).resolve(), host: hostName(),
            started: now())
        let beginning = try beginReceipt(header)
        var recording: [String] = []
        if let receipt {
            let path = receipt.hasPrefix("/") ? receipt : "\(currentDirectory() ?? ".")/\(receipt)"
            recording = ["--record", reads, "--record-receipt", path] + (ranges ? ["--record-ranges"] : [])
        }
        do {
            try runTarn(
                ["mount", opened.database.store.location, directory, "--ref", found.commitID.hex] + OwnedMount.words
                    + recording + repository.store.words)
        } catch {
            if let receipt, ReceiptFile.FileIdentity(path: receipt) == beginning?.identity { unlink(receipt) }
            throw error
        }
        let outcome = Result { try runProgram(words, ignoringInterrupts: true) }
        header.ended = now()
        let isWhole = end()
        switch outcome {
        case .success(let code): header.exitCode = code
        case .failure: header.ending = "the program could not be started"
        }
        if !isWhole || (receipt != nil && access(reads, F_OK) != 0) { header.isComplete = false }
        let isReceiptWritten = endReceipt(header, reads, beginning)
        let code = try outcome.get()
        if code != 0 { throw ExitCode(code) }
        if !isReceiptWritten { throw ExitCode(Code.failed.rawValue) }
    }

    /// Before the program starts: what cannot be written is told while nothing is lost.
    private func beginReceipt(_ header: ReceiptFile.Header) throws -> ReceiptFile.Beginning? {
        guard let receipt else { return nil }
        let isSigned = environment("TARN_SIGNING_KEY") != nil
        // Also a link that leads nowhere.
        for path in [receipt] + (isSigned ? [receipt + ".sig"] : []) where ReceiptFile.FileIdentity(path: path) != nil {
            throw CommandFailure(
                message: "there is a file at \(path) already", hint: "Choose another name for this run's receipt",
                kind: .refused)
        }
        do {
            return try ReceiptFile.begin(header, at: receipt)
        } catch {
            // A full disk leaves an empty file, which would stop the next run.
            if let size = try? FileManager.default.attributesOfItem(atPath: receipt)[.size] as? Int, size == 0 {
                unlink(receipt)
            }
            throw error
        }
    }

    /// Ends the mount. Answers whether all that was read in it is noted: nothing goes on in it.
    private func end() -> Bool {
        do {
            return try Unmounting(directory, isLazy: false).endOwn()
        } catch {
            writeError("tarn: the mount at \(directory): \(words(of: error))")
            return false
        }
    }

    /// Answers whether the receipt is whole at its place, if there is to be one. What is wrong is told, and does not change the exit
    /// code of a program that failed.
    private func endReceipt(
        _ header: ReceiptFile.Header, _ reads: String, _ beginning: ReceiptFile.Beginning?
    ) -> Bool {
        guard let receipt, let beginning else { return true }
        defer { withExtendedLifetime(beginning) {} }
        do {
            let written = try ReceiptFile.write(header, reads: reads, to: receipt, replacing: beginning.identity)
            try signReceipt(written.path)
            let isWhole = header.isComplete != false
            writeError(
                "tarn: \(written.path): \(count(written.files, "file")) of \(header.commit.hex.prefix(12))\(isWhole ? "" : ", and perhaps more")"
            )
            if written.path == receipt { return true }
            writeError("tarn: somebody else's file is at \(receipt); the receipt of this run is at \(written.path)")
        } catch {
            writeError("tarn: the receipt \(receipt) is not whole: \(words(of: error))")
        }
        return false
    }

    private func prepareMountPoint() throws {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(
                message: "\(directory) is not there and cannot be made", hint: "Make it first: sudo mkdir \(directory)")
        }
    }

    private func signReceipt(_ path: String) throws {
        guard let key = environment("TARN_SIGNING_KEY"), let data = FileManager.default.contents(atPath: path) else {
            return
        }
        let signature = Data(try SSHSigner(key).sign([UInt8](data)))
        do {
            try signature.write(to: URL(filePath: path + ".sig"), options: .withoutOverwriting)
        } catch {
            throw CommandFailure(message: "its signature cannot be written to \(path).sig")
        }
    }
}

struct Receipt: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a run read ('tarn run --receipt'): check it, compare it.",
        subcommands: [VerifyReceipt.self, DiffReceipts.self], defaultSubcommand: VerifyReceipt.self)

    struct VerifyReceipt: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Check a receipt against the repository: commit, paths, content ids.",
            discussion:
                "Exit code 1 when something does not fit. 'tarn fsck --read-data' tells whether the bytes are still there."
        )
        @Argument(help: "The receipt.") var file: String
        @Option(
            help: ArgumentHelp(
                "Also verify FILE.sig against this file (ssh-keygen's allowed signers).", valueName: "file"))
        var allowedSigners: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            var findings: [String] = []
            var files = 0
            var tree: SnapshotTree?
            // The commit is on the first line, and needed for every other.
            let header = try ReceiptFile.read(file)
            if header.repository != repository.database.config.id.uuidString.lowercased() {
                findings.append("it is of another repository: \(header.repository)")
            }
            do {
                tree = repository.database.tree(try repository.database.commit(header.commit).tree)
            } catch let error as ObjectDatabaseError {
                findings.append("its commit: \(words(of: error))")
            }
            if let tree {
                _ = try ReceiptFile.read(file) { line in
                    files += 1
                    let entry = try tree.entry(at: line.treePath())?.entry.file
                    if entry?.contentID != line.content || entry?.sizeBytes != line.size {
                        findings.append(
                            "\(line.path): the commit has \(entry.map { $0.contentID.hex } ?? "no such file")")
                    }
                }
            }
            if header.isComplete == false {
                findings.append(
                    "it may not name all that was read: \(header.ending ?? "something went on in the mount")")
            }
            if let allowedSigners { findings += try signatureFindings(AllowedSigners(file: allowedSigners), header) }
            try show(header, files, findings)
            if !findings.isEmpty { throw ExitCode(Code.failed.rawValue) }
        }

        private static let maximumSignatureBytes = 1 << 20

        private func signatureFindings(_ signers: AllowedSigners, _ header: ReceiptFile.Header) throws -> [String] {
            guard let signature = try readSmallFile(file + ".sig", limitBytes: Self.maximumSignatureBytes),
                let receipt = FileManager.default.contents(atPath: file)
            else { return ["it is not signed"] }
            let isGood = try signers.isGood(signature, over: [UInt8](receipt), by: header.who ?? "")
            return isGood ? [] : ["it is signed, but not by \(header.who ?? "anybody it names")"]
        }

        private func show(_ header: ReceiptFile.Header, _ files: Int, _ findings: [String]) throws {
            struct Result: Encodable {
                let commit: String
                let files: Int
                let command: [String]
                let exitCode: Int32?
                let isComplete: Bool
                let findings: [String]
            }
            let result = Result(
                commit: header.commit.hex, files: files, command: header.command, exitCode: header.exitCode,
                isComplete: header.isComplete != false, findings: findings)
            let output = json.output
            try output.show(result) {
                let run: TerminalText =
                    "\(header.command.joined(separator: " "))  on \(header.host), \(header.started.rfc3339.prefix(19))Z, \(header.exitCode.map { "exit code \($0)" } ?? header.ending ?? "exit code unknown")"
                let verdict: [TerminalText] =
                    findings.isEmpty
                    ? ["It read \(count(files, "file")) of commit \(header.commit.hex); everything fits."]
                    : findings.map { output.paint("\($0)", .red) } + ["\(count(findings.count, "finding"))."]
                return ([run] + verdict).joined(separator: "\n")
            }
        }
    }

    struct DiffReceipts: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "diff", abstract: "What two runs read differently.",
            discussion: "Exit code 1 when they read different files or bytes.")
        @Argument(help: "The first receipt.") var first: String
        @Argument(help: "The second one.") var second: String
        @OptionGroup var json: JSONArguments

        func run() throws {
            var old: [String: ReceiptFile.File] = [:]
            let oldHeader = try ReceiptFile.read(first) { old[$0.pathHex ?? $0.path] = $0 }
            struct Difference: Encodable {
                let path: String
                let first: String?
                let second: String?
            }
            var differences: [Difference] = []
            let newHeader = try ReceiptFile.read(second) { file in
                let before = old.removeValue(forKey: file.pathHex ?? file.path)
                if before?.content != file.content || before?.ranges != file.ranges {
                    differences.append(
                        Difference(path: file.path, first: before?.content.hex, second: file.content.hex))
                }
            }
            differences += old.values.map { Difference(path: $0.path, first: $0.content.hex, second: nil) }
            differences.sort { $0.path < $1.path }
            struct Result: Encodable {
                let firstCommit: String
                let secondCommit: String
                let differences: [Difference]
            }
            let result = Result(
                firstCommit: oldHeader.commit.hex, secondCommit: newHeader.commit.hex, differences: differences)
            let output = json.output
            try output.show(result) {
                var lines: [TerminalText] = [
                    oldHeader.commit == newHeader.commit
                        ? "Both read commit \(oldHeader.commit.hex.prefix(12))."
                        : "They read commits \(oldHeader.commit.hex.prefix(12)) and \(newHeader.commit.hex.prefix(12))."
                ]
                lines += differences.map { difference in
                    switch (difference.first, difference.second) {
                    case (nil, _): output.paint("A  \(difference.path)", .green)
                    case (_, nil): output.paint("D  \(difference.path)", .red)
                    case (let old, let new):
                        output.paint("M  \(difference.path)\(old == new ? "  (other ranges)" : "")", .yellow)
                    }
                }
                if differences.isEmpty { lines.append("They read the same files.") }
                return lines.joined(separator: "\n")
            }
            if !differences.isEmpty { throw ExitCode(Code.failed.rawValue) }
        }
    }
}
