#include "cfuse.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct fuse_session *tarn_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, void *user_data) {
    return fuse_session_new(args, operations, sizeof(*operations), user_data);
}

void tarn_file_info_set(struct fuse_file_info *info, uint64_t handle, int keep_cache, int cache_readdir) {
    info->fh = handle;
    info->keep_cache = keep_cache != 0;
    info->cache_readdir = cache_readdir != 0;
}

// Of the kernel's include/uapi/linux/fuse.h.
enum { fuse_init_opcode = 26, fuse_create_opcode = 35, fuse_tmpfile_opcode = 51 };
static const uint32_t handle_killpriv_v2 = UINT32_C(1) << 28;

/// The head of every request: struct fuse_in_header.
struct request_head {
    uint32_t length, opcode;
    uint64_t unique, inode;
    uint32_t user, group, process;
    uint16_t extension_length, padding;
};

/// How struct fuse_init_in and struct fuse_init_out both begin.
struct init_start {
    uint32_t major, minor, max_readahead, flags;
};

/// The head of every reply: struct fuse_out_header.
struct reply_head {
    uint32_t length;
    int32_t error;
    uint64_t unique;
};

/// The number of the INIT request whose kernel offers HANDLE_KILLPRIV_V2; 0 when there is none. INIT is the first request
/// of a session and is answered before another is read; a process serves one session.
static uint64_t offering_init;

static ssize_t read_request(int descriptor, void *buffer, size_t size, void *user_data) {
    (void)user_data;
    ssize_t count = read(descriptor, buffer, size);
    if (count < (ssize_t)sizeof(struct request_head)) return count;
    struct request_head *head = buffer;
    if (head->opcode == fuse_tmpfile_opcode) head->opcode = fuse_create_opcode;
    if (head->opcode == fuse_init_opcode && count >= (ssize_t)(sizeof *head + sizeof(struct init_start))) {
        const struct init_start *offer = (const void *)(head + 1);
        offering_init = offer->flags & handle_killpriv_v2 ? head->unique : 0;
    }
    return count;
}

static ssize_t write_reply(int descriptor, struct iovec *parts, int count, void *user_data) {
    (void)user_data;
    if (offering_init && count == 2 && parts[0].iov_len == sizeof(struct reply_head)
        && parts[1].iov_len >= sizeof(struct init_start)) {
        const struct reply_head *head = parts[0].iov_base;
        struct init_start *reply = parts[1].iov_base;
        if (head->unique == offering_init && head->error == 0) reply->flags |= handle_killpriv_v2;
        offering_init = 0;
    }
    return writev(descriptor, parts, count);
}

void tarn_session_prepare(struct fuse_session *session) {
    static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
    // Without it both are missed, as on file systems that do not have them.
    (void)fuse_session_custom_io(session, &io, fuse_session_fd(session));
}
