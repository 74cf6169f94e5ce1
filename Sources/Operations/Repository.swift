package import Logging
package import ObjectDatabase
package import ObjectStorage

/// The use cases over one object database, one file each.
///
/// Everything blocks; call from threads of our own. Safe to use from many threads.
package struct Repository: Sendable {
    package let database: ObjectDatabase
    /// Without one, ref updates that meet hooks are refused.
    let hookRunner: (any HookRunner)?
    /// Without one, ref updates are refused whose rules want signatures.
    let verifier: (any SignatureVerifier)?

    package init(
        _ database: ObjectDatabase, hookRunner: (any HookRunner)? = nil, verifier: (any SignatureVerifier)? = nil
    ) {
        self.database = database
        self.hookRunner = hookRunner
        self.verifier = verifier
    }

    /// Opens the repository that lies in `store`. Throws `.notARepository`, `.newerFormat`, `.corrupt`.
    package init(
        opening store: any ObjectStore, options: ObjectDatabase.Options = ObjectDatabase.Options(),
        hookRunner: (any HookRunner)? = nil, verifier: (any SignatureVerifier)? = nil, logger: Logger
    ) throws {
        self.init(
            try ObjectDatabase(opening: store, options: options, logger: logger), hookRunner: hookRunner,
            verifier: verifier)
    }
}
