/* What recorders of a room are told of it: who sends what, who is paused or elsewhere, how
 * it is laid out. Both of a recording (recording.c) and of a live stream (live.c). */
#include <string.h>

#include "meeting/live.h"
#include "meeting/priv.h"

enum { TAPES = 2 };

/* Returns how many there are. */
static size_t tapes(const struct room *room, struct taped out[TAPES])
{
    size_t n = 0;

    if (room->recording != NULL) {
        struct recording *r = room->recording;

        out[n++] = (struct taped){r->job, r->audio, r->video, r->layout, r};
    }
    if (room->live != NULL) {
        out[n++] = (struct taped){room->live->job, true, true, room->live->layout, NULL};
    }
    return n;
}

static bool is_wanted(const struct taped *tape, const struct room_producer *rp)
{
    bool audio = rp->source == SOURCE_MIC || rp->source == SOURCE_SCREEN_AUDIO;

    return audio ? tape->audio : tape->video;
}

/* Who is in a breakout is not where the meeting is. */
static struct recorder_owner owner_of(const struct room_producer *rp)
{
    const struct participant *p = rp->transport->owner;

    return (struct recorder_owner){.person = p->id,
                                   .name = p->name,
                                   .came = p->joined_us,
                                   .source = meeting_source_names[rp->source],
                                   .paused =
                                       producer_is_paused(rp->producer) || p->group != 0};
}

static void add(struct meeting *meeting, const struct taped *tape, struct room_producer *rp)
{
    const struct recorder_owner owner = owner_of(rp);
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS];

    if (!is_wanted(tape, rp)) {
        return;
    }
    if (tape->recording != NULL) {
        meeting_recording_note(tape->recording, rp);
    }
    meeting_layers_recorded(meeting, rp, true);
    recorder_add(tape->job, rp->id, streams, producer_streams(rp->producer, streams),
                 &owner);
}

/* Calls fn for all that is sent in the room and known to others. */
static void each_producer(struct meeting *meeting, const struct room *room,
                          const struct taped *tape,
                          void (*fn)(struct meeting *meeting, const struct taped *tape,
                                     struct room_producer *rp))
{
    for (const struct participant *p = room->senders; p != NULL; p = p->next_sender) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                if (rp->ready) {
                    fn(meeting, tape, rp);
                }
            }
        }
    }
}

static void say_scene(const struct room *room, const struct taped *tape)
{
    int layout = tape->layout >= 0 ? tape->layout : (int)room->layout;
    const struct recorder_scene scene = {
        .layout = meeting_layout_names[layout],
        .speaker = room->speaker != NULL ? room->speaker->transport->owner->id : "",
        .spotlight = room->spotlight};

    recorder_scene(tape->job, &scene);
}

void meeting_taped_begin(struct meeting *meeting, struct room *room,
                         const struct taped *tape)
{
    say_scene(room, tape);
    each_producer(meeting, room, tape, add);
}

static void let_go(struct meeting *meeting, const struct taped *tape,
                   struct room_producer *rp)
{
    (void)tape;
    meeting_layers_recorded(meeting, rp, false);
}

void meeting_taped_leave(struct meeting *meeting, struct room *room)
{
    if (room->recording == NULL && room->live == NULL) {
        each_producer(meeting, room, NULL, let_go);
    }
}

void meeting_taped_produced(struct meeting *meeting, struct room_producer *rp)
{
    struct taped all[TAPES];
    size_t n = tapes(rp->transport->owner->room, all);

    for (size_t i = 0; i < n; i++) {
        add(meeting, &all[i], rp);
    }
}

void meeting_taped_unproduced(struct room_producer *rp)
{
    struct taped all[TAPES];
    /* nobody's have none */
    size_t n = rp->transport != NULL ? tapes(rp->transport->owner->room, all) : 0;

    for (size_t i = 0; i < n; i++) {
        recorder_remove(all[i].job, rp->id);
    }
}

static void refresh(struct meeting *meeting, const struct taped *tape,
                    struct room_producer *rp)
{
    const struct recorder_owner owner = owner_of(rp);

    (void)meeting;
    recorder_owner(tape->job, rp->id, &owner);
}

void meeting_taped_tick(struct meeting *meeting, struct room *room)
{
    struct taped all[TAPES];
    size_t n = tapes(room, all);

    for (size_t i = 0; i < n; i++) {
        say_scene(room, &all[i]);
        each_producer(meeting, room, &all[i], refresh);
    }
}
