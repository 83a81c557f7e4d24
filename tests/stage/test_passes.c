/* A subscriber of a stream with temporal layers among others: what it does not need it is not
 * shown, but spared (route, core/switcher's walk). Alone it is shown everything. What it gets
 * has to be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "sfu/wire/rtcp_fb.h"
#include "support/call.h"

enum {
    SSRC = 100,
    OUT = 900, /* of the first; RTX is 100 more */
    OTHERS = 11,
    PICTURES = 700,
    FRAME_US = 33000,
    GOT_MAX = 8192,
    GOT_BYTES = 12
};

/* One packet that came. */
struct got {
    uint32_t ssrc, ts;
    uint16_t seq;
    bool marker;
    uint8_t payload[GOT_BYTES];
};

struct scene {
    struct rig *rig;
    struct far pub, first, others[OTHERS];
    struct vault_stream_conf stream;
    struct vault_sub_conf conf;
    unsigned n_others;
    unsigned seed;
    uint16_t seq, picture, last_seq;
    uint32_t time;
    uint8_t tl0;
    uint64_t spared; /* times that it was found to be so */
    struct got got[GOT_MAX];
    size_t n_got;
};

static bool chance(struct scene *s, unsigned of)
{
    return (unsigned)rand_r(&s->seed) % of == 0;
}

static struct vault_sub_conf subscribe(struct scene *s, struct far *far, uint32_t i,
                                       uint8_t temporal)
{
    struct vault_sub_conf conf = far_sub(far, i, &s->stream, OUT + i);

    conf.layered = 1;
    conf.rtx_ssrc = OUT + 100 + i;
    conf.rtx_pt = 102;
    conf.temporal = temporal;
    assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_OPEN, &conf), 0);
    return conf;
}

static void open_scene(struct scene *s, unsigned seed, unsigned n_others)
{
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->n_others = n_others;
    s->seq = (uint16_t)(65000 + seed * 100);
    s->picture = (uint16_t)(32700 + seed);
    s->rig = rig_start("mem");
    far_open(&s->pub, s->rig, 1, FAR_GCM, 4);
    far_open(&s->first, s->rig, 2, FAR_GCM, 4);
    s->stream = far_publish_video(&s->pub, 0, SSRC);
    s->conf = subscribe(s, &s->first, 0, 0);
    for (uint32_t i = 0; i < n_others; i++) {
        far_open(&s->others[i], s->rig, 3 + i, FAR_GCM, 4);
        (void)subscribe(s, &s->others[i], 1 + i, (uint8_t)(i % 3));
    }
}

static void close_scene(struct scene *s)
{
    far_end(&s->pub);
    far_end(&s->first);
    for (unsigned i = 0; i < s->n_others; i++) {
        far_end(&s->others[i]);
    }
    rig_stop(s->rig);
}

/* A picture of 1 to 3 packets; some are lost, or come behind the next. */
static void send_picture(struct scene *s)
{
    static const uint8_t cycle[] = {0, 2, 1, 2};
    static struct far_rtp late;
    static uint8_t late_payload[GOT_BYTES];
    const bool key = s->time == 0 || chance(s, 60);
    const uint8_t temporal = key ? 0 : cycle[s->time % 4];
    const unsigned n = 1 + (unsigned)rand_r(&s->seed) % 3;

    if (s->time == 0) {
        late.len = 0;
    }
    s->time++;
    s->picture++;
    s->tl0 = (uint8_t)(s->tl0 + (temporal == 0));
    for (unsigned i = 0; i < n; i++) {
        uint8_t payload[GOT_BYTES] = {i == 0 ? 0x90 : 0x80, 0xf0};
        struct far_rtp rtp = {.ssrc = SSRC,
                              .pt = FAR_VIDEO_PT,
                              .seq = ++s->seq,
                              .ts = s->time * 2970,
                              .marker = i + 1 == n,
                              .payload = payload,
                              .len = sizeof(payload)};

        store_be16(payload + 2, (uint16_t)(0x8000 | (s->picture & 0x7fff)));
        payload[4] = s->tl0;
        payload[5] = (uint8_t)(temporal << 6 | (temporal > 0 && chance(s, 3) ? 0x20 : 0));
        payload[6] = key ? 0 : 1;
        store_be16(payload + 10, s->seq);
        if (chance(s, 40)) {
            if (chance(s, 2)) {
                late = rtp;
                memcpy(late_payload, payload, sizeof(payload));
                late.payload = late_payload;
            }
            continue;
        }
        far_send_rtp(&s->pub, &rtp);
        if (late.len > 0 && chance(s, 3)) {
            far_send_rtp(&s->pub, &late);
            late.len = 0;
        }
    }
}

static void miss(struct scene *s, uint16_t seq)
{
    uint8_t bytes[64];
    struct wbytes w = wbytes_of(bytes, sizeof(bytes));

    rtcp_nack_write(&w, 9, OUT, &seq, 1);
    far_send_rtcp(&s->first, &w);
}

static void take(struct scene *s)
{
    struct far_got got;

    while (far_take_rtp(&s->first, &got)) {
        struct got *g = &s->got[s->n_got++];

        assert_true(s->n_got < GOT_MAX && got.payload_len <= GOT_BYTES + 2);
        memset(g, 0, sizeof(*g));
        g->ssrc = got.hdr.ssrc;
        g->seq = got.hdr.seq;
        g->ts = got.hdr.ts;
        g->marker = got.hdr.marker;
        memcpy(g->payload, got.payload, GOT_BYTES);
        if (g->ssrc == OUT) {
            s->last_seq = g->seq;
        }
    }
    for (unsigned i = 0; i < s->n_others; i++) {
        while (far_take(&s->others[i], &got)) {
        }
    }
}

/* What its user and its link do to it, too. */
static void play(struct scene *s)
{
    for (unsigned i = 0; i < PICTURES; i++) {
        const struct sub *sub = &s->rig->tables.subs[0];

        send_picture(s);
        rig_run(s->rig);
        rig_pass(s->rig, FRAME_US);
        s->spared += sub->layers != NULL && sub->passes != 0;
        take(s);
        if (chance(s, 8)) {
            miss(s, (uint16_t)(s->last_seq - (unsigned)rand_r(&s->seed) % 40));
        }
        if (chance(s, 25)) {
            s->conf.temporal = (uint8_t)((unsigned)rand_r(&s->seed) % 3);
            assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_UPDATE, &s->conf), 0);
        }
        if (chance(s, 60)) {
            s->conf.paused ^= 1;
            assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_UPDATE, &s->conf), 0);
        }
        if (s->conf.paused != 0 && chance(s, 5)) {
            s->conf.paused = 0;
            assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_UPDATE, &s->conf), 0);
        }
    }
}

static void one_among_others_gets_what_it_gets_alone(void **state)
{
    struct scene *alone = malloc(sizeof(*alone));
    struct scene *among = malloc(sizeof(*among));
    uint64_t spared = 0;
    size_t again = 0;
    (void)state;

    assert_true(alone != NULL && among != NULL);
    for (unsigned seed = 1; seed <= 12; seed++) {
        open_scene(alone, seed, 0);
        play(alone);
        close_scene(alone);
        open_scene(among, seed, OTHERS);
        play(among);
        close_scene(among);
        assert_int_equal(alone->spared, 0);
        spared += among->spared;
        assert_int_equal(among->n_got, alone->n_got);
        for (size_t i = 0; i < alone->n_got; i++) {
            assert_memory_equal(&among->got[i], &alone->got[i], sizeof(alone->got[i]));
            again += alone->got[i].ssrc != OUT;
        }
        assert_true(alone->n_got > PICTURES / 4);
    }
    assert_true(spared > 12 * PICTURES / 4);
    assert_true(again > 100);
    free(alone);
    free(among);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_among_others_gets_what_it_gets_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
