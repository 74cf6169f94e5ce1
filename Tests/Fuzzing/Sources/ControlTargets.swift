import FoundationEssentials
import Glibc
import ProllyTree
import VFS
import Versioning

@testable import tarn

/// What comes over the control socket, and what the command line reads of itself and of people.
let controlTargets: [FuzzTarget] = [
    FuzzTarget(
        name: "control-request",
        seeds: {
            let order = ControlRequest(verb: .order, commit: CommitID(hashing: []), files: 2, aheadBytes: 1 << 20)
            let discard = ControlRequest(verb: .discard, paths: ["61", "zz", "2f2e2e"])
            return [
                encodeRecord(order) + [10] + Array(1...32), encodeRecord(discard) + [10],
                Array(#"{"verb":"order","files":9223372036854775807}"#.utf8) + [10],
            ]
        }
    ) { input in
        withPipe(of: input) { descriptor in
            let reader = ControlReader(descriptor)
            guard let line = reader.line(limit: 1 << 20),
                let request = try? JSONDecoder().decode(ControlRequest.self, from: Data(line))
            else { return }
            _ = try? decodePaths(request.paths)
            guard let order = try? request.order(reader) else { return }
            require(order.files.count == request.files, "an order has as many files as it says")
        }
    },
    FuzzTarget(
        name: "control-answer",
        seeds: { [encodeRecord(ControlAnswer(error: "e", commit: CommitID(hashing: []), paths: ["61"]))] }
    ) { input in
        guard let answer = try? JSONDecoder().decode(ControlAnswer.self, from: Data(input)) else { return }
        _ = try? decodePaths(answer.paths)
    },
    FuzzTarget(
        name: "mount-description",
        seeds: {
            let mount = MountDescription(
                repository: "/r", endpoint: nil, region: "x", mountPoint: "/m", revision: "main", workspace: nil,
                socket: "/s")
            return [Array(mount.json.utf8)]
        }
    ) { input in
        _ = MountDescription(json: input)?.json
    },
    FuzzTarget(
        name: "receipt",
        seeds: {
            [
                Array(
                    """
                    {"format":1}
                    {"content":"\(CommitID(hashing: []).hex)","path":"a","size":1}
                    {"files":1,"sha256":"\(CommitID(hashing: []).hex)"}

                    """.utf8)
            ]
        }
    ) { input in
        let path = "/tmp/tarn-fuzz-receipt-\(getpid())"
        guard let file = fopen(path, "w") else { return }
        fwrite(input, 1, input.count, file)
        fclose(file)
        defer { unlink(path) }
        _ = try? ReceiptFile.read(path) { _ = try $0.treePath() }
    },
    FuzzTarget(
        name: "size", seeds: { ["512M", "10G", "18446744073709551615", "１T"].map { Array($0.utf8) } }
    ) { input in
        guard let size = try? parseSize(escapedText(input)) else { return }
        require(size >= 16 << 20, "a size has a least")
    },
]

private func withPipe(of input: [UInt8], _ body: (Int32) -> Void) {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { fatalError("no pipe") }
    // libFuzzer's inputs are no longer than a pipe holds.
    _ = write(ends[1], input, input.count)
    close(ends[1])
    body(ends[0])
    close(ends[0])
}
