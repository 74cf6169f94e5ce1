import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import Synchronization
import Versioning

/// `queue/<ref>`: who waits to move a branch through its gates, the first being at it.
///
/// Gates judge the exact commit that a branch is to show. Whoever loses the race for the branch is judged again, so moves that
/// race each other through slow gates cost many runs, and one may starve. So they go one after the other. The queue decides
/// nothing but the order: a move that does not queue is as safe, and whoever cannot queue goes on without.
struct MergeQueue: Codable {
    struct Waiting: Codable {
        let id: String
        /// For people.
        let holder: String
        /// With which it ends.
        let process: ProcessIdentity?
        /// Changes as long as it lives.
        var pulse = 0
    }

    var format = 1
    var waiting: [Waiting] = []

    /// More than wait for one branch of any team.
    private static let maximumWaiting = 1000
    private static let pulseMilliseconds = 15_000
    /// The first in the queue that has shown no life for so long, as seen from here, is taken out.
    private static let silenceLimit = Duration.seconds(90)
    private static let tellAfter = Duration.seconds(3)
    /// Nobody waits longer; then the move is tried out of turn.
    private static let patience = Duration.hours(12)

    private static func key(_ ref: RefName) -> String {
        ObjectKeys.queue + String(ObjectKeys.ref(ref).dropFirst("refs/".count))
    }

    /// Changes the queue. A queue that cannot be read is begun anew: anybody may have written it.
    private static func update(_ ref: RefName, _ store: any ObjectStore, _ body: (inout MergeQueue) -> Void) throws {
        try store.update(key(ref)) { found in
            var queue = found.flatMap { try? decodeObject($0.bytes, key: key(ref)) as MergeQueue } ?? MergeQueue()
            body(&queue)
            return encodeRecord(queue)
        }
    }

    /// What an object below `queue/` says. Throws `.corrupt` for one that a mover would begin anew.
    static func stored(_ key: String, _ store: any ObjectStore) throws -> MergeQueue? {
        try store.find(key).map { try decodeObject($0.bytes, key: key) }
    }

    private static func load(_ ref: RefName, _ store: any ObjectStore) throws -> MergeQueue {
        try store.find(key(ref)).flatMap { try? decodeObject($0.bytes, key: key(ref)) } ?? MergeQueue()
    }

    /// Runs `body` when it is its turn. Blocks. Without the store's leave to queue it runs at once.
    static func inTurn<Result>(_ ref: RefName, _ database: ObjectDatabase, _ body: () throws -> Result) throws -> Result
    {
        let own = Waiting(id: randomHex(), holder: holderName(), process: .current)
        let hasEnded = Mutex(false)
        do {
            try join(own, ref, database)
            try startThread {
                while !hasEnded.withLock({ $0 }) {
                    for _ in 0..<pulseMilliseconds / 100 where !hasEnded.withLock({ $0 }) { sleepMilliseconds(100) }
                    if hasEnded.withLock({ $0 }) { return }
                    // A pulse that is not noted is noted by the next.
                    try? pulse(own.id, ref, database.store)
                }
            }
            try waitForTurn(own, ref, database)
        } catch {
            database.logger.notice("the move of \(ref.name) does not queue: \(error)")
        }
        defer {
            hasEnded.withLock { $0 = true }
            do {
                try update(ref, database.store) { $0.waiting.removeAll { $0.id == own.id } }
            } catch {
                database.logger.notice("the queue of \(ref.name) was not left, others will see to it: \(error)")
            }
        }
        return try body()
    }

    private static func join(_ own: Waiting, _ ref: RefName, _ database: ObjectDatabase) throws {
        var isFull = false
        try update(ref, database.store) { queue in
            isFull = queue.waiting.count >= maximumWaiting
            if !isFull { queue.waiting.append(own) }
        }
        if isFull { throw RepositoryError.contended(ref, attempts: 1, winner: "\(maximumWaiting) others") }
    }

    private static func pulse(_ id: String, _ ref: RefName, _ store: any ObjectStore) throws {
        try update(ref, store) { queue in
            guard let index = queue.waiting.firstIndex(where: { $0.id == id }) else { return }
            queue.waiting[index].pulse &+= 1
        }
    }

    private static func waitForTurn(_ own: Waiting, _ ref: RefName, _ database: ObjectDatabase) throws {
        let began = uptime()
        // Of all that wait, so that the time of several dead ones runs at once.
        var seen: [String: (pulse: Int, since: Duration)] = [:]
        var pause = 50
        var isTold = false
        while uptime() - began < patience {
            let queue = try load(ref, database.store)
            guard let head = queue.waiting.first, queue.waiting.contains(where: { $0.id == own.id }) else {
                // Somebody took us for dead.
                try join(own, ref, database)
                continue
            }
            if head.id == own.id { return }
            let present = uptime()
            seen = Dictionary(
                queue.waiting.map { one in
                    let known = seen[one.id].flatMap { $0.pulse == one.pulse ? $0 : nil }
                    return (one.id, known ?? (one.pulse, present))
                }
            ) { first, _ in first }
            if !isTold, present - began > tellAfter {
                isTold = true
                database.logger.notice("waiting for the gates of \(ref.name): \(head.holder) is at them")
            }
            if head.process?.hasEnded == true || present - (seen[head.id]?.since ?? present) > silenceLimit {
                try update(ref, database.store) { queue in
                    queue.waiting.removeAll { $0.id == head.id && $0.pulse == head.pulse }
                }
                continue
            }
            sleepMilliseconds(pause)
            pause = min(1000, pause * 2)
        }
    }
}

extension Repository {
    /// Whether the gates of a branch judge moves of this kind.
    func isGated(_ branch: RefName, _ operation: RefUpdate.Operation, who: String) throws -> Bool {
        let head = try database.liveRef(branch).commit
        do {
            let move = RefUpdateRequest(ref: branch, operation: operation, old: head, new: nil, who: who, why: "")
            return try !hooks(for: move, isProtected: false).before.isEmpty
        } catch RepositoryError.hooksUnusable {
            // The move itself is refused for that, or mends it.
            return false
        }
    }
}
