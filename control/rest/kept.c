/* GET /api/user/{id}/data: all that is kept of a person, read kind by kind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/task.h"
#include "rest/users.h"

enum { KEPT_MAX = 20000 }; /* of each kind, in one answer */

/* Each is a list of the answer; what a document's state is called there, NULL: left out. */
static const struct {
    const char *list;
    enum store_kind kind;
    const char *state;
} parts[] = {{"invitations", STORE_PARTICIPANT, "role"},
             {"attendance", STORE_ATTENDANCE, "state"},
             {"bans", STORE_BAN, "state"},
             {"messages", STORE_CHAT, NULL},
             {"acts", STORE_AUDIT, "act"}};

enum { N_PARTS = sizeof(parts) / sizeof(parts[0]) };

struct gathering {
    struct task *task;
    json_t *data;
    size_t part;
    size_t n; /* of this part so far */
    bool complete;
    int64_t after_at;
    char after_id[STORE_ID_MAX + 1];
};

static void gather(struct gathering *g);

static void end(struct gathering *g, int err)
{
    struct task *task = g->task;

    if (err != 0) {
        json_decref(g->data);
        task_fail(task, err);
    } else {
        (void)json_object_set_new(g->data, "complete", json_boolean(g->complete));
        task->answer = g->data;
        task_audit(task, task->params.at[0]);
        task_commit(task);
    }
    free(g);
}

static json_t *entry_of(const struct gathering *g, const struct store_doc *doc)
{
    json_t *entry = json_loads(doc->json, 0, NULL);

    if (entry == NULL) {
        return NULL;
    }
    (void)json_object_del(entry, "reactors"); /* of others */
    if (doc->group[0] != '\0') {
        (void)json_object_set_new(entry, "meeting_id", json_string(doc->group));
    }
    if (parts[g->part].state != NULL) {
        (void)json_object_set_new(entry, parts[g->part].state, json_string(doc->state));
    }
    if (parts[g->part].kind == STORE_AUDIT) {
        (void)json_object_set_new(entry, "at", task_time(doc->at / 1000000));
    }
    return entry;
}

static void on_found(void *arg, const struct store_result *result)
{
    struct gathering *g = arg;
    json_t *list = json_object_get(g->data, parts[g->part].list);

    for (size_t i = 0; result->err == 0 && i < result->n_docs; i++) {
        json_t *entry = entry_of(g, &result->docs[i]);

        if (entry != NULL) {
            (void)json_array_append_new(list, entry);
        }
    }
    if (result->err != 0) {
        end(g, result->err);
        return;
    }
    g->n += result->n_docs;
    if (result->more && g->n < KEPT_MAX) {
        const struct store_doc *last = &result->docs[result->n_docs - 1];

        g->after_at = last->at;
        (void)snprintf(g->after_id, sizeof(g->after_id), "%s", last->id);
    } else {
        g->complete = g->complete && !result->more;
        g->part++;
        g->n = 0;
    }
    gather(g);
}

/* The next of it. */
static void gather(struct gathering *g)
{
    struct store_query query = {.tenant = g->task->who.tenant,
                                .ref = g->task->params.at[0],
                                .limit = STORE_FIND_MAX,
                                .after = g->n > 0,
                                .after_at = g->after_at,
                                .after_id = g->after_id};
    int err;

    if (g->part == N_PARTS) {
        end(g, 0);
        return;
    }
    query.kind = parts[g->part].kind;
    err = store_find(g->task->store, &query, on_found, g);
    if (err != 0) {
        end(g, err);
    }
}

/* Without what a password is checked by. */
static json_t *account_of(const struct store_doc *doc)
{
    json_t *json = json_loads(doc->json, 0, NULL);
    json_t *out = json_pack("{s:s, s:s?}", "login", doc->name, "name",
                            task_text(json, "name"));

    json_decref(json);
    return out;
}

static void on_account(void *arg, const struct store_result *result)
{
    struct gathering *g = arg;

    if (result->err != 0 && result->err != -ENOENT) {
        end(g, result->err);
        return;
    }
    (void)json_object_set_new(g->data, "account",
                              result->err == 0 ? account_of(&result->docs[0])
                                               : json_null());
    gather(g);
}

void users_kept(const struct rest_call *call)
{
    struct task *task = task_new(call);
    struct gathering *g = task != NULL ? calloc(1, sizeof(*g)) : NULL;
    int err;

    if (g == NULL) {
        if (task != NULL) {
            task_fail(task, -ENOMEM);
        }
        return;
    }
    g->task = task;
    g->complete = true;
    g->data = json_pack("{s:s}", "user_id", task->params.at[0]);
    for (size_t i = 0; i < N_PARTS; i++) {
        (void)json_object_set_new(g->data, parts[i].list, json_array());
    }
    err = store_get(task->store, STORE_USER, task->who.tenant, task->params.at[0],
                    on_account, g);
    if (err != 0) {
        end(g, err);
    }
}
