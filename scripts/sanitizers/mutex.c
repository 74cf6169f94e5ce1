// Tells the thread sanitizer what the slow paths of Swift's Mutex do: they are in libswiftSynchronization, which is not
// built with it. (The fast paths are inlined into the caller, and so are seen.) Preloaded by scripts/sanitize.sh.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

SWIFT void tarn_lock(uint32_t seen, SELF) __asm__(LOCK);
SWIFT void tarn_unlock(SELF) __asm__(UNLOCK);

SWIFT void tarn_lock(uint32_t seen, SELF) {
    SWIFT void (*next)(uint32_t, SELF) = (SWIFT void (*)(uint32_t, SELF))dlsym(RTLD_NEXT, LOCK);
    next(seen, self);
    if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT void tarn_unlock(SELF) {
    SWIFT void (*next)(SELF) = (SWIFT void (*)(SELF))dlsym(RTLD_NEXT, UNLOCK);
    if (__tsan_release) __tsan_release(self);
    next(self);
}
