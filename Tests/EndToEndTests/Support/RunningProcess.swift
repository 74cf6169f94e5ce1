import Foundation
import Glibc
import Synchronization

/// A program that was started; its output is gathered while it runs.
final class RunningProcess: @unchecked Sendable {
    // SAFETY: `process` is started in init and afterwards only asked; the two buffers are behind mutexes.
    private let process = Process()
    private let output = Gathered()
    private let errors = Gathered()

    /// One test command may take this long.
    private static let limitSeconds = 900.0

    private final class Gathered: Sendable {
        let pipe = Mutex<Pipe?>(nil)
        let data = Mutex(Data())
        let isDone = DispatchSemaphore(value: 0)
    }

    init(_ program: String, _ arguments: [String], environment: [String: String], directory: String) throws {
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = URL(filePath: directory)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = Self.gather(output)
        process.standardError = Self.gather(errors)
        try process.run()
        // The parent's ends of the pipes would keep the readers waiting.
        for gathered in [output, errors] { try? gathered.pipe.withLock { $0 }?.fileHandleForWriting.close() }
    }

    private static func gather(_ gathered: Gathered) -> Pipe {
        let pipe = Pipe()
        gathered.pipe.withLock { $0 = pipe }
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { break }
                gathered.data.withLock { $0.append(contentsOf: buffer[..<count]) }
            }
            gathered.isDone.signal()
        }
        return pipe
    }

    var processID: pid_t { process.processIdentifier }

    func kill(_ signal: Int32) {
        Glibc.kill(process.processIdentifier, signal)
    }

    /// Waits for the end. A program that does not end in time is killed and that is an error.
    func wait() throws -> Outcome {
        let deadline = Date().addingTimeInterval(Self.limitSeconds)
        while process.isRunning {
            if Date() > deadline {
                kill(SIGKILL)
                throw CommandFailed(description: "\(process.arguments ?? []) did not end in \(Self.limitSeconds) s")
            }
            usleep(2000)
        }
        // A mount in the background has let go of these pipes when its command returns.
        _ = output.isDone.wait(timeout: .now() + 10)
        _ = errors.isDone.wait(timeout: .now() + 10)
        return Outcome(
            code: process.terminationReason == .uncaughtSignal
                ? 128 + process.terminationStatus : process.terminationStatus,
            output: String(decoding: output.data.withLock { $0 }, as: UTF8.self),
            errors: String(decoding: errors.data.withLock { $0 }, as: UTF8.self))
    }
}
