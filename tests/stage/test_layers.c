/* A subscriber of a simulcast publisher through every stage: which stream it gets, that its
 * numbers go on without a seam, and what is asked of the publisher. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "sfu/wire/rtcp_fb.h"
#include "stage/begin.h"
#include "stage/layers.h"
#include "support/call.h"

enum {
    N = 3,
    SSRC = 100,
    OUT = 900,
    RTX = 901,
    FRAME_US = 33000,
    LONG = 28 /* frames: nearly what a ring holds */
};

struct cast {
    struct rig *rig;
    struct far pub, sub;
    struct vault_stream_conf streams[N];
    struct vault_sub_conf conf;
    uint16_t seq[N], picture[N];
    uint32_t time; /* frames that were sent */
    uint8_t tl0[N];
    /* what the subscriber has got last */
    uint16_t out_seq, out_picture;
    uint32_t out_ts, n_got;
    uint8_t from; /* which stream: the payload's last byte */
    bool any;
};

static void cast_open(struct cast *c, uint8_t spatial, uint8_t temporal)
{
    memset(c, 0, sizeof(*c));
    c->rig = rig_start("mem");
    far_open(&c->pub, c->rig, 1, FAR_GCM, 4);
    far_open(&c->sub, c->rig, 2, FAR_GCM, 4);
    for (uint32_t i = 0; i < N; i++) {
        c->streams[i] = far_publish_video(&c->pub, i, SSRC + i);
        c->seq[i] = (uint16_t)(65530 + 100 * i);
        c->picture[i] = (uint16_t)(32760 - 1000 * i);
    }
    c->conf = far_sub(&c->sub, 0, &c->streams[0], OUT);
    c->conf.higher[0] = c->streams[1].handle;
    c->conf.higher[1] = c->streams[2].handle;
    c->conf.layered = 1;
    c->conf.rtx_ssrc = RTX;
    c->conf.rtx_pt = 102;
    c->conf.spatial = spatial;
    c->conf.temporal = temporal;
    assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_OPEN, &c->conf), 0);
}

static void cast_close(struct cast *c)
{
    far_end(&c->pub);
    far_end(&c->sub);
    rig_stop(c->rig);
}

/* One packet of the next frame of a stream. */
static void frame(struct cast *c, unsigned i, bool key, uint8_t temporal, bool marker,
                  bool first)
{
    uint8_t payload[12] = {first ? 0x90 : 0x80, 0xf0};
    struct far_rtp rtp = {.ssrc = SSRC + i,
                          .pt = FAR_VIDEO_PT,
                          .seq = ++c->seq[i],
                          .ts = i * 987654321u + c->time * 2970,
                          .marker = marker,
                          .payload = payload,
                          .len = sizeof(payload)};

    store_be16(payload + 2, (uint16_t)(0x8000 | (c->picture[i] & 0x7fff)));
    payload[4] = c->tl0[i];
    payload[5] = (uint8_t)(temporal << 6 | (temporal > 0 ? 0x20 : 0));
    payload[6] = key ? 0 : 1;
    payload[11] = (uint8_t)i;
    far_send_rtp(&c->pub, &rtp);
}

/* Everything that came: numbers by one, time and picture ids upwards. */
static void take(struct cast *c)
{
    struct far_got got;

    while (far_take_rtp(&c->sub, &got)) {
        uint16_t picture = load_be16(got.payload + 2) & 0x7fff;

        assert_int_equal(got.hdr.ssrc, OUT);
        if (c->any) {
            uint16_t up = (picture - c->out_picture) & 0x7fff;

            assert_int_equal(got.hdr.seq, (uint16_t)(c->out_seq + 1));
            assert_true(up == 1 || (up == 0 && got.hdr.ts == c->out_ts));
            assert_true((int32_t)(got.hdr.ts - c->out_ts) >= 0);
        }
        c->any = true;
        c->out_seq = got.hdr.seq;
        c->out_ts = got.hdr.ts;
        c->out_picture = picture;
        c->from = got.payload[11];
        c->n_got++;
    }
}

/* A picture of the streams in 'mask', key frames of those in 'keys'; two packets each. */
static void picture(struct cast *c, unsigned mask, unsigned keys, uint8_t temporal)
{
    c->time++;
    for (unsigned i = 0; i < N; i++) {
        if ((mask >> i & 1) != 0) {
            c->picture[i]++;
            c->tl0[i] = (uint8_t)(c->tl0[i] + (temporal == 0 ? 1 : 0));
            frame(c, i, (keys >> i & 1) != 0, temporal, false, true);
            frame(c, i, (keys >> i & 1) != 0, temporal, true, false);
        }
    }
    rig_run(c->rig);
    rig_pass(c->rig, FRAME_US);
    take(c);
}

/* PLIs that the publisher got for each stream, as a mask. */
static unsigned asked(struct cast *c)
{
    struct far_got got;
    unsigned mask = 0;

    while (far_take_rtcp(&c->pub, &got)) {
        struct rtcp_iter it = rtcp_iter_of(got.data, got.len);
        struct rtcp_pkt pkt;
        struct rtcp_fb fb;

        while (rtcp_next(&it, &pkt) == 1) {
            if (rtcp_is_pli(&pkt) && rtcp_fb_parse(&pkt, &fb) == 0) {
                mask |= 1u << (fb.media_ssrc - SSRC);
            }
        }
    }
    return mask;
}

static void wish(struct cast *c, uint8_t spatial, uint8_t temporal)
{
    c->conf.spatial = spatial;
    c->conf.temporal = temporal;
    assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_UPDATE, &c->conf), 0);
}

static void settle(struct cast *c)
{
    for (int i = 0; i < 8; i++) {
        picture(c, 7, i == 0 ? 7 : 0, 0);
    }
}

static void the_highest_layer_that_comes_is_sent(void **state)
{
    struct cast c;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    for (int i = 0; i < 5; i++) {
        picture(&c, 1, i == 0, 0); /* only the lowest comes at first */
    }
    assert_int_equal(c.from, 0);
    assert_true(c.n_got >= 8);
    (void)asked(&c);
    for (int i = 0; i < 10; i++) {
        picture(&c, 7, 0, 0);
    }
    assert_true((asked(&c) & 4) != 0); /* a key frame of what it is to have */
    assert_int_equal(c.from, 0);
    picture(&c, 7, 4, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 2);
    cast_close(&c);
}

static void a_wish_changes_the_stream_and_no_number_shows_it(void **state)
{
    struct cast c;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t to = (uint8_t)(i * 7 % 3);

        wish(&c, to, VAULT_LAYER_ANY);
        picture(&c, 7, 0, 0);
        picture(&c, 7, 1u << to, 0);
        picture(&c, 7, 0, 0);
        assert_int_equal(c.from, to);
    }
    cast_close(&c);
}

/* Wishes for the next of 'n' layers each 'pictures', of a sender that makes each key frame
 * that it is asked for. Notes how many those are, of each layer. Returns how many of the
 * wishes came true before the next. */
static unsigned wish_in_turns(struct cast *c, const uint8_t *layers, unsigned n,
                              unsigned wishes, unsigned pictures, unsigned keys[3])
{
    unsigned served = 0;

    for (unsigned i = 0; i < wishes; i++) {
        const uint8_t to = layers[i % n];

        wish(c, to, VAULT_LAYER_ANY);
        for (unsigned k = 0; k < pictures; k++) {
            const unsigned mask = asked(c);

            for (unsigned s = 0; s < 3; s++) {
                keys[s] += mask >> s & 1;
            }
            picture(c, 7, mask, 0);
        }
        served += c->from == to;
        far_send_check(&c->pub, &c->pub.path);
        far_send_check(&c->sub, &c->sub.path);
    }
    return served;
}

static void a_hundred_changes_are_not_slowed(void **state)
{
    const uint8_t layers[] = {0, 2, 1};
    unsigned keys[3] = {0};
    struct cast c;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    assert_int_equal(wish_in_turns(&c, layers, 3, 100, 30, keys), 100);
    cast_close(&c);
}

/* A key frame costs all who watch quality. Who changes its mind faster than it can be
 * served is heard at first, and then each 3 s; what it wished for last it gets. */
static void endless_changes_reach_the_publisher_seldom(void **state)
{
    const uint8_t layers[] = {2, 0};
    unsigned keys[3] = {0};
    struct cast c;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    (void)asked(&c);
    (void)wish_in_turns(&c, layers, 2, 75, 12, keys); /* for 30 s */
    assert_in_range(keys[0], 8, 8 + 30 / 3 + 1);
    assert_int_equal(keys[1], 0);
    assert_in_range(keys[2], 8, 8 + 30 / 3 + 1);
    wish(&c, 2, VAULT_LAYER_ANY);
    for (unsigned i = 0; i < 150; i++) {
        picture(&c, 7, asked(&c), 0);
    }
    assert_int_equal(c.from, 2);
    cast_close(&c);
}

/* Feedback has told that packets wait so long on the way to the subscriber. */
static void is_behind(struct cast *c, int64_t us)
{
    struct bwe *bwe = tables_sub(&c->rig->tables, c->conf.handle)->peer->bwe;

    bwe->feedback_us = c->rig->lane.now_us;
    bwe->delay.queue_us = us;
}

/* Less is aimed at, and the link's queue is long: nothing more of what is too much is put
 * there until the key frame comes, and no number shows it. */
static void a_link_that_is_behind_is_spared_what_is_too_much(void **state)
{
    struct cast c;
    uint32_t before;
    const struct sub_layers *l;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    l = tables_sub(&c.rig->tables, c.conf.handle)->layers;
    assert_int_equal(c.from, 2);
    wish(&c, 1, VAULT_LAYER_ANY);
    is_behind(&c, 90000);
    before = c.n_got;
    picture(&c, 7, 0, 0);
    assert_int_equal(c.n_got, before + 2); /* it is not so long */
    is_behind(&c, 110000);
    rig_pass(c.rig, 2 * LAYERS_WAIT_US);
    for (unsigned i = 0; i < 3; i++) {
        picture(&c, 7, 0, 0);
    }
    assert_int_equal(c.n_got, before + 2);
    assert_int_equal(l->told >> 8 & 0xff, 0x20); /* its last pictures are on their way */
    is_behind(&c, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.n_got, before + 2); /* the stream before has lost its thread */
    picture(&c, 7, 2, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 1);
    assert_true(c.n_got >= before + 4);

    /* on the way up nothing is withheld */
    is_behind(&c, 300000);
    wish(&c, 2, VAULT_LAYER_ANY);
    before = c.n_got;
    picture(&c, 7, 0, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.n_got, before + 4);
    assert_int_equal(c.from, 1);
    cast_close(&c);
}

/* What is wished for again meanwhile begins with a key frame, too; and a layer that has none
 * is given up for another. */
static void what_was_cut_off_begins_again(void **state)
{
    struct cast c;
    uint32_t before;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    wish(&c, 1, VAULT_LAYER_ANY);
    is_behind(&c, 200000);
    picture(&c, 7, 0, 0);
    before = c.n_got;
    wish(&c, 2, VAULT_LAYER_ANY);
    is_behind(&c, 0);
    (void)asked(&c);
    for (unsigned i = 0; i < 40; i++) {
        picture(&c, 7, 0, 0);
    }
    assert_int_equal(c.n_got, before);
    assert_true((asked(&c) & 4) != 0);
    picture(&c, 7, 4, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 2);
    assert_true(c.n_got > before);

    wish(&c, 1, VAULT_LAYER_ANY);
    is_behind(&c, 200000);
    for (unsigned i = 0; i < 150; i++) { /* nobody makes one of it */
        picture(&c, 7, asked(&c) & 5, 0);
        far_send_check(&c.pub, &c.pub.path);
        far_send_check(&c.sub, &c.sub.path);
    }
    assert_int_equal(c.from, 0);
    cast_close(&c);
}

/* A key frame of the picture shown last will do; one that is older would have all that
 * follows shown as much too late. */
static void a_key_frame_older_than_what_was_shown_is_not_begun_with(void **state)
{
    struct cast c;
    uint32_t lead;
    (void)state;

    cast_open(&c, 2, VAULT_LAYER_ANY);
    settle(&c);
    lead = c.out_ts - c.time * 2970;
    picture(&c, 7, 7, 0);
    wish(&c, 0, VAULT_LAYER_ANY);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 0); /* without another */
    picture(&c, 7, 7, 0);
    picture(&c, 7, 0, 0);
    picture(&c, 7, 0, 0);
    wish(&c, 2, VAULT_LAYER_ANY);
    picture(&c, 7, 0, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 0);
    picture(&c, 7, 4, 0);
    assert_int_equal(c.from, 2);
    assert_in_range(c.out_ts - c.time * 2970 - lead + 900, 0, 1800); /* 10 ms */
    cast_close(&c);
}

static void temporal_layers_go_at_once_and_leave_no_gap(void **state)
{
    static const uint8_t pattern[] = {0, 2, 1, 2};
    struct cast c;
    uint32_t before;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    before = c.n_got;
    for (unsigned i = 0; i < 40; i++) {
        picture(&c, 1, 0, pattern[i % 4]);
    }
    assert_int_equal(c.n_got - before, 80);
    wish(&c, 0, 0);
    before = c.n_got;
    for (unsigned i = 0; i < 40; i++) {
        picture(&c, 1, 0, pattern[i % 4]);
    }
    assert_int_equal(c.n_got - before, 20);
    cast_close(&c);
}

static void without_a_key_frame_it_stays_where_it_is(void **state)
{
    struct cast c;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    assert_int_equal(c.from, 0);
    wish(&c, 2, VAULT_LAYER_ANY);
    for (unsigned i = 0; i < LAYERS_GIVE_UP_US / FRAME_US + 30; i++) {
        picture(&c, 7, 0, 0);
        assert_int_equal(c.from, 0);
    }
    /* it is told so; the next best is tried instead */
    assert_true(tables_sub(&c.rig->tables, c.conf.handle)->layers->to_spatial < 2);
    cast_close(&c);
}

static void a_layer_that_ends_is_left(void **state)
{
    struct cast c;
    uint32_t before;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    assert_int_equal(c.from, 2);
    for (unsigned i = 0; i < 40; i++) {
        picture(&c, 3, i == 30 ? 2 : 0, 0);
    }
    assert_int_equal(c.from, 1);
    before = c.n_got;
    picture(&c, 3, 0, 0);
    assert_int_equal(c.n_got, before + 2);
    cast_close(&c);
}

static void the_link_limits_what_is_wished_for(void **state)
{
    struct cast c;
    struct sub *sub;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    sub = tables_sub(&c.rig->tables, c.conf.handle);
    layers_limit(&c.rig->lane, sub, 0, SUB_LAYER_ANY);
    picture(&c, 7, 7, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 0);
    layers_limit(&c.rig->lane, sub, SUB_LAYER_ANY, SUB_LAYER_ANY);
    picture(&c, 7, 7, 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.from, 2);
    cast_close(&c);
}

static void other_streams_go_on_under_the_same_numbers(void **state)
{
    struct vault_stream_conf other;
    struct far speaker;
    struct cast c;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    far_open(&speaker, c.rig, 3, FAR_GCM, 4);
    other = far_publish_video(&speaker, 5, 77);
    c.conf.stream = other.handle;
    c.conf.higher[0] = c.conf.higher[1] = 0;
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), 0);
    /* what it has left may end */
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(rig_command(c.rig, ABI_OP_STREAM_CLOSE, c.streams[i].handle), 0);
    }
    for (uint16_t i = 0; i < 5; i++) {
        uint8_t payload[12] = {0x90, 0xf0, 0x80, (uint8_t)i, (uint8_t)i, 0, i == 1 ? 0 : 1};
        const struct far_rtp rtp = {.ssrc = 77,
                                    .pt = FAR_VIDEO_PT,
                                    .seq = (uint16_t)(5000 + i),
                                    .ts = 5000u + i * 3000u,
                                    .marker = true,
                                    .payload = payload,
                                    .len = sizeof(payload)};

        payload[11] = 9;
        far_send_rtp(&speaker, &rtp);
        rig_run(c.rig);
        rig_pass(c.rig, FRAME_US);
        take(&c);
    }
    assert_int_equal(c.from, 9);
    far_end(&speaker);
    cast_close(&c);
}

/* Another codec: by the receiver's payload type and extension ids of it, numbers go on. */
static void the_payload_type_changes_with_the_codec(void **state)
{
    enum { PT = 105, BEGIN = 2 };
    struct vault_stream_conf other;
    struct far_got got;
    struct far speaker;
    struct cast c;
    unsigned n = 0;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    settle(&c);
    far_open(&speaker, c.rig, 3, FAR_GCM, 4);
    other = far_video(&speaker, 5, 77);
    other.codec = ABI_CODEC_H264;
    assert_int_equal(rig_stream(c.rig, ABI_OP_STREAM_OPEN, &other), 0);
    c.conf.stream = other.handle;
    c.conf.higher[0] = c.conf.higher[1] = 0;
    c.conf.pt = PT;
    c.conf.rtx_pt = 0; /* the receiver has none for it */
    memset(c.conf.ext_id, 0, sizeof(c.conf.ext_id));
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), 0);
    for (uint16_t i = 0; i < 6; i++) {
        uint8_t payload[8] = {i == BEGIN ? 0x65 : 0x41, 0x88, (uint8_t)i};
        const struct far_rtp rtp = {.ssrc = 77,
                                    .pt = FAR_VIDEO_PT,
                                    .seq = (uint16_t)(5000 + i),
                                    .ts = 5000u + i * 3000u,
                                    .marker = true,
                                    .payload = payload,
                                    .len = sizeof(payload)};

        far_send_rtp(&speaker, &rtp);
        rig_run(c.rig);
        rig_pass(c.rig, FRAME_US);
        while (far_take_rtp(&c.sub, &got)) {
            assert_int_equal(got.hdr.ssrc, OUT);
            assert_int_equal(got.hdr.pt, PT);
            assert_int_equal(got.hdr.seq, (uint16_t)(c.out_seq + 1));
            assert_true((int32_t)(got.hdr.ts - c.out_ts) > 0);
            assert_int_equal(got.hdr.ext_len, 0);
            assert_int_equal(got.payload[2], BEGIN + n);
            c.out_seq = got.hdr.seq;
            c.out_ts = got.hdr.ts;
            n++;
        }
    }
    assert_int_equal(n, 6 - BEGIN);
    far_end(&speaker);
    cast_close(&c);
}

/* Sound is moved, too: at any packet, whatever numbers the other sender has. */
static void sound_goes_on_with_another_sender(void **state)
{
    struct vault_stream_conf sounds[2];
    struct vault_sub_conf conf;
    struct far far[2];
    struct far sub;
    struct rig *rig = rig_start("mem");
    struct far_got got;
    uint16_t seq = 0;
    uint32_t ts = 0;
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        far_open(&far[i], rig, 1 + i, FAR_GCM, 4);
        sounds[i] = far_publish_audio(&far[i], i, 90 + i);
    }
    far_open(&sub, rig, 3, FAR_GCM, 4);
    conf = far_sub(&sub, 0, &sounds[0], 7);
    conf.layered = 1;
    conf.spatial = conf.temporal = VAULT_LAYER_ANY;
    assert_int_equal(rig_sub(rig, ABI_OP_SUB_OPEN, &conf), 0);
    for (unsigned n = 0; n < 40; n++) {
        unsigned from = n / 10 % 2;
        uint8_t payload[2] = {(uint8_t)from, 1};
        const struct far_rtp rtp = {.ssrc = 90 + from,
                                    .pt = FAR_AUDIO_PT,
                                    .seq = (uint16_t)(from * 7000 + n),
                                    .ts = from * 3456789u + n * 960,
                                    .payload = payload,
                                    .len = sizeof(payload)};

        if (n % 10 == 0 && n > 0) {
            conf.stream = sounds[from].handle;
            assert_int_equal(rig_sub(rig, ABI_OP_SUB_UPDATE, &conf), 0);
        }
        far_send_rtp(&far[from], &rtp);
        rig_run(rig);
        rig_pass(rig, 20000);
        assert_true(far_take_rtp(&sub, &got));
        assert_int_equal(got.payload[0], from);
        assert_int_equal(got.hdr.ssrc, 7);
        if (n > 0) {
            assert_int_equal(got.hdr.seq, (uint16_t)(seq + 1));
            assert_true((int32_t)(got.hdr.ts - ts) > 0);
        }
        seq = got.hdr.seq;
        ts = got.hdr.ts;
        assert_false(far_take_rtp(&sub, &got));
    }
    far_end(&far[0]);
    far_end(&far[1]);
    far_end(&sub);
    rig_stop(rig);
}

static void streams_of_two_codecs_are_refused(void **state)
{
    struct vault_stream_conf other;
    struct cast c;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    other = far_video(&c.pub, 6, 66);
    other.codec = ABI_CODEC_VP9;
    assert_int_equal(rig_stream(c.rig, ABI_OP_STREAM_OPEN, &other), 0);
    c.conf.higher[1] = other.handle;
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), -EINVAL);
    c.conf.higher[1] = handle_make(7, 7);
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), -ENOENT);
    /* it goes on with what it had */
    settle(&c);
    assert_int_equal(c.from, 0);
    assert_true(c.n_got > 0);
    cast_close(&c);
}

static void a_pause_ends_with_a_key_frame(void **state)
{
    struct cast c;
    uint32_t before;
    (void)state;

    cast_open(&c, 1, VAULT_LAYER_ANY);
    settle(&c);
    c.conf.paused = 1;
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), 0);
    before = c.n_got;
    picture(&c, 7, 7, 0);
    assert_int_equal(c.n_got, before);
    rig_pass(c.rig, 1000000);
    c.conf.paused = 0;
    assert_int_equal(rig_sub(c.rig, ABI_OP_SUB_UPDATE, &c.conf), 0);
    picture(&c, 7, 0, 0);
    assert_int_equal(c.n_got, before);
    picture(&c, 7, 2, 0);
    assert_int_equal(c.n_got, before + 2);
    assert_int_equal(c.from, 1);
    cast_close(&c);
}

/* Remembers the packets of nearly a second as they went out, though much was left out
 * between them, then asks for each of them again. */
static void what_is_missed_comes_again_as_it_was(void **state)
{
    static const uint8_t pattern[] = {0, 2, 1, 2};
    struct {
        uint16_t seq;
        uint32_t ts;
        uint8_t payload[12];
        bool marker;
    } sent[2 * LONG];
    struct far_got got;
    struct cast c;
    unsigned n = 0;
    (void)state;

    memset(sent, 0, sizeof(sent));
    cast_open(&c, 1, 1);
    settle(&c);
    for (unsigned i = 0; i < 16; i++) {
        picture(&c, 7, 0, pattern[i % 4]);
    }
    for (unsigned i = 0; i < LONG; i++) {
        c.picture[1]++;
        c.time++;
        frame(&c, 1, false, pattern[i % 4], false, true);
        frame(&c, 1, false, pattern[i % 4], true, false);
        rig_run(c.rig);
        rig_pass(c.rig, FRAME_US);
        while (far_take_rtp(&c.sub, &got)) {
            sent[n].seq = got.hdr.seq;
            sent[n].ts = got.hdr.ts;
            sent[n].marker = got.hdr.marker;
            memcpy(sent[n++].payload, got.payload, 12);
        }
    }
    assert_int_equal(n, LONG); /* half of them are of the layer that is left out */
    for (unsigned i = 0; i < n; i++) {
        uint8_t buf[64];
        struct wbytes w = wbytes_of(buf, sizeof(buf));

        rtcp_rr_write(&w, 7, NULL, 0);
        rtcp_nack_write(&w, 7, OUT, &sent[i].seq, 1);
        far_send_rtcp(&c.sub, &w);
        rig_run(c.rig);
        assert_true(far_take_rtp(&c.sub, &got));
        assert_int_equal(got.hdr.ssrc, RTX);
        assert_int_equal(load_be16(got.payload), sent[i].seq);
        assert_int_equal(got.hdr.ts, sent[i].ts);
        assert_int_equal(got.hdr.marker, sent[i].marker);
        assert_memory_equal(got.payload + 2, sent[i].payload, 12);
    }
    cast_close(&c);
}

/* The publisher's clock, by a sender report for each stream: all of the picture sent last. */
static void report(struct cast *c)
{
    for (unsigned i = 0; i < N; i++) {
        uint8_t buf[64];
        struct wbytes w = wbytes_of(buf, sizeof(buf));
        const struct rtcp_sr sr = {.ssrc = SSRC + i,
                                   .ntp = (UINT64_C(3900000000) << 32) +
                                          ((uint64_t)c->time * FRAME_US << 32) / 1000000,
                                   .rtp_ts = i * 987654321u + c->time * 2970};

        rtcp_sr_write(&w, &sr, NULL, 0);
        far_send_rtcp(&c->pub, &w);
        rig_run(c->rig);
    }
}

/* A picture whose largest size comes LATE_US behind the smallest. */
enum { LATE_US = 20000 };
static void skewed(struct cast *c, unsigned keys)
{
    c->time++;
    for (unsigned i = 0; i < N; i += N - 1) {
        c->picture[i]++;
        c->tl0[i]++;
        frame(c, i, (keys >> i & 1) != 0, 0, false, true);
        frame(c, i, (keys >> i & 1) != 0, 0, true, false);
        rig_run(c->rig);
        rig_pass(c->rig, i == 0 ? LATE_US : FRAME_US - LATE_US);
        take(c);
    }
}

/* Streams are compared by their sender reports, not by when they come: else each change
 * would shift what is shown against the sound. */
static void a_picture_keeps_its_time_whichever_stream_it_comes_by(void **state)
{
    struct cast c;
    uint32_t lead;
    (void)state;

    cast_open(&c, 0, VAULT_LAYER_ANY);
    skewed(&c, 5);
    report(&c);
    for (unsigned i = 0; i < 4; i++) {
        skewed(&c, 0);
    }
    assert_int_equal(c.from, 0);
    lead = c.out_ts - c.time * 2970;
    for (unsigned i = 1; i <= 6; i++) {
        const uint8_t to = i % 2 == 0 ? 0 : 2;

        wish(&c, to, VAULT_LAYER_ANY);
        skewed(&c, 0);
        skewed(&c, 1u << to);
        skewed(&c, 0);
        assert_int_equal(c.from, to);
        assert_in_range(c.out_ts - c.time * 2970 - lead + 2, 0, 4); /* rounding */
        report(&c);
    }
    cast_close(&c);
}

/* What control was told last of the layers; 0 nothing since it was asked last. */
static uint32_t told(struct cast *c)
{
    struct lane *lane = &c->rig->lane;
    uint32_t arg = 0;

    for (uint32_t i = 0; i < lane->n_news; i++) {
        if (lane->news[i].kind == LANE_NEWS_LAYERS) {
            assert_true(lane->news[i].handle == c->conf.handle);
            arg = lane->news[i].arg;
        }
    }
    lane->n_news = 0;
    return arg;
}

/* As stage/allot does it, of one that control had wished something of last. */
static void control_hears_that_the_link_carries_nothing_and_that_it_does(void **state)
{
    struct cast c;
    struct sub *sub;
    (void)state;

    cast_open(&c, VAULT_LAYER_ANY, VAULT_LAYER_ANY);
    settle(&c);
    wish(&c, 1, VAULT_LAYER_ANY);
    settle(&c);
    assert_int_equal(told(&c), ABI_LAYERS(ABI_LAYERS_REQUESTED, 1, 0, 1, 0));
    sub = tables_sub(&c.rig->tables, c.conf.handle);
    sub->held = true;
    layers_pause(&c.rig->lane, sub);
    for (unsigned i = 0; i < LAYERS_SWEEP_US / FRAME_US + 2; i++) {
        picture(&c, 7, 7, 0);
    }
    assert_int_equal(told(&c), ABI_LAYERS(ABI_LAYERS_BANDWIDTH, ABI_LAYERS_NONE,
                                          ABI_LAYERS_NONE, ABI_LAYERS_NONE,
                                          ABI_LAYERS_NONE));
    settle(&c);
    assert_int_equal(told(&c), 0); /* once */
    sub->held = false;
    begin_sub(&c.rig->lane, sub);
    settle(&c);
    assert_int_equal(told(&c), ABI_LAYERS(ABI_LAYERS_BANDWIDTH, 1, 0, 1, 0));
    cast_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_keeps_its_time_whichever_stream_it_comes_by),
        cmocka_unit_test(control_hears_that_the_link_carries_nothing_and_that_it_does),
        cmocka_unit_test(the_highest_layer_that_comes_is_sent),
        cmocka_unit_test(a_wish_changes_the_stream_and_no_number_shows_it),
        cmocka_unit_test(a_link_that_is_behind_is_spared_what_is_too_much),
        cmocka_unit_test(what_was_cut_off_begins_again),
        cmocka_unit_test(a_hundred_changes_are_not_slowed),
        cmocka_unit_test(endless_changes_reach_the_publisher_seldom),
        cmocka_unit_test(a_key_frame_older_than_what_was_shown_is_not_begun_with),
        cmocka_unit_test(temporal_layers_go_at_once_and_leave_no_gap),
        cmocka_unit_test(without_a_key_frame_it_stays_where_it_is),
        cmocka_unit_test(a_layer_that_ends_is_left),
        cmocka_unit_test(the_link_limits_what_is_wished_for),
        cmocka_unit_test(other_streams_go_on_under_the_same_numbers),
        cmocka_unit_test(sound_goes_on_with_another_sender),
        cmocka_unit_test(streams_of_two_codecs_are_refused),
        cmocka_unit_test(the_payload_type_changes_with_the_codec),
        cmocka_unit_test(a_pause_ends_with_a_key_frame),
        cmocka_unit_test(what_is_missed_comes_again_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
