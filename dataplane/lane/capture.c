/* See capture.h. */
#include "lane/capture.h"

static void put(struct lane *lane, const struct captured *packet)
{
    if (lane->capture == NULL || !lane->capture(lane->capture_arg, packet)) {
        lane->capture_missed++;
    } else {
        lane->capture_missed = 0;
    }
}

void capture_arrival(struct lane *lane, const struct pkt *pkt)
{
    const bool media = pkt->kind == PKT_RTP || pkt->kind == PKT_RTCP;

    if (media && pkt->peer->rest->watched == CAPTURE_PLAIN) {
        return; /* when it is opened */
    }
    put(lane, &(struct captured){.peer = pkt->peer,
                                 .path = &pkt->path,
                                 .head = pkt->data,
                                 .head_len = pkt->len});
}

void capture_opened(struct lane *lane, const struct pkt *pkt, const uint8_t *head,
                    uint16_t head_len, const uint8_t *body, uint16_t body_len)
{
    put(lane, &(struct captured){.peer = pkt->peer,
                                 .path = &pkt->path,
                                 .plain = true,
                                 .head = head,
                                 .head_len = head_len,
                                 .body = body,
                                 .body_len = body_len});
}

void capture_report(struct lane *lane, const struct peer *peer, const uint8_t *plain,
                    uint16_t len)
{
    put(lane, &(struct captured){.peer = peer,
                                 .path = peer->to,
                                 .out = true,
                                 .plain = true,
                                 .head = plain,
                                 .head_len = len});
}

/* The payload lies in the stream's ring still, whose writer may overtake us. */
static void depart_plain(struct lane *lane, const struct pkt *pkt, const uint8_t *rtp)
{
    uint8_t payload[PKT_ROOM];

    memcpy(payload, pkt->payload, pkt->payload_len);
    if (!pkt->rtx && !stream_ring_alive(&pkt->sub->stream->ring, pkt->pos)) {
        lane->capture_missed++;
        return;
    }
    put(lane, &(struct captured){.peer = pkt->peer,
                                 .path = pkt->to,
                                 .out = true,
                                 .plain = true,
                                 .head = rtp,
                                 .head_len = pkt->hdr_len,
                                 .body = payload,
                                 .body_len = pkt->payload_len});
}

void capture_departure(struct lane *lane, const struct pkt *pkt)
{
    const uint8_t outer = pkt->peer->hdr.len;
    const bool opened = pkt->peer->watched_out == CAPTURE_PLAIN;

    if (opened && pkt->sub != NULL) {
        depart_plain(lane, pkt, pkt->data + outer);
        return;
    }
    if (opened && pkt->kind == PKT_RTCP) {
        return; /* rtcp_out has shown it */
    }
    put(lane, &(struct captured){.peer = pkt->peer,
                                 .path = pkt->to,
                                 .out = true,
                                 .head = pkt->data + outer,
                                 .head_len = (uint16_t)(pkt->len - outer)});
}
