import FUSEServer
import Glibc
import Testing
import VFS

@Suite struct ErrnoTableTests {
    /// What programs rely on: each error of a file system call is the errno that ext4 gives for it (W11).
    @Test(arguments: [
        (VFSError.notFound, ENOENT), (.exists, EEXIST), (.notADirectory, ENOTDIR), (.isADirectory, EISDIR),
        (.notEmpty, ENOTEMPTY), (.readOnly, EROFS), (.notPermitted, EPERM), (.notSupported, ENOTSUP),
        (.invalidArgument, EINVAL), (.noSuchOffset, ENXIO), (.nameTooLong, ENAMETOOLONG), (.noAttribute, ENODATA),
        (.attributeBufferTooSmall, ERANGE), (.noSpace, ENOSPC), (.fileTooLarge, EFBIG), (.staleHandle, ESTALE),
        (.crossDevice, EXDEV), (.tooManyLinks, EMLINK), (.interrupted, EINTR), (.inputOutput, EIO),
    ])
    func errorIsTheErrnoThatProgramsExpect(error: VFSError, number: Int32) {
        #expect(error.number == number)
    }
}
