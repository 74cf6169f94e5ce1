import Glibc
import ObjectDatabase
package import Operations
import ProllyTree
package import Staging
package import Versioning

/// Stages changes without a mount, as a test needs them.
package struct StagingEditor {
    private let workspace: Workspace
    private let repository: Repository

    package init(_ workspace: Workspace, _ repository: Repository) {
        self.workspace = workspace
        self.repository = repository
    }

    private func base() throws -> SnapshotTree {
        repository.database.tree(try repository.database.commit(workspace.base()).tree)
    }

    /// The staged node of a path, made from the base (with the directories above it) if there is none; `nil` when there
    /// is nothing at the path.
    package func stage(_ overlay: Overlay, _ path: TreePath) throws -> OverlayEntry? {
        guard let parent = path.parent else { return try overlay.node(.root) }
        guard let directory = try stage(overlay, parent) else { return nil }
        switch try overlay.lookup(directory.id, path.name) {
        case .removed: return nil
        case .node(let node): return node
        case .untouched: break
        }
        guard let origin = directory.origin?.appending(path.name), let located = try base().entry(at: origin) else {
            return nil
        }
        let node = try overlay.insert(OverlayEntry(copying: located, at: origin))
        try overlay.setName(directory.id, path.name, node.id)
        return node
    }

    /// Writes a whole file; makes it, and the directories above it, when there is none.
    package func put(_ text: String, _ bytes: [UInt8]) throws {
        try edit(text) { content, data, descriptor in
            content.resize(to: 0)
            Self.write(bytes, at: 0, &content, data, descriptor)
        }
    }

    /// Writes into a file at an offset.
    package func write(_ text: String, at offset: Int, _ bytes: [UInt8]) throws {
        try edit(text) { content, data, descriptor in Self.write(bytes, at: offset, &content, data, descriptor) }
    }

    package func resize(_ text: String, to size: Int) throws {
        try edit(text) { content, _, _ in content.resize(to: UInt64(size)) }
    }

    private static func write(
        _ bytes: [UInt8], at offset: Int, _ content: inout StagedContent, _ data: DataFileID, _ descriptor: Int32
    ) {
        precondition(pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
        content.wrote(start: UInt64(offset), end: UInt64(offset + bytes.count), data: data)
    }

    private func edit(
        _ text: String, _ body: (inout StagedContent, DataFileID, Int32) throws -> Void
    ) throws {
        let path = try TreePath(parsing: text)
        try workspace.write { overlay in
            var node: OverlayEntry
            if let known = try stage(overlay, path) {
                node = known
            } else {
                node = try add(
                    overlay, path, OverlayEntry(kind: .file(StagedContent()), mode: 0o644, modified: now()))
            }
            guard case .file(var content) = node.kind else { preconditionFailure("\(text) is no file") }
            let data = try content.writeTarget ?? overlay.nextDataFile()
            content.writeTarget = data
            let descriptor = try workspace.openData(data, create: true)
            defer { close(descriptor) }
            try body(&content, data, descriptor)
            node.kind = .file(content)
            node.modified = now()
            node.change = try overlay.nextChange()
            try overlay.update(node)
        }
    }

    package func makeDirectory(_ text: String) throws {
        let path = try TreePath(parsing: text)
        _ = try workspace.write { overlay in
            try add(overlay, path, OverlayEntry(kind: .directory, mode: 0o755, modified: now()))
        }
    }

    private func add(_ overlay: Overlay, _ path: TreePath, _ node: OverlayEntry) throws -> OverlayEntry {
        guard let parent = path.parent, let directory = try stage(overlay, parent) else {
            preconditionFailure("the directory of \(path) exists")
        }
        var node = node
        node.change = try overlay.nextChange()
        node = try overlay.insert(node)
        try overlay.setName(directory.id, path.name, node.id)
        return node
    }

    /// Removes a path with everything below it.
    package func remove(_ text: String) throws {
        let path = try TreePath(parsing: text)
        try workspace.write { overlay in
            guard let parent = path.parent, let directory = try stage(overlay, parent) else { return }
            let found = try overlay.lookup(directory.id, path.name)
            try hide(overlay, directory, path.name)
            if case .node(let node) = found { try overlay.dropName(of: node.id) }
        }
    }

    package func rename(_ old: String, to new: String) throws {
        let (source, target) = (try TreePath(parsing: old), try TreePath(parsing: new))
        try workspace.write { overlay in
            guard let node = try stage(overlay, source), let from = try stage(overlay, source.parent ?? .root),
                let to = try stage(overlay, target.parent ?? .root)
            else { preconditionFailure("\(old) and the directory of \(new) exist") }
            if case .node(let replaced) = try overlay.lookup(to.id, target.name) { try overlay.remove(replaced.id) }
            try hide(overlay, from, source.name)
            try overlay.setName(to.id, target.name, node.id)
            _ = try overlay.nextChange()
        }
    }

    private func hide(_ overlay: Overlay, _ directory: OverlayEntry, _ name: EntryName) throws {
        if let origin = directory.origin, try base().entry(at: origin.appending(name)) != nil {
            try overlay.setName(directory.id, name, nil)
        } else {
            try overlay.forgetName(directory.id, name)
        }
        _ = try overlay.nextChange()
    }
}
