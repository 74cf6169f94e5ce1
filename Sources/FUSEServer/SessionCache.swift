import BlockingIO
import CFUSE
import Synchronization
import VFS
import Versioning

/// The kernel's cache of one session's mount; nothing once the session has ended.
final class SessionCache: KernelCache {
    private struct Session {
        // SAFETY: libfuse's notifications may come from any thread; `end` is called before the session is destroyed.
        nonisolated(unsafe) let pointer: OpaquePointer
    }

    private let session: Mutex<Session?>

    init(_ session: OpaquePointer) {
        self.session = Mutex(Session(pointer: session))
    }

    func end() {
        session.withLock { $0 = nil }
    }

    // What the kernel answers is ignored: ENOENT says that it had nothing cached.

    func dropContent(of inode: InodeNumber) {
        session.withLock { session in
            if let session { _ = fuse_lowlevel_notify_inval_inode(session.pointer, inode.value, 0, 0) }
        }
    }

    func dropAttributes(of inode: InodeNumber) {
        session.withLock { session in
            // A negative offset: no content.
            if let session { _ = fuse_lowlevel_notify_inval_inode(session.pointer, inode.value, -1, 0) }
        }
    }

    func dropName(_ name: EntryName, in parent: InodeNumber) {
        session.withLock { session in
            guard let session else { return }
            // libfuse reads the NUL, too.
            _ = withCPath(name.bytes) {
                fuse_lowlevel_notify_inval_entry(session.pointer, parent.value, $0, name.bytes.count)
            }
        }
    }
}
