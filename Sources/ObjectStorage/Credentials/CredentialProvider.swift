import BlockingIO
import Dispatch
import Synchronization

/// Credentials that are good now: found once, kept, and renewed five minutes before they expire.
///
/// One thread renews; the others go on with the old credentials while these are valid, and wait for it when they are
/// not.
final class CredentialProvider: Sendable {
    static let renewBefore = Duration.seconds(300)
    /// After a failed renewal of credentials that still hold.
    static let retryAfter = Duration.seconds(30)
    /// Longer than any one source may take.
    static let waitLimitSeconds = 120

    private let find: @Sendable () throws(StoreError) -> Credentials
    private let now: @Sendable () -> Int64
    private let state = Mutex(State())

    private struct State {
        var current: Credentials?
        var renewal: Renewal?
        var notBeforeSeconds: Int64 = 0
    }

    private final class Renewal: Sendable {
        let group = DispatchGroup()
        let result = Mutex<Result<Credentials, StoreError>?>(nil)
    }

    private enum Step {
        case use(Credentials)
        case wait(Renewal)
        case renew(Renewal)
    }

    /// - Parameter find: asks the sources; blocks.
    init(
        now: @escaping @Sendable () -> Int64 = { UTCTime.now().seconds },
        find: @escaping @Sendable () throws(StoreError) -> Credentials
    ) {
        self.now = now
        self.find = find
    }

    convenience init(_ chain: CredentialChain) {
        self.init { () throws(StoreError) in try chain.find() }
    }

    /// - Parameter rejected: credentials that the server has called expired; they are not returned again from memory.
    func credentials(rejecting rejected: Credentials? = nil) throws(StoreError) -> Credentials {
        switch nextStep(rejected) {
        case .use(let credentials):
            return credentials
        case .wait(let renewal):
            guard renewal.group.wait(timeout: .now() + .seconds(Self.waitLimitSeconds)) == .success,
                let result = renewal.result.withLock({ $0 })
            else {
                throw .unavailable(
                    location: "credentials", key: "", attempts: 1,
                    reason: "the sources did not answer within \(Self.waitLimitSeconds) s")
            }
            return try result.get()
        case .renew(let renewal):
            return try renew(renewal)
        }
    }

    private func nextStep(_ rejected: Credentials?) -> Step {
        let time = now()
        return state.withLock { state in
            if let current = state.current, current != rejected {
                let expiry = current.expiresAtSeconds ?? .max
                let isFresh = expiry - Self.renewBefore.wholeSeconds > time
                let isBusy = state.renewal != nil || time < state.notBeforeSeconds
                if isFresh || (isBusy && expiry > time) { return .use(current) }
            }
            if let renewal = state.renewal { return .wait(renewal) }
            let renewal = Renewal()
            renewal.group.enter()
            state.renewal = renewal
            return .renew(renewal)
        }
    }

    private func renew(_ renewal: Renewal) throws(StoreError) -> Credentials {
        let result: Result<Credentials, StoreError>
        do {
            result = .success(try find())
        } catch {
            result = .failure(error)
        }
        let time = now()
        let answer: Result<Credentials, StoreError> = state.withLock { state in
            state.renewal = nil
            switch result {
            case .success(let fresh):
                state.current = fresh
                return result
            case .failure:
                state.notBeforeSeconds = time + Self.retryAfter.wholeSeconds
                if let current = state.current, (current.expiresAtSeconds ?? .max) > time { return .success(current) }
                return result
            }
        }
        renewal.result.withLock { $0 = answer }
        renewal.group.leave()
        return try answer.get()
    }
}
