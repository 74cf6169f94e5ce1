package import Versioning

/// What every read-only file system answers to an attempt to change it. (The kernel refuses most of them itself.)
extension FileSystem where Self: ReadOnlyFileSystem {
    package func create(
        _ parent: InodeNumber, _ name: EntryName, _ new: NewFile, existing: ExistingFile, by requester: Requester
    ) throws(VFSError) -> (FileAttributes, HandleNumber) { throw .readOnly }

    package func createUnnamed(
        _ parent: InodeNumber, _ new: NewFile
    ) throws(VFSError) -> (FileAttributes, HandleNumber) { throw .readOnly }

    package func make(
        _ parent: InodeNumber, _ name: EntryName, _ new: NewFile
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func link(
        _ inode: InodeNumber, to parent: InodeNumber, _ name: EntryName
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func unlink(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) { throw .readOnly }
    package func removeDirectory(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) { throw .readOnly }

    package func rename(
        _ parent: InodeNumber, _ name: EntryName, to newParent: InodeNumber, _ newName: EntryName, _ mode: RenameMode
    ) throws(VFSError) { throw .readOnly }

    package func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, by requester: Requester
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func write(
        _ inode: InodeNumber, at offset: FileOffset, _ bytes: UnsafeRawBufferPointer, by requester: Requester
    ) throws(VFSError) -> Int { throw .readOnly }

    package func allocate(
        _ inode: InodeNumber, _ range: FileRange, _ allocation: Allocation, keepsSize: Bool, by requester: Requester
    ) throws(VFSError) { throw .readOnly }

    package func copy(
        _ source: InodeNumber, _ range: FileRange, to target: InodeNumber, at targetOffset: FileOffset,
        by requester: Requester
    ) throws(VFSError) -> UInt64 { throw .readOnly }

    package func flush(_ inode: InodeNumber, _ handle: HandleNumber) throws(VFSError) {}
    package func sync(_ inode: InodeNumber) throws(VFSError) {}

    package func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError) { throw .readOnly }

    package func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) { throw .readOnly }
}

/// Marks a file system that nothing changes through the mount.
package protocol ReadOnlyFileSystem: FileSystem {}
