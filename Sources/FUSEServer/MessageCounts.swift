import Synchronization

/// What the kernel asks.
enum Message: Int, CaseIterable {
    case lookup, forget, getAttributes, setAttributes, readLink, open, release, openDirectory, releaseDirectory, read,
        write
    case flush, sync, seek, readDirectory, readDirectoryPlus, statistics, getAttribute, listAttributes, setAttribute
    case removeAttribute, create, make, link, unlink, removeDirectory, rename, allocate, copyRange
}

/// How many messages of each kind came.
final class MessageCounts: Sendable {
    private let counts = Mutex([UInt64](repeating: 0, count: Message.allCases.count))

    func count(_ message: Message) {
        counts.withLock { $0[message.rawValue] += 1 }
    }

    /// Those that came at all.
    var byName: [String: UInt64] {
        let counts = counts.withLock { $0 }
        return Dictionary(uniqueKeysWithValues: Message.allCases.map { ("\($0)", counts[$0.rawValue]) })
            .filter { $0.value > 0 }
    }
}
