/* What hosts do to others, so that it can be answered for: who did what to whom, from which
 * address, and whether it was allowed. One entry an act, and the event kcs.audit.act that
 * tells of it, in one step. REST has the same for its own (rest/task.c). */
#include <stdlib.h>
#include <string.h>

#include "signal/engine.h"
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"

enum { AUDIT_ID = 20, AUDIT_TARGET = 256, DAY_S = 86400 };

struct audit {
    char tenant[AUTH_ID_MAX + 1], user[AUTH_ID_MAX + 1], meeting[MEETING_ID_MAX + 1];
    char remote[ENGINE_REMOTE];
    char target[AUDIT_TARGET]; /* users with spaces between; the last may be cut off */
    const char *act;           /* constant */
};

static bool is_of_hosts(enum auth_permission who)
{
    return who == AUTH_MODERATE || who == AUTH_RECORD || who == AUTH_END_MEETING;
}

static void add_target(struct audit *audit, const json_t *who)
{
    size_t at = strlen(audit->target);

    if (json_is_string(who)) {
        (void)snprintf(audit->target + at, sizeof(audit->target) - at, "%s%s",
                       at > 0 ? " " : "", json_string_value(who));
    }
}

/* Whom it is about, as far as the payload names users. */
static void find_targets(struct audit *audit, const json_t *payload)
{
    static const char *const names[] = {"target_user_id", "user_id", "user_ids"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *who = json_object_get(payload, names[i]);
        const json_t *one;
        size_t at;

        add_target(audit, who);
        json_array_foreach(who, at, one)
        {
            add_target(audit, one);
        }
    }
}

struct audit *audit_begin(const struct client *client, const struct schema_event *event,
                          const json_t *payload)
{
    const struct participant *p = client->participant;
    struct audit *audit;

    if (client->signal->writer == NULL || p == NULL || !is_of_hosts(event->who)) {
        return NULL;
    }
    audit = calloc(1, sizeof(*audit));
    if (audit == NULL) {
        log_error("audit_not_written", LOG_STR("act", event->name));
        return NULL;
    }
    memcpy(audit->tenant, p->room->tenant, sizeof(audit->tenant));
    memcpy(audit->meeting, p->room->id, sizeof(audit->meeting));
    memcpy(audit->user, p->who.user_id, sizeof(audit->user));
    (void)snprintf(audit->remote, sizeof(audit->remote), "%s",
                   engine_remote(sio_conn_peer(client->socket->conn)));
    audit->act = event->name;
    find_targets(audit, payload);
    return audit;
}

static void write(const struct audit *audit, struct signal *signal, const char *result)
{
    char id[AUDIT_ID + 1];
    struct store_write writes[2] = {{.what = STORE_PUT, .kind = STORE_AUDIT},
                                    {.what = STORE_EVENT}};
    json_t *entry = json_pack("{s:s*, s:s, s:s}", "target",
                              audit->target[0] != '\0' ? audit->target : NULL, "address",
                              audit->remote, "result", result);
    json_t *told = json_copy(entry);
    char *text = json_dumps(entry, JSON_COMPACT);
    char *event;

    (void)json_object_update_new(
        told, json_pack("{s:s, s:s}", "act", audit->act, "actor", audit->user));
    event = json_dumps(told, JSON_COMPACT);
    json_decref(entry);
    json_decref(told);
    entropy_id(id, AUDIT_ID);
    writes[0].doc = (struct store_doc){
        .tenant = audit->tenant,
        .id = id,
        .group = audit->meeting,
        .ref = audit->user,
        .state = audit->act,
        .at = (int64_t)clock_wall_us(),
        .expires_s = clock_wall_s() + (int64_t)signal->conf.audit_days * DAY_S,
        .json = text};
    writes[1].event = (struct store_event){.tenant = audit->tenant,
                                           .meeting = audit->meeting,
                                           .type = "kcs.audit.act",
                                           .ref = audit->user,
                                           .json = event,
                                           .at_us = clock_wall_us()};
    meeting_number(signal->meeting, audit->tenant, audit->meeting, &writes[1].event.epoch,
                   &writes[1].event.seq);
    if (text == NULL || event == NULL ||
        store_writer_put(signal->writer, writes, 2, false, NULL, NULL) != 0) {
        log_error("audit_not_written", LOG_STR("act", audit->act));
    }
    free(text);
    free(event);
}

/* What one may not is written, too, but not as often as one likes to try. */
static bool may_write_refusal(struct client *client)
{
    static const struct rate_conf conf = {.per_s = 1, .burst = 20};

    if (rate_take(&client->refused, &conf, clock_mono_us()) == 0) {
        return true;
    }
    log_warn("audit_refusals_left_out", LOG_STR("user_id", client->who.user_id));
    return false;
}

void audit_end(struct audit *audit, struct client *client, const char *code)
{
    if (audit == NULL) {
        return;
    }
    if (client != NULL && code == NULL) {
        write(audit, client->signal, "ok");
    } else if (client != NULL && strcmp(code, "forbidden") == 0 &&
               may_write_refusal(client)) {
        write(audit, client->signal, "refused");
    }
    free(audit);
}
