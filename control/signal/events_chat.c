/* The events about the chat, hands and reactions; see events.c. */
#include <stdlib.h>
#include <string.h>

#include "meeting/chat.h"
#include "meeting/host.h"
#include "signal/priv.h"

/* ---- writing ---- */

void on_chat_send(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct signal *signal = reply->client->signal;
    struct saying *saying = NULL;
    const struct chat_message *m;
    struct chat_draft draft;
    struct meeting_error err;
    json_t *body;
    bool again;

    if (!field_text(&f, "message", CHAT_TEXT_MAX, true, &draft.text) ||
        !field_text(&f, "reply_to", MEETING_OBJECT_ID, false, &draft.reply_to) ||
        !field_text(&f, "to", AUTH_ID_MAX, false, &draft.to) ||
        !field_text(&f, "client_message_id", CHAT_CLIENT_ID_MAX, false, &draft.client_id)) {
        reply_refuse(reply, &f);
        return;
    }
    if (!keep_works(reply)) {
        return;
    }
    saying = keep_saying(signal, reply);
    if (saying == NULL) {
        reply_fail(reply, "no_memory", "the node is out of memory");
        return;
    }
    m = meeting_chat_send(signal->meeting, reply->client->participant, &draft, &again,
                          &err);
    if (m == NULL || again) {
        keep_unsaid(signal, saying);
    }
    if (m == NULL) {
        reply_error(reply, &err);
        return;
    }
    if (again && !keep_is_said(signal, m->id)) {
        reply_overloaded(reply, "it is being written; ask again");
        return;
    }
    body = encode_chat_message(m);
    (void)json_object_set_new(body, "duplicate", json_boolean(again));
    (void)json_object_set_new(body, "seq", json_integer((json_int_t)m->seq));
    (void)json_object_set_new(
        body, "epoch", json_integer((json_int_t)reply->client->participant->room->epoch));
    if (again) {
        reply_ok(reply, body);
    } else {
        keep_said(signal, saying, body);
    }
}

void on_chat_edit(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    const struct chat_message *m;
    const char *id, *text;
    struct meeting_error err;

    if (!field_text(&f, "message_id", MEETING_OBJECT_ID, true, &id) ||
        !field_text(&f, "message", CHAT_TEXT_MAX, true, &text)) {
        reply_refuse(reply, &f);
        return;
    }
    if (!keep_works(reply)) {
        return;
    }
    m = meeting_chat_edit(reply_meeting(reply), reply->client->participant, id, text, &err);
    reply_done(reply, m != NULL ? 0 : -1, &err, m != NULL ? encode_chat_edited(m) : NULL);
}

void on_chat_delete(struct reply *reply, const json_t *payload)
{
    const struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;
    int ret;

    if (!field_text(&f, "message_id", MEETING_OBJECT_ID, true, &id)) {
        reply_refuse(reply, &f);
        return;
    }
    ret = meeting_chat_delete(reply_meeting(reply), reply->client->participant, id, &err);
    reply_done(reply, ret, &err,
               json_pack("{s:s,s:s}", "message_id", id, "user_id", p->who.user_id));
}

void on_chat_react(struct reply *reply, const json_t *payload)
{
    const struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    const char *id, *emoji;
    struct meeting_error err;
    bool on;
    int ret;

    if (!field_text(&f, "message_id", MEETING_OBJECT_ID, true, &id) ||
        !field_text(&f, "emoji", CHAT_EMOJI_MAX, true, &emoji) ||
        !field_bool(&f, "on", true, &on)) {
        reply_refuse(reply, &f);
        return;
    }
    if (!keep_works(reply)) {
        return;
    }
    ret = meeting_chat_react(reply_meeting(reply), reply->client->participant, id, emoji,
                             on, &err);
    reply_done(reply, ret, &err,
               json_pack("{s:s,s:s,s:s,s:b}", "message_id", id, "user_id", p->who.user_id,
                         "emoji", emoji, "on", (int)on));
}

/* ---- reading ---- */

void on_chat_history(struct reply *reply, const json_t *payload)
{
    const struct chat_message *out[CHAT_PAGE];
    struct fields f = fields_of(payload);
    struct meeting_error err;
    unsigned long long before = 0;
    json_t *list;
    const char *cursor;
    char *end;
    int64_t limit;
    bool more;
    size_t n;

    if (f.error[0] != '\0' || !field_text(&f, "cursor", 64, false, &cursor) ||
        !field_int(&f, "limit", 1, CHAT_PAGE, false, 50, &limit)) {
        reply_refuse(reply, &f);
        return;
    }
    if (cursor[0] != '\0') {
        before = strtoull(cursor, &end, 10);
        if (*end != '\0' || before == 0) {
            reply_fail(reply, "invalid", "/cursor: is none of ours");
            return;
        }
    }
    if (meeting_ask(reply->client->participant, MEETING_RATE_LIST, &err) != 0) {
        reply_error(reply, &err);
        return;
    }
    n = meeting_chat_history(reply->client->participant, before, (size_t)limit, out, &more);
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, encode_chat_message(out[i]));
    }
    reply_ok(reply,
             json_pack("{s:o,s:o}", "messages", list, "next_cursor",
                       more && n > 0
                           ? json_sprintf("%llu", (unsigned long long)out[n - 1]->seq)
                           : json_null()));
}

void on_chat_read(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "message_id", MEETING_OBJECT_ID, true, &id)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(
        reply,
        meeting_chat_read(reply_meeting(reply), reply->client->participant, id, &err), &err,
        NULL);
}

void on_chat_typing(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    bool on;

    if (f.error[0] != '\0' || !field_bool(&f, "is_typing", true, &on)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(
        reply,
        meeting_chat_typing(reply_meeting(reply), reply->client->participant, on, &err),
        &err, NULL);
}

/* ---- hands and reactions ---- */

void on_hand_raise(struct reply *reply, const json_t *payload)
{
    struct participant *p = reply->client->participant;
    struct meeting_error err;
    uint32_t position = 0;
    int ret;

    (void)payload; /* a hand is raised by whose it is */
    ret = meeting_hand_raise(reply_meeting(reply), p, &position, &err);
    reply_done(reply, ret, &err,
               json_pack("{s:s,s:s,s:i}", "participant_id", p->id, "user_id",
                         p->who.user_id, "position", (int)position));
}

void on_hand_lower(struct reply *reply, const json_t *payload)
{
    struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *target;
    int ret;

    if (f.error[0] != '\0' ||
        !field_text(&f, "target_user_id", AUTH_ID_MAX, false, &target)) {
        reply_refuse(reply, &f);
        return;
    }
    ret = meeting_hand_lower(reply_meeting(reply), p, target, &err);
    reply_done(reply, ret, &err,
               json_pack("{s:s}", "user_id", target[0] != '\0' ? target : p->who.user_id));
}

void on_hand_lower_all(struct reply *reply, const json_t *payload)
{
    struct meeting_error err;

    (void)payload;
    reply_done(
        reply,
        meeting_hand_lower_all(reply_meeting(reply), reply->client->participant, &err),
        &err, NULL);
}

void on_reaction(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *emoji;

    if (!field_text(&f, "emoji", CHAT_EMOJI_MAX, true, &emoji)) {
        reply_refuse(reply, &f);
        return;
    }
    reply_done(reply,
               meeting_react(reply_meeting(reply), reply->client->participant, emoji, &err),
               &err, NULL);
}
