/// A dictionary with a limit: what was not used for long goes first. A value type; whoever shares it locks it.
///
/// It has two halves. What is used goes into the newer one; when that has half of the limit, it becomes the older one, and
/// the older one goes. So nothing is sorted, and what was used within the last half of the limit is there.
package struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline
    struct Half: Sendable {
        @usableFromInline var slots: [Key: (value: Value, cost: Int)] = [:]
        @usableFromInline var cost = 0

        @inlinable init() {}

        @inlinable
        mutating func remove(_ key: Key) -> (value: Value, cost: Int)? {
            guard let slot = slots.removeValue(forKey: key) else { return nil }
            cost -= slot.cost
            return slot
        }
    }

    @usableFromInline var newer = Half()
    @usableFromInline var older = Half()
    @usableFromInline let limit: Int

    /// - Parameter limit: of the sum of costs; what was inserted last stays, whatever it costs.
    @inlinable
    package init(limit: Int) {
        self.limit = limit
    }

    @inlinable package var count: Int { newer.slots.count + older.slots.count }

    /// The value, which counts as used now.
    @inlinable
    package mutating func value(for key: Key) -> Value? {
        if let slot = newer.slots[key] { return slot.value }
        guard let slot = older.remove(key) else { return nil }
        put(slot.value, key, slot.cost)
        return slot.value
    }

    /// - Parameter cost: what it takes of the limit: 1, or its bytes.
    @inlinable
    package mutating func insert(_ value: Value, for key: Key, cost: Int = 1) {
        remove(key)
        put(value, key, cost)
    }

    @inlinable
    package mutating func remove(_ key: Key) {
        _ = newer.remove(key)
        _ = older.remove(key)
    }

    /// For what is not believed any more. (A cache that is full is never emptied.)
    @inlinable
    package mutating func removeAll() {
        newer = Half()
        older = Half()
    }

    @inlinable
    mutating func put(_ value: Value, _ key: Key, _ cost: Int) {
        if newer.cost + cost > limit / 2, !newer.slots.isEmpty {
            older = newer
            newer = Half()
        }
        newer.slots[key] = (value, cost)
        newer.cost += cost
    }
}
