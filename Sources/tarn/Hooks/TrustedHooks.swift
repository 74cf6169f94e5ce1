import BlockingIO
import FoundationEssentials
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

/// The hooks, with the programs that they run, that this user lets run: they are commands that came with data.
struct TrustedHooks {
    private let directory: String
    private let path: String

    init(_ repository: Repository) throws {
        directory = try HostDirectories.state() + "/trusted-hooks"
        path = directory + "/" + repository.database.config.id.uuidString.lowercased()
    }

    /// Whether the user trusts exactly these (`GatePrograms.digest`), or `TARN_TRUST_HOOKS` does: `all`, or digests with commas
    /// between.
    func contains(_ programs: ContentID) -> Bool {
        if let variable = environment("TARN_TRUST_HOOKS") {
            if variable == "all" { return true }
            if variable.split(separator: ",").contains(where: { $0 == programs.hex }) { return true }
        }
        return known().contains(programs.hex)
    }

    func add(_ programs: ContentID) throws {
        guard !known().contains(programs.hex) else { return }
        try makeDirectories(directory)
        let text = (known() + [programs.hex]).joined(separator: "\n") + "\n"
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    }

    private func known() -> [String] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
