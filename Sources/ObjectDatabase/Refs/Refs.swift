import BlockingIO
package import ObjectStorage
import ProllyTree
package import Versioning

/// A ref as it stood at one moment: enough to move it with a compare-and-swap.
package struct RefSnapshot: Sendable {
    package let name: RefName
    package let state: RefState
    package let newestUpdate: RefUpdate
    package let etag: ETag

    package init(name: RefName, state: RefState, newestUpdate: RefUpdate, etag: ETag) {
        self.name = name
        self.state = state
        self.newestUpdate = newestUpdate
        self.etag = etag
    }

    /// Where it points; `nil` when the ref is deleted.
    package var commit: CommitID? { state.commit }
}

extension ObjectDatabase {
    /// The ref, deleted or not; `nil` when it never was. The ref object, its ref update and their agreement are checked.
    package func readRef(_ name: RefName) throws -> RefSnapshot? {
        try refState(name).map { try checked(name, $0.state, $0.etag) }
    }

    private func checked(_ name: RefName, _ state: RefState, _ etag: ETag) throws -> RefSnapshot {
        let refUpdate = try refUpdate(state.refUpdate)
        guard refUpdate.ref == name.qualified, refUpdate.new == state.commit else {
            throw ObjectDatabaseError.corrupt(
                object: ObjectKeys.ref(name), reason: "it does not agree with its newest ref update \(state.refUpdate)")
        }
        return RefSnapshot(name: name, state: state, newestUpdate: refUpdate, etag: etag)
    }

    private func refState(_ name: RefName) throws -> (state: RefState, etag: ETag)? {
        let key = ObjectKeys.ref(name)
        do {
            let object = try store.get(key)
            return (try decodeObject(object.bytes, key: key), object.etag)
        } catch StoreError.notFound {
            return nil
        }
    }

    /// The commit that a ref points to; `nil` when the ref is deleted or never was. For whoever only reads: one GET, since
    /// an id that was damaged names no commit (`readRef` tells more damage, for whoever moves it). That there is none is believed
    /// only when the newest ref update says so, too.
    package func head(of name: RefName) throws -> CommitID? {
        guard let (state, etag) = try refState(name) else { return nil }
        return try state.commit ?? checked(name, state, etag).commit
    }

    /// The ref with the commit it points to. Throws `.refNotFound` also when it is deleted.
    package func liveRef(_ name: RefName) throws -> (snapshot: RefSnapshot, commit: CommitID) {
        guard let snapshot = try readRef(name), let commit = snapshot.commit else {
            throw ObjectDatabaseError.refNotFound(name)
        }
        return (snapshot, commit)
    }

    /// All refs of a kind that are not deleted, in order of names.
    package func listRefs(_ kind: RefName.Kind) throws -> [(snapshot: RefSnapshot, commit: CommitID)] {
        let found = Monitor<[RefSnapshot]>([])
        try concurrently(refNames(kind), threads: ioThreads) { name in
            guard let snapshot = try self.readRef(name) else { return }
            found.update { $0.append(snapshot) }
        }
        return found.look { $0 }
            .compactMap { snapshot in snapshot.commit.map { (snapshot, $0) } }
            .sorted { $0.0.name.name < $1.0.name.name }
    }

    /// Every object whose key begins with `prefix`.
    package func listKeys(_ prefix: String) throws -> [ObjectInfo] {
        var objects: [ObjectInfo] = []
        try store.forEachPage(prefix) { objects += $0 }
        return objects
    }

    /// The names of all refs of a kind, deleted ones too.
    package func refNames(_ kind: RefName.Kind) throws -> [RefName] {
        try listKeys(ObjectKeys.refs(kind)).compactMap { ObjectKeys.refName(kind, key: $0.key) }
    }

    /// Calls `body` with the ref updates of a ref, newest first, until it answers false.
    package func forEachRefUpdate(
        of snapshot: RefSnapshot, _ body: (RefUpdateID, RefUpdate) throws -> Bool
    ) throws {
        var next: (RefUpdateID, RefUpdate)? = (snapshot.state.refUpdate, snapshot.newestUpdate)
        while let (id, refUpdate) = next {
            if try !body(id, refUpdate) { return }
            next = try refUpdate.previous.map { ($0, try self.refUpdate($0)) }
        }
    }
}
