import BlockingIO
import CFUSE
import Glibc
import VFS
import Versioning

/// The one answer to a request.
enum Reply {
    case done
    case entry(FileAttributes, entryTimeout: Double)
    case attributes(FileAttributes)
    case opened(HandleNumber, keepsCache: Bool)
    /// By the number of a file that the kernel reads from by itself.
    case openedBacked(Int32)
    case openedDirectory(HandleNumber, cachesListing: Bool)
    case created(FileAttributes, HandleNumber, entryTimeout: Double)
    case written(Int)
    /// Where a search of data or holes ended.
    case offset(UInt64)
    case bytes([UInt8])
    /// Bytes of a buffer that stays until this is sent.
    case buffer(UnsafeRawBufferPointer)
    case link([UInt8])
    /// How long an attribute's value is, for a caller that asked with a size of 0.
    case attributeSize(Int)
    case statistics(VolumeStatistics)
    /// The kernel need not ask again: an operation that this mount does not have.
    case notImplemented
}

extension ServerContext {
    /// Sends `reply`. What libfuse answers is ignored: a request that was interrupted has nobody waiting.
    func send(_ reply: Reply, to request: fuse_req_t?, _ info: UnsafeMutablePointer<fuse_file_info>?) {
        switch reply {
        case .done:
            fuse_reply_err(request, 0)
        case .entry(let attributes, let timeout):
            var entry = entryParameters(attributes, timeout)
            fuse_reply_entry(request, &entry)
        case .attributes(let attributes):
            var status = status(attributes)
            fuse_reply_attr(request, &status, traits.timeoutSeconds)
        case .opened(let handle, let keepsCache):
            tarn_file_info_set(info, handle.value, keepsCache ? 1 : 0, 0)
            fuse_reply_open(request, info)
        case .openedBacked(let number):
            tarn_reply_open_backed(request, info, number)
        case .openedDirectory(let handle, let cachesListing):
            tarn_file_info_set(info, handle.value, cachesListing ? 1 : 0, cachesListing ? 1 : 0)
            fuse_reply_open(request, info)
        case .created(let attributes, let handle, let timeout):
            var entry = entryParameters(attributes, timeout)
            tarn_file_info_set(info, handle.value, 1, 0)
            fuse_reply_create(request, &entry, info)
        case .written(let count):
            fuse_reply_write(request, count)
        case .offset(let offset):
            fuse_reply_lseek(request, off_t(clamping: offset))
        case .bytes(let bytes):
            _ = bytes.withUnsafeBytes { fuse_reply_buf(request, $0.baseAddress, $0.count) }
        case .buffer(let buffer):
            fuse_reply_buf(request, buffer.baseAddress, buffer.count)
        case .link(let target):
            _ = withCPath(target) { fuse_reply_readlink(request, $0) }
        case .attributeSize(let count):
            fuse_reply_xattr(request, count)
        case .statistics(let statistics):
            var volume = statvfs(statistics)
            fuse_reply_statfs(request, &volume)
        case .notImplemented:
            fuse_reply_err(request, ENOSYS)
        }
    }

    func entryParameters(_ attributes: FileAttributes, _ timeout: Double) -> fuse_entry_param {
        var entry = fuse_entry_param()
        entry.ino = attributes.inode.value
        entry.attr = status(attributes)
        entry.attr_timeout = traits.timeoutSeconds
        entry.entry_timeout = attributes.isFleeting ? 0 : timeout
        return entry
    }

    func status(_ attributes: FileAttributes) -> stat {
        stat(attributes, userID: userID, groupID: groupID)
    }
}
