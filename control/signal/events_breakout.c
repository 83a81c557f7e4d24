/* The events about breakout rooms; see events.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/breakout.h"
#include "signal/priv.h"
#include "sys/clock.h"

enum { USERS_MAX = 10000, DURATION_MAX_S = 86400 };

/* What was read of the payload. */
struct drafts {
    struct breakout_draft at[BREAKOUT_MAX];
    size_t n;
    const char **users; /* of all of them; owned */
};

/* Reads user_ids of one into what is left of 'users'. */
static bool read_users(struct fields *f, const json_t *list, const char **users, size_t *n)
{
    json_t *each;
    size_t i;

    if (list != NULL && !json_is_null(list) && !json_is_array(list)) {
        return field_note(f, "/user_ids: must be a list");
    }
    json_array_foreach(list, i, each)
    {
        size_t len = json_string_length(each);

        if (len == 0 || len > AUTH_ID_MAX) {
            return field_note(f, "/user_ids: must be ids");
        }
        users[(*n)++] = json_string_value(each);
    }
    return true;
}

static size_t count_users(const json_t *list)
{
    json_t *each;
    size_t n = 0;
    size_t i;

    json_array_foreach(list, i, each)
    {
        n += json_array_size(json_object_get(each, "user_ids"));
    }
    return n;
}

/* Reads the list 'name' of objects with user_ids and either a name or a breakout_id. */
static bool read_drafts(struct fields *f, const char *name, bool made, struct drafts *out)
{
    const json_t *list = json_object_get(f->payload, name);
    size_t total = count_users(list);
    size_t n = 0;
    json_t *each;
    size_t i;

    *out = (struct drafts){.n = json_array_size(list)};
    if (out->n == 0 || out->n > BREAKOUT_MAX || total > USERS_MAX) {
        return field_note(f, "/rooms: must be 1 to 50, with at most 10000 people");
    }
    out->users = calloc(total + 1, sizeof(*out->users));
    if (out->users == NULL) {
        return field_note(f, "no memory");
    }
    json_array_foreach(list, i, each)
    {
        struct fields one = fields_of(each);
        size_t before = n;

        out->at[i] = (struct breakout_draft){.name = "", .id = ""};
        if (!(made
                  ? field_text(&one, "breakout_id", MEETING_OBJECT_ID, true, &out->at[i].id)
                  : field_text(&one, "name", BREAKOUT_NAME_MAX, true, &out->at[i].name)) ||
            !read_users(&one, json_object_get(each, "user_ids"), out->users, &n)) {
            (void)snprintf(f->error, sizeof(f->error), "/%s/%zu%.200s", name, i, one.error);
            return false;
        }
        out->at[i].users = out->users + before;
        out->at[i].n_users = n - before;
    }
    return true;
}

json_t *encode_breakouts(const struct room *room)
{
    const struct breakouts *b = room->breakouts;
    const char *people[BREAKOUT_SHOWN];
    json_t *list = json_array();

    for (unsigned i = 0; b != NULL && i < b->n; i++) {
        size_t n = meeting_breakout_people(room, i + 1, people);
        json_t *users = json_array();

        for (size_t k = 0; k < n; k++) {
            (void)json_array_append_new(users, json_string(people[k]));
        }
        (void)json_array_append_new(list,
                                    json_pack("{s:s,s:s,s:o}", "breakout_id", b->at[i].id,
                                              "name", b->at[i].name, "user_ids", users));
    }
    return json_pack(
        "{s:b,s:o,s:o}", "open", (int)(b != NULL && b->open), "rooms", list, "closes_at",
        b != NULL && b->closes_us != 0 ? encode_time(b->closes_us) : json_null());
}

/* Answers a call that returned 'ret' with how it is now. */
static void answer(struct reply *reply, int ret, const struct meeting_error *err)
{
    if (ret != 0) {
        reply_error(reply, err);
    } else {
        reply_seq(reply, encode_breakouts(reply->client->participant->room));
    }
}

void on_breakout_create(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    struct drafts drafts;

    if (!read_drafts(&f, "rooms", false, &drafts)) {
        reply_refuse(reply, &f);
    } else {
        answer(reply,
               meeting_breakout_create(reply_meeting(reply), reply->client->participant,
                                       drafts.at, drafts.n, &err),
               &err);
    }
    free(drafts.users);
}

void on_breakout_assign(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    struct drafts drafts;

    if (!read_drafts(&f, "assignments", true, &drafts)) {
        reply_refuse(reply, &f);
    } else {
        answer(reply,
               meeting_breakout_assign(reply_meeting(reply), reply->client->participant,
                                       drafts.at, drafts.n, &err),
               &err);
    }
    free(drafts.users);
}

void on_breakout_open(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    int64_t duration;

    if (f.error[0] != '\0' ||
        !field_int(&f, "duration_s", 1, DURATION_MAX_S, false, 0, &duration)) {
        reply_refuse(reply, &f);
        return;
    }
    answer(reply,
           meeting_breakout_open(reply_meeting(reply), reply->client->participant,
                                 (uint32_t)duration, &err),
           &err);
}

void on_breakout_join(struct reply *reply, const json_t *payload)
{
    struct participant *p = reply->client->participant;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (f.error[0] != '\0' ||
        !field_text(&f, "breakout_id", MEETING_OBJECT_ID, false, &id)) {
        reply_refuse(reply, &f);
    } else if (meeting_breakout_join(reply_meeting(reply), p, id, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, encode_moved(p));
    }
}

void on_breakout_broadcast(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *text;

    if (!field_text(&f, "message", BREAKOUT_TEXT_MAX, true, &text)) {
        reply_refuse(reply, &f);
    } else if (meeting_breakout_say(reply_meeting(reply), reply->client->participant, text,
                                    &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, NULL);
    }
}

void on_breakout_close(struct reply *reply, const json_t *payload)
{
    struct meeting_error err;

    (void)payload;
    answer(reply,
           meeting_breakout_close(reply_meeting(reply), reply->client->participant, &err),
           &err);
}

/* ---- what is told ---- */

json_t *encode_moved(const struct participant *p)
{
    const char *id = meeting_breakout_of(p);

    return json_pack("{s:o,s:s,s:o,s:o}", "breakout_id",
                     id != NULL ? json_string(id) : json_null(), "meeting_id", p->room->id,
                     "producers", encode_producers(p), "data_producers",
                     encode_data_producers(p));
}

json_t *encode_breakout_event(const struct meeting_event *event, const char **name)
{
    switch ((int)event->kind) {
    case MEETING_BREAKOUTS:
        *name = "breakout:updated";
        return encode_breakouts(event->room);
    case MEETING_MOVED:
        *name = "breakout:moved";
        return encode_moved(event->who);
    case MEETING_BREAKOUT_SAID:
        *name = "breakout:message";
        return json_pack("{s:s,s:s}", "user_id", event->who->who.user_id, "message",
                         event->text);
    default:
        return NULL;
    }
}
