import Glibc
import ObjectDatabase
import Operations
import TestSupport
import Testing
import VFS
import Versioning

/// Numbers that nobody was given, in every verb of every kind of mount: an error or a result, never the end (W28).
@Suite struct ForeignRequestTests {
    private static let inodes: [InodeNumber] =
        [0, 1, 2, 3, 4, 15, 16, 1 << 40 - 1, 1 << 40, 1 << 40 | 1, 1 << 40 | 99, 1 << 41, 1 << 62, 1 << 63, .max]
        .map(InodeNumber.init)
    private static let handles = [0, 1, 2, 1 << 32, 1 << 63 - 1, 1 << 63, .max].map(HandleNumber.init)

    private let nobody = Requester(userID: .max, groupID: .max) { [] }

    private func offsets() throws -> [FileOffset] {
        try [0, 1, 2, 3, 4, 5000, 1 << 40, 1 << 62, .max - 2, .max].map { try FileOffset($0) }
    }

    @Test func nothingEndsAMount() throws {
        let repository = try makeRepository()
        let directory = try TemporaryDirectory()
        let mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
        try mount.makeDirectory("d")
        for name in ["f", "d/g"] { try mount.makeFile(name, Array("content".utf8)) }
        _ = try mount.commit()
        try mount.edit("f", at: 2, [1, 2, 3])
        for inode in Self.inodes + [try mount.inode("f"), try mount.inode("d")] {
            try look(mount.fileSystem, inode)
            try change(mount.fileSystem, inode)
        }
        let shown = try repository.database.resolve("main")
        for (commit, follows) in [(shown, false), (shown, true), (nil, false)] {
            let snapshot = SnapshotFileSystem(
                database: repository.database, commit: commit, follows: follows, mountDescription: "{}",
                readThreads: 1, logger: .silent)
            for inode in Self.inodes {
                try look(snapshot, inode)
                try change(snapshot, inode)
            }
        }
    }

    private func look(_ fileSystem: any FileSystem, _ inode: InodeNumber) throws {
        let name = try EntryName(checking: Array("f".utf8))
        var buffer = [UInt8](repeating: 0, count: 100)
        _ = try? fileSystem.lookup(inode, name)
        _ = try? fileSystem.attributes(inode)
        _ = try? fileSystem.readLink(inode)
        _ = try? fileSystem.attributeNames(inode)
        _ = try? fileSystem.attribute(inode, Array("user.tarn.content".utf8))
        _ = fileSystem.entryTimeoutSeconds(in: inode)
        _ = fileSystem.hostFile(inode)
        _ = try? fileSystem.statistics()
        for offset in try offsets() {
            _ = try? buffer.withUnsafeMutableBytes { try fileSystem.read(inode, at: offset, into: $0) }
            for target in [SeekTarget.data, .hole] { _ = try? fileSystem.seek(inode, from: offset, to: target) }
            for handle in Self.handles {
                try? fileSystem.readDirectory(inode, handle, after: offset, countsAsLookup: false) { _ in true }
            }
        }
        if inode != .root, inode.value > 1 << 40 { fileSystem.forget(inode, count: .max) }
    }

    private func change(_ fileSystem: any FileSystem, _ inode: InodeNumber) throws {
        let places = try offsets()
        for offset in places {
            _ = try? [UInt8](repeating: 7, count: 10).withUnsafeBytes {
                try fileSystem.write(inode, at: offset, $0, by: nobody)
            }
            for count: UInt64 in [0, 1, 1 << 20, .max] {
                let range = FileRange(from: offset, atMost: count)
                for kind in [Allocation.punchHole, .zero] {
                    try? fileSystem.allocate(inode, range, kind, keepsSize: true, by: nobody)
                }
                for target in Self.inodes.prefix(6) {
                    for place in [places[0], places[places.count - 1]] {
                        _ = try? fileSystem.copy(inode, range, to: target, at: place, by: nobody)
                    }
                }
            }
            var changes = AttributeChanges()
            changes.size = offset
            _ = try? fileSystem.setAttributes(inode, changes, by: nobody)
        }
        for handle in Self.handles {
            try? fileSystem.flush(inode, handle)
            fileSystem.release(inode, handle)
            fileSystem.releaseDirectory(inode, handle)
        }
        try? fileSystem.sync(inode)
        for name in ["", "user.", "user.a", "system.a", String(repeating: "n", count: 300)] {
            try? fileSystem.setAttribute(inode, Array(name.utf8), [], mustExist: true, mustNotExist: true)
            try? fileSystem.removeAttribute(inode, Array(name.utf8))
        }
    }
}
