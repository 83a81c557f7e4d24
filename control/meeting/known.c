/* Whom a room remembers, here or not: roles, bans, invitations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sfu/base/fnv.h"

struct known *meeting_known(const struct room *room, const char *user_id)
{
    struct known *known;

    HASH_FIND_STR(room->known, user_id, known);
    return known;
}

struct known *meeting_remember(struct room *room, const char *user_id,
                               struct meeting_error *err)
{
    struct known *known = meeting_known(room, user_id);

    if (known != NULL) {
        return known;
    }
    if (HASH_COUNT(room->known) >= MEETING_KNOWN) {
        (void)meeting_fail(err, "too_many", "a meeting remembers at most %d people",
                           MEETING_KNOWN);
        return NULL;
    }
    known = calloc(1, sizeof(*known));
    if (known != NULL) {
        (void)snprintf(known->user_id, sizeof(known->user_id), "%s", user_id);
        HASH_ADD_STR(room->known, user_id, known);
        if (known->hh.tbl != NULL) {
            return known;
        }
    }
    free(known);
    (void)meeting_fail_errno(err, -ENOMEM);
    return NULL;
}

uint64_t meeting_user_hash(const char *user_id)
{
    uint64_t hash = fnv64(user_id, strlen(user_id));

    return hash != 0 ? hash : 1;
}

void meeting_note_ban(struct room *room, const char *user_id, bool banned)
{
    uint64_t hash = meeting_user_hash(user_id);
    unsigned at = 0;

    while (at < MEETING_BANS_KEPT && room->bans[at] != hash) {
        at++;
    }
    if (at == MEETING_BANS_KEPT) {
        if (!banned) {
            return;
        }
        at = 0; /* the oldest gives its place away */
    }
    memmove(room->bans + at, room->bans + at + 1,
            (MEETING_BANS_KEPT - 1 - at) * sizeof(room->bans[0]));
    room->bans[MEETING_BANS_KEPT - 1] = hash;
    if (!banned) { /* back to the free ones, which come first */
        memmove(room->bans + 1, room->bans, sizeof(room->bans) - sizeof(room->bans[0]));
        room->bans[0] = 0;
    }
}

bool meeting_is_banned(const struct room *room, const char *user_id)
{
    const struct known *known = meeting_known(room, user_id);
    uint64_t hash = meeting_user_hash(user_id);
    bool found = known != NULL && known->banned;

    for (unsigned i = 0; i < MEETING_BANS_KEPT && !found; i++) {
        found = room->bans[i] == hash;
    }
    return found;
}

void meeting_forget_all(struct room *room)
{
    struct known *known = room->known;
    struct known *next;

    HASH_CLEAR(hh, room->known);
    for (; known != NULL; known = next) {
        next = known->hh.next;
        free(known);
    }
}
