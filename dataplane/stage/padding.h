/* The padding of probes (core/bwe_probe): packets that mean nothing, sent so that a cluster
 * keeps its rate where media does not suffice. mediasoup-client takes them under an SSRC of
 * their own, 1234 with payload type 127; others as padding of a retransmission stream
 * (RFC 4588, RFC 3550, 5.1).
 *
 * Thread: the lane. */
#ifndef KCS_STAGE_PADDING_H
#define KCS_STAGE_PADDING_H

#include "lane/lane.h"

enum { PADDING_SSRC = 1234, PADDING_PT = 127 };

/* Whether probes of 'peer' can be padded at all. */
bool padding_is_possible(const struct peer *peer);

/* Fills the empty 'out' with finished packets for the peers of the lane's list whose probe
 * needs them now; drops from the list those whose probe is over. Returns how many; the rest
 * is made up for at the next call. 'in' is unused. */
uint16_t padding_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
