/* Copies of one peer's packets for whoever watches it: as on the wire, or without the
 * protection of SRTP. Each function is called only for a peer that is watched, where the
 * stages come across the bytes anyway:
 *
 *   capture_arrival    classify, before anything can drop the packet
 *   capture_opened     unprotect and rtcp_in, of what is authentic and new
 *   capture_report     rtcp_out, before it is encrypted
 *   capture_departure  the pipeline, as the frame goes to its device
 *
 * Nothing waits: what the taker has no room for is counted as missed. Thread: the lane. */
#ifndef KCS_LANE_CAPTURE_H
#define KCS_LANE_CAPTURE_H

#include "lane/lane.h"

enum capture { CAPTURE_OFF, CAPTURE_WIRE, CAPTURE_PLAIN };

/* What lane->capture takes; all is borrowed. It returns false if there is no room. */
struct captured {
    const struct peer *peer;
    const struct path *path;
    bool out, plain;
    uint16_t head_len, body_len;
    const uint8_t *head, *body; /* the bytes, in two parts */
};

void capture_arrival(struct lane *lane, const struct pkt *pkt);
void capture_opened(struct lane *lane, const struct pkt *pkt, const uint8_t *head,
                    uint16_t head_len, const uint8_t *body, uint16_t body_len);
void capture_report(struct lane *lane, const struct peer *peer, const uint8_t *plain,
                    uint16_t len);
void capture_departure(struct lane *lane, const struct pkt *pkt);

#endif
