import BlockCache
import Glibc
import Versioning

func message(_ error: BlockCacheError) -> ErrorMessage {
    if case .limitBeyondDisk(let path, let limit, let disk) = error {
        return ErrorMessage(
            message: "the block cache cannot take \(limit) bytes: the disk of \(path) has \(disk) in all",
            hint: "Give a smaller --cache-size or --size, or another --cache-dir", kind: .usage)
    }
    let reason =
        switch error {
        case .system(let operation, let path, let number):
            "\(path): \(operation): \(String(cString: strerror(number)))"
        case .notACacheDirectory(let path): "\(path) holds files of somebody else"
        case .inUseWithUnreadableIndex(let path): "\(path) is in use by another version of tarn"
        case .limitBeyondDisk: preconditionFailure("told above")
        case .lockTimedOut(let path): "another process has locked \(path) for too long"
        }
    return ErrorMessage(message: "the block cache cannot be used: \(reason)", hint: "Choose another with --cache-dir")
}
