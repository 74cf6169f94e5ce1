/// A dictionary with a limit: what was used least recently goes first. A value type; whoever shares it locks it.
///
/// When the limit is passed, the oldest go until three quarters are left, in one pass, so that the cost of finding them is
/// spread over many insertions.
package struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Slot {
        var value: Value
        var cost: Int
        var lastUse: UInt64
    }

    private var slots: [Key: Slot] = [:]
    private var cost = 0
    private var clock: UInt64 = 0
    private let limit: Int

    /// - Parameter limit: of the sum of costs; at least one entry stays, whatever it costs.
    package init(limit: Int) {
        self.limit = limit
    }

    package var count: Int { slots.count }

    /// The value, which counts as used now.
    package mutating func value(for key: Key) -> Value? {
        guard let index = slots.index(forKey: key) else { return nil }
        clock += 1
        slots.values[index].lastUse = clock
        return slots.values[index].value
    }

    /// - Parameter cost: what it takes of the limit: 1, or its bytes.
    package mutating func insert(_ value: Value, for key: Key, cost: Int = 1) {
        clock += 1
        let slot = Slot(value: value, cost: cost, lastUse: clock)
        if let old = slots.updateValue(slot, forKey: key) { self.cost -= old.cost }
        self.cost += cost
        if self.cost > limit { evict() }
    }

    package mutating func remove(_ key: Key) {
        if let old = slots.removeValue(forKey: key) { cost -= old.cost }
    }

    /// For what is not believed any more. (A cache that is full is never emptied.)
    package mutating func removeAll() {
        slots = [:]
        cost = 0
    }

    private mutating func evict() {
        let oldest = slots.map { (key: $0.key, lastUse: $0.value.lastUse) }.sorted { $0.lastUse < $1.lastUse }
        for (key, _) in oldest where cost > limit / 4 * 3 && slots.count > 1 { remove(key) }
    }
}
