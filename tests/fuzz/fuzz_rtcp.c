/* RTCP compounds: any bytes; every packet that is understood is written and parsed again.
 */
#include "fuzz.h"

#include "sfu/wire/rtcp_twcc.h"
#include "sfu/wire/rtcp_xr.h"

enum { CAP = 4 * (UINT16_MAX + 1) };

static uint8_t buf[CAP];

/* The packet that 'w' holds, alone. */
static struct rtcp_pkt reread(const struct wbytes *w)
{
    struct rtcp_iter it = rtcp_iter_of(w->start, wbytes_len(w));
    struct rtcp_pkt pkt;

    FUZZ_CHECK(!w->bad && rtcp_valid(w->start, wbytes_len(w)));
    FUZZ_CHECK(rtcp_next(&it, &pkt) == 1 && rbytes_left(&it.r) == 0);
    return pkt;
}

static void read_blocks(const uint8_t *blocks, uint8_t n, struct rtcp_block *out)
{
    for (uint8_t i = 0; i < n; i++) {
        out[i] = rtcp_block_at(blocks, i);
        FUZZ_CHECK(out[i].lost >= -(1 << 23) && out[i].lost < 1 << 23);
    }
}

static void on_report(const struct rtcp_pkt *pkt)
{
    struct rtcp_block blocks[RTCP_MAX_COUNT];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_pkt again;
    struct rtcp_sr sr, sr2;
    struct rtcp_rr rr, rr2;

    if (pkt->pt == RTCP_SR && rtcp_sr_parse(pkt, &sr) == 0) {
        read_blocks(sr.blocks, sr.n_blocks, blocks);
        rtcp_sr_write(&w, &sr, blocks, sr.n_blocks);
        again = reread(&w);
        FUZZ_CHECK(rtcp_sr_parse(&again, &sr2) == 0);
        FUZZ_CHECK(sr.ntp == sr2.ntp && sr.ssrc == sr2.ssrc && sr.rtp_ts == sr2.rtp_ts &&
                   sr.n_packets == sr2.n_packets && sr.n_bytes == sr2.n_bytes &&
                   sr.n_blocks == sr2.n_blocks);
        FUZZ_CHECK(memcmp(sr.blocks, sr2.blocks, (size_t)sr.n_blocks * RTCP_BLOCK_LEN) ==
                   0);
    } else if (pkt->pt == RTCP_RR && rtcp_rr_parse(pkt, &rr) == 0) {
        read_blocks(rr.blocks, rr.n_blocks, blocks);
        rtcp_rr_write(&w, rr.ssrc, blocks, rr.n_blocks);
        again = reread(&w);
        FUZZ_CHECK(rtcp_rr_parse(&again, &rr2) == 0);
        FUZZ_CHECK(rr.ssrc == rr2.ssrc && rr.n_blocks == rr2.n_blocks);
        FUZZ_CHECK(memcmp(rr.blocks, rr2.blocks, (size_t)rr.n_blocks * RTCP_BLOCK_LEN) ==
                   0);
    }
}

static void on_sdes(const struct rtcp_pkt *pkt)
{
    struct rtcp_sdes_iter it = rtcp_sdes_iter_of(pkt);
    struct rtcp_sdes sdes, again;

    while (rtcp_sdes_next(&it, &sdes) == 1) {
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        struct rtcp_sdes_iter it2;
        struct rtcp_pkt pkt2;

        if (sdes.cname == NULL) {
            continue;
        }
        rtcp_sdes_write(&w, sdes.ssrc, sdes.cname, sdes.cname_len);
        pkt2 = reread(&w);
        it2 = rtcp_sdes_iter_of(&pkt2);
        FUZZ_CHECK(rtcp_sdes_next(&it2, &again) == 1);
        FUZZ_CHECK(sdes.ssrc == again.ssrc && sdes.cname_len == again.cname_len &&
                   memcmp(sdes.cname, again.cname, sdes.cname_len) == 0);
        FUZZ_CHECK(rtcp_sdes_next(&it2, &again) == 0);
    }
}

static void on_bye(const struct rtcp_pkt *pkt)
{
    uint32_t ssrcs[RTCP_MAX_COUNT];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_bye bye, again;
    struct rtcp_pkt pkt2;

    if (rtcp_bye_parse(pkt, &bye) != 0) {
        return;
    }
    for (uint8_t i = 0; i < bye.n_ssrcs; i++) {
        ssrcs[i] = load_be32(bye.ssrcs + (size_t)4 * i);
    }
    rtcp_bye_write(&w, ssrcs, bye.n_ssrcs);
    pkt2 = reread(&w);
    FUZZ_CHECK(rtcp_bye_parse(&pkt2, &again) == 0 && again.n_ssrcs == bye.n_ssrcs);
    FUZZ_CHECK(memcmp(bye.ssrcs, again.ssrcs, (size_t)bye.n_ssrcs * 4) == 0);
}

static void on_fir(const struct rtcp_fb *fb)
{
    struct rtcp_fir entries[RTCP_FIR_MAX];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    size_t n = rtcp_fir_count(fb);
    struct rtcp_pkt pkt;
    struct rtcp_fb again;

    for (size_t i = 0; i < n; i++) {
        entries[i] = rtcp_fir_at(fb, i);
    }
    rtcp_fir_write(&w, fb->sender_ssrc, entries, n);
    pkt = reread(&w);
    FUZZ_CHECK(rtcp_is_fir(&pkt) && rtcp_fb_parse(&pkt, &again) == 0);
    FUZZ_CHECK(rtcp_fir_count(&again) == n);
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(rtcp_fir_at(&again, i).ssrc == entries[i].ssrc &&
                   rtcp_fir_at(&again, i).seq == entries[i].seq);
    }
}

static void on_nack(const struct rtcp_fb *fb)
{
    uint16_t seqs[RTCP_NACK_MAX * 17];
    struct rtcp_nack_iter it = rtcp_nack_iter_of(fb);
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_fb again;
    struct rtcp_pkt pkt;
    size_t n = 0;
    bool ascending = true; /* what the writer asks for */
    uint16_t seq;

    while (rtcp_nack_next(&it, &seq)) {
        FUZZ_CHECK(n < sizeof(seqs) / sizeof(seqs[0]));
        ascending = ascending && (n == 0 || (uint16_t)(seq - seqs[n - 1] - 1) < 0x7fff);
        seqs[n++] = seq;
    }
    rtcp_nack_write(&w, fb->sender_ssrc, fb->media_ssrc, seqs, n);
    if (n == 0) {
        FUZZ_CHECK(wbytes_len(&w) == 0);
        return;
    }
    pkt = reread(&w);
    FUZZ_CHECK(rtcp_is_nack(&pkt) && rtcp_fb_parse(&pkt, &again) == 0);
    it = rtcp_nack_iter_of(&again);
    for (size_t i = 0; i < n && ascending; i++) {
        FUZZ_CHECK(rtcp_nack_next(&it, &seq) && seq == seqs[i]);
    }
    FUZZ_CHECK(!ascending || !rtcp_nack_next(&it, &seq));
}

static void on_xr(const struct rtcp_pkt *pkt)
{
    struct rtcp_xr_iter it;
    struct rtcp_xr_block block;
    unsigned n = 0;

    if (rtcp_xr_parse(pkt, &it) != 0) {
        return;
    }
    while (rtcp_xr_next(&it, &block) == 1) {
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        struct rtcp_xr_iter it2;
        struct rtcp_xr_block again;
        struct rtcp_pkt pkt2;
        uint64_t ntp, ntp2;

        FUZZ_CHECK(++n <= RTCP_XR_MAX_BLOCKS);
        if (rtcp_xr_rrtr(&block, &ntp)) {
            rtcp_xr_write_rrtr(&w, it.ssrc, ntp);
            pkt2 = reread(&w);
            FUZZ_CHECK(rtcp_xr_parse(&pkt2, &it2) == 0 && it2.ssrc == it.ssrc);
            FUZZ_CHECK(rtcp_xr_next(&it2, &again) == 1 && rtcp_xr_rrtr(&again, &ntp2) &&
                       ntp2 == ntp && rtcp_xr_next(&it2, &again) == 0);
        }
        for (size_t i = 0; i < rtcp_xr_dlrr_count(&block); i++) {
            struct rtcp_xr_dlrr sub = rtcp_xr_dlrr_at(&block, i);

            w = wbytes_of(buf, sizeof(buf));
            rtcp_xr_write_dlrr(&w, it.ssrc, &sub, 1);
            pkt2 = reread(&w);
            FUZZ_CHECK(rtcp_xr_parse(&pkt2, &it2) == 0 &&
                       rtcp_xr_next(&it2, &again) == 1 && rtcp_xr_dlrr_count(&again) == 1);
            FUZZ_CHECK(memcmp(again.data, block.data + i * RTCP_XR_SUB_LEN,
                              RTCP_XR_SUB_LEN) == 0);
        }
    }
}

static void on_remb(const struct rtcp_fb *fb)
{
    uint32_t ssrcs[UINT8_MAX];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_remb remb, again;
    struct rtcp_pkt pkt;
    struct rtcp_fb fb2;

    if (rtcp_remb_parse(fb, &remb) != 0) {
        return;
    }
    for (uint8_t i = 0; i < remb.n_ssrcs; i++) {
        ssrcs[i] = load_be32(remb.ssrcs + (size_t)4 * i);
    }
    rtcp_remb_write(&w, fb->sender_ssrc, remb.rate_bps, ssrcs, remb.n_ssrcs);
    pkt = reread(&w);
    FUZZ_CHECK(rtcp_fb_parse(&pkt, &fb2) == 0 && rtcp_remb_parse(&fb2, &again) == 0);
    FUZZ_CHECK(again.n_ssrcs == remb.n_ssrcs &&
               memcmp(again.ssrcs, remb.ssrcs, (size_t)remb.n_ssrcs * 4) == 0);
    FUZZ_CHECK(again.rate_bps == remb.rate_bps || remb.rate_bps == UINT64_MAX);
}

/* What the writer holds of a message is a beginning of it; all, if it is not too long. */
static void on_twcc(const struct rtcp_fb *fb)
{
    static struct twcc_fb_writer x;
    struct twcc_fb msg, again;
    struct twcc_arrival arrival, arrival2;
    struct rtcp_pkt pkt;
    struct rtcp_fb fb2;
    struct wbytes w;
    uint32_t next = 0; /* offset from base_seq */
    uint32_t n = 0;
    size_t len;
    int e = 0;

    if (twcc_fb_parse(fb, &msg) != 0) {
        return;
    }
    twcc_fb_begin(&x, buf, sizeof(buf), fb->sender_ssrc, fb->media_ssrc, msg.base_seq,
                  msg.ref_time, msg.fb_count);
    again = msg;
    while (e == 0 && twcc_fb_next(&again, &arrival)) {
        uint32_t at = (uint16_t)(arrival.seq - msg.base_seq);

        FUZZ_CHECK(at < msg.n_status && at >= next);
        for (; next < at && e == 0; next++) {
            e = twcc_fb_put(&x, false, 0);
        }
        if (e == 0) {
            e = twcc_fb_put(&x, true, arrival.delta_ticks);
            next += e == 0;
            n += e == 0;
        }
    }
    FUZZ_CHECK(e == 0 || e == -ENOSPC);
    len = twcc_fb_finish(&x);
    FUZZ_CHECK(len <= TWCC_MAX_DELTA_LEN && (len == 0) == (next == 0));
    if (len == 0) {
        return;
    }
    w = wbytes_of(buf, len);
    w.p = w.end;
    pkt = reread(&w);
    FUZZ_CHECK(rtcp_is_twcc(&pkt) && rtcp_fb_parse(&pkt, &fb2) == 0 &&
               twcc_fb_parse(&fb2, &again) == 0);
    FUZZ_CHECK(again.base_seq == msg.base_seq && again.ref_time == msg.ref_time &&
               again.fb_count == msg.fb_count && again.n_status == next);
    for (; n > 0; n--) {
        FUZZ_CHECK(twcc_fb_next(&msg, &arrival) && twcc_fb_next(&again, &arrival2));
        FUZZ_CHECK(arrival.seq == arrival2.seq &&
                   arrival.delta_ticks == arrival2.delta_ticks);
    }
    FUZZ_CHECK(!twcc_fb_next(&again, &arrival2));
}

static void on_feedback(const struct rtcp_pkt *pkt)
{
    struct rtcp_fb fb;

    if (rtcp_fb_parse(pkt, &fb) != 0) {
        return;
    }
    if (rtcp_is_nack(pkt)) {
        on_nack(&fb);
    } else if (rtcp_is_twcc(pkt)) {
        on_twcc(&fb);
    } else if (rtcp_is_fir(pkt)) {
        on_fir(&fb);
    } else if (pkt->pt == RTCP_PSFB && pkt->count == RTCP_PSFB_AFB) {
        on_remb(&fb);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rtcp_iter it = rtcp_iter_of(data, size);
    struct rtcp_pkt pkt;
    unsigned n = 0;
    int got;

    while ((got = rtcp_next(&it, &pkt)) == 1) {
        FUZZ_CHECK(++n <= RTCP_MAX_PACKETS);
        on_report(&pkt);
        switch (pkt.pt) {
        case RTCP_SDES:
            on_sdes(&pkt);
            break;
        case RTCP_BYE:
            on_bye(&pkt);
            break;
        case RTCP_XR:
            on_xr(&pkt);
            break;
        case RTCP_RTPFB:
        case RTCP_PSFB:
            on_feedback(&pkt);
            break;
        default:
            break;
        }
    }
    FUZZ_CHECK(rtcp_valid(data, size) == (got == 0 && n > 0));
    return 0;
}
