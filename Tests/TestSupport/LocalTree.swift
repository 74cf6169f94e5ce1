import Foundation

/// Writes small trees of files for tests: a path that ends in `/` is a directory, `a -> b` a symbolic link.
extension TemporaryDirectory {
    package func write(_ files: [String: String]) throws {
        for (name, text) in files.sorted(by: { $0.key < $1.key }) {
            let url = URL(filePath: file(name))
            if name.hasSuffix("/") {
                try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
                continue
            }
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    package func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(filePath: file(name)))
    }

    package func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: file(name))))
    }
}
