import Foundation
import Glibc
import Synchronization

@testable import ObjectStorage

/// A raw HTTP server on a loopback port that answers as its script says, also wrongly.
final class ScriptedServer: Sendable {
    struct Seen: Sendable {
        let method: String
        /// Path and query as they came.
        let target: String
        /// Names in lower case.
        let headers: [String: String]
        let body: [UInt8]
    }

    enum Reply: Sendable {
        /// Sent with its Content-Length; the connection stays open.
        case answer(Int, [String: String] = [:], String = "")
        /// Sent as it is, then the connection is closed.
        case raw(String)
        /// Sent as it is, and then nothing until the client goes away.
        case rawThenSilence(String)
        /// One byte at a time with pauses, until the client goes away.
        case drip(String, milliseconds: Int)
        case reset
    }

    let endpoint: String
    private let listener: Listener
    private let script: @Sendable (Int, Seen) -> Reply
    private let seen = Collected<Seen>()
    private let connections = Mutex(0)
    private let closedConnections = Mutex(0)

    /// - Parameter script: called with the request's number, from 0.
    init(_ script: @escaping @Sendable (Int, Seen) -> Reply) throws {
        self.script = script
        listener = Listener(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.descriptor, $0, length) == 0 && listen(listener.descriptor, 64) == 0
                    && getsockname(listener.descriptor, $0, &length) == 0
            }
        }
        guard isListening else { throw POSIXError(.EADDRNOTAVAIL) }
        endpoint = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener.descriptor, nil, nil)
                guard connection >= 0 else { break }
                guard let self else {
                    close(connection)
                    break
                }
                self.connections.withLock { $0 += 1 }
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    deinit { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }

    /// Closed when neither the server nor its accepting thread uses it: the number must not be another's by then.
    private final class Listener: Sendable {
        let descriptor: Int32

        init(descriptor: Int32) { self.descriptor = descriptor }

        deinit { close(descriptor) }
    }

    var requests: [Seen] { seen.all }

    var connectionCount: Int { connections.withLock { $0 } }

    /// Connections that neither side has closed.
    var openConnections: Int { connectionCount - closedConnections.withLock { $0 } }

    private func serve(_ connection: Int32) {
        defer {
            close(connection)
            closedConnections.withLock { $0 += 1 }
        }
        while let request = receive(connection) {
            let number = seen.all.count
            seen.append(request)
            switch script(number, request) {
            case .answer(let status, let headers, let body):
                var text = "HTTP/1.1 \(status) X\r\n"
                if headers["Content-Length"] == nil { text += "Content-Length: \(body.utf8.count)\r\n" }
                for (name, value) in headers { text += "\(name): \(value)\r\n" }
                send(connection, text + "\r\n" + body)
            case .raw(let text):
                send(connection, text)
                return
            case .rawThenSilence(let text):
                send(connection, text)
                _ = receive(connection)
                return
            case .drip(let text, let milliseconds):
                for character in text {
                    guard send(connection, String(character)) else { return }
                    usleep(UInt32(milliseconds) * 1000)
                }
                return
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
                return
            }
        }
    }

    private func receive(_ connection: Int32) -> Seen? {
        var data: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let end = data.firstRange(of: bytes("\r\n\r\n")) {
                let lines = String(decoding: data[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1]).trimmingEnds() : ""
                }
                let length = Int(headers["content-length"] ?? "0") ?? 0
                if data.count - end.upperBound >= length {
                    let words = lines[0].split(separator: " ").map(String.init)
                    return Seen(
                        method: words[0], target: words.count > 1 ? words[1] : "", headers: headers,
                        body: Array(data[end.upperBound...].prefix(length)))
                }
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            if count <= 0 { return nil }
            data += chunk[..<count]
        }
    }

    @discardableResult
    private func send(_ connection: Int32, _ text: String) -> Bool {
        let data = bytes(text)
        var done = 0
        while done < data.count {
            let count = data.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress! + done, data.count - done, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            done += count
        }
        return true
    }
}
