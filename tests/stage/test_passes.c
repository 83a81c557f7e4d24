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
    GOT_BYTES = 12,
    CROWD = 120, /* more than leave in a call of route, in more than one chunk of the list */
    FEW = 10,     /* too few for that, and now and then for a walk */
    VISITORS = 6, /* of them, who come and go */
    SHOWN = 300,
    SETTLED = 3 /* pictures behind a key frame: what is wanted is what comes */
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

/* ---- what happens in the midst of a packet's way to all ---- */

struct member {
    struct far far;
    struct vault_sub_conf conf;
    uint16_t seq, picture; /* what came last */
    uint16_t source;
    bool any;
    bool away;        /* a visitor */
    unsigned got;     /* packets of the picture at hand */
    unsigned settled; /* pictures since a key frame, without a change */
};

struct crowd {
    struct rig *rig;
    struct far pub;
    struct vault_stream_conf stream;
    struct member members[CROWD];
    unsigned n;
    unsigned seed;
    uint16_t seq, picture;
    uint8_t tl0;
    uint64_t amidst; /* changes while some had had a packet, and others not */
    uint64_t spared;
};

static bool one_in(struct crowd *c, unsigned of)
{
    return (unsigned)rand_r(&c->seed) % of == 0;
}

static void crowd_open(struct crowd *c, unsigned seed, unsigned n)
{
    memset(c, 0, sizeof(*c));
    c->seed = seed;
    c->n = n;
    c->rig = rig_start("mem");
    far_open(&c->pub, c->rig, 1, FAR_GCM, 4);
    c->stream = far_publish_video(&c->pub, 0, SSRC);
    for (uint32_t i = 0; i < n; i++) {
        struct member *m = &c->members[i];

        far_open(&m->far, c->rig, 2 + i, FAR_GCM, 4);
        m->conf = far_sub(&m->far, i, &c->stream, OUT + i);
        m->conf.layered = 1;
        m->conf.rtx_ssrc = 0;
        m->conf.rtx_pt = 0;
        m->conf.temporal = (uint8_t)(i % 3);
        assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_OPEN, &m->conf), 0);
    }
}

/* Somebody wants another layer, pauses, goes on, leaves or comes. */
static void change_one(struct crowd *c)
{
    struct member *m = &c->members[(unsigned)rand_r(&c->seed) % c->n];
    const bool visitor = m < &c->members[VISITORS];

    m->settled = 0;
    if (visitor && !m->away) {
        assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_CLOSE, &m->conf), 0);
        m->conf.handle += UINT64_C(1) << 32;
        m->conf.ssrc += 1000;
    } else if (visitor) {
        assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_OPEN, &m->conf), 0);
    }
    m->away = visitor && !m->away;
    if (visitor) {
        return;
    }
    if (one_in(c, 4) || m->conf.paused != 0) {
        m->conf.paused ^= 1;
    } else {
        m->conf.temporal = (uint8_t)((unsigned)rand_r(&c->seed) % 3);
    }
    assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_UPDATE, &m->conf), 0);
}

/* One burst after the other, and what may happen between two of them. */
static void fan_out(struct crowd *c)
{
    const struct stream_readers *readers =
        &tables_stream(&c->rig->tables, c->stream.handle)->readers[0];

    rig_ingress(c->rig);
    while (lane_has_grown(&c->rig->lane)) {
        (void)pipeline_egress(&c->rig->pipe, 1);
        if (one_in(c, 6)) {
            c->amidst += !sublist_is_start(&readers->subs, &readers->at);
            change_one(c);
        }
        rig_check(c->rig);
    }
}

static void show_picture(struct crowd *c, bool key, uint8_t temporal, unsigned n)
{
    const uint16_t picture = ++c->picture;

    c->tl0 = (uint8_t)(c->tl0 + (temporal == 0));
    for (unsigned i = 0; i < n; i++) {
        uint8_t payload[GOT_BYTES] = {i == 0 ? 0x90 : 0x80, 0xf0};
        const struct far_rtp rtp = {.ssrc = SSRC,
                                    .pt = FAR_VIDEO_PT,
                                    .seq = ++c->seq,
                                    .ts = picture * 2970u,
                                    .marker = i + 1 == n,
                                    .payload = payload,
                                    .len = sizeof(payload)};

        store_be16(payload + 2, 0x8000 | picture);
        payload[4] = c->tl0;
        payload[5] = (uint8_t)(temporal << 6 | (temporal > 0 ? 0x20 : 0));
        payload[6] = key ? 0 : 1;
        store_be16(payload + 10, c->seq);
        far_send_rtp(&c->pub, &rtp);
    }
}

/* What a member sees has no seam: of numbers, of pictures, or of time. */
static void see(struct member *m, bool visitor)
{
    struct far_got got;

    m->got = 0;
    while (far_take(&m->far, &got)) {
        uint16_t picture, source;

        if (got.kind != FAR_RTP) {
            continue;
        }
        picture = load_be16(got.payload + 2) & 0x7fff;
        source = load_be16(got.payload + 10);
        if (m->any && !visitor) {
            assert_int_equal(got.hdr.seq, (uint16_t)(m->seq + 1));
            assert_in_range((picture - m->picture) & 0x7fff, 0, 1);
            if (m->settled > 0) { /* a pause may end with a key frame of before */
                assert_in_range((uint16_t)(source - m->source), 1, INT16_MAX);
            }
        }
        m->any = true;
        m->seq = got.hdr.seq;
        m->picture = picture;
        m->source = source;
        m->got++;
    }
    m->far.read_at = 0;
}

static void who_changes_in_the_midst_of_a_packet_sees_no_seam(void **state)
{
    static const uint8_t cycle[] = {0, 2, 1, 2};
    struct crowd *c = malloc(sizeof(*c));
    uint64_t amidst = 0, spared = 0, settled = 0;
    (void)state;

    assert_non_null(c);
    for (unsigned seed = 1; seed <= 6; seed++) {
        crowd_open(c, seed, seed % 2 == 0 ? FEW : CROWD);
        for (unsigned i = 0; i < SHOWN; i++) {
            const bool key = i % 16 == 0;
            const uint8_t temporal = cycle[i % 4];
            const unsigned n = 1 + (unsigned)rand_r(&c->seed) % 3;
            bool sure[CROWD] = {false};

            for (unsigned k = 0; k < c->n; k++) {
                struct member *m = &c->members[k];

                sure[k] = m->settled > SETTLED;
                m->settled = key && m->settled == 0 ? 1 : m->settled;
            }
            show_picture(c, key, temporal, n);
            fan_out(c);
            rig_pass(c->rig, FRAME_US);
            for (unsigned k = 0; k < c->n; k++) {
                struct member *m = &c->members[k];

                see(m, k < VISITORS);
                if (m->settled == 0 || m->conf.paused != 0 || m->away) {
                    continue;
                }
                m->settled++;
                if (sure[k]) {
                    assert_int_equal(m->got, temporal <= m->conf.temporal ? n : 0);
                    settled++;
                }
                c->spared += c->rig->tables.subs[k].passes != 0;
            }
            c->rig->n_frames = 0; /* seen */
        }
        amidst += c->amidst;
        spared += c->spared;
        for (unsigned k = 0; k < c->n; k++) {
            far_end(&c->members[k].far);
        }
        far_end(&c->pub);
        rig_stop(c->rig);
    }
    assert_true(amidst > 400);
    assert_true(spared > 3 * SHOWN * CROWD / 4);
    assert_true(settled > 3 * SHOWN * CROWD / 4);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_among_others_gets_what_it_gets_alone),
        cmocka_unit_test(who_changes_in_the_midst_of_a_packet_sees_no_seam),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
