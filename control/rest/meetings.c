#include "rest/meetings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/hasher.h"
#include "meeting/host.h"
#include "meeting/meeting.h"
#include "net/net.h"
#include "proto/jtext.h"
#include "proto/rrule.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "rest/series.h"
#include "rest/task.h"
#include "schema/check.h"
#include "sys/clock.h"
#include "sys/entropy.h"

enum { DAY_S = 86400 };

json_t *meetings_with_version(const json_t *meeting, uint64_t version)
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

        (void)json_object_update_existing(whole, json_object_get(change, "features"));
        (void)json_object_set_new(meeting, "features", whole);
    }
    json_decref(features);
    (void)json_object_del(meeting, "participants"); /* documents of their own */
}

/* What no single field shows. False: answered. */
static bool is_sensible(struct task *task)
{
    const json_t *m = task->meeting;
    int64_t start = task_seconds(m, "meeting_start_time", 0);
    int64_t end = task_seconds(m, "meeting_end_time", INT64_MAX);
    bool recurs = strcmp(task_text(m, "meeting_type"), "recurring") == 0;
    struct schema_errors errors = {.n = 0};
    struct net_req *req = task->req;

    if (end < start) {
        schema_error_add(&errors, "/meeting_end_time", "must not be before the start");
    }
    if (recurs != (task_text(m, "recurrence") != NULL)) {
        schema_error_add(&errors, "/recurrence",
                         recurs ? "a recurring meeting needs one"
                                : "is for meetings of the type recurring only");
    } else if (recurs) {
        series_check(m, &errors);
    }
    if (errors.n == 0) {
        task->doc.at =
            start != 0 ? start : task_seconds(m, "created_at", clock_wall_s());
        task->doc.until = rrule_until(task_text(m, "recurrence"), task->doc.at);
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
    (void)json_object_set_new(task->meeting, "updated_at", task_time(clock_wall_s()));
    (void)json_object_set_new(task->meeting, "meeting_status", json_string(task->state));
}

/* ---- answered, with who is invited ---- */

static void on_people(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    json_t *people = json_array();
    json_t *answer;

    for (size_t i = 0; i < result->n_docs; i++) {
        const struct store_doc *doc = &result->docs[i];
        json_t *body = json_loads(doc->json, 0, NULL);

        (void)json_array_append_new(people, json_pack("{s:s, s:s, s:s*}", "user_id",
                                                      doc->ref, "role", doc->state, "name",
                                                      task_text(body, "name")));
        json_decref(body);
    }
    if (result->err != 0) {
        json_decref(people);
        task_fail(task, result->err);
        return;
    }
    answer = meetings_with_version(task->meeting, task->doc.version);
    (void)json_object_set_new(answer, "participants", people);
    (void)series_add(answer, clock_wall_s(), INT64_MAX);
    task_answer(task, answer, task->doc.version);
}

static void answer_meeting(struct task *task)
{
    const struct store_query query = {.kind = STORE_PARTICIPANT,
                                      .tenant = task->who.tenant,
                                      .group = task_text(task->meeting, "id"),
                                      .limit = STORE_FIND_MAX};
    int err = store_find(task->store, &query, on_people, task);

    if (err != 0) {
        task_fail(task, err);
    }
}

/* It is written: that is one version more. */
static void answer_written(struct task *task)
{
    task->doc.version++;
    answer_meeting(task);
}

/* ---- who is invited with it ---- */

static const char *role_of(const json_t *person)
{
    const char *role = task_text(person, "role");

    return role != NULL ? role : auth_role_name(AUTH_ATTENDEE);
}

/* Nobody gives the host's role who has not got it. False: answered. */
static bool may_invite(struct task *task)
{
    const json_t *person;
    size_t i;

    json_array_foreach(json_object_get(task->body, "participants"), i, person)
    {
        if (strcmp(role_of(person), auth_role_name(AUTH_HOST)) == 0 &&
            !auth_may(task->role, NULL, AUTH_END_MEETING)) {
            task_forbid(task, "this role is not yours to give");
            return false;
        }
    }
    return true;
}

static void put_people(struct task *task)
{
    const json_t *person;
    size_t i;

    json_array_foreach(json_object_get(task->body, "participants"), i, person)
    {
        struct store_write *w = task_write(task);
        size_t at = task->n_writes - 1;
        json_t *json = json_pack("{s:s*}", "name", task_text(person, "name"));

        (void)snprintf(task->ids[at], sizeof(task->ids[at]), "%s/%s",
                       task_text(task->meeting, "id"), task_text(person, "user_id"));
        task->texts[at] = jtext_make(json, JSON_COMPACT);
        json_decref(json);
        w->what = STORE_PUT;
        w->kind = STORE_PARTICIPANT;
        w->expect = STORE_ANY;
        w->doc = (struct store_doc){.tenant = task->who.tenant,
                                    .id = task->ids[at],
                                    .group = task_text(task->meeting, "id"),
                                    .ref = task_text(person, "user_id"),
                                    .state = role_of(person),
                                    .at = clock_wall_s(),
                                    .json = task->texts[at]};
    }
}

/* Its room, if there is one, becomes so too. */
static void tell_room(struct task *task)
{
    const char *id = task_text(task->meeting, "id");
    struct meeting *meeting = task->conf->meeting;
    struct room *room =
        meeting != NULL ? meeting_find_room(meeting, task->who.tenant, id) : NULL;
    const json_t *person;
    enum auth_role role;
    char *json;
    size_t i;

    if (room == NULL || task->conf->changed == NULL) {
        return;
    }
    json_array_foreach(json_object_get(task->body, "participants"), i, person)
    {
        if (auth_role_find(role_of(person), &role)) {
            meeting_stored_person(meeting, room, task_text(person, "user_id"), role);
        }
    }
    json = jtext_make(task->meeting, JSON_COMPACT);
    if (json != NULL) {
        task->conf->changed(task->conf->user, task->who.tenant, id, json,
                            task->doc.version + 1);
    }
    free(json);
}

/* The meeting as it now is, with an event and an audit entry, as one. */
static void save(struct task *task, const char *type)
{
    if (!may_invite(task)) {
        return;
    }
    stamp(task);
    task_put_meeting(task, task->doc.version);
    put_people(task);
    task_event(task, type, meetings_with_version(task->meeting, task->doc.version + 1));
    task_audit(task, NULL);
    task->finish = answer_written;
    task->written = task->written != NULL ? task->written : tell_room;
    task_commit(task);
}

/* ---- made ---- */

/* The answer that was given to the same key before. */
static void on_made_before(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    const struct store_doc *doc = result->docs;

    if (result->err == -ENOENT || (result->err == 0 && strcmp(doc->state, "deleted") == 0)) {
        task_refuse(task, 404, "not_found",
                    "the meeting that this Idempotency-Key made was deleted");
        return;
    }
    if (result->err != 0) {
        task_fail(task, result->err);
        return;
    }
    json_decref(task->meeting);
    task->meeting = json_loads(doc->json, 0, NULL);
    task->doc.version = doc->version;
    answer_meeting(task);
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
    (void)snprintf(text, sizeof(text), "%s\n%s\n%s", task->who.user_id, task->route->path,
                   key);
    hasher_digest(text, task->key);
    w = task_write(task);
    body = jtext_make(task->body, JSON_COMPACT | JSON_SORT_KEYS);
    hasher_digest(body != NULL ? body : "", task->ids[0]);
    task->texts[0] = body;
    w->what = STORE_PUT;
    w->kind = STORE_IDEMPOTENCY;
    w->doc = (struct store_doc){.tenant = task->who.tenant,
                                .id = task->key,
                                .group = task_text(task->meeting, "id"),
                                .ref = task->who.user_id,
                                .state = task->ids[0],
                                .at = clock_wall_s(),
                                .expires_s = clock_wall_s() + DAY_S};
    return true;
}

static void on_same_key(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    int err = result->err;

    if (err == -ENOENT) {
        save(task, "kcs.meeting.created");
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

/* A longer one would be cut, and then be another's. False: answered. */
static bool key_fits(const struct rest_call *call)
{
    const char *key = net_req_header(call->req, "idempotency-key");
    struct schema_errors errors = {.n = 0};

    if (key == NULL || (key[0] != '\0' && strlen(key) <= SCHEMA_REPEAT_MAX)) {
        return true;
    }
    schema_error_add(&errors, "/Idempotency-Key", "must be 1 to 200 characters");
    respond_invalid(call->req, &errors);
    return false;
}

void meetings_create(const struct rest_call *call)
{
    struct task *task = key_fits(call) ? task_new(call) : NULL;
    char id[TASK_ID + 1];
    int err;

    if (task == NULL) {
        return;
    }
    entropy_id(id, TASK_ID);
    (void)snprintf(task->creator, sizeof(task->creator), "%s", task->who.user_id);
    strcpy(task->state, "scheduled");
    task->role = AUTH_HOST;
    task->meeting = defaults();
    (void)json_object_update_new(task->meeting,
                                 json_pack("{s:s, s:s, s:s, s:o}", "id", id, "tenant",
                                           task->who.tenant, "creator_id", task->creator,
                                           "created_at", task_time(clock_wall_s())));
    merge(task->meeting, task->body);
    if (!is_sensible(task)) {
        return;
    }
    if (!take_key(task)) {
        save(task, "kcs.meeting.created");
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
    int64_t from = task_seconds(task->query, "from", 0);
    bool there;

    (void)json_object_set_new(meeting, "version", json_integer((json_int_t)doc->version));
    there = series_add(meeting, from != 0 ? from : clock_wall_s(),
                       task_seconds(task->query, "to", INT64_MAX)) ||
            from == 0 || doc->at >= from;
    return there && strcmp(doc->state, "deleted") != 0 ? meeting
                                                       : (json_decref(meeting), NULL);
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
    query.state = task_text(task->query, "status");
    query.from = task_seconds(task->query, "from", 0);
    query.to = task_seconds(task->query, "to", 0);
    err = store_find(task->store, &query, on_list, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

void meetings_get(const struct rest_call *call)
{
    task_begin_with_meeting(call, answer_meeting);
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
    if (net_etag_listed(match, etag, false)) {
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
        save(task, "kcs.meeting.updated");
    }
}

/* What changes nothing is no change: no new version, and nobody is told. */
static void change_some(struct task *task)
{
    json_t *before = json_deep_copy(task->meeting);
    bool same;

    merge(task->meeting, task->body);
    same = before != NULL && json_equal(before, task->meeting) &&
           json_object_get(task->body, "participants") == NULL;
    json_decref(before);
    if (!same) {
        change(task);
    } else if (matches(task, false)) {
        answer_meeting(task);
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
        save(task, "kcs.meeting.deleted");
    }
}

void meetings_replace(const struct rest_call *call)
{
    task_begin_with_meeting(call, replace);
}

void meetings_change(const struct rest_call *call)
{
    task_begin_with_meeting(call, change_some);
}

void meetings_delete(const struct rest_call *call)
{
    task_begin_with_meeting(call, take_away);
}

/* ---- begun and ended ---- */

bool meetings_is_over(const struct task *task)
{
    return strcmp(task->state, "ended") == 0 || strcmp(task->state, "cancelled") == 0;
}

static void start(struct task *task)
{
    if (meetings_is_over(task)) {
        task_refuse(task, 409, "meeting_over", "the meeting has ended");
    } else if (strcmp(task->state, "live") == 0) {
        answer_meeting(task); /* once more is no error, and not told */
    } else {
        strcpy(task->state, "live");
        save(task, "kcs.meeting.started");
    }
}

/* A recurring one is over only with its last time. */
static void finish(struct task *task)
{
    if (meetings_is_over(task)) {
        answer_meeting(task);
    } else {
        strcpy(task->state, series_goes_on(task->meeting) ? "scheduled" : "ended");
        task->written = close_room;
        save(task, "kcs.meeting.ended");
    }
}

void meetings_start(const struct rest_call *call)
{
    task_begin_with_meeting(call, start);
}

void meetings_finish(const struct rest_call *call)
{
    task_begin_with_meeting(call, finish);
}
