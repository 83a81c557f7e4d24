/* First stage: what each datagram is and whose. Sorts a burst into the ways it can go. */
#ifndef KCS_STAGE_CLASSIFY_H
#define KCS_STAGE_CLASSIFY_H

#include "lane/lane.h"

struct classified {
    struct burst media;   /* SRTP of a peer with keys; header parsed: ssrc, seq, hdr_len */
    struct burst rtcp;    /* SRTCP of a peer with keys */
    struct burst consent; /* STUN on the peer's selected path */
    struct burst punt;    /* other STUN, and DTLS from validated paths */
    struct burst away;    /* of peers that are another lane's, or are moving here */
};

/* Moves every packet of 'in' to one burst of 'out' (emptied first), or drops it: empty,
 * too_long, unknown_kind, no_peer, no_keys, rtp_malformed. Sets kind, peer.
 * Returns how many were moved. RFC 7983; media and DTLS are taken only from paths that ICE
 * has validated (RFC 8445, 12). With several lanes 'handed' of each packet must be set. */
uint16_t classify_burst(struct lane *lane, const struct burst *in, struct classified *out);

#endif
