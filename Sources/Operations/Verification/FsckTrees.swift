import ObjectDatabase
import ProllyTree
import Versioning

/// Commits and the nodes of their trees. Nothing that can be computed is believed.
extension FsckRun {
    /// A commit whose data was collected has none to check; the head of a ref must have all.
    mutating func commit(_ id: CommitID) throws {
        guard let commit = commits[id] else { return }
        let generations = commit.parents.map { commits[$0]?.generation }
        // A parent that cannot be read was reported.
        if !generations.contains(nil), commit.generation != 1 + (generations.compactMap { $0 }.max() ?? 0) {
            note(
                ObjectKeys.commit(id), "its generation is \(commit.generation), and follows from its parents otherwise",
                id)
        }
        if isCollected(id, commit.tree) {
            report.collected += 1
            return
        }
        guard let counts = node(commit.tree, in: id, after: [], upTo: nil, below: nil) else { return }
        if counts != commit.counts {
            note(
                ObjectKeys.commit(id),
                "it says \(words(commit.counts)), and its tree has \(words(counts))", id)
        }
        try directories(of: commit.tree, id)
    }

    private mutating func note(_ object: String, _ reason: String, _ commit: CommitID) {
        report.damage.append(Damage(object: object, reason: reason, commit: commit))
    }

    private func words(_ counts: Commit.Counts) -> String {
        "\(counts.files) files, \(counts.directories) directories and \(counts.bytes) bytes"
    }

    private mutating func isCollected(_ id: CommitID, _ tree: NodeID) -> Bool {
        guard collected.contains(tree) else { return false }
        seenRecords.insert(tree)
        let key = ObjectKeys.collected(tree)
        do {
            guard let record = try CollectedTree.load(tree, from: repository.database.store),
                record.commits.contains(id)
            else { return false }
        } catch {
            note(ObjectFault(error, reading: key), in: id)
            return false
        }
        if heads.contains(id) {
            note(key, "it lists commit \(id), which a ref shows", id)
            return false
        }
        do {
            // Without the rules nothing can be held against it; that they cannot be read is told.
            if try unreadable.contains(Repository.rulesRef(RetentionRules.self).qualified) { return true }
            guard let fault = try proof.fault(of: id, tree: tree) else { return true }
            note(key, "nothing shows that gc could take commit \(id): \(fault)", id)
            return false
        } catch {
            // What it would be held against is damaged, which is told; until that is mended nothing shows that it is wrong.
            note(ObjectFault(error, reading: key), in: id)
            return true
        }
    }

    /// Checks a node and what is below it. Answers what it holds; `nil` when it cannot be read whole.
    ///
    /// - Parameter below: its parent, and which child it is.
    private mutating func node(
        _ id: NodeID, in commit: CommitID, after: [UInt8], upTo: [UInt8]?, below parent: (node: Node, index: Int)?
    ) -> Commit.Counts? {
        let known = seenNodes[id]
        if let known, parent == nil || known == nil { return known }
        let node: Node
        do throws(TreeError) {
            node = try known == nil ? repository.database.nodes.reload(id) : repository.database.nodes.load(id)
            if let parent, let fault = parent.node.fault(of: node, at: parent.index) {
                throw .corrupt(id, reason: fault)
            }
        } catch {
            report.damage.append(damaged(id, error, commit, after, upTo))
            seenNodes[id] = .some(nil)
            return nil
        }
        if let known { return known }
        report.nodes += 1
        var counts: Commit.Counts? = Commit.Counts()
        // Until it is known: a node cannot be below itself.
        seenNodes[id] = .some(nil)
        var previous = after
        for index in 0..<node.count {
            let key = node.key(index)
            if node.isLeaf {
                var sum = counts ?? Commit.Counts()
                entry(node.item(index), of: id, in: commit, &sum)
                counts = sum
            } else {
                let found = self.node(
                    node.child(index), in: commit, after: previous, upTo: key, below: (node, index))
                counts = counts.flatMap { sum in found.map { sum.adding($0) } }
            }
            previous = key
        }
        seenNodes[id] = .some(counts)
        return counts
    }

    /// The root is a directory, and so is every entry that others lie in. Reads the whole tree in order, where a directory
    /// comes before what is in it; for heads, whose trees people use.
    private mutating func directories(of tree: NodeID, _ id: CommitID) throws {
        guard heads.contains(id), seenTrees.insert(tree).inserted else { return }
        var directories: Set<ArraySlice<UInt8>> = []
        var last: ArraySlice<UInt8>?
        var isFirst = true
        var faults: [String] = []
        try repository.database.tree(tree).forEach { item in
            let isDirectory = item.value.first == Self.directoryCode
            defer { isFirst = false }
            guard let cut = item.key.firstIndex(of: 0) else {
                if !isFirst || !isDirectory { faults.append("its root is no directory") }
                return faults.count < Self.maximumFaults
            }
            if isFirst { faults.append("it has no root") }
            let parent = item.key[..<cut]
            if !parent.isEmpty, parent != last {
                guard directories.contains(parent) else {
                    faults.append("'\(printableName(Array(parent)))', which has entries in it, is no directory")
                    return faults.count < Self.maximumFaults
                }
                last = parent
            }
            if isDirectory {
                let name = item.key[(cut + 1)...]
                directories.insert(parent.isEmpty ? name : ArraySlice(parent + [UInt8(ascii: "/")] + name))
            }
            return true
        }
        if isFirst { faults.append("it has no root") }
        for fault in faults { note(ObjectKeys.node(tree), fault, id) }
    }

    /// The first byte of a directory's entry (docs/reference/FORMAT.md, "Entries").
    private static var directoryCode: UInt8 { 2 }
    private static var maximumFaults: Int { 10 }
}

extension Commit.Counts {
    fileprivate func adding(_ other: Commit.Counts) -> Commit.Counts {
        Commit.Counts(
            files: files &+ other.files, directories: directories &+ other.directories, bytes: bytes &+ other.bytes)
    }
}
