#ifndef TARN_CFUSE_H
#define TARN_CFUSE_H

// The low-level API of libfuse 3.12 and later, as Debian 12 has it, and what Swift cannot call: macros and bit-fields.

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse3/fuse_lowlevel.h>

/// Serves requests on up to `max_threads` threads until the session ends. Blocks; 0, or the negative errno that ended it.
///
/// Unlike `fuse_session_loop_mt` it lets no more than two threads wait for the kernel, the others rest: the kernel wakes the
/// one that has waited longest, and among many that is a cold one on another processor for every request.
int tarn_session_loop(struct fuse_session *session, unsigned int max_threads);

/// A buffer of this thread for the answer to the request it serves, page-aligned: `size` bytes, of no particular content.
/// It stays until the thread asks for the next or the session ends. NULL without memory.
void *tarn_reply_buffer(size_t size);

/// `fuse_session_new`, which newer libfuse makes a macro.
struct fuse_session *tarn_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, void *user_data);

/// What `tarn_session_prepare` is to let through.
enum {
    /// O_TMPFILE: a request FUSE_TMPFILE arrives as FUSE_CREATE of the name "/", which no other request can carry, and takes
    /// the same answer. HANDLE_KILLPRIV_V2: the file system takes set-user-ID and set-group-ID bits away itself when a file
    /// is written, truncated or given to another, and the kernel no longer asks for security.capability before every write.
    tarn_writing = 1,
    /// Passthrough: an open file may be read from a file of this host without asking the server.
    tarn_passthrough = 2,
};

/// Lets things through that libfuse 3.14 has no call for (include/uapi/linux/fuse.h). To be called after the session is
/// mounted and before it is served; a process serves one session.
void tarn_session_prepare(struct fuse_session *session, int wanted);

/// Whether the kernel offers passthrough, and has been told that it is wanted. True at the earliest once INIT is answered.
int tarn_has_passthrough(void);

/// Registers a file of this host for `tarn_reply_open_backed`: its number (1 or more), or the negative errno. EPERM without
/// CAP_SYS_ADMIN, ELOOP when it lies on a stacked filesystem. The kernel keeps the file open; the descriptor may be closed.
/// `device` is the session's descriptor.
int tarn_backing_open(int device, int descriptor);

/// Forgets the number; files opened by it stay open.
void tarn_backing_close(int device, int number);

/// Answers OPEN: what is read comes from the registered file. As fuse_reply_open: 0, or the negative errno.
int tarn_reply_open_backed(fuse_req_t request, const struct fuse_file_info *info, int number);

/// Sets the bit-fields of an open reply.
void tarn_file_info_set(struct fuse_file_info *info, uint64_t handle, int keep_cache, int cache_readdir);

#endif
