package import Versioning

/// A mounted tree, in FUSE's verbs. Calls block, come from any number of threads at once and may need the store.
///
/// Two kinds implement it: `SnapshotFileSystem` (commits, immutable) and `WorkspaceFileSystem` (a branch with staged
/// changes). What a request carries comes as types whose initialisers check it; only inodes and handles may be unknown.
package protocol FileSystem: Sendable {
    var traits: FileSystemTraits { get }
    /// Called when the mount is up, with what can make its kernel forget.
    func attach(_ kernel: any KernelCache)

    /// How long a name found in `parent` stays true, in seconds.
    func entryTimeoutSeconds(in parent: InodeNumber) -> Double
    func lookup(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) -> FileAttributes
    /// The kernel drops `count` of the references that lookup, create … gave it.
    func forget(_ inode: InodeNumber, count: UInt64)
    func attributes(_ inode: InodeNumber) throws(VFSError) -> FileAttributes
    func readLink(_ inode: InodeNumber) throws(VFSError) -> [UInt8]

    func openDirectory(_ inode: InodeNumber) throws(VFSError) -> HandleNumber
    func releaseDirectory(_ inode: InodeNumber, _ handle: HandleNumber)
    /// Hands entries after `cookie` (zero: from the start) to `body` until it answers false. `countsAsLookup`: each entry
    /// handed out and taken is a reference that the kernel will `forget`.
    func readDirectory(
        _ inode: InodeNumber, _ handle: HandleNumber, after cookie: FileOffset, countsAsLookup: Bool,
        _ body: (DirectoryEntry) -> Bool
    ) throws(VFSError)

    /// - Parameter truncating: who empties the file with this; `nil`: nobody does.
    func open(_ inode: InodeNumber, forWriting: Bool, truncating: Requester?) throws(VFSError) -> HandleNumber
    func release(_ inode: InodeNumber, _ handle: HandleNumber)
    /// The file as one of this host; `nil` where it is not here whole, or not worth it.
    func hostFile(_ inode: InodeNumber) -> HostFile?
    /// Some file of the kind that `hostFile` gives; `nil` where there are none.
    func sampleHostFile() -> HostFile?
    /// Fills `buffer` from `offset`; answers how many bytes there were.
    func read(
        _ inode: InodeNumber, at offset: FileOffset, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VFSError) -> Int

    func attributeNames(_ inode: InodeNumber) throws(VFSError) -> [[UInt8]]
    func attribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) -> [UInt8]
    func statistics() throws(VFSError) -> VolumeStatistics

    /// The first byte from `offset` on that is data, or a hole; the end of a file counts as a hole. Throws
    /// `.noSuchOffset` when there is none.
    func seek(_ inode: InodeNumber, from offset: FileOffset, to target: SeekTarget) throws(VFSError) -> UInt64

    // What follows changes the tree; a read-only file system answers `.readOnly`.
    /// Opens a file that may have to be made first.
    func create(
        _ parent: InodeNumber, _ name: EntryName, _ new: NewFile, existing: ExistingFile, by requester: Requester
    ) throws(VFSError) -> (FileAttributes, HandleNumber)
    /// Makes and opens a file without a name.
    func createUnnamed(_ parent: InodeNumber, _ new: NewFile) throws(VFSError) -> (FileAttributes, HandleNumber)
    func make(_ parent: InodeNumber, _ name: EntryName, _ new: NewFile) throws(VFSError) -> FileAttributes
    /// Gives a file one more name.
    func link(_ inode: InodeNumber, to parent: InodeNumber, _ name: EntryName) throws(VFSError) -> FileAttributes
    func unlink(_ parent: InodeNumber, _ name: EntryName) throws(VFSError)
    func removeDirectory(_ parent: InodeNumber, _ name: EntryName) throws(VFSError)
    func rename(
        _ parent: InodeNumber, _ name: EntryName, to newParent: InodeNumber, _ newName: EntryName, _ mode: RenameMode
    ) throws(VFSError)
    func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, by requester: Requester
    ) throws(VFSError) -> FileAttributes
    func write(
        _ inode: InodeNumber, at offset: FileOffset, _ bytes: UnsafeRawBufferPointer, by requester: Requester
    ) throws(VFSError) -> Int
    /// - Parameter keepsSize: the file's size stays, also when the range goes beyond it.
    func allocate(
        _ inode: InodeNumber, _ range: FileRange, _ allocation: Allocation, keepsSize: Bool, by requester: Requester
    ) throws(VFSError)
    /// Copies bytes from one file to another, or within one, without moving them. Answers how many; 0 at the end.
    func copy(
        _ source: InodeNumber, _ range: FileRange, to target: InodeNumber, at targetOffset: FileOffset,
        by requester: Requester
    ) throws(VFSError) -> UInt64
    /// A descriptor of the file was closed.
    func flush(_ inode: InodeNumber, _ handle: HandleNumber) throws(VFSError)
    /// Content and attributes survive power loss when this returns.
    func sync(_ inode: InodeNumber) throws(VFSError)
    func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError)
    func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError)
}

extension FileSystem {
    package func hostFile(_ inode: InodeNumber) -> HostFile? { nil }
    package func sampleHostFile() -> HostFile? { nil }
}

/// What the kernel has cached of a mount. Calls block until it is forgotten, possibly for reads under way: never from a
/// thread that serves requests, nor under a lock that one may need.
package protocol KernelCache: Sendable {
    /// Content and attributes.
    func dropContent(of inode: InodeNumber)
    func dropAttributes(of inode: InodeNumber)
    func dropName(_ name: EntryName, in parent: InodeNumber)
}
