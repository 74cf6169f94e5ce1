import Glibc
package import VFS

extension VFSError {
    /// The only place where a file system error becomes an errno.
    package var number: Int32 {
        switch self {
        case .notFound: ENOENT
        case .exists: EEXIST
        case .notADirectory: ENOTDIR
        case .isADirectory: EISDIR
        case .notEmpty: ENOTEMPTY
        case .readOnly: EROFS
        case .notPermitted: EPERM
        case .notSupported: ENOTSUP
        case .invalidArgument: EINVAL
        case .noSuchOffset: ENXIO
        case .nameTooLong: ENAMETOOLONG
        case .noAttribute: ENODATA
        case .attributeBufferTooSmall: ERANGE
        case .noSpace: ENOSPC
        case .fileTooLarge: EFBIG
        case .staleHandle: ESTALE
        case .crossDevice: EXDEV
        case .tooManyLinks: EMLINK
        case .interrupted: EINTR
        case .inputOutput: EIO
        }
    }
}
