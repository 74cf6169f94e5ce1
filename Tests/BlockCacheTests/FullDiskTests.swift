import BlockCache
import Foundation
import Testing

/// Small filesystems of their own; mounting them needs root.
@Suite(.serialized) struct FullDiskTests {
    /// Mounts a filesystem at `scratch.cache` and unmounts it afterwards. False, and a loud word, without privilege.
    private func onFilesystem(_ type: String, _ options: String, _ body: (Scratch) throws -> Void) throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch.cache, withIntermediateDirectories: true)
        guard try run("mount", "-t", type, "-o", options, type, scratch.cache) == 0 else {
            print("SKIPPED: FullDiskTests must mount \(type), which needs root")
            return
        }
        defer { _ = try? run("umount", "-l", scratch.cache) }
        try body(scratch)
    }

    private func run(_ arguments: String...) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    private static let blocks: [BlockAddress] = {
        var random = SeededGenerator(seed: 5)
        return (1...4).flatMap { Lake.pack($0, blocks: 40, lengths: 10_000...300_000, using: &random) }
    }()

    @Test func aFullDiskFailsNoRead() throws {
        try onFilesystem("tmpfs", "size=8m") { scratch in
            let cache = try scratch.open(limit: 1 << 30)
            for round in 0..<3 {
                for block in Self.blocks { #expect(cache.servesRight(block), "round \(round)") }
            }
            // Room was made where there was none.
            #expect(cache.status().evictions > 0 && cache.isCached(Self.blocks.last!))
            #expect(
                cache.object(Lake.key(77)) { _ in
                    true
                } fetch: {
                    Lake.bytes(Lake.key(77), 0, 3_000_000)
                }?.count == 3_000_000)
            #expect(cache.status().usedBytes <= 8 << 20)
            onThreads(4) { thread in
                for block in Self.blocks[(thread * 40)...].prefix(40) { #expect(cache.servesRight(block)) }
            }
        }
    }

    @Test func aDiskFilledByOthersFailsNoRead() throws {
        try onFilesystem("tmpfs", "size=8m") { scratch in
            let cache = try scratch.open(limit: 1 << 30)
            let filler = scratch.cache + "/filler"
            _ = try run("dd", "if=/dev/zero", "of=\(filler)", "bs=1M", "status=none")
            for block in Self.blocks { #expect(cache.servesRight(block)) }
            #expect(
                cache.object(Lake.key(77)) { _ in
                    true
                } fetch: {
                    [1, 2]
                } == [1, 2])
            #expect(cache.status().usedBytes == scratch.bytesOnDisk())
            try FileManager.default.removeItem(atPath: filler)
            #expect(cache.servesRight(Self.blocks[0]) && cache.isCached(Self.blocks[0]))
        }
    }

    @Test func aDiskWithoutRoomForTheIndexIsAnErrorOfOpening() throws {
        try onFilesystem("tmpfs", "size=1m") { scratch in
            #expect(throws: BlockCacheError.system(operation: "allocate index", path: scratch.cache, errno: ENOSPC)) {
                try scratch.open(slots: 65_536)
            }
        }
    }

    @Test func aReadOnlyDiskIsAnErrorOfOpening() throws {
        try onFilesystem("tmpfs", "size=64m") { scratch in
            for block in Self.blocks.prefix(50) { try scratch.open(limit: 32 << 20).storeLake(block) }
            try #require(try run("mount", "-o", "remount,ro", scratch.cache) == 0)
            #expect(throws: BlockCacheError.system(operation: "open lock", path: scratch.cache, errno: EROFS)) {
                try scratch.open()
            }
        }
    }

    @Test func directoriesThatCannotBeWrittenFailNoRead() throws {
        let scratch = try Scratch()
        let cache = try scratch.open()
        let directories = [scratch.cache + "/data", scratch.cache + "/objects"]
        defer { for directory in directories { _ = try? run("chattr", "-i", directory) } }
        for directory in directories {
            guard try run("chattr", "+i", directory) == 0 else {
                print(
                    "SKIPPED: directoriesThatCannotBeWrittenFailNoRead needs root and chattr on the temporary directory"
                )
                return
            }
        }
        for block in Self.blocks { #expect(cache.servesRight(block)) }
        #expect(
            cache.object(Lake.key(77)) { _ in
                true
            } fetch: {
                [1, 2]
            } == [1, 2])
        #expect(cache.status().usedBytes == 0 && cache.status().segments == 0 && cache.status().objects == 0)
    }

    @Test func aFilesystemWithoutHolesEvictsWholePacks() throws {
        try onFilesystem("ramfs", "mode=0700") { scratch in
            let cache = try scratch.open(limit: 4 << 20)
            for _ in 0..<2 {
                for block in Self.blocks { #expect(cache.servesRight(block)) }
            }
            #expect(cache.status().evictions > 0 && cache.status().usedBytes <= 4 << 20)
            #expect(scratch.bytesOnDisk() == cache.status().usedBytes)
            #expect(cache.isCached(Self.blocks.last!))
        }
    }
}
