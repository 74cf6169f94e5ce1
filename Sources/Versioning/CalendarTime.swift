import BlockingIO

/// Times as people and JSON write them: RFC 3339, always UTC when written. The proleptic Gregorian calendar, by the
/// algorithms of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
extension Timestamp {
    /// `2026-11-21T04:25:02.123456789Z`; without the fraction when it is zero.
    package var rfc3339: String {
        let days = seconds.floorDivided(by: 86_400)
        // Not from the days: those times 86,400 may be less than the least number.
        let second = (seconds % 86_400 + 86_400) % 86_400
        let (year, month, day) = Self.civil(fromDays: days)
        let date = "\(pad(year, 4))-\(pad(Int64(month), 2))-\(pad(Int64(day), 2))"
        let time = "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
        if nanoseconds == 0 { return "\(date)T\(time)Z" }
        var fraction = pad(Int64(nanoseconds), 9)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(date)T\(time).\(fraction)Z"
    }

    /// Reads `YYYY-MM-DD`, optionally `T` or space, `HH:MM[:SS[.fraction]]`, optionally `Z` or `±HH:MM`. No zone means
    /// UTC; a date alone means the last nanosecond of that day ("what was it on that day"). `nil` for anything else.
    package init?(parsing text: String) {
        var scanner = DigitScanner(text)
        guard let year = scanner.number(4), scanner.skip("-"), let month = scanner.number(2), scanner.skip("-"),
            let day = scanner.number(2), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let days = Self.days(fromCivil: year, Int(month), Int(day))
        // 30 February would be 2 March.
        guard Self.civil(fromDays: days).month == Int(month) else { return nil }
        if scanner.isAtEnd {
            self.init(seconds: days * 86_400 + 86_399, nanoseconds: 999_999_999)
            return
        }
        guard scanner.skip("T") || scanner.skip("t") || scanner.skip(" "), let hour = scanner.number(2), hour < 24,
            scanner.skip(":"), let minute = scanner.number(2), minute < 60
        else { return nil }
        var seconds = days * 86_400 + hour * 3600 + minute * 60
        var nanoseconds: UInt32 = 0
        if scanner.skip(":") {
            guard let second = scanner.number(2), second <= 60 else { return nil }
            seconds += second
            if scanner.skip(".") {
                guard let fraction = scanner.fraction() else { return nil }
                nanoseconds = fraction
            }
        }
        if !(scanner.skip("Z") || scanner.skip("z") || scanner.isAtEnd) {
            let sign: Int64 = scanner.skip("+") ? 1 : -1
            guard sign == 1 || scanner.skip("-"), let hours = scanner.number(2) else { return nil }
            _ = scanner.skip(":")
            guard let minutes = scanner.number(2) else { return nil }
            seconds -= sign * (hours * 3600 + minutes * 60)
        }
        guard scanner.isAtEnd else { return nil }
        self.init(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// The days of a week, from the one on which time begins.
    private static let weekdays = ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"]

    /// The end of the last day of that name (three letters are enough) before the day of `now`; `nil` for no day's name.
    private init?(lastDay name: Substring, before now: Timestamp) {
        guard name.count >= 3, let wanted = Self.weekdays.firstIndex(where: { $0.hasPrefix(name) }) else { return nil }
        let today = now.seconds.floorDivided(by: 86_400)
        let back = ((today - Int64(wanted)) % 7 + 7) % 7
        self.init(seconds: (today - (back == 0 ? 7 : back)) * 86_400 + 86_399, nanoseconds: 999_999_999)
    }

    /// Reads a time that may also be relative to `now`: `now`, `today`, `yesterday`, `3 days ago`, `2.hours.ago`,
    /// `last tuesday`, `tuesday`, `last week`.
    package init?(parsing text: String, now: Timestamp) {
        if let absolute = Timestamp(parsing: text) {
            self = absolute
            return
        }
        let words = text.lowercased().split { $0 == " " || $0 == "." }
        switch (words.count, words.first) {
        case (1, "now"), (1, "today"): self = now
        case (1, "yesterday"): self = Timestamp(seconds: now.seconds - 86_400, nanoseconds: now.nanoseconds)
        case (1, .some(let name)):
            guard let time = Timestamp(lastDay: name, before: now) else { return nil }
            self = time
        case (2, "last"):
            let units: [Substring: Int64] = ["week": 7, "month": 30, "year": 365]
            if let days = units[words[1]] {
                self = Timestamp(seconds: now.seconds - days * 86_400, nanoseconds: now.nanoseconds)
            } else {
                guard let time = Timestamp(lastDay: words[1], before: now) else { return nil }
                self = time
            }
        case (3, .some(let amount)):
            let units: [String: Int64] = [
                "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000,
                "year": 31_536_000,
            ]
            let unit = words[1].hasSuffix("s") ? words[1].dropLast() : words[1]
            guard let count = Int64(amount), count >= 0, count < 1_000_000, words[2] == "ago",
                let size = units[String(unit)]
            else { return nil }
            self = Timestamp(seconds: now.seconds - count * size, nanoseconds: now.nanoseconds)
        default: return nil
        }
    }

    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), Int(month), Int(day))
    }

    private static func days(fromCivil year: Int64, _ month: Int, _ day: Int) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.floorDivided(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

private func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

private struct DigitScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Character) -> Bool {
        guard rest.first == character.asciiValue else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(_ width: Int) -> Int64? {
        let digits = rest.prefix(width)
        guard digits.count == width, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        rest.removeFirst(width)
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    mutating func fraction() -> UInt32? {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty else { return nil }
        rest.removeFirst(digits.count)
        let nine = (Array(digits) + Array(repeating: 0x30, count: 9)).prefix(9)
        return nine.reduce(0) { $0 * 10 + UInt32($1 - 0x30) }
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(parsing: text) else {
            throw DecodingError.badValue(in: container, "'\(printableText(text))' is no RFC 3339 time")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rfc3339)
    }
}
