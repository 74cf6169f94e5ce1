import Foundation
import Testing

/// Bounds hold. SEMANTICS: M6.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct LimitTests {
    @Test func readsLargerThanTheCacheWorkAndTheCacheKeepsItsBound() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; for i in 1 2 3 4; do head -c 150000000 /dev/urandom > data/f$i; done")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm -rf cache")
        let point = try sandbox.mount("m", "--ref", "main", "--cache-size", "64M")
        // Four readers at once; meanwhile the cache's real size is sampled. One block a read: 4 × 4 MiB (and the
        // read-ahead's).
        let peak = try sandbox.shell(
            """
            for i in 1 2 3 4; do cmp data/f$i '\(point)'/f$i & done
            peak=0
            while [ -n "$(jobs -r)" ]; do
                now=$(du -s --block-size=1 cache/*/data 2>/dev/null | cut -f1 || echo 0); [ "${now:-0}" -gt $peak ] && peak=$now; sleep 0.05
            done
            wait; echo $peak
            """)
        let bytes = Int(peak.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        #expect(bytes > 32 << 20)
        #expect(bytes <= (64 + 16) << 20, "the cache took \(bytes >> 20) MiB")
        try sandbox.unmount(point)
    }

    /// Walking 200,000 files and reading 10 GB through the mount leaves resident memory under 300 MB.
    @Test func memoryOfAMountStaysBounded() throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            """
            python3 - <<'PY'
            import os
            os.makedirs("data")
            for d in range(400):
                os.mkdir(f"data/d{d:03}")
                for f in range(500):
                    with open(f"data/d{d:03}/f{f:03}", "w") as out: out.write(f"{d} {f}")
            PY
            mkdir data/big; head -c 250000000 /dev/urandom > data/big/0; for i in $(seq 39); do ln data/big/0 data/big/$i; done
            """)
        try sandbox.tarn("import", "data", "-m", "many")
        let point = try sandbox.mount("m", "--ref", "main", "--cache-size", "1G")
        let server = try sandbox.server(of: point)
        #expect(
            try sandbox.shell("find '\(point)' -type f -size +0 | wc -l").trimmingCharacters(
                in: .whitespacesAndNewlines) == "200040")
        try sandbox.shell("cat '\(point)'/big/* | wc -c | grep -q 10000000000")
        let peak = try sandbox.shell("grep VmHWM /proc/\(server)/status | tr -dc 0-9")
        #expect((Int(peak) ?? .max) < 300_000, "\(peak) kB")
        try sandbox.unmount(point)
    }
}
