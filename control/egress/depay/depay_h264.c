/* H264 (RFC 6184): single NAL units, STAP-A and FU-A, which is what browsers send in
 * packetization mode 1. NAL units get start codes. */
#include <string.h>

#include "egress/depay/depay.h"
#include "sfu/base/bytes.h"

enum { IDR = 5, SEI = 6, SPS = 7, PPS = 8, AUD = 9, STAP_A = 24, FU_A = 28 };

static const uint8_t START[4] = {0, 0, 0, 1};

static void keep_set(uint8_t set[DEPAY_SETS], size_t *set_len, const uint8_t *nal,
                     size_t len)
{
    if (len + sizeof(START) <= DEPAY_SETS) {
        memcpy(set, START, sizeof(START));
        memcpy(set + sizeof(START), nal, len);
        *set_len = sizeof(START) + len;
    }
}

static void add_nal(struct depay *depay, const uint8_t *nal, size_t len)
{
    switch (nal[0] & 31) {
    case IDR:
        depay->key = true;
        break;
    case SPS:
        keep_set(depay->sps, &depay->sps_len, nal, len);
        depay->pps_len = 0; /* those of the sets before it */
        break;
    case PPS:
        keep_set(depay->pps, &depay->pps_len, nal, len);
        break;
    default:
        break;
    }
    depay_add(depay, START, sizeof(START));
    depay_add(depay, nal, len);
}

static void add_several(struct depay *depay, const uint8_t *p, size_t len)
{
    struct rbytes r = rbytes_of(p, len);

    while (rbytes_left(&r) > 0) {
        uint16_t n = rbytes_be16(&r);
        const uint8_t *nal = rbytes_take(&r, n);

        if (nal == NULL || n == 0) {
            depay->bad = true;
            return;
        }
        add_nal(depay, nal, n);
    }
}

static void add_fragment(struct depay *depay, const uint8_t *p, size_t len)
{
    bool first = len > 1 && (p[1] & 0x80) != 0;

    if (len < 3 || first == depay->in_part) {
        depay->bad = true;
        return;
    }
    if (first) {
        uint8_t header = (uint8_t)((p[0] & 0xe0) | (p[1] & 31));

        depay->key = depay->key || (header & 31) == IDR;
        depay_add(depay, START, sizeof(START));
        depay_add(depay, &header, 1);
    }
    depay_add(depay, p + 2, len - 2);
    depay->in_part = (p[1] & 0x40) == 0;
}

bool depay_h264_begins(const uint8_t *p)
{
    uint8_t type = p[0] & 31;

    return type == STAP_A || type == SPS || type == AUD || type == SEI;
}

void depay_h264(struct depay *depay, const uint8_t *p, size_t len)
{
    uint8_t type = p[0] & 31;

    if (type == FU_A) {
        add_fragment(depay, p, len);
    } else if (depay->in_part || type == 0 || type > STAP_A) {
        depay->bad = true;
    } else if (type == STAP_A) {
        add_several(depay, p + 1, len - 1);
    } else {
        add_nal(depay, p, len);
    }
}
