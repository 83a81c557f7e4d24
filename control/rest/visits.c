/* What one asks of a meeting in order to be in it, or to know how it goes: a token,
 * figures, all that is kept of it. */
#include <stdio.h>
#include <string.h>

#include "meeting/meeting.h"
#include "net/net.h"
#include "proto/ortc.h"
#include "rest/meetings.h"
#include "rest/people.h"
#include "rest/rest.h"
#include "rest/series.h"
#include "rest/task.h"
#include "schema/check.h"
#include "sys/clock.h"
#include "sys/entropy.h"

enum { HOUR_S = 3600, DAY_S = 86400, GUEST_ID = 16 };

#define GUEST "guest_" /* begins the id of who comes by a link */

/* ---- joined ---- */

/* Why nobody may come in now; NULL: come in, into a meeting that is not stored too. */
static const char *closed(const struct task *task)
{
    if (task->meeting == NULL) {
        return NULL;
    }
    if (meetings_is_over(task)) {
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

/* Till the meeting's end plus an hour; without an end, for a day. A meeting that is not
 * stored is known by a token, and no other is good for longer. */
static int64_t token_end(const struct task *task)
{
    int64_t now_s = clock_wall_s();
    int64_t end_s;

    if (task->meeting == NULL) {
        return task->who.expires_s;
    }
    end_s = series_end(task->meeting, now_s + DAY_S);
    return (end_s > now_s ? end_s : now_s) + HOUR_S;
}

static void join(struct task *task)
{
    const char *name = task_text(task->body, "display_name");
    const char *host = task->req != NULL ? net_req_header(task->req, "host") : NULL;
    bool tls = task->req != NULL && net_req_is_secure(task->req);
    struct auth_identity who = task->who;
    char token[AUTH_TOKEN_MAX];
    char url[512];

    if (closed(task) != NULL) {
        task_refuse(task, 409, "meeting_closed", closed(task));
        return;
    }
    who.expires_s = token_end(task);
    if (who.link) { /* by which many come, each somebody else */
        who.link = false;
        memcpy(who.user_id, GUEST, sizeof(GUEST));
        entropy_id(who.user_id + strlen(GUEST), GUEST_ID);
    }
    who.role = task->role == AUTH_ADMIN ? AUTH_HOST : task->role;
    (void)snprintf(who.meeting_id, sizeof(who.meeting_id), "%s", task->params.at[0]);
    if (name != NULL) {
        (void)snprintf(who.name, sizeof(who.name), "%s", name);
    }
    if (auth_mint(task->conf->auth, &who, NULL, clock_wall_s(), token) != 0) {
        task_refuse(task, 400, "invalid", "the name is too long");
        return;
    }
    (void)snprintf(url, sizeof(url), "%s://%s", tls ? "https" : "http",
                   host != NULL ? host : "localhost");
    task_answer(task,
                json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:s}", "meeting_id",
                          who.meeting_id, "token", token, "expires_at",
                          task_time(who.expires_s), "role", auth_role_name(who.role),
                          "ice_servers",
                          turn_json(&task->conf->ice_servers, who.user_id, clock_wall_s()),
                          "socketio_url", url, "socketio_path", "/socket.io/"),
                0);
}

void meetings_join(const struct rest_call *call)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task->open_to_all = true; /* whoever of the tenant knows its id */
        task->unstored_too = task->who.link;
        task_with_meeting(task, join);
    }
}

/* ---- a link for others ---- */

static void make_link(struct task *task)
{
    const char *role = task_text(task->body, "role");
    struct auth_identity who = task->who; /* its maker: who is erased takes it along */
    char family[AUTH_FAMILY + 1];         /* its own: its maker may log out */
    char token[AUTH_TOKEN_MAX];

    role = role != NULL ? role : auth_role_name(AUTH_ATTENDEE);
    if (!people_may_give(task, role, &who.role)) {
        task_forbid(task, "this role is not yours to give");
        return;
    }
    who.link = true;
    who.name[0] = '\0';
    who.expires_s = token_end(task);
    (void)snprintf(who.meeting_id, sizeof(who.meeting_id), "%s", task->params.at[0]);
    entropy_id(family, AUTH_FAMILY);
    if (auth_mint(task->conf->auth, &who, family, clock_wall_s(), token) != 0) {
        task_refuse(task, 500, "link_failed", "the link could not be signed");
        return;
    }
    task_note(task, role, "ok");
    task_answer(task,
                json_pack("{s:s, s:s, s:o, s:s}", "meeting_id", who.meeting_id, "token",
                          token, "expires_at", task_time(who.expires_s), "role",
                          auth_role_name(who.role)),
                0);
}

void meetings_link(const struct rest_call *call)
{
    struct task *task = task_new(call);

    if (task != NULL) {
        task->unstored_too = true;
        task_with_meeting(task, make_link);
    }
}

static void webrtc(struct task *task)
{
    task_answer(
        task,
        json_pack("{s:o, s:o}", "rtp_capabilities", ortc_router_capabilities(),
                  "ice_servers",
                  turn_json(&task->conf->ice_servers, task->who.user_id, clock_wall_s())),
        0);
}

void meetings_webrtc(const struct rest_call *call)
{
    task_begin_with_meeting(call, webrtc);
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
    task_begin_with_meeting(call, live);
}
