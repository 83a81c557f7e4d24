/* See punt.h. */
#include "stage/punt.h"

#include <string.h>

#include "sfu/wire/stun.h"

/* Takes one of 'per_s' a second, of which up to 'burst' save up. 'spent_us' moves on by the
 * time that one is worth, and lies no further back than the burst. */
static bool take(uint64_t *spent_us, uint64_t now_us, uint32_t per_s, uint32_t burst)
{
    const uint64_t one_us = 1000000 / per_s;
    const uint64_t all_us = burst * one_us;

    if (now_us > all_us && *spent_us < now_us - all_us) {
        *spent_us = now_us - all_us;
    }
    if (*spent_us + one_us > now_us) {
        return false;
    }
    *spent_us += one_us;
    return true;
}

/* Whether control shall see one more check of an address that is nobody's. Those that name
 * a peer of ours come first: who floods seldom knows such a name, and if he does (his own)
 * he spends that one's share. */
static bool may_ask(struct lane *lane, const struct stun_msg *msg)
{
    const uint8_t *colon = memchr(msg->username, ':', msg->username_len);
    uint32_t name = 0;

    if (colon != NULL) {
        name = tables_named(lane->tables, msg->username, (size_t)(colon - msg->username));
    }
    if (name == 0) {
        return take(&lane->strangers_us, lane->now_us, LANE_STRANGERS_PER_S,
                    LANE_STRANGER_BURST);
    }
    return take(&lane->names_us[name % LANE_NAMES], lane->now_us, LANE_NAME_PER_S,
                LANE_NAME_BURST) &&
           take(&lane->punts_us, lane->now_us, LANE_PUNTS_PER_S, LANE_PUNT_BURST);
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
            if (pkt->peer == NULL && !may_ask(lane, &msg)) {
                lane_drop(lane, pkt, DROP_PUNT_RATE);
                continue;
            }
        }
        burst_push(out, pkt);
    }
    return out->n;
}
