/* RTP headers with both forms of header extensions: any bytes; and what was understood,
 * written and parsed again. */
#include "fuzz.h"

#include "sfu/wire/demux.h"
#include "sfu/wire/rtp_ext.h"

static void read_values(uint8_t id, const uint8_t *data, uint8_t len)
{
    uint8_t level;
    uint16_t seq;
    bool voice;

    FUZZ_CHECK(id != 0);
    if (rtp_ext_audio_level(data, len, &level, &voice)) {
        FUZZ_CHECK(rtp_ext_audio_level_byte(level, voice) == data[0]);
    }
    if (rtp_ext_twcc_seq(data, len, &seq)) {
        FUZZ_CHECK(seq == load_be16(data));
    }
}

/* Writes header, CSRCs and elements of 'h' into 'cap' bytes. Returns whether it fitted. */
static bool rewrite(const uint8_t *data, const struct rtp_hdr *h, uint8_t *buf, size_t cap,
                    size_t *len)
{
    struct rtp_ext_iter it = rtp_ext_iter_of(h);
    struct wbytes w = wbytes_of(buf, cap);
    struct rtp_ext_writer x;
    const uint8_t *each;
    uint8_t n;
    uint8_t id;

    rtp_write(&w, h);
    wbytes_put(&w, data + RTP_FIXED_LEN, (size_t)h->n_csrc * 4);
    if (h->has_ext) {
        x = rtp_ext_begin(&w, it.two_byte);
        while (rtp_ext_next(&it, &id, &each, &n)) {
            rtp_ext_put(&x, id, each, n);
        }
        rtp_ext_finish(&x);
    }
    *len = wbytes_len(&w);
    return !w.bad;
}

static void check_same(const struct rtp_hdr *a, const struct rtp_hdr *b)
{
    struct rtp_ext_iter ia = rtp_ext_iter_of(a);
    struct rtp_ext_iter ib = rtp_ext_iter_of(b);
    const uint8_t *da;
    const uint8_t *db;
    uint8_t na, nb, ida, idb;

    FUZZ_CHECK(a->ts == b->ts && a->ssrc == b->ssrc && a->seq == b->seq && a->pt == b->pt);
    FUZZ_CHECK(a->n_csrc == b->n_csrc && a->marker == b->marker &&
               a->has_ext == b->has_ext && a->has_padding == b->has_padding);
    while (rtp_ext_next(&ia, &ida, &da, &na)) {
        FUZZ_CHECK(rtp_ext_next(&ib, &idb, &db, &nb));
        FUZZ_CHECK(ida == idb && na == nb && memcmp(da, db, na) == 0);
    }
    FUZZ_CHECK(!rtp_ext_next(&ib, &idb, &db, &nb));
}

/* The longest header, and the 4 bytes that a writer needs before it knows its length. */
static uint8_t buf[UINT16_MAX + RTP_EXT_HEADER_LEN];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rtp_ext_iter it;
    struct rtp_hdr again;
    struct rtp_hdr h;
    const uint8_t *each;
    uint8_t *tight;
    size_t len;
    uint8_t n;
    uint8_t id;

    (void)demux_of(data, size);
    if (rtp_parse(data, size, &h) != 0) {
        return 0;
    }
    FUZZ_CHECK(h.hdr_len <= size && h.hdr_len >= RTP_FIXED_LEN);
    if (h.has_padding) {
        int pad = rtp_padding_len(data + h.hdr_len, size - h.hdr_len);

        FUZZ_CHECK(pad == -EBADMSG || (pad > 0 && (size_t)pad <= size - h.hdr_len));
    }
    it = rtp_ext_iter_of(&h);
    while (rtp_ext_next(&it, &id, &each, &n)) {
        read_values(id, each, n);
        (void)rtp_ext_find(&h, id, &n);
    }
    FUZZ_CHECK(rewrite(data, &h, buf, sizeof(buf), &len));
    FUZZ_CHECK(rtp_parse(buf, len, &again) == 0 && again.hdr_len == len);
    check_same(&h, &again);
    /* one byte too few is refused, and nothing is written behind the end */
    tight = malloc(len - 1);
    FUZZ_CHECK(tight != NULL && !rewrite(data, &h, tight, len - 1, &len));
    free(tight);
    return 0;
}
