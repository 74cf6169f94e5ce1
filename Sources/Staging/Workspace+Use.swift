import BlockingIO
import CLinux
import FoundationEssentials
import Glibc
import Logging
import Versioning

// Who uses a workspace, one after the other.

extension Workspace {
    /// To be called when a mount begins or a command takes the workspace: drops the uploads unless whoever held it last
    /// said that it ended well, and sees to data files after the host went down.
    ///
    /// - Parameter boot: names the time since the host started; `nil` where that is not known.
    package func beginUse(boot: String? = currentBoot()) throws {
        try settleFailures()
        let (ended, lastBoot) = try read { (try $0.meta("ended"), try $0.meta("boot")) }
        // A disk may also go away from under a host that stays up: then nobody could say that it ended well.
        let mayLack = ended != "well" || boot == nil || boot != lastBoot
        let hasLost = try mayLack && lengthenData()
        if ended != "well" || hasLost { try dropUploads() }
        try write { overlay in
            try overlay.setMeta("ended", nil)
            try overlay.setMeta("boot", boot)
        }
    }

    /// Everything written is in the workspace, and nothing will be written any more.
    package func endUse() throws {
        try write { try $0.setMeta("ended", "well") }
        try makeDurable()
    }

    /// After power loss a data file may be shorter than the ranges in it, or missing, where no fsync had returned. These
    /// bytes are zeros from now on, so that what lies before them can be read and committed; a warning names the files.
    /// One that cannot be mended is told, and fails who reads it. Answers whether any was lengthened.
    private func lengthenData() throws -> Bool {
        var lengthened: Set<Int64> = []
        for (id, end) in try read({ try $0.dataEnds() }) {
            var status = stat()
            if stat(dataPath(id), &status) == 0, UInt64(clamping: status.st_size) >= end { continue }
            do {
                let descriptor = try openData(id, create: true)
                defer { close(descriptor) }
                guard ftruncate(descriptor, off_t(clamping: end)) == 0 else {
                    throw WorkspaceError.localIO(path: dataPath(id), errno: errno)
                }
                lengthened.insert(id.value)
            } catch {
                logger.error("staged bytes cannot be read: \(error)")
            }
        }
        if lengthened.isEmpty { return false }
        let names = try read { try $0.names(showing: lengthened) }.map { String(decoding: $0, as: UTF8.self) }
        if !names.isEmpty {
            logger.warning(
                "bytes that were written but not synced when this host or its disk went down are zeros now",
                metadata: ["files": "\(names.count)", "first": "\(names.prefix(10).joined(separator: ", "))"])
        }
        return true
    }
}

/// What the kernel calls the time since it started (random(4), boot_id); `nil` when it does not say.
package func currentBoot() -> String? {
    FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id").map { text in
        String(decoding: text.prefix { $0 > 32 }, as: UTF8.self)
    }
}

extension Workspace {
    /// Gives the workspace in a directory to another branch of its repository. Nobody may have it open. Durable on return.
    package static func assign(_ directory: String, to branch: String) throws {
        var info = try info(of: directory)
        info.branch = branch
        do throws(SystemFailure) {
            try replaceFile(directory + "/workspace.json", with: encodeRecord(info))
        } catch {
            throw WorkspaceError.localIO(path: error.path, errno: error.errno)
        }
    }
}
