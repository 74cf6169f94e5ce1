import BlockingIO
import FoundationEssentials
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

/// The hooks files that this user lets run: hooks are commands that came with data.
struct TrustedHooks {
    private let directory: String
    private let path: String

    init(_ repository: Repository) throws {
        directory = try HostDirectories.state() + "/trusted-hooks"
        path = directory + "/" + repository.database.config.id.uuidString.lowercased()
    }

    /// Whether the user trusts exactly this file, or `TARN_TRUST_HOOKS` does: `all`, or content ids with commas between.
    func contains(_ file: ContentID) -> Bool {
        if let variable = environment("TARN_TRUST_HOOKS") {
            if variable == "all" { return true }
            if variable.split(separator: ",").contains(where: { $0 == file.hex }) { return true }
        }
        return known().contains(file.hex)
    }

    func add(_ file: ContentID) throws {
        guard !known().contains(file.hex) else { return }
        try makeDirectories(directory)
        let text = (known() + [file.hex]).joined(separator: "\n") + "\n"
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    }

    private func known() -> [String] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
