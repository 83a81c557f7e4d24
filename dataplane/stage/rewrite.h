/* Writes each egress packet's headers as its subscriber expects them: outer headers from
 * the peer's template; SSRC, payload type, sequence number; MID, send time, transport-wide
 * number; and the publisher's extensions that were negotiated. The payload stays in the
 * ring until protect reads it. */
#ifndef KCS_STAGE_REWRITE_H
#define KCS_STAGE_REWRITE_H

#include "lane/lane.h"

/* Moves every packet of 'in' to the empty 'out', or drops it: overrun.
 * Sets index, hdr_len, payload, payload_len, device, to and the final len.
 * Returns how many were moved. RFC 3550, 5.1; RFC 8285. */
uint16_t rewrite_burst(struct lane *lane, const struct burst *in, struct burst *out);

/* Makes the template of a subscription's RTP headers, and what is forwarded to it. Its SSRC is
 * set. 'ids' are the subscriber's of each extension (pkt/ext.h), 0 not negotiated; 'mid' has at
 * most 16 bytes. Thread: the lane of the subscriber. */
void rewrite_prepare(struct sub *sub, const uint8_t ids[SUB_EXTS], const uint8_t *mid,
                     uint8_t mid_len);

/* Writes the extension block of a packet ('sub', 'layered' and what goes with it are set)
 * at 'p': the subscription's own elements with a transport-wide number of its own, and of
 * the slot's ('ext') those that were negotiated. Audio without such a number was sent when
 * it came, whatever 'send_time' says: nothing that is written depends on when. Returns its
 * end, 'p' itself if there is nothing. */
uint8_t *rewrite_exts(uint32_t send_time, const struct pkt *pkt,
                      const struct ring_slot *slot, const uint8_t *ext, uint8_t *p);

#endif
