/* Live streams: the events about them; see priv.h. */
#include <stdio.h>

#include "meeting/live.h"
#include "sfu/base/rtmp_url.h"
#include "signal/priv.h"

/* Of each kind, who has it finds all else; NULL: there is nothing on this node. */
static const char *const entries[N_LIVE_KINDS] = {
    [LIVE_HLS] = "master.m3u8",
    [LIVE_DASH] = "manifest.mpd",
};

json_t *encode_live(const struct live *live)
{
    const char *entry;
    char path[96];

    if (live == NULL) {
        return json_null();
    }
    entry = entries[live->kind];
    (void)snprintf(path, sizeof(path), "/live/%s/%s", live->id, entry != NULL ? entry : "");
    return json_pack("{s:s, s:s, s:s*}", "stream_id", live->id, "kind",
                     live_kind_names[live->kind], "playback_url",
                     entry != NULL ? path : NULL);
}

void on_stream_start(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    struct live_wish wish;
    const struct live *live;
    int kind;

    if (!field_enum(&f, "kind", live_kind_names, &kind) ||
        !field_choice(&f, "layout", meeting_layout_names, &wish.layout) ||
        !field_text(&f, "url", RTMP_URL_MAX - 1, kind == LIVE_RTMP, &wish.url)) {
        reply_refuse(reply, &f);
        return;
    }
    wish.kind = (enum live_kind)kind;
    live = meeting_live_start(reply_meeting(reply), reply->client->participant, &wish, &err);
    if (live == NULL) {
        reply_error(reply, &err);
        return;
    }
    reply_seq(reply, encode_live(live));
}

void on_stream_stop(struct reply *reply, const json_t *payload)
{
    struct fields f = fields_of(payload);
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "stream_id", MEETING_OBJECT_ID, false, &id)) {
        reply_refuse(reply, &f);
    } else if (meeting_live_stop(reply_meeting(reply), reply->client->participant, id,
                                 &err) != 0) {
        reply_error(reply, &err);
    } else {
        reply_seq(reply, json_object());
    }
}

json_t *encode_live_event(const struct meeting_event *event, const char **name)
{
    const struct live *live = event->live;
    json_t *body;

    switch ((int)event->kind) {
    case MEETING_LIVE_STARTED:
        *name = "stream:started";
        body = encode_live(live);
        (void)json_object_set_new(body, "by_user_id",
                                  event->by != NULL ? json_string(event->by->who.user_id)
                                                    : json_null());
        return body;
    case MEETING_LIVE_STOPPED:
        *name = "stream:stopped";
        return json_pack("{s:s}", "stream_id", live->id);
    default:
        *name = "stream:status";
        return json_pack("{s:s, s:s, s:s?}", "stream_id", live->id, "state",
                         live_state_names[live->state], "reason",
                         live->reason[0] != '\0' ? live->reason : NULL);
    }
}
