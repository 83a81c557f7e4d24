/* The events about the room itself; see events.c. */
#include <string.h>

#include "signal/priv.h"

enum { SYNC_MAX = 256 }; /* facts in one answer */

/* ---- what was missed ---- */

/* Facts after 'since' that are this participant's to see, SYNC_MAX at most; 'last' is
 * filled with the number of the last that was looked at, 'more' if there are others behind.
 */
static json_t *facts_seen(const struct participant *p, uint64_t since, uint64_t *last,
                          bool *more)
{
    json_t *list = json_array();
    const struct fact *fact;

    *last = since;
    *more = false;
    for (uint32_t i = 0; (fact = facts_after(&p->room->facts, since, i)) != NULL; i++) {
        if (!meeting_sees(p, &fact->audience)) {
            *last = fact->seq;
            continue;
        }
        if (json_array_size(list) == SYNC_MAX) {
            *more = true;
            return list;
        }
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:o}", "event", fact->name, "data",
                                              json_loadb(fact->words, fact->len, 0, NULL)));
        *last = fact->seq;
    }
    *last = p->room->seq;
    return list;
}

void on_room_sync(struct reply *reply, const json_t *payload)
{
    const struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    int64_t since, epoch;
    uint64_t last;
    bool more = false;
    bool whole;
    json_t *list;

    if (!field_int(&f, "since_seq", 0, INT64_MAX, true, 0, &since) ||
        !field_int(&f, "epoch", 0, INT64_MAX, false, (int64_t)p->room->epoch, &epoch)) {
        reply_fail(reply, "invalid", f.error);
        return;
    }
    /* numbers of another epoch, or from the future, say nothing about what is known */
    whole = (uint64_t)epoch != p->room->epoch || (uint64_t)since > p->room->seq ||
            !facts_reach_back(&p->room->facts, (uint64_t)since);
    last = p->room->seq;
    list = whole ? json_array() : facts_seen(p, (uint64_t)since, &last, &more);
    reply_ok(reply, json_pack("{s:I,s:I,s:o,s:b,s:b,s:o}", "epoch",
                              (json_int_t)p->room->epoch, "seq", (json_int_t)last, "events",
                              list, "more", (int)more, "too_old", (int)whole, "snapshot",
                              whole ? encode_room_resumed(reply->client->signal, p)
                                    : json_null()));
}
