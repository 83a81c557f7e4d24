/* Header extensions as they are written for a subscriber, out of any elements of a slot and
 * any template of its own, into memory of exactly the room that stage/resend and the packet
 * promise: nothing is read or written beyond it, and what was written parses again. */
#include "fuzz.h"

#include <string.h>

#include "pkt/ext.h"
#include "sfu/wire/rtp.h"
#include "sfu/wire/rtp_ext.h"
#include "stage/rewrite.h"
#include "table/peer.h"
#include "table/sub.h"

enum { OWN_MAX = 20 /* a MID of 16 would not leave room for the others */ };

/* A slot's elements as stage/ingest keeps them: each id once, all in one form. */
static uint8_t *slot_exts(struct rbytes *in, struct ring_slot *slot)
{
    const bool two_byte = (slot->flags & RING_SLOT_TWO_BYTE) != 0;
    uint8_t kept[RING_EXT_MAX];
    uint16_t len = 0;

    for (unsigned n = rbytes_u8(in) % 16; n > 0; n--) {
        const uint8_t id = (uint8_t)(1 + rbytes_u8(in) % 14); /* as one byte holds */
        size_t size;
        const uint8_t *data = fuzz_block(in, two_byte ? 190 : 16, &size);

        if ((!two_byte && size == 0) || (slot->ext_mask >> id & 1) != 0 ||
            len + size + 2 > RING_EXT_MAX) {
            continue;
        }
        kept[len++] = two_byte ? id : (uint8_t)((unsigned)id << 4 | (size - 1));
        if (two_byte) {
            kept[len++] = (uint8_t)size;
        }
        memcpy(kept + len, data, size);
        len = (uint16_t)(len + size);
        slot->ext_mask = (uint16_t)(slot->ext_mask | 1u << id);
    }
    slot->ext_len = len;
    return fuzz_tight(kept, len);
}

static void own_template(struct rbytes *in, struct sub *sub)
{
    const uint8_t shape = rbytes_u8(in);
    uint8_t *own = sub->hdr + RTP_FIXED_LEN + RTP_EXT_HEADER_LEN;
    uint8_t mid = (uint8_t)(shape % 9);

    if (mid > 0) {
        own[0] = (uint8_t)(EXT_MID << 4 | (mid - 1));
        sub->ext_len = (uint8_t)(1 + mid);
    }
    if ((shape & 32) != 0) {
        own[sub->ext_len] = EXT_ABS_SEND_TIME << 4 | 2;
        sub->send_time_at = (uint8_t)(sub->ext_len + 1);
        sub->ext_len = (uint8_t)(sub->ext_len + 4);
    }
    if ((shape & 64) != 0) {
        own[sub->ext_len] = EXT_TRANSPORT_CC << 4 | 1;
        sub->twcc_at = (uint8_t)(sub->ext_len + 1);
        sub->ext_len = (uint8_t)(sub->ext_len + 3);
    }
    FUZZ_CHECK(sub->ext_len <= OWN_MAX);
    sub->ext_mask = rbytes_be16(in);
    for (unsigned id = 1; id < SUB_EXTS; id++) {
        sub->rest->ext_id[id] = (uint8_t)(sub->ext_mask & 1 ? 1u + rbytes_u8(in) % 14 : id);
    }
}

/* All that was written is elements, and none is cut off. */
static void check(const uint8_t *ext, size_t len, bool two_byte)
{
    struct rtp_hdr hdr = {.ext = ext + RTP_EXT_HEADER_LEN,
                          .ext_len = (uint16_t)(len - RTP_EXT_HEADER_LEN),
                          .ext_profile = load_be16(ext),
                          .has_ext = true};
    struct rtp_ext_iter it = rtp_ext_iter_of(&hdr);
    const uint8_t *data;
    const uint8_t *end = hdr.ext;
    uint8_t id, size;

    FUZZ_CHECK(hdr.ext_profile == (two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE));
    FUZZ_CHECK(len % 4 == 0 && 4u * load_be16(ext + 2) == len - RTP_EXT_HEADER_LEN);
    while (rtp_ext_next(&it, &id, &data, &size)) {
        end = data + size;
    }
    FUZZ_CHECK(hdr.ext + hdr.ext_len - end < 4); /* padding only */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rbytes in = fuzz_in(data, size);
    static struct peer_rest peer_rest;
    static struct sub_rest sub_rest;
    static struct peer peer;
    static struct sub sub;
    static struct stream stream;
    uint64_t taken = 0;
    const uint8_t shape = rbytes_u8(&in);
    struct ring_slot slot = {.flags = (shape & 1) != 0 ? RING_SLOT_TWO_BYTE : 0};
    struct pkt pkt = {.sub = &sub,
                      .layered = (shape & 2) != 0,
                      .picture = rbytes_be16(&in),
                      .spatial = shape >> 2 & 7,
                      .temporal = shape >> 5};
    uint8_t *ext = slot_exts(&in, &slot);
    uint8_t *room;
    const uint8_t *end;
    size_t cap;

    memset(&peer, 0, sizeof(peer));
    memset(&sub, 0, sizeof(sub));
    memset(&sub_rest, 0, sizeof(sub_rest));
    peer.rest = &peer_rest;
    sub.rest = &sub_rest;
    peer.rest->twcc_taken = &taken;
    sub.peer = &peer;
    sub.stream = &stream;
    stream.video = (shape & 4) != 0;
    own_template(&in, &sub);
    /* as stage/resend reckons */
    cap = RTP_EXT_HEADER_LEN + slot.ext_len + 2u * SUB_EXT_TMPL + 4;
    room = malloc(cap);
    FUZZ_CHECK(room != NULL);
    end = rewrite_exts(0x123456, &pkt, &slot, ext, room);
    FUZZ_CHECK(end >= room && (size_t)(end - room) <= cap);
    if (end > room) {
        check(room, (size_t)(end - room), (shape & 1) != 0);
    }
    free(room);
    free(ext);
    return 0;
}
