#include "cfuse.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

// As many threads wait for requests as libfuse's own loop keeps; a request wakes one of them. With two, first stats and epochs were
// 15 to 18 % slower (two cores, in turns).
enum { readers_wanted = 10, thread_limit = 256, largest_read = 1 << 20 };

struct loop {
    struct fuse_session *session;
    unsigned int max_threads;
    sem_t finished;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    // Guarded by the lock.
    unsigned int reading, parked, wakes, threads;
    int is_ending, error;
    pthread_t ids[thread_limit];
};

static void *work(void *argument);

static _Thread_local struct {
    void *memory;
    size_t size;
} reply_buffer;

void *tarn_reply_buffer(size_t size) {
    if (reply_buffer.size >= size) return reply_buffer.memory;
    free(reply_buffer.memory);
    // Whole pages of one size for all reads that the kernel may ask for: mapped once, not with every read.
    reply_buffer.size = size > largest_read ? size : largest_read;
    reply_buffer.memory = aligned_alloc(4096, (reply_buffer.size + 4095) / 4096 * 4096);
    if (!reply_buffer.memory) reply_buffer.size = 0;
    return reply_buffer.memory;
}

/// Under the lock. The new thread counts as reading from here on.
static int start_thread(struct loop *loop) {
    sigset_t ends, old;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    sigaddset(&ends, SIGQUIT);
    // Signals that end the session go to the thread that waits for its end.
    pthread_sigmask(SIG_BLOCK, &ends, &old);
    int result = pthread_create(&loop->ids[loop->threads], NULL, work, loop);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (result == 0) {
        loop->threads++;
        loop->reading++;
    }
    return result;
}

/// A request was received: somebody must wait for the next.
static void leave_reading(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->reading--;
    if (loop->reading == 0 && !loop->is_ending) {
        if (loop->parked > loop->wakes) {
            loop->wakes++;
            pthread_cond_signal(&loop->wake);
        } else if (loop->threads < loop->max_threads) {
            // Without another thread requests wait for this one.
            (void)start_thread(loop);
        }
    }
    pthread_mutex_unlock(&loop->lock);
}

/// A request was answered: read the next, or rest while enough others do.
static void enter_reading(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    if (loop->reading >= readers_wanted) {
        loop->parked++;
        while (loop->wakes == 0 && !loop->is_ending) pthread_cond_wait(&loop->wake, &loop->lock);
        loop->parked--;
        if (loop->wakes > 0) loop->wakes--;
    }
    loop->reading++;
    pthread_mutex_unlock(&loop->lock);
}

static void *work(void *argument) {
    struct loop *loop = argument;
    struct fuse_buf request = {.mem = NULL};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    while (!fuse_session_exited(loop->session)) {
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        int count = fuse_session_receive_buf(loop->session, &request);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (count == -EINTR) continue;
        if (count <= 0) {
            pthread_mutex_lock(&loop->lock);
            if (count < 0) loop->error = count;
            pthread_mutex_unlock(&loop->lock);
            fuse_session_exit(loop->session);
            break;
        }
        leave_reading(loop);
        fuse_session_process_buf(loop->session, &request);
        enter_reading(loop);
    }
    free(request.mem);
    free(reply_buffer.memory);
    sem_post(&loop->finished);
    return NULL;
}

int tarn_session_loop(struct fuse_session *session, unsigned int max_threads) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) return -ENOMEM;
    loop->session = session;
    loop->max_threads = max_threads < thread_limit ? max_threads : thread_limit;
    sem_init(&loop->finished, 0, 0);
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->wake, NULL);

    pthread_mutex_lock(&loop->lock);
    int started = start_thread(loop);
    if (started == 0) (void)start_thread(loop);
    pthread_mutex_unlock(&loop->lock);
    if (started == 0) {
        while (!fuse_session_exited(session)) sem_wait(&loop->finished);
    }

    pthread_mutex_lock(&loop->lock);
    loop->is_ending = 1;
    pthread_cond_broadcast(&loop->wake);
    unsigned int threads = loop->threads;
    pthread_mutex_unlock(&loop->lock);
    // Those that wait for the kernel are interrupted; those that serve a request finish it.
    for (unsigned int index = 0; index < threads; index++) pthread_cancel(loop->ids[index]);
    for (unsigned int index = 0; index < threads; index++) pthread_join(loop->ids[index], NULL);
    int error = started == 0 ? loop->error : -started;

    pthread_cond_destroy(&loop->wake);
    pthread_mutex_destroy(&loop->lock);
    sem_destroy(&loop->finished);
    free(loop);
    return error;
}
