/* VP9 (RFC 9628): of spatial layers all that come, as one superframe (vp9_layers.h). */
#include "egress/depay/bits.h"
#include "egress/depay/depay.h"
#include "sfu/base/bytes.h"

enum { I = 0x80, P = 0x40, L = 0x20, F = 0x10, B = 0x08, E = 0x04, V = 0x02 };

static void skip_scalability(struct rbytes *r)
{
    uint8_t s = rbytes_u8(r);

    if ((s & 0x10) != 0) { /* Y: sizes */
        (void)rbytes_take(r, 4u * (size_t)((s >> 5) + 1));
    }
    if ((s & 0x08) != 0) { /* G: pictures */
        uint8_t n = rbytes_u8(r);

        for (uint8_t i = 0; i < n; i++) {
            (void)rbytes_take(r, rbytes_u8(r) >> 2 & 3);
        }
    }
}

void depay_vp9(struct depay *depay, const uint8_t *p, size_t len)
{
    struct rbytes r = rbytes_of(p, len);
    uint8_t bits = rbytes_u8(&r);
    uint8_t sid = 0;
    bool begins;

    if ((bits & I) != 0 && (rbytes_u8(&r) & 0x80) != 0) {
        (void)rbytes_u8(&r);
    }
    if ((bits & L) != 0) {
        sid = rbytes_u8(&r) >> 1 & 7;
        if ((bits & F) == 0) {
            (void)rbytes_u8(&r); /* TL0PICIDX */
        }
    }
    if ((bits & (F | P)) == (F | P)) {
        for (unsigned i = 0; i < 3 && (rbytes_u8(&r) & 1) != 0; i++) {
        }
    }
    if ((bits & V) != 0) {
        skip_scalability(&r);
    }
    begins = depay->len == depay->layers.at[depay->layers.n];
    if (r.bad || rbytes_left(&r) == 0 || ((bits & B) != 0) != begins ||
        !vp9_layers_are(&depay->layers, sid, begins)) {
        depay->bad = true;
        return;
    }
    depay_add(depay, r.p, rbytes_left(&r));
    if ((bits & E) != 0) {
        vp9_layers_end(&depay->layers, depay->len);
        depay->ended = (bits & L) == 0; /* else the picture may have more of them */
    }
}

/* VP9 bitstream specification, 6.2 */
bool depay_vp9_key(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height)
{
    struct bits b = {frame, len, 0, false};
    uint32_t profile, space;

    if (bits_take(&b, 2) != 2) {
        return false;
    }
    profile = bits_take(&b, 1);
    profile |= bits_take(&b, 1) << 1;
    if (profile == 3) {
        (void)bits_take(&b, 1);
    }
    if (bits_take(&b, 2) != 0) { /* an old one shown again; not a key frame */
        return false;
    }
    (void)bits_take(&b, 2); /* shown; error resilient */
    if (bits_take(&b, 24) != 0x498342) {
        return false;
    }
    if (profile >= 2) {
        (void)bits_take(&b, 1);
    }
    space = bits_take(&b, 3);
    if (space != 7) {
        (void)bits_take(&b, profile & 1 ? 4 : 1);
    } else if ((profile & 1) != 0) {
        (void)bits_take(&b, 1);
    }
    *width = (uint16_t)(bits_take(&b, 16) + 1);
    *height = (uint16_t)(bits_take(&b, 16) + 1);
    return !b.bad && *width != 0;
}
