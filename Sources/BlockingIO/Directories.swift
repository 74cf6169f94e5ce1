import Glibc

/// Makes a directory and those above it, for this user only; one that exists is left as it is.
package func makeDirectories(_ path: String) throws(SystemFailure) {
    var prefix = ""
    for part in path.split(separator: "/") {
        prefix += (prefix.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
        guard mkdir(prefix, 0o700) == 0 || lastErrno() == EEXIST else { throw SystemFailure(path: prefix) }
    }
}
