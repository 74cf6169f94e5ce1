import Testing
import VFS

/// What is fetched ahead of a reader that follows a known order. SEMANTICS: F4.
@Suite struct ReadPlanWindowTests {
    /// `count` files of `size` bytes; the i-th has rank 1000 + i.
    private func window(_ count: Int, size: UInt64, ahead: UInt64) -> ReadPlanWindow {
        ReadPlanWindow((0..<count).map { OrderedFile(rank: 1000 + UInt64($0), sizeBytes: size) }, aheadBytes: ahead)
    }

    private func drain(_ window: inout ReadPlanWindow) -> [Range<UInt64>] {
        var steps: [Range<UInt64>] = []
        while let step = window.next() { steps.append(step) }
        return steps
    }

    private func read(_ window: inout ReadPlanWindow, _ file: Int, size: UInt64) {
        window.noteRead(1000 + UInt64(file), from: 0, count: size)
    }

    @Test func theFirstStepsAreSmallAndTogetherTheLookAhead() {
        var window = window(1000, size: 100, ahead: 3200)
        let steps = drain(&window)
        #expect(steps.first == 0..<100)
        #expect(steps.map { $0.upperBound - $0.lowerBound }.max() == 800)
        // No gaps, and no further than the look-ahead; what is less than a step waits.
        for (one, next) in zip(steps, steps.dropFirst()) { #expect(one.upperBound == next.lowerBound) }
        #expect((2400...3200).contains(window.fetchedTo) && !window.hasNext)
    }

    @Test func nothingIsEverFetchedBeyondTheLookAhead() {
        var window = window(1000, size: 100, ahead: 3200)
        var random = SystemRandomNumberGenerator()
        var fetched: UInt64 = 0
        for file in 0..<1000 {
            for step in drain(&window) {
                #expect(step.lowerBound == fetched)
                fetched = step.upperBound
            }
            #expect(window.fetchedTo <= window.position + 3200)
            // Enough to go on with, while more is asked for only in steps.
            #expect(window.fetchedTo == window.totalBytes || window.fetchedTo > window.position + 3200 - 801)
            // Readers side by side are a little out of order.
            read(&window, max(0, min(999, file + Int.random(in: -3...3, using: &random))), size: 100)
        }
        #expect(fetched == 100_000)
    }

    @Test func partsAreThoseOfTheFiles() {
        let files = [3, 0, 5, 2].enumerated().map { OrderedFile(rank: UInt64($0), sizeBytes: $1) }
        let window = ReadPlanWindow(files, aheadBytes: 10)
        #expect(window.totalBytes == 10)
        let parts = window.parts(of: 2..<9)
        #expect(parts.map(\.file.rank) == [0, 2, 3])
        #expect(parts.map(\.within) == [2..<3, 0..<5, 0..<1])
        #expect(window.parts(of: 0..<10).map(\.within) == [0..<3, 0..<5, 0..<2])
    }

    @Test func aFileLargerThanTheLookAheadIsFetchedInParts() {
        var window = window(3, size: 1000, ahead: 100)
        #expect(drain(&window).last?.upperBound ?? 0 <= 100)
        window.noteRead(1000, from: 500, count: 10)
        // One read elsewhere is no reader.
        #expect(window.position == 0)
        for at in 1...3 { window.noteRead(1000, from: 500 + UInt64(at) * 10, count: 10) }
        #expect(window.position == 540)
        let steps = drain(&window)
        #expect(steps.first?.lowerBound == 540 && window.fetchedTo <= 640)
    }

    @Test func theNextEpochBeginsWhenTheFirstFilesAreReadAgain() {
        var window = window(1000, size: 100, ahead: 3200)
        for file in 0..<1000 {
            read(&window, file, size: 100)
            _ = drain(&window)
        }
        #expect(window.position == 100_000 && window.fetchedTo == 100_000)
        read(&window, 998, size: 100)
        for file in 0..<ReadPlanWindow.readsToMove - 1 { read(&window, file, size: 100) }
        #expect(window.fetchedTo == 100_000 && !window.hasNext)
        read(&window, ReadPlanWindow.readsToMove - 1, size: 100)
        let start = UInt64(ReadPlanWindow.readsToMove) * 100
        #expect(window.position == start)
        #expect(drain(&window).first?.lowerBound == start)
        // The last files of the old epoch change nothing.
        read(&window, 999, size: 100)
        #expect(window.position == start)
    }

    @Test func anOrderThatFitsTheLookAheadBeginsAnewToo() {
        var window = window(20, size: 100, ahead: 1 << 20)
        #expect(drain(&window).last?.upperBound == 2000)
        for file in 0..<20 { read(&window, file, size: 100) }
        for file in 0..<ReadPlanWindow.readsToMove { read(&window, file, size: 100) }
        #expect(drain(&window).last?.upperBound == 2000)
    }

    @Test func readsThatAgreeMoveTheWindowForwardAndSingleOnesDoNot() {
        var window = window(10_000, size: 100, ahead: 3200)
        _ = drain(&window)
        for file in [5000, 9000, 7000, 3000, 8000] { read(&window, file, size: 100) }
        #expect(window.position == 0 && !window.hasNext)
        for file in 5000..<5000 + ReadPlanWindow.readsToMove { read(&window, file, size: 100) }
        #expect(window.position == 500_400)
        #expect(drain(&window).first?.lowerBound == 500_400)
    }

    @Test func readsOfOtherFilesAreNoReads() {
        var window = window(100, size: 100, ahead: 3200)
        for _ in 0..<10 { window.noteRead(5, from: 0, count: 100) }
        #expect(window.position == 0)
    }

    @Test func aFileThatIsListedTwiceIsTakenWhereTheReaderIs() {
        let files = (0..<200).map { OrderedFile(rank: UInt64($0 % 100), sizeBytes: 100) }
        var window = ReadPlanWindow(files, aheadBytes: 1 << 20)
        _ = drain(&window)
        for file in 0..<150 { window.noteRead(UInt64(file % 100), from: 0, count: 100) }
        #expect(window.position == 15_000)
    }

    @Test func anEmptyOrderAndHugeSizesAreBorne() {
        var empty = ReadPlanWindow([], aheadBytes: 1)
        #expect(empty.next() == nil && empty.parts(of: 0..<0).isEmpty)
        var huge = ReadPlanWindow(
            (0..<3).map { OrderedFile(rank: $0, sizeBytes: .max) }, aheadBytes: .max)
        #expect(huge.next() != nil)
        huge.noteRead(2, from: .max, count: .max)
        #expect(huge.totalBytes == .max)
    }
}
