/* A meeting of four peers, each with an SRTP profile of its own, through every stage, on
 * each of the SRTP backends that the configuration can name: what one sends all others get,
 * over a wrap of their sequence numbers, with RTCP both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rtcp/rtcp_out.h"
#include "sfu/wire/rtcp_fb.h"
#include "support/far.h"

enum { N_FAR = 4, ROUNDS = 200, ROUND_US = 20000, FIRST_SEQ = 65500 };

static const uint32_t profiles[N_FAR] = {FAR_GCM, FAR_GCM256, FAR_CM80, FAR_CM32};

struct meeting {
    struct rig *rig;
    struct far fars[N_FAR];
    struct vault_stream_conf audio[N_FAR], video[N_FAR];
    unsigned n_audio[N_FAR][N_FAR]; /* [to][from]: packets that came in order */
    unsigned n_video[N_FAR][N_FAR];
    unsigned n_reports[N_FAR], n_plis[N_FAR]; /* [to] */
};

static uint32_t ssrc_of(unsigned from, bool video)
{
    return 100 + 2 * from + video;
}

/* As the subscription of 'to' shows it. */
static uint32_t out_ssrc_of(unsigned to, unsigned from, bool video)
{
    return 1000 + 100 * to + 2 * from + video;
}

static void meeting_start(struct meeting *m, enum crypt_backend backend)
{
    uint32_t slot = 0;

    memset(m, 0, sizeof(*m));
    m->rig = rig_start_on("mem", backend);
    for (uint32_t i = 0; i < N_FAR; i++) {
        far_open(&m->fars[i], m->rig, 1 + i, profiles[i], i % 2 == 0 ? 4 : 6);
        m->audio[i] = far_publish_audio(&m->fars[i], 2 * i, ssrc_of(i, false));
        m->video[i] = far_publish_video(&m->fars[i], 2 * i + 1, ssrc_of(i, true));
    }
    for (uint32_t to = 0; to < N_FAR; to++) {
        for (uint32_t from = 0; from < N_FAR; from++) {
            if (to != from) {
                (void)far_subscribe(&m->fars[to], slot++, &m->audio[from],
                                    out_ssrc_of(to, from, false));
                (void)far_subscribe(&m->fars[to], slot++, &m->video[from],
                                    out_ssrc_of(to, from, true));
            }
        }
    }
}

static void meeting_stop(struct meeting *m)
{
    for (unsigned i = 0; i < N_FAR; i++) {
        far_end(&m->fars[i]);
    }
    rig_stop(m->rig);
}

/* One packet of each stream; the audio says who and which. */
static void send_round(struct meeting *m, unsigned round)
{
    for (unsigned i = 0; i < N_FAR; i++) {
        const uint8_t text[3] = {(uint8_t)i, (uint8_t)(round >> 8), (uint8_t)round};
        const struct far_rtp audio = {.ssrc = ssrc_of(i, false),
                                      .pt = FAR_AUDIO_PT,
                                      .seq = (uint16_t)(FIRST_SEQ + round),
                                      .ts = 960 * round,
                                      .payload = text,
                                      .len = sizeof(text)};
        const struct far_rtp video = {.ssrc = ssrc_of(i, true),
                                      .pt = FAR_VIDEO_PT,
                                      .seq = (uint16_t)(FIRST_SEQ + round),
                                      .ts = 1800 * round,
                                      .payload = far_vp8_key,
                                      .len = sizeof(far_vp8_key),
                                      .marker = true};

        far_send_rtp(&m->fars[i], &audio);
        far_send_rtp(&m->fars[i], &video);
    }
}

/* A sender report of each publisher, and of each subscriber a wish for a key frame. */
static void send_rtcp(struct meeting *m)
{
    uint8_t buf[200];

    for (unsigned i = 0; i < N_FAR; i++) {
        const struct rtcp_sr sr = {.ssrc = ssrc_of(i, false), .ntp = 1, .rtp_ts = 1};
        struct wbytes w = wbytes_of(buf, sizeof(buf));

        rtcp_sr_write(&w, &sr, NULL, 0);
        rtcp_pli_write(&w, sr.ssrc, out_ssrc_of(i, (i + 1) % N_FAR, true));
        far_send_rtcp(&m->fars[i], &w);
    }
}

static void take_rtp(struct meeting *m, unsigned to, const struct far_got *got)
{
    const unsigned from = (got->hdr.ssrc - 1000) % 100 / 2;

    assert_in_range(from, 0, N_FAR - 1);
    if (got->hdr.ssrc == out_ssrc_of(to, from, true)) {
        assert_int_equal(got->payload_len, sizeof(far_vp8_key));
        m->n_video[to][from]++;
        return;
    }
    assert_int_equal(got->hdr.ssrc, out_ssrc_of(to, from, false));
    assert_int_equal(got->payload_len, 3);
    assert_int_equal(got->payload[0], from);
    assert_int_equal(load_be16(got->payload + 1), m->n_audio[to][from]);
    m->n_audio[to][from]++;
}

/* far_take() decrypts with plain libsrtp2 and fails the test if that fails. */
static void take_all(struct meeting *m)
{
    struct far_got got;
    struct rtcp_pkt pkt;

    for (unsigned to = 0; to < N_FAR; to++) {
        while (far_take(&m->fars[to], &got)) {
            if (got.kind == FAR_RTP) {
                take_rtp(m, to, &got);
            } else {
                m->n_reports[to] += far_find(&got, RTCP_SR, -1, &pkt);
                m->n_plis[to] += far_find(&got, RTCP_PSFB, RTCP_PSFB_PLI, &pkt);
            }
        }
    }
}

static void everybody_gets_everything(enum crypt_backend backend)
{
    static struct meeting m;

    meeting_start(&m, backend);
    for (unsigned round = 0; round < ROUNDS; round++) {
        send_round(&m, round);
        if (round % 50 == 25) {
            send_rtcp(&m);
        }
        rig_pass(m.rig, ROUND_US);
        take_all(&m);
    }
    for (unsigned to = 0; to < N_FAR; to++) {
        for (unsigned from = 0; from < N_FAR; from++) {
            assert_int_equal(m.n_audio[to][from], to == from ? 0 : ROUNDS);
            assert_int_equal(m.n_video[to][from], to == from ? 0 : ROUNDS);
        }
        assert_in_range(m.n_reports[to], N_FAR - 1, ROUNDS);
        assert_in_range(m.n_plis[to], 1, ROUNDS);
    }
    assert_int_equal(rig_done(m.rig, DONE_INGESTED), 2 * N_FAR * ROUNDS);
    assert_int_equal(rig_done(m.rig, DONE_RTCP), N_FAR * ROUNDS / 50);
    assert_int_equal(rig_drops_in(m.rig), 0);
    assert_int_equal(rig_drops_out(m.rig), 0);
    meeting_stop(&m);
}

static void four_profiles_meet_on_ipsec_mb(void **state)
{
    (void)state;
    everybody_gets_everything(CRYPT_IPSEC_MB);
}

static void four_profiles_meet_on_libsrtp2(void **state)
{
    (void)state;
    everybody_gets_everything(CRYPT_LIBSRTP);
}

/* A changed and a repeated packet of each, RTP and RTCP. */
static void attackers_get_nothing(enum crypt_backend backend)
{
    static struct meeting m;

    meeting_start(&m, backend);
    for (unsigned i = 0; i < N_FAR; i++) {
        const struct far_rtp rtp = {.ssrc = ssrc_of(i, false),
                                    .pt = FAR_AUDIO_PT,
                                    .seq = 7,
                                    .payload = "hello",
                                    .len = 5};
        uint8_t text[64], buf[2][PKT_ROOM];
        struct wbytes w = wbytes_of(text, sizeof(text));
        size_t len[2];

        rtcp_pli_write(&w, 1, out_ssrc_of(i, (i + 1) % N_FAR, true));
        len[0] = far_make_rtp(&m.fars[i], &rtp, buf[0]);
        len[1] = far_make_rtcp(&m.fars[i], &w, buf[1]);
        for (unsigned k = 0; k < 2; k++) {
            for (size_t at = len[k] - 4; at < len[k]; at++) { /* tag or SRTCP's index */
                buf[k][at] ^= 1;
                rig_inject(m.rig, &m.fars[i].path, buf[k], len[k]);
                buf[k][at] ^= 1;
            }
            rig_inject(m.rig, &m.fars[i].path, buf[k], len[k]);
            rig_inject(m.rig, &m.fars[i].path, buf[k], len[k]);
        }
        rig_ingress(m.rig);
    }
    assert_int_equal(rig_dropped(m.rig, DROP_AUTH), N_FAR * 2 * 4);
    assert_int_equal(rig_dropped(m.rig, DROP_REPLAY), N_FAR * 2);
    assert_int_equal(rig_done(m.rig, DONE_INGESTED), N_FAR);
    assert_int_equal(rig_done(m.rig, DONE_RTCP), N_FAR);
    meeting_stop(&m);
}

static void forgeries_and_replays_are_dropped_by_ipsec_mb(void **state)
{
    (void)state;
    attackers_get_nothing(CRYPT_IPSEC_MB);
}

static void forgeries_and_replays_are_dropped_by_libsrtp2(void **state)
{
    (void)state;
    attackers_get_nothing(CRYPT_LIBSRTP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_profiles_meet_on_ipsec_mb),
        cmocka_unit_test(four_profiles_meet_on_libsrtp2),
        cmocka_unit_test(forgeries_and_replays_are_dropped_by_ipsec_mb),
        cmocka_unit_test(forgeries_and_replays_are_dropped_by_libsrtp2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
