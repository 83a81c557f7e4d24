/* See punt.h. */
#include "stage/punt.h"

#include "sfu/wire/stun.h"

static bool take_token(struct lane *lane)
{
    uint64_t since_us = lane->now_us - lane->punt_refill_us;

    if (since_us >= 1000) {
        uint64_t more = since_us * LANE_PUNTS_PER_S / 1000000 + lane->punt_tokens;

        lane->punt_tokens = more < LANE_PUNT_BURST ? (uint32_t)more : LANE_PUNT_BURST;
        lane->punt_refill_us = lane->now_us;
    }
    if (lane->punt_tokens == 0) {
        return false;
    }
    lane->punt_tokens--;
    return true;
}

uint16_t punt_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];

        if (pkt->kind == PKT_STUN) {
            struct stun_msg msg;

            /* Only authenticated requests interest an ICE-lite agent; the rest would be
             * parsed and dropped by control. */
            if (stun_parse(pkt->data, pkt->len, &msg) != 0 ||
                msg.type != STUN_BINDING_REQUEST || msg.username == NULL ||
                msg.mac == NULL) {
                lane_drop(lane, pkt, DROP_STUN_MALFORMED);
                continue;
            }
            if (pkt->peer == NULL && !take_token(lane)) {
                lane_drop(lane, pkt, DROP_PUNT_RATE);
                continue;
            }
        }
        burst_push(out, pkt);
    }
    return out->n;
}
