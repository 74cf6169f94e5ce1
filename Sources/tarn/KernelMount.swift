import BlockingIO
import CLinux
import Glibc
import Versioning

/// A mount of Tarn's as the kernel tells it (proc(5), mountinfo), and not as an attribute of a file says: anybody may give a
/// file an attribute.
struct KernelMount {
    /// The number of this mount; a bind mount of the same file system has another.
    let id: Int
    /// The file system's device, `major:minor`: the same in every mount of it. `minor` is also the FUSE connection.
    let device: String
    /// Where it is now, in this process's view.
    let point: [UInt8]
    /// What of the file system is mounted there: `/` unless it is a bind mount of a part.
    let root: [UInt8]
    /// Who mounted it.
    let userID: uid_t

    /// Whether this user may believe what it says: it is their own or root's.
    var isTrusted: Bool { userID == geteuid() || userID == 0 }

    /// The mount of Tarn's that a path lies in, following links; `nil` when it lies in none. The type that the kernel keeps
    /// says whose it is; statfs(2) would say less, and ask a mount that may not answer.
    static func of(path: [UInt8]) -> KernelMount? {
        let descriptor = withCPath(path) { tarn_open_place($0) }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let id = mountID(of: descriptor) else { return nil }
        return all().first { $0.id == id }
    }

    /// From proc(5) fdinfo.
    private static func mountID(of descriptor: Int32) -> Int? {
        let name = "mnt_id:"
        let line = lines(of: "/proc/self/fdinfo/\(descriptor)").first { $0.starts(with: name.utf8) }
        guard let text = line?.dropFirst(name.utf8.count) else { return nil }
        return Int(String(decoding: text, as: UTF8.self).filter(\.isNumber))
    }

    /// Every mount of Tarn's that this process sees, in the order in which they were made.
    static func all() -> [KernelMount] { lines(of: "/proc/self/mountinfo").compactMap(KernelMount.init(line:)) }

    /// The last mount at exactly this place, which covers others there; `nil` when that is none of Tarn's.
    static func at(_ point: [UInt8]) -> KernelMount? { all().last { $0.point == point } }

    /// Other mounts of the same file system that this process sees.
    func others() -> [KernelMount] { Self.all().filter { $0.device == device && $0.id != id } }

    /// One line of mountinfo: id, parent, major:minor, root, mount point, options, optional fields, `-`, type, source,
    /// options of the file system. Answers `nil` for what is none of Tarn's.
    init?(line: ArraySlice<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "))
        guard fields.count > 6, let dash = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
            fields.count > dash + 3, fields[dash + 1].elementsEqual("fuse.tarn".utf8),
            let id = Int(String(decoding: fields[0], as: UTF8.self))
        else { return nil }
        self.id = id
        device = String(decoding: fields[2], as: UTF8.self)
        root = Self.unescaped(fields[3])
        point = Self.unescaped(fields[4])
        let owner = fields[dash + 3].split(separator: UInt8(ascii: ",")).first { $0.starts(with: "user_id=".utf8) }
        guard let owner, let userID = uid_t(String(decoding: owner.dropFirst("user_id=".utf8.count), as: UTF8.self))
        else { return nil }
        self.userID = userID
    }

    /// Blanks, tabs, line breaks and backslashes are written as `\ooo`.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private static let maximumProcBytes = 16 << 20

    private static func lines(of path: String) -> [ArraySlice<UInt8>] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        // What cannot be read is no mount that is believed.
        let bytes = (try? readToEnd(descriptor, limitBytes: maximumProcBytes)) ?? nil
        return (bytes ?? []).split(separator: UInt8(ascii: "\n"))
    }
}

/// The real path of the directory that something lies in, and its name there: the last name is not followed, and need not
/// exist, nor need directories above it. `nil` when nothing of it can be found.
func realPath(ofEntry path: [UInt8]) -> [UInt8]? {
    var names: [[UInt8]] = []
    var directory = path
    while true {
        while directory.count > 1, directory.last == UInt8(ascii: "/") { directory.removeLast() }
        let cut = directory.lastIndex(of: UInt8(ascii: "/"))
        let name = cut.map { Array(directory[($0 + 1)...]) } ?? directory
        // These are places, and no names in one.
        let isPlace = name.isEmpty || name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8)
        if isPlace || !names.isEmpty {
            if let real = realPath(directory) {
                return names.reversed().reduce(real) { $0 + ($0 == [0x2f] ? [] : [0x2f]) + $1 }
            }
            if isPlace { return nil }
        }
        names.append(name)
        directory = cut.map { $0 == 0 ? [0x2f] : Array(directory[..<$0]) } ?? [UInt8(ascii: ".")]
    }
}

/// realpath(3); `nil` with errno.
func realPath(_ path: [UInt8]) -> [UInt8]? {
    guard let pointer = withCPath(path, { realpath($0, nil) }) else { return nil }
    defer { free(pointer) }
    return Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer)))
}
