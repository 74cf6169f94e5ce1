#ifndef TARN_CFUSE_H
#define TARN_CFUSE_H

// The low-level API of libfuse 3.12 and later, as Debian 12 has it, and what Swift cannot call: macros and bit-fields.

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif
#include <fuse3/fuse_lowlevel.h>

/// `fuse_session_loop_mt`, which is a macro, with its configuration. Blocks until the session ends; 0, or what ended it.
int tarn_session_loop(struct fuse_session *session, unsigned int max_threads, unsigned int idle_threads);

/// `fuse_session_new`, which newer libfuse makes a macro.
struct fuse_session *tarn_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, void *user_data);

/// Lets O_TMPFILE through to libfuse, which has no call for it (3.14): a request FUSE_TMPFILE (include/uapi/linux/fuse.h)
/// arrives as FUSE_CREATE of the name "/", which no other request can carry, and takes the same answer. To be called
/// after the session is mounted.
void tarn_session_prepare(struct fuse_session *session);

/// Sets the bit-fields of an open reply.
void tarn_file_info_set(struct fuse_file_info *info, uint64_t handle, int keep_cache, int cache_readdir);

#endif
