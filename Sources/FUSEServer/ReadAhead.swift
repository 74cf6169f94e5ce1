import BlockingIO
import Foundation
import Glibc

/// Lets the kernel read this mount ahead by 1 MiB instead of 128 KiB, where this process may (root): half as much again
/// for sequential reads, and fewer messages. Source: Documentation/ABI/testing/sysfs-class-bdi of the kernel.
enum ReadAhead {
    private static let kibibytes = "1024"

    /// Returns at once. The kernel takes over our answer to INIT, with a read-ahead of its own, some time after the mount:
    /// so for a second.
    static func raise(_ mountPoint: String) {
        Thread.detachNewThread {
            for _ in 0..<10 {
                usleep(100_000)
                guard let device = device(of: mountPoint) else { continue }
                let file = open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY | O_CLOEXEC)
                guard file >= 0 else { return }
                _ = write(file, kibibytes, kibibytes.utf8.count)
                close(file)
            }
        }
    }

    /// `major:minor` of what is mounted there, from proc(5) mountinfo: stat(2) would ask our own mount.
    private static func device(of mountPoint: String) -> String? {
        let data = contents("/proc/self/mountinfo")
        var escaped: [UInt8] = []
        for byte in mountPoint.utf8 {
            // Blank, tab, line break and backslash are written in octal.
            guard [0x20, 0x09, 0x0a, 0x5c].contains(byte) else {
                escaped.append(byte)
                continue
            }
            let digits = String(byte, radix: 8)
            escaped += Array(("\\" + String(repeating: "0", count: 3 - digits.count) + digits).utf8)
        }
        let lines = data.split(separator: UInt8(ascii: "\n")).map { $0.split(separator: UInt8(ascii: " ")) }
        let fields = lines.last { $0.count > 4 && $0[4].elementsEqual(escaped) }
        return fields.map { String(decoding: $0[2], as: UTF8.self) }
    }

    /// A file of /proc has no size, and a read of it may end early: so until nothing comes. Empty when it cannot be read.
    private static func contents(_ path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        return (try? readToEnd(file, limitBytes: contentsLimitBytes)) ?? []
    }

    private static let contentsLimitBytes = 16 << 20
}
