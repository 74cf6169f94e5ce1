/// A decoder, and what must hold of it for all bytes.
struct FuzzTarget: Sendable {
    /// Of the corpus directory, too.
    let name: String
    /// Inputs to begin with.
    let seeds: @Sendable () -> [[UInt8]]
    let tryInput: @Sendable ([UInt8]) -> Void
}

let allTargets: [FuzzTarget] =
    treeTargets + objectTargets + recordTargets + textTargets + storeTargets + cacheTargets
    + controlTargets

/// Fails on inputs that only one who sees which branches are taken comes upon: `scripts/fuzz.sh` expects it to.
let selfTest = FuzzTarget(name: "self-test", seeds: { [] }) { input in
    if input.count >= 3, input[0] == 0x46, input[1] == 0x55, input[2] == 0x5a { require(false, "the self test") }
}

/// Ends the process when something does not hold, so that libFuzzer keeps the input.
func require(_ holds: Bool, _ rule: StaticString) {
    if !holds { fatalError("broken: \(rule)") }
}

/// Two parts in one input: the first byte says how many 255ths of the rest belong to the first.
func inTwo(_ input: [UInt8]) -> (first: [UInt8], second: [UInt8]) {
    guard let share = input.first else { return ([], []) }
    let rest = input.dropFirst()
    let cut = (rest.count * Int(share) + 254) / 255
    return (Array(rest.prefix(cut)), Array(rest.dropFirst(cut)))
}

/// An input that `inTwo` takes apart into these, or nearly.
func joined(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
    let total = first.count + second.count
    let share = (0...255).first { (total * $0 + 254) / 255 >= first.count } ?? 255
    return [UInt8(share)] + first + second
}
