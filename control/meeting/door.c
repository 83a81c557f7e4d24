/* Who comes in, and who waits before the door: meeting_join() and the lobby of host.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "meeting/priv.h"
#include "sfu/base/handle.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"

/* ---- may it? ---- */

/* The room that 'who' finds under this name, or NULL with 'err'. */
static struct room *find(struct meeting *meeting, const struct auth_identity *who,
                         const char *meeting_id, struct meeting_error *err)
{
    bool bound = strcmp(who->meeting_id, meeting_id) == 0;
    struct room *room;

    /* A token for another meeting learns nothing of this one, not even that it exists. */
    if (meeting_id[0] == '\0' || strlen(meeting_id) > MEETING_ID_MAX ||
        (who->meeting_id[0] != '\0' && !bound)) {
        (void)meeting_fail(err, "not_found", "there is no such meeting");
        return NULL;
    }
    room = meeting_find_room(meeting, who->tenant, meeting_id);
    if (room == NULL && bound) {
        return meeting_open_room(meeting, who->tenant, meeting_id, err);
    }
    if (room == NULL) {
        (void)meeting_fail(err, "not_found", "there is no such meeting");
    }
    return room;
}

static bool is_host(enum auth_role role)
{
    return auth_may(role, NULL, AUTH_MODERATE);
}

static int full(const struct room *room, struct meeting_error *err)
{
    return room->n_participants < room->max_participants
               ? 0
               : meeting_fail(err, "room_full", "the meeting is full (%u people)",
                              room->n_participants);
}

int meeting_node_full(struct meeting *meeting, uint32_t n, uint32_t transports,
                      struct meeting_error *err)
{
    const uint32_t most = meeting->conf.max_people;
    const struct media *media = meeting->conf.media;
    const uint64_t peers = media != NULL ? media_slots_of(media, MEDIA_PEER) : 0;
    const uint64_t served = meeting->n_served;
    uint64_t due;

    if (most != 0 && (meeting->n_participants >= most || n > most - meeting->n_participants)) {
        return meeting_fail(err, "node_full", "the node has %u people, and takes %u",
                            meeting->n_participants, most);
    }
    /* who came and has none yet is about to make them; while the dataplane is away only
     * control's own limit holds */
    due = meeting->n_transports + (meeting->nobody.peer != HANDLE_NONE) +
          (meeting->n_participants - served) * MEETING_TRANSPORTS +
          (uint64_t)n * transports;
    if (peers != 0 && due > peers) {
        return meeting_fail(err, "node_full",
                            "the node has %u people, and no transports for %u more",
                            meeting->n_participants, n);
    }
    return 0;
}

/* Whether somebody with this role, who may be remembered, may enter now. */
static int may_enter(const struct room *room, const char *user_id, enum auth_role role,
                     const struct known *known, struct meeting_error *err)
{
    if (room->closing || room->over) {
        return meeting_fail(err, "not_found", "the meeting has ended");
    }
    if (room->loading) {
        return meeting_overloaded(err, "the meeting is being opened; try again");
    }
    if (meeting_is_banned(room, user_id)) {
        return meeting_fail(err, "banned", "a host has removed you from this meeting");
    }
    if (role == AUTH_GUEST && !meeting_has(room, MEETING_BIT(ALLOW_GUESTS)) &&
        (known == NULL || !known->invited)) {
        return meeting_fail(err, "forbidden", "this meeting takes no guests");
    }
    if (meeting_has(room, MEETING_BIT(LOCKED)) && !is_host(role) &&
        (known == NULL || !known->invited)) {
        return meeting_fail(err, "locked", "the meeting is locked");
    }
    return full(room, err);
}

static bool has_to_wait(const struct room *room, enum auth_role role,
                        const struct known *known)
{
    bool approval = meeting_has(room, MEETING_BIT(HOST_APPROVAL));

    if (is_host(role) || (known != NULL && known->admitted)) {
        return false;
    }
    return approval || (meeting_has(room, MEETING_BIT(WAITING_ROOM)) &&
                        (known == NULL || !known->invited));
}

int meeting_refuses(struct meeting *meeting, const struct auth_identity *who,
                    const char *meeting_id, uint32_t transports, struct meeting_error *err)
{
    const struct room *room = meeting_find_room(meeting, who->tenant, meeting_id);
    const struct known *known;
    int ret;

    if (meeting_node_full(meeting, 1, transports, err) != 0) {
        meeting->n_node_full++;
        return -1;
    }
    if (room == NULL || room->loading ||
        (who->meeting_id[0] != '\0' && strcmp(who->meeting_id, meeting_id) != 0)) {
        return 0; /* that is found out when it is its turn */
    }
    known = meeting_known(room, who->user_id);
    ret = may_enter(room, who->user_id,
                    known != NULL && known->has_role ? known->role : who->role, known, err);
    meeting->n_room_full += ret != 0 && strcmp(err->code, "room_full") == 0;
    return ret;
}

/* ---- people ---- */

static struct participant *make(struct meeting *meeting, struct room *room,
                                const char *token)
{
    struct participant *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    (void)snprintf(p->resume_token, sizeof(p->resume_token), "%s", token);
    p->room = room;
    if (meeting_index_token(meeting, p) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

static void add_to_room(struct meeting *meeting, struct participant *p)
{
    struct room *room = p->room;

    p->next = room->participants;
    p->at = &room->participants;
    if (p->next != NULL) {
        p->next->at = &p->next;
    }
    room->participants = p;
    room->n_participants++;
    room->keep_until_us = 0;
    meeting->n_participants++;
}

struct participant *meeting_add_participant(struct meeting *meeting, struct room *room,
                                            const char *token)
{
    struct participant *p = make(meeting, room, token);

    if (p != NULL) {
        add_to_room(meeting, p);
    }
    return p;
}

/* It is in, and all hear of it. */
static void begin(struct meeting *meeting, struct participant *p)
{
    struct room *room = p->room;

    p->joined_us = clock_wall_us();
    meeting_note_role(p);
    room->lobby_changed |= room->n_waiting > 0; /* it may be a host, who has to know */
    log_info("participant_joined", LOG_STR("meeting_id", room->id),
             LOG_STR("participant_id", p->id));
    meeting_tell_person(meeting, p, p,
                        (struct meeting_event){.kind = MEETING_JOINED, .who = p});
}

static void wait_in_lobby(struct participant *p)
{
    struct room *room = p->room;

    p->waiting = true;
    p->joined_us = clock_wall_us();
    p->next = room->waiting;
    room->waiting = p;
    room->n_waiting++;
    room->lobby_changed = true;
    log_info("participant_waits", LOG_STR("meeting_id", room->id),
             LOG_STR("participant_id", p->id));
}

static struct participant *enter(struct meeting *meeting, const struct auth_identity *who,
                                 const char *meeting_id, const char *name, void *client,
                                 bool may_wait, struct meeting_error *err)
{
    struct room *room = find(meeting, who, meeting_id, err);
    const struct known *known = room != NULL ? meeting_known(room, who->user_id) : NULL;
    enum auth_role role = known != NULL && known->has_role ? known->role : who->role;
    struct participant *p = NULL;
    char token[MEETING_TOKEN + 1];
    bool waits;

    if (room == NULL) {
        return NULL;
    }
    waits = has_to_wait(room, role, known);
    if (may_enter(room, who->user_id, role, known, err) == 0 &&
        meeting_node_full(meeting, 1, may_wait ? MEETING_TRANSPORTS : 1, err) == 0) {
        if (waits && (!may_wait || room->n_waiting >= MEETING_WAITING)) {
            (void)meeting_fail(err, may_wait ? "room_full" : "waiting_room",
                               may_wait ? "too many people wait already"
                                        : "a host has to let you in");
        } else {
            entropy_id(token, MEETING_TOKEN);
            p = make(meeting, room, token);
            if (p == NULL) {
                (void)meeting_fail_errno(err, -ENOMEM);
            }
        }
    }
    if (p == NULL) {
        meeting_close_room_if_empty(meeting, room);
        return NULL;
    }
    meeting_new_id(meeting, p->id);
    p->who = *who;
    /* an administrator is of the tenant: in a room it may what a host may */
    p->who.role = role == AUTH_ADMIN ? AUTH_HOST : role;
    if (known != NULL && meeting_rank(p->who.role) > meeting_rank(AUTH_PRESENTER)) {
        p->muted = known->muted;
    }
    (void)snprintf(p->name, sizeof(p->name), "%s",
                   name[0] != '\0'        ? name
                   : who->name[0] != '\0' ? who->name
                                          : "Guest");
    p->client = client;
    if (waits) {
        wait_in_lobby(p);
    } else {
        add_to_room(meeting, p);
        begin(meeting, p);
    }
    return p;
}

struct participant *meeting_join(struct meeting *meeting, const struct auth_identity *who,
                                 const char *meeting_id, const char *name, void *client,
                                 struct meeting_error *err)
{
    return enter(meeting, who, meeting_id, name, client, false, err);
}

struct participant *meeting_enter(struct meeting *meeting, const struct auth_identity *who,
                                  const char *meeting_id, const char *name, void *client,
                                  struct meeting_error *err)
{
    return enter(meeting, who, meeting_id, name, client, true, err);
}

/* ---- the lobby ---- */

static void unwait(struct participant *p)
{
    struct participant **at = &p->room->waiting;

    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    p->room->n_waiting--;
    p->room->lobby_changed = true;
}

void meeting_stop_waiting(struct meeting *meeting, struct participant *p)
{
    struct room *room = p->room;

    unwait(p);
    meeting_unindex_token(meeting, p);
    meeting_end_join(p, "not_let_in");
    free(p->views);
    free(p);
    meeting_close_room_if_empty(meeting, room);
}

static void let_in(struct meeting *meeting, struct participant *p)
{
    const struct meeting_event event = {.kind = MEETING_ADMITTED, .who = p};
    struct meeting_error err;
    struct known *known = meeting_remember(p->room, p->who.user_id, &err);

    if (known != NULL) { /* else it has to wait again when it comes again */
        known->admitted = true;
    }
    unwait(p);
    p->waiting = false;
    add_to_room(meeting, p);
    begin(meeting, p);
    meeting->ops.to_one(meeting->user, p, &event);
}

static void send_away(struct meeting *meeting, struct participant *p, const char *reason)
{
    const struct meeting_event event = {.kind = MEETING_DENIED, .who = p, .reason = reason};

    meeting->ops.to_one(meeting->user, p, &event);
    meeting->ops.ended(meeting->user, p);
    meeting_stop_waiting(meeting, p);
}

static bool named(const struct participant *p, const char *id)
{
    return strcmp(p->id, id) == 0 || strcmp(p->who.user_id, id) == 0;
}

static bool named_by_any(const struct participant *p, const char *const *ids, size_t n)
{
    bool found = n == 0;

    for (size_t i = 0; i < n && !found; i++) {
        found = named(p, ids[i]);
    }
    return found;
}

/* How many are meant; -1 with 'err' if one of 'ids' does not wait. */
static int count_named(const struct room *room, const char *const *ids, size_t n,
                       struct meeting_error *err)
{
    int count = 0;

    for (size_t i = 0; i < n; i++) {
        const struct participant *p = room->waiting;

        while (p != NULL && !named(p, ids[i])) {
            p = p->next;
        }
        if (p == NULL) {
            return meeting_fail(err, "not_found", "nobody with the id %s waits", ids[i]);
        }
    }
    for (const struct participant *p = room->waiting; p != NULL; p = p->next) {
        count += named_by_any(p, ids, n) ? 1 : 0;
    }
    return count;
}

/* Who came first goes first: the list begins with who came last. */
static struct participant *first_named(const struct room *room, const char *const *ids,
                                       size_t n)
{
    struct participant *found = NULL;

    for (struct participant *p = room->waiting; p != NULL; p = p->next) {
        found = named_by_any(p, ids, n) ? p : found;
    }
    return found;
}

int meeting_admit(struct meeting *meeting, struct participant *by, const char *const *ids,
                  size_t n, struct meeting_error *err)
{
    struct room *room = by->room;
    struct participant *p;
    int count;

    if (meeting_need_host(by, err) != 0) {
        return -1;
    }
    count = count_named(room, ids, n, err);
    if (count < 0) {
        return -1;
    }
    if (room->n_participants + (uint32_t)count > room->max_participants) {
        return meeting_fail(err, "room_full", "the meeting takes %u more people",
                            room->max_participants - room->n_participants);
    }
    if (meeting_node_full(meeting, (uint32_t)count, MEETING_TRANSPORTS, err) != 0) {
        return -1;
    }
    while ((p = first_named(room, ids, n)) != NULL) {
        let_in(meeting, p);
    }
    return 0;
}

int meeting_deny(struct meeting *meeting, struct participant *by, const char *const *ids,
                 size_t n, struct meeting_error *err)
{
    struct participant *p;

    if (meeting_need_host(by, err) != 0 || count_named(by->room, ids, n, err) < 0) {
        return -1;
    }
    while ((p = first_named(by->room, ids, n)) != NULL) {
        send_away(meeting, p, "denied");
    }
    return 0;
}

void meeting_admit_all(struct meeting *meeting, struct room *room)
{
    struct meeting_error err;
    struct participant *p;

    while ((p = first_named(room, NULL, 0)) != NULL && full(room, &err) == 0 &&
           meeting_node_full(meeting, 1, MEETING_TRANSPORTS, &err) == 0) {
        let_in(meeting, p);
    }
}

void meeting_deny_all(struct meeting *meeting, struct room *room, const char *reason)
{
    struct participant *next;

    for (struct participant *p = room->waiting; p != NULL; p = next) {
        next = p->next;
        send_away(meeting, p, reason);
    }
}

void meeting_lobby_tick(struct meeting *meeting, struct room *room)
{
    const struct meeting_event event = {
        .kind = MEETING_LOBBY, .room = room, .audience = {.reach = FACT_HOSTS}};

    if (room->lobby_changed) {
        room->lobby_changed = false;
        meeting->ops.to_room(meeting->user, room, NULL, &event);
    }
}
