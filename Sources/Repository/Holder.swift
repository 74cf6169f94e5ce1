import Glibc

/// Who holds a lease, for people: user, host and process.
package func holderName() -> String {
    var host = [CChar](repeating: 0, count: 256)
    gethostname(&host, host.count - 1)
    let name = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let user = getenv("USER").map { String(cString: $0) } ?? "uid \(getuid())"
    return "\(user)@\(name), process \(getpid())"
}
