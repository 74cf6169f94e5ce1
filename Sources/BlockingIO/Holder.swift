import Glibc

/// Who holds a lease, for people: user, host and process.
package func holderName() -> String {
    if SimulatedHost.current != nil { return "a simulated process" }
    let user = getenv("USER").map { String(cString: $0) } ?? "uid \(getuid())"
    return "\(user)@\(hostName()), process \(getpid())"
}

package func hostName() -> String {
    var host = [CChar](repeating: 0, count: 256)
    gethostname(&host, host.count - 1)
    return String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
