/* AV1 (AV1 RTP payload specification, 4.4): OBUs, several in a packet or one in several.
 * They get back the size that they lose on the way (AV1 bitstream specification, 5.3). */
#include <string.h>

#include "egress/depay/depay.h"
#include "sfu/base/bytes.h"

enum { Z = 0x80, Y = 0x40 };
enum { OBU_SEQUENCE = 1, OBU_DELIMITER = 2, OBU_TILE_LIST = 8, OBU_PADDING = 15 };
enum { OBU_EXTENSION = 4, OBU_HAS_SIZE = 2 };

/* LEB128 (4.10.5). */
static size_t read_size(struct rbytes *r)
{
    size_t value = 0;

    for (unsigned i = 0; i < 5; i++) {
        uint8_t byte = rbytes_u8(r);

        value |= (size_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    r->bad = true;
    return 0;
}

static size_t write_size(uint8_t out[5], size_t value)
{
    size_t n = 0;

    do {
        out[n] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value != 0);
    return n;
}

/* Adds one whole OBU. */
static void add_obu(struct depay *depay, const uint8_t *obu, size_t len)
{
    size_t header = len > 0 && (obu[0] & OBU_EXTENSION) != 0 ? 2 : 1;
    uint8_t type = len > 0 ? obu[0] >> 3 & 15 : 0;
    size_t from = depay->len;
    uint8_t first, size[5];
    size_t body_at = header;

    if (len < header || (obu[0] & 0x80) != 0) {
        depay->bad = true;
        return;
    }
    if (type == OBU_DELIMITER || type == OBU_TILE_LIST || type == OBU_PADDING) {
        return;
    }
    if ((obu[0] & OBU_HAS_SIZE) != 0) { /* it should not, but some do */
        struct rbytes r = rbytes_of(obu + header, len - header);
        size_t told = read_size(&r);

        if (r.bad || told != rbytes_left(&r)) {
            depay->bad = true;
            return;
        }
        body_at = len - told;
    }
    first = obu[0] | OBU_HAS_SIZE;
    depay_add(depay, &first, 1);
    depay_add(depay, obu + 1, header - 1);
    depay_add(depay, size, write_size(size, len - body_at));
    depay_add(depay, obu + body_at, len - body_at);
    if (type == OBU_SEQUENCE && !depay->bad && depay->len - from <= DEPAY_SETS) {
        depay->sps_len = depay->len - from;
        memcpy(depay->sps, depay->buffers->frame + from, depay->sps_len);
        depay->key = true;
    }
}

/* An element: an OBU or a piece of one. */
static void add_element(struct depay *depay, const uint8_t *p, size_t len, bool goes_on,
                        bool more)
{
    if (!goes_on && !more) {
        add_obu(depay, p, len);
        return;
    }
    if (!goes_on) {
        depay->part_len = 0;
    }
    if (len > DEPAY_FRAME - depay->part_len) {
        depay->bad = true;
        return;
    }
    memcpy(depay->buffers->part + depay->part_len, p, len);
    depay->part_len += len;
    depay->in_part = more;
    if (!more) {
        add_obu(depay, depay->buffers->part, depay->part_len);
    }
}

void depay_av1(struct depay *depay, const uint8_t *p, size_t len)
{
    struct rbytes r = rbytes_of(p, len);
    uint8_t head = rbytes_u8(&r);
    unsigned count = head >> 4 & 3;
    bool first = true;

    if (((head & Z) != 0) != depay->in_part) {
        depay->bad = true; /* also a frame whose first packet is missing */
        depay->in_part = false;
        return;
    }
    for (unsigned i = 1; rbytes_left(&r) > 0 && !depay->bad; i++) {
        bool last = count != 0 && i == count;
        size_t n = last ? rbytes_left(&r) : read_size(&r);
        const uint8_t *element = rbytes_take(&r, n);

        if (element == NULL || (count != 0 && i > count)) {
            depay->bad = true;
            return;
        }
        add_element(depay, element, n, first && (head & Z) != 0,
                    rbytes_left(&r) == 0 && (head & Y) != 0);
        first = false;
    }
}
