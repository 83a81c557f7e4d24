/* Streams: opening, closing, and who may hold them. See tables.h. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "table/tables_priv.h"

struct stream *tables_stream_open(struct tables *t, uint64_t handle, struct peer *peer,
                                  int *err)
{
    uint32_t i = handle_index(handle);
    struct stream *stream = i < t->conf.n_streams ? &t->streams[i] : NULL;

    *err = tables_slot_err(handle, t->conf.n_streams, stream != NULL ? stream->handle : 0);
    if (stream == NULL || *err != 0) {
        return NULL;
    }
    memset(stream, 0, sizeof(*stream));
    /* Its readers are as the last subscription on each lane has left them: empty. */
    atomic_init(&stream->n_subs, STREAM_SHUT);
    atomic_init(&stream->lane, t->lane);
    stream->handle = handle;
    stream->index = i;
    stream->peer = peer;
    stream->readers = &t->readers[(size_t)i * t->conf.n_lanes];
    stream->next_of_peer = peer->rest->streams;
    peer->rest->streams = stream;
    t->n_open_streams++;
    tables_wake(t, peer);
    return stream;
}

void tables_stream_ready(struct stream *stream)
{
    atomic_store_explicit(&stream->n_subs, 0, memory_order_release);
}

/* Lets nobody subscribe any more. False if somebody still does. */
static bool shut(struct stream *stream)
{
    uint32_t none = 0;

    return atomic_compare_exchange_strong(&stream->n_subs, &none, STREAM_SHUT) ||
           none == STREAM_SHUT;
}

bool tables_hold(struct stream *stream, uint64_t handle)
{
    uint32_t n = atomic_load_explicit(&stream->n_subs, memory_order_relaxed);

    do {
        if ((n & STREAM_SHUT) != 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&stream->n_subs, &n, n + 1));
    if (stream->handle != handle) {
        (void)atomic_fetch_sub(&stream->n_subs, 1);
        return false;
    }
    return true;
}

int tables_stream_close(struct tables *t, struct stream *stream)
{
    struct stream **at = &stream->peer->rest->streams;
    struct peer *peer = stream->peer;

    if (!shut(stream)) {
        return -EBUSY;
    }
    while (*at != stream) {
        at = &(*at)->next_of_peer;
    }
    *at = stream->next_of_peer;
    for (uint32_t i = 0; i < peer->rest->n_ssrcs; i++) {
        if (peer->rest->ssrc_of[i].stream == stream) {
            peer->rest->ssrc_of[i] = (struct peer_ssrc){.stream = NULL};
        }
    }
    if (stream->ring.slots != NULL) {
        ring_store_give(t->rings, stream->video, &stream->ring);
    }
    stream->handle = HANDLE_NONE;
    t->n_open_streams--;
    return 0;
}
