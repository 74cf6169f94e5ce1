import BlockingIO

/// The loop round a compare-and-swap: tries again while somebody else is faster, pauses in between, and ends.
package enum CompareAndSwapLoop {
    /// How often one change is tried before it is given up.
    package static let maximumAttempts = 60

    /// Runs `attempt` until it answers something; `nil` from it says that somebody else was faster. Pauses before each
    /// attempt but the first for a random time of up to 20 ms · 2^n, at most a second.
    ///
    /// - Returns: `nil` when `maximumAttempts` attempts all lost.
    package static func run<Result>(_ attempt: () throws -> Result?) rethrows -> Result? {
        var random = HostRandom()
        for number in 0..<maximumAttempts {
            if number > 0 { sleepMilliseconds(.random(in: 1...min(1000, 20 << min(number, 6)), using: &random)) }
            if let result = try attempt() { return result }
        }
        return nil
    }
}

extension ObjectStore {
    /// Changes an object by compare-and-swap, again on the newer object as often as somebody else is faster.
    ///
    /// Throws what `change` throws, the store's error, and `StoreError.preconditionFailed` when all attempts lost.
    ///
    /// - Parameters:
    ///   - limitBytes: the most that the object may have.
    ///   - change: answers the new bytes for the object as it is (`nil`: it is not there), or `nil` to leave it.
    package func update(
        _ key: String, limitBytes: Int, _ change: (StoredObject?) throws -> [UInt8]?
    ) throws {
        let isDone: Bool? = try CompareAndSwapLoop.run {
            let found = try find(key, limitBytes: limitBytes)
            guard let bytes = try change(found) else { return true }
            return try swap(key, from: found?.etag, to: bytes) ? true : nil
        }
        if isDone == nil { throw StoreError.preconditionFailed(key: key) }
    }
}
