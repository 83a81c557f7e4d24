/* The events about polls, the whiteboard, captions, what clients measure, and their tokens;
 * see events.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/host.h"
#include "meeting/play.h"
#include "proto/jtext.h"
#include "signal/priv.h"
#include "sys/clock.h"

enum {
    EXPIRING_S = 60,       /* before its end a client is told */
    WARN_US = 10 * 1000000 /* between two warnings to one client */
};

/* ---- polls ---- */

static bool read_options(struct fields *f, struct poll_draft *draft)
{
    const json_t *list = json_object_get(f->payload, "options");
    size_t n = json_array_size(list);
    json_t *each;
    size_t i;

    if (n < 2 || n > POLL_OPTIONS) {
        return field_note(f, "/options: must be 2 to 20 texts");
    }
    json_array_foreach(list, i, each)
    {
        if (!json_is_string(each) || json_string_length(each) == 0 ||
            json_string_length(each) > POLL_OPTION_MAX) {
            return field_note(f, "/options: each must be a text of 1 to 800 bytes");
        }
        draft->options[i] = json_string_value(each);
    }
    draft->n_options = (uint8_t)n;
    return true;
}

void on_poll_create(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct poll_draft draft = {.n_options = 0};
    const struct poll *poll;
    struct meeting_error err;

    if (!field_text(&f, "question", POLL_QUESTION_MAX, true, &draft.question) ||
        !read_options(&f, &draft) || !field_bool(&f, "multiple", false, &draft.multiple) ||
        !field_bool(&f, "anonymous", false, &draft.anonymous)) {
        reply_refuse(reply, &f);
        return;
    }
    if (!keep_works(reply)) {
        return;
    }
    poll =
        meeting_poll_create(reply_meeting(reply), reply->client->participant, &draft, &err);
    if (poll == NULL) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_pack("{s:s}", "poll_id", poll->id));
    }
}

/* A number of an option, or a list of them, as bits. */
static bool read_choice(struct fields *f, uint32_t *choice)
{
    const json_t *value = json_object_get(f->payload, "choice");
    json_t *each;
    size_t i;

    *choice = 0;
    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) < POLL_OPTIONS) {
        *choice = UINT32_C(1) << json_integer_value(value);
    }
    json_array_foreach(value, i, each)
    {
        json_int_t n = json_is_integer(each) ? json_integer_value(each) : -1;

        if (n < 0 || n >= POLL_OPTIONS) {
            return field_note(f, "/choice: must be numbers of options");
        }
        *choice |= UINT32_C(1) << n;
    }
    return *choice != 0 || field_note(f, "/choice: must be numbers of options");
}

void on_poll_vote(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    uint32_t choice;
    const char *id;

    if (!field_text(&f, "poll_id", MEETING_OBJECT_ID, true, &id) ||
        !read_choice(&f, &choice)) {
        reply_refuse(reply, &f);
    } else if (meeting_poll_vote(reply_meeting(reply), reply->client->participant, id,
                                 choice, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_ok(reply, json_pack("{s:s}", "poll_id", id));
    }
}

void on_poll_close(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "poll_id", MEETING_OBJECT_ID, true, &id)) {
        reply_refuse(reply, &f);
    } else if (meeting_poll_close(reply_meeting(reply), reply->client->participant, id,
                                  &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_pack("{s:s}", "poll_id", id));
    }
}

/* ---- the whiteboard ---- */

static void free_ops(struct board_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)ops[i].words);
    }
}

/* Reads ops[]: each an object with 'op', and 'id' if it can be changed again; the rest is
 * the clients' own. The words are the caller's to free. */
static bool read_ops(struct fields *f, struct board_op ops[BOARD_OPS], size_t *n)
{
    const json_t *list = json_object_get(f->payload, "ops");
    size_t bytes = 0;
    json_t *each;
    size_t i;

    *n = 0;
    if (json_array_size(list) == 0 || json_array_size(list) > BOARD_OPS) {
        return field_note(f, "/ops: must be a list of 1 to 256");
    }
    json_array_foreach(list, i, each)
    {
        const char *op = json_string_value(json_object_get(each, "op"));
        const json_t *id = json_object_get(each, "id");
        char *words;

        if (op == NULL || op[0] == '\0' ||
            (id != NULL && !json_is_null(id) && !json_is_string(id))) {
            return field_note(f, "/ops: each needs op, and an id that is a text");
        }
        words = jtext_make(each, JSON_COMPACT);
        if (words == NULL) {
            return field_note(f, "/ops: no memory");
        }
        ops[i] = (struct board_op){.id = json_is_string(id) ? json_string_value(id) : "",
                                   .remove = strcmp(op, "remove") == 0,
                                   .words = words,
                                   .len = strlen(words)};
        *n = i + 1;
        bytes += ops[i].len;
        if (bytes > BOARD_UPDATE_MAX) {
            return field_note(f, "/ops: more than 65536 bytes");
        }
    }
    return true;
}

void on_board_update(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct board_op ops[BOARD_OPS];
    struct meeting_error err;
    uint64_t version;
    size_t n;

    if (!read_ops(&f, ops, &n)) {
        reply_refuse(reply, &f);
    } else if (meeting_board_update(reply_meeting(reply), reply->client->participant, ops,
                                    n, &version, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_ok(reply, json_pack("{s:I}", "version", (json_int_t)version));
    }
    free_ops(ops, n);
}

void on_board_clear(struct reply *reply, const json_t *payload)
{
    struct meeting_error err;
    uint64_t version;

    (void)payload;
    if (meeting_board_clear(reply_meeting(reply), reply->client->participant, &version,
                            &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_pack("{s:I}", "version", (json_int_t)version));
    }
}

void on_board_get(struct reply *reply, const json_t *payload)
{
    struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    struct board_op ops[BOARD_PAGE];
    struct meeting_error err;
    int64_t version;
    uint64_t upto;
    bool more;
    size_t n;

    if (f.error[0] != '\0' ||
        !field_int(&f, "after_version", 0, INT64_MAX, false, 0, &version)) {
        reply_refuse(reply, &f);
        return;
    }
    if (meeting_ask(p, MEETING_RATE_LIST, &err) != 0) {
        reply_error(reply, &err);
        return;
    }
    n = meeting_board_page(p->room, (uint64_t)version, ops, &upto, &more);
    reply_ok(reply, json_pack("{s:o,s:I,s:b}", "ops", encode_board_ops(ops, n), "version",
                              (json_int_t)upto, "more", (int)more));
}

/* ---- captions ---- */

void on_caption(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    struct caption c;

    if (!field_text(&f, "lang", CAPTION_LANG_MAX, true, &c.lang) ||
        !field_text(&f, "text", CAPTION_TEXT_MAX, false, &c.text) ||
        !field_text(&f, "speaker_user_id", AUTH_ID_MAX, false, &c.speaker) ||
        !field_int(&f, "start_ms", 0, INT64_MAX, true, 0, &c.start_ms) ||
        !field_int(&f, "end_ms", 0, INT64_MAX, true, 0, &c.end_ms) ||
        !field_bool(&f, "final", false, &c.final)) {
        reply_refuse(reply, &f);
    } else if (meeting_caption(reply_meeting(reply), reply->client->participant, &c,
                               &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_ok(reply, NULL);
    }
}

/* ---- what clients measure ---- */

static bool read_number(struct fields *f, const char *name, double max, double *out)
{
    const json_t *value = json_object_get(f->payload, name);
    char error[96];

    *out = json_number_value(value);
    if (json_is_number(value) && *out >= 0 && *out <= max) {
        return true;
    }
    (void)snprintf(error, sizeof(error), "/%s: must be a number from 0 to %.0f", name, max);
    return field_note(f, error);
}

void on_stats_report(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    uint64_t now_us = clock_mono_us();
    double rtt, jitter, loss, bitrate;
    const char *issue;

    if (!read_number(&f, "rtt", 60000, &rtt) ||
        !read_number(&f, "jitter", 60000, &jitter) ||
        !read_number(&f, "packet_loss", 100, &loss) ||
        !read_number(&f, "bitrate", 9007199254740991.0, &bitrate)) {
        reply_refuse(reply, &f);
        return;
    }
    issue = loss > 5      ? "packet_loss"
            : rtt > 400   ? "high_rtt"
            : jitter > 60 ? "high_jitter"
                          : NULL;
    reply_ok(reply, NULL);
    if (issue != NULL &&
        (client->warned_us == 0 || now_us - client->warned_us >= WARN_US)) {
        client->warned_us = now_us;
        client_emit(client, "quality:warning",
                    json_pack("{s:s,s:s,s:o}", "issue", issue, "meeting_id",
                              client->participant->room->id, "timestamp",
                              encode_time(clock_wall_us())));
        client_push(client);
    }
}

/* ---- tokens ---- */

static json_t *encode_expiry(const struct client *client)
{
    return json_pack("{s:o}", "expires_at",
                     encode_time((uint64_t)client->who.expires_s * 1000000));
}

void on_auth_refresh(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct auth_identity who;
    const char *token, *code;

    if (!field_text(&f, "token", 8192, true, &token)) {
        reply_refuse(reply, &f);
        return;
    }
    if (auth_verify(client->signal->conf.auth, token, strlen(token), clock_wall_s(), &who,
                    &code) != 0) {
        reply_fail(reply, code, "the token was refused");
        return;
    }
    if (strcmp(who.user_id, client->who.user_id) != 0 ||
        strcmp(who.tenant, client->who.tenant) != 0 ||
        (who.meeting_id[0] != '\0' && client->participant != NULL &&
         strcmp(who.meeting_id, client->participant->room->id) != 0)) {
        reply_fail(reply, "forbidden", "the token is another user's, or another meeting's");
        return;
    }
    client->told_expiring = false;
    if (client->participant != NULL) { /* there the role is the meeting's to say */
        client->who.expires_s = who.expires_s;
        client->participant->who.expires_s = who.expires_s;
    } else {
        client->who = who;
    }
    reply_ok(reply, encode_expiry(client));
}

void tokens_tick(struct signal *signal)
{
    int64_t now_s = clock_wall_s();

    for (struct client *client = signal->clients; client != NULL; client = client->next) {
        if (!client->legacy && !client->told_expiring &&
            client->who.expires_s <= now_s + EXPIRING_S) {
            client->told_expiring = true;
            client_emit(client, "auth:expiring", encode_expiry(client));
            client_push(client);
        }
    }
}
