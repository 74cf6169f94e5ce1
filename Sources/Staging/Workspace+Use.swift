import CLinux
import Glibc
import Logging

// Who uses a workspace, one after the other.

extension Workspace {
    /// To be called when a mount begins or a command takes the workspace: drops the uploads unless whoever held it last
    /// said that it ended well, and sees to data files after the host went down.
    ///
    /// - Parameter boot: names the time since the host started; `nil` where that is not known.
    package func beginUse(boot: String? = currentBoot()) throws {
        let (ended, lastBoot) = try read { (try $0.meta("ended"), try $0.meta("boot")) }
        if ended != "well" { try dropUploads() }
        if boot == nil || boot != lastBoot { try lengthenData() }
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
    private func lengthenData() throws {
        for (id, end) in try read({ try $0.dataEnds() }) {
            let path = dataPath(id)
            var status = stat()
            if stat(path, &status) == 0, UInt64(clamping: status.st_size) >= end { continue }
            let descriptor = try openData(id, create: true)
            defer { close(descriptor) }
            guard ftruncate(descriptor, off_t(clamping: end)) == 0, fsync(descriptor) == 0 else {
                throw WorkspaceError.localIO(path: path, errno: errno)
            }
            let names = try read { try $0.names(showing: id) }.map { String(decoding: $0, as: UTF8.self) }
            logger.warning(
                "bytes that were written but not synced when this host went down are zeros now",
                metadata: ["file": "\(names.joined(separator: ", "))", "from byte": "\(status.st_size)"])
        }
    }
}

/// What the kernel calls the time since it started (random(4), boot_id); `nil` when it does not say.
package func currentBoot() -> String? {
    guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return nil }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 64)
    guard fgets(&text, 64, file) != nil else { return nil }
    return String(decoding: text.prefix { $0 > 32 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
