/* Answers ICE checks on a peer's selected path in the lane, so that consent (RFC 7675) goes
 * on while control is away. Anything that could move the peer is left to control: checks on
 * other paths are punted by classify. A check that was answered before is answered again,
 * as its answer may have been lost, but is no consent: anybody may have sent it. */
#ifndef KCS_STAGE_CONSENT_H
#define KCS_STAGE_CONSENT_H

#include "lane/lane.h"

/* Consumes every packet of 'in': counted as consent, dropped (stun_malformed,
 * stun_integrity, no_buffer), or moved to 'others' (room for in->n more): checks by
 * credentials that are not the peer's here. After an ICE restart they may be control's to
 * judge; they go there as those of unknown sources do, at a bounded rate. 'out' (empty,
 * room for in->n) gets the answers, complete frames. Returns how many answers. RFC
 * 8445, 7.3; RFC 8489, 9.1. */
uint16_t consent_burst(struct lane *lane, const struct burst *in, struct burst *out,
                       struct burst *others);

#endif
