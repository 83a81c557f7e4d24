#include "core/layer_dd.h"

#include <errno.h>
#include <string.h>

#include "core/layer.h"

enum { MANDATORY = 3, FLAGS = 5, MAX_FDIFFS = 64 };

/* Indications of a decode target for a frame. */
enum { DTI_NONE = 0, DTI_SWITCH = 2 };

/* ---- bits ---- */

struct bits {
    const uint8_t *data;
    size_t n; /* bits */
    size_t at;
    bool bad;
};

static uint32_t take(struct bits *b, unsigned n)
{
    uint32_t v = 0;

    if (b->n - b->at < n) {
        b->bad = true;
        b->at = b->n;
        return 0;
    }
    for (unsigned i = 0; i < n; i++, b->at++) {
        v = v << 1 | ((uint32_t)b->data[b->at / 8] >> (7 - b->at % 8) & 1u);
    }
    return v;
}

/* A number below 'n' (AV1 bitstream specification, 4.10.7). */
static uint32_t take_below(struct bits *b, uint32_t n)
{
    unsigned w = 0;
    uint32_t m;
    uint32_t v;

    for (uint32_t x = n; x != 0; x >>= 1) {
        w++;
    }
    if (w == 0) {
        return 0;
    }
    m = (1u << w) - n;
    v = take(b, w - 1);
    return v < m ? v : (v << 1) - m + take(b, 1);
}

struct out_bits {
    uint8_t *data;
    size_t n, at;
    bool bad;
};

static void put(struct out_bits *b, uint32_t v, unsigned n)
{
    if (b->n - b->at < n) {
        b->bad = true;
        return;
    }
    for (unsigned i = n; i-- > 0; b->at++) {
        uint8_t bit = (uint8_t)(0x80 >> b->at % 8);

        if (b->at % 8 == 0) {
            b->data[b->at / 8] = 0;
        }
        if ((v >> i & 1) != 0) {
            b->data[b->at / 8] |= bit;
        }
    }
}

/* ---- reading ---- */

static void take_layers(struct bits *b, struct layer_dd *dd)
{
    uint8_t spatial = 0;
    uint8_t temporal = 0;
    uint32_t next;

    do {
        struct layer_dd_template *t;

        if (dd->n_templates == LAYER_DD_TEMPLATES || spatial >= LAYER_MAX ||
            temporal >= LAYER_MAX) {
            b->bad = true;
            return;
        }
        t = &dd->templates[dd->n_templates++];
        *t = (struct layer_dd_template){.spatial = spatial, .temporal = temporal};
        next = take(b, 2);
        if (next == 1) {
            temporal++;
        } else if (next == 2) {
            temporal = 0;
            spatial++;
        }
    } while (next != 3 && !b->bad);
}

/* Gives each cell of the masks to the highest decode target that is not above it, so that
 * one who watches more layers than there are gets all there are. */
static void place_targets(struct layer_dd *dd, const uint8_t *spatial,
                          const uint8_t *temporal)
{
    for (unsigned cell = 0; cell < LAYER_MAX * LAYER_MAX; cell++) {
        unsigned s = cell / LAYER_MAX;
        unsigned t = cell % LAYER_MAX;
        int best = -1;
        uint8_t k_best = 0;

        for (uint8_t k = 0; k < dd->n_targets; k++) {
            int rank = spatial[k] * LAYER_MAX + temporal[k];

            if (spatial[k] <= s && temporal[k] <= t && rank > best) {
                best = rank;
                k_best = k;
            }
        }
        dd->target[k_best] |= LAYER_BIT(s, t); /* below all: the first will have to do */
    }
}

/* Indications come before it is known which layers a target has: twice over them. */
static void take_targets(struct bits *b, struct layer_dd *dd)
{
    const struct bits start = *b;
    uint8_t spatial[LAYER_DD_TARGETS] = {0};
    uint8_t temporal[LAYER_DD_TARGETS] = {0};

    for (uint8_t i = 0; i < dd->n_templates; i++) {
        const struct layer_dd_template *t = &dd->templates[i];

        for (uint8_t k = 0; k < dd->n_targets; k++) {
            if (take(b, 2) != DTI_NONE) {
                spatial[k] = t->spatial > spatial[k] ? t->spatial : spatial[k];
                temporal[k] = t->temporal > temporal[k] ? t->temporal : temporal[k];
            }
        }
    }
    place_targets(dd, spatial, temporal);
    for (uint8_t k = 0; k < dd->n_targets; k++) {
        dd->own[k] = (uint8_t)(spatial[k] << 4 | temporal[k]);
    }
    dd->active = UINT32_MAX;
    *b = start;
    for (uint8_t i = 0; i < dd->n_templates; i++) {
        struct layer_dd_template *t = &dd->templates[i];

        for (uint8_t k = 0; k < dd->n_targets; k++) {
            uint32_t dti = take(b, 2);

            t->present |= dti != DTI_NONE ? dd->target[k] : 0;
            t->sync |= dti == DTI_SWITCH ? dd->target[k] : 0;
        }
    }
}

static void skip_fdiffs(struct bits *b, const struct layer_dd *dd)
{
    for (uint8_t i = 0; i < dd->n_templates; i++) {
        for (unsigned n = 0; take(b, 1) != 0 && n < MAX_FDIFFS && !b->bad; n++) {
            (void)take(b, 4);
        }
    }
}

static void skip_chains(struct bits *b, const struct layer_dd *dd)
{
    uint32_t n = take_below(b, dd->n_targets + 1u);

    if (n == 0) {
        return;
    }
    for (uint8_t k = 0; k < dd->n_targets; k++) {
        (void)take_below(b, n);
    }
    for (uint32_t i = 0; i < dd->n_templates * n && !b->bad; i++) {
        (void)take(b, 4);
    }
}

static void take_structure(struct bits *b, struct layer_dd *dd)
{
    uint8_t top = 0;

    memset(dd, 0, sizeof(*dd));
    dd->first_id = (uint8_t)take(b, 6);
    dd->n_targets = (uint8_t)(take(b, 5) + 1);
    take_layers(b, dd);
    if (b->bad) {
        return;
    }
    take_targets(b, dd);
    skip_fdiffs(b, dd);
    skip_chains(b, dd);
    if (take(b, 1) != 0) { /* resolutions */
        top = dd->templates[dd->n_templates - 1].spatial;
        for (unsigned i = 0; i <= top; i++) {
            (void)take(b, 32);
        }
    }
    dd->known = true;
}

/* Which template a descriptor names; NULL if there is none. */
static const struct layer_dd_template *template_of(const struct layer_dd *dd, uint32_t id)
{
    uint32_t i = (id + LAYER_DD_TEMPLATES - dd->first_id) % LAYER_DD_TEMPLATES;

    return i < dd->n_templates ? &dd->templates[i] : NULL;
}

static void take_custom(struct bits *b, const struct layer_dd *dd,
                        struct layer_dd_info *out)
{
    out->present = 0;
    out->sync = 0;
    for (uint8_t k = 0; k < dd->n_targets; k++) {
        uint32_t dti = take(b, 2);

        out->present |= dti != DTI_NONE ? dd->target[k] : 0;
        out->sync |= dti == DTI_SWITCH ? dd->target[k] : 0;
    }
}

/* The whole of a descriptor; 'next' is what 'dd' becomes. */
static int parse(const struct layer_dd *dd, struct layer_dd *next, struct bits *b,
                 struct layer_dd_info *out)
{
    const struct layer_dd_template *t;
    bool structure = false;
    bool active = false;
    bool custom = false;
    uint32_t id;

    *out = (struct layer_dd_info){.begin = take(b, 1) != 0};
    out->end = take(b, 1) != 0;
    id = take(b, 6);
    out->frame = (uint16_t)take(b, 16);
    if (b->n > (size_t)8 * MANDATORY) {
        structure = take(b, 1) != 0;
        active = take(b, 1) != 0;
        custom = take(b, 1) != 0;
        (void)take(b, 2); /* what a frame leans on: whoever needs it gets that, too */
    }
    if (b->bad) {
        return -EBADMSG;
    }
    if (structure) {
        take_structure(b, next);
        out->structure = true;
    } else if (dd->known) {
        *next = *dd;
    } else {
        return -ENOENT;
    }
    if (active) {
        next->active = take(b, next->n_targets); /* the first target is the lowest bit */
    }
    out->targets = structure || active;
    t = b->bad ? NULL : template_of(next, id);
    if (t == NULL) {
        return -EBADMSG;
    }
    out->spatial = t->spatial;
    out->temporal = t->temporal;
    out->present = t->present;
    out->sync = t->sync;
    if (custom) {
        take_custom(b, next, out);
    } else if (!out->begin && next->has_frame && next->frame == out->frame) {
        out->present = next->present;
        out->sync = next->sync;
    }
    if (b->bad) {
        return -EBADMSG;
    }
    next->has_frame = true;
    next->frame = out->frame;
    next->present = out->present;
    next->sync = out->sync;
    return 0;
}

/* shift  4: of their spatial layers, 0: of the temporal ones */
static uint8_t top_of_active(const struct layer_dd *dd, unsigned shift)
{
    uint8_t top = 0;

    for (uint8_t k = 0; k < dd->n_targets; k++) {
        const uint8_t layer = dd->own[k] >> shift & 15;

        if ((dd->active >> k & 1) != 0 && layer > top) {
            top = layer;
        }
    }
    return top;
}

uint8_t layer_dd_top_spatial(const struct layer_dd *dd)
{
    return top_of_active(dd, 4);
}

uint8_t layer_dd_top_temporal(const struct layer_dd *dd)
{
    return top_of_active(dd, 0);
}

int layer_dd_parse(struct layer_dd *dd, const uint8_t *data, size_t len,
                   struct layer_dd_info *out)
{
    struct bits b = {.data = data, .n = 8 * len};
    struct layer_dd next;
    int err = parse(dd, &next, &b, out);

    if (err == 0 && out->structure) {
        *dd = next;
    } else if (err == 0) {
        dd->active = next.active;
        dd->has_frame = true;
        dd->frame = next.frame;
        dd->present = next.present;
        dd->sync = next.sync;
    }
    return err;
}

/* ---- writing ---- */

static void copy_bits(struct bits *from, size_t until, struct out_bits *to)
{
    while (from->at < until && !to->bad) {
        put(to, take(from, 1), 1);
    }
}

size_t layer_dd_write(const uint8_t *data, size_t len, uint16_t frame, uint16_t mask,
                      uint8_t *out, size_t cap)
{
    struct bits b = {.data = data, .n = 8 * len};
    struct bits rest;
    struct out_bits to = {.data = out, .n = 8 * cap};
    struct layer_dd dd;
    bool active;

    put(&to, take(&b, 8), 8);
    (void)take(&b, 16);
    put(&to, frame, 16);
    if (b.bad || to.bad) {
        return 0;
    }
    if (len == MANDATORY) {
        return MANDATORY;
    }
    if (take(&b, 1) == 0) { /* no structure: the rest as it is */
        if (cap < len) {
            return 0;
        }
        memcpy(out + MANDATORY, data + MANDATORY, len - MANDATORY);
        return len;
    }
    active = take(&b, 1) != 0;
    put(&to, 3, 2);
    rest = b;
    (void)take(&b, FLAGS - 2);
    take_structure(&b, &dd);
    copy_bits(&rest, b.at, &to);
    if (active) {
        dd.active = take(&b, dd.n_targets);
    }
    for (uint8_t k = dd.n_targets; k-- > 0;) { /* the first target is the lowest bit */
        put(&to, (mask & dd.target[k]) != 0 && (dd.active >> k & 1) != 0, 1);
    }
    if (b.bad || to.bad) {
        return 0;
    }
    copy_bits(&b, b.n, &to);
    return to.bad ? 0 : (to.at + 7) / 8;
}
