import Glibc
package import Versioning

/// The wall clock.
package func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
}

/// 32 random hexadecimal digits.
package func randomHex() -> String {
    PackID.random().hex
}
