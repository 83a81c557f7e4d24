/* What hosts do to people, and people to how others see them; see host.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "meeting/priv.h"
#include "sys/log.h"

enum { PIN_PRIORITY = 200 };

/* Somebody in the room whom 'by' may treat so: nobody above himself. NULL with 'err'. */
static struct participant *find_below(const struct participant *by, const char *target,
                                      struct meeting_error *err)
{
    struct participant *p = meeting_find_meant(by->room, target);

    if (p == NULL) {
        (void)meeting_fail(err, "not_found", "there is nobody with that id");
    } else if (meeting_rank(p->who.role) < meeting_rank(by->who.role)) {
        (void)meeting_fail(err, "forbidden", "the role %s is above yours",
                           auth_role_name(p->who.role));
        p = NULL;
    }
    return p;
}

/* ---- muting ---- */

/* Pauses or resumes what somebody sends of a kind; he is told only if a host did it. */
static void pause_media(struct meeting *meeting, struct participant *p,
                        enum meeting_media media, bool paused, bool by_host)
{
    for (struct transport *t = p->transports; t != NULL; t = t->next) {
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (meeting_media_of(rp->source) == media) {
                meeting_pause_producer(meeting, rp, paused, by_host ? NULL : p);
            }
        }
    }
}

/* Whoever leaves and comes again is as muted as before, unless the room remembers too many.
 */
static void note_muted(struct participant *p)
{
    struct meeting_error err;
    struct known *known = p->muted != 0 ? meeting_remember(p->room, p->who.user_id, &err)
                                        : meeting_known(p->room, p->who.user_id);

    if (known != NULL) {
        known->muted = p->muted;
    }
}

static void mute_one(struct meeting *meeting, struct participant *by, struct participant *p,
                     enum meeting_media media, const char *reason)
{
    bool locked = meeting_rank(p->who.role) > meeting_rank(AUTH_PRESENTER) &&
                  !meeting_has(p->room, MEETING_BIT(ATTENDEES_UNMUTE));
    struct meeting_event event = {.kind = MEETING_MUTED,
                                  .who = p,
                                  .by = by,
                                  .media = media,
                                  .reason = reason,
                                  .on = !locked};

    if (locked) {
        p->muted |= (uint8_t)media;
        note_muted(p);
    }
    p->off |= (uint8_t)media;
    pause_media(meeting, p, media, true, true);
    meeting_save_person(p);
    meeting->ops.to_one(meeting->user, p, &event);
    meeting_tell_person(meeting, p, p,
                        (struct meeting_event){.kind = MEETING_MEDIA_UPDATED,
                                               .who = p,
                                               .by = by,
                                               .media = media,
                                               .on = false});
}

static void mute_meant(struct meeting *meeting, struct participant *by,
                       const struct room *room, const char *target,
                       enum meeting_media media, const char *reason)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        if (meeting_is_meant(p, target)) {
            mute_one(meeting, by, p, media, reason);
        }
    }
}

int meeting_mute(struct meeting *meeting, struct participant *by, const char *target,
                 enum meeting_media media, const char *reason, struct meeting_error *err)
{
    if (meeting_need_host(by, err) != 0 || find_below(by, target, err) == NULL) {
        return -1;
    }
    mute_meant(meeting, by, by->room, target, media, reason);
    return 0;
}

int meeting_order_mute(struct meeting *meeting, const struct room *room, const char *target,
                       enum meeting_media media, const char *reason,
                       struct meeting_error *err)
{
    if (meeting_find_meant(room, target) == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    mute_meant(meeting, NULL, room, target, media, reason);
    return 0;
}

int meeting_mute_all(struct meeting *meeting, struct participant *by,
                     enum meeting_media media, const char *reason, uint32_t *n,
                     struct meeting_error *err)
{
    *n = 0;
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    for (struct participant *p = by->room->participants; p != NULL; p = p->next) {
        if (p != by && meeting_rank(p->who.role) > meeting_rank(by->who.role)) {
            mute_one(meeting, by, p, media, reason);
            ++*n;
        }
    }
    return 0;
}

int meeting_ask_unmute(struct meeting *meeting, struct participant *by, const char *target,
                       enum meeting_media media, struct meeting_error *err)
{
    struct meeting_event event = {
        .kind = MEETING_UNMUTE_ASKED, .who = by, .by = by, .media = media};
    const struct participant *found;

    if (target[0] == '\0' || meeting_is_meant(by, target)) {
        event.audience.reach = FACT_HOSTS;
        if (meeting_spend(by, MEETING_RATE_HOST, err) != 0) {
            return -1;
        }
        meeting->ops.to_room(meeting->user, by->room, by, &event);
        return 0;
    }
    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    found = meeting_find_meant(by->room, target);
    if (found == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    for (struct participant *p = by->room->participants; p != NULL; p = p->next) {
        if (meeting_is_meant(p, target)) {
            p->muted &= (uint8_t)~media;
            note_muted(p);
            meeting_save_person(p);
            event.who = p;
            meeting->ops.to_one(meeting->user, p, &event);
        }
    }
    return 0;
}

int meeting_toggle(struct meeting *meeting, struct participant *p, enum meeting_media media,
                   bool on, struct meeting_error *err)
{
    if (on && (p->muted & media) != 0) {
        return meeting_fail(err, "muted_by_host", "a host has muted you; ask to speak");
    }
    if (meeting_spend(p, MEETING_RATE_HOST, err) != 0) {
        return -1;
    }
    p->off = (uint8_t)(on ? p->off & ~media : p->off | media);
    pause_media(meeting, p, media, !on, false);
    meeting_tell_person(
        meeting, p, p,
        (struct meeting_event){
            .kind = MEETING_MEDIA_UPDATED, .who = p, .media = media, .on = on});
    return 0;
}

/* ---- removing, roles, names ---- */

/* 'found' is one who is meant by 'target'; 'by' is the id of who wants it. */
static int remove_meant(struct meeting *meeting, struct room *room,
                        const struct participant *found, const char *target, const char *by,
                        const char *reason, bool ban, struct meeting_error *err)
{
    struct meeting_event event = {.kind = MEETING_REMOVED, .reason = reason, .on = ban};
    char user_id[AUTH_ID_MAX + 1];
    struct participant *next;
    struct known *known;

    memcpy(user_id, found->who.user_id, sizeof(user_id));
    known = ban ? meeting_remember(room, user_id, err) : meeting_known(room, user_id);
    if (ban && known == NULL) {
        return -1;
    }
    if (known != NULL) {
        known->banned |= ban;
        meeting_note_ban(room, user_id, known->banned);
        known->admitted = known->invited = false;
    }
    log_info("participant_removed", LOG_STR("meeting_id", room->id),
             LOG_STR("participant_id", found->id), LOG_STR("by", by));
    for (struct participant *p = room->participants; p != NULL; p = next) {
        next = p->next;
        /* who is banned is so as a person, in whatever number he is here */
        if (ban ? strcmp(p->who.user_id, user_id) == 0 : meeting_is_meant(p, target)) {
            event.who = p;
            meeting->ops.to_one(meeting->user, p, &event);
            meeting_evict(meeting, p, ban ? "banned" : "removed");
        }
    }
    meeting_save_room(room);
    return 0;
}

int meeting_remove(struct meeting *meeting, struct participant *by, const char *target,
                   const char *reason, bool ban, struct meeting_error *err)
{
    const struct participant *found;

    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    found = find_below(by, target, err);
    if (found == NULL) {
        return -1;
    }
    if (strcmp(found->who.user_id, by->who.user_id) == 0) {
        return meeting_fail(err, "invalid", "/target_user_id: that is you; leave instead");
    }
    return remove_meant(meeting, by->room, found, target, by->id, reason, ban, err);
}

int meeting_order_remove(struct meeting *meeting, struct room *room, const char *target,
                         const char *reason, bool ban, struct meeting_error *err)
{
    const struct participant *found = meeting_find_meant(room, target);
    uint64_t keep_until_us = room->keep_until_us;
    int ret;

    if (found == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    room->keep_until_us = UINT64_MAX; /* it does not end with the last of them */
    ret = remove_meant(meeting, room, found, target, "operator", reason, ban, err);
    room->keep_until_us = keep_until_us;
    meeting_close_room_if_empty(meeting, room);
    return ret;
}

void meeting_change_role(struct meeting *meeting, struct participant *by,
                         struct participant *p, enum auth_role role)
{
    enum auth_role old = p->who.role;

    p->who.role = role;
    if (!p->waiting) {
        meeting_note_role(p);
    }
    if (meeting_rank(role) <= meeting_rank(AUTH_PRESENTER)) {
        p->muted = 0;
        note_muted(p);
    }
    meeting_save_person(p);
    p->room->lobby_changed |= p->room->n_waiting > 0; /* it may be a host's to know now */
    p->shown = true;
    meeting_tell_fact(
        meeting, p->room, NULL,
        (struct meeting_event){
            .kind = MEETING_ROLE_CHANGED, .who = p, .by = by, .old_role = old});
    meeting_enforce(meeting, p);
}

int meeting_set_role(struct meeting *meeting, struct participant *by, const char *target,
                     enum auth_role role, struct meeting_error *err)
{
    const struct participant *found;
    struct known *known;

    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    found = find_below(by, target, err);
    if (found == NULL) {
        return -1;
    }
    if (meeting_rank(role) < meeting_rank(by->who.role) ||
        (!meeting_may(by, AUTH_END_MEETING) &&
         meeting_rank(role) == meeting_rank(AUTH_HOST))) {
        return meeting_fail(err, "forbidden", "the role %s is above yours",
                            auth_role_name(role));
    }
    known = meeting_remember(by->room, found->who.user_id, err);
    if (known == NULL) {
        return -1;
    }
    known->has_role = true;
    known->role = role;
    for (struct participant *p = by->room->participants; p != NULL; p = p->next) {
        if (strcmp(p->who.user_id, known->user_id) == 0 && p->who.role != role) {
            meeting_change_role(meeting, by, p, role);
        }
    }
    return 0;
}

int meeting_invite(struct meeting *meeting, struct participant *by, const char *user_id,
                   const char *name, enum auth_role role, struct meeting_error *err)
{
    struct known *known;

    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    if (meeting_rank(role) < meeting_rank(by->who.role)) {
        return meeting_fail(err, "forbidden", "the role %s is above yours",
                            auth_role_name(role));
    }
    if (meeting_find_meant(by->room, user_id) != NULL) {
        return meeting_fail(err, "already_exists", "that user is here");
    }
    known = meeting_remember(by->room, user_id, err);
    if (known == NULL) {
        return -1;
    }
    known->invited = known->has_role = true;
    known->banned = false;
    meeting_note_ban(by->room, user_id, false);
    known->role = role;
    meeting_save_room(by->room);
    meeting_tell_fact(meeting, by->room, NULL,
                      (struct meeting_event){.kind = MEETING_INVITED,
                                             .by = by,
                                             .text = known->user_id,
                                             .reason = name,
                                             .old_role = role});
    return 0;
}

int meeting_rename(struct meeting *meeting, struct participant *by, const char *target,
                   const char *name, struct meeting_error *err)
{
    bool own = target[0] == '\0' || meeting_is_meant(by, target);
    struct participant *p = by;

    if (own ? meeting_spend(by, MEETING_RATE_HOST, err) != 0
            : meeting_need_host(by, err) != 0) {
        return -1;
    }
    p = own ? by : find_below(by, target, err);
    if (p == NULL) {
        return -1;
    }
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    meeting_save_person(p);
    meeting_tell_person(
        meeting, p, NULL,
        (struct meeting_event){.kind = MEETING_PERSON_UPDATED, .who = p, .by = by});
    return 0;
}

/* ---- who is looked at ---- */

int meeting_pin(struct meeting *meeting, struct participant *by, const char *target,
                bool on, struct meeting_error *err)
{
    const struct participant *p = meeting_find_meant(by->room, target);

    if (p == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    memset(by->pinned, 0, sizeof(by->pinned));
    if (on) {
        memcpy(by->pinned, p->id, sizeof(by->pinned));
    }
    for (const struct transport *t = by->transports; t != NULL; t = t->next) {
        for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            bool pinned = on && rc->source->transport->owner == p;

            if (rc->priority == PIN_PRIORITY || pinned) {
                (void)meeting_consumer_priority(meeting, by, rc->id,
                                                pinned ? PIN_PRIORITY : 1, err);
            }
        }
    }
    return 0;
}

int meeting_spotlight(struct meeting *meeting, struct participant *by, const char *target,
                      bool on, struct meeting_error *err)
{
    struct participant *p = meeting_find_meant(by->room, target);

    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    if (p == NULL) {
        return meeting_fail(err, "not_found", "there is nobody with that id");
    }
    if (on) {
        memcpy(by->room->spotlight, p->id, sizeof(p->id));
    } else if (strcmp(by->room->spotlight, p->id) == 0) {
        memset(by->room->spotlight, 0, sizeof(by->room->spotlight));
    }
    meeting_tell_fact(
        meeting, by->room, NULL,
        (struct meeting_event){.kind = MEETING_SPOTLIGHTED, .who = p, .by = by, .on = on});
    return 0;
}

/* ---- lists ---- */

bool meeting_sees_person(const struct participant *p, const struct participant *other)
{
    return p == other || !meeting_is_crowd(p->room) || meeting_may(p, AUTH_MODERATE) ||
           meeting_rank(other->who.role) <= meeting_rank(AUTH_PRESENTER);
}

/* Whether a comes before b in lists. */
static bool before(uint64_t a_us, const char *a_id, const struct participant *b)
{
    return a_us != b->joined_us ? a_us < b->joined_us : strcmp(a_id, b->id) < 0;
}

/* What is listed, so far. */
struct listing {
    const struct participant *by;
    const struct meeting_page *page;
    struct participant **out;
    size_t n, limit;
    uint32_t total;
    bool more;
};

static void consider(struct listing *l, struct participant *q)
{
    const struct meeting_page *page = l->page;
    size_t at = l->n;

    if (!meeting_sees_person(l->by, q) ||
        (page->query[0] != '\0' && strcasestr(q->name, page->query) == NULL &&
         strcasestr(q->who.user_id, page->query) == NULL)) {
        return;
    }
    l->total++;
    if (!before(page->after_us, page->after_id, q)) {
        return;
    }
    while (at > 0 && before(q->joined_us, q->id, l->out[at - 1])) {
        at--;
    }
    l->more |= l->n == l->limit;
    if (at < l->limit) {
        l->n += l->n < l->limit ? 1 : 0;
        memmove(l->out + at + 1, l->out + at,
                (l->n - at - 1) * sizeof(struct participant *));
        l->out[at] = q;
    }
}

size_t meeting_list(struct participant *p, const struct meeting_page *page,
                    struct participant *out[MEETING_PAGE], uint32_t *total, bool *more)
{
    struct listing l = {.by = p,
                        .page = page,
                        .out = out,
                        .limit = page->limit < MEETING_PAGE ? page->limit : MEETING_PAGE};

    if (meeting_is_crowd(p->room) && !meeting_may(p, AUTH_MODERATE)) {
        for (struct participant *q = p->room->stage; q != NULL; q = q->next_on_stage) {
            consider(&l, q);
        }
        if (!p->on_stage) {
            consider(&l, p);
        }
    } else {
        for (struct participant *q = p->room->participants; q != NULL; q = q->next) {
            consider(&l, q);
        }
    }
    *total = l.total;
    *more = l.more;
    return l.n;
}
