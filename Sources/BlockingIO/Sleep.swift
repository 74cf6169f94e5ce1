import Glibc

/// Blocks the thread for this long; a signal does not cut it short.
package func sleepMilliseconds(_ milliseconds: Int) {
    if let host = SimulatedHost.current { return host.sleep(milliseconds) }
    var wanted = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    var rest = timespec()
    while nanosleep(&wanted, &rest) != 0, lastErrno() == EINTR { wanted = rest }
}
