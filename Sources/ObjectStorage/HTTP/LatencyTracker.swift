/// How long reads of about the same size took lately, and from when on another one of them is late.
struct LatencyTracker: Sendable {
    /// The classes' largest reads, in bytes, each four times the one before; one more class holds larger ones, and one
    /// those whose size is not known beforehand.
    private static let classLimits = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20]
    private static let unknownClass = classLimits.count + 1
    /// Reads remembered in each class.
    static let kept = 64
    /// With fewer, a class says nothing.
    static let needed = 20
    static let lateFactor = 3.0
    static let earliestMilliseconds = 200.0

    private struct Class: Sendable {
        var times: [Double] = []
        var next = 0
        /// Of 95 % of the reads, found when the reads that were noted since are a quarter of those kept.
        var mostMilliseconds: Double?
        var sinceFound = 0
    }

    private var classes = [Class](repeating: Class(), count: unknownClass + 1)

    private static func index(_ bytes: Int?) -> Int {
        guard let bytes else { return unknownClass }
        return classLimits.firstIndex { bytes <= $0 } ?? classLimits.count
    }

    mutating func note(_ milliseconds: Double, bytes: Int?) {
        let index = Self.index(bytes)
        if classes[index].times.count < Self.kept {
            classes[index].times.append(milliseconds)
        } else {
            classes[index].times[classes[index].next] = milliseconds
            classes[index].next = (classes[index].next + 1) % Self.kept
        }
        classes[index].sinceFound += 1
        let count = classes[index].times.count
        guard count >= Self.needed, classes[index].mostMilliseconds == nil || classes[index].sinceFound >= count / 4
        else { return }
        classes[index].mostMilliseconds = classes[index].times.sorted()[min(count - 1, count * 95 / 100)]
        classes[index].sinceFound = 0
    }

    /// Milliseconds after which a read of so many bytes is late: three times what 95 % of its like took. Where there are
    /// too few of them, what smaller reads took counts, in proportion to the size, or else what larger ones took. `nil`
    /// when nothing is known.
    func lateMilliseconds(bytes: Int?) -> Double? {
        let index = Self.index(bytes)
        if let most = classes[index].mostMilliseconds { return late(most) }
        guard index != Self.unknownClass else { return nil }
        for smaller in stride(from: index - 1, through: 0, by: -1) {
            if let most = classes[smaller].mostMilliseconds {
                let factor = Double(bytes ?? 0) / Double(Self.classLimits[smaller])
                return late(most * max(1, factor))
            }
        }
        for larger in stride(from: index + 1, through: Self.classLimits.count, by: 1) {
            if let most = classes[larger].mostMilliseconds { return late(most) }
        }
        return nil
    }

    private func late(_ most: Double) -> Double { max(Self.earliestMilliseconds, Self.lateFactor * most) }
}
