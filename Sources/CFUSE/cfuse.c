#include "cfuse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
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
static const uint32_t init_extended = UINT32_C(1) << 30;
/// In flags2.
static const uint32_t passthrough = UINT32_C(1) << (37 - 32);
static const uint32_t open_no_flush = UINT32_C(1) << 5, open_passthrough = UINT32_C(1) << 7;

/// The head of every request: struct fuse_in_header.
struct request_head {
    uint32_t length, opcode;
    uint64_t unique, inode;
    uint32_t user, group, process;
    uint16_t extension_length, padding;
};

/// How struct fuse_init_in begins.
struct init_request {
    uint32_t major, minor, max_readahead, flags, flags2;
};

/// How struct fuse_init_out begins.
struct init_reply {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_granularity;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth;
};

/// struct fuse_open_out.
struct open_reply {
    uint64_t handle;
    uint32_t flags;
    int32_t backing;
};

/// struct fuse_backing_map.
struct backing_map {
    int32_t descriptor;
    uint32_t flags;
    uint64_t padding;
};

/// The head of every reply: struct fuse_out_header.
struct reply_head {
    uint32_t length;
    int32_t error;
    uint64_t unique;
};

/// What the session was prepared for, and what the kernel offers of it. INIT is the first request of a session and is
/// answered before another is read; a process serves one session.
static int wanted_extras, offered_extras;
/// The number of the INIT request while it has no answer yet; 0 otherwise.
static uint64_t pending_init;
/// The file that backs the one whose open this thread answers now; 0 for none.
static _Thread_local int32_t reply_backing;

static void note_offer(const struct request_head *head, ssize_t count) {
    const struct init_request *offer = (const void *)(head + 1);
    ssize_t body = count - (ssize_t)sizeof *head;
    if (body < (ssize_t)offsetof(struct init_request, flags2)) return;
    int is_extended = body >= (ssize_t)sizeof *offer && offer->flags & init_extended;
    offered_extras = (offer->flags & handle_killpriv_v2 ? tarn_writing : 0)
        | (is_extended && offer->flags2 & passthrough ? tarn_passthrough : 0);
    pending_init = head->unique;
}

static void accept_offer(const struct reply_head *head, struct iovec body) {
    struct init_reply *reply = body.iov_base;
    pending_init = 0;
    if (head->error != 0) return;
    int accepted = wanted_extras & offered_extras;
    if (accepted & tarn_writing && body.iov_len >= offsetof(struct init_reply, max_background)) {
        reply->flags |= handle_killpriv_v2;
    }
    if (accepted & tarn_passthrough && body.iov_len >= sizeof *reply) {
        reply->flags |= init_extended;
        reply->flags2 |= passthrough;
        // Backing files lie on a filesystem that is stacked on no other.
        reply->max_stack_depth = 1;
    } else {
        offered_extras &= ~tarn_passthrough;
    }
}

static ssize_t read_request(int descriptor, void *buffer, size_t size, void *user_data) {
    (void)user_data;
    ssize_t count = read(descriptor, buffer, size);
    if (count < (ssize_t)sizeof(struct request_head)) return count;
    struct request_head *head = buffer;
    if (head->opcode == fuse_tmpfile_opcode) head->opcode = fuse_create_opcode;
    if (head->opcode == fuse_init_opcode) note_offer(head, count);
    return count;
}

static ssize_t write_reply(int descriptor, struct iovec *parts, int count, void *user_data) {
    (void)user_data;
    if (count == 2 && parts[0].iov_len == sizeof(struct reply_head)) {
        const struct reply_head *head = parts[0].iov_base;
        if (pending_init && head->unique == pending_init) accept_offer(head, parts[1]);
        if (reply_backing && parts[1].iov_len == sizeof(struct open_reply)) {
            struct open_reply *reply = parts[1].iov_base;
            // The kernel takes passthrough with few other flags, FOPEN_KEEP_CACHE not among them.
            reply->flags = open_passthrough | open_no_flush;
            reply->backing = reply_backing;
        }
    }
    return writev(descriptor, parts, count);
}

void tarn_session_prepare(struct fuse_session *session, int wanted) {
    static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
    wanted_extras = wanted;
    // Without it all are missed, as on file systems that do not have them.
    (void)fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

int tarn_has_passthrough(void) { return (wanted_extras & offered_extras & tarn_passthrough) != 0; }

int tarn_backing_open(int device, int descriptor) {
    struct backing_map map = {.descriptor = descriptor};
    int number = ioctl(device, _IOW(229, 1, struct backing_map), &map);
    return number < 0 ? -errno : number;
}

void tarn_backing_close(int device, int number) {
    uint32_t closed = (uint32_t)number;
    (void)ioctl(device, _IOW(229, 2, uint32_t), &closed);
}

int tarn_reply_open_backed(fuse_req_t request, const struct fuse_file_info *info, int number) {
    reply_backing = number;
    int result = fuse_reply_open(request, info);
    reply_backing = 0;
    return result;
}
