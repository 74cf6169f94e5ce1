import Versioning

@testable import ObjectDatabase
@testable import ProllyTree

/// The object that a tree node or a block list is stored in, and then what is in it.
let objectTargets: [FuzzTarget] = [
    FuzzTarget(
        name: "node-object",
        seeds: {
            nodeSeeds.map { TwoPartObject.encode(kind: .node, logical: $0.logical, location: $0.location) }
        }
    ) { input in
        tryObject(input, .node) { tryNode($0.logical, $0.location) }
    },
    FuzzTarget(
        name: "list-object",
        seeds: {
            let zeros = BlockList(
                blocks: Array(repeating: BlockReference(id: ZeroBlocks.id(length: 9), length: 9), count: 40),
                extents: Array(repeating: .zeros, count: 40))
            return [someList, zeros].map {
                TwoPartObject.encode(
                    kind: .blockList, logical: $0.encodedLogical(), location: $0.encodedLocation())
            }
        }
    ) { input in
        tryObject(input, .blockList) { tryList($0.logical, $0.location) }
    },
]

private func tryObject(_ input: [UInt8], _ kind: TwoPartObject.Kind, _ body: (TwoPartObject) -> Void) {
    // As it is: the digests of what a fuzzer makes are never right.
    _ = try? TwoPartObject(decoding: input, kind: kind, id: NodeID(hashing: input))
    // With the digests made right, so that it gets past them.
    guard let (bytes, id) = withRightDigests(input, kind),
        let object = try? TwoPartObject(decoding: bytes, kind: kind, id: id)
    else { return }
    require(object.logical.count <= kind.maximumPartBytes, "parts have a limit")
    require(object.location.count <= kind.maximumPartBytes, "parts have a limit")
    body(object)
}

private func withRightDigests(_ input: [UInt8], _ kind: TwoPartObject.Kind) -> (bytes: [UInt8], id: NodeID)? {
    guard input.count >= 56 else { return nil }
    func number(_ at: Int) -> Int {
        input.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: UInt32.self))) }
    }
    func part(codec: UInt8, plain: Int, from start: Int, count: Int) -> [UInt8]? {
        guard plain <= kind.maximumPartBytes, start + count <= input.count else { return nil }
        let stored = Array(input[start..<start + count])
        return codec == 1 ? stored.withUnsafeBytes { Zstandard.decompress($0, plainBytes: plain) } : stored
    }
    let (first, second) = (number(12), number(20))
    guard let logical = part(codec: input[6], plain: number(8), from: 56, count: first),
        let location = part(codec: input[7], plain: number(16), from: 56 + first, count: second)
    else { return nil }
    var bytes = input
    bytes.replaceSubrange(24..<56, with: Identifier<TwoPartObject>(hashing: location).bytes)
    return (bytes, NodeID(hashing: logical))
}
