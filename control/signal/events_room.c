/* The events about the room itself; see events.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/host.h"
#include "signal/priv.h"

/* ---- settings ---- */

/* Reads a boolean into the change, if it is there. */
static bool read_flag(struct fields *f, unsigned i, struct meeting_change *change)
{
    const char *name = meeting_flag_names[i];
    bool on;

    if (json_object_get(f->payload, name) == NULL) {
        return true;
    }
    if (!field_bool(f, name, false, &on)) {
        return false;
    }
    if (on) {
        change->set |= UINT32_C(1) << i;
    } else {
        change->clear |= UINT32_C(1) << i;
    }
    return true;
}

/* Reads the settings in the object 'name' of the payload; false with the error noted. */
static bool read_change(struct fields *f, const char *name, bool required,
                        struct meeting_change *change)
{
    const json_t *object;
    const json_t *features;
    struct fields in, of;
    const char *title = "";
    int64_t most = 0;
    bool fine;

    *change = (struct meeting_change){.layout = -1};
    if (!field_object(f, name, required, &object)) {
        return false;
    }
    in = fields_of(object);
    fine = field_text(&in, "meeting_name", MEETING_TITLE_MAX, false, &title) &&
           field_int(&in, "max_participants", 1, 10000, false, 0, &most) &&
           field_choice(&in, "layout", meeting_layout_names, &change->layout) &&
           field_object(&in, "features", false, &features);
    of = fields_of(fine ? features : NULL);
    for (unsigned i = 0; i < N_MEETING_FLAGS && fine; i++) {
        fine = read_flag(i >= MEETING_FIRST_FEATURE ? &of : &in, i, change);
    }
    change->name = title[0] != '\0' ? title : NULL;
    change->max_participants = (uint32_t)most;
    if (!fine) {
        (void)snprintf(f->error, sizeof(f->error), "/%s%s%.200s", name,
                       of.error[0] != '\0' ? "/features" : "",
                       of.error[0] != '\0' ? of.error : in.error);
    }
    return fine;
}

/* Whether the meeting that the payload may name is the one that the client is in. */
static bool same_meeting(struct reply *reply, struct fields *f)
{
    const char *id;

    if (!field_text(f, "meeting_id", MEETING_ID_MAX, false, &id)) {
        reply_fail(reply, "invalid", f->error);
        return false;
    }
    if (id[0] != '\0' && strcmp(id, reply->client->participant->room->id) != 0) {
        reply_fail(reply, "not_found", "you are not in that meeting");
        return false;
    }
    return true;
}

static void create(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_change change;
    const struct room *room;
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "meeting_id", MEETING_ID_MAX, true, &id) ||
        !read_change(&f, "options", false, &change)) {
        reply_refuse(reply, &f);
        return;
    }
    room = meeting_create_room(client->signal->meeting, &client->who, id, &change, &err);
    if (room == NULL) {
        reply_error(reply, &err);
        return;
    }
    reply_ok(reply, json_pack("{s:s,s:s,s:o}", "meeting_id", room->id, "room_id", room->id,
                              "config", encode_settings(room)));
}

/* One who makes a room of a meeting that is being read. */
struct making {
    struct reply *reply;
    json_t *payload;
};

static void on_ready(void *arg)
{
    struct making *making = arg;

    if (making->reply->client != NULL) {
        create(making->reply, making->payload);
    } else {
        reply_ok(making->reply, NULL); /* it is gone: frees the reply */
    }
    json_decref(making->payload);
    free(making);
}

void on_room_create(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct making *making = calloc(1, sizeof(*making));
    struct fields f = fields_of(payload);
    const char *id;

    if (making == NULL) {
        reply_fail(reply, "no_memory", "the node is out of memory");
        return;
    }
    making->reply = reply;
    making->payload = json_incref((json_t *)payload);
    if (!field_text(&f, "meeting_id", MEETING_ID_MAX, true, &id) ||
        meeting_prepare(client->signal->meeting, &client->who, id, true, on_ready,
                        making)) {
        on_ready(making);
    }
}

static void change_room(struct reply *reply, const struct meeting_change *change)
{
    struct client *client = reply->client;
    struct meeting_error err;

    if (meeting_update(client->signal->meeting, client->participant, change, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_pack("{s:s,s:o}", "meeting_id", client->participant->room->id,
                                   "settings", encode_settings(client->participant->room)));
    }
}

static void set_lock(struct reply *reply, const json_t *payload, bool on)
{
    struct fields f = fields_of(payload);
    const struct meeting_change change = {.set = on ? MEETING_BIT(LOCKED) : 0,
                                          .clear = on ? 0 : MEETING_BIT(LOCKED),
                                          .layout = -1};

    if (same_meeting(reply, &f)) {
        change_room(reply, &change);
    }
}

void on_room_lock(struct reply *reply, const json_t *payload)
{
    set_lock(reply, payload, true);
}

void on_room_unlock(struct reply *reply, const json_t *payload)
{
    set_lock(reply, payload, false);
}

void on_room_update(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_change change;

    if (!same_meeting(reply, &f)) {
        return;
    }
    if (!read_change(&f, "settings", true, &change)) {
        reply_refuse(reply, &f);
        return;
    }
    change_room(reply, &change);
}

void on_layout_change(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    int layout;

    if (!field_enum(&f, "layout", meeting_layout_names, &layout)) {
        reply_refuse(reply, &f);
    } else if (meeting_set_layout(client->signal->meeting, client->participant,
                                  (enum meeting_layout)layout, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_pack("{s:s}", "layout", meeting_layout_names[layout]));
    }
}

void on_room_close(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;

    if (!same_meeting(reply, &f)) {
        return;
    }
    if (meeting_close(client->signal->meeting, client->participant, "ended", &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_ok(reply, NULL);
    }
}

/* ---- the lobby ---- */

typedef int lobby_call(struct meeting *meeting, struct participant *by,
                       const char *const *ids, size_t n, struct meeting_error *err);

static bool read_ids(struct fields *f, const char *ids[MEETING_PAGE], size_t *n)
{
    const json_t *list = json_object_get(f->payload, "user_ids");
    json_t *each;
    size_t i;

    *n = json_array_size(list);
    json_array_foreach(list, i, each)
    {
        ids[i < MEETING_PAGE ? i : 0] = json_string_value(each);
        if (i >= MEETING_PAGE || !json_is_string(each) ||
            json_string_length(each) > AUTH_ID_MAX) {
            *n = 0;
            break;
        }
    }
    if (*n == 0) {
        (void)snprintf(f->error, sizeof(f->error), "/user_ids: must be 1 to %d ids",
                       MEETING_PAGE);
    }
    return *n > 0;
}

static void with_lobby(struct reply *reply, const json_t *payload, lobby_call *call,
                       bool all)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    const char *ids[MEETING_PAGE];
    struct meeting_error err;
    size_t n = 0;

    if (f.error[0] != '\0' || (!all && !read_ids(&f, ids, &n))) {
        reply_refuse(reply, &f);
    } else if (call(client->signal->meeting, client->participant, ids, n, &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, encode_lobby(client->participant->room));
    }
}

void on_lobby_admit(struct reply *reply, const json_t *payload)
{
    with_lobby(reply, payload, meeting_admit, false);
}

void on_lobby_deny(struct reply *reply, const json_t *payload)
{
    with_lobby(reply, payload, meeting_deny, false);
}

void on_lobby_admit_all(struct reply *reply, const json_t *payload)
{
    with_lobby(reply, payload, meeting_admit, true);
}
