import ProllyTree

/// A point in time: seconds since 1970 (may be negative) and nanoseconds 0...999,999,999 after them.
package struct Timestamp: Hashable, Sendable, Comparable {
    package let seconds: Int64
    package let nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

package struct Owner: Hashable, Sendable {
    package let userID: UInt32
    package let groupID: UInt32

    package init(userID: UInt32, groupID: UInt32) {
        self.userID = userID
        self.groupID = groupID
    }
}

package struct ExtendedAttribute: Hashable, Sendable {
    package let name: [UInt8]
    package let value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// As Linux has them (xattr(7): XATTR_NAME_MAX, XATTR_SIZE_MAX).
    package static let maximumNameBytes = 255
    package static let maximumValueBytes = 64 << 10

    package var sizeBytes: Int { name.count + value.count }

    /// Tarn answers attributes of these names itself. A file has none of them, whatever a tree says.
    package static let ownPrefix = "user.tarn."

    package static func isOwn(_ name: [UInt8]) -> Bool { name.starts(with: ownPrefix.utf8) }

    /// Whether it is one that users may give their files: `user.*`, but not Tarn's own. The other namespaces of Linux give
    /// privileges (xattr(7)).
    package static func isUsers(_ name: [UInt8]) -> Bool { name.starts(with: "user.".utf8) && !isOwn(name) }
}

/// One path of a tree: what it is and its attributes, without its name.
package struct Entry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file(FileContent)
        case directory
        case symlink(target: [UInt8])
    }

    package var kind: Kind
    /// Permission bits, 0...0o7777.
    package var mode: UInt16
    package var modified: Timestamp
    /// Who owns it; `nil` when that was not recorded, and then it belongs to whoever mounts.
    package var owner: Owner?
    /// `user.*` attributes in ascending order of names.
    package var attributes: [ExtendedAttribute]

    /// Of a symbolic link, as Linux has it (PATH_MAX with its NUL).
    package static let maximumTargetBytes = 4095
    /// Names and values of all attributes of an entry together.
    package static let maximumAttributeBytes = 1 << 20

    package init(
        kind: Kind, mode: UInt16, modified: Timestamp, owner: Owner? = nil, attributes: [ExtendedAttribute] = []
    ) {
        self.kind = kind
        self.mode = mode & 0o7777
        self.modified = modified
        self.owner = owner
        self.attributes = attributes
    }

    package var isDirectory: Bool { kind == .directory }

    package var file: FileContent? {
        if case .file(let content) = kind { return content }
        return nil
    }

    /// `st_size`: bytes of a file, of a link's target; 0 for a directory.
    package var sizeBytes: UInt64 {
        switch kind {
        case .file(let content): content.sizeBytes
        case .directory: 0
        case .symlink(let target): UInt64(target.count)
        }
    }
}

/// A file's bytes: their number and their blocks, here or in a block list of their own.
package struct FileContent: Hashable, Sendable {
    package enum Blocks: Hashable, Sendable {
        case inline([BlockReference])
        /// The object `lists/<xx>/<id>` holds the blocks.
        case list(ContentID)
    }

    package let sizeBytes: UInt64
    package let blocks: Blocks

    /// A file with more blocks than this has a block list of its own.
    package static let maximumInlineBlocks = 8

    package init(sizeBytes: UInt64, blocks: Blocks) {
        self.sizeBytes = sizeBytes
        self.blocks = blocks
    }

    /// The content of this list; the caller stores the list when `needsList`.
    package init(_ list: BlockList) {
        sizeBytes = list.sizeBytes
        blocks = Self.needsList(list) ? .list(list.contentID) : .inline(list.blocks.references)
    }

    package static func needsList(_ list: BlockList) -> Bool { list.blocks.count > maximumInlineBlocks }

    package static let empty = FileContent(sizeBytes: 0, blocks: .inline([]))

    package var contentID: ContentID {
        switch blocks {
        case .list(let id): id
        case .inline(let blocks): Versioning.contentID(of: blocks)
        }
    }
}

/// An entry with the locations of its inline blocks (none for a file with a block list, whose list has them).
package struct LocatedEntry: Hashable, Sendable {
    package var entry: Entry
    package var extents: [Extent]

    package init(_ entry: Entry, extents: [Extent] = []) {
        self.entry = entry
        self.extents = extents
    }

    /// The entry of a file with these blocks; the caller stores the list when `FileContent.needsList`.
    package init(_ entry: Entry, of list: BlockList) {
        self.init(entry, extents: FileContent.needsList(list) ? [] : list.blocks.extents)
    }

    /// The block list, when the entry itself holds it.
    package var inlineList: BlockList? {
        guard case .inline(let blocks) = entry.file?.blocks, blocks.count == extents.count else { return nil }
        return BlockList(blocks: blocks, extents: extents)
    }
}
