import BlockingIO
import ErrorMessages
import Logging
import Synchronization
import VFS

/// Writes down what is read on a mount: now and then, so that little is lost when its process is killed, and at the end.
final class ReadRecording {
    private let fileSystem: SnapshotFileSystem
    private let path: String
    private let logger: Logger
    private let task: PeriodicTask

    private static let seconds = 5.0
    /// Writing takes at most this share of the time.
    private static let restFactor = 20

    init(of fileSystem: SnapshotFileSystem, to path: String, _ logger: Logger) throws {
        self.fileSystem = fileSystem
        self.path = path
        self.logger = logger
        let next = Mutex(ContinuousClock.now)
        task = try PeriodicTask(everySeconds: Self.seconds) { _ in
            let start = ContinuousClock.now
            guard start >= next.withLock({ $0 }) else { return }
            Self.write(fileSystem, path, logger)
            next.withLock { $0 = .now + (ContinuousClock.now - start) * Self.restFactor }
        }
    }

    func end() {
        task.stop()
        Self.write(fileSystem, path, logger)
    }

    private static func write(_ fileSystem: SnapshotFileSystem, _ path: String, _ logger: Logger) {
        do {
            try ReceiptFile.writeReads(of: fileSystem, to: path)
        } catch {
            logger.error("writing what was read: \(logLine(of: error))")
        }
    }
}
