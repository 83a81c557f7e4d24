/* Tells each lane that has subscribers of a stream that its ring has grown: one word a lane
 * and burst, however many packets or subscribers. Ends the ingress packets. */
#ifndef KCS_STAGE_SPREAD_H
#define KCS_STAGE_SPREAD_H

#include "lane/lane.h"

/* Consumes 'in' (counted as ingested); nothing comes out here: 'out' stays empty, route
 * reads the rings. Returns 0. */
uint16_t spread_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
