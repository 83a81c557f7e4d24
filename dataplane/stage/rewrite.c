/* See rewrite.h. */
#include "stage/rewrite.h"

#include <string.h>

#include "core/layer_write.h"
#include "sfu/wire/rtp_ext.h"

enum {
    KEYS_FIRST = 2,
    SENT_AHEAD = 6,
    DEPENDENCY_GROWTH = 5 /* bytes: a mask of decode targets */
};

/* The peer's next transport-wide number. The vault is told once a block: it is a line and a
 * page more, and a successor may leave out numbers. */
static uint16_t take_twcc(struct peer *peer)
{
    uint64_t number = peer->twcc_next++;

    if (number % PEER_TWCC_BLOCK == 0) {
        *peer->twcc_taken = number + PEER_TWCC_BLOCK;
    }
    return (uint16_t)number;
}

/* Copies the subscription's own elements (one-byte form) with this packet's send time and
 * transport-wide number. */
static uint8_t *put_own(uint32_t send_time, struct sub *sub, uint8_t *p)
{
    memcpy(p, sub->ext, SUB_EXT_TMPL);
    if (sub->send_time_at != 0) {
        store_be24(p + sub->send_time_at, send_time);
    }
    if (sub->twcc_at != 0) {
        store_be16(p + sub->twcc_at, take_twcc(sub->peer));
    }
    return p + sub->ext_len;
}

/* The same in two-byte form: rare, so element by element. */
static uint8_t *put_own_two_byte(uint32_t send_time, struct sub *sub, uint8_t *p)
{
    uint8_t own[SUB_EXT_TMPL];
    const uint8_t *end = own + (put_own(send_time, sub, own) - own);

    for (const uint8_t *e = own; e < end; e += 2 + (e[0] & 15)) {
        uint8_t len = (uint8_t)((e[0] & 15) + 1);

        *p++ = e[0] >> 4;
        *p++ = len;
        memcpy(p, e + 1, len);
        p += len;
    }
    return p;
}

/* A dependency descriptor with this packet's frame number, and with the decode targets that
 * are left as those that are active. Returns its end; without room in the one-byte form it
 * is left as it was. */
static uint8_t *put_dependency(const struct pkt *pkt, bool two_byte, const uint8_t *data,
                               uint8_t len, uint8_t *p)
{
    uint8_t *bytes = p + (two_byte ? 2 : 1);
    uint8_t id = pkt->sub->ext_id[EXT_DEPENDENCY];
    uint16_t mask = 0;
    size_t n;

    for (unsigned s = 0; s <= pkt->spatial && s < LAYER_MAX; s++) {
        for (unsigned t = 0; t <= pkt->temporal && t < LAYER_MAX; t++) {
            mask |= LAYER_BIT(s, t);
        }
    }
    n = layer_dd_write(data, len, pkt->picture, mask, bytes,
                       two_byte ? len + DEPENDENCY_GROWTH : 16);
    if (n == 0) {
        memcpy(bytes, data, len);
        n = len;
    }
    if (two_byte) {
        p[0] = id;
        p[1] = (uint8_t)n;
    } else {
        p[0] = (uint8_t)((unsigned)id << 4 | (n - 1));
    }
    return bytes + n;
}

/* Appends those of the slot's elements that this subscriber negotiated. */
static uint8_t *put_forwarded(const struct pkt *pkt, const struct ring_slot *slot,
                              const uint8_t *ext, uint8_t *p)
{
    bool two_byte = (slot->flags & RING_SLOT_TWO_BYTE) != 0;
    uint16_t mask = pkt->sub->ext_mask;
    bool dependency = pkt->layered && (slot->ext_mask & mask & 1u << EXT_DEPENDENCY) != 0;
    const uint8_t *end = ext + slot->ext_len;

    if ((slot->ext_mask & ~mask) == 0 && !dependency &&
        (mask >> SUB_EXT_RENAMED & 1) == 0) {
        memcpy(p, ext, slot->ext_len);
        return p + slot->ext_len;
    }
    while (ext < end) {
        uint8_t id = two_byte ? ext[0] : ext[0] >> 4;
        size_t len = two_byte ? 2u + ext[1] : 2u + (ext[0] & 15u);
        size_t head = two_byte ? 2 : 1;

        if (dependency && id == EXT_DEPENDENCY) {
            p = put_dependency(pkt, two_byte, ext + head, (uint8_t)(len - head), p);
        } else if ((mask >> id & 1) != 0) {
            memcpy(p, ext, len);
            p[0] =
                (uint8_t)(two_byte ? pkt->sub->ext_id[id]
                                   : (unsigned)pkt->sub->ext_id[id] << 4 | (ext[0] & 15u));
            p += len;
        }
        ext += len;
    }
    return p;
}

uint8_t *rewrite_exts(uint32_t send_time, const struct pkt *pkt,
                      const struct ring_slot *slot, const uint8_t *ext, uint8_t *p)
{
    struct sub *sub = pkt->sub;
    bool two_byte = (slot->flags & RING_SLOT_TWO_BYTE) != 0;
    uint8_t *start = p + RTP_EXT_HEADER_LEN;
    uint8_t *end;

    if (sub->twcc_at == 0 && !sub->stream->video) {
        /* It leaves as it comes. So it can be written once more, bit by bit. */
        send_time = rtp_ext_abs_send_time(slot->arrival_us);
    }
    end =
        two_byte ? put_own_two_byte(send_time, sub, start) : put_own(send_time, sub, start);
    if (slot->ext_len > 0) {
        end = put_forwarded(pkt, slot, ext, end);
    }
    if (end == start) {
        return p;
    }
    while ((end - start) % 4 != 0) {
        *end++ = 0;
    }
    store_be16(p, two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE);
    store_be16(p + 2, (uint16_t)((end - start) / 4));
    return end;
}

/* Where the payload has numbers of its own the packet gets a payload of its own. 'room' has
 * PKT_ROOM bytes. If the slot is overtaken meanwhile protect drops the packet. */
static void renumber(struct pkt *pkt, uint8_t *room)
{
    enum codec_kind codec = pkt->sub->stream->codec;
    const struct layer_numbers numbers = {
        .picture = pkt->picture, .tl0 = pkt->tl0, .keyidx = pkt->keyidx};

    if (codec != CODEC_VP8 && codec != CODEC_VP9) {
        return;
    }
    memcpy(room, pkt->payload, pkt->payload_len);
    (void)layer_write(codec, room, pkt->payload_len, &numbers);
    pkt->payload = room;
}

/* Returns false if the slot was overtaken. */
static bool rewrite_one(bool shared, uint32_t send_time, uint64_t now_us, struct pkt *pkt,
                        uint8_t *room)
{
    struct sub *sub = pkt->sub;
    struct peer *peer = pkt->peer;
    const struct stream_ring *ring = &sub->stream->ring;
    const struct ring_slot *slot;
    struct ring_slot copy;
    uint8_t copied_ext[RING_EXT_MAX];
    const uint8_t *ext = copied_ext;
    uint8_t *rtp = pkt->data + peer->hdr.len;
    uint8_t *end;

    if (shared) {
        slot = stream_ring_copy(ring, pkt->pos, &copy, copied_ext) ? &copy : NULL;
    } else {
        slot = stream_ring_at(ring, pkt->pos);
        ext = slot != NULL ? stream_ring_bytes(ring, slot) : NULL;
    }
    if (slot == NULL) {
        return false;
    }
    pkt->payload = stream_ring_bytes(ring, slot) + slot->ext_len;
    pkt->payload_len = slot->len;
    if (pkt->layered) {
        renumber(pkt, room);
    } else {
        pkt->index = (slot->seq - sub->seq_offset) & 0xffffffffffffu;
        pkt->ts = slot->ts;
        pkt->marker = (slot->flags & RING_SLOT_MARKER) != 0;
    }
    end = rewrite_exts(send_time, pkt, slot, ext, rtp + RTP_FIXED_LEN);
    pkt->hdr_len = (uint16_t)(end - rtp);
    rtp[0] = end - rtp > RTP_FIXED_LEN ? 0x90 : 0x80;
    rtp[1] = (uint8_t)((pkt->marker ? 0x80 : 0) | sub->pt);
    store_be16(rtp + 2, (uint16_t)pkt->index);
    store_be32(rtp + 4, pkt->ts);
    store_be32(rtp + 8, sub->ssrc);
    pkt_hdr_write(&peer->hdr, pkt->data,
                  (uint16_t)(pkt->hdr_len + slot->len + peer->tag_len));
    pkt->len = (uint16_t)(peer->hdr.len + pkt->hdr_len + slot->len + peer->tag_len);
    if (sub->twcc_at != 0) {
        bwe_note_sent(peer->bwe, peer->twcc_next - 1, (uint16_t)(pkt->len - peer->hdr.len),
                      now_us);
    }
    pkt->device = peer->device;
    pkt->to = peer->to;
    return true;
}

uint16_t rewrite_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    const uint32_t send_time = rtp_ext_abs_send_time(lane->now_us);

    for (uint16_t i = 0; i < in->n; i++) {
        /* protect sees to the rest of the keys, but begins with the first at once */
        __builtin_prefetch(in->pkts[i]->peer->tx_key);
        if (i + SENT_AHEAD < in->n && in->pkts[i + SENT_AHEAD]->sub->twcc_at != 0) {
            bwe_prefetch_sent(in->pkts[i + SENT_AHEAD]->peer->bwe,
                              in->pkts[i + SENT_AHEAD]->peer->twcc_next);
        }
        if (in->n >= KEYS_FIRST && i + KEYS_FIRST >= in->n) {
            crypt_key_prefetch(in->pkts[i + KEYS_FIRST - in->n]->peer->tx_key);
        }
        if (rewrite_one(lane->hub != NULL, send_time, lane->now_us, in->pkts[i],
                        lane->plain[i])) {
            burst_push(out, in->pkts[i]);
        } else {
            in->pkts[i]->sub->skipped++;
            lane_drop_out(lane, in->pkts[i], DROP_OVERRUN);
        }
    }
    return out->n;
}
