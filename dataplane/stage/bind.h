/* Which stream an authenticated SSRC belongs to: announced by number, or told by the MID,
 * RID and repaired RID of its first packets. Used by unprotect. */
#ifndef KCS_STAGE_BIND_H
#define KCS_STAGE_BIND_H

#include "lane/lane.h"

/* Finds the stream of 'pkt' (authenticated, header fields set) among those of its peer,
 * notes it in the peer's place 'slot' and on the stream, and tells control of a stream's
 * first packet. Leaves the place empty if there is none: the next packet tries again. A
 * stream has one SSRC (and one of its repair) for life: others with its labels are of no
 * stream. RFC 8843, 9.2 (MID), RFC 8852 (RID, repaired RID). */
void bind_ssrc(struct lane *lane, const struct pkt *pkt, uint32_t slot);

#endif
