#include "rest/meetings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "auth/hasher.h"
#include "meeting/host.h"
#include "meeting/meeting.h"
#include "net/net.h"
#include "proto/ortc.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "schema/check.h"
#include "sys/clock.h"
#include "sys/entropy.h"

enum { HOUR_S = 3600, DAY_S = 86400 };

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

static const char *text_of(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static int64_t seconds_of(const json_t *json, const char *name, int64_t otherwise)
{
    const char *text = text_of(json, name);
    int64_t ms;

    return text != NULL && schema_time_parse(text, &ms) == 0 ? ms / 1000 : otherwise;
}

static json_t *with_version(const json_t *meeting, uint64_t version)
{
    json_t *copy = json_copy((json_t *)meeting);

    (void)json_object_set_new(copy, "version", json_integer((json_int_t)version));
    return copy;
}

/* What a new meeting is unless it says otherwise. */
static json_t *defaults(void)
{
    return json_pack(
        "{s:n, s:n, s:n, s:s, s:n, s:i, s:b, s:b, s:b, s:b, s:b, s:b,"
        " s:{s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b}}",
        "meeting_description", "meeting_start_time", "meeting_end_time", "meeting_type",
        "scheduled", "recurrence", "max_participants", 10000, "waiting_room_enabled", 0,
        "require_host_approval", 0, "allow_guests", 1, "allow_attendee_media", 1,
        "allow_guest_chat", 0, "locked", 0, "features", "video_enabled", 1, "audio_enabled",
        1, "screen_sharing_enabled", 1, "chat_enabled", 1, "recording_enabled", 1,
        "breakout_rooms_enabled", 1, "whiteboard_enabled", 1, "hand_raise_enabled", 1);
}

/* Puts the members of 'change' into the task's meeting, features one by one. */
static void merge(json_t *meeting, const json_t *change)
{
    json_t *features = json_incref(json_object_get(meeting, "features"));

    (void)json_object_update(meeting, (json_t *)change);
    if (json_is_object(json_object_get(change, "features")) && features != NULL) {
        json_t *whole = json_copy(features);

        (void)json_object_update(whole, json_object_get(change, "features"));
        (void)json_object_set_new(meeting, "features", whole);
    }
    json_decref(features);
    (void)json_object_del(meeting, "participants"); /* documents of their own */
}

/* What no single field shows. False: answered. */
static bool is_sensible(struct task *task)
{
    const json_t *m = task->meeting;
    int64_t start = seconds_of(m, "meeting_start_time", 0);
    int64_t end = seconds_of(m, "meeting_end_time", INT64_MAX);
    bool recurs = strcmp(text_of(m, "meeting_type"), "recurring") == 0;
    struct schema_errors errors = {.n = 0};
    struct net_req *req = task->req;

    if (end < start) {
        schema_error_add(&errors, "/meeting_end_time", "must not be before the start");
    }
    if (recurs != (text_of(m, "recurrence") != NULL)) {
        schema_error_add(&errors, "/recurrence",
                         recurs ? "a recurring meeting needs one"
                                : "is for meetings of the type recurring only");
    }
    if (errors.n == 0) {
        task->doc.at = start != 0 ? start : seconds_of(m, "created_at", now_s());
        return true;
    }
    task_end(task);
    if (req != NULL) {
        respond_invalid(req, &errors);
    }
    return false;
}

static void stamp(struct task *task)
{
    (void)json_object_set_new(task->meeting, "updated_at", task_time(now_s()));
    (void)json_object_set_new(task->meeting, "meeting_status", json_string(task->state));
}

/* The meeting as it now is, with an event and an audit entry, as one. */
static void save(struct task *task, const char *type, const char *act)
{
    stamp(task);
    task_put_meeting(task, task->doc.version);
    task_event(task, type, with_version(task->meeting, task->doc.version + 1));
    task_audit(task, act, NULL);
    json_decref(task->answer);
    task->answer = json_copy(task->meeting);
    task->new_version = true;
    task_commit(task);
}

/* ---- made ---- */

/* The answer that was given to the same key before. */
static void on_made_before(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    json_t *meeting;

    if (result->err != 0) {
        task_fail(task, result->err);
        return;
    }
    meeting = json_loads(result->docs[0].json, 0, NULL);
    (void)json_object_set_new(meeting, "version",
                              json_integer((json_int_t)result->docs[0].version));
    task_answer(task, meeting, result->docs[0].version);
}

/* The key is kept with the meeting it made: the write below refuses a second one. */
static bool take_key(struct task *task)
{
    const char *key = net_req_header(task->req, "idempotency-key");
    char *body;
    char text[512];
    struct store_write *w;

    if (key == NULL) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "%s\n%s\n%.300s", task->who.user_id,
                   task->route->path, key);
    hasher_digest(text, task->key);
    w = task_write(task);
    body = json_dumps(task->body, JSON_COMPACT | JSON_SORT_KEYS);
    hasher_digest(body != NULL ? body : "", task->ids[0]);
    task->texts[0] = body;
    w->what = STORE_PUT;
    w->kind = STORE_IDEMPOTENCY;
    w->doc = (struct store_doc){.tenant = task->who.tenant,
                                .id = task->key,
                                .group = text_of(task->meeting, "id"),
                                .ref = task->who.user_id,
                                .state = task->ids[0],
                                .at = now_s(),
                                .expires_s = now_s() + DAY_S};
    return true;
}

static void on_same_key(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    int err = result->err;

    if (err == -ENOENT) {
        save(task, "kcs.meeting.created", "meeting.create");
        return;
    }
    if (err == 0 && strcmp(result->docs[0].state, task->ids[0]) != 0) {
        task_refuse(task, 422, "idempotency_key_reused",
                    "this Idempotency-Key was used for another body");
        return;
    }
    if (err == 0) {
        err = store_get(task->store, STORE_MEETING, task->who.tenant, result->docs[0].group,
                        on_made_before, task);
    }
    if (err != 0) {
        task_fail(task, err);
    }
}

void meetings_create(const struct rest_call *call)
{
    struct task *task = task_new(call);
    char id[TASK_ID + 1];
    int err;

    if (task == NULL) {
        return;
    }
    entropy_id(id, TASK_ID);
    (void)snprintf(task->creator, sizeof(task->creator), "%s", task->who.user_id);
    strcpy(task->state, "scheduled");
    task->meeting = defaults();
    (void)json_object_update_new(task->meeting,
                                 json_pack("{s:s, s:s, s:s, s:o}", "id", id, "tenant",
                                           task->who.tenant, "creator_id", task->creator,
                                           "created_at", task_time(now_s())));
    merge(task->meeting, task->body);
    if (!is_sensible(task)) {
        return;
    }
    if (!take_key(task)) {
        save(task, "kcs.meeting.created", "meeting.create");
        return;
    }
    err = store_get(task->store, STORE_IDEMPOTENCY, task->who.tenant, task->key,
                    on_same_key, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

/* ---- read ---- */

static json_t *meeting_of(struct task *task, const struct store_doc *doc)
{
    json_t *meeting = json_loads(doc->json, 0, NULL);

    (void)task;
    (void)json_object_set_new(meeting, "version", json_integer((json_int_t)doc->version));
    return strcmp(doc->state, "deleted") != 0 ? meeting : (json_decref(meeting), NULL);
}

static void on_list(void *arg, const struct store_result *result)
{
    task_answer_page(arg, result, meeting_of);
}

void meetings_list(const struct rest_call *call)
{
    struct task *task = task_new(call);
    struct store_query query = {.kind = STORE_MEETING};
    char after[STORE_ID_MAX + 1];
    int err;

    if (task == NULL || !task_page(task, &query, after)) {
        return;
    }
    query.tenant = task->who.tenant;
    query.member = task->who.user_id;
    query.state = text_of(task->query, "status");
    query.from = seconds_of(task->query, "from", 0);
    query.to = seconds_of(task->query, "to", 0);
    err = store_find(task->store, &query, on_list, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

static void answer_meeting(struct task *task)
{
    uint64_t version = task->doc.version;

    task_answer(task, with_version(task->meeting, version), version);
}

void meetings_get(const struct rest_call *call)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task_with_meeting(task, answer_meeting);
    }
}

/* ---- changed ---- */

/* If-Match (RFC 9110, section 13.1.1). False: answered. */
static bool matches(struct task *task, bool needed)
{
    const char *match = task->req != NULL ? net_req_header(task->req, "if-match") : NULL;
    char etag[32];

    if (match == NULL && !needed) {
        return true;
    }
    if (match == NULL) {
        task_refuse(task, 428, "precondition_required",
                    "send If-Match with the ETag of what is to be replaced");
        return false;
    }
    (void)snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)task->doc.version);
    if (strcmp(match, "*") == 0 || strcmp(match, etag) == 0) {
        return true;
    }
    task_refuse(task, 412, "precondition_failed",
                "somebody else has changed it meanwhile: read it again");
    return false;
}

static void change(struct task *task)
{
    if (!matches(task, false)) {
        return;
    }
    merge(task->meeting, task->body);
    if (is_sensible(task)) {
        save(task, "kcs.meeting.updated", "meeting.update");
    }
}

static void replace(struct task *task)
{
    static const char *const kept[] = {"id", "tenant", "creator_id", "created_at"};
    json_t *fresh;

    if (!matches(task, true)) {
        return;
    }
    fresh = defaults();
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        (void)json_object_set(fresh, kept[i], json_object_get(task->meeting, kept[i]));
    }
    json_decref(task->meeting);
    task->meeting = fresh;
    change(task);
}

/* Whoever is there is told, and leaves. */
static void close_room(struct task *task)
{
    if (task->conf->meeting != NULL) {
        meeting_close_room(task->conf->meeting, task->who.tenant, task->params.at[0],
                           "ended");
    }
}

static void take_away(struct task *task)
{
    if (matches(task, false)) {
        strcpy(task->state, "deleted");
        task->written = close_room;
        save(task, "kcs.meeting.deleted", "meeting.delete");
    }
}

static void with_meeting(const struct rest_call *call, task_fn *next)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task_with_meeting(task, next);
    }
}

void meetings_replace(const struct rest_call *call)
{
    with_meeting(call, replace);
}

void meetings_change(const struct rest_call *call)
{
    with_meeting(call, change);
}

void meetings_delete(const struct rest_call *call)
{
    with_meeting(call, take_away);
}

/* ---- begun and ended ---- */

static bool is_over(const struct task *task)
{
    return strcmp(task->state, "ended") == 0 || strcmp(task->state, "cancelled") == 0;
}

static void start(struct task *task)
{
    if (is_over(task)) {
        task_refuse(task, 409, "meeting_over", "the meeting has ended");
    } else if (strcmp(task->state, "live") == 0) {
        answer_meeting(task); /* once more is no error, and not told */
    } else {
        strcpy(task->state, "live");
        save(task, "kcs.meeting.started", "meeting.start");
    }
}

static void finish(struct task *task)
{
    if (is_over(task)) {
        answer_meeting(task);
    } else {
        strcpy(task->state, "ended");
        task->written = close_room;
        save(task, "kcs.meeting.ended", "meeting.end");
    }
}

void meetings_start(const struct rest_call *call)
{
    with_meeting(call, start);
}

void meetings_finish(const struct rest_call *call)
{
    with_meeting(call, finish);
}

/* ---- joined ---- */

static json_t *ice_servers(const struct rest_conf *conf)
{
    json_t *list = json_array();

    for (size_t i = 0; i < conf->n_ice_servers; i++) {
        const struct rest_ice_server *s = &conf->ice_servers[i];
        json_t *one = json_pack("{s:[s]}", "urls", s->url);

        if (s->username[0] != '\0') {
            (void)json_object_set_new(one, "username", json_string(s->username));
            (void)json_object_set_new(one, "credential", json_string(s->credential));
        }
        (void)json_array_append_new(list, one);
    }
    return list;
}

/* Why nobody may come in now; NULL: come in. */
static const char *closed(const struct task *task)
{
    if (is_over(task)) {
        return "the meeting has ended";
    }
    if (json_is_true(json_object_get(task->meeting, "locked")) &&
        !auth_may(task->role, NULL, AUTH_MODERATE)) {
        return "the meeting is locked";
    }
    if (task->role == AUTH_GUEST &&
        !json_is_true(json_object_get(task->meeting, "allow_guests"))) {
        return "the meeting takes no guests";
    }
    return NULL;
}

static void join(struct task *task)
{
    const char *name = text_of(task->body, "display_name");
    const char *host = task->req != NULL ? net_req_header(task->req, "host") : NULL;
    bool tls = task->req != NULL && task->conf->is_tls != NULL &&
               task->conf->is_tls(task->conf->user, net_req_listener(task->req));
    struct auth_identity who = task->who;
    char token[AUTH_TOKEN_MAX];
    char url[512];

    if (closed(task) != NULL) {
        task_refuse(task, 409, "meeting_closed", closed(task));
        return;
    }
    /* Till the meeting's end plus an hour; without an end, for a day. */
    who.expires_s = seconds_of(task->meeting, "meeting_end_time", now_s() + DAY_S) + HOUR_S;
    if (who.expires_s < now_s() + HOUR_S) {
        who.expires_s = now_s() + HOUR_S;
    }
    who.role = task->role == AUTH_ADMIN ? AUTH_HOST : task->role;
    who.jti[0] = '\0';
    (void)snprintf(who.meeting_id, sizeof(who.meeting_id), "%s", task->params.at[0]);
    if (name != NULL) {
        (void)snprintf(who.name, sizeof(who.name), "%s", name);
    }
    if (auth_mint(task->conf->auth, &who, now_s(), token) != 0) {
        task_refuse(task, 400, "invalid", "the name is too long");
        return;
    }
    (void)snprintf(url, sizeof(url), "%s://%s", tls ? "https" : "http",
                   host != NULL ? host : "localhost");
    task_answer(task,
                json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:s}", "meeting_id",
                          who.meeting_id, "token", token, "expires_at",
                          task_time(who.expires_s), "role", auth_role_name(who.role),
                          "ice_servers", ice_servers(task->conf), "socketio_url", url,
                          "socketio_path", "/socket.io/"),
                0);
}

void meetings_join(const struct rest_call *call)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task->open_to_all = true; /* whoever of the tenant knows its id */
        task_with_meeting(task, join);
    }
}

static void webrtc(struct task *task)
{
    task_answer(task,
                json_pack("{s:o, s:o}", "rtp_capabilities", ortc_router_capabilities(),
                          "ice_servers", ice_servers(task->conf)),
                0);
}

void meetings_webrtc(const struct rest_call *call)
{
    with_meeting(call, webrtc);
}

static void live(struct task *task)
{
    const struct room *room =
        meeting_find_room(task->conf->meeting, task->who.tenant, task->params.at[0]);
    json_int_t producers = 0;
    json_int_t consumers = 0;

    for (const struct participant *p = room != NULL ? room->participants : NULL; p != NULL;
         p = p->next) {
        producers += p->n_producers;
        consumers += p->n_consumers;
    }
    task_answer(task,
                json_pack("{s:I, s:I, s:I}", "participants",
                          (json_int_t)(room != NULL ? room->n_participants : 0),
                          "producers", producers, "consumers", consumers),
                0);
}

void meetings_live(const struct rest_call *call)
{
    with_meeting(call, live);
}

/* ---- exported: the meeting and its events, the oldest first ---- */

static void on_events(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    json_t *events = json_array();

    for (size_t i = 0; i < result->n_events; i++) {
        const struct store_event *e = &result->events[i];

        (void)json_array_append_new(
            events, json_pack("{s:I, s:I, s:s, s:o, s:o?}", "epoch", (json_int_t)e->epoch,
                              "seq", (json_int_t)e->seq, "type", e->type, "at",
                              task_time((int64_t)(e->at_us / 1000000)), "data",
                              json_loads(e->json, 0, NULL)));
    }
    if (result->err != 0) {
        json_decref(events);
        task_fail(task, result->err);
        return;
    }
    task_answer(task,
                json_pack("{s:o, s:o, s:b}", "meeting",
                          with_version(task->meeting, task->doc.version), "events", events,
                          "more", (int)result->more),
                0);
}

static void export_all(struct task *task)
{
    int err = store_events(task->store, task->who.tenant, task->params.at[0], 0, 0,
                           STORE_FIND_MAX, on_events, task);

    if (err != 0) {
        task_fail(task, err);
    }
}

void meetings_export(const struct rest_call *call)
{
    with_meeting(call, export_all);
}
