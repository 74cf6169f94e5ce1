// Tells the thread sanitizer what orders threads in Swift's runtime, which is not built with it. Linked by
// scripts/sanitize.sh. Without it, what faulty.swift does rightly is reported now and then.
//
// - The slow paths of a Mutex. (The fast paths are inlined into the caller, and so are seen.)
// - Reference counts. Whoever finds that nobody else refers to an object may write into it or free it: whoever read it
//   before has let go of it.
// - The end of a mount's threads. They are cancelled while libfuse waits in read(2). The sanitizer ignores what happens in
//   its own read(2), which then never comes back: the ignoring would stay, and the sanitizer would end the mount for that.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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
extern size_t swift_retainCount(void *);

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

// Whoever drops the last reference has all that others did before they dropped theirs: it frees the object. Which one is
// the last is only known under a lock, one of many.
enum { lock_count = 4096 };
static atomic_flag locks[lock_count];
static __thread bool has_lock;

// Takes the lock of an object; false inside of another one's, where destroying one object drops the next.
static bool lock(void *object) {
    if (has_lock) return false;
    while (atomic_flag_test_and_set(&locks[(uintptr_t)object / 16 % lock_count])) sched_yield();
    return has_lock = true;
}

static void unlock(void *object) {
    has_lock = false;
    atomic_flag_clear(&locks[(uintptr_t)object / 16 % lock_count]);
}

static void drop(void *object, void *reference, uint32_t count, void (*next)(void *, uint32_t)) {
    if (!is_object(reference) || !__tsan_release) return next(reference, count);
    bool is_locked = lock(object);
    release(object);
    bool is_last = swift_retainCount(object) <= count;
    if (!is_last) next(reference, count);
    if (is_locked) unlock(object);
    if (!is_last) return;
    // Nobody else has it.
    acquire(object);
    next(reference, count);
}

static void next_release(void *object, uint32_t count) {
    NEXT(void (*)(void *, uint32_t), "swift_release_n")(object, count);
}

static void next_bridge_release(void *object, uint32_t count) {
    (void)count;
    NEXT(void (*)(void *), "swift_bridgeObjectRelease")(object);
}

void swift_release(void *object) { drop(object, object, 1, next_release); }

void swift_release_n(void *object, uint32_t count) { drop(object, object, count, next_release); }

// Its highest bits are flags; the first of them says that nobody counts.
void swift_bridgeObjectRelease(void *object) {
    drop((void *)((uintptr_t)object & 0x00fffffffffffff8), object, 1, next_bridge_release);
}

bool swift_isUniquelyReferenced_nonNull_native(void *object) {
    bool is_unique = NEXT(bool (*)(void *), "swift_isUniquelyReferenced_nonNull_native")(object);
    if (is_unique) acquire(object);
    return is_unique;
}

struct fuse_session;
struct fuse_buf;
extern void AnnotateIgnoreReadsEnd(const char *, int) __attribute__((weak));

static void end_ignoring(void *unused) {
    (void)unused;
    if (AnnotateIgnoreReadsEnd) AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

int fuse_session_receive_buf(struct fuse_session *session, struct fuse_buf *request) {
    int count;
    pthread_cleanup_push(end_ignoring, NULL);
    count = NEXT(int (*)(struct fuse_session *, struct fuse_buf *), "fuse_session_receive_buf")(session, request);
    pthread_cleanup_pop(0);
    return count;
}
