import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import VFS
import Versioning

/// One run of random operations from a seed.
final class ModelRun {
    let seed: UInt64
    var random: SeededRandom
    let store = FaultyStore(MemoryStore())
    let repository: Repository
    let directory: TemporaryDirectory
    let mount: MountedWorkspace
    var model = ModelTree()
    var handles: [(inode: InodeNumber, file: ModelFile)] = []
    /// What was done, for whoever looks for the cause of a failure.
    var log: [String] = []
    var renames: [(String, String)] = []
    var others = 0
    /// Files that others committed and that this workspace has not seen yet.
    var unseen: [String: [UInt8]] = [:]

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        directory = try TemporaryDirectory()
        repository = try makeRepository(in: store)
        mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
    }

    func go(steps: Int) throws {
        for step in 0..<steps {
            do {
                try operation()
                if random.oneIn(9) { try publication() }
                if step.isMultiple(of: 5) { check("step \(step)") }
            } catch {
                Issue.record("seed \(seed), step \(step): \(error)\n\(log.suffix(40).joined(separator: "\n"))")
                throw error
            }
        }
        try commit()
        check("the end")
        let report = try reopen(store).fsck(data: true)
        #expect(report.damage.isEmpty, "seed \(seed): \(report.damage)")
    }

    func check(_ place: String) {
        do {
            let wrong = differences(try mount.walk(), model.snapshot)
            let lines = (wrong + ["after:"] + log.suffix(60)).joined(separator: "\n")
            #expect(wrong.isEmpty, "seed \(seed), \(place):\n\(lines)")
            for handle in handles {
                #expect(try mount.read(handle.inode) == handle.file.bytes, "seed \(seed), \(place): an open file")
            }
        } catch {
            Issue.record("seed \(seed), \(place): \(error)\n\(log.suffix(40).joined(separator: "\n"))")
        }
    }

    // MARK: Operations

    func name() -> String { ["a", "b", "c", "d"][random.below(4)] }

    /// A path in a directory that exists, whether it exists or not.
    func anyPath() -> String {
        let directory =
            model.directories.filter { $0.count < 6 && !$0.hasPrefix("o") }.randomElement(using: &random) ?? ""
        return directory.isEmpty ? name() : directory + "/" + name()
    }

    func anyFile() -> (String, ModelFile)? {
        guard let path = model.files.filter({ !$0.hasPrefix("o") }).randomElement(using: &random),
            case .file(let file)? = model[path]
        else { return nil }
        return (path, file)
    }

    func content() -> [UInt8] {
        random.bytes(random.oneIn(25) ? 300_000 + random.below(900_000) : random.below(3000))
    }

    func operation() throws {
        switch random.below(15) {
        case 0, 1, 2: try create()
        case 3, 4: try overwrite()
        case 5: try truncate()
        case 6, 7: try rename()
        case 8: try renameBack()
        case 9: try remove()
        case 10, 11: try makeDirectory()
        case 12: try changeMode()
        case 13: try makeLink()
        default: try useHandle()
        }
    }

    func create() throws {
        let path = anyPath()
        guard model[path] == nil else { return }
        log.append("create \(path)")
        let inode = try mount.create(path, mode: 0o640)
        let file = ModelFile(bytes: content(), mode: 0o640)
        try mount.write(inode, at: 0, file.bytes)
        model[path] = .file(file)
        try keepOrClose(inode, file)
    }

    func keepOrClose(_ inode: InodeNumber, _ file: ModelFile) throws {
        if random.oneIn(5), handles.count < 4 {
            log.append("  left open as \(inode.value)")
            handles.append((inode, file))
        } else {
            try mount.close(inode)
        }
    }

    func overwrite() throws {
        guard let (path, file) = anyFile() else { return }
        let inode = try mount.open(path)
        try write(inode, file, "write \(path)")
        try keepOrClose(inode, file)
    }

    func write(_ inode: InodeNumber, _ file: ModelFile, _ words: String) throws {
        let offset = random.below(file.bytes.count + 1000)
        let bytes = random.bytes(1 + random.below(2000))
        log.append("\(words) at \(offset), \(bytes.count) bytes")
        try mount.write(inode, at: offset, bytes)
        let missing = offset + bytes.count - file.bytes.count
        if missing > 0 { file.bytes += [UInt8](repeating: 0, count: missing) }
        file.bytes.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    func truncate() throws {
        guard let (path, file) = anyFile() else { return }
        let size = random.oneIn(4) ? 0 : random.below(file.bytes.count + 2000)
        log.append("truncate \(path) to \(size)")
        try mount.truncate(try mount.inode(path), to: size)
        resize(file, size)
    }

    func resize(_ file: ModelFile, _ size: Int) {
        let missing = size - file.bytes.count
        if missing > 0 { file.bytes += [UInt8](repeating: 0, count: missing) } else { file.bytes.removeLast(-missing) }
    }

    func rename() throws {
        guard let old = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        let new = anyPath()
        try rename(old, to: new)
    }

    /// Moves something back to where it was before: what is staged and what the base has there must not be mixed up.
    func renameBack() throws {
        guard let (old, new) = renames.randomElement(using: &random) else { return }
        guard model.isDirectory(old) else { return try rename(new, to: old) }
        if let child = model.paths.filter({ $0.hasPrefix(new + "/") }).randomElement(using: &random) {
            try rename(child, to: old + child.dropFirst(new.count))
        }
    }

    func rename(_ old: String, to new: String) throws {
        guard new != old, !new.hasPrefix(old + "/"), let entry = model[old] else { return }
        guard model.isDirectory(new.split(separator: "/").dropLast().joined(separator: "/")) else { return }
        if let target = model[new] {
            guard target.isDirectory == entry.isDirectory, !model.hasChildren(new) else { return }
        }
        log.append("rename \(old) to \(new)")
        try mount.rename(old, to: new)
        model.rename(old, to: new)
        renames = renames.suffix(9) + [(old, new)]
    }

    func remove() throws {
        guard let path = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        log.append("remove \(path)")
        try remove(path)
    }

    /// Removes a path and everything below it, as `rm -r` does.
    func remove(_ path: String) throws {
        for child in model.paths.reversed() where child.hasPrefix(path + "/") || child == path {
            if model.isDirectory(child) { try mount.removeDirectory(child) } else { try mount.unlink(child) }
            model[child] = nil
        }
    }

    func makeDirectory() throws {
        let path = random.oneIn(2) ? anyPath() : renames.randomElement(using: &random)?.0 ?? anyPath()
        guard model[path] == nil else { return }
        guard model.isDirectory(path.split(separator: "/").dropLast().joined(separator: "/")) else { return }
        log.append("mkdir \(path)")
        try mount.makeDirectory(path, mode: 0o750)
        model[path] = .directory(mode: 0o750)
    }

    func changeMode() throws {
        guard let path = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        let mode = UInt16(0o600 + random.below(8))
        switch model[path] {
        case .file(let file)?: file.mode = mode
        case .directory?: model[path] = .directory(mode: mode)
        default: return
        }
        log.append("chmod \(path)")
        try mount.setMode(path, mode)
    }

    func makeLink() throws {
        let path = anyPath()
        guard model[path] == nil else { return }
        log.append("link \(path)")
        let target = "../target \(random.below(100))"
        try mount.makeLink(path, to: target)
        model[path] = .link(target)
    }

    func useHandle() throws {
        guard let index = handles.indices.randomElement(using: &random) else { return }
        let handle = handles[index]
        switch random.below(4) {
        case 0:
            log.append("close \(handle.inode.value)")
            handles.remove(at: index)
            try mount.close(handle.inode)
        case 1:
            let size = random.below(handle.file.bytes.count + 500)
            log.append("truncate open \(handle.inode.value) to \(size)")
            try mount.truncate(handle.inode, to: size)
            resize(handle.file, size)
        default: try write(handle.inode, handle.file, "write open \(handle.inode.value)")
        }
    }
}
