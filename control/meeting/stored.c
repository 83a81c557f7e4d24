/* What is stored of a meeting, or was changed there, into its room; see host.h. */
#include <string.h>

#include "meeting/priv.h"

void meeting_stored_settings(struct meeting *meeting, struct room *room,
                             const struct meeting_change *change, bool over)
{
    struct meeting_change fits = *change;

    if (fits.max_participants > meeting->conf.max_participants) {
        fits.max_participants = meeting->conf.max_participants;
    }
    room->over = over;
    meeting_apply(room, &fits);
    if (!room->loading) {
        meeting_settings_changed(meeting, room, NULL);
    }
}

/* NULL: more than a room remembers. */
static struct known *remember(struct room *room, const char *user_id)
{
    struct meeting_error err;

    return strlen(user_id) <= AUTH_ID_MAX ? meeting_remember(room, user_id, &err) : NULL;
}

void meeting_stored_person(struct meeting *meeting, struct room *room, const char *user_id,
                           enum auth_role role)
{
    struct known *known = remember(room, user_id);

    if (known == NULL) { /* the token's role counts */
        return;
    }
    known->invited = known->has_role = true;
    known->role = role;
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        if (strcmp(p->who.user_id, user_id) == 0 && p->who.role != role) {
            meeting_change_role(meeting, NULL, p, role);
        }
    }
}

void meeting_stored_ban(struct room *room, const char *user_id, bool on)
{
    struct known *known = remember(room, user_id);

    if (known != NULL) {
        known->banned = on;
        meeting_note_ban(room, user_id, on);
    }
}

void meeting_stored_removal(struct meeting *meeting, struct room *room, const char *user_id)
{
    struct known *known = meeting_known(room, user_id);
    struct meeting_event event = {.kind = MEETING_REMOVED, .reason = "removed"};
    struct participant *next;

    if (known != NULL) {
        known->invited = known->has_role = known->admitted = false;
    }
    if (room->n_participants == 0) {
        return;
    }
    for (struct participant *p = room->participants; p != NULL; p = next) {
        bool last = room->n_participants == 1; /* the room may end with it */

        next = p->next;
        if (strcmp(p->who.user_id, user_id) == 0) {
            event.who = p;
            meeting->ops.to_one(meeting->user, p, &event);
            meeting_evict(meeting, p, "removed");
            if (last) {
                return;
            }
        }
    }
}
