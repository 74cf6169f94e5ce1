import Glibc

/// How many descriptors this process may have open: the soft RLIMIT_NOFILE (getrlimit(2)), at most `maximum`. Tables of open
/// files take a share of it.
package func descriptorLimit(maximum: Int = 1 << 16) -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: min(limit.rlim_cur, rlim_t(maximum)))
}

/// Raises the soft limit to the hard one. For a process that starts no programs of others: what they inherit would be too
/// much for select(2).
package func raiseDescriptorLimit() {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    // Where it is refused, the tables of open files are smaller.
    _ = setrlimit(resource, &limit)
}
