package import BlockCache
package import BlockingIO
package import ObjectDatabase
package import ObjectStorage
package import ProllyTree
package import Staging
package import Versioning

// An error that is put into a text, by whatever target, shows its words and no value of Swift: the description is looked for
// when the text is made.

extension ObjectDatabaseError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension StoreError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension TreeError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension WorkspaceError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension VersioningError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension BlockCacheError: CustomStringConvertible {
    package var description: String { message(self).text.shown }
}

extension SystemFailure: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension Errno: CustomStringConvertible {
    package var description: String { text }
}

extension RefNameFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension PathFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension PatternFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension RevisionFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension RecordFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension DecodingFault: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension FileTooLong: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension NoThreadLeft: CustomStringConvertible {
    package var description: String { logLine(of: self).shown }
}

extension WebhookFailure: CustomStringConvertible {
    package var description: String { reason }
}
