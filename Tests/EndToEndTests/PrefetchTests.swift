import Foundation
import Testing

/// `tarn prefetch`. SEMANTICS: F1 to F5.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct PrefetchTests {
    private struct Fetched: Decodable {
        let files: Int
        let bytes: UInt64
        let fetchedBytes: UInt64
        let requests: UInt64
        let localBytes: UInt64
        let leftOutFiles: Int
        let failedFiles: Int
    }

    private struct Order: Decodable {
        let files: Int
        let bytes: UInt64
        let aheadBytes: UInt64
    }

    private struct Statistics: Decodable {
        struct Store: Decodable {
            struct Operation: Decodable {
                let requests: UInt64
                let bytes: UInt64
            }
            let get: Operation
        }
        let store: Store
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    private func gets(_ sandbox: Sandbox, _ point: String) throws -> (requests: UInt64, bytes: UInt64) {
        let store = try decode(Statistics.self, sandbox.tarn("stats", point, "--json").output).store
        return (store.get.requests, store.get.bytes)
    }

    /// Rule (W32): small files come by the pack, in a writable mount too.
    @Test(arguments: [["--ref", "main"], ["--ref", "main", "--write"]])
    func smallFilesComeManyToARequest(how: [String]) throws {
        let sandbox = try makeLake(.directory)
        let point = try sandbox.mount("m", how + ["--cache-dir", sandbox.path("cold")])
        try sandbox.shell("cd '\(point)'; cat d*/* | cmp - <(cd ../data; cat d*/*)")
        let requests = try gets(sandbox, point).requests
        #expect(requests < 100, "\(requests) requests for 1,200 files")
        try sandbox.unmount(point)
    }

    /// 30 directories of 40 files of 4 to 64 KiB, and three larger ones; `list` names them all, shuffled.
    private func makeLake(_ place: Place) throws -> Sandbox {
        let sandbox = try Sandbox(place)
        try sandbox.shell(
            """
            python3 - <<'PY'
            import os, random
            random.seed(7)
            names = []
            for d in range(30):
                os.makedirs(f"data/d{d:02}")
                for f in range(40):
                    name = f"d{d:02}/f{f:03}"
                    with open("data/" + name, "wb") as out: out.write(random.randbytes(random.randint(4096, 65536)))
                    names.append(name)
            for f in range(3):
                with open(f"data/big{f}", "wb") as out: out.write(random.randbytes(6_000_000))
                names.append(f"big{f}")
            random.shuffle(names)
            open("list", "w").write("\\n".join(names) + "\\n\\n")
            PY
            """)
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm -rf cache")
        return sandbox
    }

    private func readAll(_ sandbox: Sandbox, _ point: String, list: String = "list") throws {
        try sandbox.shell("grep . \(list) | while read -r f; do cmp \"data/$f\" '\(point)'/\"$f\"; done")
    }

    @Test(arguments: Place.available)
    func aShuffledEpochAfterPrefetchAsksTheStoreForNothing(_ place: Place) throws {
        let sandbox = try makeLake(place)
        let fetched = try decode(
            Fetched.self, sandbox.tarn("prefetch", "main", "--order", "list", "--json").output)
        #expect(fetched.files == 1203 && fetched.failedFiles == 0 && fetched.localBytes == 0)
        #expect(Double(fetched.fetchedBytes) <= 1.2 * Double(fetched.bytes))
        // Few large requests: far fewer than files.
        #expect(fetched.requests <= 60, "\(fetched.requests) requests")
        let point = try sandbox.mount("m", "--ref", "main")
        try sandbox.shell("find '\(point)' -type f > /dev/null")
        let before = try gets(sandbox, point)
        try readAll(sandbox, point)
        #expect(try gets(sandbox, point).requests == before.requests)
        let again = try decode(
            Fetched.self, sandbox.tarn("prefetch", "main", "--order", "list", "--json").output)
        #expect(again.requests == 0 && again.localBytes == again.bytes)
        try sandbox.unmount(point)
    }

    /// F4: whatever the look-ahead.
    @Test(arguments: ["2M", "8M", "15M"]) func anOrderCostsNoMoreRequestsThanNone(ahead: String) throws {
        let sandbox = try makeLake(.directory)
        var requests: [UInt64] = []
        for isOrdered in [false, true] {
            try sandbox.shell("rm -rf cache")
            let point = try sandbox.mount("m\(isOrdered)", "--ref", "main", "--cache-size", "1G")
            try sandbox.shell("find '\(point)' -type f > /dev/null")
            let before = try gets(sandbox, point)
            try sandbox.shell("grep -v big list > small")
            if isOrdered { try sandbox.tarn("prefetch", "--order", "small", "--at", point, "--ahead", ahead) }
            try readAll(sandbox, point, list: "small")
            requests.append(try gets(sandbox, point).requests - before.requests)
            try sandbox.unmount(point)
        }
        #expect(requests[1] <= requests[0], "\(requests)")
    }

    @Test(arguments: Place.available)
    func theMountFetchesAheadOfAReaderInTheGivenOrder(_ place: Place) throws {
        let sandbox = try makeLake(place)
        let point = try sandbox.mount("m", "--ref", "main", "--cache-size", "256M")
        try sandbox.shell("find '\(point)' -type f > /dev/null")
        let before = try gets(sandbox, point)
        let order = try decode(
            Order.self, sandbox.tarn("prefetch", "--order", "list", "--at", point, "--ahead", "8M", "--json").output)
        #expect(order.files == 1203 && order.aheadBytes == 8 << 20)
        // Without a reader, the look-ahead, with the files beside it in the packs.
        var idle = try gets(sandbox, point)
        for _ in 0..<100 {
            usleep(100_000)
            let now = try gets(sandbox, point)
            if now.bytes == idle.bytes, now.bytes > before.bytes + 4 << 20 { break }
            idle = now
        }
        #expect(idle.bytes - before.bytes >= 4 << 20, "\(idle.bytes - before.bytes) bytes ahead")
        #expect(Double(idle.bytes - before.bytes) <= 1.2 * Double(order.bytes), "what no reader wants")
        // Another order replaces it. All of it fits this look-ahead, so most is fetched by large requests.
        try sandbox.tarn("prefetch", "--order", "list", "--at", point, "--ahead", "128M")
        try readAll(sandbox, point)
        let epoch = try gets(sandbox, point)
        #expect(Double(epoch.bytes - before.bytes) <= 1.2 * Double(order.bytes))
        #expect(epoch.requests - before.requests < 1203 / 2, "\(epoch.requests - before.requests) requests")
        // An order may be of absolute paths and from standard input.
        try sandbox.shell(
            "find '\(point)'/d0* -type f -print0 | sort -z | '\(Sandbox.binary)' prefetch --order - -0 --at '\(point)'")
        try sandbox.unmount(point)
        // Another epoch, through a mount whose pages the kernel does not know: everything is local.
        let next = try sandbox.mount("next", "--ref", "main")
        try sandbox.shell("find '\(next)' -type f > /dev/null")
        let known = try gets(sandbox, next)
        try sandbox.tarn("prefetch", "--order", "list", "--at", next)
        try readAll(sandbox, next)
        #expect(try gets(sandbox, next).requests == known.requests)
        try sandbox.unmount(next)
    }

    /// Files smaller than a page share pages of the cache: one that is here must not pass for its neighbour.
    @Test func filesSmallerThanAPageAreNotTakenForTheirNeighbours() throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            "mkdir data; for i in $(seq 100 499); do head -c $((i * 7 % 3000 + 1)) /dev/urandom > data/f$i; done")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm -rf cache")
        let half = try decode(
            Fetched.self,
            sandbox.tarn("prefetch", "main", "--glob", "f??0", "--glob", "f??3", "--glob", "f??6", "--json").output)
        #expect(half.files == 120)
        let rest = try decode(Fetched.self, sandbox.tarn("prefetch", "main", "--json").output)
        #expect(rest.files == 400)
        let point = try sandbox.mount("m", "--ref", "main")
        try sandbox.shell("find '\(point)' > /dev/null")
        let before = try gets(sandbox, point)
        try sandbox.shell("diff -r data '\(point)'")
        #expect(try gets(sandbox, point).requests == before.requests)
        try sandbox.unmount(point)
    }

    @Test func aLookAheadIsAtMostHalfOfTheCache() throws {
        let sandbox = try makeLake(.directory)
        let point = try sandbox.mount("m", "--ref", "main", "--cache-size", "16M")
        let order = try decode(
            Order.self, sandbox.tarn("prefetch", "--order", "list", "--at", point, "--ahead", "1G", "--json").output)
        #expect(order.aheadBytes <= 8 << 20)
        try readAll(sandbox, point)
        try sandbox.unmount(point)
    }

    @Test func wrongListsAreRefusedBeforeAnythingIsFetched() throws {
        let sandbox = try makeLake(.directory)
        let point = try sandbox.mount("m", "--ref", "main")
        try sandbox.shell("mkdir data2; ln -s f data2/link; printf 'x' > data2/$'odd\\xff\\nname'")
        try sandbox.tarn("import", "data2", "--to", "odd", "-m", "odd")
        try sandbox.write("missing", "d00/f000\n\nd00/nothing here\nalso/missing\n")
        try sandbox.write("directory", "d00/f000\nd01\n")
        try sandbox.write("above", "d00/f000\n../x\n")
        for at in [["main"], ["--at", point]] {
            let missing = try sandbox.tarn(["prefetch", "--order", "missing"] + at, code: 5)
            #expect(missing.errors.contains("line 3") && missing.errors.contains("d00/nothing here"))
            let directory = try sandbox.tarn(["prefetch", "--order", "directory"] + at, code: 1)
            #expect(directory.errors.contains("line 2") && directory.errors.contains("directory"))
            #expect(try sandbox.tarn(["prefetch", "--order", "above"] + at, code: 2).errors.contains("line 2"))
        }
        let link = try sandbox.run("/bin/bash", ["-c", "echo odd/link | '\(Sandbox.binary)' prefetch main --order -"])
        #expect(link.code == 1 && link.errors.contains("symbolic link"))
        // Nothing of the packs is here.
        #expect(try sandbox.shell("find cache -path '*data*' -size +64k | wc -l").hasPrefix("0"))
        try sandbox.shell(
            "printf 'odd\\xff\\nname\\0' | '\(Sandbox.binary)' prefetch main:odd --order - -0 --json | grep -q '\"files\" : 1'"
        )
        for arguments in [
            ["--at", point], ["--order", "list", "--glob", "*"], ["-0"], ["--order", "list", "--ahead", "1"],
            ["main", "--order", "list", "--at", point],
        ] { try sandbox.tarn(["prefetch"] + arguments, code: 2) }
        try sandbox.tarn("prefetch", "--order", "list", "--at", sandbox.directory, code: 5)
        try sandbox.unmount(point)
    }

    @Test func mountsThatDoNotStayOnOneCommitTakeNoOrder() throws {
        let sandbox = try makeLake(.directory)
        let all = try sandbox.mount("all")
        let follows = try sandbox.mount("follows", "--ref", "main", "--follow")
        let written = try sandbox.mount("written", "--ref", "main", "--write")
        for point in [all, follows, written] {
            let refusal = try sandbox.tarn("prefetch", "--order", "list", "--at", point, code: 2)
            #expect(refusal.errors.contains("takes no order"))
            try sandbox.unmount(point)
        }
    }

    @Test func pathsAndGlobsAreFetchedAndNothingElse() throws {
        let sandbox = try makeLake(.directory)
        let one = try decode(Fetched.self, sandbox.tarn("prefetch", "main:d07", "--json").output)
        #expect(one.files == 40 && one.fetchedBytes <= one.bytes + one.bytes / 5 && one.requests <= 4)
        let globs = try decode(
            Fetched.self, sandbox.tarn("prefetch", "main", "--glob", "d0*/f00?", "--glob", "big1", "--json").output)
        #expect(globs.files == 101 && globs.localBytes > 0)
        let file = try decode(Fetched.self, sandbox.tarn("prefetch", "main:big2", "--json").output)
        #expect(file.files == 1 && file.bytes == 6_000_000)
        #expect(try sandbox.tarn("prefetch", "main", "--glob", "nothing", code: 5).errors.contains("nothing"))
        try sandbox.tarn("prefetch", "main:nowhere", code: 5)
        let text = try sandbox.tarn("prefetch").output
        #expect(text.contains("1203 files") && text.contains("were here already"))
    }

    @Test func whatDoesNotFitIsRefusedAndOfAListTheBeginningIsFetched() throws {
        let sandbox = try makeLake(.directory)
        let refusal = try sandbox.tarn("prefetch", "main", "--cache-size", "16M", code: 1)
        #expect(refusal.errors.contains("has room for") && refusal.errors.contains("Nothing was fetched"))
        #expect(try sandbox.shell("find cache -path '*data*' -size +64k | wc -l").hasPrefix("0"))
        let part = try decode(Fetched.self, sandbox.tarn("prefetch", "main", "--order", "list", "--json").output)
        #expect(part.leftOutFiles > 0 && part.files + part.leftOutFiles == 1203 && part.bytes <= 16 << 20)
        // The first files of the list are here.
        try sandbox.shell("head -n \(part.files) list > first")
        let again = try decode(Fetched.self, sandbox.tarn("prefetch", "main", "--order", "first", "--json").output)
        #expect(again.requests == 0)
    }

    @Test func whatCannotBeFetchedIsNamedAndTheRestIsFetched() throws {
        let sandbox = try makeLake(.directory)
        // One flipped byte in the pack of the small files.
        try sandbox.shell(
            """
            python3 - <<'PY'
            import glob
            wanted = open("data/d03/f005", "rb").read()
            for path in glob.glob("lake/packs/*/*"):
                data = bytearray(open(path, "rb").read())
                at = data.find(wanted)
                if at >= 0:
                    data[at + 100] ^= 1
                    open(path, "wb").write(data)
            PY
            """)
        let outcome = try sandbox.tarn("prefetch", "main", "--json", code: 1)
        let fetched = try decode(Fetched.self, outcome.output)
        #expect(fetched.failedFiles == 1 && outcome.errors.contains("could not fetch d03/f005"))
        let again = try decode(Fetched.self, sandbox.tarn("prefetch", "main:d03", "--json", code: 1).output)
        #expect(again.requests <= 2, "only the damaged one is asked for again")
    }
}
