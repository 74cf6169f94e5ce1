import BlockingIO
import CLinux
import ErrorMessages
import FoundationEssentials
import Glibc
import ObjectDatabase
import Staging
import Versioning

/// The end of one mount. It waits for the mount, and for the process that serves it only as long as nothing else holds the
/// mount: another mount namespace or a bind mount may do so for years.
struct Unmounting {
    private let mount: KernelMount
    /// As the user named it.
    private let shown: TerminalText
    private let isLazy: Bool
    /// What the mount said of itself; `nil` when it is another user's, or was not asked.
    private let description: MountDescription?
    /// Whether the FUSE control file system tells of this mount's connection.
    private let knowsConnection: Bool

    /// How long a process may take to save, once nothing holds its mount.
    private static let savingMilliseconds = 120_000
    /// After so long a mount that is still there is held by somebody else.
    private static let heldMilliseconds = 1500
    /// For so long a mount that is busy is tried again, when it is this program's own.
    private static let busyMilliseconds = 5000
    private static let pauseMilliseconds = 10

    /// - Parameter directory: the mount point, by whichever path leads there. Throws when nothing of Tarn's is mounted there.
    init(_ directory: String, isLazy: Bool) throws {
        let bytes = unescapedBytes(directory)
        // Below a mount without its process no path can be followed.
        guard let point = realPath(bytes) ?? realPath(ofEntry: bytes), let mount = KernelMount.at(point) else {
            throw CommandFailure(message: "nothing of Tarn's is mounted at \(directory)", kind: .notFound)
        }
        self.mount = mount
        self.isLazy = isLazy
        shown = "\(directory)"
        knowsConnection = Self.connectionIsThere(mount)
        // A mount that does not answer any more can still be detached.
        description =
            isLazy || !mount.isTrusted
            ? nil : userAttribute(of: point, "user.tarn.mount").flatMap { MountDescription(json: $0) }
    }

    /// Ends it, and answers when it has ended. Says when somebody else still holds it.
    func end() throws {
        try save()
        let process = description.flatMap(ServingProcess.init)
        try detach(lazily: isLazy)
        if !isLazy { try wait(for: process) }
    }

    /// Ends a mount that this program made for itself: whoever still uses it was ended a moment ago. What stays in use is
    /// detached, and its process told to end. Answers when its process has ended, and whether it did by itself; throws when
    /// that takes too long.
    func endOwn() throws -> Bool {
        let process = description.flatMap(ServingProcess.init)
        let deadline = ContinuousClock.now + .milliseconds(Self.busyMilliseconds)
        while true {
            do {
                try detach(lazily: false)
                try wait(for: process)
                return true
            } catch  where ContinuousClock.now < deadline {
                sleepMilliseconds(Self.pauseMilliseconds * 5)
            } catch {
                try detach(lazily: true)
                guard let process else { return true }
                if process.hasEnded(withinMilliseconds: Self.busyMilliseconds) { return true }
                writeError("tarn: something that was started in \(shown) still uses the mount there; it is ended")
                kill(process.id, SIGTERM)
                guard process.hasEnded(withinMilliseconds: Self.busyMilliseconds) else {
                    throw CommandFailure(message: "process \(process.id) of the mount at \(shown) does not end")
                }
                return false
            }
        }
    }

    /// Has a writable mount save what it holds in memory, so that nothing depends on its process any more.
    private func save() throws {
        guard let description, description.workspace != nil else { return }
        do {
            // When nobody answers, its process is ending or was killed.
            guard let connection = try description.connection() else { return }
            close(connection)
            try MountHolder(mount: description).flush()
            if let workspace = description.workspace, let failed = try Workspace.failedSync(in: workspace) {
                StandardStreams.writeError(
                    "tarn: the disk failed to keep what was written to \(failed); what was written since is not saved\n"
                )
            }
        } catch {
            throw CommandFailure(
                message:
                    "\(shown) was not unmounted, for what is staged cannot be saved: \(words(of: error))",
                hint: "Make room and try again; 'tarn umount --lazy' detaches it all the same")
        }
    }

    /// Runs fusermount3.
    private func detach(lazily: Bool) throws {
        guard try Self.fusermount(lazily ? ["-u", "-z"] : ["-u"], mount.point) else {
            throw CommandFailure(
                message: "\(shown) was not unmounted",
                hint: "If it is busy, close the files and shells in it, or use --lazy")
        }
    }

    /// Takes away a mount whose process is gone; false when that cannot be done.
    static func takeAway(_ point: [UInt8]) throws -> Bool {
        try fusermount(["-u"], point)
    }

    private static func fusermount(_ options: [String], _ point: [UInt8]) throws -> Bool {
        // It prints its own words, which hold the path as it is: ours say the same.
        var streams = ChildProcess.Options()
        streams.output = .null
        streams.error = .null
        let words = ["fusermount3"] + options + ["--", String(decoding: point, as: UTF8.self)]
        do throws(Errno) {
            return try ChildProcess.start("fusermount3", words, streams).wait() == .exited(0)
        } catch {
            throw CommandFailure(message: "fusermount3 is not installed", hint: "Install it: apt install fuse3")
        }
    }

    private func wait(for process: ServingProcess?) throws {
        let others = mount.others()
        if let other = others.first {
            return writeError(
                "tarn: \(shown) is unmounted; the mount is still at \(printableName(other.point)) and goes on there. \(isSaved)"
            )
        }
        let start = ContinuousClock.now
        while ContinuousClock.now < start + .milliseconds(Self.savingMilliseconds) {
            if process?.hasEnded(withinMilliseconds: Self.pauseMilliseconds) ?? !connectionIsThere { return }
            if process == nil { sleepMilliseconds(Self.pauseMilliseconds) }
            if ContinuousClock.now > start + .milliseconds(Self.heldMilliseconds), isHeld {
                return writeError(
                    "tarn: \(shown) is unmounted here; another mount namespace, or a file that is open in one, still holds the mount. \(isSaved)"
                )
            }
        }
        throw CommandFailure(
            message: "process \(process?.id ?? 0) of the mount has not ended yet",
            hint: "It may still be saving; look at its log")
    }

    private var isSaved: TerminalText {
        description?.workspace == nil
            ? "It is read-only: nothing is lost."
            : "What was staged is saved in its workspace, which stays in use until then."
    }

    /// Whether the file system still lives although it is mounted nowhere here.
    private var isHeld: Bool {
        if knowsConnection { return connectionIsThere }
        // In a container the kernel may not tell. A mount that still serves answers on its socket.
        guard let description, description.socket != nil else { return true }
        guard let connection = (try? description.connection()) ?? nil else { return false }
        close(connection)
        return true
    }

    private var connectionIsThere: Bool { Self.connectionIsThere(mount) }

    private static func connectionIsThere(_ mount: KernelMount) -> Bool {
        let minor = mount.device.split(separator: ":").last ?? ""
        return access("/sys/fs/fuse/connections/\(minor)", F_OK) == 0
    }
}

/// The process that serves a mount, by a descriptor: no other process can take its number's place, and it counts as running
/// until the last of its threads has let go of its files.
private final class ServingProcess {
    let id: pid_t
    private let descriptor: Int32

    /// `nil` when it cannot be seen from here.
    init?(_ mount: MountDescription) {
        // In another process namespace it has another number; who answers on its socket is it.
        let connection = (try? mount.connection()) ?? nil
        let answering = connection.flatMap { peer(of: $0)?.process }
        if let connection { close(connection) }
        id = answering ?? mount.processID
        descriptor = tarn_process_descriptor(id)
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    func hasEnded(withinMilliseconds limit: Int) -> Bool {
        var ending = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&ending, 1, Int32(limit)) > 0
    }
}
