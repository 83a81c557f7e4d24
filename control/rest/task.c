#include "rest/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/audit.h"
#include "meeting/meeting.h"
#include "net/net.h"
#include "proto/base64.h"
#include "proto/jtext.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "schema/check.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"
#include "trace/trace.h"

struct task *task_new(const struct rest_call *call)
{
    struct task *task = call->conf->store != NULL ? calloc(1, sizeof(*task)) : NULL;

    if (task == NULL) {
        respond_problem(call->req, 503, "no_store",
                        "this node keeps nothing (store.path), or is out of memory", NULL);
        return NULL;
    }
    task->req = call->req;
    task->store = call->conf->store;
    task->conf = call->conf;
    task->rest = call->rest;
    task->route = call->route;
    task->params = call->params;
    task->who = call->who;
    task->query = json_incref(call->query);
    task->body = json_incref(call->body);
    (void)snprintf(task->remote, sizeof(task->remote), "%s", net_req_remote(call->req));
    task->trace = *net_req_traced(call->req);
    (void)snprintf(task->request_id, sizeof(task->request_id), "%s", net_req_id(call->req));
    net_req_set_data(call->req, task);
    return task;
}

void task_end(struct task *task)
{
    if (task == NULL) {
        return;
    }
    if (task->req != NULL) {
        net_req_set_data(task->req, NULL);
    }
    for (size_t i = 0; i < task->n_writes; i++) {
        free(task->texts[i]);
    }
    json_decref(task->query);
    json_decref(task->body);
    json_decref(task->meeting);
    json_decref(task->answer);
    free(task);
}

void task_on_abort(struct net_req *req)
{
    struct task *task = net_req_data(req);

    if (task != NULL) {
        task->req = NULL;
    }
}

void task_answer(struct task *task, json_t *data, uint64_t version)
{
    struct net_req *req = task->req;
    unsigned status = schema_route_status(task->route);
    char etag[32];
    const struct net_header header = {"etag", etag};

    (void)snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)version);
    if (req != NULL && version != 0 && net_req_method(req) == NET_GET) {
        status = net_etag_listed(net_req_header(req, "if-none-match"), etag, true) ? 304
                                                                                  : status;
    }
    task_end(task);
    if (req == NULL) {
        json_decref(data);
    } else if (status == 304) {
        json_decref(data);
        net_respond(req, 304, &header, 1, NULL, 0);
    } else if (status == 204) {
        json_decref(data);
        net_respond(req, 204, NULL, 0, NULL, 0);
    } else {
        respond_data_with(req, status, data, &header, version != 0 ? 1 : 0);
    }
}

/* What is done for a task after its request's handler has returned. */
static void enter(struct trace_scope *scope, const struct task *task)
{
    trace_enter(scope, &task->trace, task->request_id,
                rest_is_of_meeting(task->route) ? task->params.at[0] : NULL, NULL);
}

void task_refuse(struct task *task, unsigned status, const char *code, const char *message)
{
    struct net_req *req = task->req;
    const struct net_header retry = {"retry-after", "1"};
    struct trace_scope scope;

    enter(&scope, task);
    task_end(task);
    if (req != NULL) {
        respond_problem_with(req, status, code, message, &retry,
                             status == 503 || status == 429 ? 1 : 0);
    }
    trace_leave(&scope);
}

void task_fail(struct task *task, int err)
{
    switch (err) {
    case -ENOENT:
        task_refuse(task, 404, "not_found", "there is no such thing, or not for you");
        break;
    case -EEXIST:
        task_refuse(task, 409, "conflict", "there is one already");
        break;
    case -ESTALE:
        task_refuse(task, 412, "precondition_failed",
                    "somebody else has changed it meanwhile: read it again");
        break;
    case -ENOSPC:
        task_refuse(task, 507, "store_full", "the node's disk is full");
        break;
    case -EAGAIN:
    case -ECANCELED:
        task_refuse(task, 503, "overloaded", "too much at once; try again in a second");
        break;
    case -EHOSTDOWN:
        task_refuse(task, 503, "store_away",
                    "the node's database does not answer; try again in a second");
        break;
    default:
        task_refuse(task, 500, "store_failed", "the node could not read or write it");
    }
}

/* ---- the meeting, and who one is in it ---- */

static void judge(struct task *task)
{
    const struct auth_policy policy = {
        .allow_attendee_media =
            json_is_true(json_object_get(task->meeting, "allow_attendee_media")),
        .allow_guest_chat =
            json_is_true(json_object_get(task->meeting, "allow_guest_chat")),
    };
    char text[160];

    if (auth_may(task->role, &policy, task->route->who)) {
        task->next(task);
        return;
    }
    (void)snprintf(text, sizeof(text), "the role %s may not: it lacks %s",
                   auth_role_name(task->role), auth_permission_name(task->route->who));
    task_forbid(task, text);
}

static void on_participant(void *arg, const struct store_result *result)
{
    struct task *task = arg;

    if (result->err == 0) {
        task->invited = auth_role_find(result->docs[0].state, &task->role);
    } else if (result->err == -ENOENT && task->open_to_all) {
        task->role = task->who.role == AUTH_GUEST ? AUTH_GUEST : AUTH_ATTENDEE;
    } else {
        task_fail(task, result->err);
        return;
    }
    judge(task);
}

static void on_meeting(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    const struct store_doc *doc = result->docs;
    char id[STORE_ID_MAX + 1];
    int err = result->err;

    if (err == -ENOENT && task->unstored_too && task->who.meeting_id[0] != '\0') {
        task->role = task->who.role;
        judge(task);
        return;
    }
    if (err == 0 && strcmp(doc->state, "deleted") == 0) {
        err = -ENOENT;
    }
    if (err == 0) {
        task->meeting = json_loads(doc->json, 0, NULL);
        err = task->meeting != NULL ? 0 : -EIO;
    }
    if (err != 0) {
        task_fail(task, err);
        return;
    }
    task->doc.at = doc->at;
    task->doc.until = doc->until;
    task->doc.version = doc->version;
    (void)snprintf(task->creator, sizeof(task->creator), "%s", doc->group);
    (void)snprintf(task->state, sizeof(task->state), "%s", doc->state);
    task->invited = true;
    if (task->who.meeting_id[0] != '\0') { /* the role that its token was given */
        task->role = task->who.role;
    } else if (strcmp(task->creator, task->who.user_id) == 0) {
        task->role = AUTH_HOST;
    } else if (task->who.role == AUTH_ADMIN) {
        task->role = AUTH_ADMIN;
    } else {
        task->invited = false;
        (void)snprintf(id, sizeof(id), "%s/%s", task->params.at[0], task->who.user_id);
        err = store_get(task->store, STORE_PARTICIPANT, task->who.tenant, id,
                        on_participant, task);
        if (err != 0) {
            task_fail(task, err);
        }
        return;
    }
    judge(task);
}

void task_with_meeting(struct task *task, task_fn *next)
{
    const char *id = task->params.at[0];
    int err = -ENOENT;

    task->next = next;
    /* A token for another meeting learns nothing of this one. */
    if (task->who.meeting_id[0] == '\0' || strcmp(task->who.meeting_id, id) == 0) {
        err = store_get(task->store, STORE_MEETING, task->who.tenant, id, on_meeting, task);
    }
    if (err != 0) {
        task_fail(task, err);
    }
}

void task_begin_with_meeting(const struct rest_call *call, task_fn *next)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task_with_meeting(task, next);
    }
}

/* ---- writes ---- */

struct store_write *task_write(struct task *task)
{
    struct store_write *w = &task->writes[task->n_writes++];

    memset(w, 0, sizeof(*w));
    return w;
}

/* JSON text that lives as long as the task; 'json' is moved. */
static const char *keep_text(struct task *task, json_t *json)
{
    char *text = jtext_make(json, JSON_COMPACT);

    json_decref(json);
    task->texts[task->n_writes - 1] = text;
    return text != NULL ? text : "{}";
}

void task_put_meeting(struct task *task, uint64_t expect)
{
    struct store_write *w = task_write(task);

    w->what = STORE_PUT;
    w->kind = STORE_MEETING;
    w->expect = expect;
    w->doc = (struct store_doc){
        .tenant = task->who.tenant,
        .id = json_string_value(json_object_get(task->meeting, "id")),
        .group = task->creator,
        .state = task->state,
        .at = task->doc.at,
        .until = task->doc.until,
        .json = keep_text(task, json_incref(task->meeting)),
    };
}

/* The next number of the meeting's facts. */
static const char *number(const struct task *task, uint64_t *epoch, uint64_t *seq)
{
    const char *id = json_string_value(json_object_get(task->meeting, "id"));

    *epoch = 0;
    *seq = 0;
    if (task->conf->meeting != NULL) {
        meeting_number(task->conf->meeting, task->who.tenant, id, epoch, seq);
    }
    return id != NULL ? id : AUDIT_NO_MEETING;
}

void task_event(struct task *task, const char *type, json_t *json)
{
    struct store_write *w = task_write(task);
    uint64_t epoch;
    uint64_t seq;
    const char *meeting = number(task, &epoch, &seq);

    w->what = STORE_EVENT;
    w->event = (struct store_event){.tenant = task->who.tenant,
                                    .meeting = meeting,
                                    .epoch = epoch,
                                    .seq = seq,
                                    .type = type,
                                    .ref = task->who.user_id,
                                    .json = keep_text(task, json),
                                    .trace = task->trace,
                                    .at_us = clock_wall_us()};
}

static void add_audit(struct task *task, const char *target, const char *result)
{
    const char *id = json_string_value(json_object_get(task->meeting, "id"));
    struct audit_act entry = {.tenant = task->who.tenant,
                              .actor = task->who.user_id,
                              .meeting = id,
                              .act = rest_act(task->route),
                              .target = target,
                              .address = task->remote,
                              .result = result,
                              .days = task->conf->audit_days};
    size_t at = task->n_writes;

    number(task, &entry.epoch, &entry.seq);
    task->n_writes += AUDIT_WRITES;
    (void)audit_fill(&entry, &task->writes[at], task->ids[at], &task->texts[at]);
    task->writes[at + AUDIT_WRITES - 1].event.trace = task->trace;
}

void task_audit(struct task *task, const char *target)
{
    add_audit(task, target, "ok");
}

void task_note(struct task *task, const char *target, const char *result)
{
    add_audit(task, target, result);
    if (store_write(task->store, &task->writes[task->n_writes - AUDIT_WRITES], AUDIT_WRITES,
                    NULL, NULL) != 0) {
        log_warn("audit_not_written", LOG_STR("act", rest_act(task->route)));
    }
}

/* Whom it would have been done to: the path, the body or the query says so. */
static const char *target_of(const struct task *task)
{
    size_t at = rest_is_of_meeting(task->route) ? 1 : 0;
    const char *named = task_text(task->body, "user_id");

    if (task->params.n > at) {
        return task->params.at[at];
    }
    return named != NULL ? named : task_text(task->query, "user_id");
}

void task_forbid(struct task *task, const char *message)
{
    if (rest_act(task->route) != NULL && rest_may_note(task->rest, &task->who)) {
        task_note(task, target_of(task), "refused");
    }
    task_refuse(task, 403, "forbidden", message);
}

static void on_committed(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    struct trace_scope scope;

    if (result->err != 0) {
        task_fail(task, result->err);
        return;
    }
    if (task->written != NULL) { /* it may change a room, which tells facts */
        enter(&scope, task);
        task->written(task);
        trace_leave(&scope);
    }
    if (task->finish != NULL) {
        task->finish(task);
    } else {
        task_answer(task, json_incref(task->answer), 0);
    }
}

void task_commit(struct task *task)
{
    int err = store_write(task->store, task->writes, task->n_writes, on_committed, task);

    if (err != 0) {
        task_fail(task, err);
    }
}

/* ---- pages ---- */

/* A cursor is where the last page ended, in base64url: opaque to clients. */
json_t *task_cursor(const char *where)
{
    char text[2 * TASK_CURSOR];

    text[base64url_encode((const uint8_t *)where, strlen(where), text)] = '\0';
    return json_string(text);
}

bool task_read_cursor(const char *cursor, char where[TASK_CURSOR])
{
    uint8_t raw[TASK_CURSOR];
    size_t n = 0;

    if (strlen(cursor) >= TASK_CURSOR ||
        base64url_decode(cursor, strlen(cursor), raw, &n) != 0) {
        return false;
    }
    memcpy(where, raw, n);
    where[n] = '\0';
    return strlen(where) == n;
}

void task_refuse_cursor(struct task *task)
{
    struct net_req *req = task->req;
    struct schema_errors errors = {.n = 0};

    schema_error_add(&errors, "/cursor", "must be the next_cursor of a page");
    task_end(task);
    if (req != NULL) {
        respond_invalid(req, &errors);
    }
}

/* "AT:ID". */
static bool read_cursor(const char *text, int64_t *at, char after[STORE_ID_MAX + 1])
{
    char plain[TASK_CURSOR];
    char *end;

    if (!task_read_cursor(text, plain)) {
        return false;
    }
    errno = 0;
    *at = strtoll(plain, &end, 10);
    if (end == plain || *end != ':' || errno != 0 || strlen(end + 1) > STORE_ID_MAX) {
        return false;
    }
    strcpy(after, end + 1);
    return true;
}

bool task_page(struct task *task, struct store_query *query, char after[STORE_ID_MAX + 1])
{
    const char *cursor = json_string_value(json_object_get(task->query, "cursor"));
    json_int_t limit = json_integer_value(json_object_get(task->query, "limit"));

    query->limit = limit > 0 ? (uint32_t)limit : TASK_LIMIT;
    if (cursor == NULL) {
        return true;
    }
    query->after = true;
    query->after_id = after;
    if (!read_cursor(cursor, &query->after_at, after)) {
        task_refuse_cursor(task);
        return false;
    }
    return true;
}

void task_find_page(struct task *task, enum store_kind kind, const char *group,
                    bool descending, store_done *done)
{
    struct store_query query = {.kind = kind, .descending = descending};
    char after[STORE_ID_MAX + 1];
    int err;

    if (!task_page(task, &query, after)) {
        return;
    }
    query.tenant = task->who.tenant;
    query.group = group;
    err = store_find(task->store, &query, done, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

void task_answer_page(struct task *task, const struct store_result *result,
                      json_t *(*make)(struct task *task, const struct store_doc *doc))
{
    json_t *list = json_array();
    json_t *next = json_null();
    json_t *whole;
    struct net_req *req = task->req;

    if (result->err != 0) {
        json_decref(list);
        task_fail(task, result->err);
        return;
    }
    for (size_t i = 0; i < result->n_docs; i++) {
        json_t *one = make(task, &result->docs[i]);

        if (one != NULL) {
            (void)json_array_append_new(list, one);
        }
    }
    if (result->more && result->n_docs > 0) {
        const struct store_doc *last = &result->docs[result->n_docs - 1];
        char where[STORE_ID_MAX + 32];

        (void)snprintf(where, sizeof(where), "%lld:%s", (long long)last->at, last->id);
        next = task_cursor(where);
    }
    whole = json_pack("{s:b, s:I, s:o, s:o}", "success", 1, "count",
                      (json_int_t)json_array_size(list), "next_cursor", next, "data", list);
    task_end(task);
    if (req != NULL) {
        respond_json(req, 200, whole);
    } else {
        json_decref(whole);
    }
}

const char *task_text(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

int64_t task_seconds(const json_t *json, const char *name, int64_t otherwise)
{
    const char *text = task_text(json, name);
    int64_t ms;

    return text != NULL && schema_time_parse(text, &ms) == 0 ? ms / 1000 : otherwise;
}

json_t *task_time(int64_t seconds)
{
    char text[CLOCK_RFC3339_LEN];

    clock_format((uint64_t)seconds * 1000000, text);
    return json_string(text);
}
