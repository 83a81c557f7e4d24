/* Sends again what subscribers have asked for: takes the lane's list of missed packets
 * (rtcp_in), finds each in its stream's ring, and makes a retransmission of it under the
 * subscription's own repair SSRC, with an index and a transport-wide number of its own. So
 * nothing is ever encrypted twice under one index, whatever has changed in the packet.
 *
 * Audio, which has no retransmissions (sub->repeats), is sent again under its own index,
 * bit by bit as it was: the same plaintext, header and key give the same packet, from which
 * nobody learns more than from the first. What it is written from cannot have changed: a
 * number of the publisher's is in the ring once (core/seen), as core/rtxindex knows it, and
 * after a crash, when neither is there, nothing is found. */
#ifndef KCS_STAGE_RESEND_H
#define KCS_STAGE_RESEND_H

#include "lane/lane.h"

/* 'in' is not used. Fills the empty 'out' with up to PKT_BURST finished frames. What has
 * left its ring is passed over and counted at its subscription (nacks_ignored). Returns how
 * many; call again while lane_resends() says that there are more. RFC 4588; RFC 3711. */
uint16_t resend_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
