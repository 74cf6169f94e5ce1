import Versioning

/// The sealed overlay's nodes by id, and where each is (its first name, when it has several).
struct SealedCopy {
    var nodes: [OverlayEntryID: (node: OverlayEntry, path: TreePath)] = [:]
    var names: [OverlayEntryID: [EntryName: OverlayEntryID?]] = [:]
    /// Sealed directories by the path in the old base that they stand for.
    var directoriesByOrigin: [TreePath: TreePath] = [:]

    /// Nothing was sealed.
    init() {}

    init(_ overlay: Overlay) throws {
        var waiting = [(OverlayEntryID.root, TreePath.root)]
        while let (id, path) = waiting.popLast() {
            guard nodes[id] == nil, let node = try overlay.node(id) else { continue }
            nodes[id] = (node, path)
            guard node.isDirectory else { continue }
            if let origin = node.origin { directoriesByOrigin[origin] = path }
            var children: [EntryName: OverlayEntryID?] = [:]
            let found = try overlay.names(in: id)
            for (name, child) in found { children[name] = .some(child) }
            names[id] = children
            // Backwards, so that the first comes off first: a file of several names is where its first name is.
            for case (let name, let child?) in found.reversed() { waiting.append((child, path.appending(name))) }
        }
    }

    /// Where what was at `path` in the old base is in the commit made from the seal.
    func translate(_ path: TreePath) -> TreePath {
        var ancestor: TreePath? = path
        while let directory = ancestor {
            if let moved = directoriesByOrigin[directory], let rest = path.relative(to: directory) {
                return moved.appending(path: rest)
            }
            ancestor = directory.parent
        }
        return path
    }
}
