/* Takes decrypted packets into the rings of their streams: what the publisher sent becomes
 * what any number of subscribers can read. Here the receiver's statistics, the
 * transport-wide arrival times and key frames are noted, and the extensions that travel on
 * are translated to the router's ids, once. */
#ifndef KCS_STAGE_INGEST_H
#define KCS_STAGE_INGEST_H

#include "lane/lane.h"

/* Moves every packet of 'in' to the empty 'out' after copying it into its ring, or drops
 * it: unbound_ssrc, rtx, paused, payload_type, padding, rtp_malformed, silent,
 * not_loudest, too_long. Returns how many were moved. */
uint16_t ingest_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
