/* Who speaks in each room, and which microphones are forwarded. The dataplane measures, the
 * floor decides (floor.h), here it is carried out: the lane of a stream keeps silence back
 * by itself, so that a word that begins is never late; control shuts only the gates of
 * those who speak and are not among the loudest. */
#include <stdlib.h>

#include "meeting/priv.h"

static bool is_mic(const struct room_producer *rp)
{
    return rp->source == SOURCE_MIC && rp->ready;
}

void meeting_audio_produced(struct meeting *meeting, struct room_producer *rp)
{
    if (producer_params(rp->producer)->kind != RTP_KIND_AUDIO) {
        return;
    }
    rp->voice = (struct floor_voice){.heard = producer_gate(rp->producer) != ABI_GATE_SHUT};
    if (rp->voice.heard) {
        producer_set_gate(rp->producer,
                          meeting->conf.keep_silence ? ABI_GATE_OPEN : ABI_GATE_VOICE);
    }
}

struct room_producer **meeting_speaker_of(struct room *room, unsigned group)
{
    return group == 0 || room->breakouts == NULL || group > room->breakouts->n
               ? &room->speaker
               : &room->breakouts->at[group - 1].speaker;
}

void meeting_audio_left(struct meeting *meeting, struct room_producer *rp)
{
    struct participant *p = rp->transport->owner;
    struct room_producer **speaker = meeting_speaker_of(p->room, p->group);

    if (*speaker == rp) {
        const struct meeting_event event = {
            .kind = MEETING_SPEAKER, .audience = {.reach = FACT_GROUP, .group = p->group}};

        *speaker = NULL;
        /* its owner knows, and may be about to leave */
        meeting->ops.to_room(meeting->user, p->room, p, &event);
    }
}

void meeting_audio_ended(struct meeting *meeting, struct room_producer *rp)
{
    meeting_audio_left(meeting, rp);
}

/* Makes room for one more. Returns false without memory. */
static bool grow(struct meeting *meeting)
{
    uint32_t cap = meeting->cap_voices > 0 ? 2 * meeting->cap_voices : 64;
    struct floor_voice **voices =
        realloc(meeting->voices, cap * sizeof(struct floor_voice *));
    struct room_producer **owners;

    if (voices == NULL) {
        return false;
    }
    meeting->voices = voices;
    owners = realloc(meeting->voice_owners, cap * sizeof(struct room_producer *));
    if (owners == NULL) {
        return false;
    }
    meeting->voice_owners = owners;
    meeting->cap_voices = cap;
    return true;
}

/* Lists the microphones of a group of the room with their loudness of now. Returns how
 * many; without memory some are left as they were. */
static uint32_t gather(struct meeting *meeting, const struct room *room, unsigned group,
                       uint64_t now_us)
{
    uint32_t n = 0;

    for (const struct participant *p = room->senders; p != NULL; p = p->next_sender) {
        for (const struct transport *t = p->group == group ? p->transports : NULL;
             t != NULL; t = t->next) {
            for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                if (!is_mic(rp) || (n == meeting->cap_voices && !grow(meeting))) {
                    continue;
                }
                rp->voice.loudness = producer_loudness(rp->producer, now_us);
                meeting->voices[n] = &rp->voice;
                meeting->voice_owners[n] = rp;
                n++;
            }
        }
    }
    return n;
}

static void tick_group(struct meeting *meeting, struct room *room, unsigned group,
                       uint64_t now_us)
{
    struct room_producer **speaker = meeting_speaker_of(room, group);
    uint32_t n = gather(meeting, room, group, now_us);
    uint8_t open = meeting->conf.keep_silence ? ABI_GATE_OPEN : ABI_GATE_VOICE;
    int before = -1;
    int now;

    if (n == 0) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        before = meeting->voice_owners[i] == *speaker ? (int)i : before;
    }
    now = floor_update(meeting->voices, n, before, meeting->conf.loudest, now_us);
    for (uint32_t i = 0; i < n; i++) {
        producer_set_gate(meeting->voice_owners[i]->producer,
                          meeting->voices[i]->heard ? open : ABI_GATE_SHUT);
    }
    if (now != before) {
        struct meeting_event event = {
            .kind = MEETING_SPEAKER,
            .audience = {.reach = FACT_GROUP, .group = (uint8_t)group}};

        *speaker = meeting->voice_owners[now];
        event.producer = *speaker;
        event.who = event.producer->transport->owner;
        meeting->ops.to_room(meeting->user, room, NULL, &event);
    }
}

void meeting_audio_tick(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    const struct breakouts *b = room->breakouts;
    unsigned n = b != NULL && b->open ? b->n : 0;

    for (unsigned group = 0; group <= n; group++) {
        tick_group(meeting, room, group, now_us);
    }
}

void meeting_audio_fini(struct meeting *meeting)
{
    free(meeting->voices);
    free(meeting->voice_owners);
}
