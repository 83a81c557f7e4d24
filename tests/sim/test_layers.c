/* What a subscriber receives decodes, whatever is left out for it. A source makes frames of
 * a layered codec with the references that such an encoder uses, as packets with real
 * payload descriptors; they are lost, reordered and shown to the switcher while what is
 * wanted changes at random and streams are changed over at key frames. An independent model
 * of the codec's rules then reads what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/layer_write.h"
#include "core/switcher.h"
#include "receiver.h"
#include "sfu/base/bytes.h"
#include "support/av1_dd.h"

enum {
    PICTURES = 400, /* a run */
    RUNS = 60,
    MAX_SPATIAL = 3,
    MAX_FRAMES = PICTURES * MAX_SPATIAL,
    MAX_PACKETS = MAX_FRAMES * 3,
    MAX_REFS = 3,
    STREAMS = 3,
    WRAPPED = 256, /* pictures with ids of 7 bits */
    SETTLED = 6, /* frames after which it is seen whether spatial layers stand apart */
    NONE = -1
};

enum kind {
    VP8_L1T1,
    VP8_L1T3,
    VP8_GROWING, /* its picture ids begin with 7 bits and go on with 15 */
    VP8_CHAINED, /* its middle layer leans on itself, but now and then */
    VP9_L3T3,
    VP9_L3T3_KEY,
    VP9_FLEXIBLE,
    H264_L1T1,
    H264_L1T3, /* its temporal layers stand in a dependency descriptor */
    AV1_L1T3,
    AV1_L3T3,
    AV1_L3T3_KEY,
    N_KINDS
};

/* A frame: of one spatial layer of one picture. */
struct frame {
    int stream, picture, spatial, temporal;
    int refs[MAX_REFS];
    bool key; /* begins anew: needs nothing of before its picture */
    uint8_t tl0, keyidx;
    int n_packets, n_seen, n_sent;
    int play; /* which change of source it came after */
    int out_picture;
    uint32_t out_ts;
};

struct packet {
    int frame;
    uint64_t seq;
    uint64_t index; /* what it went out as; 0 it did not */
    uint32_t ts;
    bool marker, shown;
    size_t len, dd_len;
    uint8_t payload[32];
    uint8_t dd[255]; /* AV1's descriptor */
};

struct world {
    enum kind kind;
    unsigned seed;
    struct frame frames[MAX_FRAMES];
    int n_frames;
    struct packet packets[MAX_PACKETS];
    int n_packets;
    struct switcher sw;
    struct layer_state layers;
    struct receiver receiver;
    uint8_t tl0[STREAMS], keyidx[STREAMS]; /* of the source's streams */
    int play;
    uint32_t play_offset; /* source minus outgoing timestamp */
    int newest, watched; /* picture that something was sent of, and its spatial layer */
    bool begins;
    uint64_t last_index;
    bool steady; /* nothing was lost or reordered */
};

static unsigned chance(struct world *w, unsigned below)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return (w->seed >> 8) % below;
}

static enum codec_kind codec_of(enum kind kind)
{
    if (kind >= AV1_L1T3) {
        return CODEC_AV1;
    }
    if (kind >= H264_L1T1) {
        return CODEC_H264;
    }
    return kind <= VP8_CHAINED ? CODEC_VP8 : CODEC_VP9;
}

static int n_spatial_of(enum kind kind)
{
    return codec_of(kind) == CODEC_VP9 || kind > AV1_L1T3 ? MAX_SPATIAL : 1;
}

/* Whether spatial layers stand apart between key pictures (K-SVC). */
static bool is_apart(enum kind kind)
{
    return kind == VP9_L3T3_KEY || kind == AV1_L3T3_KEY;
}

/* Of AV1 each frame has a number. */
static uint16_t av1_number(enum kind kind, const struct frame *f)
{
    return (uint16_t)(f->stream * 7000 + 65000 + f->picture * n_spatial_of(kind) +
                      f->spatial);
}

/* ---- the encoder ---- */

/* The pattern 0 2 1 2 of three temporal layers: what a picture of each place leans on. */
static int temporal_of(enum kind kind, int since_key)
{
    static const int pattern[] = {0, 2, 1, 2};

    return kind == VP8_L1T1 || kind == H264_L1T1 ? 0 : pattern[since_key % 4];
}

/* VP8_CHAINED: the pattern's picture of the middle layer leans on the base only. */
static bool is_joined(int since_key)
{
    return since_key / 4 % 4 == 0;
}

/* The pictures, counted from the key picture, that one leans on: the last of its base, and
 * in the second half of the pattern the one between. */
static int leans_on(enum kind kind, int since_key, int *second)
{
    int base = since_key - since_key % 4;

    *second = NONE;
    if (kind == VP8_L1T1 || kind == H264_L1T1) {
        return since_key - 1;
    }
    switch (since_key % 4) {
    case 0:
        return since_key - 4;
    case 2:
        if (kind == VP8_CHAINED && !is_joined(since_key)) {
            *second = since_key - 4;
        }
        return base;
    case 1:
        return base;
    default:
        *second = base + 2;
        return base;
    }
}

/* RFC 7741, 4.2: after 127 an id of 7 bits begins anew, or goes on with 15. */
static void write_growing(struct wbytes *w, const struct frame *f)
{
    int n = f->picture + 37 * f->stream;

    if (n < WRAPPED) {
        wbytes_u8(w, n & 0x7f);
    } else {
        wbytes_be16(w, (uint16_t)(0x8000 | (n - WRAPPED + 128)));
    }
}

static size_t write_vp8(enum kind kind, const struct frame *f, uint16_t picture,
                        int since_key, int packet, uint8_t *out)
{
    struct wbytes w = wbytes_of(out, 32);
    bool sync = f->temporal > 0 && since_key % 4 != 3 &&
                (kind != VP8_CHAINED || f->temporal != 1 || is_joined(since_key));

    wbytes_u8(&w, (uint8_t)(0x80 | (packet == 0 ? 0x10 : 0)));
    wbytes_u8(&w, 0xf0);
    if (kind == VP8_GROWING) {
        write_growing(&w, f);
    } else {
        wbytes_be16(&w, (uint16_t)(0x8000 | (picture & 0x7fff)));
    }
    wbytes_u8(&w, f->tl0);
    wbytes_u8(&w, (uint8_t)(f->temporal << 6 | (sync ? 0x20 : 0) | f->keyidx));
    wbytes_u8(&w, f->key ? 0x10 : 0x11);
    wbytes_zero(&w, 4);
    return wbytes_len(&w);
}

static size_t write_vp9(const struct world *wd, const struct frame *f, uint16_t picture,
                        int packet, bool up, uint8_t *out)
{
    struct wbytes w = wbytes_of(out, 32);
    bool inter = !f->key;
    bool flexible = wd->kind == VP9_FLEXIBLE;
    bool leans = f->spatial > 0 && (wd->kind != VP9_L3T3_KEY || f->key);

    wbytes_u8(&w, (uint8_t)(0x80 | (inter ? 0x40 : 0) | 0x20 | (flexible ? 0x10 : 0) |
                            (packet == 0 ? 0x08 : 0) |
                            (packet == f->n_packets - 1 ? 0x04 : 0)));
    wbytes_be16(&w, (uint16_t)(0x8000 | (picture & 0x7fff)));
    wbytes_u8(&w, (uint8_t)(f->temporal << 5 | (up ? 0x10 : 0) | f->spatial << 1 | leans));
    if (!flexible) {
        wbytes_u8(&w, f->tl0);
    } else if (inter) { /* the pictures that it leans on; of its own that is the D bit */
        const int first = f->picture - wd->frames[f->refs[0]].picture;
        const struct frame *more = f->refs[1] != NONE ? &wd->frames[f->refs[1]] : NULL;
        const bool second = more != NULL && more->picture != f->picture;

        wbytes_u8(&w, (uint8_t)(first << 1 | second));
        if (second) {
            wbytes_u8(&w, (uint8_t)((f->picture - more->picture) << 1));
        }
    }
    wbytes_zero(&w, 4);
    return wbytes_len(&w);
}

static size_t write_h264(const struct frame *f, int packet, uint8_t *out)
{
    memset(out, 0, 8);
    out[0] = f->key && packet == 0 ? 0x67 : 0x41;
    return 8;
}

static void write_dd(const struct world *w, const struct frame *f, int packet,
                      struct packet *out)
{
    struct av1_packet p = {.n_spatial = n_spatial_of(w->kind),
                           .apart = is_apart(w->kind),
                           .key = f->key,
                           .first = packet == 0,
                           .last = packet == f->n_packets - 1,
                           .spatial = f->spatial,
                           .temporal = f->temporal,
                           .number = av1_number(w->kind, f)};

    for (int r = 0; r < MAX_REFS; r++) {
        if (f->refs[r] != NONE) {
            p.fdiffs[p.n_fdiffs++] =
                (uint16_t)(p.number - av1_number(w->kind, &w->frames[f->refs[r]]));
        }
    }
    out->dd_len = av1_write_dd(&p, out->dd);
}

static size_t write_obu(const struct frame *f, int packet, uint8_t *out)
{
    memset(out, 0, 8);
    out[0] = f->key && f->spatial == 0 && packet == 0 ? 0x18 : 0x10;
    return 8;
}

static int find(const struct world *w, int stream, int picture, int spatial)
{
    for (int i = w->n_frames; i-- > 0;) {
        const struct frame *f = &w->frames[i];

        if (f->stream == stream && f->picture == picture && f->spatial == spatial) {
            return i;
        }
    }
    return NONE;
}

static void add_packets(struct world *w, int frame, uint64_t *seq, uint32_t ts, bool last,
                        int since_key, uint16_t first_picture)
{
    struct frame *f = &w->frames[frame];
    uint16_t picture = (uint16_t)(first_picture + f->picture);

    for (int i = 0; i < f->n_packets; i++) {
        struct packet *p = &w->packets[w->n_packets++];

        *p = (struct packet){.frame = frame, .seq = (*seq)++, .ts = ts};
        p->marker = last && i == f->n_packets - 1;
        switch (codec_of(w->kind)) {
        case CODEC_VP8:
            p->len = write_vp8(w->kind, f, picture, since_key, i, p->payload);
            break;
        case CODEC_VP9:
            p->len = write_vp9(w, f, picture, i, since_key % 4 != 3, p->payload);
            break;
        case CODEC_AV1:
            p->len = write_obu(f, i, p->payload);
            break;
        default:
            p->len = write_h264(f, i, p->payload);
            break;
        }
        if (w->kind >= H264_L1T3) {
            write_dd(w, f, i, p);
        }
    }
}

/* One picture of a stream, all its spatial layers. */
static void encode(struct world *w, int stream, int picture, int key_picture, uint64_t *seq)
{
    int n = n_spatial_of(w->kind);
    int since_key = picture - key_picture;
    uint32_t ts = (uint32_t)(stream * 123456789 + picture * 3000);
    bool base = temporal_of(w->kind, since_key) == 0;

    w->tl0[stream] = (uint8_t)(w->tl0[stream] + (base ? 1 : 0));
    w->keyidx[stream] = (w->keyidx[stream] + (since_key == 0 ? 1 : 0)) & 0x1f;

    for (int s = 0; s < n; s++) {
        int i = w->n_frames;
        struct frame *f = &w->frames[i];
        int second;
        int r = 0;

        *f = (struct frame){.stream = stream,
                            .picture = picture,
                            .spatial = s,
                            .temporal = temporal_of(w->kind, since_key),
                            .refs = {NONE, NONE, NONE},
                            .key = since_key == 0,
                            .tl0 = w->tl0[stream],
                            .keyidx = w->keyidx[stream],
                            .n_packets = 1 + (int)chance(w, 3)};
        if (since_key > 0) {
            f->refs[r++] =
                find(w, stream, key_picture + leans_on(w->kind, since_key, &second), s);
            if (second != NONE) {
                f->refs[r++] = find(w, stream, key_picture + second, s);
            }
        }
        if (s > 0 && (!is_apart(w->kind) || since_key == 0)) {
            f->refs[r++] = i - 1;
        }
        w->n_frames++;
        add_packets(w, i, seq, ts, s == n - 1, since_key,
                    (uint16_t)(stream * 7000 + 32700));
    }
}

/* ---- what came out ---- */

/* Nothing that was sent leans on what was left out, and what it says that it leans on is
 * that still. What was lost on the way to us is the network's. */
static void check_references(const struct world *w)
{
    for (int i = 0; i < w->n_frames; i++) {
        const struct frame *f = &w->frames[i];

        if (f->n_sent == 0) {
            continue;
        }
        assert_int_equal(f->n_sent, f->n_seen); /* a frame is sent whole */
        for (int r = 0; r < MAX_REFS; r++) {
            if (f->refs[r] != NONE) {
                const struct frame *ref = &w->frames[f->refs[r]];

                assert_int_equal(ref->n_sent, ref->n_seen);
            }
        }
    }
}

/* The frames that a descriptor names, as ids, are those that the encoder leant on. */
static void check_names(const struct world *w, const struct frame *f, const struct heard *h)
{
    int named = 0;

    for (int r = 0; r < MAX_REFS && h->first; r++) {
        const struct frame *ref = f->refs[r] != NONE ? &w->frames[f->refs[r]] : NULL;

        if (ref == NULL || (codec_of(w->kind) == CODEC_VP9 && ref->picture == f->picture)) {
            continue;
        }
        named++;
        for (int k = 0; k <= h->n_refs && ref->n_sent > 0; k++) {
            assert_true(k < h->n_refs);
            if (h->refs[k] == ref->out_picture) {
                break;
            }
        }
    }
    assert_true(!h->first || h->n_refs == named);
}

static void receive(struct world *w, struct packet *p, const struct heard *h)
{
    struct frame *f = &w->frames[p->frame];

    if (w->steady && w->last_index != 0) {
        assert_int_equal(h->index, w->last_index + 1); /* nothing is missing */
    }
    w->last_index = p->index = h->index;
    assert_int_equal(p->ts - h->ts, w->play_offset); /* time goes as the source's */
    assert_true(f->n_sent == 0 || h->picture == f->out_picture);
    if (w->kind == VP9_FLEXIBLE || codec_of(w->kind) == CODEC_AV1) {
        check_names(w, f, h);
    }
    f->out_picture = h->picture;
    f->out_ts = h->ts;
    f->n_sent++;
}

/* A receiver sees that something is missing: what was lost between two packets that were
 * sent leaves a number free, whatever was left out around it. */
static void check_holes(const struct world *w)
{
    const struct packet *before[STREAMS] = {NULL};
    bool lost[STREAMS] = {false};

    for (int i = 0; i < w->n_packets; i++) {
        const struct packet *p = &w->packets[i];
        const struct frame *f = &w->frames[p->frame];
        const int s = f->stream;

        if (!p->shown) {
            lost[s] = true;
        } else if (p->index != 0) {
            if (lost[s] && before[s] != NULL &&
                w->frames[before[s]->frame].play == f->play) {
                assert_true(p->index > before[s]->index + 1);
            }
            before[s] = p;
            lost[s] = false;
        }
    }
}

/* ---- a run ---- */

struct run {
    struct world world;
    struct packet *show[MAX_PACKETS];
    int n_show;
};

static struct switcher_in show_of(struct world *w, const struct packet *p)
{
    struct switcher_in in = {.seq = p->seq, .ts = p->ts, .marker = p->marker};

    assert_int_equal(layer_parse(&w->layers, codec_of(w->kind), p->payload, p->len,
                                 p->dd_len > 0 ? p->dd : NULL, p->dd_len, &in.layer),
                     0);
    return in;
}

/* The descriptor as stage/rewrite would send it, and what it says. */
static void hear_av1(const struct world *w, const struct packet *p,
                     const struct switcher_out *out, struct heard *h)
{
    const int n_spatial = n_spatial_of(w->kind);
    uint8_t dd[255];
    uint16_t mask = 0;
    unsigned active;
    size_t len;

    for (unsigned s = 0; s <= out->spatial; s++) {
        for (unsigned t = 0; t <= out->temporal; t++) {
            mask |= LAYER_BIT(s, t);
        }
    }
    len = layer_dd_write(p->dd, p->dd_len, out->picture, mask, dd, sizeof(dd));
    assert_true(len >= 3);
    heard_av1(dd, len, n_spatial, &active, h);
    assert_int_equal(h->picture, out->picture);
    for (int k = 0; active != 0 && k < n_spatial * AV1_TEMPORAL; k++) {
        const bool is = (active >> k & 1) != 0; /* the first is the lowest bit */

        assert_int_equal(is, k / AV1_TEMPORAL <= out->spatial &&
                                 k % AV1_TEMPORAL <= out->temporal);
    }
}

/* The payload as stage/rewrite would send it, likewise. */
static void hear(const struct world *w, const struct packet *p,
                 const struct switcher_out *out, struct heard *h)
{
    const struct layer_numbers numbers = {
        .picture = out->picture, .tl0 = out->tl0, .keyidx = out->keyidx};
    const enum codec_kind codec = codec_of(w->kind);
    uint8_t payload[32];

    h->index = out->index;
    h->ts = out->ts;
    h->marker = out->marker;
    if (codec == CODEC_AV1) {
        hear_av1(w, p, out, h);
        return;
    }
    memcpy(payload, p->payload, p->len);
    assert_int_equal(layer_write(codec, payload, p->len, &numbers), 0);
    if (codec == CODEC_VP8) {
        heard_vp8(payload, h);
    } else if (codec == CODEC_VP9) {
        heard_vp9(payload, h);
    }
}

/* Whether all was there of the newest picture, so that its end can have been sent: the last
 * packet of what is watched of it. */
static bool came_to_its_end(const struct world *w)
{
    for (int i = w->n_packets; i-- > 0;) {
        const struct frame *f = &w->frames[w->packets[i].frame];

        if (f->picture == w->newest && f->spatial <= w->watched) {
            return w->packets[i].shown;
        }
    }
    return true; /* there was none */
}

static void show(struct run *run, struct packet *p)
{
    struct world *w = &run->world;
    struct switcher_in in = show_of(w, p);
    struct frame *f = &w->frames[p->frame];
    struct switcher_out out;
    struct heard *h;
    uint64_t index, seq;

    f->n_seen++;
    f->play = w->play;
    p->shown = true;
    if (!switcher_packet(&w->sw, &in, &out)) {
        return;
    }
    /* it is found by its number, to be sent again */
    assert_true(switcher_find(&w->sw, (uint16_t)out.index, &index, &seq));
    assert_true(index == out.index && seq == p->seq);
    /* nothing is sent that who watches this layer does not need */
    assert_true(f->spatial <= out.spatial && f->temporal <= out.temporal);
    /* where they stand apart a lower one neither, but at a key */
    assert_true(!is_apart(w->kind) || f->key || p->frame < SETTLED ||
                f->spatial == out.spatial);
    if (f->picture >= w->newest) {
        w->newest = f->picture;
        w->watched = out.spatial;
    }
    h = receiver_next(&w->receiver);
    hear(w, p, &out, h);
    h->begins = w->begins;
    w->begins = false;
    receive(w, p, h);
}

/* Loses and reorders the packets from 'first' on, a little. */
static void disturb(struct run *run, int first)
{
    struct world *w = &run->world;

    run->n_show = 0;
    for (int i = first; i < w->n_packets; i++) {
        if (!w->steady && w->packets[i].frame >= SETTLED && chance(w, 20) == 0) {
            continue; /* lost */
        }
        run->show[run->n_show++] = &w->packets[i];
    }
    for (int i = 0; !w->steady && i + 4 < run->n_show; i++) {
        if (run->show[i]->frame >= SETTLED && chance(w, 10) == 0) {
            int k = i + 1 + (int)chance(w, 3);
            struct packet *other = run->show[i];

            run->show[i] = run->show[k];
            run->show[k] = other;
        }
    }
}

/* A key picture and what follows it, of one stream. */
static void play(struct run *run, int stream, int picture, int n, uint64_t *seq)
{
    struct world *w = &run->world;
    int first = w->n_packets;
    bool begun = false;

    for (int i = 0; i < n; i++) {
        encode(w, stream, picture + i, picture, seq);
    }
    disturb(run, first);
    for (int i = 0; i < run->n_show; i++) {
        struct packet *p = run->show[i];

        if (!begun) {
            struct switcher_in in = show_of(w, p);

            /* as the stage does: the first packet of a key frame */
            if ((in.layer.flags & LAYER_KEY) == 0) {
                continue;
            }
            w->play++;
            w->play_offset = in.ts - (w->sw.out_ts + 3000);
            w->begins = !came_to_its_end(w);
            assert_int_equal(w->sw.whole, !w->begins);
            switcher_begin(&w->sw, &in, in.ts - w->play_offset);
            begun = true;
        }
        if (chance(w, 40) == 0) {
            switcher_want(&w->sw, (uint8_t)chance(w, MAX_SPATIAL), (uint8_t)chance(w, 3));
        }
        show(run, p);
    }
}

static void decodes(enum kind kind, bool steady, unsigned seed)
{
    static struct run run;
    const struct switcher_last last = {.ts = 5};
    uint64_t seq[STREAMS] = {1000, 70000, 65500};
    int picture = 0;

    memset(&run, 0, sizeof(run));
    run.world.kind = kind;
    run.world.receiver.codec = codec_of(kind);
    run.world.steady = steady;
    run.world.seed = seed;
    run.world.newest = NONE;
    switcher_init(&run.world.sw, 100, &last);
    switcher_want(&run.world.sw, 2, 2);
    while (picture < PICTURES) {
        int stream = (int)chance(&run.world, STREAMS);
        int n = 10 + (int)chance(&run.world, 60);

        n = n < PICTURES - picture ? n : PICTURES - picture;
        play(&run, stream, picture, n, &seq[stream]);
        picture += n;
    }
    assert_true(run.world.receiver.n > 80);
    check_references(&run.world);
    check_holes(&run.world);
    receiver_check(&run.world.receiver);
}

static void all(bool steady)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (unsigned seed = 1; seed <= RUNS; seed++) {
            decodes((enum kind)kind, steady, seed * 7919 + (unsigned)kind);
        }
    }
}

static void what_is_left_out_leaves_no_trace(void **state)
{
    (void)state;
    all(true);
}

static void no_frame_leans_on_one_left_out_whatever_is_lost(void **state)
{
    (void)state;
    all(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_leaves_no_trace),
        cmocka_unit_test(no_frame_leans_on_one_left_out_whatever_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
