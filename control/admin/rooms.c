/* Meetings and who is in them, and what an operator does to both; see admin.h. */
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "auth/audit.h"
#include "auth/role.h"
#include "meeting/host.h"
#include "net/net.h"
#include "sys/clock.h"
#include "sys/log.h"

/* ---- which room ---- */

struct wanted {
    const char *id, *tenant; /* tenant NULL: of any */
    struct room *room;       /* the first that was found */
    unsigned n;
};

static void match(void *arg, struct room *room)
{
    struct wanted *wanted = arg;

    if (strcmp(room->id, wanted->id) == 0 &&
        (wanted->tenant == NULL || strcmp(room->tenant, wanted->tenant) == 0)) {
        wanted->room = wanted->n++ == 0 ? room : wanted->room;
    }
}

/* The room that the query names; NULL: it was told why not. */
static struct room *find_room(const struct admin *admin, struct net_req *req)
{
    struct wanted wanted = {.id = net_req_query(req, "meeting"),
                            .tenant = net_req_query(req, "tenant")};

    if (wanted.id == NULL) {
        admin_refuse(req, 400, "invalid", "give meeting=ID");
        return NULL;
    }
    meeting_each_room(admin->conf.meeting, match, &wanted);
    if (wanted.n == 0) {
        admin_refuse(req, 404, "not_found", "nobody is in such a meeting: see kcsctl rooms");
        return NULL;
    }
    if (wanted.n > 1) {
        admin_refuse(req, 409, "ambiguous", "several tenants have it: say which (--tenant)");
        return NULL;
    }
    return wanted.room;
}

/* ---- lists ---- */

static void put_time(json_t *row, const char *key, uint64_t wall_us)
{
    char text[CLOCK_RFC3339_LEN];

    clock_format(wall_us, text);
    json_object_set_new(row, key, json_string(text));
}

/* Names of the bits, with spaces between. */
static json_t *media_names(unsigned bits)
{
    return json_sprintf("%s%s%s", (bits & MEETING_AUDIO) != 0 ? "audio " : "",
                        (bits & MEETING_VIDEO) != 0 ? "video " : "",
                        (bits & MEETING_SCREEN) != 0 ? "screen" : "");
}

static json_t *room_row(const struct room *room)
{
    uint64_t n_producers = 0;
    uint64_t n_consumers = 0;
    uint64_t n_transports = 0;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        n_producers += p->n_producers;
        n_consumers += p->n_consumers;
        n_transports += p->n_transports;
    }
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:I}", "meeting_id",
                     room->id, "tenant", room->tenant, "name", room->name, "participants",
                     (json_int_t)room->n_participants, "waiting",
                     (json_int_t)room->n_waiting, "viewers", (json_int_t)room->n_viewers,
                     "transports", (json_int_t)n_transports, "producers",
                     (json_int_t)n_producers, "consumers", (json_int_t)n_consumers, "locked",
                     (int)((room->flags & MEETING_BIT(LOCKED)) != 0), "epoch",
                     (json_int_t)room->epoch, "seq", (json_int_t)room->seq);
}

static json_t *participant_row(const struct participant *p)
{
    json_t *row = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:o,s:o}", "participant_id", p->id,
        "user_id", p->who.user_id, "name", p->name, "meeting_id", p->room->id, "role",
        auth_role_name(p->who.role), "by",
        p->front == MEETING_SOCKET ? "socketio" : p->viewer ? "whep" : "whip", "state",
        p->waiting          ? "waiting"
        : p->client == NULL ? "away"
                            : "here",
        "transports", (json_int_t)p->n_transports, "producers", (json_int_t)p->n_producers,
        "consumers", (json_int_t)p->n_consumers, "muted_by_host", media_names(p->muted),
        "muted", media_names(p->off));

    put_time(row, "joined", p->joined_us);
    return row;
}

static json_t *people_of(const struct room *room, json_t *rows)
{
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        json_array_append_new(rows, participant_row(p));
    }
    for (const struct participant *p = room->waiting; p != NULL; p = p->next) {
        json_array_append_new(rows, participant_row(p));
    }
    return rows;
}

static void add_room(void *arg, struct room *room)
{
    json_array_append_new(arg, room_row(room));
}

static void add_people(void *arg, struct room *room)
{
    (void)people_of(room, arg);
}

json_t *admin_rooms(const struct admin *admin)
{
    json_t *rows = json_array();

    meeting_each_room(admin->conf.meeting, add_room, rows);
    return rows;
}

void admin_participants(const struct admin *admin, struct net_req *req)
{
    json_t *rows;
    const struct room *room = NULL;

    if (net_req_query(req, "meeting") != NULL) {
        room = find_room(admin, req);
        if (room == NULL) {
            return;
        }
    }
    rows = json_array();
    if (room != NULL) {
        (void)people_of(room, rows);
    } else {
        meeting_each_room(admin->conf.meeting, add_people, rows);
    }
    admin_answer(req, rows);
}

void admin_room(const struct admin *admin, struct net_req *req)
{
    const struct room *room = find_room(admin, req);
    json_t *data;

    if (room == NULL) {
        return;
    }
    data = room_row(room);
    (void)json_object_update_new(
        data, json_pack("{s:s,s:s,s:I,s:s}", "creator", room->creator, "layout",
                        meeting_layout_names[room->layout], "max_participants",
                        (json_int_t)room->max_participants, "speaker",
                        room->speaker != NULL ? room->speaker->transport->owner->id : ""));
    for (unsigned i = 0; i < N_MEETING_FLAGS; i++) {
        json_object_set_new(data, meeting_flag_names[i],
                            json_boolean((room->flags >> i & 1) != 0));
    }
    json_object_set_new(data, "people", people_of(room, json_array()));
    admin_answer(req, data);
}

/* ---- orders ---- */

int admin_note_then(const struct admin *admin, struct net_req *req, const char *act,
                    const struct admin_place *place, const char *target, store_done *done,
                    void *arg)
{
    struct audit_act entry = {.tenant = place != NULL ? place->tenant : "",
                              .actor = "operator",
                              .meeting = place != NULL ? place->meeting : NULL,
                              .act = act,
                              .target = target,
                              .address = req != NULL ? net_req_remote(req) : "unix",
                              .result = "ok",
                              .days = admin->conf.audit_days};
    struct store_write writes[AUDIT_WRITES];
    char id[AUDIT_ID + 1];
    char *texts[AUDIT_WRITES] = {NULL};
    int err;

    meeting_number(admin->conf.meeting, entry.tenant, entry.meeting, &entry.epoch,
                   &entry.seq);
    err = audit_fill(&entry, writes, id, texts);
    if (err == 0) {
        err = store_write(admin->conf.store, writes, AUDIT_WRITES, done, arg);
    }
    if (err != 0) {
        log_error("audit_not_written", LOG_STR("act", act));
    }
    free(texts[0]);
    free(texts[1]);
    return err;
}

void admin_note(const struct admin *admin, struct net_req *req, const char *act,
                const struct admin_place *place, const char *target)
{
    if (admin->conf.store != NULL) {
        (void)admin_note_then(admin, req, act, place, target, NULL, NULL);
    }
}

struct admin_place admin_place_of(const struct room *room)
{
    struct admin_place place;

    memcpy(place.tenant, room->tenant, sizeof(place.tenant));
    memcpy(place.meeting, room->id, sizeof(place.meeting));
    return place;
}

/* The room and 'who' (both in the query) of an order about somebody. */
static struct room *find_both(const struct admin *admin, struct net_req *req,
                              const char **who, const char **reason)
{
    *who = net_req_query(req, "who");
    *reason = net_req_query(req, "reason");
    if (*who == NULL) {
        admin_refuse(req, 400, "invalid", "give who=ID, of a participant or a user");
        return NULL;
    }
    if (*reason != NULL && strlen(*reason) > MEETING_REASON_MAX) {
        admin_refuse(req, 400, "invalid", "the reason is too long");
        return NULL;
    }
    return find_room(admin, req);
}

static void refuse_for(struct net_req *req, const struct meeting_error *err)
{
    admin_refuse(req, strcmp(err->code, "not_found") == 0 ? 404 : 409, err->code,
                 err->message);
}

void admin_close_room(const struct admin *admin, struct net_req *req)
{
    struct room *room = find_room(admin, req);
    struct admin_place place;
    json_int_t n;

    if (room == NULL) {
        return;
    }
    place = admin_place_of(room);
    n = room->n_participants;
    meeting_close_room(admin->conf.meeting, place.tenant, place.meeting,
                       "closed_by_operator");
    admin_note(admin, req, "operator.close", &place, NULL);
    admin_answer(req, json_pack("{s:s,s:I}", "closed", place.meeting, "participants", n));
}

void admin_kick(const struct admin *admin, struct net_req *req)
{
    const char *who;
    const char *reason;
    const char *ban = net_req_query(req, "ban");
    struct room *room = find_both(admin, req, &who, &reason);
    struct admin_place place;
    struct meeting_error err;

    if (room == NULL) {
        return;
    }
    place = admin_place_of(room);
    if (meeting_order_remove(admin->conf.meeting, room, who,
                             reason != NULL ? reason : "removed by the operator",
                             ban != NULL, &err) != 0) {
        refuse_for(req, &err);
        return;
    }
    admin_note(admin, req, ban != NULL ? "operator.ban" : "operator.kick", &place, who);
    admin_answer(req, json_pack("{s:s,s:b}", "removed", who, "banned", (int)(ban != NULL)));
}

void admin_mute(const struct admin *admin, struct net_req *req)
{
    static const struct {
        const char *name;
        enum meeting_media media;
    } kinds[] = {
        {"audio", MEETING_AUDIO}, {"video", MEETING_VIDEO}, {"screen", MEETING_SCREEN}};
    const char *kind = net_req_query(req, "kind");
    const char *who;
    const char *reason;
    struct room *room;
    struct admin_place place;
    struct meeting_error err;
    size_t i = 0;

    while (i < sizeof(kinds) / sizeof(kinds[0]) &&
           (kind == NULL || strcmp(kinds[i].name, kind) != 0)) {
        i++;
    }
    if (i == sizeof(kinds) / sizeof(kinds[0])) {
        admin_refuse(req, 400, "invalid", "give kind=audio, video or screen");
        return;
    }
    room = find_both(admin, req, &who, &reason);
    if (room == NULL) {
        return;
    }
    if (meeting_order_mute(admin->conf.meeting, room, who, kinds[i].media, reason, &err) !=
        0) {
        refuse_for(req, &err);
        return;
    }
    place = admin_place_of(room);
    admin_note(admin, req, "operator.mute", &place, who);
    admin_answer(req, json_pack("{s:s,s:s}", "muted", who, "kind", kinds[i].name));
}
