import BlockingIO
import CLinux
import Crypto
import Foundation
import Glibc
import ObjectDatabase
import ProllyTree
import VFS
import Versioning

/// What one run read, as lines of JSON: a header, a line for each file in the order of tree keys, and a last line with
/// how many they are and the SHA-256 of all lines before it.
enum ReceiptFile {
    static let supportedFormat = 1

    struct Header: Codable, Hashable {
        var format = ReceiptFile.supportedFormat
        var repository: String
        var location: String
        /// As it was asked for.
        var revision: String
        var commit: CommitID
        var mountPoint: String
        var command: [String]
        var directory: String
        var who: String?
        var host: String
        var started: Timestamp
        /// Absent while it runs.
        var ended: Timestamp?
        /// 128 + the number of a signal; absent when it is not known, because the run was killed.
        var exitCode: Int32?
        /// How it ended, when that was not by itself.
        var ending: String?
        /// False: what was read is not all known, because the mount was killed or something went on in it.
        var isComplete: Bool?
    }

    struct File: Codable, Hashable {
        var path: String
        /// The exact bytes in hexadecimal, when they are not UTF-8.
        var pathHex: String?
        var content: ContentID
        var size: UInt64
        /// Beginnings and ends of the bytes that were read; absent when they were not asked for.
        var ranges: [[UInt64]]?
    }

    struct Footer: Codable, Hashable {
        var files: Int
        var sha256: String
    }

    struct Unreadable: Error {
        let reason: String
    }

    // MARK: Writing

    /// A line for each file that was read on a mount.
    static func writeReads(of fileSystem: SnapshotFileSystem, to path: String) throws {
        let output = try LineWriter(draftOf: path)
        try fileSystem.forEachFileRead { read in
            let name = JSONPath(read.path)
            try output.write(
                File(
                    path: name.path, pathHex: name.pathHex, content: read.contentID, size: read.sizeBytes,
                    ranges: read.ranges.isEmpty ? nil : read.ranges.map { [$0.lowerBound, $0.upperBound] }))
        }
        try output.finish(as: path)
    }

    /// Makes a receipt of a run that begins: its first line. There must be nothing at `path` yet.
    static func begin(_ header: Header, at path: String) throws -> Beginning {
        let output = try LineWriter(path)
        try output.write(header)
        try output.finish()
        return Beginning(identity: try output.identity(), file: output)
    }

    /// The file that `begin` has made. It is open: as long as this is there, no other file can be taken for it.
    final class Beginning {
        let identity: FileIdentity
        private let file: LineWriter

        fileprivate init(identity: FileIdentity, file: LineWriter) {
            self.identity = identity
            self.file = file
        }
    }

    /// Puts the whole receipt in the place of its beginning: `header`, the lines of the file `reads`, and the last line.
    /// Without the file `reads` it names no file.
    ///
    /// - Parameter beginning: what `begin` made; another file that is at `path` by now stays.
    /// - Returns: how many files it names, and where it is: beside `path` when somebody else's file is there.
    static func write(
        _ header: Header, reads: String, to path: String, replacing beginning: FileIdentity
    ) throws -> (files: Int, path: String) {
        let output = try LineWriter(draftOf: path)
        try output.write(header)
        var count = 0
        if access(reads, F_OK) == 0 {
            try forEachLine(of: reads) { line in
                try output.write(line: line)
                count += 1
            }
        }
        try output.write(Footer(files: count, sha256: output.digest()))
        return (count, try output.finish(replacing: beginning, at: path))
    }

    /// Ends the receipt of a run whose `tarn run` was killed. Does nothing when it was ended already.
    static func endAbandoned(at path: String, reads: String) throws {
        var lines = 0
        var header: Header?
        let beginning = try forEachLine(of: path) { line in
            lines += 1
            if lines == 1 { header = try decodeHeader(line, path) }
        }
        guard lines == 1, var header else { return }
        header.ended = now()
        header.ending = "tarn run was killed"
        header.isComplete = false
        _ = try write(header, reads: reads, to: path, replacing: beginning)
    }

    /// Which file it is, whatever its name, as long as it is there.
    struct FileIdentity: Equatable {
        let device: UInt64
        let number: UInt64

        init(_ status: stat) {
            device = UInt64(status.st_dev)
            number = UInt64(status.st_ino)
        }

        /// `nil` when there is nothing of that name; a link counts as itself.
        init?(path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            self.init(status)
        }
    }

    /// Writes lines to a new file and hashes them.
    fileprivate final class LineWriter {
        private let path: String
        private let stream: UnsafeMutablePointer<FILE>
        private var hash = SHA256()

        /// Whether `path` is a draft, which goes when it was not finished.
        private var isDraft = false

        /// There must be nothing of that name, not even a link.
        init(_ path: String) throws {
            guard let stream = fopen(path, "wxe") else {
                throw Unreadable(reason: ReceiptFile.errorText(path))
            }
            self.path = path
            self.stream = stream
        }

        /// A new file beside `path`, to be put in its place.
        convenience init(draftOf path: String) throws {
            try self.init("\(path).\(randomHex().prefix(12)).new")
            isDraft = true
        }

        func write(_ value: some Encodable) throws { try write(line: encodeRecord(value)[...]) }

        func write(line: ArraySlice<UInt8>) throws {
            let bytes = Array(line) + [UInt8(ascii: "\n")]
            hash.update(data: bytes)
            guard fwrite(bytes, 1, bytes.count, stream) == bytes.count else {
                throw Unreadable(reason: ReceiptFile.errorText(path))
            }
        }

        func digest() -> String { hexEncoded(Array(hash.finalize())) }

        /// On the disk when this returns.
        func finish() throws {
            guard fflush(stream) == 0, fsync(fileno(stream)) == 0 else {
                throw Unreadable(reason: ReceiptFile.errorText(path))
            }
        }

        func identity() throws -> FileIdentity {
            var status = stat()
            guard fstat(fileno(stream), &status) == 0 else { throw Unreadable(reason: ReceiptFile.errorText(path)) }
            return FileIdentity(status)
        }

        /// The same, and then in the place of another file.
        func finish(as target: String) throws {
            try finish()
            guard rename(path, target) == 0 else { throw Unreadable(reason: ReceiptFile.errorText(target)) }
            isDraft = false
        }

        /// The same, in the place of `beginning` at `target`. Where another file is there, or comes there meanwhile, it stays: then
        /// the draft stays beside it. Answers where the lines are.
        func finish(replacing beginning: FileIdentity, at target: String) throws -> String {
            try finish()
            isDraft = false
            if tarn_rename_to_free(path, target) == 0 { return target }
            if errno != EEXIST { return try replace(beginning, at: target) }
            guard FileIdentity(path: target) == beginning else { return path }
            if tarn_rename_exchange(path, target) != 0 { return try replace(beginning, at: target) }
            // What was there is at the draft's name now.
            if FileIdentity(path: path) == beginning {
                unlink(path)
                return target
            }
            guard tarn_rename_exchange(path, target) == 0 else {
                throw Unreadable(reason: "\(target) was replaced by somebody else; their file is at \(path) now")
            }
            return path
        }

        /// Where the file system cannot exchange names: a file that comes between the look and the move is replaced.
        private func replace(_ beginning: FileIdentity, at target: String) throws -> String {
            let present = FileIdentity(path: target)
            guard present == nil || present == beginning else { return path }
            guard rename(path, target) == 0 else { throw Unreadable(reason: ReceiptFile.errorText(target)) }
            return target
        }

        deinit {
            fclose(stream)
            if isDraft { unlink(path) }
        }
    }

    // MARK: Reading

    /// Reads a receipt and checks its last line. Throws `Unreadable`.
    static func read(_ path: String, _ body: (File) throws -> Void = { _ in }) throws -> Header {
        var header: Header?
        var footer: Footer?
        var hash = SHA256()
        var count = 0
        try forEachLine(of: path) { line in
            guard footer == nil else { throw Unreadable(reason: "\(path) goes on after its last line") }
            if header == nil {
                header = try decodeHeader(line, path)
            } else if let file = try? JSONDecoder().decode(File.self, from: Data(line)) {
                count += 1
                try body(file)
            } else {
                footer = try decode(Footer.self, line, path, count + 2)
                guard footer == Footer(files: count, sha256: hexEncoded(Array(hash.finalize()))) else {
                    throw Unreadable(
                        reason: "\(path) was changed: its lines do not have the SHA-256 that the last one says")
                }
            }
            hash.update(data: Array(line) + [UInt8(ascii: "\n")])
        }
        guard let header, footer != nil else { throw Unreadable(reason: "\(path) is no whole receipt") }
        return header
    }

    private struct Versioned: Decodable {
        let format: Int
    }

    private static func decodeHeader(_ line: ArraySlice<UInt8>, _ path: String) throws -> Header {
        let format = try decode(Versioned.self, line, path, 1).format
        guard format == supportedFormat else {
            throw Unreadable(
                reason: "\(path) is a receipt of format \(format), and this tarn knows format \(supportedFormat); "
                    + "install a newer tarn")
        }
        return try decode(Header.self, line, path, 1)
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ line: ArraySlice<UInt8>, _ path: String, _ number: Int
    ) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(line))
        } catch {
            throw Unreadable(reason: "\(path): line \(number) is not what a receipt has there")
        }
    }

    private static let maximumLineBytes = 64 << 20

    /// Answers which file it was. A pipe or a device is refused: it may never end.
    @discardableResult
    private static func forEachLine(
        of path: String, _ body: (ArraySlice<UInt8>) throws -> Void
    ) throws -> FileIdentity {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Unreadable(reason: errorText(path)) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let stream = fdopen(descriptor, "r")
        else {
            close(descriptor)
            throw Unreadable(reason: "\(path) is no ordinary file")
        }
        defer { fclose(stream) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while true {
            let length = getline(&line, &room, stream)
            guard length > 0, let line else { break }
            guard length <= maximumLineBytes else { throw Unreadable(reason: "\(path) has a line of \(length) bytes") }
            let bytes = UnsafeRawBufferPointer(start: line, count: length)
            try body(Array(bytes)[..<(bytes.last == UInt8(ascii: "\n") ? length - 1 : length)])
        }
        guard ferror(stream) == 0 else { throw Unreadable(reason: errorText(path)) }
        return FileIdentity(status)
    }

    fileprivate static func errorText(_ path: String) -> String { "\(path): \(String(cString: strerror(errno)))" }
}

extension ReceiptFile.File {
    /// The exact path. Throws `Unreadable`.
    func treePath() throws -> TreePath {
        let bytes = try pathHex.map { text -> [UInt8] in
            guard let bytes = hexDecoded(text) else {
                throw ReceiptFile.Unreadable(reason: "'\(text)' is no path in hexadecimal")
            }
            return bytes
        }
        do {
            return try TreePath(parsing: bytes ?? Array(path.utf8))
        } catch {
            throw ReceiptFile.Unreadable(reason: "'\(path)' is no path")
        }
    }
}
