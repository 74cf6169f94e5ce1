import Glibc
import ObjectDatabase
package import ObjectStorage
package import Operations
package import Versioning

extension Repository {
    /// Imports one file into a branch, always with the same times: the same contents give the same tree.
    @discardableResult
    package func importing(_ path: String, _ text: String, into branch: RefName = .main) throws -> CommitID {
        let source = try TemporaryDirectory()
        try source.write([path: text])
        let time = timespec(tv_sec: 1_000_000_000, tv_nsec: 0)
        for place in [source.path + "/" + path, source.path] { utimensat(AT_FDCWD, place, [time, time], 0) }
        return try importDirectory(source.path, into: branch, .test("\(path): \(text.prefix(20))")).commitID
    }

    package func keep(_ branches: String, days: Int? = nil, commits: Int? = nil) throws {
        let rule = RetentionRule(branches: branches, days: days, commits: commits, who: "Test", when: now())
        try setRetention(branches, to: rule, who: "Test <test@example.org>")
    }

    /// Collects as if it were `days` from now.
    @discardableResult
    package func collect(
        afterDays days: Double = 0.001, grace: Int64 = 0, deletes: Bool = true, repackShare: Double? = nil
    ) throws -> GarbageReport {
        var options = GarbageOptions()
        options.deletes = deletes
        options.grace = .seconds(grace)
        options.repackShare = repackShare
        options.present = Timestamp(seconds: now().seconds + Int64(days * 86_400), nanoseconds: 0)
        return try collectGarbage(options)
    }
}

/// How many objects a store holds below a prefix.
package func objectCount(_ store: any ObjectStore, _ prefix: String) throws -> Int {
    var count = 0
    var after: String?
    while true {
        let page = try store.list(prefix: prefix, after: after, limit: 1000)
        count += page.objects.count
        after = page.objects.last?.key
        if !page.isTruncated { return count }
    }
}
