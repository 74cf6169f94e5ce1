import Glibc

/// A process of this or another host, named so that no other process can be taken for it.
package struct ProcessIdentity: Hashable, Sendable, Codable {
    /// `/proc/sys/kernel/random/boot_id`: of the host since it was started.
    package let boot: String
    /// The process namespace: the same number is another process in another one.
    package let namespace: String
    package let process: Int32
    /// When it began, in clock ticks since the host was started (proc_pid_stat(5), field 22).
    package let began: UInt64

    /// This process; `nil` where /proc does not tell.
    package static let current: ProcessIdentity? = ProcessIdentity(getpid())

    /// A process that lives now, in the namespace of this one.
    package init?(_ process: Int32) {
        guard let boot = Self.text(of: "/proc/sys/kernel/random/boot_id"), let namespace = Self.ownNamespace(),
            let state = Self.state(of: process)
        else { return nil }
        self.boot = boot.trimmingSpaces
        self.namespace = namespace
        self.process = process
        began = state.began
    }

    /// Whether it is sure that the process has ended: it was of this host, since its last start, and of this namespace, and
    /// it is not there any more. False where that cannot be known.
    package var hasEnded: Bool {
        guard process > 0, let own = Self.current, own.boot == boot, own.namespace == namespace else { return false }
        // /proc may hide the processes of other users; kill(2) says of these that they are not ours.
        if kill(process, 0) != 0 { return errno == ESRCH }
        guard let found = Self.state(of: process) else { return false }
        return found.isZombie || found.began != began
    }

    /// `nil` when it cannot be read.
    private static func state(of process: Int32) -> (isZombie: Bool, began: UInt64)? {
        // The name of the program, in brackets, may hold anything.
        guard let text = text(of: "/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let began = UInt64(fields[19]) else { return nil }
        return (["Z", "X"].contains(fields[0]), began)
    }

    private static func ownNamespace() -> String? {
        var target = [CChar](repeating: 0, count: 128)
        let length = readlink("/proc/self/ns/pid", &target, target.count)
        guard length > 0 else { return nil }
        return String(decoding: target.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The first 4 KiB of a small file; `nil` when it cannot be read.
    private static func text(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
