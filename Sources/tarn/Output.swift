import BlockingIO
import FoundationEssentials
import Glibc
import ObjectDatabase
import Operations
import Versioning

/// Where output goes: for people on a terminal, plain otherwise, or JSON.
struct Output {
    let isJSON: Bool
    /// Colours: only on a terminal that wants them.
    let isColoured: Bool

    init(json: Bool) {
        isJSON = json
        isColoured = !json && StandardStreams.outputIsTerminal && getenv("NO_COLOR") == nil
    }

    /// Prints `value` as JSON, or what `text` says.
    func show(_ value: some Encodable, text: () -> TerminalText) throws {
        if isJSON {
            try StandardStreams.write(json: value)
        } else {
            let text = text()
            if !text.isEmpty { try StandardStreams.write(line: text) }
        }
    }

    enum Colour: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case blue = "34"
    }

    func paint(_ text: TerminalText, _ colour: Colour) -> TerminalText {
        isColoured ? "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m" : text
    }
}

/// `1.5 GiB`, `12 KiB`, `7 B`.
func humanSize(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = Double(bytes)
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    if unit == 0 { return "\(bytes) B" }
    return "\(oneDecimal(value)) \(units[unit])"
}

func oneDecimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}

func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// Columns aligned by padding all but the last.
func table(_ rows: [[TerminalText]]) -> TerminalText {
    var widths: [Int] = []
    for row in rows {
        for (index, cell) in row.enumerated() {
            if index == widths.count { widths.append(0) }
            widths[index] = max(widths[index], cell.width)
        }
    }
    return rows.map { row in
        let line = row.enumerated().map { index, cell in
            index == row.count - 1 ? cell : cell.padded(to: widths[index] + 2)
        }.joined()
        // The last columns may be empty.
        return line.withoutTrailingBlanks()
    }.joined(separator: "\n")
}

/// A path in JSON: text, and the exact bytes in hexadecimal when they are not valid UTF-8.
struct JSONPath: Encodable {
    let path: String
    let pathHex: String?

    init(_ path: TreePath) {
        self.path = String(decoding: path.bytes, as: UTF8.self)
        pathHex =
            String(validating: path.bytes, as: UTF8.self) == nil
            ? hexEncoded(path.bytes) : nil
    }
}

/// One line on the terminal that is rewritten while work goes on; nothing when stderr is no terminal.
final class ProgressLine {
    static let isShown = StandardStreams.errorIsTerminal
    private var lastWidth = 0

    func show(_ text: TerminalText) {
        guard Self.isShown else { return }
        StandardStreams.writeError("\r\(text.padded(to: lastWidth))")
        lastWidth = text.width
    }

    func clear() {
        guard Self.isShown, lastWidth > 0 else { return }
        StandardStreams.writeError("\r\(TerminalText("").padded(to: lastWidth))\r")
        lastWidth = 0
    }
}

/// Runs `work` and shows what `text` answers (given the seconds so far) meanwhile, on a terminal. Answers how long it took,
/// too.
func showingProgress<Result>(
    _ text: @escaping @Sendable (_ seconds: Double) -> TerminalText, _ work: () throws -> Result
) rethrows -> (result: Result, seconds: Double) {
    let start = ContinuousClock.now
    guard ProgressLine.isShown else { return (try work(), (ContinuousClock.now - start).inSeconds) }
    let finished = Monitor(false)
    let show: @Sendable () -> Void = {
        let line = ProgressLine()
        while !finished.look({ $0 }) {
            line.show(text((ContinuousClock.now - start).inSeconds))
            sleepMilliseconds(200)
        }
        line.clear()
        finished.update { $0 = false }
    }
    // Without a thread for it nothing is shown.
    guard (try? startThread(show)) != nil else { return (try work(), (ContinuousClock.now - start).inSeconds) }
    defer {
        finished.update { $0 = true }
        finished.waitUntil { !$0 }
    }
    return (try work(), (ContinuousClock.now - start).inSeconds)
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
