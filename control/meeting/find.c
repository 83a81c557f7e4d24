/* People and what they have, by id. */
#include <string.h>

#include "meeting/priv.h"

bool meeting_is_meant(const struct participant *p, const char *target)
{
    return strcmp(p->id, target) == 0 || strcmp(p->who.user_id, target) == 0;
}

struct participant *meeting_find_meant(const struct room *room, const char *target)
{
    struct participant *p = room->participants;

    while (p != NULL && !meeting_is_meant(p, target)) {
        p = p->next;
    }
    return p;
}

struct transport *meeting_find_transport(const struct participant *p, const char *id)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        if (strcmp(t->id, id) == 0) {
            return t;
        }
    }
    return NULL;
}

struct room_producer *meeting_find_own_producer(const struct participant *p, const char *id)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (strcmp(rp->id, id) == 0) {
                return rp;
            }
        }
    }
    return NULL;
}

struct room_producer *meeting_find_producer(const struct participant *who, const char *id)
{
    for (const struct participant *p = who->room->senders; p != NULL; p = p->next_sender) {
        struct room_producer *rp =
            p->group == who->group ? meeting_find_own_producer(p, id) : NULL;

        if (rp != NULL) {
            return rp->ready ? rp : NULL;
        }
    }
    return NULL;
}

struct room_consumer *meeting_find_consumer(const struct participant *p, const char *id)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            if (strcmp(rc->id, id) == 0) {
                return rc;
            }
        }
    }
    return NULL;
}
