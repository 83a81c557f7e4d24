#include "rest/people.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "meeting/host.h"
#include "net/net.h"
#include "proto/jtext.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "sys/clock.h"

/* ---- participants ---- */

static json_t *invited_of(struct task *task, const struct store_doc *doc)
{
    json_t *body = json_loads(doc->json, 0, NULL);
    json_t *out = json_pack("{s:s, s:s, s:s?}", "user_id", doc->ref, "role", doc->state,
                            "name", task_text(body, "name"));

    (void)task;
    json_decref(body);
    return out;
}

static void on_people(void *arg, const struct store_result *result)
{
    task_answer_page(arg, result, invited_of);
}

static void list(struct task *task)
{
    task_find_page(task, STORE_PARTICIPANT, task->params.at[0], false, on_people);
}

void people_list(const struct rest_call *call)
{
    task_begin_with_meeting(call, list);
}

bool people_may_give(const struct task *task, const char *name, enum auth_role *role)
{
    if (!auth_role_find(name, role) || *role == AUTH_ADMIN) {
        return false;
    }
    return *role != AUTH_HOST || auth_may(task->role, NULL, AUTH_END_MEETING);
}

/* Whoever is in the room with that, or is on the way there. */
static void tell_room(struct task *task)
{
    struct meeting *meeting = task->conf->meeting;
    struct room *room =
        meeting != NULL ? meeting_find_room(meeting, task->who.tenant, task->params.at[0])
                        : NULL;
    enum auth_role role;

    if (room == NULL) {
        return;
    }
    if (task->answer == NULL) {
        meeting_stored_removal(meeting, room, task_text(task->query, "user_id"));
    } else if (auth_role_find(task_text(task->answer, "role"), &role)) {
        meeting_stored_person(meeting, room, task_text(task->answer, "user_id"), role);
    }
}

/* The participant's document with its event ('fact', moved) and audit entry. */
static void put_person(struct task *task, const char *user_id, const char *role,
                       const char *name, uint64_t expect, const char *type, json_t *fact)
{
    struct store_write *w = task_write(task);
    json_t *body = json_pack("{s:s*}", "name", name);

    (void)snprintf(task->ids[0], sizeof(task->ids[0]), "%s/%s", task->params.at[0],
                   user_id);
    w->what = role != NULL ? STORE_PUT : STORE_DELETE;
    w->kind = STORE_PARTICIPANT;
    w->expect = expect;
    w->doc = (struct store_doc){.tenant = task->who.tenant,
                                .id = task->ids[0],
                                .group = task->params.at[0],
                                .ref = user_id,
                                .state = role,
                                .at = clock_wall_s()};
    task->texts[0] = jtext_make(body, JSON_COMPACT);
    w->doc.json = task->texts[0];
    json_decref(body);
    (void)json_object_update_new(
        fact, json_pack("{s:s, s:s}", "user_id", user_id, "by_user_id", task->who.user_id));
    task_event(task, type, fact);
    task_audit(task, user_id);
    task->answer = role != NULL ? json_pack("{s:s, s:s, s:s?}", "user_id", user_id, "role",
                                            role, "name", name)
                                : NULL;
    task->written = tell_room;
    task_commit(task);
}

static void invite(struct task *task)
{
    const char *role = task_text(task->body, "role");
    enum auth_role wanted;

    role = role != NULL ? role : auth_role_name(AUTH_ATTENDEE);
    if (!people_may_give(task, role, &wanted)) {
        task_forbid(task, "this role is not yours to give");
        return;
    }
    put_person(task, task_text(task->body, "user_id"), role, task_text(task->body, "name"),
               0, "kcs.participant.invited",
               json_pack("{s:s, s:s*}", "role", role, "display_name",
                         task_text(task->body, "name")));
}

void people_invite(const struct rest_call *call)
{
    task_begin_with_meeting(call, invite);
}

static void take_out(struct task *task)
{
    put_person(task, task_text(task->query, "user_id"), NULL, NULL, STORE_ANY,
               "kcs.participant.removed", json_object());
}

void people_remove(const struct rest_call *call)
{
    task_begin_with_meeting(call, take_out);
}

static void on_person(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    const char *role = task_text(task->body, "new_role");
    enum auth_role old = AUTH_GUEST;
    enum auth_role wanted;
    json_t *body;

    if (result->err != 0) {
        task_fail(task, result->err);
        return;
    }
    (void)auth_role_find(result->docs[0].state, &old);
    if (!people_may_give(task, role, &wanted) ||
        !people_may_give(task, auth_role_name(old), &wanted)) { /* nor to take away */
        task_forbid(task, "this role is not yours to give or take");
        return;
    }
    body = json_loads(result->docs[0].json, 0, NULL);
    put_person(task, task->params.at[1], role, task_text(body, "name"),
               result->docs[0].version, "kcs.participant.role",
               json_pack("{s:s, s:s}", "old_role", auth_role_name(old), "new_role", role));
    json_decref(body);
}

static void change_role(struct task *task)
{
    char id[STORE_ID_MAX + 1];
    int err;

    (void)snprintf(id, sizeof(id), "%s/%s", task->params.at[0], task->params.at[1]);
    err = store_get(task->store, STORE_PARTICIPANT, task->who.tenant, id, on_person, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

void people_role(const struct rest_call *call)
{
    task_begin_with_meeting(call, change_role);
}

/* ---- audit ---- */

static json_t *entry_of(struct task *task, const struct store_doc *doc)
{
    json_t *out = json_loads(doc->json, 0, NULL);

    (void)task;
    (void)json_object_update_new(out, json_pack("{s:s, s:o, s:s, s:s}", "id", doc->id, "at",
                                                task_time(doc->at / 1000000), "act",
                                                doc->state, "actor_id", doc->ref));
    if (doc->group[0] != '\0') {
        (void)json_object_set_new(out, "meeting_id", json_string(doc->group));
    }
    return out;
}

static void on_entries(void *arg, const struct store_result *result)
{
    task_answer_page(arg, result, entry_of);
}

static void entries(struct task *task)
{
    task_find_page(task, STORE_AUDIT, task->params.at[0], true, on_entries);
}

void people_audit(const struct rest_call *call)
{
    task_begin_with_meeting(call, entries);
}

void people_audit_all(const struct rest_call *call)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task_find_page(task, STORE_AUDIT, NULL, true, on_entries);
    }
}

/* ---- erasure ---- */

static void on_erased(void *arg, const struct store_result *result)
{
    struct task *task = arg;

    if (result->err != 0) {
        task_fail(task, result->err);
        return;
    }
    task->answer = json_pack("{s:s, s:I}", "user_id", task->params.at[0], "erased",
                             (json_int_t)result->n);
    accounts_void(task->conf->accounts, task->who.tenant, task->params.at[0],
                  task_write(task), task->ids[0]);
    task_audit(task, task->params.at[0]);
    task_commit(task);
}

void people_erase(const struct rest_call *call)
{
    struct task *task = task_new(call);
    int err;

    if (task == NULL) {
        return;
    }
    err = store_erase(task->store, task->who.tenant, task->params.at[0], on_erased, task);
    if (err != 0) {
        task_fail(task, err);
    }
}

/* ---- the node ---- */

void people_stats(const struct rest_call *call)
{
    struct rest_facts facts = {0};

    call->conf->facts(call->conf->user, &facts);
    respond_data(call->req, json_pack("{s:i, s:i, s:i, s:I}", "rooms", (int)facts.rooms,
                                      "participants", (int)facts.participants, "clients",
                                      (int)facts.clients, "uptime_ms",
                                      (json_int_t)(facts.uptime_us / 1000)));
}
