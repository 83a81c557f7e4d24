/* RTCP from peers: authenticated, parsed, and fed to what it is about. Sender reports of
 * publishers anchor the clock of their streams; receiver reports, NACK, REMB and
 * transport-cc of subscribers are noted; PLI and FIR become requests to the publisher
 * (merged and limited in core/keyframe). */
#ifndef KCS_RTCP_RTCP_IN_H
#define KCS_RTCP_RTCP_IN_H

#include "lane/lane.h"

/* Consumes every packet of 'in': counted as rtcp, or dropped (auth, replay, ssrc_limit,
 * rtcp_malformed; of a malformed compound nothing is used). RFC 3550, 6; RFC 4585. */
void rtcp_in_burst(struct lane *lane, const struct burst *in);

#endif
