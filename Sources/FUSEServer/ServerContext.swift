import CFUSE
import Glibc
import Logging
import VFS
import Versioning

/// What the callbacks need; libfuse carries a pointer to it as user data.
final class ServerContext: Sendable {
    let fileSystem: any FileSystem
    let traits: FileSystemTraits
    let logger: Logger
    let userID: UInt32
    let groupID: UInt32
    let messages = MessageCounts()
    /// `nil` where the file system does not want it.
    let passthrough: Passthrough?
    /// What the statistics attribute answers.
    let statistics: @Sendable (FUSEServer.Statistics) -> [UInt8]
    /// Called once, when the kernel has accepted the mount.
    let onReady: @Sendable () -> Void

    init(
        fileSystem: any FileSystem, logger: Logger, statistics: @escaping @Sendable (FUSEServer.Statistics) -> [UInt8],
        onReady: @escaping @Sendable () -> Void
    ) {
        self.statistics = statistics
        self.fileSystem = fileSystem
        traits = fileSystem.traits
        passthrough = traits.wantsPassthrough ? Passthrough(logger: logger) : nil
        self.logger = logger
        self.onReady = onReady
        userID = getuid()
        groupID = getgid()
    }

    var sessionStatistics: FUSEServer.Statistics {
        FUSEServer.Statistics(messages: messages.byName, passthroughOpens: passthrough?.backedOpens)
    }

    /// The context of the session that `request` belongs to.
    static func of(_ request: fuse_req_t?) -> ServerContext {
        context(fuse_req_userdata(request))
    }

    static func context(_ userData: UnsafeMutableRawPointer?) -> ServerContext {
        guard let userData else { preconditionFailure("libfuse hands the session's user data to every call") }
        return Unmanaged<ServerContext>.fromOpaque(userData).takeUnretainedValue()
    }
}

/// Answers `request` exactly once: with what `body` returns, or with the errno of what it throws.
func serve(
    _ message: Message, _ request: fuse_req_t?, _ info: UnsafeMutablePointer<fuse_file_info>? = nil,
    _ body: (any FileSystem, ServerContext) throws(VFSError) -> Reply
) {
    let context = ServerContext.of(request)
    context.messages.count(message)
    do {
        context.send(try body(context.fileSystem, context), to: request, info)
    } catch {
        fuse_reply_err(request, error.number)
    }
}
