/* By position, or as much as there is of a frame to each: nobody may tell which, however the
 * fan-out is held up in the midst of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "support/far.h"

enum {
    SSRC = 100,
    OUT = 900,
    N = 60, /* more than leave in a call of route */
    LEN = 1100,
    FRAME_US = 33000,
    BPS = 2000000
};

struct viewer {
    struct far far;
    struct vault_sub_conf conf;
    uint16_t seq, source; /* what came last */
    unsigned got;
    unsigned gaps, seams, doubles;
};

struct scene {
    struct rig *rig;
    struct far pub;
    struct vault_stream_conf stream;
    struct viewer viewers[N];
    unsigned seed;
    uint16_t seq, picture;
    uint8_t tl0;
    unsigned n_wrong;
};

static unsigned n_wrong; /* scenes */
static uint64_t n_paced;

static void scene_open(struct scene *s, const char *device, bool layered)
{
    memset(s, 0, sizeof(*s));
    s->rig = rig_start(device);
    s->rig->lane.pacer_window_us = 150000;
    far_open(&s->pub, s->rig, 1, FAR_GCM, 4);
    s->stream = far_publish_video(&s->pub, 0, SSRC);
    for (uint32_t i = 0; i < N; i++) {
        struct viewer *v = &s->viewers[i];

        far_open(&v->far, s->rig, 2 + i, FAR_GCM, 4);
        v->conf = far_sub(&v->far, i, &s->stream, OUT + i);
        v->conf.layered = layered;
        v->conf.rtx_ssrc = 0;
        v->conf.rtx_pt = 0;
        v->conf.temporal = 0;
        assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_OPEN, &v->conf), 0);
    }
}

static void scene_close(struct scene *s)
{
    for (uint32_t i = 0; i < N; i++) {
        far_end(&s->viewers[i].far);
    }
    far_end(&s->pub);
    rig_stop(s->rig);
}

/* A picture of 'n' packets, which come at once. */
static void show(struct scene *s, bool key, uint8_t temporal, unsigned n)
{
    const uint16_t picture = ++s->picture;

    s->tl0 = (uint8_t)(s->tl0 + (temporal == 0));
    for (unsigned i = 0; i < n; i++) {
        uint8_t payload[LEN] = {i == 0 ? 0x90 : 0x80, 0xf0};
        const struct far_rtp rtp = {.ssrc = SSRC,
                                    .pt = FAR_VIDEO_PT,
                                    .seq = ++s->seq,
                                    .ts = picture * 2970u,
                                    .marker = i + 1 == n,
                                    .payload = payload,
                                    .len = LEN};

        store_be16(payload + 2, 0x8000 | picture);
        payload[4] = s->tl0;
        payload[5] = (uint8_t)(temporal << 6 | (temporal > 0 ? 0x20 : 0));
        payload[6] = key ? 0 : 1;
        store_be16(payload + 10, s->seq);
        far_send_rtp(&s->pub, &rtp);
    }
    rig_ingress(s->rig);
}

static void see(struct scene *s)
{
    for (uint32_t i = 0; i < N; i++) {
        struct viewer *v = &s->viewers[i];
        struct far_got got;

        while (far_take_rtp(&v->far, &got)) {
            const uint16_t source = load_be16(got.payload + 10);

            if (v->got > 0) {
                v->seams += got.hdr.seq != (uint16_t)(v->seq + 1);
                v->gaps += source != (uint16_t)(v->source + 1);
                v->doubles += (int16_t)(source - v->source) <= 0;
            }
            v->seq = got.hdr.seq;
            v->source = source;
            v->got++;
        }
        v->far.read_at = 0;
    }
    s->rig->n_frames = 0;
}

/* Some with layers are paced; their time comes while the first packets of a frame are still
 * on their way to the others. */
static void wait_in_the_midst(const char *device, unsigned n_packets, uint64_t step_us)
{
    struct scene *s = malloc(sizeof(*s));
    const struct sublist_chunk *chunk;

    assert_non_null(s);
    scene_open(s, device, true);
    show(s, true, 0, 1);
    rig_pass(s->rig, FRAME_US);
    chunk = s->rig->tables.subs[0].stream->readers[0].subs.first;
    for (unsigned i = 0; i < N; i += 7) {
        far_send_remb(&s->viewers[chunk->subs[i]->index].far, BPS);
    }
    far_believe(s->rig);
    see(s);
    for (unsigned f = 0; f < 20; f++) {
        show(s, false, 0, n_packets);
        for (unsigned i = 0; i < 24; i++) {
            (void)pipeline_egress(&s->rig->pipe, 1);
            rig_check(s->rig);
            s->rig->lane.now_us += step_us;
        }
        rig_egress(s->rig);
        rig_pass(s->rig, 200000);
        see(s);
    }
    for (unsigned i = 0; i < N; i++) {
        const struct viewer *v = &s->viewers[i];

        if (v->got != 1 + 20 * n_packets || v->gaps + v->seams + v->doubles != 0) {
            print_message("%s, %u packets, %u us: viewer %u got %u of %u, %u gaps, %u seams\n",
                          device, n_packets, (unsigned)step_us, i, v->got,
                          1 + 20 * n_packets, v->gaps, v->seams);
            s->n_wrong++;
        }
    }
    if (s->n_wrong > 0) {
        n_wrong++;
    }
    n_paced += s->rig->lane.counts.paced;
    scene_close(s);
    free(s);
}

static void who_waits_loses_nothing(const char *device)
{
    static const uint64_t steps_us[] = {500, 1000, 2000, 3000, 4000};

    n_wrong = 0;
    n_paced = 0;
    for (unsigned i = 0; i < sizeof(steps_us) / sizeof(steps_us[0]); i++) {
        wait_in_the_midst(device, 9, steps_us[i]);
        wait_in_the_midst(device, 20, steps_us[i]);
    }
    assert_int_equal(n_wrong, 0);
    assert_true(n_paced > 100);
}

static void who_waits_with_layers_loses_nothing(void **state)
{
    (void)state;
    who_waits_loses_nothing("mem");
}

static void who_waits_with_layers_loses_nothing_in_runs(void **state)
{
    (void)state;
    who_waits_loses_nothing("mem:runs");
}

/* ---- what is counted ---- */

/* Each frame begins with a key frame's packet, so that nobody who comes back waits for one:
 * what was published each has had, or it is counted as skipped, and all that is as dropped.
 *
 * paced    some have a link that is known
 * visitor  one that is sent nothing comes and goes in the midst of frames */
static void all_is_counted(const char *device, bool paced, bool visitor)
{
    struct scene *s = malloc(sizeof(*s));
    const struct lane *lane;
    struct vault_sub_conf extra;
    uint64_t sum = 0, dropped, skipped = 0;
    bool there = false;
    unsigned n_shed = 0;
    uint64_t in_need = 0;

    assert_non_null(s);
    scene_open(s, device, false);
    lane = &s->rig->lane;
    s->seed = 1;
    if (paced) {
        for (unsigned i = 0; i < N; i += 3) {
            far_send_remb(&s->viewers[i].far, 2 * BPS);
        }
        far_believe(s->rig);
    }
    extra = far_sub(&s->viewers[0].far, N, &s->stream, OUT + N);
    extra.paused = 1;
    extra.rtx_ssrc = 0;
    extra.rtx_pt = 0;
    for (unsigned f = 0; f < 700; f++) {
        show(s, true, 0, 9);
        sum += 9;
        for (unsigned ms = 0; ms < 30; ms++) {
            port_mem_limit(s->rig->io, 0, 0, f < 300 ? 9 : UINT64_MAX);
            (void)pipeline_rtcp(&s->rig->pipe);
            for (unsigned b = 0; b < 32; b++) {
                (void)pipeline_egress(&s->rig->pipe, 1);
                if (visitor && (unsigned)rand_r(&s->seed) % 64 == 0) {
                    assert_int_equal(
                        rig_sub(s->rig, there ? ABI_OP_SUB_CLOSE : ABI_OP_SUB_OPEN, &extra),
                        0);
                    extra.handle += there ? UINT64_C(1) << 32 : 0;
                    there = !there;
                }
            }
            s->rig->lane.now_us += 1000;
        }
        s->rig->n_frames = 0;
        if (f == 299) {
            in_need = lane->counts.forwards;
        }
        n_shed += tables_stream(&s->rig->tables, s->stream.handle)->readers[0].n_shed > 0;
    }
    rig_egress(s->rig);
    assert_true(n_shed > 100);
    assert_int_equal(tables_stream(&s->rig->tables, s->stream.handle)->readers[0].n_shed, 0);
    for (unsigned i = 0; i < N; i++) {
        const struct sub *sub = tables_sub(&s->rig->tables, s->viewers[i].conf.handle);

        skipped += sub->rest->skipped;
        assert_int_equal(sub->packets + sub->rest->skipped, sum);
    }
    dropped = rig_drops_out(s->rig);
    assert_int_equal(lane->counts.forwards + skipped, sum * N);
    assert_int_equal(dropped, skipped);
    assert_true(in_need > UINT64_C(300 * 30 * 9) * 85 / 100);
    scene_close(s);
    free(s);
}

static void what_is_lost_is_counted(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 8; i++) {
        all_is_counted((i & 4) == 0 ? "mem" : "mem:runs", (i & 1) != 0, (i & 2) != 0);
    }
}

/* ---- at random ---- */

/* Viewers by number: the first third is sent all, the second has layers, the third (every
 * other with layers) pauses, goes on, leaves, comes and wishes for other layers. Every fourth
 * has a link that is known. */
enum { PLAIN = N / 3, STEADY = 2 * N / 3, FRAMES = 120, LOG = 4096 };

static bool one_in(struct scene *s, unsigned of)
{
    return (unsigned)rand_r(&s->seed) % of == 0;
}

static bool has_layers(unsigned i)
{
    return i >= PLAIN && (i < STEADY || i % 2 == 0);
}

static void open_one(struct scene *s, unsigned i)
{
    struct viewer *v = &s->viewers[i];

    v->conf = far_sub(&v->far, i, &s->stream, OUT + i + 100 * s->rig->gen);
    v->conf.layered = has_layers(i);
    v->conf.rtx_ssrc = 0;
    v->conf.rtx_pt = 0;
    v->conf.temporal = (uint8_t)(has_layers(i) ? i % 3 : 0);
    v->got = 0;
    assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_OPEN, &v->conf), 0);
}

static void touch_one(struct scene *s, bool *away)
{
    const unsigned i = STEADY + (unsigned)rand_r(&s->seed) % (N - STEADY);
    const unsigned what = (unsigned)rand_r(&s->seed) % 4;
    struct viewer *v = &s->viewers[i];

    if (away[i]) {
        open_one(s, i);
        away[i] = false;
    } else if (what == 0) {
        assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_CLOSE, &v->conf), 0);
        away[i] = true;
    } else if (what == 1 && has_layers(i)) {
        v->conf.temporal = (uint8_t)((unsigned)rand_r(&s->seed) % 3);
        assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_UPDATE, &v->conf), 0);
    } else {
        v->conf.paused ^= 1;
        assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_UPDATE, &v->conf), 0);
    }
}

/* 'log' has per viewer what it was sent, by the publisher's numbers. */
static void play(const char *device, unsigned seed, bool amidst, uint16_t (*log)[LOG],
                 unsigned *n_log)
{
    static const uint8_t cycle[] = {0, 2, 1, 2};
    struct scene *s = malloc(sizeof(*s));
    bool away[N] = {false};
    uint8_t temporal_of[LOG] = {0};
    unsigned n_sent;

    assert_non_null(s);
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->rig = rig_start(device);
    s->rig->lane.pacer_window_us = 150000;
    far_open(&s->pub, s->rig, 1, FAR_GCM, 4);
    s->stream = far_publish_video(&s->pub, 0, SSRC);
    for (uint32_t i = 0; i < N; i++) {
        far_open(&s->viewers[i].far, s->rig, 2 + i, FAR_GCM, 4);
        open_one(s, i);
        n_log[i] = 0;
    }
    show(s, true, 0, 1);
    rig_pass(s->rig, FRAME_US);
    for (uint32_t i = 0; i < N; i += 4) {
        far_send_remb(&s->viewers[i].far, 4 * BPS);
    }
    far_believe(s->rig);
    for (unsigned f = 0; f < FRAMES; f++) {
        const uint8_t temporal = cycle[f % 4];
        const unsigned n = 1 + (unsigned)rand_r(&s->seed) % 24;
        const unsigned parts = one_in(s, 3) ? 2 : 1;

        for (unsigned p = 0; p < parts; p++) { /* of one frame, or a second one at once */
            for (unsigned i = 0; i < n; i++) {
                temporal_of[s->seq + 1 + i] = temporal;
            }
            show(s, f % 12 == 0, temporal, n);
        }
        for (unsigned step = 0; step < 100; step++) {
            const unsigned bursts = (unsigned)rand_r(&s->seed) % 3;

            port_mem_limit(s->rig->io, 0, 0,
                           step > 60      ? UINT64_MAX
                           : one_in(s, 3) ? 0
                                          : (unsigned)rand_r(&s->seed) % 60);
            (void)pipeline_layers(&s->rig->pipe);
            for (unsigned b = 0; b < (step > 60 ? 32 : bursts); b++) {
                (void)pipeline_egress(&s->rig->pipe, 1);
            }
            rig_check(s->rig);
            if (amidst && one_in(s, 10)) {
                touch_one(s, away);
            }
            s->rig->lane.now_us += 1000;
        }
        if (!amidst && one_in(s, 2)) {
            touch_one(s, away);
        }
        (void)pipeline_rtcp(&s->rig->pipe);
        for (uint32_t i = 0; i < N; i++) {
            struct viewer *v = &s->viewers[i];
            struct far_got got;

            while (far_take_rtp(&v->far, &got)) {
                const uint16_t source = load_be16(got.payload + 10);

                if (v->got > 0 && got.hdr.ssrc == v->conf.ssrc) {
                    assert_int_equal(got.hdr.seq, (uint16_t)(v->seq + 1));
                    if (i < STEADY) {
                        assert_in_range((uint16_t)(source - v->source), 1, 200);
                    }
                }
                v->seq = got.hdr.seq;
                v->source = source;
                v->got += got.hdr.ssrc == v->conf.ssrc;
                assert_true(n_log[i] < LOG);
                log[i][n_log[i]++] = source;
            }
            v->far.read_at = 0;
        }
        s->rig->n_frames = 0;
    }
    assert_int_equal(rig_drops_out(s->rig), 0);
    for (uint32_t i = 0; i < STEADY; i++) {
        n_sent = 0;
        for (unsigned q = 1; q <= s->seq; q++) {
            if (i < PLAIN || temporal_of[q] <= i % 3) {
                if (n_sent >= n_log[i] || log[i][n_sent] != q) {
                    print_message("%s seed %u amidst %d: viewer %u paced %d: %u. is %u, not %u\n",
                                  device, seed, amidst, i, i % 4 == 0, n_sent,
                                  n_sent < n_log[i] ? log[i][n_sent] : 0, q);
                    n_wrong++;
                    break;
                }
                n_sent++;
            }
        }
    }
    n_paced += s->rig->lane.counts.paced;
    scene_close(s);
    free(s);
}

static void both_orders_are_the_same(void **state)
{
    static uint16_t logs[2][N][LOG];
    static unsigned n_logs[2][N];
    (void)state;

    n_wrong = 0;
    n_paced = 0;
    for (unsigned seed = 1; seed <= 3; seed++) {
        play("mem", seed, false, logs[0], n_logs[0]);
        play("mem:runs", seed, false, logs[1], n_logs[1]);
        for (unsigned i = 0; i < N; i++) {
            if (n_logs[0][i] != n_logs[1][i] ||
                memcmp(logs[0][i], logs[1][i], n_logs[0][i] * sizeof(logs[0][i][0])) != 0) {
                print_message("seed %u viewer %u: %u and %u\n", seed, i, n_logs[0][i],
                              n_logs[1][i]);
                n_wrong++;
            }
        }
        play("mem", seed, true, logs[0], n_logs[0]);
        play("mem:runs", seed, true, logs[1], n_logs[1]);
    }
    assert_int_equal(n_wrong, 0);
    assert_true(n_paced > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_with_layers_loses_nothing),
        cmocka_unit_test(who_waits_with_layers_loses_nothing_in_runs),
        cmocka_unit_test(what_is_lost_is_counted),
        cmocka_unit_test(both_orders_are_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
