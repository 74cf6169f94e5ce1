import GRDB
import ProllyTree
package import Versioning

extension Workspace {
    /// Throws away what is staged at and below these paths; everything when there are none. A path at which nothing is
    /// staged is passed over. Files that are open keep their bytes until they are closed. Durable after `makeDurable`.
    package func discard(_ paths: [TreePath]) throws {
        try write { overlay in
            if paths.isEmpty || paths.contains(.root) {
                try overlay.clear()
                try overlay.forgetConflicts()
            }
            for path in paths where !path.isRoot {
                try overlay.discard(path)
            }
            _ = try overlay.nextChange()
        }
    }
}

extension Overlay {
    /// Lets the base decide about `path` again. The directories above stay staged, as their own times may have changed.
    fileprivate func discard(_ path: TreePath) throws {
        var directory = OverlayEntryID.root
        for name in path.parent?.components ?? [] {
            guard case .node(let node) = try lookup(directory, name), node.isDirectory else { return }
            directory = node.id
        }
        let found = try lookup(directory, path.name)
        try forgetName(directory, path.name)
        if case .node(let node) = found { try dropName(of: node.id) }
        try execute("DELETE FROM conflict WHERE path = ?", [path.blob])
    }

    fileprivate func forgetConflicts() throws {
        try execute("DELETE FROM conflict")
    }
}
