/* RTCP compounds, reports, SDES and BYE: RFC 3550, section 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/wire/rtcp.h"
#include "support/exact.h"

static const struct rtcp_block block_a = {.ssrc = 0xa1a2a3a4,
                                          .fraction_lost = 255,
                                          .lost = -1,
                                          .ext_highest_seq = 0x00010002,
                                          .jitter = 90,
                                          .lsr = 0xcafebabe,
                                          .dlsr = 65536};
static const struct rtcp_block block_b = {.ssrc = 5, .lost = 0x7fffff};

/* An SR with two blocks, SDES, RR and BYE, as one compound. */
static size_t compound_write(uint8_t *buf, size_t cap)
{
    struct wbytes w = wbytes_of(buf, cap);
    const struct rtcp_sr sr = {.ssrc = 7,
                               .ntp = 0x0102030405060708,
                               .rtp_ts = 0xffffffff,
                               .n_packets = 1000,
                               .n_bytes = 1200000};
    const struct rtcp_block blocks[] = {block_a, block_b};
    const uint32_t gone[] = {7, 8};

    rtcp_sr_write(&w, &sr, blocks, 2);
    rtcp_sdes_write(&w, 7, "media@node", 10);
    rtcp_rr_write(&w, 8, blocks, 1);
    rtcp_bye_write(&w, gone, 2);
    return w.bad ? 0 : wbytes_len(&w);
}

static void block_is(const struct rtcp_block got, const struct rtcp_block *want)
{
    assert_int_equal(got.ssrc, want->ssrc);
    assert_int_equal(got.fraction_lost, want->fraction_lost);
    assert_int_equal(got.lost, want->lost);
    assert_int_equal(got.ext_highest_seq, want->ext_highest_seq);
    assert_int_equal(got.jitter, want->jitter);
    assert_int_equal(got.lsr, want->lsr);
    assert_int_equal(got.dlsr, want->dlsr);
}

/* Byte for byte as RFC 3550 has it: 6.4.1, 6.5, 6.4.2, 6.6. */
static void compound_is_written_as_the_rfc_draws_it(void **state)
{
    static const uint8_t drawn[] = {
        /* SR, two blocks, 18 words more */
        0x82, 200, 0, 18, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff, 0xff,
        0, 0, 0x03, 0xe8, 0, 0x12, 0x4f, 0x80,
        0xa1, 0xa2, 0xa3, 0xa4, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 2, 0, 0, 0, 90,
        0xca, 0xfe, 0xba, 0xbe, 0, 1, 0, 0,
        0, 0, 0, 5, 0, 0x7f, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        /* SDES: a chunk with CNAME, ended by zeros up to a word */
        0x81, 202, 0, 5, 0, 0, 0, 7,
        1, 10, 'm', 'e', 'd', 'i', 'a', '@', 'n', 'o', 'd', 'e', 0, 0, 0, 0,
        /* RR, one block */
        0x81, 201, 0, 7, 0, 0, 0, 8,
        0xa1, 0xa2, 0xa3, 0xa4, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 2, 0, 0, 0, 90,
        0xca, 0xfe, 0xba, 0xbe, 0, 1, 0, 0,
        /* BYE of two */
        0x82, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8,
    };
    uint8_t buf[256];
    (void)state;

    assert_int_equal(compound_write(buf, sizeof(buf)), sizeof(drawn));
    assert_memory_equal(buf, drawn, sizeof(drawn));
}

static void written_compound_reads_back(void **state)
{
    uint8_t buf[256];
    size_t len = compound_write(buf, sizeof(buf));
    struct rtcp_iter it = rtcp_iter_of(buf, len);
    struct rtcp_pkt pkt = {0};
    struct rtcp_sr sr = {0};
    struct rtcp_rr rr = {0};
    struct rtcp_bye bye = {0};
    struct rtcp_sdes_iter chunks;
    struct rtcp_sdes sdes = {0};
    (void)state;

    assert_true(len > 0);
    assert_true(rtcp_valid(buf, len));

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.pt, RTCP_SR);
    assert_int_equal(rtcp_sr_parse(&pkt, &sr), 0);
    assert_int_equal(sr.ssrc, 7);
    assert_true(sr.ntp == 0x0102030405060708);
    assert_int_equal(sr.rtp_ts, 0xffffffff);
    assert_int_equal(sr.n_packets, 1000);
    assert_int_equal(sr.n_bytes, 1200000);
    assert_int_equal(sr.n_blocks, 2);
    block_is(rtcp_block_at(sr.blocks, 0), &block_a);
    block_is(rtcp_block_at(sr.blocks, 1), &block_b);

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.pt, RTCP_SDES);
    chunks = rtcp_sdes_iter_of(&pkt);
    assert_int_equal(rtcp_sdes_next(&chunks, &sdes), 1);
    assert_int_equal(sdes.ssrc, 7);
    assert_int_equal(sdes.cname_len, 10);
    assert_memory_equal(sdes.cname, "media@node", 10);
    assert_int_equal(rtcp_sdes_next(&chunks, &sdes), 0);

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.pt, RTCP_RR);
    assert_int_equal(rtcp_rr_parse(&pkt, &rr), 0);
    assert_int_equal(rr.ssrc, 8);
    assert_int_equal(rr.n_blocks, 1);
    block_is(rtcp_block_at(rr.blocks, 0), &block_a);

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.pt, RTCP_BYE);
    assert_int_equal(rtcp_bye_parse(&pkt, &bye), 0);
    assert_int_equal(bye.n_ssrcs, 2);
    assert_int_equal(load_be32(bye.ssrcs + 4), 8);
    assert_null(bye.reason);

    assert_int_equal(rtcp_next(&it, &pkt), 0);
    assert_int_equal(rtcp_next(&it, &pkt), 0);
}

static void compound_cut_inside_a_packet_is_invalid(void **state)
{
    uint8_t buf[256];
    size_t len = compound_write(buf, sizeof(buf));
    (void)state;

    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *data = exact_copy(buf, cut);
        struct rtcp_iter it = rtcp_iter_of(data, cut);
        struct rtcp_pkt pkt = {0};
        size_t whole = 0;

        while (rtcp_next(&it, &pkt) == 1) {
            whole = (size_t)(pkt.body - data) + pkt.len;
        }
        assert_true(rtcp_valid(data, cut) == (cut > 0 && whole == cut));
        free(data);
    }
}

static void body_shorter_than_it_announces_is_refused(void **state)
{
    uint8_t buf[256];
    struct rtcp_iter it = rtcp_iter_of(buf, compound_write(buf, sizeof(buf)));
    struct rtcp_pkt pkt = {0};
    (void)state;

    while (rtcp_next(&it, &pkt) == 1) {
        for (size_t len = 0; len <= pkt.len; len++) {
            uint8_t *body = exact_copy(pkt.body, len);
            const struct rtcp_pkt cut = {
                .body = body, .len = len, .pt = pkt.pt, .count = pkt.count};
            struct rtcp_sdes_iter chunks = rtcp_sdes_iter_of(&cut);
            struct rtcp_sdes sdes = {0};
            struct rtcp_sr sr = {0};
            struct rtcp_rr rr = {0};
            struct rtcp_bye bye = {0};

            assert_int_equal(rtcp_sr_parse(&cut, &sr),
                             len < 24 + 24u * pkt.count ? -EBADMSG : 0);
            assert_int_equal(rtcp_rr_parse(&cut, &rr),
                             len < 4 + 24u * pkt.count ? -EBADMSG : 0);
            (void)rtcp_bye_parse(&cut, &bye);
            if (pkt.pt == RTCP_SDES && len < 17) {
                assert_int_equal(rtcp_sdes_next(&chunks, &sdes), -EBADMSG);
                assert_int_equal(rtcp_sdes_next(&chunks, &sdes), -EBADMSG);
            }
            free(body);
        }
    }
}

static void padding_only_at_the_end_and_inside_of_the_packet(void **state)
{
    /* an RR padded by 4 bytes; then the same in front of another */
    const uint8_t padded[] = {0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4};
    uint8_t data[24];
    struct rtcp_iter it = rtcp_iter_of(padded, sizeof(padded));
    struct rtcp_pkt pkt = {0};
    (void)state;

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.len, 4);
    memcpy(data, padded, 12);
    memcpy(data + 12, padded, 12);
    assert_false(rtcp_valid(data, 24));
    data[11] = 0;
    assert_false(rtcp_valid(data, 12));
    data[11] = 12;
    assert_false(rtcp_valid(data, 12));
    data[11] = 9;
    assert_false(rtcp_valid(data, 12));
    data[11] = 8;
    assert_true(rtcp_valid(data, 12));
}

/* RFC 3550 asks for padding in words; browsers pad transport-cc by single bytes. */
static void padding_of_one_byte_as_chromium_sends_it_is_taken(void **state)
{
    const uint8_t captured[] = {0xaf, 0xcd, 0x00, 0x05, 0xfa, 0x17, 0xfa, 0x17,
                                0x4b, 0x3b, 0xee, 0x63, 0x00, 0x02, 0x00, 0x01,
                                0x01, 0x0c, 0x77, 0x01, 0x20, 0x01, 0x20, 0x01};
    struct rtcp_iter it = rtcp_iter_of(captured, sizeof(captured));
    struct rtcp_pkt pkt = {0};
    (void)state;

    assert_int_equal(rtcp_next(&it, &pkt), 1);
    assert_int_equal(pkt.len, 19);
    assert_true(rtcp_valid(captured, sizeof(captured)));
}

static void wrong_version_or_type_is_refused_for_ever(void **state)
{
    uint8_t data[] = {0x40, 201, 0, 0, 0x80, 201, 0, 0};
    struct rtcp_iter it = rtcp_iter_of(data, sizeof(data));
    struct rtcp_pkt pkt = {0};
    (void)state;

    assert_int_equal(rtcp_next(&it, &pkt), -EBADMSG);
    assert_int_equal(rtcp_next(&it, &pkt), -EBADMSG);
    data[0] = 0x80;
    assert_true(rtcp_valid(data, sizeof(data)));
    data[1] = 96;
    assert_false(rtcp_valid(data, sizeof(data)));
}

static void compound_of_too_many_packets_is_refused(void **state)
{
    uint8_t data[4 * (RTCP_MAX_PACKETS + 1)];
    (void)state;

    for (size_t i = 0; i < sizeof(data); i += 4) {
        memcpy(data + i, (const uint8_t[]){0x80, 203, 0, 0}, 4);
    }
    assert_true(rtcp_valid(data, sizeof(data) - 4));
    assert_false(rtcp_valid(data, sizeof(data)));
}

static void cname_of_every_length_reads_back(void **state)
{
    char name[255];
    (void)state;

    memset(name, 'n', sizeof(name));
    for (unsigned n = 1; n <= 255; n++) {
        uint8_t buf[300];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        struct rtcp_iter it = {0};
        struct rtcp_pkt pkt = {0};
        struct rtcp_sdes_iter chunks;
        struct rtcp_sdes sdes = {0};

        rtcp_sdes_write(&w, 3, name, (uint8_t)n);
        it = rtcp_iter_of(buf, wbytes_len(&w));
        assert_int_equal(rtcp_next(&it, &pkt), 1);
        assert_int_equal(rtcp_next(&it, &(struct rtcp_pkt){0}), 0);
        chunks = rtcp_sdes_iter_of(&pkt);
        assert_int_equal(rtcp_sdes_next(&chunks, &sdes), 1);
        assert_int_equal(sdes.cname_len, n);
        assert_int_equal(rtcp_sdes_next(&chunks, &sdes), 0);
    }
}

static void sdes_chunks_end_on_words_and_other_items_are_passed(void **state)
{
    /* chunk 1: NAME "ab", CNAME "c"; chunk 2: no items; chunk 3: CNAME "d" */
    const uint8_t body[] = {0, 0, 0, 1, 2, 2, 'a', 'b', 1, 1, 'c', 0, 0,   0,
                            0, 2, 0, 0, 0, 0, 0,   0,   0, 3, 1,   1, 'd', 0};
    const struct rtcp_pkt pkt = {
        .body = body, .len = sizeof(body), .pt = RTCP_SDES, .count = 3};
    struct rtcp_sdes_iter it = rtcp_sdes_iter_of(&pkt);
    struct rtcp_sdes sdes = {0};
    (void)state;

    assert_int_equal(rtcp_sdes_next(&it, &sdes), 1);
    assert_int_equal(sdes.ssrc, 1);
    assert_int_equal(sdes.cname[0], 'c');
    assert_int_equal(rtcp_sdes_next(&it, &sdes), 1);
    assert_int_equal(sdes.ssrc, 2);
    assert_null(sdes.cname);
    assert_int_equal(rtcp_sdes_next(&it, &sdes), 1);
    assert_int_equal(sdes.ssrc, 3);
    assert_int_equal(sdes.cname[0], 'd');
    assert_int_equal(rtcp_sdes_next(&it, &sdes), 0);
}

static void bye_reason_is_given(void **state)
{
    const uint8_t body[] = {0, 0, 0, 9, 3, 'b', 'y', 'e'};
    struct rtcp_pkt pkt = {.body = body, .len = sizeof(body), .pt = RTCP_BYE, .count = 1};
    struct rtcp_bye bye = {0};
    (void)state;

    assert_int_equal(rtcp_bye_parse(&pkt, &bye), 0);
    assert_int_equal(bye.reason_len, 3);
    assert_memory_equal(bye.reason, "bye", 3);
    pkt.len = 7;
    assert_int_equal(rtcp_bye_parse(&pkt, &bye), -EBADMSG);
}

static void writer_never_leaves_its_buffer(void **state)
{
    uint8_t full[256];
    size_t len = compound_write(full, sizeof(full));
    (void)state;

    for (size_t cap = 0; cap <= len; cap++) {
        uint8_t *buf = exact_copy(full, cap);

        assert_int_equal(compound_write(buf, cap), cap == len ? len : 0);
        free(buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compound_is_written_as_the_rfc_draws_it),
        cmocka_unit_test(written_compound_reads_back),
        cmocka_unit_test(compound_cut_inside_a_packet_is_invalid),
        cmocka_unit_test(body_shorter_than_it_announces_is_refused),
        cmocka_unit_test(padding_only_at_the_end_and_inside_of_the_packet),
        cmocka_unit_test(padding_of_one_byte_as_chromium_sends_it_is_taken),
        cmocka_unit_test(wrong_version_or_type_is_refused_for_ever),
        cmocka_unit_test(compound_of_too_many_packets_is_refused),
        cmocka_unit_test(cname_of_every_length_reads_back),
        cmocka_unit_test(sdes_chunks_end_on_words_and_other_items_are_passed),
        cmocka_unit_test(bye_reason_is_given),
        cmocka_unit_test(writer_never_leaves_its_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
