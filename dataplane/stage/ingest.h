/* Takes decrypted packets into the rings of their streams: what the publisher sent becomes
 * what any number of subscribers can read. Here the receiver's statistics, the
 * transport-wide arrival times, key frames and holes are noted, retransmissions become what
 * they repeat, and the extensions that travel on are translated to the router's ids, once.
 */
#ifndef KCS_STAGE_INGEST_H
#define KCS_STAGE_INGEST_H

#include "lane/lane.h"

/* Moves every packet of 'in' to the empty 'out' after copying it into its ring, or drops
 * it: unbound_ssrc, rtx, duplicate, paused, payload_type, padding, rtp_malformed, too_long.
 * No number of a stream is moved twice. Returns how many were moved. RFC 4588. */
uint16_t ingest_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
