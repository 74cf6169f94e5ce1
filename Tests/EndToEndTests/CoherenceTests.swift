import Foundation
import Glibc
import Synchronization
import Testing

/// What one reads that another has written on the same host. SEMANTICS: W29.
@Suite(.serialized, .enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct CoherenceTests {
    /// What the threads of a run know.
    private final class Run: Sendable {
        static let pages = 64
        /// The number that was last written to each page, once that had returned.
        let written = (0..<pages).map { _ in Counter() }
        let reads = Counter(), stale = Counter(), failed = Counter(), isOver = Counter()

        final class Counter: Sendable {
            let value = Atomic(0)
            func add() { value.add(1, ordering: .sequentiallyConsistent) }
            var now: Int { value.load(ordering: .sequentiallyConsistent) }
        }

        func write(_ file: Int32) {
            let page = UnsafeMutableBufferPointer<Int>.allocate(capacity: 512)
            defer { page.deallocate() }
            var (number, random) = (1, SystemRandomNumberGenerator())
            while isOver.now == 0 {
                let index = Int.random(in: 0..<Self.pages, using: &random)
                page.update(repeating: number)
                if pwrite(file, page.baseAddress, 4096, index * 4096) != 4096 { failed.add() }
                written[index].value.store(number, ordering: .sequentiallyConsistent)
                number += 1
            }
        }

        func read(_ file: Int32) {
            let page = UnsafeMutableBufferPointer<Int>.allocate(capacity: 512)
            defer { page.deallocate() }
            var random = SystemRandomNumberGenerator()
            while isOver.now == 0 {
                let index = Int.random(in: 0..<Self.pages, using: &random)
                let least = written[index].now
                if pread(file, page.baseAddress, 4096, index * 4096) != 4096 { failed.add() }
                reads.add()
                if page.contains(where: { $0 < least }) { stale.add() }
            }
        }

        func look(_ file: Int32) {
            var status = stat()
            while isOver.now == 0 { if fstat(file, &status) != 0 { failed.add() } }
        }
    }

    @Test func readsAfterAWriteShowIt() throws {
        let sandbox = try Sandbox()
        let point = try sandbox.mount("m", "--ref", "main", "--write")
        try sandbox.shell("head -c \(Run.pages * 4096) /dev/zero > '\(point)/f'")
        let run = Run()
        let work: [@Sendable (Int32) -> Void] = [run.write, run.read, run.read, run.look, run.look]
        let threads = work.map { body in
            Thread {
                let file = open(point + "/f", O_RDWR)
                body(file)
                close(file)
            }
        }
        for thread in threads { thread.start() }
        sleep(15)
        run.isOver.add()
        while threads.contains(where: { !$0.isFinished }) { usleep(10_000) }
        #expect(run.reads.now > 1000 && run.failed.now == 0)
        #expect(run.stale.now == 0, "of \(run.reads.now) reads \(run.stale.now) showed what was before")
        try sandbox.unmount(point)
    }
}
