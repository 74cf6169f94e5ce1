import Glibc
import Synchronization

/// What one load of a block or object came to. The bytes are shared by all who waited.
enum Loaded: Sendable {
    case cached([UInt8])
    case fetched([UInt8])
    case fetchedBytesDoNotVerify
}

/// One load per block or object at a time, however many threads ask: the first does it, the others wait for what
/// comes out of it.
final class SingleFlight: Sendable {
    enum Key: Hashable {
        case block(BlockAddress)
        case object(CacheKey)
    }

    private let flights = Mutex<[Key: Flight]>([:])

    /// Runs `load`, or waits for the thread that does so already. `keep` gets what was loaded after the waiting threads have
    /// been answered; until it calls `done`, now or from another thread, nobody loads the key again: who asks gets the
    /// same. An error goes to everybody who waited. Deadlocks if `load` asks for the same key.
    func run<E: Error>(
        _ key: Key, load: () throws(E) -> Loaded,
        keep: (Loaded, Flight, _ done: @escaping @Sendable () -> Void) -> Void
    ) throws(E) -> Loaded {
        while true {
            let (flight, leads) = join(key)
            if leads { return try lead(key, flight, load: load, keep: keep) }
            switch flight.wait() {
            case .success(let loaded): return loaded
            case .failure(let error):
                // A leader with another error type has failed for its own reasons: try by ourselves.
                if let error = error as? E { throw error }
            }
        }
    }

    /// Later callers start anew, and what is under way will not be kept.
    func abandon(_ key: Key) {
        flights.withLock { $0.removeValue(forKey: key) }?.isAbandoned.store(true, ordering: .releasing)
    }

    /// The same for all objects.
    func abandonObjects() {
        flights.withLock { flights in
            for case (.object(let key), let flight) in flights {
                flight.isAbandoned.store(true, ordering: .releasing)
                flights[.object(key)] = nil
            }
        }
    }

    /// Whether it is being loaded or kept: who asks now gets it without a load of its own, unless that fails.
    func isUnderWay(_ key: Key) -> Bool {
        flights.withLock { $0[key] != nil }
    }

    private func join(_ key: Key) -> (Flight, leads: Bool) {
        flights.withLock { flights in
            if let flight = flights[key] { return (flight, false) }
            let flight = Flight()
            flights[key] = flight
            return (flight, true)
        }
    }

    private func lead<E: Error>(
        _ key: Key, _ flight: Flight, load: () throws(E) -> Loaded,
        keep: (Loaded, Flight, _ done: @escaping @Sendable () -> Void) -> Void
    ) throws(E) -> Loaded {
        do throws(E) {
            let loaded = try load()
            flight.finish(.success(loaded))
            keep(loaded, flight) { self.leave(key, flight) }
            return loaded
        } catch {
            leave(key, flight)
            flight.finish(.failure(error))
            throw error
        }
    }

    private func leave(_ key: Key, _ flight: Flight) {
        flights.withLock { if $0[key] === flight { $0[key] = nil } }
    }
}

/// A load under way: one thread finishes it, any number wait.
final class Flight: @unchecked Sendable {
    // SAFETY: `result` is only touched under `mutex`; the two pthread objects stay where they were allocated.

    let isAbandoned = Atomic<Bool>(false)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let finished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var result: Result<Loaded, any Error>?

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(finished, nil)
    }

    deinit {
        pthread_cond_destroy(finished)
        pthread_mutex_destroy(mutex)
        finished.deallocate()
        mutex.deallocate()
    }

    func finish(_ result: Result<Loaded, any Error>) {
        pthread_mutex_lock(mutex)
        self.result = result
        pthread_cond_broadcast(finished)
        pthread_mutex_unlock(mutex)
    }

    func wait() -> Result<Loaded, any Error> {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result { return result }
            pthread_cond_wait(finished, mutex)
        }
    }
}
