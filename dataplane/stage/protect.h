/* Encrypts egress packets straight from the ring's slots into the frames, each under its
 * subscriber's key. The outgoing index is noted in the vault before it is used. Encryption
 * leaves memory idle: meanwhile it loads what route and rewrite will touch of those whom
 * route visits next. */
#ifndef KCS_STAGE_PROTECT_H
#define KCS_STAGE_PROTECT_H

#include "lane/lane.h"

/* Moves every packet of 'in' to the empty 'out', a finished frame each, or drops it:
 * index_used (it came late, and its index is not known to be free), protect, overrun (the
 * ring's writer overtook it meanwhile; its index is not used again).
 * Returns how many were moved. RFC 3711, RFC 7714. */
uint16_t protect_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
