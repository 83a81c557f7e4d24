/* What is told of rooms and the people in them, to JSON; see priv.h. */
#include <string.h>

#include "meeting/host.h"
#include "meeting/roster.h"
#include "signal/priv.h"

const char *const encode_media_names[] = {"audio", "video", "screen", NULL};

static const char *media_name(enum meeting_media media)
{
    return encode_media_names[media == MEETING_AUDIO ? 0 : media == MEETING_VIDEO ? 1 : 2];
}

static json_t *media_list(uint8_t bits)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < 3; i++) {
        if ((bits & 1u << i) != 0) {
            (void)json_array_append_new(list, json_string(encode_media_names[i]));
        }
    }
    return list;
}

json_t *encode_participant(const struct participant *p)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "participant_id", p->id,
                     "user_id", p->who.user_id, "display_name", p->name, "role",
                     auth_role_name(p->who.role), "joined_at", encode_time(p->joined_us),
                     "off", media_list(p->off), "muted_by_host", media_list(p->muted),
                     "hand_order",
                     p->hand != 0 ? json_integer((json_int_t)p->hand) : json_null());
}

json_t *encode_settings(const struct room *room)
{
    json_t *features = json_object();
    json_t *settings = json_pack("{s:s,s:i,s:s}", "meeting_name",
                                 room->name[0] != '\0' ? room->name : room->id,
                                 "max_participants", (int)room->max_participants, "layout",
                                 meeting_layout_names[room->layout]);

    for (unsigned i = 0; i < N_MEETING_FLAGS; i++) {
        (void)json_object_set_new(i >= MEETING_FIRST_FEATURE ? features : settings,
                                  meeting_flag_names[i],
                                  json_boolean((room->flags & 1u << i) != 0));
    }
    (void)json_object_set_new(settings, "features", features);
    return settings;
}

json_t *encode_lobby(const struct room *room)
{
    json_t *list = json_array();

    for (const struct participant *p = room->waiting;
         p != NULL && json_array_size(list) < MEETING_PAGE; p = p->next) {
        (void)json_array_insert_new(/* who came first stands first */
                                    list, 0,
                                    json_pack("{s:s,s:s,s:s,s:s,s:o}", "participant_id",
                                              p->id, "user_id", p->who.user_id,
                                              "display_name", p->name, "role",
                                              auth_role_name(p->who.role), "waiting_since",
                                              encode_time(p->joined_us)));
    }
    return json_pack("{s:o,s:i}", "waiting", list, "count", (int)room->n_waiting);
}

/* Adds who did it. */
static json_t *with_by(json_t *body, const struct participant *by)
{
    if (by != NULL) {
        (void)json_object_set_new(body, "by_user_id", json_string(by->who.user_id));
    }
    return body;
}

static json_t *encode_who(const struct participant *p)
{
    return json_pack("{s:s,s:s}", "participant_id", p->id, "user_id", p->who.user_id);
}

static json_t *encode_with_media(const struct meeting_event *event, const char *flag)
{
    json_t *body = encode_who(event->who);

    (void)json_object_set_new(body, "kind", json_string(media_name(event->media)));
    if (flag != NULL) {
        (void)json_object_set_new(body, flag, json_boolean(event->on));
    }
    if (event->reason != NULL) {
        (void)json_object_set_new(body, "reason", json_string(event->reason));
    }
    return with_by(body, event->by);
}

/* A participant with what it sends: large meetings hear of that in no other way. */
static json_t *encode_with_producers(const struct participant *p)
{
    json_t *body = encode_participant(p);
    json_t *list = json_array();

    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            if (rp->ready) {
                (void)json_array_append_new(
                    list, json_pack("{s:s,s:b}", "producer_id", rp->id, "paused",
                                    (int)producer_is_paused(rp->producer)));
            }
        }
    }
    (void)json_object_set_new(body, "producers", list);
    return body;
}

static json_t *encode_roster(const struct roster *roster, const struct room *room)
{
    json_t *joined = json_array();
    json_t *updated = json_array();
    json_t *left = json_array();

    for (uint32_t i = 0; i < roster->n_joined; i++) {
        (void)json_array_append_new(joined, encode_with_producers(roster->joined[i]));
    }
    for (uint32_t i = 0; i < roster->n_updated; i++) {
        (void)json_array_append_new(updated, encode_with_producers(roster->updated[i]));
    }
    for (uint32_t i = 0; i < roster->n_left; i++) {
        const struct roster_left *l = &roster->left[i];

        (void)json_array_append_new(left, json_pack("{s:s,s:s,s:s}", "participant_id",
                                                    l->participant_id, "user_id",
                                                    l->user_id, "reason", l->reason));
    }
    return json_pack("{s:o,s:o,s:o,s:b,s:i,s:I}", "joined", joined, "left", left, "updated",
                     updated, "more", (int)roster->more, "participant_count",
                     (int)room->n_participants, "up_to_seq", (json_int_t)room->seq);
}

/* Of the room. */
static json_t *encode_of_room(const struct meeting_event *event, const char **name)
{
    switch ((int)event->kind) {
    case MEETING_ROOM_UPDATED:
        *name = "room:updated";
        return with_by(json_pack("{s:o}", "settings", encode_settings(event->room)),
                       event->by);
    case MEETING_LAYOUT_CHANGED:
        *name = "layout:changed";
        return with_by(
            json_pack("{s:s}", "layout", meeting_layout_names[event->room->layout]),
            event->by);
    case MEETING_ROOM_CLOSED:
        *name = "room:closed";
        return json_pack("{s:s}", "reason", event->reason);
    case MEETING_LOBBY:
        *name = "lobby:updated";
        return encode_lobby(event->room);
    case MEETING_DENIED:
        *name = "lobby:denied";
        return json_pack("{s:s}", "reason", event->reason);
    case MEETING_ROSTER:
        *name = "roster:delta";
        return encode_roster(event->roster, event->room);
    case MEETING_COUNT:
        *name = "participant:count";
        return json_pack("{s:i}", "count", (int)event->room->n_participants);
    default:
        return encode_chat_event(event, name);
    }
}

json_t *encode_people_event(const struct meeting_event *event, const char **name)
{
    json_t *body;

    switch ((int)event->kind) {
    case MEETING_MEDIA_UPDATED:
        *name = "participant:media:updated";
        return encode_with_media(event, "enabled");
    case MEETING_MUTED:
        *name = "muted:by-host";
        return encode_with_media(event, "may_unmute");
    case MEETING_UNMUTE_ASKED:
        *name = "unmute:requested";
        return encode_with_media(event, NULL);
    case MEETING_REMOVED:
        *name = "removed:from-meeting";
        return json_pack("{s:s,s:b}", "reason", event->reason, "banned", (int)event->on);
    case MEETING_ROLE_CHANGED:
        *name = "participant:role:changed";
        body = encode_who(event->who);
        (void)json_object_set_new(body, "old_role",
                                  json_string(auth_role_name(event->old_role)));
        (void)json_object_set_new(body, "new_role",
                                  json_string(auth_role_name(event->who->who.role)));
        (void)json_object_set_new(body, "permissions", encode_permissions(event->who));
        return with_by(body, event->by);
    case MEETING_INVITED:
        *name = "participant:added";
        return with_by(json_pack("{s:s,s:s,s:s}", "user_id", event->text, "display_name",
                                 event->reason, "role", auth_role_name(event->old_role)),
                       event->by);
    case MEETING_PERSON_UPDATED:
        *name = "participant:updated";
        return with_by(encode_participant(event->who), event->by);
    case MEETING_SPOTLIGHTED:
        *name = "participant:spotlighted";
        body = encode_who(event->who);
        (void)json_object_set_new(body, "on", json_boolean(event->on));
        return with_by(body, event->by);
    default:
        return encode_of_room(event, name);
    }
}
