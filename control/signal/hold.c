/* What hosts decide is told when it is written; see priv.h.
 *
 * The output of all sessions of the room is held back, by the number of the hold, for as
 * long as its writes take: some milliseconds. Writes are done in their order, so a session
 * that waits for two of them waits for the second. */
#include <stdlib.h>
#include <string.h>

#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"

enum { HOLD_MAX_MS = 2000 }; /* then it is told as it is: a disk that hangs mutes nobody */

struct hold {
    uint64_t no;
    uint32_t n_writes; /* not yet done */
    uint64_t until_us;
    const struct room *room; /* compared, never looked into: it may be gone */
    struct hold *next;
};

static void wait_for(struct client *client, const struct hold *hold)
{
    client->hold = hold->no;
    engine_hold(sio_conn_peer(client->socket->conn), true);
}

/* All that waits for this one, or for one before it, goes out. */
static void let_go(struct signal *signal, uint64_t no)
{
    for (struct client *client = signal->clients; client != NULL; client = client->next) {
        if (client->hold != 0 && client->hold <= no) {
            client->hold = 0;
            engine_hold(sio_conn_peer(client->socket->conn), false);
        }
    }
}

/* Ends those up to 'no', which are over or not to be waited for. */
static void end(struct signal *signal, uint64_t no)
{
    struct hold **at = &signal->holds;

    while (*at != NULL) {
        struct hold *hold = *at;

        if (hold->no > no) {
            at = &hold->next;
            continue;
        }
        *at = hold->next;
        if (signal->hold == hold) {
            signal->hold = NULL;
        }
        free(hold);
    }
    let_go(signal, no);
}

void hold_begin(struct signal *signal, struct room *room)
{
    struct hold *hold;

    if (signal->writer == NULL || store_writer_failing(signal->writer) != 0) {
        return;
    }
    hold = calloc(1, sizeof(*hold));
    if (hold == NULL) {
        return;
    }
    *hold = (struct hold){.no = ++signal->n_holds,
                          .n_writes = 1, /* the handler itself */
                          .until_us = clock_mono_us() + HOLD_MAX_MS * UINT64_C(1000),
                          .room = room,
                          .next = signal->holds};
    signal->holds = signal->hold = hold;
    for (struct client *client = signal->clients; client != NULL; client = client->next) {
        if (client->participant != NULL && client->participant->room == room) {
            wait_for(client, hold);
        }
    }
}

void hold_end(struct signal *signal)
{
    struct hold *hold = signal->hold;

    signal->hold = NULL;
    if (hold != NULL) {
        hold_written(signal, hold->no);
    }
}

uint64_t hold_add(struct signal *signal)
{
    if (signal->hold == NULL) {
        return 0;
    }
    signal->hold->n_writes++;
    return signal->hold->no;
}

void hold_written(struct signal *signal, uint64_t no)
{
    struct hold *hold = signal->holds;

    while (hold != NULL && hold->no != no) {
        hold = hold->next;
    }
    if (hold != NULL && --hold->n_writes == 0) {
        end(signal, no);
    }
}

void hold_newcomer(struct signal *signal, const struct room *room, struct client *client)
{
    const struct hold *hold = signal->holds; /* the last first */

    while (hold != NULL && hold->room != room) {
        hold = hold->next;
    }
    if (hold != NULL && client->hold < hold->no) {
        wait_for(client, hold);
    }
}

void hold_tick(struct signal *signal, uint64_t now_us)
{
    const struct hold *hold = signal->holds;
    bool failing = signal->writer != NULL && store_writer_failing(signal->writer) != 0;

    while (hold != NULL && !failing && now_us < hold->until_us) {
        hold = hold->next;
    }
    if (hold != NULL) {
        end(signal, hold->no);
    }
}

void hold_drop(struct signal *signal)
{
    end(signal, UINT64_MAX);
}
