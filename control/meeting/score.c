/* Scores of producers and consumers: the dataplane's counters once a second, to their
 * owners when they change; see meeting.h. */
#include "media/media.h"
#include "meeting/priv.h"

enum { EVERY_US = 1000000 };

static bool is_video(const struct room_producer *rp)
{
    return producer_params(rp->producer)->kind == RTP_KIND_VIDEO;
}

/* All encodings of a producer together. Returns false if the dataplane has no counters. */
static bool count_producer(const struct meeting *meeting, const struct room_producer *rp,
                           struct score_counters *out)
{
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS];
    uint8_t n = producer_streams(rp->producer, streams);
    struct abi_peer_stats peer;
    bool any = false;

    *out = (struct score_counters){.paused = producer_is_paused(rp->producer),
                                   .video = is_video(rp)};
    for (uint8_t i = 0; i < n; i++) {
        struct abi_stream_stats stats;

        if (media_stream_stats(meeting->conf.media, streams[i], &stats) == 0) {
            any = true;
            out->packets += stats.packets;
            out->lost += stats.lost;
            out->repaired += stats.repaired;
            out->bytes += stats.bytes;
            out->keyframes += stats.keyframes;
            out->jitter_us =
                stats.jitter_us > out->jitter_us ? stats.jitter_us : out->jitter_us;
        }
    }
    if (media_peer_stats(meeting->conf.media, session_peer(rp->transport->session),
                         &peer) == 0) {
        out->rtt_us = peer.rtt_us;
    }
    return any;
}

static bool count_consumer(const struct meeting *meeting, const struct room_consumer *rc,
                           struct score_counters *out)
{
    struct abi_sub_stats stats;
    bool held, idle;

    if (media_sub_stats(meeting->conf.media, consumer_sub(rc->consumer), &stats) != 0) {
        return false;
    }
    held = stats.held != 0 && !producer_is_paused(rc->source->producer);
    idle = stats.packets == rc->score.last.packets;
    *out = (struct score_counters){
        .packets = stats.packets,
        .lost = stats.lost,
        .repaired = stats.rtx_packets,
        .bytes = stats.bytes,
        .rtt_us = stats.rtt_us,
        .jitter_us = stats.jitter_us,
        .video = is_video(rc->source),
        .held = held,
        /* that there is nothing to send is not this one's fault; that its link carries
         * nothing is */
        .paused = consumer_is_paused(rc->consumer) || (idle && !held),
    };
    return true;
}

static void tell(const struct meeting *meeting, struct participant *owner,
                 struct meeting_event event, const struct score *score, bool changed)
{
    if (changed) {
        meeting->ops.to_one(meeting->user, owner, &event);
    }
    event.reason = score_warning(score);
    if (event.reason != NULL) {
        event.kind = MEETING_QUALITY_WARNING;
        meeting->ops.to_one(meeting->user, owner, &event);
    }
}

static void score_transport(struct meeting *meeting, struct transport *t)
{
    struct score_counters now;

    for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
        if (rp->ready && count_producer(meeting, rp, &now)) {
            tell(meeting, t->owner,
                 (struct meeting_event){
                     .kind = MEETING_PRODUCER_SCORE, .who = t->owner, .producer = rp},
                 &rp->score, score_update(&rp->score, &now));
        }
    }
    for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
        if (rc->done == NULL && count_consumer(meeting, rc, &now)) {
            if (now.video && !consumer_is_paused(rc->consumer)) {
                meeting_layers_held(meeting, rc, now.held,
                                    now.packets > rc->score.last.packets);
            }
            tell(meeting, t->owner,
                 (struct meeting_event){
                     .kind = MEETING_CONSUMER_SCORE, .who = t->owner, .consumer = rc},
                 &rc->score, score_update(&rc->score, &now));
        }
    }
}

/* Whether anything has gone over it, as far as the dataplane has told. */
static bool has_media(const struct meeting *meeting, const struct transport *t)
{
    struct score_counters now;
    bool has = false;

    for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
        has = has || (rp->ready && count_producer(meeting, rp, &now) && now.packets > 0);
    }
    for (const struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
        has = has ||
              (rc->done == NULL && count_consumer(meeting, rc, &now) && now.packets > 0);
    }
    return has;
}

void meeting_end_join(struct participant *p, const char *error)
{
    const struct trace_tag tags[] = {{"kcs.meeting_id", p->room->id, 0},
                                     {"kcs.participant_id", p->id, 0}};

    trace_end(&p->join, "join", error, tags, sizeof(tags) / sizeof(tags[0]));
}

void meeting_first_media(const struct meeting *meeting, struct room *room)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        for (struct transport *t = trace_is_open(&p->join) ? p->transports : NULL;
             t != NULL; t = t->next) {
            if (trace_is_open(&t->media) && has_media(meeting, t)) {
                const struct trace_tag tag = {"kcs.direction", t->send ? "send" : "recv",
                                              0};

                trace_end(&t->media, "first_media", NULL, &tag, 1);
                meeting_end_join(p, NULL);
            }
        }
    }
}

static void score_room(void *arg, struct room *room)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        for (struct transport *t = p->transports; t != NULL; t = t->next) {
            if (t->session != NULL) {
                score_transport(arg, t);
            }
        }
    }
}

void meeting_scores(struct meeting *meeting, uint64_t now_us)
{
    if (now_us < meeting->scored_us + EVERY_US) {
        return;
    }
    meeting->scored_us = now_us;
    meeting_each_room(meeting, score_room, meeting);
}
