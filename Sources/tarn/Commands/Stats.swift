import ArgumentParser
import ErrorMessages
import FUSEServer
import Foundation
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What a mount has done: messages, cache hits, requests to the store and how long they took, memory.")
    @Argument(help: "A path in the mount (default: here).") var directory = "."
    @OptionGroup var json: JSONArguments

    func run() throws {
        let path = unescapedBytes(directory)
        guard KernelMount.of(path: path)?.isTrusted == true,
            let value = userAttribute(of: path, FUSEServer.statisticsAttribute),
            let statistics = try? JSONDecoder().decode(MountStatistics.self, from: Data(value))
        else { throw CommandFailure(message: "\(directory) is in no mount of Tarn's", kind: .notFound) }
        let shown = userAttribute(of: path, "user.tarn.commit").map { String(decoding: $0, as: UTF8.self) }
        try json.output.show(Result(statistics, commit: shown)) { Self.text(statistics, shown) }
    }

    private struct Result: Encodable {
        let statistics: MountStatistics
        let commit: String?

        init(_ statistics: MountStatistics, commit: String?) {
            self.statistics = statistics
            self.commit = commit
        }

        private enum CodingKeys: CodingKey {
            case commit
        }

        func encode(to encoder: any Encoder) throws {
            try statistics.encode(to: encoder)
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encodeIfPresent(commit, forKey: .commit)
        }
    }

    private static func text(_ statistics: MountStatistics, _ shown: String?) -> TerminalText {
        var rows: [[TerminalText]] = [["mounted at", "\(statistics.mountPoint), for \(Int(statistics.seconds)) s"]]
        if let shown { rows.append(["shows", "commit \(shown)"]) }
        rows.append([
            "memory",
            "\(humanSize(statistics.memory.residentBytes)), at most \(humanSize(statistics.memory.peakBytes))",
        ])
        let messages = statistics.messages.sorted { $0.value > $1.value }
        rows.append(["messages", messages.map { "\($0.key) \($0.value)" as TerminalText }.joined(separator: ", ")])
        if let opens = statistics.passthroughOpens {
            rows.append(["passthrough", "\(count(Int(opens), "open")) of files that the kernel reads by itself"])
        }
        if let cache = statistics.cache {
            rows.append(["block cache", "\(humanSize(cache.usedBytes)) of \(humanSize(cache.limitBytes)) used"])
            rows.append(["", "\(cache.hits) hits, \(cache.misses) misses, \(humanSize(cache.bytesFetched)) fetched"])
            if cache.corruptBlocks > 0 { rows.append(["", "\(cache.corruptBlocks) damaged blocks fetched again"]) }
        }
        for (name, operation) in [
            ("get", statistics.store.get), ("put", statistics.store.put), ("list", statistics.store.list),
            ("other", statistics.store.other),
        ] where operation.requests > 0 {
            let times = [0.5, 0.99].compactMap(operation.latencyMilliseconds).map { oneDecimal($0) }
            rows.append([
                "store \(name)",
                "\(count(Int(operation.requests), "request")), \(humanSize(operation.bytes)), half within \(times[0]) ms, 99 % within \(times[1]) ms"
                    + (operation.failures > 0 ? ", \(operation.failures) failed" : ""),
            ])
        }
        if let traffic = statistics.store.traffic {
            rows.append([
                "store limit",
                "\(traffic.limit) requests at once (\(traffic.inFlight) under way), halved \(count(Int(traffic.slowDowns), "time"))",
            ])
            if traffic.hedges > 0 {
                rows.append([
                    "",
                    "\(count(Int(traffic.hedges), "late read")) sent again, \(traffic.hedgesWon) of them answered first",
                ])
            }
        }
        return table(rows)
    }
}
