/// Bytes of one block where they were read: a part of a window that stays as it is for as long as the block is held, so
/// that no block is copied on its way to a worker.
package struct BlockBytes: Sendable {
    private let window: Window
    private let range: Range<Int>

    package init(_ window: Window, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= window.bytes.count)
        self.window = window
        self.range = range
    }

    package var count: Int { range.count }

    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(window) { try body(UnsafeRawBufferPointer(rebasing: window.bytes[range])) }
    }
}

/// Memory that a source is read into.
package final class Window: @unchecked Sendable {
    // SAFETY: only `cutBlocks` writes, on its own thread, and only where no `BlockBytes` has been handed out: behind the
    // last of them, or anywhere once it is the window's only holder.
    package let bytes: UnsafeMutableRawBufferPointer

    package init(byteCount: Int) {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 4096)
    }

    deinit { bytes.deallocate() }
}

/// The windows of one source: one is filled while blocks of the others are still worked on.
package struct Windows {
    /// Fresh memory costs the kernel as much time as a copy, so these are filled again; further ones go with their blocks.
    private static let maximumKept = 6

    private let byteCount: Int
    /// The last is the one being filled.
    private var windows: [Window]

    package init(byteCount: Int) {
        self.byteCount = byteCount
        windows = [Window(byteCount: byteCount)]
    }

    package var current: Window { windows[windows.count - 1] }

    /// Begins a window that nobody else holds, with the bytes of `range` of the present one.
    package mutating func turn(keeping range: Range<Int>) {
        let old = windows.count - 1
        let free = windows.indices.last { isKnownUniquelyReferenced(&windows[$0]) }
        let next = free.map { windows[$0] } ?? Window(byteCount: byteCount)
        UnsafeMutableRawBufferPointer(rebasing: next.bytes[..<range.count]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: windows[old].bytes[range]))
        if let free { windows.remove(at: free) }
        windows = windows.suffix(Self.maximumKept - 1) + [next]
    }
}
