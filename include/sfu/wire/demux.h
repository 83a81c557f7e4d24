/* Tells what a datagram on the shared media port is, from its first two bytes, before
 * anything is parsed: STUN, DTLS, RTP and RTCP share one 5-tuple (BUNDLE, rtcp-mux).
 *
 * Pure, header-only. RFC 7983 (first byte), RFC 5761, section 4 (RTP against RTCP). */
#ifndef SFU_WIRE_DEMUX_H
#define SFU_WIRE_DEMUX_H

#include <stddef.h>
#include <stdint.h>

enum demux_kind { DEMUX_UNKNOWN, DEMUX_STUN, DEMUX_DTLS, DEMUX_RTP, DEMUX_RTCP };

/* The least that can be a message of each kind; anything shorter is DEMUX_UNKNOWN. */
enum {
    DEMUX_STUN_MIN = 20, /* header */
    DEMUX_DTLS_MIN = 13, /* record header */
    DEMUX_RTP_MIN = 12,  /* fixed header */
    DEMUX_RTCP_MIN = 8   /* header and SSRC */
};

/* Classifies 'len' bytes of 'data' (borrowed). Says only where to parse: the parser still
 * checks everything else. */
static inline enum demux_kind demux_of(const uint8_t *data, size_t len)
{
    if (len < DEMUX_RTCP_MIN) {
        return DEMUX_UNKNOWN;
    }
    if (data[0] >= 128 && data[0] <= 191) {
        if (data[1] >= 192 && data[1] <= 223) {
            return DEMUX_RTCP;
        }
        return len >= DEMUX_RTP_MIN ? DEMUX_RTP : DEMUX_UNKNOWN;
    }
    if (data[0] <= 3) {
        return len >= DEMUX_STUN_MIN ? DEMUX_STUN : DEMUX_UNKNOWN;
    }
    if (data[0] >= 20 && data[0] <= 63) {
        return len >= DEMUX_DTLS_MIN ? DEMUX_DTLS : DEMUX_UNKNOWN;
    }
    return DEMUX_UNKNOWN;
}

#endif
