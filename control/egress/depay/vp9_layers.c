#include "egress/depay/vp9_layers.h"

#include <string.h>

#include "egress/depay/bits.h"

enum { INDEX = 2 + 4 * VP9_LAYERS }; /* bytes of a superframe's index, at most */

/* As much of an uncompressed header as is needed to hide its frame. */
struct header {
    bool again; /* an old frame is shown once more; it has no more than that */
    bool key, shown;
    uint8_t refresh; /* references that it takes the place of */
    struct vp9_size size;
    size_t show_at, len; /* bits: where show_frame is, and how many there are of it all */
};

void vp9_layers_begin(struct vp9_layers *layers)
{
    layers->n = 0;
    layers->at[0] = 0;
    layers->full = false;
}

bool vp9_layers_are(struct vp9_layers *layers, uint8_t sid, bool begins)
{
    const bool next = layers->n == 0 || sid > layers->sid;

    if (layers->full || (begins && !next) || (!begins && sid != layers->sid)) {
        return false;
    }
    layers->sid = sid;
    return true;
}

void vp9_layers_end(struct vp9_layers *layers, size_t at)
{
    layers->at[++layers->n] = at;
    layers->full = layers->n == VP9_LAYERS;
}

/* ---- headers (6.2) ---- */

static struct vp9_size read_size(struct bits *b)
{
    const uint32_t width = bits_take(b, 16) + 1;
    const uint32_t height = bits_take(b, 16) + 1;

    b->bad = b->bad || width > UINT16_MAX || height > UINT16_MAX;
    return (struct vp9_size){(uint16_t)width, (uint16_t)height};
}

static void skip_render_size(struct bits *b)
{
    if (bits_take(b, 1) != 0) {
        bits_skip(b, 32);
    }
}

static void skip_sync_code(struct bits *b)
{
    b->bad = bits_take(b, 24) != 0x498342 || b->bad;
}

static void read_intra(struct bits *b, struct header *h)
{
    skip_sync_code(b);
    if (h->key) {
        b->bad = bits_take(b, 3) == 7 || b->bad; /* RGB, which profile 0 has not */
        bits_skip(b, 1);
        h->refresh = 0xff;
    } else {
        h->refresh = (uint8_t)bits_take(b, 8);
    }
    h->size = read_size(b);
    skip_render_size(b);
}

static void read_inter(struct bits *b, const struct vp9_size refs[VP9_REFS],
                       struct header *h)
{
    uint32_t ref[3];
    bool found = false;

    h->refresh = (uint8_t)bits_take(b, 8);
    for (unsigned i = 0; i < 3; i++) {
        ref[i] = bits_take(b, 3);
        bits_skip(b, 1); /* sign */
    }
    for (unsigned i = 0; i < 3 && !found; i++) {
        found = bits_take(b, 1) != 0;
        h->size = found ? refs[ref[i]] : h->size;
    }
    if (!found) {
        h->size = read_size(b);
    }
    skip_render_size(b);
    bits_skip(b, 1); /* high precision of vectors */
    if (bits_take(b, 1) == 0) {
        bits_skip(b, 2); /* filter */
    }
}

static void skip_loop_filter(struct bits *b)
{
    bits_skip(b, 6 + 3);
    if (bits_take(b, 1) == 0) {
        return;
    }
    if (bits_take(b, 1) != 0) {
        for (unsigned i = 0; i < 4 + 2; i++) {
            bits_skip_if(b, 7);
        }
    }
}

static void skip_quantization(struct bits *b)
{
    bits_skip(b, 8);
    for (unsigned i = 0; i < 3; i++) {
        bits_skip_if(b, 5);
    }
}

static void skip_segmentation(struct bits *b)
{
    static const uint8_t feature_bits[4] = {8 + 1, 6 + 1, 2, 0};

    if (bits_take(b, 1) == 0) {
        return;
    }
    if (bits_take(b, 1) != 0) { /* map */
        for (unsigned i = 0; i < 7; i++) {
            bits_skip_if(b, 8);
        }
        if (bits_take(b, 1) != 0) {
            for (unsigned i = 0; i < 3; i++) {
                bits_skip_if(b, 8);
            }
        }
    }
    if (bits_take(b, 1) != 0) { /* data */
        bits_skip(b, 1);
        for (unsigned i = 0; i < 8 * 4; i++) {
            bits_skip_if(b, feature_bits[i % 4]);
        }
    }
}

static void skip_tiles(struct bits *b, uint16_t width)
{
    const unsigned columns = (width + 63u) / 64;
    unsigned least = 0, most = 1;

    while ((64u << least) < columns) {
        least++;
    }
    while (columns >> most >= 4) {
        most++;
    }
    for (most--; least < most && bits_take(b, 1) != 0; least++) {
    }
    bits_skip_if(b, 1); /* rows */
}

static bool read_header(const uint8_t *frame, size_t len,
                        const struct vp9_size refs[VP9_REFS], struct header *h)
{
    struct bits b = {frame, len, 0, false};
    bool resilient;
    bool intra;

    *h = (struct header){.again = false};
    if (bits_take(&b, 4) != 0x8) { /* the marker, and profile 0, which clients send */
        return false;
    }
    h->again = bits_take(&b, 1) != 0;
    if (h->again) {
        return !b.bad;
    }
    h->key = bits_take(&b, 1) == 0;
    h->show_at = b.at;
    h->shown = bits_take(&b, 1) != 0;
    resilient = bits_take(&b, 1) != 0;
    intra = h->key || (!h->shown && bits_take(&b, 1) != 0);
    if (!h->key && !resilient) {
        bits_skip(&b, 2); /* contexts are reset */
    }
    if (intra) {
        read_intra(&b, h);
    } else {
        read_inter(&b, refs, h);
    }
    bits_skip(&b, (resilient ? 0 : 2) + 2); /* contexts */
    skip_loop_filter(&b);
    skip_quantization(&b);
    skip_segmentation(&b);
    skip_tiles(&b, h->size.width);
    bits_skip(&b, 16); /* how long the compressed header is */
    h->len = b.at;
    return !b.bad && h->size.width != 0;
}

/* ---- pictures ---- */

static void note_refs(struct vp9_layers *layers, const struct header *h)
{
    for (unsigned i = 0; i < VP9_REFS; i++) {
        if ((h->refresh >> i & 1) != 0) {
            layers->refs[i] = h->size;
        }
    }
    layers->size = h->again ? layers->size : h->size;
}

/* Puts a 0 before bit 'at' of a header of 'bits'. Returns by how many bytes that makes it
 * longer; there is room for one. 'len': of the header and all behind it. */
static size_t insert_zero(uint8_t *p, size_t len, size_t at, size_t bits)
{
    const size_t bytes = (bits + 7) / 8;
    const size_t more = bits % 8 == 0; /* else there was room behind it */
    const uint8_t stay = (uint8_t)(0xff00u >> at % 8);
    unsigned carry;

    if (more != 0) {
        memmove(p + bytes + 1, p + bytes, len - bytes);
        p[bytes] = 0;
    }
    carry = p[at / 8] & 1u;
    p[at / 8] = (uint8_t)((p[at / 8] & stay) | (p[at / 8] & (0xffu ^ stay)) >> 1);
    for (size_t i = at / 8 + 1; i < bytes + more; i++) {
        const unsigned next = p[i] & 1u;

        p[i] = (uint8_t)(carry << 7 | p[i] >> 1);
        carry = next;
    }
    return more;
}

/* Of a frame that is not shown the header also says whether it is predicted from nothing;
 * else it decodes as before, also what follows: vectors of the frame before are of use to
 * one of the same size alone, which layers have not. */
static size_t hide(uint8_t *p, size_t len, const struct header *h)
{
    p[h->show_at / 8] &= (uint8_t)~(0x80u >> h->show_at % 8);
    return h->key ? 0 : insert_zero(p, len, h->show_at + 2, h->len);
}

static size_t write_index(uint8_t *p, const uint32_t *sizes, unsigned n)
{
    const uint8_t marker = (uint8_t)(0xc0 | 3 << 3 | (n - 1)); /* sizes of four bytes */

    p[0] = p[1 + 4 * n] = marker;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < 4; k++) {
            p[1 + 4 * i + k] = (uint8_t)(sizes[i] >> 8 * k);
        }
    }
    return 2 + 4 * (size_t)n;
}

size_t vp9_layers_join(struct vp9_layers *layers, uint8_t *frame, size_t cap)
{
    size_t len = layers->at[layers->n], from = 0;
    uint32_t sizes[VP9_LAYERS];
    unsigned n = 0;
    struct header h;

    if (layers->n > 1 && len + VP9_LAYERS + INDEX > cap) {
        return 0;
    }
    for (unsigned i = 0; i < layers->n; i++) {
        size_t own = layers->at[i + 1] - layers->at[i];
        size_t grown = 0;

        if (!read_header(frame + from, own, layers->refs, &h)) {
            if (layers->n > 1) {
                return 0;
            }
            memset(layers->refs, 0, sizeof(layers->refs)); /* as far as we know */
            layers->size = (struct vp9_size){0, 0};
            return len;
        }
        note_refs(layers, &h);
        if (i + 1 < layers->n && h.again) { /* nobody would miss it */
            memmove(frame + from, frame + from + own, len - from - own);
            len -= own;
            continue;
        }
        if (i + 1 < layers->n && h.shown) {
            grown = hide(frame + from, len - from, &h);
        }
        sizes[n++] = (uint32_t)(own + grown);
        from += own + grown;
        len += grown;
    }
    return n > 1 ? len + write_index(frame + len, sizes, n) : len;
}
