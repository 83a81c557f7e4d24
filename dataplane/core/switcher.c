#include "core/switcher.h"

#include <string.h>

#include "sfu/base/seq.h"

static const struct switcher_segment *newest(const struct switcher *sw)
{
    return &sw->segments[sw->newest];
}

/* The one that was pushed so many before the newest. */
static const struct switcher_segment *earlier(const struct switcher *sw, uint8_t by)
{
    return &sw->segments[(sw->newest + SWITCHER_SEGMENTS - by) % SWITCHER_SEGMENTS];
}

static struct switcher_segment *push_segment(struct switcher *sw)
{
    const struct switcher_segment before = *newest(sw);

    sw->newest = (uint8_t)((sw->newest + 1) % SWITCHER_SEGMENTS);
    sw->n_segments =
        (uint8_t)(sw->n_segments + (sw->n_segments < SWITCHER_SEGMENTS ? 1 : 0));
    sw->segments[sw->newest] = before;
    return &sw->segments[sw->newest];
}

/* Offsets from here on, to be changed. */
static struct switcher_segment *segment_at(struct switcher *sw, uint64_t seq)
{
    struct switcher_segment *s = &sw->segments[sw->newest];

    if (s->from != seq) {
        s = push_segment(sw);
        s->from = seq;
        s->skipped = 0;
    }
    return s;
}

/* Which of a segment's offsets a picture id has. */
static bool is_wide(uint8_t bits)
{
    return bits > 7;
}

/* The segment of a late packet; NULL if it was left out or is too old. */
static const struct switcher_segment *segment_of(const struct switcher *sw, uint64_t seq)
{
    uint64_t until = UINT64_MAX; /* what came next begins, or left out, from here on */

    for (uint8_t i = 0; i < sw->n_segments; i++) {
        const struct switcher_segment *s = earlier(sw, i);

        if (seq >= s->from) {
            return seq < until ? s : NULL;
        }
        until = s->from - s->skipped;
    }
    return NULL;
}

/* ---- numbers are used once ---- */

static void note_used(struct switcher *sw, uint64_t index)
{
    sw->sent[index / 64 % (SWITCHER_WINDOW / 64)] |= UINT64_C(1) << index % 64;
}

/* Takes the number, if it is new. */
static bool use(struct switcher *sw, uint64_t index)
{
    if (index >= sw->next) {
        uint64_t ahead = index / 64 - (sw->next - 1) / 64;

        for (uint64_t i = 0; i < ahead && i < SWITCHER_WINDOW / 64; i++) {
            sw->sent[(index / 64 - i) % (SWITCHER_WINDOW / 64)] = 0;
        }
        sw->next = index + 1;
        note_used(sw, index);
        return true;
    }
    if ((sw->next - 1) / 64 - index / 64 >= SWITCHER_WINDOW / 64 ||
        (sw->sent[index / 64 % (SWITCHER_WINDOW / 64)] >> index % 64 & 1) != 0) {
        return false;
    }
    note_used(sw, index);
    return true;
}

void switcher_init(struct switcher *sw, uint64_t next, const struct switcher_last *last)
{
    memset(sw, 0, sizeof(*sw));
    sw->next = next;
    memset(sw->sent, 0xff, sizeof(sw->sent)); /* what lies before is not ours */
    if (next % 64 != 0) {
        sw->sent[next / 64 % (SWITCHER_WINDOW / 64)] = (UINT64_C(1) << next % 64) - 1;
    }
    sw->out_ts = last->ts;
    sw->out_picture = last->picture;
    sw->out_tl0 = last->tl0;
    sw->out_keyidx = last->keyidx;
    sw->at_spatial = sw->at_temporal = SWITCHER_NO_LAYER;
    sw->want_temporal = LAYER_MAX - 1;
    sw->whole = true;
}

void switcher_want(struct switcher *sw, uint8_t spatial, uint8_t temporal)
{
    sw->want_spatial = spatial < LAYER_MAX ? spatial : LAYER_MAX - 1;
    sw->want_temporal = temporal < LAYER_MAX ? temporal : LAYER_MAX - 1;
}

void switcher_stop(struct switcher *sw)
{
    sw->running = false;
    sw->whole = true;
    sw->at_spatial = sw->at_temporal = SWITCHER_NO_LAYER;
}

void switcher_begin(struct switcher *sw, const struct switcher_in *in, uint32_t ts)
{
    struct switcher_segment *s = &sw->segments[0];
    uint16_t picture = (uint16_t)(in->layer.picture - sw->out_picture - 1);

    sw->newest = 0;
    sw->n_segments = 1;
    *s = (struct switcher_segment){
        .from = in->seq,
        .seq = in->seq - sw->next,
        .ts = in->ts - ts,
        .picture = {picture, picture},
        .tl0 = (uint8_t)(in->layer.tl0 - sw->out_tl0 - 1),
        .keyidx = (uint8_t)(in->layer.keyidx - sw->out_keyidx - 1)};
    sw->last_seq = in->seq - 1;
    sw->last_ts = in->ts - 1;
    sw->last_picture = (uint16_t)(in->layer.picture - 1);
    sw->last_bits = in->layer.bits;
    sw->last_sent = false;
    sw->running = true;
    sw->broken = 0;
    sw->entry_seq = in->seq;
    sw->at_spatial = sw->at_temporal = SWITCHER_NO_LAYER;
}

/* Takes the best whole target of a spatial layer, if there is one. */
static bool take(struct switcher *sw, int spatial, uint16_t broken)
{
    for (int t = sw->want_temporal; t >= 0; t--) {
        if ((LAYER_BIT(spatial, t) & broken) == 0) {
            sw->at_spatial = (uint8_t)spatial;
            sw->at_temporal = (uint8_t)t;
            return true;
        }
    }
    return false;
}

/* The best target up to what is wanted that is not among 'broken'. Room is given up before
 * smoothness: a lower spatial layer only if no temporal one of this is whole. Without a key
 * frame the way up is closed, and down, too, where the base is not a part of what is
 * watched (K-SVC): then that goes on. */
static void choose(struct switcher *sw, uint16_t broken, bool up, bool down)
{
    int top = sw->at_spatial == SWITCHER_NO_LAYER ? -1 : sw->at_spatial;

    for (int s = sw->want_spatial; s >= 0; s--) {
        if ((up || s <= top) && (down || s >= top) && take(sw, s, broken)) {
            return;
        }
    }
    for (int s = sw->want_spatial + 1; s <= top; s++) {
        if ((down || s == top) && take(sw, s, broken)) {
            return;
        }
    }
    sw->at_spatial = sw->at_temporal = SWITCHER_NO_LAYER;
}

static uint16_t watched(const struct switcher *sw)
{
    if (sw->at_spatial == SWITCHER_NO_LAYER) {
        return 0;
    }
    return LAYER_BIT(sw->at_spatial, sw->at_temporal);
}

/* Everything may begin here, whatever was before. */
static bool is_key(const struct layer_info *layer)
{
    return layer->sync == LAYER_ALL && layer->chain == LAYER_NO_CHAIN;
}

/* The entry points of a frame that can be used. */
static uint16_t entries(const struct switcher *sw, const struct layer_info *layer)
{
    uint16_t ok = layer->sync;

    if (layer->chain == LAYER_NO_CHAIN) {
        return ok;
    }
    for (unsigned s = 0; s < LAYER_MAX; s++) {
        if ((LAYER_BIT(s, layer->chain) & sw->broken) != 0) {
            ok = (uint16_t)(ok & ~(((1u << LAYER_MAX) - 1) << s * LAYER_MAX));
        }
    }
    return ok;
}

/* Decides on a frame. What is watched changes between pictures only, as the marker may have
 * gone with a lower layer already; and only if all before is there, so that what comes late
 * of this picture is not of another time. What is before a key frame does not matter. */
static bool decide(struct switcher *sw, const struct switcher_in *in, bool new_picture)
{
    bool begins = (in->layer.flags & LAYER_BEGIN) != 0 &&
                  (in->seq == sw->last_seq + 1 || is_key(&in->layer));
    uint16_t entry = begins ? entries(sw, &in->layer) : 0;
    uint16_t broken = sw->broken & (uint16_t)~entry;
    uint16_t before = newest(sw)->target;

    if (new_picture && begins) {
        bool key = is_key(&in->layer);

        choose(sw, broken, key, key || (in->layer.present & watched(sw)) != 0);
    }
    if (watched(sw) != before) {
        segment_at(sw, in->seq)->target = watched(sw);
    }
    if ((in->layer.present & watched(sw)) == 0) {
        sw->broken |= in->layer.present;
        return false;
    }
    sw->broken = broken;
    if (is_key(&in->layer)) {
        sw->entry_seq = in->seq;
    }
    return true;
}

static bool same_frame(const struct switcher *sw, const struct switcher_in *in)
{
    return in->ts == sw->last_ts && in->layer.spatial == sw->last_spatial &&
           (in->layer.bits == 0 || in->layer.picture == sw->last_picture);
}

static uint16_t picture_mask(uint8_t bits)
{
    return (uint16_t)((1u << bits) - 1);
}

/* The source's picture ids have another number of bits than before: after 127 comes 0 or
 * 128 (RFC 7741, 4.2). What the receiver sees is counted on, for that has not come to its
 * own 127 at the same time. What comes late has the offset of its number of bits. */
static void resize_pictures(struct switcher *sw, const struct switcher_in *in)
{
    struct switcher_segment *s = &sw->segments[sw->newest];
    uint16_t step = (uint16_t)(in->layer.picture - sw->last_picture) & picture_mask(7);
    uint16_t before = (uint16_t)(sw->last_picture - s->picture[is_wide(sw->last_bits)]) &
                      picture_mask(sw->last_bits);

    if (sw->last_bits == 0) { /* there were none */
        before = sw->out_picture;
        step = 1;
    }
    s->picture[is_wide(in->layer.bits)] = (uint16_t)(in->layer.picture - before - step);
}

static void map(const struct switcher_in *in, const struct switcher_segment *s,
                struct switcher_out *out)
{
    unsigned target = s->target != 0 ? (unsigned)__builtin_ctz(s->target) : 0;

    out->index = (in->seq - s->seq) & 0xffffffffffffu;
    out->ts = in->ts - s->ts;
    out->picture =
        (uint16_t)(in->layer.picture - s->picture[is_wide(in->layer.bits)]) &
        picture_mask(in->layer.bits);
    out->tl0 = (uint8_t)(in->layer.tl0 - s->tl0);
    out->keyidx = (in->layer.keyidx - s->keyidx) & 0x1f;
    out->spatial = (uint8_t)(target / LAYER_MAX);
    out->temporal = (uint8_t)(target % LAYER_MAX);
    out->marker = in->marker ||
                  ((in->layer.flags & LAYER_END) != 0 && in->layer.spatial == out->spatial);
}

static bool number(struct switcher *sw, const struct switcher_in *in,
                   const struct switcher_segment *s, struct switcher_out *out)
{
    map(in, s, out);
    return use(sw, out->index);
}

/* Leaves out the packet: what follows closes up. */
static void leave_out(struct switcher *sw, const struct switcher_in *in, bool new_frame)
{
    struct switcher_segment *s = segment_at(sw, in->seq);

    s->from = in->seq + 1;
    s->skipped++;
    s->seq++;
    if (new_frame && (in->layer.flags & LAYER_COUNTED) != 0) {
        s->picture[is_wide(in->layer.bits)]++;
    }
}

/* It went out last. */
static void note_sent(struct switcher *sw, const struct switcher_in *in,
                      const struct switcher_out *out)
{
    sw->whole = out->marker;
    sw->out_ts = out->ts;
    if (in->layer.bits != 0) {
        sw->out_picture = out->picture;
    }
    if ((in->layer.flags & LAYER_TL0) != 0) {
        sw->out_tl0 = out->tl0;
    }
    if ((in->layer.flags & LAYER_KEYIDX) != 0) {
        sw->out_keyidx = out->keyidx;
    }
}

/* Whether it is ahead of all that went out, or ends the last picture that did. */
static bool is_last(const struct switcher *sw, const struct switcher_in *in,
                    const struct switcher_out *out)
{
    const int32_t ahead = (int32_t)(out->ts - sw->out_ts);
    const uint16_t mask = picture_mask(in->layer.bits);
    const uint16_t up = (uint16_t)(out->picture - sw->out_picture) & mask;

    return ahead > 0 || (ahead == 0 && (out->marker || (up != 0 && up <= mask / 2)));
}

/* A packet behind the newest: as its frame was. If that newest is left out this may be the
 * last that is sent, and a source that is changed to goes on from it. */
static bool late(struct switcher *sw, const struct switcher_in *in,
                 struct switcher_out *out)
{
    const struct switcher_segment *s = segment_of(sw, in->seq);

    if (s != NULL && (in->layer.present & s->target) != 0) {
        if (!number(sw, in, s, out)) {
            return false;
        }
        if (is_last(sw, in, out)) {
            note_sent(sw, in, out);
        }
        return true;
    }
    if ((int64_t)(in->seq - sw->entry_seq) > 0) {
        sw->broken |= in->layer.present;
    }
    return false;
}

bool switcher_packet(struct switcher *sw, const struct switcher_in *in,
                     struct switcher_out *out)
{
    bool new_frame;

    if (!sw->running) {
        return false;
    }
    if ((int64_t)(in->seq - sw->last_seq) <= 0) {
        return late(sw, in, out);
    }
    new_frame = !same_frame(sw, in);
    if (new_frame) {
        if (in->layer.bits != 0 && in->layer.bits != sw->last_bits) {
            resize_pictures(sw, in);
        }
        sw->last_sent = decide(sw, in, in->ts != sw->last_ts);
    }
    sw->last_seq = in->seq;
    sw->last_ts = in->ts;
    if (in->layer.bits != 0) {
        sw->last_picture = in->layer.picture;
        sw->last_bits = in->layer.bits;
    }
    sw->last_spatial = in->layer.spatial;
    if (!sw->last_sent) {
        leave_out(sw, in, new_frame);
        return false;
    }
    if (!number(sw, in, newest(sw), out)) {
        return false;
    }
    note_sent(sw, in, out);
    return true;
}

/* ---- what is passed over ---- */

static void walk_to(struct switcher_walk *walk, const struct switcher_in *in, bool new_frame)
{
    walk->seq = in->seq;
    walk->ts = in->ts;
    walk->picture = in->layer.picture;
    walk->bits = in->layer.bits;
    walk->spatial = in->layer.spatial;
    walk->present = in->layer.present;
    if (!new_frame) {
        return;
    }
    walk->pictures += (in->layer.flags & LAYER_COUNTED) != 0;
    for (unsigned i = 0; i < LAYER_MAX * LAYER_MAX; i++) {
        if ((in->layer.present >> i & 1) != 0) {
            walk->last_of[i] = (uint32_t)in->seq;
        }
    }
}

void switcher_walk_begin(struct switcher_walk *walk, const struct switcher_in *in)
{
    walk_to(walk, in, true);
}

bool switcher_walk_next(struct switcher_walk *walk, const struct switcher_in *in)
{
    bool new_frame, level;

    if ((int64_t)(in->seq - walk->seq) <= 0) {
        return false; /* late */
    }
    new_frame = in->ts != walk->ts || in->layer.spatial != walk->spatial ||
                (in->layer.bits != 0 && in->layer.picture != walk->picture);
    level = in->seq == walk->seq + 1 && in->layer.bits == walk->bits &&
            (new_frame || in->layer.present == walk->present);
    walk_to(walk, in, new_frame);
    return level;
}

/* With what is watched whole and as wanted, choose() chooses it again at each picture; and
 * a frame that it does not need spoils only others. So all that a frame changes is what is
 * counted. The rest says that the last packet is the walk's, and became what its frame did. */
uint16_t switcher_passes(struct switcher *sw, const struct switcher_walk *walk)
{
    const uint16_t target = watched(sw);

    if (!sw->running || target == 0 || sw->at_spatial != sw->want_spatial ||
        sw->at_temporal != sw->want_temporal || (sw->broken & target) != 0 ||
        sw->last_seq != walk->seq ||
        sw->last_ts != walk->ts || sw->last_spatial != walk->spatial ||
        (walk->bits != 0 &&
         (sw->last_bits != walk->bits || sw->last_picture != walk->picture)) ||
        sw->last_sent != ((walk->present & target) != 0)) {
        return 0;
    }
    sw->walked_pictures = walk->pictures;
    return target;
}

void switcher_catch_up(struct switcher *sw, const struct switcher_walk *walk)
{
    const uint64_t n = walk->seq - sw->last_seq;
    struct switcher_segment *s;

    if (n == 0) {
        return;
    }
    s = segment_at(sw, sw->last_seq + 1);
    s->from = walk->seq + 1;
    s->skipped += (uint32_t)n;
    s->seq += n;
    s->picture[is_wide(walk->bits)] =
        (uint16_t)(s->picture[is_wide(walk->bits)] + walk->pictures - sw->walked_pictures);
    for (unsigned i = 0; i < LAYER_MAX * LAYER_MAX; i++) {
        if ((uint32_t)walk->seq - walk->last_of[i] < n) {
            sw->broken = (uint16_t)(sw->broken | 1u << i);
        }
    }
    sw->last_seq = walk->seq;
    sw->last_ts = walk->ts;
    if (walk->bits != 0) {
        sw->last_picture = walk->picture;
        sw->last_bits = walk->bits;
    }
    sw->last_spatial = walk->spatial;
    sw->last_sent = false;
    sw->walked_pictures = walk->pictures;
}

bool switcher_again(const struct switcher *sw, const struct switcher_in *in,
                    struct switcher_out *out)
{
    const struct switcher_segment *s = sw->running ? segment_of(sw, in->seq) : NULL;

    if (s == NULL || (in->layer.present & s->target) == 0) {
        return false;
    }
    map(in, s, out);
    return out->index < sw->next;
}

bool switcher_find(const struct switcher *sw, uint16_t number, uint64_t *index,
                   uint64_t *seq)
{
    if (!sw->running || sw->next == 0) {
        return false;
    }
    *index = seq16_extend(sw->next - 1, number);
    for (uint8_t i = 0; *index < sw->next && i < sw->n_segments; i++) {
        const struct switcher_segment *s = earlier(sw, i);

        if (*index >= s->from - s->seq) {
            *seq = *index + s->seq;
            return true;
        }
    }
    return false;
}

bool switcher_needs_keyframe(const struct switcher *sw)
{
    return sw->running && sw->at_spatial != sw->want_spatial;
}

uint32_t switcher_map(const struct switcher_clock *from, const struct switcher_clock *to,
                      uint32_t clock_hz, uint32_t offset)
{
    /* both reports are of the same clock; they lie seconds apart, not years */
    int64_t apart = (int64_t)(to->ntp - from->ntp);
    int64_t ticks = (apart >> 32) * clock_hz +
                    (int64_t)(((uint64_t)apart & 0xffffffffu) * clock_hz >> 32);

    return offset + (to->ts - from->ts) - (uint32_t)ticks;
}
