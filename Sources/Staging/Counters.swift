import Synchronization

/// Numbers never used before: of nodes, changes and data files. They are taken from blocks whose end the database knows,
/// so that most changes need not write it.
final class Counters: Sendable {
    enum Kind: String, Sendable {
        case node, change, data
    }

    private struct Block {
        var last: Int64
        let end: Int64
    }

    private let blocks = Mutex<[Kind: Block]>([:])
    private static let blockNumbers: Int64 = 1024

    /// - Parameter reserve: notes in the database that numbers up to so many more are taken, and answers the last that
    ///   was taken before.
    func next(_ kind: Kind, reserve: (Int64) throws -> Int64) throws -> Int64 {
        try blocks.withLock { blocks in
            var block = try blocks[kind] ?? Self.begin(reserve)
            if block.last == block.end { block = try Self.begin(reserve) }
            block.last += 1
            blocks[kind] = block
            return block.last
        }
    }

    private static func begin(_ reserve: (Int64) throws -> Int64) throws -> Block {
        let taken = try reserve(blockNumbers)
        return Block(last: taken, end: taken + blockNumbers)
    }

    /// The number given last; `nil` when none was since the workspace was opened.
    func last(_ kind: Kind) -> Int64? { blocks.withLock { $0[kind]?.last } }

    /// To be called when a transaction was undone: what it reserved is not known to the database.
    func forget() { blocks.withLock { $0 = [:] } }
}
