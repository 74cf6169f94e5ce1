import Foundation
import TestSupport
import Testing

@testable import ObjectStorage

/// The rules above `ObjectStore`, each checked against whatever store it is handed.
struct ContractRule: Sendable, CustomTestStringConvertible {
    let name: String
    let check: @Sendable (any ObjectStore) throws -> Void

    var testDescription: String { name }

    static let all = reading + writing + conditions + listing + multipart
}

/// Keys that break careless encoding, quoting or ordering.
let oddKeys = [
    "plain", "with space", "plus+plus", "per%cent", "per%20cent", "quote\"'quote", "amp&<x>", "k=v;a,b", "tilde~",
    "ünï/cödé", "日本/語", "e\u{301}-decomposed", "\u{E9}-composed", "a.b/c..d", "emoji-🦈", "col:on@at!$*()", "h#sh?q",
]

extension ContractRule {
    static let reading = [
        ContractRule(name: "what was put is read back") { store in
            let etag = try store.put("a/b", bytes("hello"), .none)
            let object = try store.get("a/b", range: nil, ifMatch: nil)
            #expect(object.bytes == bytes("hello"))
            #expect(object.etag == etag)
            #expect(object.totalSizeBytes == 5)
            let info = try store.head("a/b")
            #expect(info.key == "a/b" && info.sizeBytes == 5 && info.etag == etag)
            #expect(abs(info.modifiedSeconds - UTCTime.now().seconds) < 120)
        },
        ContractRule(name: "a whole object has a limit") { store in
            for size in [0, 1, 999, 1_000, 1_001, 300_000] {
                _ = try store.put("sized", [UInt8](repeating: 7, count: size), .none)
                if size <= 1_000 {
                    #expect(try store.get("sized", .whole(limitBytes: 1_000), ifMatch: nil).bytes.count == size)
                } else {
                    #expect(throws: StoreError.tooLarge(key: "sized", limitBytes: 1_000)) {
                        try store.get("sized", .whole(limitBytes: 1_000), ifMatch: nil)
                    }
                }
            }
        },
        ContractRule(name: "a missing object is notFound") { store in
            _ = try store.put("there", [1], .none)
            for key in ["missing", "mis/sing", "the"] {
                #expect(throws: StoreError.notFound(key: key)) { try store.get(key, range: nil, ifMatch: nil) }
                #expect(throws: StoreError.notFound(key: key)) { try store.head(key) }
            }
        },
        ContractRule(name: "an empty object is an object") { store in
            let etag = try store.put("empty", [], .none)
            let object = try store.get("empty", range: nil, ifMatch: nil)
            #expect(object.bytes.isEmpty && object.etag == etag && object.totalSizeBytes == 0)
            #expect(try store.head("empty").sizeBytes == 0)
            #expect(throws: StoreError.rangeNotSatisfiable(key: "empty")) {
                try store.get("empty", range: 0..<10, ifMatch: nil)
            }
        },
        ContractRule(name: "ranges are half-open and cut to the end") { store in
            let body = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
            let etag = try store.put("ranged", body, .none)
            for range: Range<UInt64> in [0..<1, 0..<1000, 999..<1000, 10..<20, 990..<5000, 0..<UInt64.max] {
                let object = try store.get("ranged", range: range, ifMatch: etag)
                #expect(object.bytes == Array(body[Int(range.lowerBound)..<Int(min(range.upperBound, 1000))]))
                #expect(object.totalSizeBytes == 1000 && object.etag == etag)
            }
            #expect(try store.get("ranged", range: 5..<5, ifMatch: nil).bytes.isEmpty)
            for range: Range<UInt64> in [1000..<1001, 5000..<6000, 1000..<1000] {
                #expect(throws: StoreError.rangeNotSatisfiable(key: "ranged")) {
                    try store.get("ranged", range: range, ifMatch: nil)
                }
            }
        },
        ContractRule(name: "a read of another version is refused") { store in
            let old = try store.put("v", bytes("old"), .none)
            let new = try store.put("v", bytes("newer"), .none)
            #expect(try store.get("v", range: nil, ifMatch: new).bytes == bytes("newer"))
            #expect(try store.get("v", range: 1..<3, ifMatch: new).bytes == bytes("ew"))
            #expect(throws: StoreError.preconditionFailed(key: "v")) { try store.get("v", range: nil, ifMatch: old) }
            #expect(throws: StoreError.preconditionFailed(key: "v")) { try store.get("v", range: 0..<1, ifMatch: old) }
            #expect(throws: StoreError.preconditionFailed(key: "v")) { try store.get("v", range: 0..<0, ifMatch: old) }
        },
    ]

    static let writing = [
        ContractRule(name: "odd keys are kept byte for byte") { store in
            for (index, key) in oddKeys.enumerated() { _ = try store.put("odd/" + key, [UInt8(index)], .none) }
            for (index, key) in oddKeys.enumerated() {
                #expect(try store.get("odd/" + key, range: nil, ifMatch: nil).bytes == [UInt8(index)], "\(key)")
                #expect(try store.head("odd/" + key).sizeBytes == 1)
            }
            let listed = try store.list(prefix: "odd/", after: nil, limit: 1000).objects.map { Array($0.key.utf8) }
            let expected = oddKeys.map { Array("odd/\($0)".utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
            #expect(listed == expected)
            for key in oddKeys { try store.delete("odd/" + key) }
            #expect(try store.list(prefix: "odd/", after: nil, limit: 10).objects.isEmpty)
        },
        ContractRule(name: "keys that break the rules are refused") { store in
            for key in [
                "", "/a", "a/", "a//b", ".", "a/./b", "../a", "a/..", "nul\0", String(repeating: "k", count: 1025),
            ] {
                #expect(throws: StoreError.self, "\(key)") { try store.put(key, [], .none) }
                let error = #expect(throws: StoreError.self) { try store.get(key, range: nil, ifMatch: nil) }
                guard case .invalidKey = error else {
                    Issue.record("\(key): \(String(describing: error))")
                    continue
                }
            }
        },
        ContractRule(name: "a key of 1,024 bytes is kept") { store in
            let key = (0..<4).map { "\($0)" + String(repeating: "x", count: 199) }.joined(separator: "/") + "/"
            let full = key + String(repeating: "y", count: 1024 - key.utf8.count)
            // With a prefix in the bucket there is less room, which the store says.
            let hasPrefix = store.location.hasPrefix("s3://") && store.location.split(separator: "/").count > 2
            if hasPrefix {
                #expect(throws: StoreError.self) { try store.put(full, [1], .none) }
            } else {
                _ = try store.put(full, [1], .none)
                #expect(try store.get(full, range: nil, ifMatch: nil).bytes == [1])
            }
        },
        ContractRule(name: "delete removes, and again is no error") { store in
            _ = try store.put("d/x", [1], .none)
            try store.delete("d/x")
            try store.delete("d/x")
            try store.delete("never/was")
            #expect(throws: StoreError.notFound(key: "d/x")) { try store.head("d/x") }
            #expect(try store.put("d", [2], .none) == store.head("d").etag)
        },
        ContractRule(name: "a large object comes back whole") { store in
            let body = (0..<(6 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
            let etag = try store.put("large", body, .none)
            #expect(try store.get("large", range: nil, ifMatch: etag).bytes == body)
        },
    ]

    static let conditions = [
        ContractRule(name: "absent creates once") { store in
            let first = try store.put("ref", bytes("1"), .absent)
            #expect(throws: StoreError.preconditionFailed(key: "ref")) { try store.put("ref", bytes("2"), .absent) }
            let object = try store.get("ref", range: nil, ifMatch: nil)
            #expect(object.bytes == bytes("1") && object.etag == first)
            try store.delete("ref")
            _ = try store.put("ref", bytes("3"), .absent)
        },
        ContractRule(name: "matches replaces just that version") { store in
            let first = try store.put("ref", bytes("1"), .none)
            let second = try store.put("ref", bytes("2"), .matches(first))
            #expect(second != first)
            #expect(throws: StoreError.preconditionFailed(key: "ref")) {
                try store.put("ref", bytes("3"), .matches(first))
            }
            #expect(try store.get("ref", range: nil, ifMatch: nil).bytes == bytes("2"))
            _ = try store.put("ref", bytes("4"), .matches(store.head("ref").etag))
            #expect(try store.get("ref", range: nil, ifMatch: nil).bytes == bytes("4"))
        },
        ContractRule(name: "matches on a missing key is refused") { store in
            let etag = try store.put("other", bytes("1"), .none)
            #expect(throws: StoreError.preconditionFailed(key: "gone")) { try store.put("gone", [], .matches(etag)) }
            #expect(throws: StoreError.notFound(key: "gone")) { try store.head("gone") }
        },
        ContractRule(name: "of eight creators one wins") { store in
            for round in 0..<5 {
                let winners = Collected<Int>()
                try onThreads(8) { index in
                    if try store.wins("create/\(round)", bytes("\(index)"), .absent) { winners.append(index) }
                }
                #expect(winners.all.count == 1)
                let held = try store.get("create/\(round)", range: nil, ifMatch: nil).bytes
                #expect(held == bytes("\(winners.all.first ?? -1)"))
            }
        },
        ContractRule(name: "no update is lost among eight threads") { store in
            _ = try store.put("log", [], .absent)
            try onThreads(8) { thread in
                for round in 0..<10 { try appendLine("\(thread).\(round)", to: "log", in: store) }
            }
            let expected = (0..<80).map { "\($0 / 10).\($0 % 10)" }
            #expect(try lines(of: "log", in: store).sorted() == expected)
        },
    ]

    static let listing = [
        ContractRule(name: "listing is in byte order of full keys") { store in
            let keys = ["a", "a-b", "a.b/c", "b/a", "b/c/d", "b-", "b0", "B", "c/é", "c/z", "ab/x", "a b"]
            for key in keys { _ = try store.put(key, [], .none) }
            let listed = try store.list(prefix: "", after: nil, limit: 1000)
            #expect(listed.objects.map(\.key) == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            #expect(!listed.isTruncated)
        },
        ContractRule(name: "prefix and after narrow the listing") { store in
            for key in ["x/1", "x/2", "x/2/3", "x-", "x0", "y/1", "y/2"] where !(store.isDirectory && key == "x/2/3") {
                _ = try store.put(key, [9], .none)
            }
            func keys(_ prefix: String, _ after: String? = nil) throws -> [String] {
                try store.list(prefix: prefix, after: after, limit: 1000).objects.map(\.key)
            }
            let below = store.isDirectory ? [] : ["x/2/3"]
            #expect(try keys("x/") == ["x/1", "x/2"] + below)
            #expect(try keys("x") == ["x-", "x/1", "x/2"] + below + ["x0"])
            #expect(try keys("x/2") == ["x/2"] + below)
            #expect(try keys("x", "x/1") == ["x/2"] + below + ["x0"])
            #expect(try keys("x", "x/15") == ["x/2"] + below + ["x0"])
            #expect(try keys("", "x0") == ["y/1", "y/2"])
            #expect(try keys("y/", "x") == ["y/1", "y/2"])
            #expect(try keys("y/", "z").isEmpty)
            #expect(try keys("nothing/here").isEmpty)
            let info = try #require(try store.list(prefix: "y/1", after: nil, limit: 1).objects.first)
            #expect(info.sizeBytes == 1)
            #expect(try info.etag == store.head("y/1").etag)
        },
        ContractRule(name: "pages follow one another") { store in
            let keys = (0..<23).map { String(format: "page/%02d/%d", $0 / 3, $0) }
            for key in keys { _ = try store.put(key, [], .none) }
            var seen: [String] = []
            var after: String?
            var pages = 0
            while true {
                let page = try store.list(prefix: "page/", after: after, limit: 5)
                #expect(page.objects.count <= 5)
                seen += page.objects.map(\.key)
                pages += 1
                after = page.objects.last?.key
                if !page.isTruncated || pages > 30 { break }
            }
            #expect(seen == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            #expect(pages == 5)
        },
    ]

    static let multipart = [
        ContractRule(name: "parts may arrive in any order and at once") { store in
            let size = MultipartUpload.minimumPartBytes
            let parts = [[UInt8](repeating: 1, count: size), [UInt8](repeating: 2, count: size), bytes("the end")]
            for order in [[3, 1, 2], [2, 3, 1], [1, 3, 2]] {
                let key = "multi/\(order[0])"
                let upload = try store.beginUpload(key)
                let done = try order.map { try store.uploadPart(upload, number: $0, parts[$0 - 1]) }
                #expect(throws: StoreError.notFound(key: key)) { try store.head(key) }
                let etag = try store.completeUpload(upload, parts: done)
                let object = try store.get(key, range: nil, ifMatch: etag)
                #expect(object.bytes == parts.flatMap { $0 })
            }
            let upload = try store.beginUpload("multi/threads")
            let done = Collected<UploadedPart>()
            try onThreads(3) { done.append(try store.uploadPart(upload, number: $0 + 1, parts[$0])) }
            _ = try store.completeUpload(upload, parts: done.all)
            let tail = UInt64(2 * size - 1)..<UInt64(2 * size + 3)
            #expect(try store.get("multi/threads", range: tail, ifMatch: nil).bytes == [2] + bytes("the"))
        },
        ContractRule(name: "a part sent again replaces itself") { store in
            let upload = try store.beginUpload("again")
            _ = try store.uploadPart(upload, number: 1, bytes("same size"))
            let part = try store.uploadPart(upload, number: 1, bytes("SAME SIZE"))
            let etag = try store.completeUpload(upload, parts: [part])
            #expect(try store.get("again", range: nil, ifMatch: etag).bytes == bytes("SAME SIZE"))
        },
        ContractRule(name: "an aborted upload leaves nothing") { store in
            let upload = try store.beginUpload("aborted")
            let part = try store.uploadPart(upload, number: 1, bytes("x"))
            try store.abortUpload(upload)
            try store.abortUpload(upload)
            // S3 says NoSuchUpload; RGW 16 and moto answer 500.
            #expect(throws: StoreError.self) { try store.completeUpload(upload, parts: [part]) }
            #expect(try store.list(prefix: "", after: nil, limit: 10).objects.isEmpty)
        },
        ContractRule(name: "gaps in the part numbers are refused") { store in
            let upload = try store.beginUpload("gap")
            let part = try store.uploadPart(upload, number: 2, bytes("x"))
            #expect(throws: StoreError.self) { try store.completeUpload(upload, parts: [part]) }
            try store.abortUpload(upload)
        },
    ]
}

extension ObjectStore {
    var isDirectory: Bool { location.hasPrefix("/") }

    /// Whether the condition held.
    func wins(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws -> Bool {
        do {
            _ = try put(key, body, condition)
            return true
        } catch let error {
            if error == .preconditionFailed(key: key) { return false }
            throw error
        }
    }
}

/// Appends a line by compare-and-swap, as refs move: a refusal may be the echo of a write of ours whose reply was lost,
/// so the object is read back and searched for it.
func appendLine(_ line: String, to key: String, in store: any ObjectStore) throws {
    while true {
        let object = try store.get(key, range: nil, ifMatch: nil)
        let held = String(decoding: object.bytes, as: UTF8.self)
        if held.split(separator: "\n").contains(Substring(line)) { return }
        if try store.wins(key, bytes(held + line + "\n"), .matches(object.etag)) { return }
    }
}

func lines(of key: String, in store: any ObjectStore) throws -> [String] {
    let text = String(decoding: try store.get(key, range: nil, ifMatch: nil).bytes, as: UTF8.self)
    return text.split(separator: "\n").map(String.init)
}
