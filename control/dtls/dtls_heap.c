#include "dtls/dtls_heap.h"

#include <errno.h>
#include <stdlib.h>

#include "dtls/dtls_conn.h"

static void heap_place(struct dtls_heap *heap, size_t i, struct dtls_conn *conn)
{
    heap->at[i] = conn;
    conn->heap_index = i;
}

static void heap_settle(struct dtls_heap *heap, size_t i)
{
    struct dtls_conn *conn = heap->at[i];

    while (i > 0 && heap->at[(i - 1) / 2]->deadline_us > conn->deadline_us) {
        heap_place(heap, i, heap->at[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= heap->n) {
            break;
        }
        if (child + 1 < heap->n &&
            heap->at[child + 1]->deadline_us < heap->at[child]->deadline_us) {
            child++;
        }
        if (heap->at[child]->deadline_us >= conn->deadline_us) {
            break;
        }
        heap_place(heap, i, heap->at[child]);
        i = child;
    }
    heap_place(heap, i, conn);
}

static void heap_remove(struct dtls_heap *heap, struct dtls_conn *conn)
{
    size_t i = conn->heap_index;

    conn->heap_index = DTLS_HEAP_NONE;
    heap->n--;
    if (i < heap->n) {
        heap_place(heap, i, heap->at[heap->n]);
        heap_settle(heap, i);
    }
}

int dtls_heap_set(struct dtls_heap *heap, struct dtls_conn *conn)
{
    if (conn->deadline_us == UINT64_MAX) {
        if (conn->heap_index != DTLS_HEAP_NONE) {
            heap_remove(heap, conn);
        }
        return 0;
    }
    if (conn->heap_index == DTLS_HEAP_NONE) {
        if (heap->n == heap->cap) {
            size_t cap = heap->cap == 0 ? 64 : 2 * heap->cap;
            /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers it is */
            struct dtls_conn **at = realloc(heap->at, cap * sizeof(*at));

            if (at == NULL) {
                return -ENOMEM;
            }
            heap->at = at;
            heap->cap = cap;
        }
        heap_place(heap, heap->n++, conn);
    }
    heap_settle(heap, conn->heap_index);
    return 0;
}

struct dtls_conn *dtls_heap_first(const struct dtls_heap *heap)
{
    return heap->n > 0 ? heap->at[0] : NULL;
}

void dtls_heap_fini(struct dtls_heap *heap)
{
    free(heap->at);
    heap->at = NULL;
    heap->n = 0;
    heap->cap = 0;
}
