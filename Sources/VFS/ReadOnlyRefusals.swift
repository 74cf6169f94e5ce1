/// What every read-only file system answers to an attempt to change it. (The kernel refuses most of them itself.)
extension FileSystem where Self: ReadOnlyFileSystem {
    package func create(
        _ parent: InodeNumber, _ name: [UInt8], mode: UInt16, exclusive: Bool, truncating: Bool
    ) throws(VFSError) -> (FileAttributes, HandleNumber) { throw .readOnly }

    package func makeDirectory(
        _ parent: InodeNumber, _ name: [UInt8], mode: UInt16
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func makeSymlink(
        _ parent: InodeNumber, _ name: [UInt8], target: [UInt8]
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func unlink(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) { throw .readOnly }
    package func removeDirectory(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) { throw .readOnly }

    package func rename(
        _ parent: InodeNumber, _ name: [UInt8], to newParent: InodeNumber, _ newName: [UInt8], replacing: Bool
    ) throws(VFSError) { throw .readOnly }

    package func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges
    ) throws(VFSError) -> FileAttributes { throw .readOnly }

    package func write(
        _ inode: InodeNumber, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws(VFSError) -> Int { throw .readOnly }

    package func flush(_ inode: InodeNumber) throws(VFSError) {}
    package func sync(_ inode: InodeNumber) throws(VFSError) {}

    package func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError) { throw .readOnly }

    package func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) { throw .readOnly }
}

/// Marks a file system that nothing changes through the mount.
package protocol ReadOnlyFileSystem: FileSystem {}
