#ifndef TARN_CLINUX_H
#define TARN_CLINUX_H

// System headers that Swift's Glibc module leaves out.
#include <sys/xattr.h>

#endif
