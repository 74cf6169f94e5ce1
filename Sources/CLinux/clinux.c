#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/vfs.h>
#include <sys/resource.h>

int tarn_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

int tarn_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}

int tarn_fallocate_keep_size(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, length);
}

int tarn_fallocate(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, 0, offset, length);
}

int tarn_fallocate_punch(int descriptor, off_t offset, off_t length) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int tarn_start_writing(int descriptor, off_t offset, off_t length) {
    return sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE);
}

void tarn_return_large_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

static int write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = (ssize_t)strlen(text);
    int result = write(file, text, (size_t)length) == length ? 0 : -1;
    int error = errno;
    close(file);
    errno = error;
    return result;
}

int tarn_private_mounts(void) {
    if (unshare(CLONE_NEWNS) != 0) {
        char map[64];
        uid_t user = geteuid();
        gid_t group = getegid();
        if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return -1;
        // user_namespaces(7): before a group can be mapped, setgroups(2) must be given up.
        if (write_file("/proc/self/setgroups", "deny") != 0) return -1;
        snprintf(map, sizeof map, "0 %u 1", (unsigned)user);
        if (write_file("/proc/self/uid_map", map) != 0) return -1;
        snprintf(map, sizeof map, "0 %u 1", (unsigned)group);
        if (write_file("/proc/self/gid_map", map) != 0) return -1;
    }
    return mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL);
}

int tarn_bind_mount(const char *source, const char *target) {
    return mount(source, target, NULL, MS_BIND | MS_REC, NULL);
}

int tarn_open_place(const char *path) {
    return open(path, O_PATH | O_CLOEXEC);
}

int tarn_process_descriptor(pid_t process) {
    return (int)syscall(SYS_pidfd_open, process, 0);
}

int tarn_peer(int socket, pid_t *process, uid_t *user) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
    *process = peer.pid;
    *user = peer.uid;
    return 0;
}

unsigned long tarn_file_system_type(const char *path) {
    struct statfs status;
    return statfs(path, &status) == 0 ? (unsigned long)status.f_type & 0xffffffff : 0;
}

// Each of glibc's arenas takes 64 MiB of addresses, and threads get one each. Where addresses are limited (ulimit -v), a
// few threads would leave none for data.
__attribute__((constructor)) static void share_one_arena_where_addresses_are_limited(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
}


int tarn_rename_to_free(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int tarn_rename_exchange(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
}
