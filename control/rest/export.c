/* GET /api/meeting/{id}/export: all that is kept of a meeting, kind by kind and page by
 * page: however long it was, one answer holds no more than a page of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/meeting.h"
#include "meeting/play.h"
#include "rest/meetings.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "sys/clock.h"

enum { SLICE = 200, BYTES_MAX = 4 << 20 };

/* Each is a list of the answer, in this order; the events come before all of them. What a
 * document's state and time are called there; NULL: left out. */
static const struct {
    const char *list;
    enum store_kind kind;
    const char *state;
    const char *user;
} parts[] = {{.list = "events"},
             {"invitations", STORE_PARTICIPANT, "role", "user_id"},
             {"attendance", STORE_ATTENDANCE, "state", "user_id"},
             {"bans", STORE_BAN, "state", "user_id"},
             {"messages", STORE_CHAT, NULL, NULL},
             {"polls", STORE_POLL, NULL, NULL},
             {"audit", STORE_AUDIT, "act", "actor_id"},
             {"recordings", STORE_RECORDING, "state", NULL}};

enum { N_PARTS = sizeof(parts) / sizeof(parts[0]) };

struct export {
    struct task *task;
    json_t *data;
    uint32_t limit, n; /* entries of this page */
    size_t bytes;
    unsigned part;
    bool after; /* the part goes on behind (at, id): of an event epoch and seq */
    int64_t at;
    char id[STORE_ID_MAX + 1];
};

static void gather(struct export *x);

static void end(struct export *x, int err)
{
    struct task *task = x->task;
    char where[STORE_ID_MAX + 48];

    (void)snprintf(where, sizeof(where), "%u:%lld:%s", x->part, (long long)x->at,
                   x->after ? x->id : "");
    if (err != 0) {
        json_decref(x->data);
        task_fail(task, err);
    } else {
        (void)json_object_set_new(x->data, "next_cursor",
                                  x->part < N_PARTS ? task_cursor(where) : json_null());
        task->answer = x->data;
        task_audit(task, NULL);
        task_commit(task);
    }
    free(x);
}

/* ---- what the asker may see ---- */

/* What was said to one person alone, or in a breakout room, is theirs, as in /chat; and the
 * tenant's administrators'. */
static bool may_see(const struct export *x, const char *by, const char *to,
                    bool in_breakout)
{
    const char *me = x->task->who.user_id;

    return x->task->role == AUTH_ADMIN || strcmp(by, me) == 0 ||
           (to != NULL ? strcmp(to, me) == 0 : !in_breakout);
}

static json_t *event_of(const struct export *x, const struct store_event *e)
{
    json_t *data = json_loads(e->json, 0, NULL);
    const json_t *audience = json_object_get(data, "audience");
    const char *from = task_text(audience, "from");
    bool in_breakout = strncmp(e->type, "kcs.chat.", 9) == 0 &&
                       json_integer_value(json_object_get(audience, "group")) != 0;

    if (!may_see(x, from != NULL ? from : e->ref, task_text(audience, "to"), in_breakout)) {
        json_decref(data);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:s, s:o, s:o?}", "epoch", (json_int_t)e->epoch, "seq",
                     (json_int_t)e->seq, "type", e->type, "at",
                     task_time((int64_t)(e->at_us / 1000000)), "data", data);
}

static json_t *document_of(const struct export *x, const struct store_doc *doc)
{
    json_t *entry = json_loads(doc->json, 0, NULL);
    bool in_breakout = json_integer_value(json_object_get(entry, "group")) != 0;

    if (entry == NULL || (parts[x->part].kind == STORE_CHAT &&
                          !may_see(x, doc->ref, task_text(entry, "to"), in_breakout))) {
        json_decref(entry);
        return NULL;
    }
    (void)json_object_del(entry, "reactors"); /* who voted and reacted is not told there */
    (void)json_object_del(entry, "ballots");
    (void)json_object_del(entry, "group");
    if (parts[x->part].state != NULL) {
        (void)json_object_set_new(entry, parts[x->part].state, json_string(doc->state));
    }
    if (parts[x->part].user != NULL && doc->ref[0] != '\0') {
        (void)json_object_set_new(entry, parts[x->part].user, json_string(doc->ref));
    }
    if (parts[x->part].kind == STORE_RECORDING) {
        json_t *file;
        size_t i;

        json_array_foreach(json_object_get(entry, "files"), i, file)
        {
            (void)json_object_del(file, "upload");
        }
        (void)json_object_del(entry, "erased"); /* archive/'s own, as that and the next */
        (void)json_object_del(entry, "chat");
        (void)json_object_set_new(entry, "id", json_string(doc->id));
    }
    if (parts[x->part].kind == STORE_AUDIT) {
        (void)json_object_update_new(
            entry, json_pack("{s:s, s:o}", "id", doc->id, "at",
                             task_time(doc->at / 1000000)));
    }
    return entry;
}

/* ---- page by page ---- */

static void add(struct export *x, json_t *entry, size_t bytes)
{
    if (entry != NULL) {
        (void)json_array_append_new(json_object_get(x->data, parts[x->part].list), entry);
    }
    x->n++; /* what is left out too: a page costs the same whoever asks */
    x->bytes += bytes;
}

static void on_found(void *arg, const struct store_result *result)
{
    struct export *x = arg;

    if (result->err != 0) {
        end(x, result->err);
        return;
    }
    for (size_t i = 0; i < result->n_events; i++) {
        const struct store_event *e = &result->events[i];

        add(x, event_of(x, e), strlen(e->json));
        x->at = (int64_t)e->epoch;
        (void)snprintf(x->id, sizeof(x->id), "%llu", (unsigned long long)e->seq);
    }
    for (size_t i = 0; i < result->n_docs; i++) {
        const struct store_doc *doc = &result->docs[i];

        add(x, document_of(x, doc), strlen(doc->json));
        x->at = doc->at;
        (void)snprintf(x->id, sizeof(x->id), "%s", doc->id);
    }
    x->after = result->more;
    x->part += !result->more;
    gather(x);
}

static int find(struct export *x)
{
    uint32_t limit = x->limit - x->n < SLICE ? x->limit - x->n : SLICE;
    struct task *task = x->task;
    struct store_query query = {.kind = parts[x->part].kind,
                                .tenant = task->who.tenant,
                                .group = task->params.at[0],
                                .after = x->after,
                                .after_at = x->at,
                                .after_id = x->id,
                                .limit = limit};

    if (x->part > 0) {
        return store_find(task->store, &query, on_found, x);
    }
    return store_events(task->store, task->who.tenant, task->params.at[0],
                        x->after ? (uint64_t)x->at : 0,
                        x->after ? strtoull(x->id, NULL, 10) : 0, limit, on_found, x);
}

/* The next of it. */
static void gather(struct export *x)
{
    int err = 0;

    if (x->part == N_PARTS || x->n >= x->limit || x->bytes >= BYTES_MAX) {
        end(x, 0);
        return;
    }
    err = find(x);
    if (err != 0) {
        end(x, err);
    }
}

/* ---- begun ---- */

/* The whiteboard is kept for as long as the room is open, and is not longer than a page. */
static json_t *board_of(const struct task *task)
{
    const struct room *room =
        meeting_find_room(task->conf->meeting, task->who.tenant, task->params.at[0]);
    json_t *list = json_array();
    struct board_op ops[BOARD_PAGE];
    uint64_t version = 0;
    bool more = room != NULL;

    while (more) {
        size_t n = meeting_board_page(room, version, ops, &version, &more);

        for (size_t i = 0; i < n; i++) {
            (void)json_array_append_new(list,
                                        json_loadb(ops[i].words, ops[i].len, 0, NULL));
        }
    }
    return list;
}

/* Where the last page has ended: "PART:AT:ID". */
static bool go_on(struct export *x, const char *cursor)
{
    char where[TASK_CURSOR];
    char *end;

    if (!task_read_cursor(cursor, where) || where[0] < '0' ||
        where[0] >= '0' + (char)N_PARTS || where[1] != ':') {
        return false;
    }
    x->part = (unsigned)(where[0] - '0');
    errno = 0;
    x->at = strtoll(&where[2], &end, 10);
    if (end == &where[2] || *end != ':' || errno != 0 || strlen(end + 1) > STORE_ID_MAX) {
        return false;
    }
    (void)snprintf(x->id, sizeof(x->id), "%s", end + 1);
    x->after = x->id[0] != '\0'; /* else the part begins */
    return true;
}

static void begin(struct task *task)
{
    const char *cursor = task_text(task->query, "cursor");
    json_int_t limit = json_integer_value(json_object_get(task->query, "limit"));
    struct export *x = calloc(1, sizeof(*x));

    if (x == NULL) {
        task_fail(task, -ENOMEM);
        return;
    }
    x->task = task;
    x->limit = limit > 0 ? (uint32_t)limit : STORE_FIND_MAX;
    if (cursor != NULL && !go_on(x, cursor)) {
        free(x);
        task_refuse_cursor(task);
        return;
    }
    x->data = json_pack("{s:o}", "meeting",
                        meetings_with_version(task->meeting, task->doc.version));
    for (size_t i = 0; i < N_PARTS; i++) {
        (void)json_object_set_new(x->data, parts[i].list, json_array());
    }
    (void)json_object_set_new(x->data, "whiteboard",
                              cursor == NULL ? board_of(task) : json_array());
    gather(x);
}

void meetings_export(const struct rest_call *call)
{
    task_begin_with_meeting(call, begin);
}
