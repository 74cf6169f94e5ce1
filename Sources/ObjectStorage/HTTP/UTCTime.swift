import CCurl
import Glibc

/// Times as S3 writes them. No time zone but UTC, no locale.
struct UTCTime: Hashable, Sendable {
    /// Since 1970.
    let seconds: Int64

    init(_ seconds: Int64) { self.seconds = seconds }

    /// `20130524T000000Z`
    var basic: String { format("%Y%m%dT%H%M%SZ") }

    private func format(_ pattern: String) -> String {
        var time = time_t(seconds)
        var fields = tm()
        gmtime_r(&time, &fields)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            let length = strftime(buffer.baseAddress!, buffer.count, pattern, &fields)
            return String(decoding: UnsafeRawBufferPointer(buffer.extracting(0..<length)), as: UTF8.self)
        }
    }

    /// `Wed, 12 Oct 2009 17:50:00 GMT` and the other forms that HTTP allows.
    init?(http text: String) {
        let seconds = curl_getdate(text, nil)
        guard seconds >= 0 else { return nil }
        self.init(Int64(seconds))
    }

    /// `2009-10-12T17:50:30.000Z`, with or without a fraction, and with an offset from UTC.
    init?(iso text: String) {
        let bytes = Array(text.utf8)
        let date = text.prefix(19).split(whereSeparator: { "-T:".contains($0) }).map { Int32($0) }
        guard bytes.count >= 19, date.count == 6, date.allSatisfy({ $0 != nil && $0! >= 0 }) else { return nil }
        var fields = tm()
        fields.tm_year = date[0]! - 1900
        fields.tm_mon = date[1]! - 1
        fields.tm_mday = date[2]!
        fields.tm_hour = date[3]!
        fields.tm_min = date[4]!
        fields.tm_sec = date[5]!
        var rest = text.dropFirst(19)
        if rest.first == "." { rest = rest.dropFirst().drop { $0.isNumber } }
        var offset = 0
        if let sign = rest.first, sign == "+" || sign == "-" {
            let digits = rest.dropFirst().filter { $0 != ":" }
            guard digits.count == 4, let value = Int(digits) else { return nil }
            offset = (value / 100 * 3600 + value % 100 * 60) * (sign == "-" ? -1 : 1)
        }
        self.init(Int64(timegm(&fields) - offset))
    }

    static func now() -> UTCTime { UTCTime(Int64(time(nil))) }
}
