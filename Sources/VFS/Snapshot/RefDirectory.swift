import ObjectDatabase
import ProllyTree
import Synchronization
import Versioning

/// The directories above the commits of a repository mount:
/// ```
/// branches/<name>   tags/<name>   a name with `/` is a path of directories; below the name of another ref, which is a
///                                 tree, it is one name in which `%2F` stands for `/` (no ref's name holds `%`)
/// commits/<id>      every commit by its full id or unique prefix; listed are those that a branch or tag points to
/// ```
final class RefDirectory: Sendable {
    enum Node {
        case directory(UInt64)
        case commit(CommitID)
    }

    private enum Area: Hashable {
        case refs(RefName.Kind, prefix: String)
        case commits
    }

    private struct State {
        var numbers: [Area: UInt64] = [
            .refs(.branch, prefix: ""): 2, .refs(.tag, prefix: ""): 3, .commits: 4,
        ]
        var areas: [UInt64: Area] = [
            2: .refs(.branch, prefix: ""), 3: .refs(.tag, prefix: ""), 4: .commits,
        ]
        var next: UInt64 = 16
    }

    private let database: ObjectDatabase
    private let state = Mutex(State())
    private static let root: UInt64 = 1
    private static let slash = "%2F"

    init(database: ObjectDatabase) {
        self.database = database
    }

    func exists(_ node: UInt64) -> Bool {
        node == Self.root || state.withLock { $0.areas[node] != nil }
    }

    func child(of node: UInt64, _ name: EntryName) throws -> Node? {
        let name = String(decoding: name.bytes, as: UTF8.self)
        if node == Self.root {
            return try children(of: node).first { $0.name.bytes.elementsEqual(name.utf8) }?.node
        }
        switch state.withLock({ $0.areas[node] }) {
        case .refs(let kind, let prefix): return try ref(kind, prefix + name.replacing(Self.slash, with: "/"))
        case .commits: return try commit(name)
        case nil: throw VFSError.staleHandle
        }
    }

    private func ref(_ kind: RefName.Kind, _ name: String) throws -> Node? {
        // A name that no ref can have is simply not there.
        guard let ref = try? RefName(kind, name) else { return nil }
        if let commit = try database.head(of: ref) { return .commit(commit) }
        let isPrefix = try database.listRefs(kind).contains { $0.snapshot.name.name.hasPrefix(name + "/") }
        return isPrefix ? .directory(number(.refs(kind, prefix: name + "/"))) : nil
    }

    private func commit(_ text: String) throws -> Node? {
        guard text.utf8.count >= 6, text.allSatisfy(\.isHexDigit) else { return nil }
        do {
            let found = try database.resolve(text)
            return found.ref == nil ? .commit(found.commitID) : nil
        } catch ObjectDatabaseError.revisionNotFound, ObjectDatabaseError.notThereYet, ObjectDatabaseError
            .ambiguousRevision
        {
            return nil
        }
    }

    func children(of node: UInt64) throws -> [(name: EntryName, node: Node)] {
        if node == Self.root {
            return try [("branches", 2), ("tags", 3), ("commits", 4)].map {
                (try EntryName(checking: Array($0.utf8)), .directory($1))
            }
        }
        switch state.withLock({ $0.areas[node] }) {
        case .refs(let kind, let prefix): return try refs(kind, prefix)
        case .commits:
            let heads = try RefName.Kind.named.flatMap { try database.listRefs($0).map(\.commit) }
            return try Set(heads).sorted().map { (try EntryName(checking: Array($0.hex.utf8)), .commit($0)) }
        case nil: throw VFSError.staleHandle
        }
    }

    private func refs(_ kind: RefName.Kind, _ prefix: String) throws -> [(name: EntryName, node: Node)] {
        var children: [String: Node] = [:]
        let listed = try database.listRefs(kind).filter { $0.snapshot.name.name.hasPrefix(prefix) }
        let names = Set(listed.map(\.snapshot.name.name))
        for (snapshot, commit) in listed {
            let rest = snapshot.name.name.dropFirst(prefix.count)
            if let slash = rest.firstIndex(of: "/") {
                let name = String(rest[..<slash])
                if names.contains(prefix + name) {
                    children[String(rest).replacing("/", with: Self.slash)] = .commit(commit)
                } else if children[name] == nil {
                    children[name] = .directory(number(.refs(kind, prefix: prefix + name + "/")))
                }
            } else {
                children[String(rest)] = .commit(commit)
            }
        }
        return try children.sorted { $0.key < $1.key }.map { (try EntryName(checking: Array($0.key.utf8)), $0.value) }
    }

    private func number(_ area: Area) -> UInt64 {
        state.withLock { state in
            if let known = state.numbers[area] { return known }
            let number = state.next
            state.next += 1
            state.numbers[area] = number
            state.areas[number] = area
            return number
        }
    }
}
