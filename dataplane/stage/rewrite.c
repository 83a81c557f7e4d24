/* See rewrite.h. */
#include "stage/rewrite.h"

#include <string.h>

#include "core/layer_write.h"
#include "sfu/wire/rtp_ext.h"

enum {
    KEYS_FIRST = 2,
    NEAR = 4, /* packets: what lies in the second cache level is some 15 cycles away */
    ELEMENTS_AT = RTP_FIXED_LEN + RTP_EXT_HEADER_LEN,
    DEPENDENCY_GROWTH = 5 /* bytes: a mask of decode targets */
};

/* ---- the template ---- */

/* Appends one one-byte element of the template. Returns the offset of its data. */
static uint8_t add_ext(struct sub *sub, uint8_t id, const uint8_t *data, uint8_t len)
{
    uint8_t *elements = sub->hdr + ELEMENTS_AT;
    uint8_t at = (uint8_t)(sub->ext_len + 1);

    elements[sub->ext_len] = (uint8_t)(id << 4 | (len - 1));
    if (data != NULL) {
        memcpy(elements + at, data, len);
    }
    sub->ext_len = (uint8_t)(at + len);
    return at;
}

/* The fixed header, and the length of the extensions. */
static void head_template(struct sub *sub)
{
    const uint8_t words = (uint8_t)((sub->ext_len + 3) / 4);

    sub->hdr[0] = words > 0 ? 0x90 : 0x80;
    store_be32(sub->hdr + 8, sub->ssrc);
    store_be16(sub->hdr + RTP_FIXED_LEN, RTP_EXT_ONE_BYTE);
    store_be16(sub->hdr + RTP_FIXED_LEN + 2, words);
    sub->hdr_len = (uint8_t)(words > 0 ? ELEMENTS_AT + 4 * words : RTP_FIXED_LEN);
}

void rewrite_prepare(struct sub *sub, const uint8_t ids[SUB_EXTS], const uint8_t *mid,
                     uint8_t mid_len)
{
    memset(sub->hdr, 0, sizeof(sub->hdr));
    sub->ext_len = sub->send_time_at = sub->twcc_at = 0;
    sub->ext_mask = 0;
    if (ids[EXT_MID] != 0 && mid_len > 0) {
        (void)add_ext(sub, ids[EXT_MID], mid, mid_len);
    }
    if (ids[EXT_ABS_SEND_TIME] != 0) {
        sub->send_time_at = add_ext(sub, ids[EXT_ABS_SEND_TIME], NULL, 3);
    }
    if (ids[EXT_TRANSPORT_CC] != 0) {
        sub->twcc_at = add_ext(sub, ids[EXT_TRANSPORT_CC], NULL, 2);
    }
    head_template(sub);
    memcpy(sub->rest->ext_id, ids, sizeof(sub->rest->ext_id));
    for (unsigned ext = 1; ext < N_EXTS; ext++) {
        if (ids[ext] != 0 && (EXT_FORWARDED >> ext & 1) != 0) {
            sub->ext_mask = (uint16_t)(sub->ext_mask | 1u << ext |
                                       (ids[ext] != ext ? 1u << SUB_EXT_RENAMED : 0));
        }
    }
}

/* ---- a packet ---- */

/* The peer's next transport-wide number. The vault is told once a block: it is a line and a
 * page more, and a successor may leave out numbers. */
static uint16_t take_twcc(struct peer *peer)
{
    uint64_t number = peer->twcc_next++;

    if (number % PEER_TWCC_BLOCK == 0) {
        *peer->rest->twcc_taken = number + PEER_TWCC_BLOCK;
    }
    return (uint16_t)number;
}

/* Audio without a transport-wide number leaves as it comes. So it can be written once more,
 * bit by bit. */
static inline uint32_t sent_at(uint32_t send_time, const struct sub *sub,
                               const struct ring_slot *slot)
{
    return sub->twcc_at == 0 && !sub->stream->video
               ? rtp_ext_abs_send_time(slot->arrival_us)
               : send_time;
}

/* Puts this packet's send time and transport-wide number into a copy of the elements. */
static inline void fill_own(uint32_t send_time, struct sub *sub, uint8_t *elements)
{
    if (sub->send_time_at != 0) {
        store_be24(elements + sub->send_time_at, send_time);
    }
    if (sub->twcc_at != 0) {
        store_be16(elements + sub->twcc_at, take_twcc(sub->peer));
    }
}

/* Writes the subscription's own elements (one-byte form). */
static uint8_t *put_own(uint32_t send_time, struct sub *sub, uint8_t *p)
{
    memcpy(p, sub->hdr + ELEMENTS_AT, SUB_EXT_TMPL);
    fill_own(send_time, sub, p);
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
 * are left as those that are active. Returns its end; without room in the one-byte form
 * they are left as they were. */
static uint8_t *put_dependency(const struct pkt *pkt, bool two_byte, const uint8_t *data,
                               uint8_t len, uint8_t *p)
{
    uint8_t *bytes = p + (two_byte ? 2 : 1);
    uint8_t id = pkt->sub->rest->ext_id[EXT_DEPENDENCY];
    uint16_t mask = 0;
    size_t n;

    for (unsigned s = 0; s <= pkt->spatial && s < LAYER_MAX; s++) {
        for (unsigned t = 0; t <= pkt->temporal && t < LAYER_MAX; t++) {
            mask |= LAYER_BIT(s, t);
        }
    }
    n = layer_dd_write(data, len, pkt->picture, mask, bytes,
                       two_byte ? len + DEPENDENCY_GROWTH : 16);
    if (n == 0) { /* the sender's targets, but the number is ours */
        memcpy(bytes, data, len);
        n = len;
        if (n >= 3) {
            store_be16(bytes + 1, pkt->picture);
        }
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
            p[0] = (uint8_t)(two_byte ? pkt->sub->rest->ext_id[id]
                                      : (unsigned)pkt->sub->rest->ext_id[id] << 4 |
                                            (ext[0] & 15u));
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

    send_time = sent_at(send_time, sub, slot);
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

/* Writes the RTP header but for number, time and marker. Returns its end. Most packets have
 * nothing to forward: theirs is the template, which is what rewrite_exts() would write (a
 * packet that is repeated has to be the same). */
static inline uint8_t *put_header(uint32_t send_time, const struct pkt *pkt,
                                  const struct ring_slot *slot, const uint8_t *ext,
                                  uint8_t *rtp)
{
    struct sub *sub = pkt->sub;
    uint8_t *end;

    memcpy(rtp, sub->hdr, sizeof(sub->hdr));
    if ((slot->ext_mask & sub->ext_mask) == 0 && (slot->flags & RING_SLOT_TWO_BYTE) == 0) {
        fill_own(sent_at(send_time, sub, slot), sub, rtp + ELEMENTS_AT);
        return rtp + sub->hdr_len;
    }
    end = rewrite_exts(send_time, pkt, slot, ext, rtp + RTP_FIXED_LEN);
    rtp[0] = end - rtp > RTP_FIXED_LEN ? 0x90 : 0x80;
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

/* What packets are made from. Those of a burst come mostly from one slot of one ring. */
struct source {
    const struct stream_ring *ring;
    uint64_t pos;
    const struct ring_slot *slot; /* NULL: it was overtaken */
    const uint8_t *ext;
    /* of a ring whose writer is another lane: what is looked at must not change meanwhile
     */
    struct ring_slot copy;
    uint8_t copied_ext[RING_EXT_MAX];
};

static void look_at(struct source *from, const struct stream_ring *ring, uint64_t pos,
                    bool shared)
{
    from->ring = ring;
    from->pos = pos;
    if (shared) {
        from->slot =
            stream_ring_copy(ring, pos, &from->copy, from->copied_ext) ? &from->copy : NULL;
        from->ext = from->copied_ext;
    } else {
        from->slot = stream_ring_at(ring, pos);
        from->ext = from->slot != NULL ? stream_ring_bytes(ring, from->slot) : NULL;
    }
}

static void rewrite_one(const struct source *from, uint32_t send_time, uint64_t now_us,
                        struct pkt *pkt, uint8_t *room)
{
    struct sub *sub = pkt->sub;
    struct peer *peer = pkt->peer;
    const struct ring_slot *slot = from->slot;
    uint8_t *rtp = pkt->data + peer->hdr.len;
    uint8_t *end;
    uint16_t len;

    pkt->payload = stream_ring_bytes(from->ring, slot) + slot->ext_len;
    pkt->payload_len = slot->len;
    if (pkt->layered) {
        renumber(pkt, room);
    } else {
        pkt->index = (slot->seq - sub->seq_offset) & 0xffffffffffffu;
        pkt->ts = slot->ts;
        pkt->marker = (slot->flags & RING_SLOT_MARKER) != 0;
    }
    end = put_header(send_time, pkt, slot, from->ext, rtp);
    pkt->hdr_len = (uint16_t)(end - rtp);
    rtp[1] = (uint8_t)((pkt->marker ? 0x80 : 0) | sub->pt);
    store_be16(rtp + 2, (uint16_t)pkt->index);
    store_be32(rtp + 4, pkt->ts);
    len = (uint16_t)(pkt->hdr_len + slot->len + peer->tag_len);
    pkt_hdr_write(&peer->hdr, pkt->data, len);
    if (sub->twcc_at != 0) {
        bwe_note_sent(peer->bwe, peer->twcc_next - 1, len, now_us);
    }
    pkt->len = (uint16_t)(len + peer->hdr.len);
    pkt->device = peer->device;
    pkt->to = peer->to;
}

/* What rewrite_one() writes: encryption has gone over the first cache level since, and
 * stores that have to wait for their line hold up those behind them. */
static inline void prefetch_near(const struct pkt *pkt)
{
    __builtin_prefetch(&pkt->sub->packets, 1);
    __builtin_prefetch(&pkt->peer->tx_key, 1);
    __builtin_prefetch(pkt->data, 1);
    __builtin_prefetch(pkt->data + 64, 1);
}

uint16_t rewrite_burst(struct lane *lane, const struct burst *in, struct burst *out)
{
    const uint32_t send_time = rtp_ext_abs_send_time(lane->now_us);
    struct source from;
    uint16_t n = 0;

    from.ring = NULL;
    from.slot = NULL;
    from.pos = 0;
    for (uint16_t i = 0; i < in->n; i++) {
        struct pkt *pkt = in->pkts[i];
        const struct stream_ring *ring = &pkt->sub->stream->ring;

        if (in->n >= KEYS_FIRST && i + KEYS_FIRST >= in->n) {
            crypt_key_prefetch(in->pkts[i + KEYS_FIRST - in->n]->peer->tx_key);
        }
        if (i + NEAR < in->n) {
            prefetch_near(in->pkts[i + NEAR]);
        }
        if (pkt->pos != from.pos || ring != from.ring) {
            look_at(&from, ring, pkt->pos, lane->hub != NULL);
        }
        if (from.slot == NULL) {
            pkt->sub->rest->skipped++;
            lane_drop_out(lane, pkt, DROP_OVERRUN);
            continue;
        }
        rewrite_one(&from, send_time, lane->now_us, pkt, lane->plain[i]);
        out->pkts[n++] = pkt;
    }
    out->n = n;
    return n;
}
