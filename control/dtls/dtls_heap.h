/* The connections of a worker by their next deadline: a binary heap that knows where each
 * of its members stands. */
#ifndef KCS_DTLS_DTLS_HEAP_H
#define KCS_DTLS_DTLS_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct dtls_conn;

struct dtls_heap {
    struct dtls_conn **at;
    size_t n, cap;
};

#define DTLS_HEAP_NONE SIZE_MAX

/* Puts 'conn' where its deadline_us belongs; UINT64_MAX takes it out. Returns 0, or -ENOMEM
 * if it is new and there is no room. O(log n). */
int dtls_heap_set(struct dtls_heap *heap, struct dtls_conn *conn);

/* The connection with the earliest deadline, or NULL. */
struct dtls_conn *dtls_heap_first(const struct dtls_heap *heap);

void dtls_heap_fini(struct dtls_heap *heap);

#endif
