import Glibc
import Synchronization

/// The host that a thread runs on when it is simulated: its clocks, its sleep and its randomness, so that a run comes again
/// exactly (Tests/Simulation). No program sets one.
///
/// On a simulated host nothing runs beside its thread: pools and `concurrently` run their jobs on the thread that asks, in
/// order, and no heartbeat is started.
package final class SimulatedHost {
    /// The wall clock, since 1970.
    package let wallClock: () -> (seconds: Int64, nanoseconds: UInt32)
    package let uptime: () -> Duration
    package let sleep: (_ milliseconds: Int) -> Void
    package let random: () -> UInt64

    package init(
        wallClock: @escaping () -> (seconds: Int64, nanoseconds: UInt32), uptime: @escaping () -> Duration,
        sleep: @escaping (_ milliseconds: Int) -> Void, random: @escaping () -> UInt64
    ) {
        self.wallClock = wallClock
        self.uptime = uptime
        self.sleep = sleep
        self.random = random
    }

    /// Whether any thread ever ran on one: one load tells everybody else that there is none.
    private static let isUsed = Atomic<Bool>(false)
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let failure = pthread_key_create(&key) { pointer in
            guard let pointer else { return }
            Unmanaged<SimulatedHost>.fromOpaque(pointer).release()
        }
        precondition(failure == 0, "a program uses few keys")
        return key
    }()

    /// The host of this thread; `nil`: the real one.
    package static var current: SimulatedHost? {
        guard isUsed.load(ordering: .relaxed), let pointer = pthread_getspecific(key) else { return nil }
        return Unmanaged<SimulatedHost>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// From now on this thread runs on `host`.
    package static func enter(_ host: SimulatedHost?) {
        isUsed.store(true, ordering: .relaxed)
        let before = pthread_getspecific(key)
        pthread_setspecific(key, host.map { Unmanaged.passRetained($0).toOpaque() })
        if let before { Unmanaged<SimulatedHost>.fromOpaque(before).release() }
    }
}

/// Random numbers of the host: the system's, but on a simulated host its own.
package struct HostRandom: RandomNumberGenerator {
    private var system = SystemRandomNumberGenerator()

    package init() {}

    package mutating func next() -> UInt64 { SimulatedHost.current?.random() ?? system.next() }
}
