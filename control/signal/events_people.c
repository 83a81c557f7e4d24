/* The events that hosts send about people, and people about themselves; see events.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meeting/host.h"
#include "signal/priv.h"

/* meeting.h's limits are the schema's too; ids are users' or participants'. */
enum { ID_MAX = AUTH_ID_MAX };

static const char *const roles[] = {"host",     "co_host", "presenter",
                                    "attendee", "guest",   NULL};

/* ---- muting ---- */

/* 'kind', audio if it is not there. */
static bool read_media(struct fields *f, bool required, enum meeting_media *out)
{
    int i;

    *out = MEETING_AUDIO;
    if (required ? !field_enum(f, "kind", encode_media_names, &i)
                 : !field_choice(f, "kind", encode_media_names, &i)) {
        return false;
    }
    *out = (enum meeting_media)(i >= 0 ? 1 << i : MEETING_AUDIO);
    return true;
}

void on_media_toggle(struct reply *reply, const json_t *payload)
{
    struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    enum meeting_media media;
    struct meeting_error err;
    bool on;

    if (!read_media(&f, true, &media) || !field_bool(&f, "enabled", true, &on)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply, meeting_toggle(reply_meeting(reply), p, media, on, &err), &err,
               json_pack("{s:s,s:s,s:s,s:b}", "participant_id", p->id, "user_id",
                         p->who.user_id, "kind",
                         encode_media_names[media == MEETING_AUDIO   ? 0
                                            : media == MEETING_VIDEO ? 1
                                                                     : 2],
                         "enabled", (int)on));
}

void on_mute(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    enum meeting_media media;
    struct meeting_error err;
    const char *target, *reason;

    if (!field_text(&f, "target_user_id", ID_MAX, true, &target) ||
        !read_media(&f, false, &media) ||
        !field_text(&f, "reason", MEETING_REASON_MAX, false, &reason)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               meeting_mute(reply_meeting(reply), reply->client->participant, target, media,
                            reason, &err),
               &err, NULL);
}

void on_mute_all(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    enum meeting_media media;
    struct meeting_error err;
    const char *reason;
    uint32_t n;
    int ret;

    if (f.error[0] != '\0' || !read_media(&f, false, &media) ||
        !field_text(&f, "reason", MEETING_REASON_MAX, false, &reason)) {
        reply_refuse(reply, &f);
        return;
    }
    ret = meeting_mute_all(reply_meeting(reply), reply->client->participant, media, reason,
                           &n, &err);
    reply_done(reply, ret, &err, json_pack("{s:i}", "count", (int)n));
}

void on_unmute_request(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    enum meeting_media media;
    struct meeting_error err;
    const char *target;

    if (f.error[0] != '\0' || !field_text(&f, "target_user_id", ID_MAX, false, &target) ||
        !read_media(&f, false, &media)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               meeting_ask_unmute(reply_meeting(reply), reply->client->participant, target,
                                  media, &err),
               &err, NULL);
}

/* ---- who is here, and as what ---- */

void on_remove(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    const char *target, *reason;
    struct meeting_error err;
    bool ban;

    if (!field_text(&f, "target_user_id", ID_MAX, true, &target) ||
        !field_text(&f, "reason", MEETING_REASON_MAX, false, &reason) ||
        !field_bool(&f, "ban", false, &ban)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               meeting_remove(reply_meeting(reply), reply->client->participant, target,
                              reason, ban, &err),
               &err, NULL);
}

void on_role_update(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *target;
    int role;

    if (!field_text(&f, "target_user_id", ID_MAX, true, &target) ||
        !field_enum(&f, "new_role", roles, &role)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               meeting_set_role(reply_meeting(reply), reply->client->participant, target,
                                (enum auth_role)role, &err),
               &err, NULL);
}

void on_participant_add(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *user, *name;
    int role;
    int ret;

    if (!field_text(&f, "user_id", ID_MAX, true, &user) ||
        !field_text(&f, "display_name", MEETING_NAME_MAX, false, &name) ||
        !field_choice(&f, "role", roles, &role)) {
        reply_refuse(reply, &f);
        return;
    }
    role = role >= 0 ? role : (int)AUTH_ATTENDEE;
    ret = meeting_invite(reply_meeting(reply), reply->client->participant, user, name,
                         (enum auth_role)role, &err);
    reply_done(reply, ret, &err,
               json_pack("{s:s,s:s,s:s}", "user_id", user, "display_name", name, "role",
                         roles[role]));
}

void on_rename(struct reply *reply, const json_t *payload)
{
    struct participant *self = reply->client->participant;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *target, *name;

    if (!field_text(&f, "display_name", MEETING_NAME_MAX, true, &name) ||
        !field_text(&f, "target_user_id", ID_MAX, false, &target)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply, meeting_rename(reply_meeting(reply), self, target, name, &err), &err,
               json_pack("{s:s,s:s}", "user_id",
                         target[0] != '\0' ? target : self->who.user_id, "display_name",
                         name));
}

void on_participant_list(struct reply *reply, const json_t *payload)
{
    struct participant *out[MEETING_PAGE];
    struct meeting_page page = {.after_id = ""};
    struct fields f = fields_of(payload);
    json_t *list;
    struct meeting_error err;
    const char *cursor;
    char id[MEETING_OBJECT_ID + 1] = "";
    int64_t limit;
    uint32_t total;
    bool more;
    size_t n;

    if (f.error[0] != '\0' || !field_text(&f, "cursor", 64, false, &cursor) ||
        !field_text(&f, "query", MEETING_NAME_MAX, false, &page.query) ||
        !field_int(&f, "limit", 1, MEETING_PAGE, false, 50, &limit)) {
        reply_refuse(reply, &f);
        return;
    }
    if (cursor[0] != '\0' && sscanf(cursor, "%" SCNu64 ".%20s", &page.after_us, id) != 2) {
        reply_fail(reply, "invalid", "/cursor: is none of ours");
        return;
    }
    if (meeting_ask(reply->client->participant, MEETING_RATE_LIST, &err) != 0) {
        reply_error(reply, &err);
        return;
    }
    page.after_id = id;
    page.limit = (size_t)limit;
    n = meeting_list(reply->client->participant, &page, out, &total, &more);
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, encode_participant(out[i]));
    }
    reply_ok(reply,
             json_pack("{s:o,s:i,s:i,s:o}", "participants", list, "count", (int)total,
                       "participant_count",
                       (int)reply->client->participant->room->n_participants, "next_cursor",
                       more && n > 0 ? encode_cursor(out[n - 1]) : json_null()));
}

/* ---- who is looked at ---- */

typedef int look_call(struct meeting *meeting, struct participant *by, const char *target,
                      bool on, struct meeting_error *err);

static void with_look(struct reply *reply, const json_t *payload, look_call *call)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *target;
    bool on;

    if (!field_text(&f, "target_user_id", ID_MAX, true, &target) ||
        !field_bool(&f, "on", true, &on)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               call(reply_meeting(reply), reply->client->participant, target, on, &err),
               &err, json_pack("{s:s,s:b}", "user_id", target, "on", (int)on));
}

void on_pin(struct reply *reply, const json_t *payload)
{
    with_look(reply, payload, meeting_pin);
}

void on_spotlight(struct reply *reply, const json_t *payload)
{
    with_look(reply, payload, meeting_spotlight);
}
