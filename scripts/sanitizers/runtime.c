// Tells the thread sanitizer what orders threads in Swift's runtime, which is not built with it. Linked by
// scripts/sanitize.sh. Without it, what faulty.swift does rightly is reported now and then.
//
// - The slow paths of a Mutex. (The fast paths are inlined into the caller, and so are seen.)
// - Reference counts. Whoever finds that nobody else refers to an array may write into it: whoever read it before has let
//   go of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// The function of this name and kind in the runtime, looked for once. It may be called before any constructor.
#define NEXT(kind, name) \
    ({ static __typeof__(kind) next; if (!next) next = (__typeof__(kind))dlsym(RTLD_NEXT, name); next; })

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void acquire(void *address) { if (__tsan_acquire) __tsan_acquire(address); }
static void release(void *address) { if (__tsan_release) __tsan_release(address); }

typedef SWIFT void (*Lock)(uint32_t, SELF);
typedef SWIFT void (*Unlock)(SELF);
SWIFT void tarn_lock(uint32_t seen, SELF) __asm__(LOCK);
SWIFT void tarn_unlock(SELF) __asm__(UNLOCK);

SWIFT void tarn_lock(uint32_t seen, SELF) {
    NEXT(Lock, LOCK)(seen, self);
    acquire(self);
}

SWIFT void tarn_unlock(SELF) {
    release(self);
    NEXT(Unlock, UNLOCK)(self);
}

// Null, and numbers in the place of a reference, are nobody's.
static bool is_object(void *object) { return (intptr_t)object > 0; }

void swift_release(void *object) {
    if (is_object(object)) release(object);
    NEXT(void (*)(void *), "swift_release")(object);
}

void swift_release_n(void *object, uint32_t count) {
    if (is_object(object)) release(object);
    NEXT(void (*)(void *, uint32_t), "swift_release_n")(object, count);
}

// Its highest bits are flags; the first of them says that nobody counts.
void swift_bridgeObjectRelease(void *object) {
    if (is_object(object)) release((void *)((uintptr_t)object & 0x00fffffffffffff8));
    NEXT(void (*)(void *), "swift_bridgeObjectRelease")(object);
}

bool swift_isUniquelyReferenced_nonNull_native(void *object) {
    bool is_unique = NEXT(bool (*)(void *), "swift_isUniquelyReferenced_nonNull_native")(object);
    if (is_unique) acquire(object);
    return is_unique;
}
