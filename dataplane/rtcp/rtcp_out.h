/* RTCP that we send, by timer: a sweep over the open peers every few milliseconds. To
 * publishers: receiver reports, transport-cc feedback, NACKs, key frame requests. To subscribers:
 * a sender report and SDES for each subscription that is sent. And it notices peers that no
 * longer consent (RFC 7675). */
#ifndef KCS_RTCP_RTCP_OUT_H
#define KCS_RTCP_RTCP_OUT_H

#include "lane/lane.h"

enum {
    RTCP_SWEEP_US = 20000,      /* every peer is looked at this often */
    RTCP_REPORT_US = 1000000,   /* SR and RR of a peer */
    RTCP_CONSENT_US = 30000000, /* RFC 7675, 5.1 */
    RTCP_OUR_SSRC = 1           /* sender of feedback where we send no media */
};

/* Fills the empty 'out' with up to PKT_BURST finished frames that are due at lane->now_us.
 * Returns how many; call again while it is PKT_BURST. Bounded work a call. */
uint16_t rtcp_out_burst(struct lane *lane, struct burst *out);

/* When rtcp_out_burst() next has something to look at. */
uint64_t rtcp_out_deadline(const struct lane *lane);

#endif
