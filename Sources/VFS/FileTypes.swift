import BlockCache
package import Versioning

/// Why a file system call failed, in its own words; FUSEServer maps them to errno.
package enum VFSError: Error, Hashable, Sendable {
    case notFound, exists, notADirectory, isADirectory, notEmpty, readOnly, notPermitted, notSupported, invalidArgument
    /// Past the end of the file, for a search of data or holes.
    case noSuchOffset
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
    /// For those that need only know that it may be written to.
    package static let writing = HandleNumber(1)
}

package enum FileKind: Hashable, Sendable {
    case file, directory, symlink, pipe, socket, characterDevice, blockDevice

    init(_ kind: Entry.Kind) {
        switch kind {
        case .file: self = .file
        case .directory: self = .directory
        case .symlink: self = .symlink
        }
    }
}

/// What stat(2) tells.
package struct FileAttributes: Hashable, Sendable {
    package var inode: InodeNumber
    /// `st_ino`; the inode's own number unless said otherwise.
    package var number: UInt64
    package var kind: FileKind
    /// Permission bits only.
    package var mode: UInt16
    /// How many names it has; 0 when it is only open any more.
    package var links: UInt32 = 1
    package var sizeBytes: UInt64
    /// Bytes that are no hole.
    package var allocatedBytes: UInt64
    package var modified: Timestamp
    package var accessed: Timestamp
    package var changed: Timestamp
    /// `nil`: whoever mounted.
    package var owner: Owner?
    /// `st_rdev` of a device node.
    package var device: UInt32 = 0
    /// The name that led here must be asked for again each time.
    package var isFleeting = false

    package init(
        inode: InodeNumber, kind: FileKind, mode: UInt16, sizeBytes: UInt64, modified: Timestamp, owner: Owner?
    ) {
        self.inode = inode
        number = inode.value
        self.kind = kind
        self.mode = mode
        self.sizeBytes = sizeBytes
        allocatedBytes = sizeBytes
        self.modified = modified
        accessed = modified
        changed = modified
        self.owner = owner
    }

    package init(_ entry: Entry, inode: InodeNumber) {
        self.init(
            inode: inode, kind: FileKind(entry.kind), mode: entry.mode, sizeBytes: entry.sizeBytes,
            modified: entry.modified, owner: entry.owner)
    }
}

/// What setattr is to change; `nil` leaves a field as it is.
package struct AttributeChanges: Sendable {
    package var mode: UInt16?
    package var userID: UInt32?
    package var groupID: UInt32?
    package var size: FileOffset?
    package var modified: Timestamp?
    package var accessed: Timestamp?

    package init() {}
}

/// What is to be made in a directory, and by whom.
package struct NewFile: Sendable {
    package enum Kind: Sendable {
        case file, directory
        case symlink(target: [UInt8])
        case pipe, socket
        case characterDevice(UInt32)
        case blockDevice(UInt32)
    }

    package let kind: Kind
    /// Permission bits.
    package let mode: UInt16
    package let maker: Owner

    package init(_ kind: Kind, mode: UInt16, maker: Owner) {
        self.kind = kind
        self.mode = mode
        self.maker = maker
    }
}

/// What opening a file that may have to be made does with one that is there.
package enum ExistingFile: Sendable {
    case opened, truncated, refused
}

/// What rename does when the new name is taken.
package enum RenameMode: Sendable {
    case replacing, refusing
    /// The two names change places.
    case exchanging
}

/// What fallocate(2) is to do with a range.
package enum Allocation: Sendable {
    /// Reserve room on the disk.
    case reserve
    /// Make a hole of what lies within the file.
    case punchHole
    /// Zeros.
    case zero
}

package enum SeekTarget: Sendable {
    case data, hole
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

extension UInt64 {
    /// Counts of a commit come from whoever wrote it: a sum beyond the largest number is the largest number.
    func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    func multipliedClamped(_ other: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}

/// What the kernel may assume of a mount.
package struct FileSystemTraits: Sendable {
    package var isReadOnly: Bool
    /// How long names and attributes stay true, in seconds.
    package var timeoutSeconds: Double
    /// Opens of files carry no state and need not be sent: FUSE's zero-message open.
    package var needsNoOpen: Bool
    /// The same of directories.
    package var needsNoOpenDirectory: Bool
    /// Opens are worth being sent where the kernel can read from a `HostFile` by itself.
    package var wantsPassthrough: Bool

    package init(
        isReadOnly: Bool, timeoutSeconds: Double, needsNoOpen: Bool, needsNoOpenDirectory: Bool,
        wantsPassthrough: Bool = false
    ) {
        self.isReadOnly = isReadOnly
        self.timeoutSeconds = timeoutSeconds
        self.needsNoOpen = needsNoOpen
        self.needsNoOpenDirectory = needsNoOpenDirectory
        self.wantsPassthrough = wantsPassthrough
    }
}

/// How files of a mounted commit are opened.
package enum Opening: String, Sendable {
    /// `passthrough` where files are large on average, `none` otherwise.
    case auto
    /// Without a message: best for small files.
    case none
    /// With a message each, and the kernel reads what is whole in the block cache by itself: best for large files. It
    /// needs Linux 6.9 and root; elsewhere it is `none`.
    case passthrough
}

/// A file of this host with the whole content of a mounted one, verified, whose bytes stay as they are for as long as
/// this object lives or somebody has opened its descriptor's file.
package struct HostFile: Sendable {
    private let file: WholeFile

    init(_ file: WholeFile) {
        self.file = file
    }

    /// See `WholeFile.withDescriptor`.
    package func withDescriptor<Result>(_ body: (Int32) -> Result) -> Result { file.withDescriptor(body) }
}
