import CFUSE
import Glibc
package import Logging
package import VFS

package enum FUSEServerError: Error, Sendable {
    /// The kernel or libfuse refused; libfuse has written why to stderr.
    case cannotMount(mountPoint: String)
    case ended(status: Int32)
}

/// Serves a file system at a mount point.
package struct FUSEServer {
    package static let statisticsAttribute = "user.tarn.stats"

    package struct Options: Sendable {
        /// What `mount` and `df` show as the device.
        package var source: String
        /// Other users may look; needs root or `user_allow_other` in /etc/fuse.conf.
        package var allowsOthers = false
        /// Requests served at the same time: cores plus those that wait for the store.
        package var threads: UInt32 = 32
        /// What `user.tarn.stats` answers on everything in the mount.
        package var statistics: @Sendable (Statistics) -> [UInt8] = { _ in [] }

        package init(source: String) {
            self.source = source
        }
    }

    /// Mounts, serves until the file system is unmounted or SIGTERM, SIGINT or SIGHUP arrives, and unmounts. Blocks.
    ///
    /// - Parameter onReady: called on a thread of libfuse when the mount is up.
    package static func run(
        _ fileSystem: any FileSystem, at mountPoint: String, _ options: Options, logger: Logger,
        onReady: @escaping @Sendable () -> Void
    ) throws(FUSEServerError) {
        let context = ServerContext(
            fileSystem: fileSystem, logger: logger, statistics: options.statistics, onReady: onReady)
        let userData = Unmanaged.passRetained(context)
        defer { userData.release() }
        var arguments = arguments(options, isReadOnly: context.traits.isReadOnly)
        defer { fuse_opt_free_args(&arguments) }
        var operations = operations(isReadOnly: context.traits.isReadOnly)
        guard let session = tarn_session_new(&arguments, &operations, userData.toOpaque()) else {
            throw .cannotMount(mountPoint: mountPoint)
        }
        defer { fuse_session_destroy(session) }
        guard fuse_set_signal_handlers(session) == 0, fuse_session_mount(session, mountPoint) == 0 else {
            throw .cannotMount(mountPoint: mountPoint)
        }
        defer {
            fuse_session_unmount(session)
            fuse_remove_signal_handlers(session)
        }
        prepare(session, context)
        let kernel = SessionCache(session)
        defer { kernel.end() }
        fileSystem.attach(kernel)
        ReadAhead.raise(mountPoint)
        let status = tarn_session_loop(session, options.threads)
        if status < 0 { throw .ended(status: -status) }
    }

    /// What the session has done so far.
    package struct Statistics: Sendable {
        /// How many messages of which kind the kernel sent.
        package let messages: [String: UInt64]
        /// How often a file was opened so that the kernel reads it by itself; `nil` where it cannot.
        package let passthroughOpens: UInt64?
    }

    private static func prepare(_ session: OpaquePointer, _ context: ServerContext) {
        if !context.traits.isReadOnly { tarn_session_prepare(session, Int32(tarn_writing)) }
        guard let passthrough = context.passthrough else { return }
        tarn_session_prepare(session, Int32(tarn_passthrough))
        passthrough.attach(device: fuse_session_fd(session))
    }

    private static func arguments(_ options: Options, isReadOnly: Bool) -> fuse_args {
        var arguments = fuse_args()
        var mountOptions = ["fsname=\(escaped(options.source))", "subtype=tarn", "default_permissions"]
        if isReadOnly { mountOptions.append("ro") }
        if options.allowsOthers { mountOptions.append("allow_other") }
        for argument in ["tarn", "-o", mountOptions.joined(separator: ",")] { fuse_opt_add_arg(&arguments, argument) }
        return arguments
    }

    /// Commas separate mount options.
    private static func escaped(_ text: String) -> String {
        text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: ",", omittingEmptySubsequences: false).joined(separator: "\\,")
    }

    private static func operations(isReadOnly: Bool) -> fuse_lowlevel_ops {
        var operations = fuse_lowlevel_ops()
        operations.`init` = onInit
        operations.lookup = onLookup
        operations.forget = onForget
        operations.forget_multi = onForgetMulti
        operations.getattr = onGetAttributes
        operations.readlink = onReadLink
        operations.open = onOpen
        operations.release = onRelease
        operations.opendir = onOpenDirectory
        operations.releasedir = onReleaseDirectory
        operations.read = onRead
        operations.readdir = onReadDirectory
        operations.statfs = onStatistics
        operations.getxattr = onGetAttribute
        operations.listxattr = onListAttributes
        operations.lseek = onSeek
        if isReadOnly {
            operations.readdirplus = onReadDirectoryPlus
            return operations
        }
        operations.create = onCreate
        operations.mknod = onMakeNode
        operations.mkdir = onMakeDirectory
        operations.symlink = onMakeSymlink
        operations.link = onLink
        operations.unlink = onUnlink
        operations.rmdir = onRemoveDirectory
        operations.rename = onRename
        operations.setattr = onSetAttributes
        operations.write = onWrite
        operations.fallocate = onAllocate
        operations.copy_file_range = onCopyRange
        operations.flush = onFlush
        operations.fsync = onSync
        operations.fsyncdir = onSync
        operations.setxattr = onSetAttribute
        operations.removexattr = onRemoveAttribute
        return operations
    }
}
