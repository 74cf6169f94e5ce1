#ifndef TARN_CLINUX_H
#define TARN_CLINUX_H

// System calls that Swift's Glibc module leaves out.
#include <fcntl.h>
#include <mntent.h>
#include <spawn.h>
#include <sys/xattr.h>

/// posix_spawn_file_actions_addclosefrom_np(3): the child closes every descriptor from `first` on.
int tarn_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

/// posix_spawn_file_actions_addchdir_np(3): the child begins in `directory`.
int tarn_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *directory);

/// fallocate(2) with FALLOC_FL_KEEP_SIZE, and with FALLOC_FL_PUNCH_HOLE as well.
int tarn_fallocate_keep_size(int descriptor, off_t offset, off_t length);
int tarn_fallocate_punch(int descriptor, off_t offset, off_t length);

/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: what is dirty in a range (to the end of the file for length 0) begins to be
/// written. Promises nothing.
int tarn_start_writing(int descriptor, off_t offset, off_t length);

/// mallopt(3): memory of 256 KiB and more goes back to the system when it is freed. (Otherwise every thread that ever served
/// a large read keeps as much.)
void tarn_return_large_memory(void);

/// Gives the calling thread, and what it starts from now on, mounts of its own (mount_namespaces(7)): mounts made outside
/// are seen, those made here are seen nowhere else. Without the privilege it takes a user namespace, too, in which the
/// user is root; that needs a process with one thread. Answers 0, or -1 with errno.
int tarn_private_mounts(void);

#endif
