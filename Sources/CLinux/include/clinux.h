#ifndef TARN_CLINUX_H
#define TARN_CLINUX_H

// System calls that Swift's Glibc module leaves out.
#include <mntent.h>
#include <spawn.h>
#include <sys/xattr.h>

/// posix_spawn_file_actions_addclosefrom_np(3): the child closes every descriptor from `first` on.
int tarn_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

/// posix_spawn_file_actions_addchdir_np(3): the child begins in `directory`.
int tarn_spawn_change_directory(posix_spawn_file_actions_t *actions, const char *directory);

#endif
