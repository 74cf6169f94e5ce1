import BlockingIO
import Glibc
package import Versioning

/// The wall clock.
package func now() -> Timestamp {
    if let (seconds, nanoseconds) = SimulatedHost.current?.wallClock() {
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
}

/// Time since this host was started, with the time that it slept. It never jumps: for how long something took or holds.
/// (clock_gettime(2), CLOCK_BOOTTIME.)
package func uptime() -> Duration {
    if let host = SimulatedHost.current { return host.uptime() }
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
}

/// 32 random hexadecimal digits.
package func randomHex() -> String {
    PackID.random().hex
}
