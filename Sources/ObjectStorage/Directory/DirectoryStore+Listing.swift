import Glibc

extension DirectoryStore {
    /// Walks only what can hold keys of the page: it begins in the directory that `prefix` names, skips subtrees that
    /// lie before `after`, and stops one object past the page. A directory is read whole for each page that meets it.
    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        precondition((1...1000).contains(limit), "a page holds 1 to 1,000 objects")
        let start = prefix.utf8.lastIndex(of: ObjectKey.slash).map { String(prefix[..<$0]) } ?? ""
        guard start.isEmpty ? prefix.utf8.first != ObjectKey.slash : isWalkable(start) else {
            return ObjectPage(objects: [], isTruncated: false)
        }
        var walk = ListingWalk(store: self, prefix: prefix, after: after, limit: limit)
        try walk.visit(start.isEmpty ? "" : start + "/")
        if walk.found.isEmpty, case .containerMissing = try missing(prefix) { throw .containerMissing(location: root) }
        return ObjectPage(objects: Array(walk.found.prefix(limit)), isTruncated: walk.found.count > limit)
    }

    /// Whether keys below `directory` can exist: a prefix from outside must not lead out of the root.
    private func isWalkable(_ directory: String) -> Bool {
        do throws(StoreError) {
            try check(directory)
            return true
        } catch {
            return false
        }
    }
}

private struct ListingWalk {
    let store: DirectoryStore
    let prefix: String
    let after: String?
    let limit: Int
    var found: [ObjectInfo] = []

    private var isFull: Bool { found.count > limit }

    /// - Parameter directory: empty for the root, else with a trailing slash, as it begins its keys.
    mutating func visit(_ directory: String) throws(StoreError) {
        // Byte order of full keys: a directory stands where its name with the slash stands.
        var names: [(key: String, isDirectory: Bool)] = []
        for entry in try LocalFile.entries(of: store.path(of: directory)) where entry.kind != .other {
            let isDirectory = entry.kind == .directory
            if directory.isEmpty, entry.name == DirectoryStore.reservedName { continue }
            names.append((directory + entry.name + (isDirectory ? "/" : ""), isDirectory))
        }
        names = names.filter { $0.isDirectory ? mayHold($0.key) : isWanted($0.key) }
        names.sort { ObjectKey.precedes($0.key, $1.key) }
        for name in names {
            if isFull { return }
            if name.isDirectory {
                try visit(name.key)
            } else if let info = try store.info(name.key) {
                found.append(info)
            }
        }
    }

    private func isWanted(_ key: String) -> Bool {
        ObjectKey.has(key, prefix: prefix) && (after.map { ObjectKey.precedes($0, key) } ?? true)
    }

    private func mayHold(_ directory: String) -> Bool {
        guard ObjectKey.has(directory, prefix: prefix) || ObjectKey.has(prefix, prefix: directory) else { return false }
        guard let after else { return true }
        return ObjectKey.precedes(after, directory) || ObjectKey.has(after, prefix: directory)
    }
}
