#ifndef TARN_CLINUX_H
#define TARN_CLINUX_H

// System calls that Swift's Glibc module leaves out.
#include <fcntl.h>
#include <mntent.h>
#include <spawn.h>
#include <sys/types.h>
#include <sys/xattr.h>

/// posix_spawn_file_actions_addclosefrom_np(3): the child closes every descriptor from `first` on.
int tarn_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

/// posix_spawn_file_actions_addchdir_np(3): the child begins in `directory`.
int tarn_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *directory);

/// fallocate(2): plain, with FALLOC_FL_KEEP_SIZE, and with FALLOC_FL_PUNCH_HOLE as well.
int tarn_fallocate(int descriptor, off_t offset, off_t length);
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

/// Shows what lies at `source`, with the mounts below it, at `target`, too (mount(2), MS_BIND). Answers 0, or -1 with errno.
int tarn_bind_mount(const char *source, const char *target);

/// open(2) with O_PATH: a place in the file system, which is neither read nor asked anything. Answers -1 with errno.
int tarn_open_place(const char *path);

/// The type of the file system that a path lies in (statfs(2), f_type); 0 when it cannot be asked.
unsigned long tarn_file_system_type(const char *path);

/// pidfd_open(2): a descriptor that poll(2) says is readable when the process has ended, with all of its threads and files.
/// Answers -1 with errno.
int tarn_process_descriptor(pid_t process);

/// SO_PEERCRED of unix(7): who is at the other end of a socket. The process is 0 when it is in a process namespace that is
/// not seen from here. Answers 0, or -1 with errno.
int tarn_peer(int socket, pid_t *process, uid_t *user);

// rename(2) that fails with EEXIST where `to` is there.
int tarn_rename_to_free(const char *from, const char *to);

// Exchanges two names.
int tarn_rename_exchange(const char *from, const char *to);

#endif
