import Foundation
import Testing

/// Wrong bytes are never served. SEMANTICS: B1, B2.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct DamageTests {
    private func flipBit(_ sandbox: Sandbox, _ file: String) throws {
        try sandbox.shell(
            """
            chmod u+w '\(file)'; python3 -c "
            f = open('\(file)', 'r+b'); size = f.seek(0, 2); at = size * 2 // 3; f.seek(at); b = f.read(1)[0]; f.seek(at); f.write(bytes([b ^ 4]))"
            """)
    }

    private func expectCaught(_ kind: String) throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            "mkdir data; head -c 20000000 /dev/urandom > data/large; head -c 1000 /dev/urandom > data/small")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm -rf cache")
        let objects = try sandbox.shell("find lake/\(kind) -type f").split(separator: "\n").map(String.init)
        #expect(!objects.isEmpty)
        for object in objects {
            try sandbox.shell("cp '\(object)' saved")
            try flipBit(sandbox, sandbox.path(object))
            let name = object.split(separator: "/").last.map(String.init) ?? ""
            let fsck = try sandbox.tarn("fsck", "--read-data", code: 1)
            #expect(fsck.output.contains(name) || kind == "refs", "\(object): \(fsck.output)")
            let point = sandbox.path("m")
            try sandbox.shell("mkdir -p m")
            let mounted = try sandbox.run(Sandbox.binary, ["mount", sandbox.repository, point, "--ref", "main"])
            if mounted.code == 0 {
                // Whatever is read is right or an error, and an error names the object in the log.
                try sandbox.shell(
                    """
                    failed=0
                    for f in large small; do
                        cat m/$f > got 2> err || { failed=1; continue; }
                        cmp got data/$f
                    done
                    if [ $failed = 1 ]; then cat state/log/*.log | grep -q '\(name)'; grep -q 'Input/output error' err || [ -s got ]; fi
                    """)
                try sandbox.unmount(point)
            } else {
                #expect(mounted.errors.contains(name) || kind == "refs", "\(object): \(mounted.errors)")
            }
            try sandbox.shell("cp saved '\(object)'; rm -rf cache state")
        }
        try sandbox.tarn("fsck", "--read-data")
    }

    @Test(arguments: ["packs", "trees", "lists", "refs", "movements"])
    func flippedBitIsNeverServed(_ kind: String) throws {
        try expectCaught(kind)
    }

    @Test func fsckNamesEveryPathOfADamagedPack() throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            "mkdir -p data/d; for i in 1 2 3; do head -c 900 /dev/urandom > data/d/f$i; done; cp data/d/f1 data/copy")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm lake/packs/*/*")
        let report = try sandbox.tarn("fsck", code: 1).output
        for path in ["copy", "d/f1", "d/f2", "d/f3"] { #expect(report.contains("affects \(path)")) }
    }

    @Test func flippedBitInTheCacheIsFetchedAgain() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; head -c 6000000 /dev/urandom > data/f")
        try sandbox.tarn("import", "data", "-m", "first")
        let first = try sandbox.mount("m1", "--ref", "main")
        try sandbox.shell("cmp data/f '\(first)/f'")
        try sandbox.unmount(first)
        let cached = try sandbox.shell("find cache -path '*/data/*' -type f").split(separator: "\n").map(String.init)
        #expect(!cached.isEmpty)
        for file in cached { try flipBit(sandbox, sandbox.path(file)) }
        let second = try sandbox.mount("m2", "--ref", "main")
        try sandbox.shell("cmp data/f '\(second)/f'")
        try sandbox.unmount(second)
    }
}
