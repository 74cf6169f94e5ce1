import TestSupport
import Testing
import Versioning

@Suite struct TimestampTests {
    private static let now = Timestamp(seconds: 1_000_000_000, nanoseconds: 7)

    @Test(
        arguments: [
            (0, 0, "1970-01-01T00:00:00Z"), (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"), (1_709_164_800, 500_000_000, "2024-02-29T00:00:00.5Z"),
            (-2_208_988_800, 0, "1900-01-01T00:00:00Z"), (4_107_542_399, 10, "2100-02-28T23:59:59.00000001Z"),
        ] as [(Int64, UInt32, String)])
    func knownTimes(seconds: Int64, nanoseconds: UInt32, text: String) {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(time.rfc3339 == text)
        #expect(Timestamp(parsing: text) == time)
    }

    /// Times come from whoever wrote the tree.
    @Test(arguments: [Int64.min, .min + 1, .max - 1, .max])
    func timeAtTheEndOfTheNumbersIsWritten(seconds: Int64) {
        #expect(!Timestamp(seconds: seconds, nanoseconds: 999_999_999).rfc3339.isEmpty)
    }

    @Test func anyTimeComesBack() {
        var random = SeededRandom(seed: 1)
        for _ in 0..<2000 {
            let time = Timestamp(
                seconds: Int64.random(in: -62_135_596_800...253_402_300_799, using: &random),
                nanoseconds: UInt32(random.below(1_000_000_000)))
            #expect(Timestamp(parsing: time.rfc3339) == time)
        }
    }

    @Test func dateAloneIsTheEndOfThatDay() {
        #expect(Timestamp(parsing: "2026-01-31")?.rfc3339 == "2026-01-31T23:59:59.999999999Z")
    }

    @Test(arguments: [
        ("2026-01-31T12:00Z", "2026-01-31T12:00:00Z"), ("2026-01-31 12:00:05", "2026-01-31T12:00:05Z"),
        ("2026-01-31T01:00:00+02:30", "2026-01-30T22:30:00Z"), ("2026-01-31T23:00:00-0100", "2026-02-01T00:00:00Z"),
    ])
    func otherSpellings(text: String, meaning: String) {
        #expect(Timestamp(parsing: text)?.rfc3339 == meaning)
    }

    @Test(arguments: [
        "", "2026", "2026-13-01", "2026-00-01", "2026-01-32", "2026-02-30", "2023-02-29", "2026-04-31", "2026-01-31T",
        "26-01-31",
        "2026-01-31T24:00", "2026-01-31T12:60", "2026-01-31T12:00:61", "2026-01-31T12:00Zx", "2026-01-31T12:00:00.",
        "2026-01-31T12:00+1", "tomorrow",
    ])
    func nonsenseIsRefused(text: String) {
        #expect(Timestamp(parsing: text) == nil)
        #expect(Timestamp(parsing: text, now: Self.now) == nil)
    }

    @Test(
        arguments: [
            ("now", 0), ("yesterday", 86_400), ("3 days ago", 3 * 86_400), ("2.hours.ago", 7200),
            ("1 week ago", 604_800),
            ("90 Seconds ago", 90),
        ] as [(String, Int64)])
    func relativeTimes(text: String, before: Int64) {
        #expect(
            Timestamp(parsing: text, now: Self.now) == Timestamp(seconds: Self.now.seconds - before, nanoseconds: 7))
    }

    @Test(arguments: ["3 days", "-1 days ago", "3 lightyears ago", "99999999999 days ago"])
    func relativeNonsenseIsRefused(text: String) {
        #expect(Timestamp(parsing: text, now: Self.now) == nil)
    }

    @Test func timesAreOrdered() {
        #expect(Timestamp(seconds: -1, nanoseconds: 5) < Timestamp(seconds: 0, nanoseconds: 0))
        #expect(Timestamp(seconds: 0, nanoseconds: 4) < Timestamp(seconds: 0, nanoseconds: 5))
    }
}
