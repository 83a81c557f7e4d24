/* A receiver that believes what the packets say and nothing else: it reads their payload
 * descriptors (RFC 7741, RFC 9628) or dependency descriptors in its own way, sharing no
 * code with core/, puts them in the order of their numbers, and holds them to what its
 * codec's depacketizer goes by. Where numbers are missing something was lost on the way to
 * us; where none are there must be no trace of what was left out. */
#ifndef SIM_RECEIVER_H
#define SIM_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "support/av1_dd.h"
#include "core/codec.h"

enum { HEARD_MAX = 4096, HEARD_REFS = 3, HEARD_NONE = -1 };

/* A packet, as it is read. */
struct heard {
    uint64_t index;
    uint32_t ts;
    bool marker;
    bool first; /* of its frame */
    bool key;   /* of its frame; known of the first packet */
    bool begins; /* another source, which may cut off a picture that never became whole */
    int picture; /* its id; HEARD_NONE without */
    int mask;    /* the bits that ids have */
    int tl0, keyidx; /* HEARD_NONE without */
    int spatial, temporal;
    int n_refs;
    int refs[HEARD_REFS]; /* ids of the frames that it says it leans on */
};

struct receiver {
    enum codec_kind codec;
    size_t n;
    struct heard heard[HEARD_MAX];
};

static inline void heard_vp8(const uint8_t *p, struct heard *h)
{
    const uint8_t *at = p + 2;

    assert_int_equal(p[0] & 0x80, 0x80); /* what the source says is said still */
    assert_int_equal(p[1], 0xf0);
    h->first = (p[0] & 0x10) != 0;
    h->mask = (at[0] & 0x80) != 0 ? 0x7fff : 0x7f;
    h->picture = at[0];
    if (h->mask == 0x7fff) {
        h->picture = (at[0] & 0x7f) << 8 | at[1];
        at++;
    }
    h->tl0 = at[1];
    h->temporal = at[2] >> 6;
    h->keyidx = at[2] & 0x1f;
    h->key = h->first && (at[3] & 1) == 0;
}

static inline void heard_vp9(const uint8_t *p, struct heard *h)
{
    const uint8_t *at = p + 4;
    const bool inter = (p[0] & 0x40) != 0;
    bool more = inter;

    assert_int_equal(p[0] & 0xa0, 0xa0);
    assert_int_equal(p[1] & 0x80, 0x80);
    h->mask = 0x7fff;
    h->picture = (p[1] & 0x7f) << 8 | p[2];
    h->temporal = p[3] >> 5;
    h->spatial = p[3] >> 1 & 7;
    h->first = (p[0] & 0x08) != 0;
    h->key = h->first && !inter && h->spatial == 0;
    if ((p[0] & 0x10) == 0) {
        h->tl0 = *at;
        return;
    }
    for (; more && h->n_refs < HEARD_REFS; at++) {
        h->refs[h->n_refs++] = (h->picture - (*at >> 1)) & h->mask;
        more = (*at & 1) != 0;
    }
    assert_false(more);
}

static inline void heard_av1(const uint8_t *dd, size_t len, int n_spatial,
                             unsigned *active, struct heard *h)
{
    const struct av1_read r = av1_read_dd(dd, len, n_spatial);

    *active = r.active;
    h->mask = 0xffff;
    h->picture = r.number;
    h->first = r.first;
    for (int i = 0; i < r.n_fdiffs; i++) {
        assert_true(h->n_refs < HEARD_REFS);
        h->refs[h->n_refs++] = (uint16_t)(r.number - r.fdiffs[i]);
    }
}

static inline struct heard *receiver_next(struct receiver *r)
{
    struct heard *h = &r->heard[r->n++];

    assert_true(r->n <= HEARD_MAX);
    *h = (struct heard){.picture = HEARD_NONE, .tl0 = HEARD_NONE, .keyidx = HEARD_NONE};
    return h;
}

static inline int heard_order(const void *a, const void *b)
{
    const struct heard *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

/* Time goes on, and pictures end where their marker is. */
static inline void check_time(const struct heard *a, const struct heard *b)
{
    if (a->ts == b->ts) {
        assert_false(a->marker);
        return;
    }
    assert_true((int32_t)(b->ts - a->ts) > 0);
    if (b->index == a->index + 1 && !b->begins) {
        assert_true(a->marker);
    }
}

/* Ids of pictures go up; of VP8 by one, where nothing is missing. */
static inline void check_picture(enum codec_kind codec, const struct heard *a,
                                 const struct heard *b)
{
    const int up = (b->picture - a->picture) & b->mask;

    if (b->picture == HEARD_NONE) {
        return;
    }
    if (codec == CODEC_AV1) { /* each frame has its number */
        assert_in_range(up, b->first && b->index == a->index + 1 ? 1 : 0, b->mask / 2);
        return;
    }
    if (a->ts == b->ts) {
        assert_int_equal(up, 0);
        return;
    }
    assert_in_range(up, 1, b->mask / 2);
    if (codec == CODEC_VP8 && b->index == a->index + 1) {
        assert_int_equal(up, 1);
    }
}

/* What is known of the base layer and of key frames, in order. */
struct basis {
    bool any;
    bool hole; /* something is missing since */
    int tl0, keyidx;
    uint32_t ts;
};

enum { LOST_AT_MOST = 24 }; /* base pictures, or key frames, in sequence */

/* TL0PICIDX counts pictures of the base; those of upper layers name theirs. */
static inline void check_tl0(struct basis *base, const struct heard *h, bool hole)
{
    const int up = (h->tl0 - base->tl0) & 0xff;
    const bool fresh = h->temporal == 0 && h->ts != base->ts;

    base->hole = base->hole || hole;
    if (h->tl0 == HEARD_NONE) {
        return;
    }
    if (base->any && !base->hole) {
        assert_int_equal(up, fresh);
    } else if (base->any) {
        assert_in_range(up, 0, LOST_AT_MOST);
    }
    if (fresh) {
        *base = (struct basis){.any = true, .tl0 = h->tl0, .ts = h->ts};
    }
}

/* KEYIDX counts key frames. */
static inline void check_keyidx(struct basis *keys, const struct heard *h, bool hole)
{
    const int up = (h->keyidx - keys->keyidx) & 0x1f;

    keys->hole = keys->hole || hole;
    if (h->keyidx == HEARD_NONE) {
        return;
    }
    if (keys->any && !keys->hole) {
        assert_int_equal(up, h->key && h->ts != keys->ts);
    } else if (keys->any) {
        assert_in_range(up, 0, LOST_AT_MOST);
    }
    if (h->key) {
        *keys = (struct basis){.any = true, .keyidx = h->keyidx, .ts = h->ts};
    }
}

/* All that was heard, afterwards. */
static inline void receiver_check(struct receiver *r)
{
    struct basis base = {.any = false}, keys = {.any = false};

    qsort(r->heard, r->n, sizeof(r->heard[0]), heard_order);
    for (size_t i = 0; i < r->n; i++) {
        const struct heard *h = &r->heard[i];
        const bool hole = i > 0 && h->index != h[-1].index + 1;

        if (i > 0) {
            assert_true(h->index > h[-1].index); /* no number is used twice */
            check_time(h - 1, h);
            check_picture(r->codec, h - 1, h);
        }
        check_tl0(&base, h, hole);
        check_keyidx(&keys, h, hole);
    }
}

#endif
