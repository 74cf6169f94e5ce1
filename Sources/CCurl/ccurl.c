#include "ccurl.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_result = 0;

static void init_curl(void) { init_result = (int)curl_global_init(CURL_GLOBAL_DEFAULT); }

int tarn_curl_global_init(void) {
    pthread_once(&once, init_curl);
    return init_result;
}

// Less than tarn_return_large_memory's 256 KiB: libcurl takes and frees its buffers with every request, and memory that goes
// back to the system each time comes again page by page.
static const long buffer_bytes = 240L * 1024L;

static CURLcode set_shared(CURL *h) {
    CURLcode code = curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!code) code = curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code) code = curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
    // Keys are signed as they are: curl must not fold "/./" and "/../".
    if (!code) code = curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_BUFFERSIZE, buffer_bytes);
    if (!code) code = curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, buffer_bytes);
    return code;
}

CURL *tarn_curl_new(void) {
    CURL *h = curl_easy_init();
    if (h && set_shared(h)) {
        curl_easy_cleanup(h);
        return NULL;
    }
    return h;
}

// What this thread had before SIGPIPE was blocked.
struct pipe_guard {
    sigset_t old_mask;
    int was_pending;
};

static void block_pipe(struct pipe_guard *guard) {
    sigset_t pending, pipe;
    sigemptyset(&pending);
    sigpending(&pending);
    guard->was_pending = sigismember(&pending, SIGPIPE);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &guard->old_mask);
}

static void unblock_pipe(const struct pipe_guard *guard) {
    if (!guard->was_pending) {
        sigset_t pipe;
        const struct timespec now = {0, 0};
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        while (sigtimedwait(&pipe, NULL, &now) == SIGPIPE) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &guard->old_mask, NULL);
}

// How long curl_multi_poll may sleep; transfers have timers of their own that wake it earlier.
enum { longest_poll_ms = 1000 };

static int64_t milliseconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static CURLMcode race(CURLM *multi, CURL *first, int64_t late_ms, const struct tarn_curl_race *calls) {
    CURL *second = NULL;
    int running = 0;
    int unfinished = 1;
    // The clock is cut to whole milliseconds. One more, so that no second one begins too early.
    const int64_t late_at = late_ms < 0 ? -1 : milliseconds_now() + late_ms + 1;
    int is_late = 0;
    CURLMcode code = curl_multi_add_handle(multi, first);
    while (!code && unfinished > 0) {
        code = curl_multi_perform(multi, &running);
        CURLMsg *message;
        int left;
        while (!code && unfinished > 0 && (message = curl_multi_info_read(multi, &left))) {
            if (message->msg != CURLMSG_DONE) continue;
            unfinished--;
            if (calls->finished(calls->context, message->easy_handle == second, message->data.result)) unfinished = 0;
        }
        if (code || unfinished == 0) break;
        int64_t wait = longest_poll_ms;
        if (late_at >= 0 && !is_late) {
            const int64_t left_ms = late_at - milliseconds_now();
            if (left_ms <= 0) {
                is_late = 1;
                second = calls->late(calls->context);
                // Without it the first one goes on alone.
                if (second && !curl_multi_add_handle(multi, second)) unfinished++;
                continue;
            }
            if (left_ms < wait) wait = left_ms;
        }
        code = curl_multi_poll(multi, NULL, 0, (int)wait, NULL);
    }
    // A transfer that is still under way is cut off here, with its connection.
    if (second) curl_multi_remove_handle(multi, second);
    curl_multi_remove_handle(multi, first);
    return code;
}

CURLMcode tarn_curl_race(CURLM *multi, CURL *first, int64_t late_ms, const struct tarn_curl_race *calls) {
    struct pipe_guard guard;
    block_pipe(&guard);
    CURLMcode code = race(multi, first, late_ms, calls);
    unblock_pipe(&guard);
    return code;
}

void tarn_curl_multi_free(CURLM *multi) {
    struct pipe_guard guard;
    block_pipe(&guard);
    curl_multi_cleanup(multi);
    unblock_pipe(&guard);
}

void tarn_curl_free(CURL *h) {
    struct pipe_guard guard;
    block_pipe(&guard);
    curl_easy_cleanup(h);
    unblock_pipe(&guard);
}

void tarn_curl_reset(CURL *h) {
    curl_easy_reset(h);
    set_shared(h);
}

CURLcode tarn_curl_set_url(CURL *h, const char *url) { return curl_easy_setopt(h, CURLOPT_URL, url); }

CURLcode tarn_curl_set_method(CURL *h, const char *method) {
    return curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

CURLcode tarn_curl_set_no_body(CURL *h) { return curl_easy_setopt(h, CURLOPT_NOBODY, 1L); }

CURLcode tarn_curl_set_headers(CURL *h, struct curl_slist *headers) {
    return curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
}

CURLcode tarn_curl_set_body(CURL *h, const void *bytes, int64_t length) {
    CURLcode code = curl_easy_setopt(h, CURLOPT_POST, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    if (!code) code = curl_easy_setopt(h, CURLOPT_POSTFIELDS, length ? bytes : "");
    return code;
}

CURLcode tarn_curl_set_write(CURL *h, tarn_curl_data_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, callback);
    if (!code) code = curl_easy_setopt(h, CURLOPT_WRITEDATA, context);
    return code;
}

CURLcode tarn_curl_set_header_sink(CURL *h, tarn_curl_data_callback callback, void *context) {
    CURLcode code = curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, callback);
    if (!code) code = curl_easy_setopt(h, CURLOPT_HEADERDATA, context);
    return code;
}

CURLcode tarn_curl_set_timeouts(CURL *h, long connect_ms, long total_ms, long stall_seconds) {
    CURLcode code = curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    if (!code) code = curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, total_ms);
    if (!code) code = curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    if (!code) code = curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, stall_seconds);
    return code;
}

CURLcode tarn_curl_set_ca_file(CURL *h, const char *path) { return curl_easy_setopt(h, CURLOPT_CAINFO, path); }

CURLcode tarn_curl_set_no_proxy(CURL *h) { return curl_easy_setopt(h, CURLOPT_NOPROXY, "*"); }

CURLcode tarn_curl_set_user_agent(CURL *h, const char *text) { return curl_easy_setopt(h, CURLOPT_USERAGENT, text); }

CURLcode tarn_curl_set_error_buffer(CURL *h, char *buffer) { return curl_easy_setopt(h, CURLOPT_ERRORBUFFER, buffer); }

long tarn_curl_status(CURL *h) {
    long status = 0;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

long tarn_curl_new_connections(CURL *h) {
    long count = 0;
    curl_easy_getinfo(h, CURLINFO_NUM_CONNECTS, &count);
    return count;
}
