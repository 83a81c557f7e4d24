/* VP8 (RFC 7741) and the header of its frames (RFC 6386, 9.1). */
#include "egress/depay/depay.h"

void depay_vp8(struct depay *depay, const uint8_t *p, size_t len)
{
    bool start = (p[0] & 0x10) != 0 && (p[0] & 7) == 0;
    size_t at = 1;

    if ((p[0] & 0x80) != 0) {
        uint8_t x = len > 1 ? p[1] : 0;

        at = 2;
        if ((x & 0x80) != 0) {
            at += at < len && (p[at] & 0x80) != 0 ? 2 : 1;
        }
        at += (x & 0x40) != 0;
        at += (x & 0x30) != 0;
    }
    if (at >= len || start != (depay->len == 0)) {
        depay->bad = true;
        return;
    }
    depay_add(depay, p + at, len - at);
}

bool depay_vp8_key(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height)
{
    if (len < 10 || (frame[0] & 1) != 0 || frame[3] != 0x9d || frame[4] != 0x01 ||
        frame[5] != 0x2a) {
        return false;
    }
    *width = (uint16_t)((frame[6] | frame[7] << 8) & 0x3fff);
    *height = (uint16_t)((frame[8] | frame[9] << 8) & 0x3fff);
    return *width != 0 && *height != 0;
}
