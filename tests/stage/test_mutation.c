/* 200,000 random changes of valid packets through the whole ingress path, and what they let
 * out again: nothing breaks, and every packet is counted exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"

enum { N_MUTATIONS = 200000, SEED = 20240601, BATCH = 256 };

static unsigned seed = SEED;

static uint32_t dice(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* Plaintext with as much structure as possible, sealed: what the authenticated parsers see
 * when a peer with keys is the attacker. */
static size_t hostile_rtp(struct call *call, uint8_t *out)
{
    uint8_t ext[64];
    uint8_t payload[64];
    struct far_rtp rtp = dice(2) != 0 ? call_audio(call, payload, dice(sizeof(payload)))
                                      : call_video(call, dice(2) != 0);

    for (size_t i = 0; i < sizeof(ext); i++) {
        ext[i] = (uint8_t)(dice(3) != 0 ? dice(256) : (FAR_EXT_TWCC + dice(12)) << 4);
        payload[i] = (uint8_t)dice(256);
    }
    rtp.ext = dice(4) != 0 ? ext : NULL;
    rtp.ext_len = rtp.ext != NULL ? 4 * dice(sizeof(ext) / 4) : 0;
    rtp.ext_profile = (uint16_t)(dice(2) != 0   ? RTP_EXT_ONE_BYTE
                                 : dice(4) != 0 ? RTP_EXT_TWO_BYTE
                                                : dice(65536));
    rtp.padding = (uint8_t)(dice(8) == 0 ? dice(256) : 0);
    rtp.marker = dice(2) != 0;
    if (dice(16) == 0) {
        rtp.pt = (uint8_t)dice(128);
    }
    if (dice(16) == 0) {
        rtp.ssrc = (rtp.ssrc & 3) << 8 | dice(64);
    }
    return far_make_rtp(&call->pub, &rtp, out);
}

static size_t hostile_rtcp(struct call *call, uint8_t *out)
{
    const struct rtcp_block block = {.ssrc = CALL_OUT_AUDIO_SSRC, .lsr = dice(1000)};
    const struct rtcp_sr sr = {.ssrc = CALL_AUDIO_SSRC, .ntp = dice(1 << 30)};
    const struct rtcp_fir fir = {.ssrc = CALL_OUT_VIDEO_SSRC};
    const uint16_t seqs[3] = {(uint16_t)dice(65536), 9, 10};
    const uint32_t ssrc = CALL_VIDEO_SSRC;
    struct far *from = dice(2) != 0 ? &call->pub : &call->sub;
    uint8_t buf[512];
    struct wbytes w = wbytes_of(buf, sizeof(buf));

    rtcp_sr_write(&w, &sr, &block, 1);
    rtcp_sdes_write(&w, 1, "name", 4);
    rtcp_nack_write(&w, 1, CALL_OUT_VIDEO_SSRC, seqs, 3);
    rtcp_fir_write(&w, 1, &fir, 1);
    rtcp_remb_write(&w, 1, dice(1 << 30), &ssrc, 1);
    rtcp_fb_write_header(&w, RTCP_RTPFB_TWCC, RTCP_RTPFB, 1, 2, 20);
    for (unsigned i = 0; i < 5; i++) {
        wbytes_be32(&w, dice(2) != 0 ? (uint32_t)rand_r(&seed) : dice(40));
    }
    rtcp_bye_write(&w, &ssrc, 1);
    for (uint32_t n = dice(6); n > 0; n--) { /* not the SSRC: its place is limited */
        size_t at = dice((uint32_t)wbytes_len(&w));

        buf[at] = (uint8_t)(at >= 4 && at < 8 ? buf[at] : dice(256));
    }
    return far_make_rtcp(from, &w, out);
}

/* Some valid packet of any kind. */
static size_t original(struct call *call, uint8_t *out)
{
    static const uint8_t dtls[40] = {22, 254, 253, [12] = 27, 1};

    switch (dice(5)) {
    case 0:
    case 1:
        return hostile_rtp(call, out);
    case 2:
        return hostile_rtcp(call, out);
    case 3:
        return far_make_check(&call->pub,
                              &(struct far_check){.nominate = dice(2) != 0,
                                                  .pwd = dice(8) == 0 ? "another" : NULL},
                              out);
    default:
        memcpy(out, dtls, sizeof(dtls));
        return sizeof(dtls);
    }
}

/* Changes it here and there, mostly where headers are. May leave it as it was. */
static size_t mutate(uint8_t *data, size_t len)
{
    for (uint32_t n = dice(4); n > 0 && len > 0; n--) {
        size_t at = dice(2) != 0 ? dice((uint32_t)len) : dice(len < 24 ? 1 : 24);

        switch (dice(4)) {
        case 0:
            data[at] ^= (uint8_t)(1u << dice(8));
            break;
        case 1:
            data[at] = (uint8_t)dice(256);
            break;
        case 2:
            len = at; /* cut */
            break;
        default:
            if (len + 40 < PKT_ROOM) { /* grow */
                memset(data + len, (int)dice(256), 40);
                len += dice(40);
            }
            break;
        }
    }
    return len;
}

static void mutated_packets_are_counted_exactly(const char *device, uint32_t profile)
{
    struct call call;
    struct path from[3];
    uint8_t data[PKT_ROOM];

    call_start(&call, device, profile, 4);
    from[0] = call.pub.path;
    from[1] = call.sub.path;
    from[2] = far_path(99, 0, 4);
    for (uint32_t i = 0; i < N_MUTATIONS / 2; i++) {
        size_t len = mutate(data, original(&call, data));

        rig_inject(call.rig, &from[dice(10) < 8 ? 0 : 1 + dice(2)], data, len);
        if (call.rig->n_inputs == BATCH) {
            call.rig->lane.now_us += dice(5000);
            rig_run(call.rig); /* asserts the sums */
            call.rig->n_frames = 0;
            call.rig->lane.n_news = 0;
        }
    }
    rig_run(call.rig);
    assert_int_equal(call.rig->pipe.rx.frames, N_MUTATIONS / 2);
    /* it reached every corner, and the unchanged ones went through */
    assert_true(rig_done(call.rig, DONE_INGESTED) > 1000);
    assert_true(rig_done(call.rig, DONE_RTCP) > 1000);
    assert_true(rig_done(call.rig, DONE_CONSENT) > 1000);
    assert_true(rig_done(call.rig, DONE_PUNTED) > 1000);
    assert_true(rig_dropped(call.rig, DROP_AUTH) > 1000);
    assert_true(rig_dropped(call.rig, DROP_RTCP_MALFORMED) > 100);
    assert_true(rig_dropped(call.rig, DROP_STUN_INTEGRITY) > 100);
    assert_true(rig_dropped(call.rig, DROP_STUN_MALFORMED) > 100);
    assert_true(call.rig->lane.counts.forwards > 1000);
    call_stop(&call);
}

static void mutated_gcm_packets_are_counted_exactly(void **state)
{
    (void)state;
    mutated_packets_are_counted_exactly("mem", FAR_GCM);
}

static void mutated_aes_cm_packets_are_counted_exactly(void **state)
{
    (void)state;
    mutated_packets_are_counted_exactly("mem:eth", FAR_CM80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_gcm_packets_are_counted_exactly),
        cmocka_unit_test(mutated_aes_cm_packets_are_counted_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
