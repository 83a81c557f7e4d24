/* Producers of participants; see meeting.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"

const char *const meeting_source_names[N_MEETING_SOURCES + 1] = {
    [SOURCE_MIC] = "mic",
    [SOURCE_CAMERA] = "camera",
    [SOURCE_SCREEN] = "screen",
    [SOURCE_SCREEN_AUDIO] = "screen_audio",
};

enum meeting_media meeting_media_of(enum meeting_source source)
{
    return source == SOURCE_MIC      ? MEETING_AUDIO
           : source == SOURCE_CAMERA ? MEETING_VIDEO
                                     : MEETING_SCREEN;
}

/* Whether another producer of the transport has this MID: packets could not be told apart.
 */
static bool mid_taken(const struct transport *t, const char *mid)
{
    for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
        if (mid[0] != '\0' && strcmp(producer_params(rp->producer)->mid, mid) == 0) {
            return true;
        }
    }
    return false;
}

static void on_produced(void *arg, int status)
{
    struct room_producer *rp = arg;
    struct participant *p = rp->transport->owner;
    struct meeting *meeting = rp->transport->meeting;
    struct meeting_error err;

    if (status != 0) {
        (void)meeting_fail_errno(&err, status);
        meeting_answer(&rp->done, rp->arg, &err, NULL);
        meeting_end_producer(meeting, rp);
        return;
    }
    rp->ready = true;
    meeting_audio_produced(meeting, rp);
    meeting_layers_produced(meeting, rp);
    meeting_taped_produced(meeting, rp);
    meeting_answer(&rp->done, rp->arg, NULL, rp);
    meeting_tell_fact(
        meeting, p->room, p,
        (struct meeting_event){.kind = MEETING_NEW_PRODUCER, .who = p, .producer = rp});
}

int meeting_may_send(const struct participant *p, enum meeting_source source,
                     struct meeting_error *err)
{
    enum meeting_media media = meeting_media_of(source);
    uint32_t feature = media == MEETING_AUDIO   ? MEETING_BIT(AUDIO)
                       : media == MEETING_VIDEO ? MEETING_BIT(VIDEO)
                                                : MEETING_BIT(SCREEN);

    if (!meeting_may(p,
                     media == MEETING_SCREEN ? AUTH_PRODUCE_SCREEN : AUTH_PRODUCE_MEDIA)) {
        return meeting_fail(err, "forbidden", "the role %s may not send this",
                            auth_role_name(p->who.role));
    }
    if (!meeting_has(p->room, feature)) {
        return meeting_fail(err, "forbidden", "this meeting has that switched off");
    }
    return 0;
}

static int may_produce(const struct meeting *meeting, struct participant *p,
                       const struct transport *t, enum rtp_kind kind,
                       enum meeting_source source, struct meeting_error *err)
{
    bool audio = source == SOURCE_MIC || source == SOURCE_SCREEN_AUDIO;

    if (t == NULL) {
        return meeting_fail(err, "not_found", "there is no such transport");
    }
    if (!t->send) {
        return meeting_fail(err, "wrong_direction", "that transport only receives");
    }
    if (meeting_may_send(p, source, err) != 0) {
        return -1;
    }
    if (audio != (kind == RTP_KIND_AUDIO)) {
        return meeting_fail(err, "invalid", "/source: it does not go with %s",
                            rtp_kind_name(kind));
    }
    if (p->n_producers >= meeting->conf.max_producers) {
        return meeting_fail(err, "too_many", "at most %u producers a participant",
                            meeting->conf.max_producers);
    }
    if ((p->muted & meeting_media_of(source)) != 0) {
        return meeting_fail(err, "muted_by_host", "a host has muted you; ask to speak");
    }
    return meeting_is_crowd(p->room) ? meeting_spend(p, MEETING_RATE_SEND, err) : 0;
}

/* Its tag: source and id. */
static int save_producer(const struct room_producer *rp)
{
    uint8_t tag[1 + MEETING_OBJECT_ID] = {(uint8_t)rp->source};

    memcpy(tag + 1, rp->id, MEETING_OBJECT_ID);
    /* a dataplane that is gone takes the producer with it: nothing to save */
    return producer_save(rp->producer, tag, sizeof(tag)) == -EMSGSIZE ? -EMSGSIZE : 0;
}

/* What the dataplane knows of a room. */
static uint16_t number_of(const struct room *room)
{
    const uint64_t hash =
        meeting_user_hash(room->tenant) * 31 + meeting_user_hash(room->id);
    const uint16_t number = (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);

    return number != 0 ? number : 1;
}

int meeting_produce(struct meeting *meeting, struct participant *p,
                    const char *transport_id, enum rtp_kind kind,
                    const struct rtp_params *params, enum meeting_source source,
                    bool paused, meeting_done *done, void *arg, struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(p, transport_id);
    struct rtp_error wrong = {.path = ""};
    struct room_producer *rp;
    int e;

    if (may_produce(meeting, p, t, kind, source, err) != 0) {
        return -1;
    }
    if (mid_taken(t, params->mid)) {
        return meeting_fail(
            err, "invalid",
            "/rtp_parameters/mid: another producer of the transport has it");
    }
    rp = calloc(1, sizeof(*rp));
    if (rp == NULL) {
        return meeting_fail_errno(err, -ENOMEM);
    }
    meeting_new_id(meeting, rp->id);
    rp->transport = t;
    rp->source = source;
    e = producer_create(&rp->producer, meeting->conf.media, session_peer(t->session),
                        number_of(p->room), kind, params, paused, on_produced, rp, &wrong);
    if (e != 0) {
        free(rp);
        if (wrong.reason[0] != '\0') {
            return meeting_fail(err, e == -ENOTSUP ? "unsupported" : "invalid",
                                "/rtp_parameters%s: %s", wrong.path, wrong.reason);
        }
        return meeting_fail_errno(err, e);
    }
    if (save_producer(rp) != 0) {
        producer_close(rp->producer);
        free(rp);
        return meeting_fail(err, "invalid", "/rtp_parameters: too many codec parameters");
    }
    rp->done = done;
    rp->arg = arg;
    meeting_note_sender(p);
    rp->next = t->producers;
    t->producers = rp;
    p->n_producers++;
    return 0;
}

void meeting_end_producer(struct meeting *meeting, struct room_producer *rp)
{
    struct transport *t = rp->transport;
    struct participant *p = t->owner;
    struct room_producer **at = &t->producers;
    struct meeting_error gone;

    meeting_viewers_leave(meeting, rp);
    meeting_taped_unproduced(rp);
    while (rp->consumers != NULL) {
        meeting_end_consumer(meeting, rp->consumers, "producer_closed");
    }
    while (*at != rp) {
        at = &(*at)->next;
    }
    *at = rp->next;
    p->n_producers--;
    meeting_audio_ended(meeting, rp);
    meeting_layers_unproduced(meeting, rp);
    producer_close(rp->producer);
    rp->producer = NULL;
    (void)meeting_fail(&gone, "gone", "it was closed meanwhile");
    meeting_answer(&rp->done, rp->arg, &gone, NULL);
    if (rp->ready) {
        meeting_tell_fact(meeting, p->room, p,
                          (struct meeting_event){
                              .kind = MEETING_PRODUCER_CLOSED, .who = p, .producer = rp});
    }
    free(rp);
}

int meeting_producer_close(struct meeting *meeting, struct participant *p,
                           const char *producer_id, struct meeting_error *err)
{
    struct room_producer *rp = meeting_find_own_producer(p, producer_id);

    if (rp == NULL) {
        return meeting_fail(err, "not_found", "you have no such producer");
    }
    meeting_end_producer(meeting, rp);
    return 0;
}

void meeting_pause_producer(struct meeting *meeting, struct room_producer *rp, bool paused,
                            const struct participant *except)
{
    struct participant *p = rp->transport->owner;

    if (producer_is_paused(rp->producer) == paused) {
        return;
    }
    producer_set_paused(rp->producer, paused);
    if (rp->ready) {
        meeting_tell_person(meeting, p, except,
                            (struct meeting_event){.kind = paused
                                                               ? MEETING_PRODUCER_PAUSED
                                                               : MEETING_PRODUCER_RESUMED,
                                                   .who = p,
                                                   .producer = rp});
    }
}

int meeting_producer_pause(struct meeting *meeting, struct participant *p,
                           const char *producer_id, bool paused, struct meeting_error *err)
{
    struct room_producer *rp = meeting_find_own_producer(p, producer_id);

    if (rp == NULL) {
        return meeting_fail(err, "not_found", "you have no such producer");
    }
    if (!paused && (p->muted & meeting_media_of(rp->source)) != 0) {
        return meeting_fail(err, "muted_by_host", "a host has muted you; ask to speak");
    }
    meeting_pause_producer(meeting, rp, paused, p);
    return 0;
}
