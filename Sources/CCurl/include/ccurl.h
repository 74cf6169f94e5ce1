// libcurl without variadic functions, which Swift cannot call. One function per option that Tarn sets.
#ifndef TARN_CCURL_H
#define TARN_CCURL_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

// Receives `length` bytes; returns how many it took. Fewer than `length` aborts the transfer.
typedef size_t (*tarn_curl_data_callback)(char *bytes, size_t size, size_t count, void *context);

// Initialises libcurl once per process, from whichever thread is first. Returns 0 or a CURLcode.
int tarn_curl_global_init(void);

// A handle with the settings that every request shares: HTTP/1.1, TCP_NODELAY, no signals, no redirects, HTTP and HTTPS
// only, peer and host verified. NULL when out of memory.
CURL *tarn_curl_new(void);

struct tarn_curl_race {
    // A transfer has ended with `result`; `is_second` tells which. Answers whether the other is not wanted any more.
    int (*finished)(void *context, int is_second, CURLcode result);
    // The first transfer is late. Answers a second one that shall run beside it, or NULL. Called at most once.
    CURL *(*late)(void *context);
    void *context;
};

// Runs `first` on `multi`, and from `late_ms` on (negative: never) what `late` answers beside it, until `finished` says
// that it is enough or all have ended. Calls back on the calling thread. A transfer that is still under way then is cut
// off at once. Both handles are out of `multi` again afterwards, which keeps the connections that are in order.
//
// This and the two functions that free keep SIGPIPE away from the calling thread: with CURLOPT_NOSIGNAL libcurl leaves
// that to its caller, and a TLS write to a closed connection would end the process.
CURLMcode tarn_curl_race(CURLM *multi, CURL *first, int64_t late_ms, const struct tarn_curl_race *calls);
void tarn_curl_multi_free(CURLM *multi);
void tarn_curl_free(CURL *handle);

// Forgets the last request's options and keeps the connections; the shared settings are in force again.
void tarn_curl_reset(CURL *handle);

CURLcode tarn_curl_set_url(CURL *handle, const char *url);
CURLcode tarn_curl_set_method(CURL *handle, const char *method);
// No body is expected in the answer (HEAD).
CURLcode tarn_curl_set_no_body(CURL *handle);
CURLcode tarn_curl_set_headers(CURL *handle, struct curl_slist *headers);
// The body is borrowed: it must stay alive until the transfer is over. `bytes` may be NULL when `length` is 0.
CURLcode tarn_curl_set_body(CURL *handle, const void *bytes, int64_t length);
CURLcode tarn_curl_set_write(CURL *handle, tarn_curl_data_callback callback, void *context);
CURLcode tarn_curl_set_header_sink(CURL *handle, tarn_curl_data_callback callback, void *context);
// Milliseconds for the connection and for the whole transfer; below one byte a second for `stall_seconds` ends it.
CURLcode tarn_curl_set_timeouts(CURL *handle, long connect_ms, long total_ms, long stall_seconds);
CURLcode tarn_curl_set_ca_file(CURL *handle, const char *path);
// Connects directly, whatever the proxy variables say (instance metadata).
CURLcode tarn_curl_set_no_proxy(CURL *handle);
CURLcode tarn_curl_set_user_agent(CURL *handle, const char *text);
// `buffer` holds CURL_ERROR_SIZE bytes and outlives the transfer.
CURLcode tarn_curl_set_error_buffer(CURL *handle, char *buffer);

long tarn_curl_status(CURL *handle);
// How many new connections the last transfer had to open.
long tarn_curl_new_connections(CURL *handle);

#endif
