/* What hosts do to others, so that it can be answered for: who did what to whom, from which
 * address, and whether it was allowed (auth/audit.h). REST has its own acts. */
#include <stdlib.h>
#include <string.h>

#include "auth/audit.h"
#include "signal/engine.h"
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"
#include "sys/log.h"

enum { AUDIT_TARGET = 256 };

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
    struct audit_act act = {.tenant = audit->tenant,
                            .actor = audit->user,
                            .meeting = audit->meeting,
                            .act = audit->act,
                            .target = audit->target[0] != '\0' ? audit->target : NULL,
                            .address = audit->remote,
                            .result = result,
                            .days = signal->conf.audit_days};
    struct store_write writes[AUDIT_WRITES];
    char id[AUDIT_ID + 1];
    char *texts[AUDIT_WRITES];

    meeting_number(signal->meeting, audit->tenant, audit->meeting, &act.epoch, &act.seq);
    if (audit_fill(&act, writes, id, texts) != 0 ||
        store_writer_put(signal->writer, writes, AUDIT_WRITES, true, NULL, NULL) != 0) {
        log_error("audit_not_written", LOG_STR("act", audit->act));
    }
    free(texts[0]);
    free(texts[1]);
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

void audit_auto(struct signal *signal, const struct room *room, const char *act)
{
    struct audit audit = {.user = "auto_record", .act = act};

    if (signal->writer != NULL) {
        memcpy(audit.tenant, room->tenant, sizeof(audit.tenant));
        memcpy(audit.meeting, room->id, sizeof(audit.meeting));
        write(&audit, signal, "ok");
    }
}
