/* Who is here: connections that break and come back, and who leaves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

void meeting_leave(struct meeting *meeting, struct participant *p, const char *reason)
{
    struct room *room = p->room;

    if (p->waiting) {
        meeting_stop_waiting(meeting, p);
        return;
    }
    while (p->transports != NULL) {
        meeting_end_transport(meeting, p->transports);
    }
    if (p->screen) {
        struct meeting_error err;

        (void)meeting_screen(meeting, p, false, &err);
    }
    *p->at = p->next;
    if (p->next != NULL) {
        p->next->at = p->at;
    }
    meeting_take_off_lists(p);
    room->n_viewers -= p->viewer ? 1 : 0;
    room->n_participants--;
    meeting->n_participants--;
    if (p->client == NULL && meeting->n_away > 0) {
        meeting->n_away--;
    }
    meeting_unindex_token(meeting, p);
    if (strcmp(room->spotlight, p->id) == 0) {
        memset(room->spotlight, 0, sizeof(room->spotlight));
    }
    log_info("participant_left", LOG_STR("meeting_id", room->id),
             LOG_STR("participant_id", p->id), LOG_STR("reason", reason));
    meeting_tell_person(
        meeting, p, p,
        (struct meeting_event){.kind = MEETING_LEFT, .who = p, .reason = reason});
    meeting_end_join(p, "no_media");
    free(p->views);
    free(p);
    meeting_close_room_if_empty(meeting, room);
}

void meeting_detach(struct meeting *meeting, struct participant *p, const char *reason)
{
    if (p->media_lost || p->waiting) {
        meeting_leave(meeting, p, reason);
        return;
    }
    log_info("participant_away", LOG_STR("meeting_id", p->room->id),
             LOG_STR("participant_id", p->id), LOG_STR("reason", reason));
    p->client = NULL;
    p->away_reason = reason;
    p->away_until_us = clock_mono_us() + meeting->conf.grace_ms * UINT64_C(1000);
    meeting->n_away++;
}

struct participant *meeting_resume(struct meeting *meeting, const struct auth_identity *who,
                                   const char *meeting_id, const char *token, void *client,
                                   void **old, struct meeting_error *err)
{
    struct participant *p = meeting_find_token(meeting, token);

    if (p == NULL || p->media_lost || p->waiting || strcmp(p->room->id, meeting_id) != 0 ||
        strcmp(p->who.tenant, who->tenant) != 0 ||
        strcmp(p->who.user_id, who->user_id) != 0) {
        if (!meeting->seen_media) {
            (void)meeting_fail_errno(err, -ENOTCONN);
        } else {
            (void)meeting_fail(err, "not_found", "there is nothing to resume");
        }
        return NULL;
    }
    *old = p->client;
    if (p->client == NULL) {
        meeting->n_away--;
    }
    p->client = client;
    log_info("participant_resumed", LOG_STR("meeting_id", p->room->id),
             LOG_STR("participant_id", p->id));
    return p;
}

void meeting_keep(struct participant *p, const void *data, size_t n)
{
    p->n_front_data = (uint8_t)(n <= sizeof(p->front_data) ? n : 0);
    memcpy(p->front_data, data, p->n_front_data);
    meeting_save_person(p);
}
