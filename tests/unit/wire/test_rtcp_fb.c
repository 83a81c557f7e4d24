/* PLI, FIR, Generic NACK and REMB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "support/exact.h"

/* The one packet in 'w' as feedback; it must be alone and well-formed. */
static struct rtcp_fb fb_of(const struct wbytes *w, struct rtcp_pkt *pkt)
{
    struct rtcp_iter it = rtcp_iter_of(w->start, wbytes_len(w));
    struct rtcp_fb fb = {0};
    struct rtcp_pkt more = {0};

    assert_false(w->bad);
    assert_int_equal(rtcp_next(&it, pkt), 1);
    assert_int_equal(rtcp_next(&it, &more), 0);
    assert_int_equal(rtcp_fb_parse(pkt, &fb), 0);
    return fb;
}

/* Byte for byte: RFC 4585, 6.3.1 and 6.2.1; RFC 5104, 4.3.1; draft-alvestrand-rmcat-remb,
 * 2.2. */
static void feedback_is_written_as_it_is_drawn(void **state)
{
    static const uint16_t seqs[] = {65530, 65531, 65535, 0, 10};
    static const struct rtcp_fir fir = {.ssrc = 100, .seq = 250};
    static const uint32_t about = 11;
    static const uint8_t drawn[] = {
        0x81, 206, 0, 2, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe,              /* PLI */
        0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 100, 250, 0, 0, 0, /* FIR */
        0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0xff, 0xfa, 0x80, 0x31,  /* NACK */
        0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 'R', 'E', 'M', 'B',      /* REMB: */
        1, 0x0b, 0xd0, 0x90, 0, 0, 0, 11, /* one SSRC, 250,000 << 2 */
    };
    uint8_t buf[128];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    (void)state;

    rtcp_pli_write(&w, 1, 0xfffffffe);
    rtcp_fir_write(&w, 9, &fir, 1);
    rtcp_nack_write(&w, 9, 8, seqs, sizeof(seqs) / sizeof(seqs[0]));
    rtcp_remb_write(&w, 9, 1000000, &about, 1);
    assert_false(w.bad);
    assert_int_equal(wbytes_len(&w), sizeof(drawn));
    assert_memory_equal(buf, drawn, sizeof(drawn));
}

static void pli_reads_back(void **state)
{
    uint8_t buf[12];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb fb = {0};
    (void)state;

    rtcp_pli_write(&w, 1, 0xfffffffe);
    fb = fb_of(&w, &pkt);
    assert_true(rtcp_is_pli(&pkt));
    assert_false(rtcp_is_fir(&pkt));
    assert_false(rtcp_is_nack(&pkt));
    assert_int_equal(fb.sender_ssrc, 1);
    assert_int_equal(fb.media_ssrc, 0xfffffffe);
    assert_int_equal(fb.fci_len, 0);
}

static void fir_list_reads_back_up_to_its_cap(void **state)
{
    uint8_t buf[512];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_fir entries[RTCP_FIR_MAX + 2];
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb fb = {0};
    (void)state;

    for (uint8_t i = 0; i < RTCP_FIR_MAX + 2; i++) {
        entries[i] = (struct rtcp_fir){.ssrc = 100u + i, .seq = (uint8_t)(250 + i)};
    }
    rtcp_fir_write(&w, 9, entries, RTCP_FIR_MAX + 2);
    fb = fb_of(&w, &pkt);
    assert_true(rtcp_is_fir(&pkt));
    assert_int_equal(rtcp_fir_count(&fb), RTCP_FIR_MAX);
    for (size_t i = 0; i < RTCP_FIR_MAX; i++) {
        assert_int_equal(rtcp_fir_at(&fb, i).ssrc, entries[i].ssrc);
        assert_int_equal(rtcp_fir_at(&fb, i).seq, entries[i].seq);
    }
    fb.fci_len = 15; /* half an entry is none */
    assert_int_equal(rtcp_fir_count(&fb), 1);
}

static void nack_reads_back_over_the_wrap(void **state)
{
    const uint16_t seqs[] = {65530, 65531, 65535, 0, 10, 11, 28, 300};
    const size_t n = sizeof(seqs) / sizeof(seqs[0]);
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb fb = {0};
    struct rtcp_nack_iter it;
    uint16_t seq = 0;
    (void)state;

    rtcp_nack_write(&w, 1, 2, seqs, n);
    fb = fb_of(&w, &pkt);
    assert_true(rtcp_is_nack(&pkt));
    assert_int_equal(fb.fci_len, 4 * 4); /* 65530.. 0 and 10; 11; 28; 300 */
    it = rtcp_nack_iter_of(&fb);
    for (size_t i = 0; i < n; i++) {
        assert_true(rtcp_nack_next(&it, &seq));
        assert_int_equal(seq, seqs[i]);
    }
    assert_false(rtcp_nack_next(&it, &seq));
}

static void nack_of_nothing_writes_nothing(void **state)
{
    uint8_t buf[64];
    struct wbytes w = wbytes_of(buf, sizeof(buf));
    (void)state;

    rtcp_nack_write(&w, 1, 2, NULL, 0);
    assert_int_equal(wbytes_len(&w), 0);
}

static void nack_iteration_is_capped(void **state)
{
    uint8_t fci[4 * (RTCP_NACK_MAX + 10)];
    const struct rtcp_fb fb = {.fci = fci, .fci_len = sizeof(fci)};
    struct rtcp_nack_iter it = rtcp_nack_iter_of(&fb);
    uint16_t seq = 0;
    unsigned n = 0;
    (void)state;

    memset(fci, 0xff, sizeof(fci));
    while (rtcp_nack_next(&it, &seq)) {
        n++;
    }
    assert_int_equal(n, RTCP_NACK_MAX * 17);
}

static void remb_keeps_18_significant_bits(void **state)
{
    const uint64_t rates[] = {0, 1, 262143, 262144, 30000, 2500000, 1234567890, UINT64_MAX};
    const uint32_t ssrcs[] = {11, 22};
    (void)state;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint8_t buf[64];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        struct rtcp_pkt pkt = {0};
        struct rtcp_fb fb = {0};
        struct rtcp_remb remb = {0};

        rtcp_remb_write(&w, 1, rates[i], ssrcs, 2);
        fb = fb_of(&w, &pkt);
        assert_int_equal(pkt.pt, RTCP_PSFB);
        assert_int_equal(pkt.count, RTCP_PSFB_AFB);
        assert_int_equal(rtcp_remb_parse(&fb, &remb), 0);
        assert_true(remb.rate_bps <= rates[i]);
        assert_true(rates[i] - remb.rate_bps <= rates[i] >> 17);
        assert_int_equal(remb.n_ssrcs, 2);
        assert_int_equal(load_be32(remb.ssrcs + 4), 22);
    }
}

static void remb_too_large_for_64_bits_saturates(void **state)
{
    const uint8_t fci[] = {'R', 'E', 'M', 'B', 0, 0xff, 0xff, 0xff};
    const struct rtcp_fb fb = {.fci = fci, .fci_len = sizeof(fci)};
    struct rtcp_remb remb = {0};
    (void)state;

    assert_int_equal(rtcp_remb_parse(&fb, &remb), 0);
    assert_true(remb.rate_bps == UINT64_MAX);
}

static void cut_remb_is_refused_and_other_feedback_is_told(void **state)
{
    const uint8_t fci[] = {'R', 'E', 'M', 'B', 1, 0, 0, 1, 0, 0, 0, 5};
    const uint8_t goog[] = {'g', 'o', 'o', 'g', 1, 0, 0, 1};
    const struct rtcp_fb other = {.fci = goog, .fci_len = sizeof(goog)};
    struct rtcp_remb remb = {0};
    (void)state;

    for (size_t len = 0; len <= sizeof(fci); len++) {
        uint8_t *data = exact_copy(fci, len);
        const struct rtcp_fb fb = {.fci = data, .fci_len = len};
        int want = len < 4 ? -ENOENT : len < sizeof(fci) ? -EBADMSG : 0;

        assert_int_equal(rtcp_remb_parse(&fb, &remb), want);
        free(data);
    }
    assert_int_equal(rtcp_remb_parse(&other, &remb), -ENOENT);
}

static void feedback_without_both_sources_is_refused(void **state)
{
    const uint8_t body[8] = {0};
    (void)state;

    for (size_t len = 0; len <= sizeof(body); len++) {
        uint8_t *data = exact_copy(body, len);
        const struct rtcp_pkt pkt = {.body = data, .len = len, .pt = RTCP_PSFB, .count = 1};
        struct rtcp_fb fb = {0};

        assert_int_equal(rtcp_fb_parse(&pkt, &fb), len < 8 ? -EBADMSG : 0);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feedback_is_written_as_it_is_drawn),
        cmocka_unit_test(pli_reads_back),
        cmocka_unit_test(fir_list_reads_back_up_to_its_cap),
        cmocka_unit_test(nack_reads_back_over_the_wrap),
        cmocka_unit_test(nack_of_nothing_writes_nothing),
        cmocka_unit_test(nack_iteration_is_capped),
        cmocka_unit_test(remb_keeps_18_significant_bits),
        cmocka_unit_test(remb_too_large_for_64_bits_saturates),
        cmocka_unit_test(cut_remb_is_refused_and_other_feedback_is_told),
        cmocka_unit_test(feedback_without_both_sources_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
