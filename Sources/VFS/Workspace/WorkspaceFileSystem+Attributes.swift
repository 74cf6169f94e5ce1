import Glibc
import Logging
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

// Attributes of single files.

extension WorkspaceFileSystem {
    package func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, by requester: Requester
    ) throws(VFSError) -> FileAttributes {
        let isFreeing = changes.size != nil
        return try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "changing attributes of inode \(inode.value)") {
                try table.withLock { table in
                    let file = try current(&table, inode)
                    let owner = try newOwner(changes, attributes(table, file).owner)
                    let reservedIn = file.state.withLock { $0.reservedIn }
                    var freed: Set<DataFileID> = []
                    try makingRoom(isFreeing) {
                        try transaction(isFreeing: isFreeing) { change in
                            _ = try stage(table, change, file)
                            let number = try change.overlay.nextChange()
                            try update(change, file, content: changes.size != nil) { node in
                                freed = try apply(changes, by: requester, owner: owner, reservedIn, to: &node)
                                node.change = number
                            }
                        }
                    }
                    reclaimer.add(freed)
                    return attributes(table, file)
                }
            }
        }
    }

    /// Answers data files of which the file shows less than before.
    private func apply(
        _ changes: AttributeChanges, by requester: Requester, owner: Owner??, _ reservedIn: DataFileID?,
        to node: inout OverlayEntry
    ) throws -> Set<DataFileID> {
        var freed: Set<DataFileID> = []
        let present = now()
        if changes.takesPrivileges { node.dropPrivileges(by: requester, group: (node.owner ?? mounter).groupID) }
        if let mode = changes.mode { node.mode = mode }
        if let owner { node.owner = owner }
        if let size = changes.size?.value {
            guard var content = node.content else {
                throw node.isDirectory ? VFSError.isADirectory : VFSError.invalidArgument
            }
            freed = content.cut(to: size, reservedIn: reservedIn)
            node.kind = .file(content)
            node.modified = present
        }
        if let modified = changes.modified { node.modified = modified }
        if let accessed = changes.accessed { node.accessed = accessed }
        node.changed = present
        return freed
    }

    /// Who mounted: files without a recorded owner are theirs.
    var mounter: Owner { Owner(userID: getuid(), groupID: getgid()) }

    /// An owner as it is recorded: whoever mounted is nobody in particular.
    func recorded(_ owner: Owner) -> Owner? {
        squashesOwners || owner == mounter ? nil : owner
    }

    /// The owner to record; `nil` when it stays. Throws `.notPermitted` where all belongs to whoever mounted.
    private func newOwner(_ changes: AttributeChanges, _ present: Owner?) throws -> Owner?? {
        guard changes.userID != nil || changes.groupID != nil else { return nil }
        let old = present ?? mounter
        let new = Owner(userID: changes.userID ?? old.userID, groupID: changes.groupID ?? old.groupID)
        if new == old { return nil }
        if squashesOwners { throw VFSError.notPermitted }
        return .some(recorded(new))
    }

    package func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError) {
        try checkAttributeName(name)
        guard name.starts(with: "user.".utf8) else { throw .notSupported }
        guard !ExtendedAttribute.isOwn(name) else { throw .notPermitted }
        guard value.count <= ExtendedAttribute.maximumValueBytes else { throw .noSpace }
        try changeAttributes(inode) { attributes in
            let known = attributes.firstIndex { $0.name == name }
            if mustExist, known == nil { throw VFSError.noAttribute }
            if mustNotExist, known != nil { throw VFSError.exists }
            if let known { attributes.remove(at: known) }
            attributes.append(ExtendedAttribute(name: name, value: value))
            guard attributes.reduce(0, { $0 + $1.sizeBytes }) <= Entry.maximumAttributeBytes else {
                throw VFSError.noSpace
            }
            attributes.sort { compareBytes($0.name, $1.name) < 0 }
        }
    }

    package func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) {
        try checkAttributeName(name)
        try changeAttributes(inode) { attributes in
            guard ExtendedAttribute.isUsers(name), let known = attributes.firstIndex(where: { $0.name == name }) else {
                throw VFSError.noAttribute
            }
            attributes.remove(at: known)
        }
    }

    private func changeAttributes(
        _ inode: InodeNumber, _ body: (inout [ExtendedAttribute]) throws -> Void
    ) throws(VFSError) {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "changing attributes of inode \(inode.value)") {
                try table.withLock { table in
                    let file = try current(&table, inode)
                    try makingRoom {
                        try transaction { change in
                            _ = try stage(table, change, file)
                            let number = try change.overlay.nextChange()
                            try update(change, file) { node in
                                try body(&node.attributes)
                                node.changed = now()
                                node.change = number
                            }
                        }
                    }
                }
            }
        }
    }
}

extension AttributeChanges {
    /// Whether set-user-ID and set-group-ID go: when a file is truncated or given to another. A change of nothing is a
    /// chown(2) that names neither user nor group.
    fileprivate var takesPrivileges: Bool {
        size != nil || userID != nil || groupID != nil || (mode == nil && modified == nil && accessed == nil)
    }
}
