package import Versioning

/// Why a file system call failed, in its own words; FUSEServer maps them to errno.
package enum VFSError: Error, Hashable, Sendable {
    case notFound, exists, notADirectory, isADirectory, notEmpty, readOnly, notPermitted, notSupported, invalidArgument
    case nameTooLong, noAttribute, attributeBufferTooSmall, noSpace, fileTooLarge, staleHandle, crossDevice,
        tooManyLinks
    case interrupted
    /// The store, a cache or the workspace failed, or bytes were wrong. The reason is in the log.
    case inputOutput
}

/// What FUSE calls a node id: names a file while the kernel knows it. 1 is the root.
package struct InodeNumber: Hashable, Sendable {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    package static let root = InodeNumber(1)
}

/// Names an open file or directory between open and release.
package struct HandleNumber: Hashable, Sendable {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    /// For file systems that keep no state for an open file.
    package static let none = HandleNumber(0)
}

package enum FileKind: Hashable, Sendable {
    case file, directory, symlink
}

/// What stat(2) tells.
package struct FileAttributes: Hashable, Sendable {
    package var inode: InodeNumber
    package var kind: FileKind
    /// Permission bits only.
    package var mode: UInt16
    package var sizeBytes: UInt64
    package var modified: Timestamp
    /// `nil`: whoever mounted.
    package var owner: Owner?

    package init(
        inode: InodeNumber, kind: FileKind, mode: UInt16, sizeBytes: UInt64, modified: Timestamp, owner: Owner?
    ) {
        self.inode = inode
        self.kind = kind
        self.mode = mode
        self.sizeBytes = sizeBytes
        self.modified = modified
        self.owner = owner
    }

    package init(_ entry: Entry, inode: InodeNumber) {
        let kind: FileKind =
            switch entry.kind {
            case .file: .file
            case .directory: .directory
            case .symlink: .symlink
            }
        self.init(
            inode: inode, kind: kind, mode: entry.mode, sizeBytes: entry.sizeBytes, modified: entry.modified,
            owner: entry.owner)
    }
}

/// What setattr is to change; `nil` leaves a field as it is.
package struct AttributeChanges: Sendable {
    package var mode: UInt16?
    package var userID: UInt32?
    package var groupID: UInt32?
    package var sizeBytes: UInt64?
    package var modified: Timestamp?

    package init() {}
}

package struct DirectoryEntry: Sendable {
    package let name: [UInt8]
    package let attributes: FileAttributes
    /// Where the next entry is read from.
    package let cookie: UInt64

    package init(name: [UInt8], attributes: FileAttributes, cookie: UInt64) {
        self.name = name
        self.attributes = attributes
        self.cookie = cookie
    }
}

package struct VolumeStatistics: Sendable {
    package var totalBytes: UInt64
    package var freeBytes: UInt64
    package var files: UInt64
    package var freeFiles: UInt64

    package init(totalBytes: UInt64, freeBytes: UInt64, files: UInt64, freeFiles: UInt64) {
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
        self.files = files
        self.freeFiles = freeFiles
    }
}

/// What the kernel may assume of a mount.
package struct FileSystemTraits: Sendable {
    package var isReadOnly: Bool
    /// How long names and attributes stay true, in seconds.
    package var timeoutSeconds: Double
    /// Opens carry no state and need not be sent: FUSE's zero-message open.
    package var needsNoOpen: Bool

    package init(isReadOnly: Bool, timeoutSeconds: Double, needsNoOpen: Bool) {
        self.isReadOnly = isReadOnly
        self.timeoutSeconds = timeoutSeconds
        self.needsNoOpen = needsNoOpen
    }
}

/// A mounted tree, in FUSE's verbs. Calls block, come from any number of threads at once and may need the store.
///
/// Two kinds implement it: `SnapshotFileSystem` (commits, immutable) and `WorkspaceFileSystem` (a branch with staged
/// changes). Names are single components that the kernel has checked for `/` and NUL.
package protocol FileSystem: Sendable {
    var traits: FileSystemTraits { get }

    /// How long a name found in `parent` stays true, in seconds.
    func entryTimeoutSeconds(in parent: InodeNumber) -> Double
    func lookup(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) -> FileAttributes
    /// The kernel drops `count` of the references that lookup, create … gave it.
    func forget(_ inode: InodeNumber, count: UInt64)
    func attributes(_ inode: InodeNumber) throws(VFSError) -> FileAttributes
    func readLink(_ inode: InodeNumber) throws(VFSError) -> [UInt8]

    func openDirectory(_ inode: InodeNumber) throws(VFSError) -> HandleNumber
    func releaseDirectory(_ inode: InodeNumber, _ handle: HandleNumber)
    /// Hands entries after `cookie` (0: from the start) to `body` until it answers false. `countsAsLookup`: each entry
    /// handed out and taken is a reference that the kernel will `forget`.
    func readDirectory(
        _ inode: InodeNumber, _ handle: HandleNumber, after cookie: UInt64, countsAsLookup: Bool,
        _ body: (DirectoryEntry) -> Bool
    ) throws(VFSError)

    func open(_ inode: InodeNumber, forWriting: Bool, truncating: Bool) throws(VFSError) -> HandleNumber
    func release(_ inode: InodeNumber, _ handle: HandleNumber)
    /// Fills `buffer` from `offset`; answers how many bytes there were.
    func read(
        _ inode: InodeNumber, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VFSError) -> Int

    func attributeNames(_ inode: InodeNumber) throws(VFSError) -> [[UInt8]]
    func attribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) -> [UInt8]
    func statistics() throws(VFSError) -> VolumeStatistics

    // What follows changes the tree; a read-only file system answers `.readOnly`.
    func create(
        _ parent: InodeNumber, _ name: [UInt8], mode: UInt16, exclusive: Bool, truncating: Bool
    ) throws(VFSError) -> (FileAttributes, HandleNumber)
    func makeDirectory(_ parent: InodeNumber, _ name: [UInt8], mode: UInt16) throws(VFSError) -> FileAttributes
    func makeSymlink(_ parent: InodeNumber, _ name: [UInt8], target: [UInt8]) throws(VFSError) -> FileAttributes
    func unlink(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError)
    func removeDirectory(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError)
    func rename(
        _ parent: InodeNumber, _ name: [UInt8], to newParent: InodeNumber, _ newName: [UInt8], replacing: Bool
    ) throws(VFSError)
    func setAttributes(_ inode: InodeNumber, _ changes: AttributeChanges) throws(VFSError) -> FileAttributes
    func write(
        _ inode: InodeNumber, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws(VFSError) -> Int
    /// A descriptor of the file was closed.
    func flush(_ inode: InodeNumber) throws(VFSError)
    /// Content and attributes survive power loss when this returns.
    func sync(_ inode: InodeNumber) throws(VFSError)
    func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError)
    func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError)
}
