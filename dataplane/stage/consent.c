/* See consent.h. */
#include "stage/consent.h"

#include <string.h>

#include "crypt/mac.h"
#include "sfu/base/txids.h"
#include "sfu/wire/stun.h"

static void mac_of_peer(void *ctx, const uint8_t *data, size_t len,
                        uint8_t out[STUN_MAC_LEN])
{
    const struct peer *peer = ctx;

    mac_hmac_sha1(peer->rest->pwd, peer->rest->pwd_len, data, len, out);
}

/* The check must name us: "our ufrag:theirs". */
static bool names_us(const struct peer *peer, const struct stun_msg *msg)
{
    return msg->username != NULL && msg->username_len > peer->rest->ufrag_len &&
           msg->username[peer->rest->ufrag_len] == ':' &&
           memcmp(msg->username, peer->rest->ufrag, peer->rest->ufrag_len) == 0;
}

/* Fills 'out' with the success response, or returns -ENOSPC. */
static int answer(struct peer *peer, const struct stun_msg *msg, const struct path *from,
                  struct pkt *out)
{
    uint8_t buf[128]; /* header, mapped address, integrity, fingerprint: at most 76 */
    struct stun_writer w;
    int len;

    stun_write_begin(&w, buf, sizeof(buf), STUN_BINDING_SUCCESS, msg->txid);
    stun_write_mapped(&w, from->remote_ip, from->family, from->remote_port);
    stun_write_integrity(&w, mac_of_peer, peer);
    len = stun_write_finish(&w);
    if (len < 0) {
        return len;
    }
    pkt_frame(out, &peer->hdr, buf, (uint16_t)len);
    return 0;
}

/* Returns 0 with 'reply' filled, or -1 after dropping or moving to 'others'. */
static int check(struct lane *lane, struct pkt *pkt, struct pkt *reply,
                 struct burst *others)
{
    struct peer *peer = pkt->peer;
    struct stun_msg msg;
    bool ours;

    if (stun_parse(pkt->data, pkt->len, &msg) != 0 || msg.type != STUN_BINDING_REQUEST) {
        lane_drop(lane, pkt, DROP_STUN_MALFORMED);
        return -1;
    }
    ours = names_us(peer, &msg);
    if (!ours && msg.username != NULL && msg.mac != NULL) {
        pkt->peer = NULL; /* whose it is the name says, which only control knows */
        burst_push(others, pkt);
        return -1;
    }
    if (!ours || !stun_mac_ok(&msg, mac_of_peer, peer)) {
        lane_drop(lane, pkt, DROP_STUN_INTEGRITY);
        return -1;
    }
    /* A whole check (RFC 8445, 7.2.2) is longer than its answer; nothing here amplifies. */
    if (answer(peer, &msg, &pkt->path, reply) != 0 ||
        reply->len - peer->hdr.len > pkt->len) {
        lane_drop(lane, pkt, DROP_STUN_MALFORMED);
        return -1;
    }
    /* One that was answered before says nothing of now: the answer was lost, or somebody
     * else sends it again. */
    if (!txids_has(peer->rest->answered, PEER_ANSWERED, msg.txid)) {
        txids_add(peer->rest->answered, PEER_ANSWERED, msg.txid);
        *peer->rest->last_check_us = lane->now_us;
        tables_heard(lane->tables, peer);
        if (msg.use_candidate || msg.has_nomination) {
            *peer->rest->last_nomination_us = lane->now_us;
        }
        peer->consent_lost = peer->rest->loss_told = false;
    }
    reply->peer = peer;
    reply->sub = NULL;
    reply->kind = PKT_STUN;
    reply->device = peer->to->device;
    reply->to = peer->to;
    lane_done(lane, pkt, DONE_CONSENT);
    return 0;
}

uint16_t consent_burst(struct lane *lane, const struct burst *in, struct burst *out,
                       struct burst *others)
{
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *reply;

        if (lane_alloc(lane, &reply, 1) == 0) {
            lane_drop(lane, in->pkts[i], DROP_NO_BUFFER);
        } else if (check(lane, in->pkts[i], reply, others) != 0) {
            lane_free(lane, reply);
        } else {
            burst_push(out, reply);
        }
    }
    return out->n;
}
