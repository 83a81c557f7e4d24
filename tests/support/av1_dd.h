/* Dependency descriptors as an AV1 encoder of n spatial and three temporal layers writes
 * them, and a reader of its own for what comes out: neither shares code with core/layer_dd.
 * AV1 RTP payload specification, appendix A.8. */
#ifndef TESTS_SUPPORT_AV1_DD_H
#define TESTS_SUPPORT_AV1_DD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { AV1_TEMPORAL = 3, AV1_VARIANTS = 4, AV1_FIRST_ID = 60 /* ids wrap */ };

struct av1_bits {
    uint8_t *data;
    unsigned at;
};

static inline void av1_put(struct av1_bits *b, unsigned value, unsigned n)
{
    while (n-- > 0) {
        b->data[b->at / 8] =
            (uint8_t)(b->data[b->at / 8] | (value >> n & 1) << (7 - b->at % 8));
        b->at++;
    }
}

static inline unsigned av1_get(struct av1_bits *b, unsigned n)
{
    unsigned value = 0;

    while (n-- > 0) {
        value = value << 1 | (b->data[b->at / 8] >> (7 - b->at % 8) & 1);
        b->at++;
    }
    return value;
}

/* A number below n, as ns(n) of the AV1 specification: some are a bit shorter. */
static inline void av1_put_ns(struct av1_bits *b, unsigned value, unsigned n)
{
    unsigned w = 0;

    while (n >> w != 0) {
        w++;
    }
    if (value < (1u << w) - n) {
        av1_put(b, value, w - 1);
    } else {
        av1_put(b, value + (1u << w) - n, w);
    }
}

/* How a frame of layer (s, t) looks to who watches (ws, wt): 0 not needed, 1 discardable,
 * 2 one may begin here, 3 required. In K-SVC ('apart') layers stand alone between keys. */
static inline unsigned av1_dti(bool apart, bool key, int s, int t, int ws, int wt)
{
    if (s > ws || t > wt || (apart && !key && s != ws)) {
        return 0;
    }
    if (key) {
        return 2;
    }
    if (s != ws) {
        return 3;
    }
    return t == 0 || t < wt ? 2 : 1;
}

static inline void av1_put_structure(struct av1_bits *b, int n_spatial, bool apart)
{
    const int n_targets = n_spatial * AV1_TEMPORAL;

    av1_put(b, AV1_FIRST_ID, 6);
    av1_put(b, (unsigned)n_targets - 1, 5);
    for (int s = 0; s < n_spatial; s++) { /* key, then one for each temporal layer */
        av1_put(b, 0, 2);
        av1_put(b, 1, 2);
        av1_put(b, 1, 2);
        av1_put(b, s + 1 < n_spatial ? 2 : 3, 2);
    }
    for (int i = 0; i < n_spatial * AV1_VARIANTS; i++) {
        const int v = i % AV1_VARIANTS;

        for (int k = 0; k < n_targets; k++) {
            av1_put(b,
                    av1_dti(apart, v == 0, i / AV1_VARIANTS, v > 0 ? v - 1 : 0,
                            k / AV1_TEMPORAL, k % AV1_TEMPORAL),
                    2);
        }
    }
    for (int i = 0; i < n_spatial * AV1_VARIANTS; i++) {
        if (i % AV1_VARIANTS > 0) { /* what it leans on; each frame says it again */
            av1_put(b, 1, 1);
            av1_put(b, (unsigned)i % 7, 4);
        }
        av1_put(b, 0, 1);
    }
    av1_put_ns(b, (unsigned)n_spatial, (unsigned)n_targets + 1); /* chains */
    for (int k = 0; k < n_targets; k++) {
        av1_put_ns(b, (unsigned)(k / AV1_TEMPORAL), (unsigned)n_spatial);
    }
    for (int i = 0; i < n_spatial * AV1_VARIANTS * n_spatial; i++) {
        av1_put(b, (unsigned)i % 16, 4);
    }
    av1_put(b, 1, 1);
    for (int s = 0; s < n_spatial; s++) {
        av1_put(b, (320u << s) - 1, 16);
        av1_put(b, (180u << s) - 1, 16);
    }
}

/* What a packet says. fdiffs: how far back the frames lie that this one leans on. */
struct av1_packet {
    int n_spatial;
    bool apart, key, first, last;
    int spatial, temporal;
    uint16_t number;
    int n_fdiffs;
    unsigned fdiffs[3];
};

/* Returns the length; 'out' has 255 bytes. */
static inline size_t av1_write_dd(const struct av1_packet *p, uint8_t *out)
{
    struct av1_bits b = {.data = out};
    const bool structure = p->key && p->first && p->spatial == 0;
    const int template = p->spatial * AV1_VARIANTS + (p->key ? 0 : 1 + p->temporal);

    memset(out, 0, 255);
    av1_put(&b, p->first, 1);
    av1_put(&b, p->last, 1);
    av1_put(&b, (unsigned)(AV1_FIRST_ID + template) % 64, 6);
    av1_put(&b, p->number, 16);
    if (!p->first) {
        return 3; /* as the first of its frame */
    }
    av1_put(&b, structure, 1);
    av1_put(&b, 0, 1); /* all targets are active */
    av1_put(&b, 0, 1);
    av1_put(&b, 1, 1);
    av1_put(&b, 0, 1);
    if (structure) {
        av1_put_structure(&b, p->n_spatial, p->apart);
    }
    for (int i = 0; i < p->n_fdiffs; i++) {
        av1_put(&b, 3, 2);
        av1_put(&b, p->fdiffs[i] - 1, 12);
    }
    av1_put(&b, 0, 2);
    return (b.at + 7) / 8;
}

/* What a descriptor says. */
struct av1_read {
    bool first;
    uint16_t number;
    unsigned active; /* of one with a structure, the targets that are: a bit each; else 0 */
    int n_fdiffs;
    unsigned fdiffs[4];
};

/* Whether the structure of this form begins at '*b', unchanged; if so it is passed. */
static inline bool av1_pass_structure(struct av1_bits *b, int n_spatial, bool apart)
{
    uint8_t ours[300] = {0};
    struct av1_bits expected = {.data = ours};
    struct av1_bits at = *b;

    av1_put_structure(&expected, n_spatial, apart);
    for (unsigned k = 0; k < expected.at; k++) {
        struct av1_bits bit = {.data = ours, .at = k};

        if (av1_get(&at, 1) != av1_get(&bit, 1)) {
            return false;
        }
    }
    *b = at;
    return true;
}

/* Reads one; a structure that is none of ours leaves a number that the test sees. It has to
 * end where 'len' says. */
static inline struct av1_read av1_read_dd(const uint8_t *data, size_t len, int n_spatial)
{
    uint8_t copy[300] = {0};
    struct av1_bits b = {.data = copy};
    struct av1_read r = {.number = 0};
    bool structure, active;

    memcpy(copy, data, len);
    r.first = av1_get(&b, 1) != 0;
    (void)av1_get(&b, 7);
    r.number = (uint16_t)av1_get(&b, 16);
    if (len == 3) {
        return r;
    }
    structure = av1_get(&b, 1) != 0;
    active = av1_get(&b, 1) != 0;
    if (av1_get(&b, 3) != 2 ||
        (structure && !av1_pass_structure(&b, n_spatial, false) &&
         !av1_pass_structure(&b, n_spatial, true))) {
        r.number = (uint16_t)~r.number;
        return r;
    }
    if (active) {
        r.active = av1_get(&b, (unsigned)n_spatial * AV1_TEMPORAL);
    } else if (structure) {
        r.active = ~0u;
    }
    for (unsigned size = av1_get(&b, 2); size != 0 && r.n_fdiffs < 4;
         size = av1_get(&b, 2)) {
        r.fdiffs[r.n_fdiffs++] = av1_get(&b, 4 * size) + 1;
    }
    if ((b.at + 7) / 8 != len && !(structure && (b.at + 7) / 8 + 1 == len)) { /* padding */
        r.number = (uint16_t)~r.number;
    }
    return r;
}

#endif
