/* What the lane does not decide goes to control: STUN that is not a consent check, and DTLS
 * of validated paths. STUN of unknown sources is limited, and each group of names has a share
 * of its own, so that a flood cannot crowd out those who are being let in. */
#ifndef KCS_STAGE_PUNT_H
#define KCS_STAGE_PUNT_H

#include "lane/lane.h"

/* Moves packets of 'in' to the empty 'out', for worker/ to hand over, or drops them:
 * stun_malformed (not even a header, or no check of ours could look so), punt_rate.
 * Returns how many were moved. */
uint16_t punt_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
