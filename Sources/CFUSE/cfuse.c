#include "cfuse.h"

#include <errno.h>

int tarn_session_loop(struct fuse_session *session, unsigned int max_threads, unsigned int idle_threads) {
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config) return -ENOMEM;
    fuse_loop_cfg_set_max_threads(config, max_threads);
    fuse_loop_cfg_set_idle_threads(config, idle_threads);
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

struct fuse_session *tarn_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, void *user_data) {
    return fuse_session_new(args, operations, sizeof(*operations), user_data);
}

void tarn_file_info_set(struct fuse_file_info *info, uint64_t handle, int keep_cache, int cache_readdir) {
    info->fh = handle;
    info->keep_cache = keep_cache != 0;
    info->cache_readdir = cache_readdir != 0;
}
