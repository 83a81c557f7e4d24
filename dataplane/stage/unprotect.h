/* Authenticates and decrypts the media of a burst, and finds out whose SSRC each is. */
#ifndef KCS_STAGE_UNPROTECT_H
#define KCS_STAGE_UNPROTECT_H

#include "lane/lane.h"

/* Moves every packet of 'in' to the empty 'out' with index, payload (plaintext in the
 * lane's scratch, valid until the next call), payload_len, stream and rtx set, or drops it:
 * auth, replay, ssrc_limit. stream is NULL for an authenticated SSRC of no stream. Returns
 * how many were moved. RFC 3711, 3.3. */
uint16_t unprotect_burst(struct lane *lane, const struct burst *in, struct burst *out);

#endif
