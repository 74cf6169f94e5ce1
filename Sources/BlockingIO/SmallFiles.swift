import Glibc

/// The bytes of a file that is read whole; `nil` only where the system says that there is none (ENOENT, ENOTDIR). Every
/// other failure is thrown, and EFBIG for a file of more than `limitBytes`. Blocks.
package func readSmallFile(_ path: String, limitBytes: Int) throws(SystemFailure) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw SystemFailure(path: path)
    }
    defer { close(descriptor) }
    do throws(Errno) {
        guard let bytes = try readToEnd(descriptor, limitBytes: limitBytes) else { throw Errno(code: EFBIG) }
        return bytes
    } catch {
        throw SystemFailure(path: path, errno: error.code)
    }
}

/// Puts a file with these bytes (mode 0600) in the place of what was at `path`, whole or not at all, and on the disk when
/// this returns. One caller at a time for each path: the temporary name is `path.new`. Blocks.
package func replaceFile(_ path: String, with bytes: [UInt8]) throws(SystemFailure) {
    let temporary = path + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw SystemFailure(path: temporary) }
    do throws(SystemFailure) {
        defer { close(descriptor) }
        do throws(Errno) {
            try writeFully(descriptor, bytes)
        } catch {
            throw SystemFailure(path: temporary, errno: error.code)
        }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw SystemFailure(path: path) }
    } catch {
        unlink(temporary)
        throw error
    }
    let directory = open(parentPath(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw SystemFailure(path: parentPath(path)) }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw SystemFailure(path: parentPath(path)) }
}

/// Blocks until what was written to the file is on the disk (fdatasync(2)). Goes on after signals. After a failure nothing
/// that was written since the last success is sure, whatever a later call says.
package func syncData(_ descriptor: Int32, path: String) throws(SystemFailure) {
    while fdatasync(descriptor) != 0 {
        if errno != EINTR { throw SystemFailure(path: path) }
    }
}

private func parentPath(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
