/* The events about layers and screens; see events.c. */
#include <stdio.h>
#include <string.h>

#include "signal/priv.h"

enum { ID_MAX = 128, MAX_PIXELS = 65535 };

static void fail_invalid(struct reply *reply, const struct fields *f)
{
    reply_fail(reply, "invalid", f->error);
}

/* Answers with what the consumer is sent; the change itself is told when it has happened.
 */
static void answer_layers(struct reply *reply, const struct room_consumer *rc,
                          const struct meeting_error *err)
{
    if (rc == NULL) {
        reply_fail(reply, err->code, err->message);
    } else {
        reply_ok(reply, encode_consumer_layers(rc));
    }
}

void on_consumer_layers(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;
    int64_t spatial;
    int64_t temporal;

    if (!field_text(&f, "consumer_id", ID_MAX, true, &id) ||
        !field_int(&f, "spatial", 0, MEETING_LAYER_ANY - 1, true, 0, &spatial) ||
        !field_int(&f, "temporal", 0, MEETING_LAYER_ANY - 1, false, MEETING_LAYER_ANY,
                   &temporal)) {
        fail_invalid(reply, &f);
        return;
    }
    answer_layers(reply,
                  meeting_consumer_layers(client->signal->meeting, client->participant, id,
                                          (uint8_t)spatial, (uint8_t)temporal, &err),
                  &err);
}

void on_quality_change(struct reply *reply, const json_t *payload)
{
    static const char *const names[] = {"low", "medium", "high", NULL};
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *consumer;
    const char *producer;
    int quality;

    if (!field_text(&f, "consumer_id", ID_MAX, false, &consumer) ||
        !field_text(&f, "producer_id", ID_MAX, consumer[0] == '\0', &producer) ||
        !field_enum(&f, "layer", names, &quality)) {
        fail_invalid(reply, &f);
        return;
    }
    answer_layers(reply,
                  meeting_consumer_quality(client->signal->meeting, client->participant,
                                           consumer[0] != '\0' ? consumer : producer,
                                           (unsigned)quality, &err),
                  &err);
}

void on_consumer_priority(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;
    int64_t priority;

    if (!field_text(&f, "consumer_id", ID_MAX, true, &id) ||
        !field_int(&f, "priority", 1, UINT8_MAX, true, 1, &priority)) {
        fail_invalid(reply, &f);
    } else if (meeting_consumer_priority(client->signal->meeting, client->participant, id,
                                         (uint8_t)priority, &err) != 0) {
        reply_fail(reply, err.code, err.message);
    } else {
        reply_ok(reply, json_pack("{s:s,s:I}", "consumer_id", id, "priority",
                                  (json_int_t)priority));
    }
}

void on_consumer_keyframe(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "consumer_id", ID_MAX, true, &id)) {
        fail_invalid(reply, &f);
    } else if (meeting_consumer_keyframe(client->signal->meeting, client->participant, id,
                                         &err) != 0) {
        reply_fail(reply, err.code, err.message);
    } else {
        reply_ok(reply, json_pack("{s:s}", "consumer_id", id));
    }
}

/* Reads visible[]; returns false with the error noted. */
static bool read_views(struct fields *f, const json_t *list, struct meeting_view *views,
                       size_t *n)
{
    size_t i;
    json_t *each;

    *n = 0;
    if (!json_is_array(list) || json_array_size(list) > MEETING_VIEWS) {
        (void)snprintf(f->error, sizeof(f->error), "/visible: must be at most %d of a list",
                       MEETING_VIEWS);
        return false;
    }
    json_array_foreach(list, i, each)
    {
        struct fields one = fields_of(each);
        int64_t width;
        int64_t height;

        if (!field_text(&one, "producer_id", ID_MAX, true, &views[i].producer_id) ||
            !field_int(&one, "width", 0, MAX_PIXELS, true, 0, &width) ||
            !field_int(&one, "height", 0, MAX_PIXELS, true, 0, &height)) {
            (void)snprintf(f->error, sizeof(f->error), "/visible/%zu%.200s", i, one.error);
            return false;
        }
        views[i].width = (uint32_t)width;
        views[i].height = (uint32_t)height;
        *n = i + 1;
    }
    return true;
}

void on_view_set(struct reply *reply, const json_t *payload)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_view views[MEETING_VIEWS];
    struct meeting_error err;
    int64_t last_n;
    size_t n;

    if (!field_int(&f, "last_n", 0, UINT16_MAX, false, 0, &last_n) ||
        !read_views(&f, json_object_get(payload, "visible"), views, &n)) {
        fail_invalid(reply, &f);
    } else if (meeting_view(client->signal->meeting, client->participant, views, n,
                            (uint32_t)last_n, &err) != 0) {
        reply_fail(reply, err.code, err.message);
    } else {
        reply_ok(reply, NULL);
    }
}

static void set_screen(struct reply *reply, const json_t *payload, bool on)
{
    struct client *client = reply->client;
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *meeting_id;

    if (!field_text(&f, "meeting_id", MEETING_ID_MAX, false, &meeting_id)) {
        fail_invalid(reply, &f);
    } else if (meeting_id[0] != '\0' &&
               strcmp(meeting_id, client->participant->room->id) != 0) {
        reply_fail(reply, "not_found", "you are not in that meeting");
    } else if (meeting_screen(client->signal->meeting, client->participant, on, &err) !=
               0) {
        reply_fail(reply, err.code, err.message);
    } else {
        reply_ok(reply, json_pack("{s:s,s:s}", "participant_id", client->participant->id,
                                  "user_id", client->participant->who.user_id));
    }
}

void on_screen_start(struct reply *reply, const json_t *payload)
{
    set_screen(reply, payload, true);
}

void on_screen_stop(struct reply *reply, const json_t *payload)
{
    set_screen(reply, payload, false);
}
