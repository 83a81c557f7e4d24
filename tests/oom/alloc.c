/* See alloc.h. */
#include "oom/alloc.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>
#include <sanitizer/lsan_interface.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum {
    NOBODY = -1,
    CHECK_EVERY = 8 /* lives; a search for leaks takes as long as a life */
};

static _Atomic int counted = NOBODY; /* enum oom_of */
static _Atomic uint64_t count, fail_at;
static _Thread_local unsigned paused;
static _Atomic bool start_or_stop;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
char *__real_strdup(const char *text);
FILE *__real_open_memstream(char **text, size_t *len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
char *__wrap_strdup(const char *text);
FILE *__wrap_open_memstream(char **text, size_t *len);

static bool fails(enum oom_of of)
{
    return atomic_load(&counted) == (int)of && paused == 0 &&
           atomic_fetch_add(&count, 1) + 1 == atomic_load(&fail_at);
}

void *__wrap_malloc(size_t len)
{
    return fails(OOM_OURS) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails(OOM_OURS) ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
    return fails(OOM_OURS) ? NULL : __real_realloc(p, len);
}

char *__wrap_strdup(const char *text)
{
    return fails(OOM_OURS) ? NULL : __real_strdup(text);
}

FILE *__wrap_open_memstream(char **text, size_t *len)
{
    return fails(OOM_OURS) ? NULL : __real_open_memstream(text, len);
}

/* ---- libraries ---- */

/* jansson 2.14 does not notice that its text buffer could not grow, and then writes past
 * another (lex_save() in load.c): nothing on this side of it can mend that, so its
 * allocations fail only where values are made and written, not where texts are parsed. */
json_t *__real_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error);

json_t *__wrap_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error)
{
    json_t *json;

    paused++;
    json = __real_json_loadb(text, len, flags, error);
    paused--;
    return json;
}

static void *crypto_malloc(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails(OOM_OPENSSL) ? NULL : __real_malloc(len);
}

static void *crypto_realloc(void *p, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails(OOM_OPENSSL) ? NULL : __real_realloc(p, len);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* All that libwebsockets 4.1.6 allocates, resizes and frees. It does not look at what it
 * got while it makes its context and vhosts (it then reads through NULL, leaks or calls
 * abort() in nearly every place), nor when its libuv part makes the handle of a connection
 * ("uvh"); nothing on this side of it can mend that. So those do not fail; all else of a
 * connection does. */
static void *websockets_realloc(void *p, size_t len, const char *reason)
{
    if (len == 0) {
        free(p);
        return NULL;
    }
    if (!atomic_load(&start_or_stop) && strcmp(reason, "uvh") != 0 &&
        fails(OOM_WEBSOCKETS)) {
        return NULL;
    }
    return __real_realloc(p, len);
}

void *oom_sctp_malloc(size_t len)
{
    return fails(OOM_SCTP) ? NULL : __real_malloc(len);
}

void oom_hook(void)
{
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1 ||
        /* libuv calls abort() if its table of files cannot grow, all that it uses realloc
         * for */
        uv_replace_allocator(__wrap_malloc, __real_realloc, __wrap_calloc, free) != 0) {
        (void)fprintf(stderr, "a library has allocated before it was hooked\n");
        abort();
    }
    json_set_alloc_funcs(__wrap_malloc, free);
    lws_set_allocator(websockets_realloc);
}

/* ---- what fails ---- */

/* One life in which the n-th allocation fails; how many there were. */
static uint64_t live(enum oom_of of, void (*life)(void), uint64_t n)
{
    atomic_store(&count, 0);
    atomic_store(&fail_at, n);
    atomic_store(&counted, (int)of);
    life();
    atomic_store(&counted, NOBODY);
    return atomic_load(&count);
}

void oom_pause(void)
{
    paused++;
}

void oom_go_on(void)
{
    paused--;
}

void oom_start_or_stop(bool on)
{
    atomic_store(&start_or_stop, on);
}

uint64_t oom_failed(void)
{
    const uint64_t at = atomic_load(&fail_at);

    return atomic_load(&count) >= at ? at : 0;
}

void *oom_exempt_malloc(size_t len)
{
    return __real_malloc(len);
}

/* Which of 'total' fail: the first of them, and how far it is from each to the next. */
static void choose(uint64_t total, unsigned n_lives, uint64_t *first, uint64_t *stride)
{
    const char *asked = getenv("KCS_LONG");
    const char *part = getenv("KCS_OOM_PART");
    unsigned k, n;

    *first = 1;
    *stride = total / n_lives + 1;
    if (asked == NULL || *asked == '\0') {
        return;
    }
    *stride = 1;
    if (part != NULL && sscanf(part, "%u/%u", &k, &n) == 2 && k >= 1 && k <= n &&
        total / n >= n_lives) {
        *first = k;
        *stride = n;
    }
}

unsigned oom_every(enum oom_of of, void (*life)(void), unsigned n_lives)
{
    const char *at = getenv("KCS_OOM_AT");
    const uint64_t total = live(of, life, UINT64_MAX);
    uint64_t first, stride;
    unsigned n_failed = 0;
    unsigned unchecked = 0;

    choose(total, n_lives, &first, &stride);
    if (at != NULL && *at != '\0') {
        (void)live(of, life, strtoull(at, NULL, 10));
        return 1;
    }
    for (uint64_t n = first; n <= total; n += stride) {
        n_failed += live(of, life, n) >= n;
        unchecked++;
        if (unchecked < CHECK_EVERY && n + stride <= total) {
            continue;
        }
        unchecked = 0;
        if (__lsan_do_recoverable_leak_check() != 0) {
            fail_msg("a leak when allocation %llu failed, or one of the %d before with "
                     "a stride of %llu (KCS_OOM_AT)",
                     (unsigned long long)n, CHECK_EVERY - 1, (unsigned long long)stride);
        }
    }
    print_message("%u of %llu allocations were made to fail\n", n_failed,
                  (unsigned long long)total);
    return n_failed;
}
