import Glibc

/// `errno` as the last failed call on this thread left it.
package func lastErrno() -> Int32 { errno }

/// A system call failed on a path.
package struct SystemFailure: Error, Hashable, Sendable {
    package let path: String
    package let errno: Int32

    /// - Parameter errno: by default that of the call that has just failed on this thread.
    package init(path: String, errno: Int32 = lastErrno()) {
        self.path = path
        self.errno = errno
    }
}
