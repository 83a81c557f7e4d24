/* Subscriptions with layers: the streams that they hold, and the lane's lists of them. See
 * tables.h. */
#include <errno.h>
#include <string.h>

#include "table/tables_priv.h"

void tables_let_go(struct sub *sub)
{
    struct sub_layers *layers = sub->layers;

    if (layers == NULL) {
        (void)atomic_fetch_sub(&sub->stream->n_subs, 1);
        return;
    }
    tables_layers_unlink(sub);
    for (uint8_t i = 0; i < layers->n_streams; i++) {
        (void)atomic_fetch_sub(&layers->streams[i]->n_subs, 1);
    }
}

void tables_layers_link(struct tables *t, struct sub *sub)
{
    struct sub_layers *layers = sub->layers;

    if (layers == NULL) {
        return;
    }
    layers->next = t->layered;
    layers->link = &t->layered;
    if (layers->next != NULL) {
        layers->next->link = &layers->next;
    }
    t->layered = layers;
    if (layers->waiting) {
        layers->waiting = false;
        tables_sub_wait(t, sub, true);
    }
}

static void leave_waiting(struct sub_layers *layers)
{
    if (layers->waiting_link != NULL) {
        *layers->waiting_link = layers->next_waiting;
        if (layers->next_waiting != NULL) {
            layers->next_waiting->waiting_link = layers->waiting_link;
        }
        layers->waiting_link = NULL;
    }
}

void tables_layers_unlink(struct sub *sub)
{
    struct sub_layers *layers = sub->layers;

    if (layers == NULL || layers->link == NULL) {
        return;
    }
    leave_waiting(layers);
    *layers->link = layers->next;
    if (layers->next != NULL) {
        layers->next->link = layers->link;
    }
    layers->link = NULL;
}

void tables_sub_wait(struct tables *t, struct sub *sub, bool waiting)
{
    struct sub_layers *layers = sub->layers;

    if (layers->waiting == waiting) {
        return;
    }
    layers->waiting = waiting;
    if (!waiting) {
        leave_waiting(layers);
        return;
    }
    layers->next_waiting = t->waiting;
    layers->waiting_link = &t->waiting;
    if (layers->next_waiting != NULL) {
        layers->next_waiting->waiting_link = &layers->next_waiting;
    }
    t->waiting = layers;
}

/* Holds all of 'handles', or none. */
static int hold_all(struct tables *t, const uint64_t *handles, uint8_t n,
                    struct stream **streams)
{
    int err = n > 0 && n <= SUB_STREAMS ? 0 : -EINVAL;
    uint8_t held = 0;

    while (err == 0 && held < n) {
        struct stream *stream = tables_stream(t, handles[held]);

        if (stream == NULL || !tables_hold(stream, handles[held])) {
            err = -ENOENT;
            break;
        }
        streams[held++] = stream;
        /* held: from here on it does not change */
        if (stream->codec != streams[0]->codec) {
            err = -EINVAL;
        }
    }
    for (; err != 0 && held > 0; held--) {
        (void)atomic_fetch_sub(&streams[held - 1]->n_subs, 1);
    }
    return err;
}

int tables_sub_layers(struct tables *t, struct sub *sub, const uint64_t *handles, uint8_t n)
{
    struct sub_layers *layers = &t->layers[sub->index];
    struct stream *streams[SUB_STREAMS];
    struct stream *before = sub->stream;
    int err = hold_all(t, handles, n, streams);

    if (err == 0 && streams[0]->video != sub->stream->video) {
        for (uint8_t i = 0; i < n; i++) {
            (void)atomic_fetch_sub(&streams[i]->n_subs, 1);
        }
        err = -EINVAL;
    }
    if (err != 0) {
        return err;
    }
    if (sub->stream != streams[0]) {
        tables_sub_read(t, sub, streams[0], stream_ring_head(&streams[0]->ring));
    }
    if (sub->layers == NULL) {
        (void)atomic_fetch_sub(&before->n_subs, 1);
        memset(layers, 0, sizeof(*layers));
        layers->sub = sub;
        sub->passes = 0;
        sub->layers = layers;
        tables_layers_link(t, sub);
    } else {
        for (uint8_t i = 0; i < layers->n_streams; i++) {
            (void)atomic_fetch_sub(&layers->streams[i]->n_subs, 1);
        }
    }
    memcpy(layers->streams, streams, n * sizeof(struct stream *));
    layers->n_streams = n;
    layers->at = SUB_STREAMS;
    return 0;
}

/* Its cursor stands where it was visited last. From there on it has passed over all, up to
 * the walk: that, too, if it may, though the fan-out may be in the midst of it. */
void tables_sub_level(const struct stream_readers *readers, struct sub *sub)
{
    const struct switcher_walk *walk = &readers->walk;

    if (sub->layers == NULL || sub->passes == 0) {
        return;
    }
    if (sub->cursor <= readers->walk_pos) {
        if (readers->walk_level && (sub->passes & walk->present) == 0) {
            sub->cursor = readers->walk_pos + 1;
        } else {
            walk = &readers->walk_before;
            sub->cursor = readers->walk_before_pos + 1;
        }
    }
    switcher_catch_up(&sub->layers->switcher, walk);
    sub->passes = 0;
}

void tables_sub_catch_up(const struct tables *t, struct sub *sub)
{
    if (sub->layers != NULL && sub->passes != 0) {
        tables_sub_level(&sub->stream->readers[t->lane], sub);
        sublist_ask(sub->at);
    }
}

void tables_sub_read(struct tables *t, struct sub *sub, struct stream *stream, uint64_t pos)
{
    tables_sub_catch_up(t, sub);
    tables_delist(t, sub);
    sub->stream = stream;
    sub->cursor = pos;
    /* what was just taken out left a place */
    (void)tables_enlist(t, sub, pos);
}
