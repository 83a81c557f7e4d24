/* Recordings: the events about them, and what the store keeps of each; see priv.h. What
 * REST lists of them is read there (rest/recordings.c). */
#include <stdlib.h>
#include <string.h>

#include "meeting/recording.h"
#include "proto/jtext.h"
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"

enum { DAY_S = 86400 };

static const char *const mode_names[] = {"tracks", "composite", NULL};
static const char *const format_names[] = {"as_sent", "mp4", NULL};

/* ---- events ---- */

static bool is_on(const json_t *config, const char *name)
{
    return !json_is_false(json_object_get(config, name));
}

/* As the meeting says; what it does not say, as it is for all. */
static struct recording_wish wish_of(const json_t *meeting)
{
    const json_t *config = json_object_get(meeting, "recording_config");
    const json_t *days = json_object_get(config, "retention_days");

    return (struct recording_wish){.audio = is_on(config, "record_audio"),
                                   .video = is_on(config, "record_video"),
                                   .chat =
                                       json_is_true(json_object_get(config, "record_chat")),
                                   .layout = -1,
                                   .keep_days = (uint32_t)json_integer_value(days)};
}

void take_auto_record(struct room *room, const json_t *meeting)
{
    const json_t *config = json_object_get(meeting, "recording_config");
    const struct recording_wish wish = wish_of(meeting);

    meeting_record_auto(room, json_is_true(json_object_get(config, "auto_record")) ? &wish
                                                                                   : NULL);
}

void on_recording_start(struct reply *reply, const json_t *payload)
{
    const json_t *options = json_object_get(payload, "options");
    struct fields f = fields_of(options);
    const struct stored *stored = reply->client->participant->room->front;
    struct recording_wish wish = wish_of(stored != NULL ? stored->meeting : NULL);
    struct meeting_error err;
    const struct recording *r;
    int mode = 0, format = 0;

    if (!field_choice(&f, "mode", mode_names, &mode) ||
        !field_choice(&f, "format", format_names, &format) ||
        !field_choice(&f, "layout", meeting_layout_names, &wish.layout) ||
        !field_bool(&f, "record_video", wish.video, &wish.video) ||
        !field_bool(&f, "record_audio", wish.audio, &wish.audio) ||
        !field_bool(&f, "record_chat", wish.chat, &wish.chat)) {
        reply_refuse(reply, &f);
        return;
    }
    if (wish.chat && reply->client->signal->writer == NULL) {
        reply_fail(reply, "not_available", "this node keeps no chat");
        return;
    }
    wish.mp4 = format == 1;
    wish.composite = mode == 1 || wish.layout >= 0;
    r = meeting_record_start(reply_meeting(reply), reply->client->participant, &wish, &err);
    if (r == NULL) {
        reply_error(reply, &err);
        return;
    }
    reply_seq(reply, json_pack("{s:s, s:s}", "recording_id", r->id, "by_user_id", r->by));
}

static json_t *encode_stopped(const struct recording *r, const char *by)
{
    return json_pack("{s:s, s:I, s:s?}", "recording_id", r->id, "duration_ms",
                     (json_int_t)(r->duration_us / 1000), "by_user_id", by);
}

static json_t *encode_changed(const struct recording *r, const char *by)
{
    return json_pack("{s:s, s:s}", "recording_id", r->id, "by_user_id", by);
}

typedef const struct recording *change(struct meeting *meeting, struct participant *p,
                                       const char *id, struct meeting_error *err);

typedef json_t *encode(const struct recording *r, const char *by);

static void on_change(struct reply *reply, const json_t *payload, change *fn, encode *say)
{
    struct fields f = fields_of(payload);
    struct participant *p = reply->client->participant;
    const struct recording *r;
    struct meeting_error err;
    const char *id;

    if (!field_text(&f, "recording_id", MEETING_OBJECT_ID, false, &id)) {
        reply_refuse(reply, &f);
        return;
    }
    r = fn(reply_meeting(reply), p, id, &err);
    if (r == NULL) {
        reply_error(reply, &err);
        return;
    }
    reply_seq(reply, say(r, p->who.user_id));
}

void on_recording_stop(struct reply *reply, const json_t *payload)
{
    on_change(reply, payload, meeting_record_stop, encode_stopped);
}

void on_recording_pause(struct reply *reply, const json_t *payload)
{
    on_change(reply, payload, meeting_record_pause, encode_changed);
}

void on_recording_resume(struct reply *reply, const json_t *payload)
{
    on_change(reply, payload, meeting_record_resume, encode_changed);
}

json_t *encode_recording_event(const struct meeting_event *event, const char **name)
{
    const struct recording *r = event->recording;
    const char *by = event->by != NULL ? event->by->who.user_id : NULL;

    switch ((int)event->kind) {
    case MEETING_RECORDING_STARTED:
    case MEETING_RECORDING_PAUSED:
    case MEETING_RECORDING_RESUMED:
        *name = event->kind == MEETING_RECORDING_STARTED  ? "recording:started"
                : event->kind == MEETING_RECORDING_PAUSED ? "recording:paused"
                                                          : "recording:resumed";
        return json_pack("{s:s, s:s?}", "recording_id", r->id, "by_user_id", by);
    case MEETING_RECORDING_STOPPED:
        *name = "recording:stopped";
        return encode_stopped(r, by);
    default:
        *name = "recording:status";
        return json_pack("{s:s?, s:s, s:n, s:s?}", "recording_id",
                         r->id[0] != '\0' ? r->id : NULL, "state",
                         recording_state_names[r->state], "progress", "reason",
                         r->reason[0] != '\0' ? r->reason : NULL);
    }
}

/* ---- to the store ---- */

static json_t *encode_file(const struct recording *r, const struct recorder_file *file)
{
    const struct recording_track *track = r->tracks;

    while (track != NULL && strcmp(track->id, file->track) != 0) {
        track = track->next;
    }
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:b}", "file", file->name,
                     "user_id", track != NULL ? track->user_id : NULL, "display_name",
                     track != NULL ? track->name : NULL, "source",
                     track != NULL ? meeting_source_names[track->source] : NULL, "start_ms",
                     (json_int_t)(file->start_us / 1000), "duration_ms",
                     (json_int_t)(file->length_us / 1000), "size_bytes",
                     (json_int_t)file->bytes, "complete", (int)file->whole);
}

/* When it was recorded, for what was said meanwhile (archive/chat_log.h). */
static json_t *encode_when(const struct recording *r)
{
    json_t *left_out = json_array();
    json_t *when =
        json_pack("{s:I, s:o}", "from_us", (json_int_t)r->started_us, "left_out", left_out);

    for (size_t i = 0; i < r->n_pauses; i++) {
        (void)json_array_append_new(left_out,
                                    json_pack("[I, I]", (json_int_t)r->pauses[i].from_us,
                                              (json_int_t)r->pauses[i].to_us));
    }

    if (r->stopped_us != 0) {
        (void)json_object_set_new(when, "to_us", json_integer((json_int_t)r->stopped_us));
    }
    return when;
}

/* As long as its files are being written they are not among it: who lists them looks at the
 * directory. */
static json_t *encode_recording(const struct recording *r)
{
    json_t *json = json_pack("{s:s?, s:o}", "by_user_id", r->by[0] != '\0' ? r->by : NULL,
                             "started_at", encode_time(r->started_us));
    json_t *files = json_array();

    if (r->state != RECORDING_RUNNING && r->state != RECORDING_PAUSED) {
        (void)json_object_set_new(json, "duration_ms",
                                  json_integer((json_int_t)(r->duration_us / 1000)));
    }
    if (r->chat) {
        (void)json_object_set_new(json, "chat", encode_when(r));
    }
    if (r->reason[0] != '\0') {
        (void)json_object_set_new(json, "reason", json_string(r->reason));
    }
    for (size_t i = 0; r->job == NULL && i < r->n_files; i++) {
        (void)json_array_append_new(files, encode_file(r, &r->files[i]));
    }
    if (r->job == NULL) {
        (void)json_object_set(json, "files", files);
    }
    json_decref(files);
    return json;
}

void keep_recording(void *user, const struct recording *r)
{
    struct signal *signal = user;
    json_t *json = encode_recording(r);
    char *text = jtext_make(json, JSON_COMPACT);
    const int64_t at = (int64_t)(r->started_us / 1000000);
    const int64_t until = r->keep_days > 0 ? at + (int64_t)r->keep_days * DAY_S : 0;
    const struct store_write write = {.what = STORE_PUT,
                                      .kind = STORE_RECORDING,
                                      .expect = STORE_ANY,
                                      .doc = {.tenant = r->tenant,
                                              .id = r->id,
                                              .group = r->meeting_id,
                                              .state = recording_state_names[r->state],
                                              .at = at,
                                              .until = until,
                                              .json = text}};

    if (signal->writer != NULL && text != NULL) {
        (void)store_writer_put(signal->writer, &write, 1, true, NULL, NULL);
    }
    json_decref(json);
    free(text);
    if (r->by[0] == '\0' && r->state == RECORDING_RUNNING && r->n_pauses == 0) {
        audit_auto(signal, r->room, "recording:start");
    }
}
