/* More is offered than a device takes, of a publisher that sends two sizes: who cannot be sent
 * the large one is sent the small one, and not nothing. In virtual time; test_overload.c
 * has the same of one size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/bytes.h"
#include "sfu/wire/rtcp_fb.h"
#include "support/far.h"

enum {
    N = 20, /* who watch */
    SMALL = 0,
    LARGE = 1,
    SSRC = 100,
    ROUND_MS = 20,
    SECOND = 50, /* rounds */
    PACKETS = 8, /* of a picture of the large size; of the small one 1 */
    ENOUGH = 300,
    HALF = 80, /* of 160; 20 would have to be for the small one */
    TOO_LITTLE = 10
};

struct viewer {
    struct far far;
    struct vault_sub_conf sub;
    uint32_t got[2];  /* in the second at hand */
    uint32_t seen[2]; /* seconds in which it saw that size */
    uint32_t unseen;  /* and in which it saw nothing */
    uint16_t last;
    bool any;
};

struct show {
    struct rig *rig;
    struct far pub;
    struct vault_stream_conf streams[2];
    struct viewer viewers[N];
    uint16_t seq[2], picture;
    uint8_t tl0;
    uint32_t rounds;
    unsigned asked; /* mask of the sizes of which a key frame is to come */
};

static void start(struct show *s)
{
    memset(s, 0, sizeof(*s));
    s->rig = rig_start("mem");
    far_open(&s->pub, s->rig, 1, FAR_GCM, 4);
    for (uint32_t i = 0; i < 2; i++) {
        s->streams[i] = far_publish_video(&s->pub, i, SSRC + i);
    }
    for (uint32_t i = 0; i < N; i++) {
        struct viewer *v = &s->viewers[i];

        far_open(&v->far, s->rig, 2 + i, FAR_GCM, 4);
        v->sub = far_sub(&v->far, i, &s->streams[SMALL], 1000 + i);
        v->sub.higher[0] = s->streams[LARGE].handle;
        v->sub.layered = 1;
        v->sub.spatial = v->sub.temporal = VAULT_LAYER_ANY;
        assert_int_equal(rig_sub(s->rig, ABI_OP_SUB_OPEN, &v->sub), 0);
    }
    s->asked = 3;
}

static void stop(struct show *s)
{
    port_mem_limit(s->rig->io, 0, 0, UINT64_MAX);
    rig_run(s->rig);
    far_end(&s->pub);
    for (uint32_t i = 0; i < N; i++) {
        far_end(&s->viewers[i].far);
    }
    rig_stop(s->rig);
}

static void picture(struct show *s, unsigned size)
{
    const unsigned n = size == LARGE ? PACKETS : 1;

    for (unsigned i = 0; i < n; i++) {
        uint8_t payload[12] = {i == 0 ? 0x90 : 0x80, 0xf0};
        struct far_rtp rtp = {.ssrc = SSRC + size,
                              .pt = FAR_VIDEO_PT,
                              .seq = ++s->seq[size],
                              .ts = s->rounds * 1800,
                              .marker = i + 1 == n,
                              .payload = payload,
                              .len = sizeof(payload)};

        store_be16(payload + 2, (uint16_t)(0x8000 | (s->picture & 0x7fff)));
        payload[4] = s->tl0;
        payload[6] = (s->asked >> size & 1) != 0 ? 0 : 1;
        payload[11] = (uint8_t)size;
        far_send_rtp(&s->pub, &rtp);
    }
}

/* An encoder makes each key frame that it is asked for, with the next picture. */
static void hear_requests(struct show *s)
{
    struct far_got got;

    s->asked = 0;
    while (far_take_rtcp(&s->pub, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_fb fb;

        while (rtcp_next(&it, &pkt) == 1) {
            if (rtcp_is_pli(&pkt) && rtcp_fb_parse(&pkt, &fb) == 0) {
                s->asked |= 1u << (fb.media_ssrc - SSRC);
            }
        }
    }
}

static void watch(struct show *s)
{
    for (uint32_t i = 0; i < N; i++) {
        struct viewer *v = &s->viewers[i];
        struct far_got got;

        while (far_take_rtp(&v->far, &got)) {
            assert_true(!v->any || got.hdr.seq == (uint16_t)(v->last + 1));
            v->any = true;
            v->last = got.hdr.seq;
            v->got[got.payload[11]]++;
        }
        v->far.read_at = 0;
        if (s->rounds % SECOND == 0) {
            v->seen[LARGE] += v->got[LARGE] >= SECOND / 2 * PACKETS;
            v->seen[SMALL] += v->got[SMALL] >= SECOND / 2;
            v->unseen += v->got[SMALL] + v->got[LARGE] == 0;
            v->got[SMALL] = v->got[LARGE] = 0;
        }
    }
}

static void go_on(struct show *s, uint32_t seconds, uint32_t most)
{
    struct rig *rig = s->rig;

    for (uint32_t r = 0; r < seconds * SECOND; r++) {
        s->rounds++;
        s->picture++;
        s->tl0++;
        picture(s, SMALL);
        picture(s, LARGE);
        rig_ingress(rig);
        for (uint32_t ms = 0; ms < ROUND_MS; ms++) {
            port_mem_limit(rig->io, 0, 0, most * (ms + 1) / ROUND_MS - most * ms / ROUND_MS);
            (void)pipeline_rtcp(&rig->pipe);
            (void)pipeline_layers(&rig->pipe);
            (void)pipeline_egress(&rig->pipe, 32);
            rig->lane.now_us += 1000;
        }
        hear_requests(s);
        watch(s);
        s->pub.read_at = 0;
        rig->n_frames = 0;
        if (s->rounds % SECOND == 0) {
            far_send_check(&s->pub, &s->pub.path);
            for (uint32_t i = 0; i < N; i++) {
                far_send_check(&s->viewers[i].far, &s->viewers[i].far.path);
            }
        }
    }
}

static void forget(struct show *s)
{
    for (uint32_t i = 0; i < N; i++) {
        struct viewer *v = &s->viewers[i];

        v->seen[SMALL] = v->seen[LARGE] = v->unseen = 0;
    }
}

/* All see something all the time, and as many as there is room for all of it; when there is
 * enough again, all do. */
static void who_is_not_sent_the_large_one_is_sent_the_small_one(void **state)
{
    struct show s;
    uint32_t large = 0;
    (void)state;

    start(&s);
    go_on(&s, 3, ENOUGH);
    forget(&s);
    go_on(&s, 20, HALF);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(s.viewers[i].unseen, 0);
        /* in turn; by frames a turn is longer */
        assert_in_range(s.viewers[i].seen[LARGE], 1, rig_mem_likes_runs() ? 20 : 19);
        large += s.viewers[i].seen[LARGE];
    }
    assert_true(large >= N * 20 * 7 / 20); /* 8 of 20 there is room for, at most */
    assert_int_equal(rig_drops_out(s.rig), 0);
    go_on(&s, 8, ENOUGH);
    forget(&s);
    go_on(&s, 2, ENOUGH);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(s.viewers[i].seen[LARGE], 2);
    }
    stop(&s);
}

/* Not even the small one for all: then some go without, and come back. */
static void not_even_the_small_one_for_all(void **state)
{
    struct show s;
    uint32_t unseen = 0;
    (void)state;

    start(&s);
    go_on(&s, 3, ENOUGH);
    forget(&s);
    go_on(&s, 20, TOO_LITTLE);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(s.viewers[i].unseen < 20);
        unseen += s.viewers[i].unseen;
    }
    assert_true(unseen <= N * 20 * 6 / 10); /* half of them there is room for */
    assert_in_range(s.rig->lane.counts.drops_out[DROP_SHED_VIDEO], N * SECOND * 5,
                    N * SECOND * 20);
    assert_int_equal(rig_drops_out(s.rig), s.rig->lane.counts.drops_out[DROP_SHED_VIDEO]);
    go_on(&s, 14, ENOUGH);
    forget(&s);
    go_on(&s, 2, ENOUGH);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(s.viewers[i].seen[LARGE], 2);
    }
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_not_sent_the_large_one_is_sent_the_small_one),
        cmocka_unit_test(not_even_the_small_one_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
