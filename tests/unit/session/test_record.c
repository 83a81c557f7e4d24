/* record: what is written is read again, and what others wrote is refused, not believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session/record.h"

static const uint8_t tag[] = "1abcdefghij";

static struct ortc_producer producer(void)
{
    struct ortc_producer p = {.kind = RTP_KIND_VIDEO,
                              .mid = "0",
                              .cname = "somebody",
                              .n_codecs = 1,
                              .n_encodings = 2,
                              .ext_id = {[ORTC_EXT_MID] = 4, [ORTC_EXT_RID] = 10}};

    p.codecs[0] = (struct ortc_codec_map){.entry = 3,
                                          .codec = ORTC_H264,
                                          .pt = 96,
                                          .rtx_pt = 97,
                                          .router_pt = 105,
                                          .router_rtx_pt = 106,
                                          .n_fmtp = 2};
    p.codecs[0].fmtp[0] = (struct rtp_fmtp){.name = "profile-level-id", .text = "42e01f"};
    p.codecs[0].fmtp[1] =
        (struct rtp_fmtp){.name = "packetization-mode", .is_number = true, .number = 1};
    p.encodings[0] = (struct rtp_encoding){.rid = "l", .max_bitrate_bps = 100000};
    p.encodings[1] =
        (struct rtp_encoding){.rid = "h", .scalability_mode = "L1T3", .dtx = true};
    return p;
}

static struct vault_blob stream_blob(uint8_t encoding)
{
    const struct ortc_producer p = producer();
    struct vault_blob blob = {.len = 0};

    blob.len = (uint32_t)record_write_stream(blob.data, tag, sizeof(tag) - 1, encoding, &p);
    assert_int_not_equal(blob.len, 0);
    return blob;
}

static void a_producer_is_read_as_it_was_written(void **state)
{
    const struct ortc_producer before = producer();
    struct vault_blob blob = stream_blob(0);
    struct ortc_producer after;
    const uint8_t *got;
    uint8_t encoding, n;
    size_t len;
    (void)state;

    assert_int_equal(record_read_stream(&blob, &got, &len, &encoding, &n, &after), 0);
    assert_memory_equal(&after, &before, sizeof(after));
    assert_int_equal(len, sizeof(tag) - 1);
    assert_memory_equal(got, tag, len);
    assert_int_equal(encoding, 0);
    assert_int_equal(n, 2);
    blob = stream_blob(1);
    assert_int_equal(record_read_stream(&blob, &got, &len, &encoding, &n, NULL), 0);
    assert_int_equal(encoding, 1);
    assert_int_equal(record_read_stream(&blob, &got, &len, &encoding, &n, &after), -ENOENT);
}

static void a_consumer_is_read_as_it_was_written(void **state)
{
    struct ortc_consumer before = {.kind = RTP_KIND_AUDIO,
                                   .mid = "7",
                                   .cname = "from",
                                   .scalability_mode = "L1T2",
                                   .max_bitrate_bps = 64000,
                                   .ssrc = 70001,
                                   .rtx_ssrc = 70002,
                                   .n_codecs = 1,
                                   .ext_id = {[ORTC_EXT_MID] = 1}};
    struct vault_sub_conf conf = {
        .ssrc = 70001, .rtx_ssrc = 70002, .mid = "7", .mid_len = 1, .ext_id = {0, 1}};
    struct ortc_caps takes = {.codecs = 3,
                              .rtx = 2,
                              .feedback = {1, 31},
                              .audio_exts = 0x42,
                              .video_exts = 0x812,
                              .audio_ext_id = {[ORTC_EXT_MID] = 4},
                              .video_ext_id = {[ORTC_EXT_PLAYOUT_DELAY] = 14},
                              .pt = {111, 96},
                              .rtx_pt = {0, 97}};
    struct ortc_consumer after;
    struct ortc_caps caps;
    const uint8_t *got;
    size_t len;
    (void)state;

    before.codecs[0].pt = 100;
    before.codecs[0].rtx_pt = ORTC_NO_PT;
    before.codecs[0].feedback = ORTC_FB_NACK;
    conf.blob.len =
        (uint32_t)record_write_sub(conf.blob.data, tag, sizeof(tag) - 1, &before, NULL);
    assert_int_equal(record_read_sub(&conf, &got, &len, &after, &caps), 0);
    assert_memory_equal(&after, &before, sizeof(after));
    assert_int_equal(caps.codecs, 0); /* not movable */
    conf.blob.len =
        (uint32_t)record_write_sub(conf.blob.data, tag, sizeof(tag) - 1, &before, &takes);
    assert_int_equal(record_read_sub(&conf, &got, &len, &after, &caps), 0);
    assert_memory_equal(&after, &before, sizeof(after));
    assert_memory_equal(&caps, &takes, sizeof(caps));
    conf.blob.len--;
    assert_int_equal(record_read_sub(&conf, &got, &len, &after, &caps), -EBADMSG);
    conf.blob.len++;
    takes.pt[1] = 128;
    (void)record_write_sub(conf.blob.data, tag, sizeof(tag) - 1, &before, &takes);
    assert_int_equal(record_read_sub(&conf, &got, &len, &after, &caps), -EBADMSG);
    assert_memory_equal(got, tag, sizeof(tag) - 1);
}

static void parameters_that_do_not_fit_are_not_written(void **state)
{
    struct ortc_producer p = producer();
    uint8_t out[VAULT_BLOB_MAX];
    (void)state;

    p.codecs[0].n_fmtp = RTP_PARAMS_MAX_FMTP;
    for (int i = 0; i < RTP_PARAMS_MAX_FMTP; i++) {
        memset(p.codecs[0].fmtp[i].name, 'n', sizeof(p.codecs[0].fmtp[i].name) - 1);
        memset(p.codecs[0].fmtp[i].text, 't', sizeof(p.codecs[0].fmtp[i].text) - 1);
    }
    assert_int_equal(record_write_stream(out, tag, sizeof(tag) - 1, 0, &p), 0);
}

/* Every byte changed in every way, every length: an error or something within bounds. */
static void nothing_that_others_wrote_leads_out_of_bounds(void **state)
{
    const struct vault_blob good = stream_blob(0);
    struct ortc_producer out;
    const uint8_t *got;
    uint8_t encoding, n;
    size_t len;
    (void)state;

    for (uint32_t cut = 0; cut < good.len; cut++) {
        struct vault_blob blob = good;

        blob.len = cut;
        assert_int_not_equal(record_read_stream(&blob, &got, &len, &encoding, &n, &out), 0);
        for (int value = 0; value < 256; value++) {
            blob = good;
            blob.data[cut] = (uint8_t)value;
            if (record_read_stream(&blob, &got, &len, &encoding, &n, &out) != 0) {
                continue;
            }
            assert_in_range(out.n_codecs, 1, ORTC_MAX_CODECS);
            assert_in_range(out.n_encodings, 1, RTP_PARAMS_MAX_ENCODINGS);
            assert_in_range(out.codecs[0].n_fmtp, 0, RTP_PARAMS_MAX_FMTP);
            assert_in_range(out.codecs[0].entry, 0, ORTC_N_ENTRIES - 1);
            assert_true(memchr(out.cname, '\0', sizeof(out.cname)) != NULL);
        }
    }
    struct vault_blob wild = good;

    wild.len = VAULT_BLOB_MAX + 1;
    assert_int_equal(record_read_stream(&wild, &got, &len, &encoding, &n, &out), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_producer_is_read_as_it_was_written),
        cmocka_unit_test(a_consumer_is_read_as_it_was_written),
        cmocka_unit_test(parameters_that_do_not_fit_are_not_written),
        cmocka_unit_test(nothing_that_others_wrote_leads_out_of_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
