/* What a publisher makes is what a subscriber understands; what it reports of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/arrivals.h"
#include "loadgen/receiver.h"
#include "loadgen/sender.h"
#include "sfu/wire/rtcp_twcc.h"
#include "sfu/wire/rtp_ext.h"

enum { CAP = 1500, START_US = 5000000 };

static struct hist delays;

/* Makes the next packet of 'sender'; 'hdr' and the payload point into 'data'. */
static size_t make(struct sender *sender, uint64_t now_us, uint8_t data[CAP],
                   struct rtp_hdr *hdr)
{
    size_t len = sender_make(sender, 77, now_us, data, CAP);

    assert_true(len > 0);
    assert_int_equal(rtp_parse(data, len, hdr), 0);
    return len;
}

static void frames_of_video_are_marked_and_keyed(void **state)
{
    uint8_t data[CAP];
    struct sender s;
    struct rtp_hdr hdr = {0};
    uint32_t ts = 0;
    uint8_t len;
    (void)state;

    sender_init(&s, true, 3, 120, 500, 99); /* four packets a frame */
    for (unsigned i = 0; i < 40; i++) {
        if (i == 17) {
            s.want_key = true; /* in the midst of a frame: the next one */
        }
        (void)make(&s, START_US, data, &hdr);
        assert_int_equal(hdr.marker, i % 4 == 3);
        assert_int_equal((data[hdr.hdr_len] & 0x10) != 0, i % 4 == 0);
        assert_int_equal((data[hdr.hdr_len + 4] & 1) == 0, i < 4 || (i >= 20 && i < 24));
        if (i > 0) {
            assert_int_equal(hdr.ts - ts, i % 4 == 0 ? 3000 : 0);
        }
        ts = hdr.ts;
        assert_int_equal(load_be16(rtp_ext_find(&hdr, SENDER_EXT_TWCC, &len)), 77);
    }
    assert_int_equal(s.n_key_frames, 2);
}

static void late_sender_catches_up_a_little_and_gives_up_the_rest(void **state)
{
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    struct sender s;
    unsigned n = 0;
    (void)state;

    sender_init(&s, false, 3, 1000, 160, 99);
    sender_start(&s, START_US);
    assert_false(sender_is_due(&s, START_US - 1));
    while (sender_is_due(&s, START_US + 1000000)) { /* a second late */
        (void)make(&s, START_US + 1000000, data, &hdr);
        n++;
    }
    assert_int_equal(n, SENDER_MAX_CATCH_UP + 1);
    assert_int_equal(n + s.n_late, 1001);
    assert_true(s.due_us > START_US + 1000000);
}

static void receiver_numbers_packets_and_tells_other_payloads(void **state)
{
    struct receiver r = {.ssrc = 1, .kind = PAYLOAD_OPUS};
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    struct sender mine;
    struct sender other;
    size_t len;
    (void)state;

    delays = (struct hist){0};
    sender_init(&mine, false, 3, 50, 160, 99);
    sender_init(&other, false, 4, 50, 160, 98);
    for (unsigned i = 0; i < 100; i++) {
        len = make(&mine, START_US + i * 20000, data, &hdr);
        if (i == 50) {
            continue; /* lost */
        }
        receiver_on_packet(&r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len,
                           START_US + i * 20000 + 300, &delays);
    }
    assert_int_equal(r.numbers.n_received, 99);
    assert_int_equal(track_lost(&r.numbers, mine.n_sent - 1), 1);
    assert_int_equal(r.sequence.n_missing, 1);
    assert_int_equal(delays.n, 99);
    assert_int_equal(delays.max, 300);
    assert_int_equal(r.jitter_q4, 0);
    len = make(&other, START_US, data, &hdr);
    hdr.seq = (uint16_t)mine.seq;
    receiver_on_packet(&r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, START_US, &delays);
    assert_int_equal(r.n_corrupt, 1); /* another stream's */
    data[hdr.hdr_len + 60] ^= 1;
    hdr.seq++;
    receiver_on_packet(&r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, START_US, &delays);
    assert_int_equal(r.n_corrupt, 2);
    assert_int_equal(r.numbers.n_received, 99);
}

static void payload_that_is_not_ours_is_foreign_until_one_was(void **state)
{
    static struct receiver r;
    uint8_t data[CAP] = {0};
    struct rtp_hdr hdr = {.ssrc = 1};
    struct sender mine;
    size_t len;
    (void)state;

    r = (struct receiver){.ssrc = 1, .kind = PAYLOAD_OPUS};
    receiver_on_packet(&r, &hdr, data, 160, START_US, &delays);
    assert_int_equal(r.n_foreign, 1);
    assert_false(r.numbered);
    sender_init(&mine, false, 3, 50, 160, 99);
    len = make(&mine, START_US, data, &hdr);
    receiver_on_packet(&r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, START_US, &delays);
    assert_true(r.numbered);
    receiver_on_packet(&r, &hdr, data, 160, START_US, &delays);
    assert_int_equal(r.n_foreign, 1);
    assert_int_equal(r.n_corrupt, 1);
}

static void report_tells_loss_and_the_last_sender_report(void **state)
{
    const struct rtcp_sr sr = {.ssrc = 1, .ntp = UINT64_C(0x1122334455667788)};
    struct receiver r = {.ssrc = 1};
    struct rtp_hdr hdr = {.ssrc = 1, .seq = 65530};
    struct rtcp_block block;
    (void)state;

    assert_false(receiver_take_block(&r, START_US, &block));
    for (unsigned i = 0; i < 20; i++, hdr.seq++) {
        if (i % 4 != 1) { /* 5 of 20 are lost, across the wrap */
            receiver_on_packet(&r, &hdr, NULL, 0, START_US, &delays);
        }
    }
    receiver_on_sr(&r, &sr, START_US);
    assert_true(receiver_take_block(&r, START_US + 500000, &block));
    assert_int_equal(block.lost, 5);
    assert_int_equal(block.fraction_lost, 5 * 256 / 20);
    assert_int_equal(block.ext_highest_seq & 0xffff, 13);
    assert_int_equal(block.lsr, 0x33445566);
    assert_int_equal(block.dlsr, 32768);
    assert_true(receiver_take_block(&r, START_US + 500000, &block));
    assert_int_equal(block.fraction_lost, 0); /* nothing since */
    assert_int_equal(block.lost, 5);
}

static void feedback_tells_each_arrival_and_each_hole_once(void **state)
{
    struct arrivals a = {.n = 0};
    uint8_t data[1200];
    bool came[300] = {false};
    struct twcc_arrival arrival;
    struct rtcp_iter it;
    struct rtcp_pkt pkt = {0};
    struct twcc_fb fb;
    struct rtcp_fb msg;
    int64_t at = 0;
    (void)state;

    assert_int_equal(arrivals_take(&a, 1, 2, data, sizeof(data)), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        size_t len;

        for (unsigned i = 0; i < 100; i++) {
            if (i % 10 != 3) {
                arrivals_add(&a, (uint16_t)(65500 + 100 * turn + i),
                             START_US + (100 * turn + i) * 1000);
            }
        }
        len = arrivals_take(&a, 1, 2, data, sizeof(data));
        it = rtcp_iter_of(data, len);
        assert_int_equal(rtcp_next(&it, &pkt), 1);
        assert_true(rtcp_is_twcc(&pkt));
        assert_int_equal(rtcp_fb_parse(&pkt, &msg), 0);
        assert_int_equal(twcc_fb_parse(&msg, &fb), 0);
        assert_int_equal(fb.fb_count, turn);
        at = (int64_t)fb.ref_time * TWCC_REF_TICKS;
        while (twcc_fb_next(&fb, &arrival)) {
            unsigned i = (uint16_t)(arrival.seq - 65500);

            at += arrival.delta_ticks;
            assert_true(i < 300 && !came[i]);
            came[i] = true;
            assert_int_equal(at, (START_US + i * 1000) / TWCC_TICK_US);
        }
    }
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(came[i], i % 10 != 3);
    }
}

static void who_stays_silent_to_the_end_was_silent_so_long(void **state)
{
    static struct receiver r;
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    struct sender s;
    (void)state;

    memset(&r, 0, sizeof(r));
    receiver_on_end(&r, START_US); /* nothing ever came: that is counted apart */
    assert_int_equal(r.max_silence_us, 0);
    sender_init(&s, false, 3, 50, 160, 99);
    for (unsigned i = 0; i < 3; i++) {
        size_t len = make(&s, START_US + i * 20000, data, &hdr);

        receiver_on_packet(&r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len,
                           START_US + i * 20000, &delays);
    }
    assert_int_equal(r.max_silence_us, 20000);
    receiver_on_end(&r, START_US + 40000 + 7000000);
    assert_int_equal(r.max_silence_us, 7000000);
    receiver_on_packet(&r, &hdr, data + hdr.hdr_len, 0, START_US + 40000 + 7500000, &delays);
    assert_int_equal(r.max_silence_us, 7500000);
}

/* Shows 'r' the next packet of 's' as number 'seq' of the stream that the node makes of both. */
static void show(struct receiver *r, struct sender *s, uint16_t seq)
{
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    size_t len = make(s, START_US, data, &hdr);

    hdr.seq = seq;
    receiver_on_packet(r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, START_US, &delays);
}

static void encodings_are_told_apart_and_halve_their_packets(void **state)
{
    struct sender s[3];
    struct rtp_hdr hdr = {0};
    uint8_t data[CAP];
    uint8_t len;
    (void)state;

    for (uint8_t i = 0; i < 3; i++) {
        sender_init(&s[i], true, 5, 120, 500, 99);
        sender_set_layer(&s[i], i, 3);
        assert_int_equal(s[i].rate, 120 >> (2 - i));
        assert_int_equal(s[i].tag, 5u | (uint32_t)i << SENDER_LAYER_SHIFT);
        (void)make(&s[i], START_US, data, &hdr);
        assert_int_equal(*rtp_ext_find(&hdr, SENDER_EXT_RID, &len), '0' + i);
        assert_int_equal(len, 1);
    }
    assert_true(s[0].ssrc != s[1].ssrc && s[1].ssrc != s[2].ssrc);
    sender_init(&s[0], true, 5, 120, 500, 99); /* alone, by SSRC */
    (void)make(&s[0], START_US, data, &hdr);
    assert_null(rtp_ext_find(&hdr, SENDER_EXT_RID, &len));
}

static void another_encoding_begins_with_its_key_frame_and_numbers_anew(void **state)
{
    static struct receiver r;
    struct sender low;
    struct sender high;
    uint16_t seq = 100;
    (void)state;

    r = (struct receiver){.ssrc = 1, .kind = PAYLOAD_VP8};
    sender_init(&low, true, 5, 30, 200, 99);
    sender_set_layer(&low, 0, 2);
    sender_init(&high, true, 5, 30, 400, 99);
    sender_set_layer(&high, 1, 2);
    for (unsigned i = 0; i < 10; i++) {
        show(&r, &low, seq++);
    }
    show(&r, &high, seq++); /* its first, a key frame */
    show(&r, &high, seq++);
    assert_int_equal(r.layer, 1);
    assert_int_equal(r.n_switches, 1);
    show(&r, &low, seq++); /* in the midst */
    assert_int_equal(r.n_unkeyed, 1);
    assert_int_equal(r.layer, 1);
    low.want_key = true;
    show(&r, &low, seq++);
    show(&r, &low, (uint16_t)(seq + 1)); /* one is lost, after the switch */
    assert_int_equal(r.layer, 0);
    assert_int_equal(r.n_switches, 2);
    assert_int_equal(r.n_corrupt, 0);
    assert_int_equal(r.numbers.n_received, 14);
    assert_int_equal(track_lost(&r.numbers, low.n_sent - 1), 0);
    assert_int_equal(r.sequence.n_missing, 1);
}

static void another_encoding_does_not_begin_behind_the_first_packet_of_a_key_frame(void **state)
{
    static struct receiver r;
    struct sender low;
    struct sender high;
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    (void)state;

    r = (struct receiver){.ssrc = 1, .kind = PAYLOAD_VP8};
    sender_init(&low, true, 5, 60, 200, 99);
    sender_set_layer(&low, 0, 2);
    sender_init(&high, true, 5, 120, 400, 99);
    sender_set_layer(&high, 1, 2);
    show(&r, &low, 1);
    (void)make(&high, START_US, data, &hdr); /* does not come */
    show(&r, &high, 2);                      /* of the same key frame */
    assert_int_equal(r.n_unkeyed, 1);
    assert_int_equal(r.n_switches, 0);
    assert_int_equal(r.layer, 0);
}

static void what_nobody_looks_into_is_missed_before_and_behind_what_came(void **state)
{
    static struct receiver r;
    struct sender s;
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    (void)state;

    r = (struct receiver){.ssrc = 1};
    sender_init(&s, false, 3, 50, 160, 99);
    assert_int_equal(receiver_unseen(&r, &s, true), 0); /* a stream that never came is counted apart */
    for (uint16_t i = 0; i < 100; i++) {
        (void)make(&s, START_US, data, &hdr);
        hdr.seq = (uint16_t)(65500 + i); /* the node's, across the wrap */
        if (i >= 20 && i < 60 && i != 40) { /* one is a hole */
            r.sent_then = r.started ? r.sent_then : s.n_sent;
            receiver_on_packet(&r, &hdr, NULL, 0, START_US, &delays);
        }
    }
    assert_int_equal(r.sequence.n_missing, 1);
    assert_int_equal(receiver_unseen(&r, &s, false), 40); /* who came when 20 had been sent */
    assert_int_equal(receiver_unseen(&r, &s, true), 60);
    hdr.seq = (uint16_t)(65500 + 19); /* overtaken by the first */
    receiver_on_packet(&r, &hdr, NULL, 0, START_US, &delays);
    assert_int_equal(receiver_unseen(&r, &s, false), 40);
    assert_int_equal(receiver_unseen(&r, &s, true), 59);
    hdr.seq = (uint16_t)(65500 + 99);
    receiver_on_packet(&r, &hdr, NULL, 0, START_US, &delays);
    assert_int_equal(receiver_unseen(&r, &s, false), 0);
    assert_int_equal(receiver_unseen(&r, &s, true), 19);
    r.sent_then = 0; /* whose it is was not known */
    assert_int_equal(receiver_unseen(&r, &s, false), 0);
}

/* ---- patterns ---- */

/* A stream of so many frames of a pattern, as its receiver and a node see it. */
struct played {
    struct sender s;
    struct receiver r;
    uint64_t now_us;
    unsigned n_packets;
    size_t bytes;  /* of the last frame's payloads */
    unsigned last; /* packets of it */
    uint32_t ts;
    struct payload first; /* of it */
    bool lost;            /* what is sent does not come */
};

static void begin(struct played *p, const struct pattern *pattern, uint32_t phase,
                  uint32_t pace_us)
{
    memset(p, 0, sizeof(*p));
    p->r.kind = pattern->kind;
    p->now_us = START_US;
    sender_init(&p->s, pattern->kind != PAYLOAD_OPUS, 5, 30, 100, 99);
    sender_set_pattern(&p->s, pattern, phase, pace_us);
    sender_start(&p->s, START_US);
}

/* Sends one frame, packet by packet when each is due. */
static void play(struct played *p)
{
    struct rtp_hdr hdr = {0};

    p->bytes = p->last = 0;
    do {
        uint8_t data[CAP];
        size_t len;
        uint32_t ts = p->ts;

        p->now_us = p->s.due_us;
        assert_true(sender_is_due(&p->s, p->now_us));
        len = make(&p->s, p->now_us, data, &hdr);
        len -= hdr.hdr_len;
        p->ts = hdr.ts;
        if (p->last == 0) {
            assert_int_equal(payload_parse(data + hdr.hdr_len, len, p->r.kind, &p->first), 0);
        } else {
            assert_int_equal(hdr.ts, ts);
        }
        assert_true(len <= p->s.pattern->packet_max);
        if (!p->lost) {
            receiver_on_packet(&p->r, &hdr, data + hdr.hdr_len, len, p->now_us, &delays);
        }
        p->bytes += len;
        p->last++;
        p->n_packets++;
    } while (p->s.frame_at < p->s.frame_len);
    assert_int_equal(hdr.marker, p->r.kind != PAYLOAD_OPUS);
    assert_int_equal(p->r.n_corrupt + p->r.n_foreign, 0);
}

static void pattern_is_played_in_packets_and_layers_as_it_was_recorded(void **state)
{
    const struct pattern *pattern = &pattern_vp8[PATTERN_LAYERS - 1];
    static struct played p;
    uint16_t picture;
    uint8_t tl0;
    (void)state;

    begin(&p, pattern, 0, 0);
    play(&p); /* a key frame in place of the first */
    assert_true(p.first.key && p.first.frame_start);
    picture = p.first.picture;
    tl0 = p.first.tl0;
    assert_int_equal(p.bytes, pattern->keys[0].len + 6 * p.last);
    for (uint32_t i = 1; i < 2 * pattern->n_frames; i++) {
        const struct pattern_frame *frame = &pattern->frames[i % pattern->n_frames];
        uint32_t ts = p.ts;

        play(&p);
        assert_int_equal(p.bytes, frame->len + 6 * p.last);
        assert_int_equal(p.last, (frame->len + pattern->packet_max - 7) /
                                     (pattern->packet_max - 6u));
        assert_int_equal(p.first.layers, frame->layers);
        assert_int_equal(p.first.picture, (picture + i) & 0x7fff);
        tl0 = (uint8_t)(tl0 + ((frame->layers & PATTERN_TID) == 0));
        assert_int_equal(p.first.tl0, tl0);
        assert_int_equal(p.ts - ts, 90 * frame->ms);
        assert_false(p.first.key);
    }
    assert_int_equal(p.r.numbers.n_missing, 0);
    /* twenty seconds of thirty frames, all at once */
    assert_in_range(p.now_us - START_US, 19900000, 20000000);
}

static void what_is_lost_at_the_end_is_known_by_what_was_sent(void **state)
{
    static struct played p;
    unsigned n = 0;
    (void)state;

    begin(&p, &pattern_vp8[PATTERN_LAYERS - 1], 0, 0);
    assert_int_equal(receiver_lost_behind(&p.r, &p.s), 0); /* nothing was sent */
    while (p.n_packets <= RECEIVER_ROW) {
        play(&p);
    }
    assert_int_equal(receiver_lost_behind(&p.r, &p.s), 0);
    p.lost = true;
    for (int i = 0; i < 7; i++) {
        play(&p);
        n += p.last;
        assert_int_equal(receiver_lost_behind(&p.r, &p.s), n);
    }
    assert_int_equal(p.r.sequence.n_missing, 0); /* which cannot know */
}

/* Then only what is of the lowest layer is known to be lost: three of nine frames of a packet. */
static void what_a_node_may_have_left_out_at_the_end_is_not_lost(void **state)
{
    static const struct pattern_frame frames[] = {{50, 33, 0}, {50, 33, 0x40}, {50, 33, 0x80}};
    static const struct pattern_frame keys[] = {{60, 33, 0}};
    static const struct pattern pattern = {.frames = frames,
                                           .keys = keys,
                                           .n_frames = 3,
                                           .n_keys = 1,
                                           .packet_max = 1000,
                                           .kind = PAYLOAD_VP8,
                                           .temporal = true};
    static struct played p;
    (void)state;

    begin(&p, &pattern, 0, 0);
    for (int i = 0; i < 300; i++) {
        p.lost = i == 100; /* as the node would, so that it may go on to */
        play(&p);
    }
    p.lost = true;
    for (int i = 0; i < 9; i++) {
        play(&p);
        assert_int_equal(receiver_lost_behind(&p.r, &p.s), 1 + i / 3);
    }
    for (int i = 0; i < 2 * SENDER_TAIL; i++) {
        play(&p);
    }
    assert_in_range(receiver_lost_behind(&p.r, &p.s), SENDER_TAIL / 3, SENDER_TAIL / 3 + 1);
}

/* A frame of a higher layer comes whole or not at all. */
static void the_rest_of_a_frame_that_came_in_part_is_lost(void **state)
{
    static const struct pattern_frame frames[] = {{50, 33, 0}, {1900, 33, 0x80}};
    static const struct pattern_frame keys[] = {{60, 33, 0}};
    static const struct pattern pattern = {.frames = frames,
                                           .keys = keys,
                                           .n_frames = 2,
                                           .n_keys = 1,
                                           .packet_max = 1000,
                                           .kind = PAYLOAD_VP8,
                                           .temporal = true};
    static struct played p;
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    size_t len;
    (void)state;

    begin(&p, &pattern, 0, 0);
    play(&p);
    p.lost = true;
    play(&p);
    assert_int_equal(p.last, 2);
    assert_int_equal(receiver_lost_behind(&p.r, &p.s), 0);
    p.lost = false;
    play(&p);
    len = make(&p.s, p.now_us, data, &hdr); /* the first of two */
    receiver_on_packet(&p.r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, p.now_us, &delays);
    assert_int_equal(receiver_lost_behind(&p.r, &p.s), 0);
    (void)make(&p.s, p.now_us, data, &hdr);
    assert_int_equal(receiver_lost_behind(&p.r, &p.s), 1);
}

/* Shows what the node makes of a stream's next packet: with another number of its own. */
static void forward(struct played *p, uint16_t seq, uint16_t picture, uint8_t tl0)
{
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    size_t len = make(&p->s, START_US, data, &hdr);

    store_be16(data + hdr.hdr_len + 2, 0x8000 | picture);
    data[hdr.hdr_len + 4] = tl0;
    hdr.seq = seq;
    receiver_on_packet(&p->r, &hdr, data + hdr.hdr_len, len - hdr.hdr_len, START_US, &delays);
}

static void picture_numbers_go_on_whatever_is_left_out(void **state)
{
    /* one packet each, of layers 0 1 2 0 1 2 … */
    static const struct pattern_frame frames[] = {{50, 33, 0}, {50, 33, 0x40}, {50, 33, 0x80}};
    static const struct pattern_frame keys[] = {{60, 33, 0}};
    static const struct pattern pattern = {.frames = frames,
                                           .keys = keys,
                                           .n_frames = 3,
                                           .n_keys = 1,
                                           .packet_max = 1000,
                                           .kind = PAYLOAD_VP8,
                                           .temporal = true};
    static struct played p;
    (void)state;

    begin(&p, &pattern, 0, 0);
    forward(&p, 10, 0x7ffe, 255); /* a key frame */
    forward(&p, 11, 0x7fff, 255);
    forward(&p, 12, 0, 255); /* both wrap */
    forward(&p, 13, 1, 0);
    assert_int_equal(p.r.n_misnumbered, 0);
    forward(&p, 14, 3, 0); /* one too many */
    assert_int_equal(p.r.n_misnumbered, 1);
    forward(&p, 15, 4, 1); /* not of the lowest layer */
    assert_int_equal(p.r.n_misnumbered, 2);
    forward(&p, 17, 9, 7); /* one is lost: who knows */
    assert_int_equal(p.r.n_misnumbered, 2);
    p.s.want_key = true;
    forward(&p, 18, 700, 99); /* a key frame with any number */
    assert_int_equal(p.r.n_misnumbered, 2);
    assert_int_equal(p.r.n_corrupt + p.r.n_foreign, 0);
}

static void key_frame_that_is_asked_for_begins_the_layers_anew(void **state)
{
    const struct pattern *pattern = &pattern_vp8[0];
    static struct played p;
    (void)state;

    begin(&p, pattern, 7, 0);
    play(&p);
    for (unsigned i = 0; i < 50; i++) {
        unsigned n = 0;
        uint64_t due_us;

        for (; n < i % 7; n++) {
            play(&p);
            assert_false(p.first.key);
        }
        due_us = p.s.due_us;
        p.s.want_key = true;
        play(&p);
        assert_true(p.first.key);
        assert_int_equal(p.now_us, due_us); /* no sooner, no later than another */
        assert_int_equal(p.bytes,
                         pattern->keys[(i + 1) % pattern->n_keys].len + 6 * p.last);
        assert_int_equal(p.first.layers & PATTERN_TID, 0);
        /* what follows leans on a frame of the lowest layer only */
        assert_true((pattern->frames[p.s.next].layers & PATTERN_TID) != 0);
    }
    assert_int_equal(p.s.n_key_frames, 51);
}

static void h264_begins_with_parameter_sets_and_is_paced(void **state)
{
    static struct played p;
    uint64_t began_us;
    (void)state;

    begin(&p, &pattern_h264, 0, 5000);
    play(&p);
    assert_true(p.first.key);
    assert_int_equal(p.last, 1 + (pattern_h264.keys[0].len + pattern_h264.packet_max - 3) /
                                     (pattern_h264.packet_max - 2u));
    assert_int_equal(p.bytes, payload_min(PAYLOAD_H264) + pattern_h264.keys[0].len +
                                  2 * (p.last - 1));
    assert_in_range(p.now_us - START_US, 4000, 5000);
    for (unsigned i = 0; i < 300; i++) {
        began_us = p.s.due_us;
        play(&p);
        assert_false(p.first.key);
        assert_true(p.now_us - began_us <= 5000);
    }
    assert_int_equal(p.r.n_key_frames, 1);
    assert_int_equal(p.r.numbers.n_missing, 0);
}

static void speech_with_dtx_is_fewer_packets(void **state)
{
    static struct played p;
    unsigned n[2];
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        unsigned longest_ms = 0;

        begin(&p, i == 0 ? &pattern_opus : &pattern_opus_dtx, 0, 0);
        while (p.now_us < START_US + 9000000) {
            uint64_t before_us = p.now_us;

            play(&p);
            assert_int_equal(p.last, 1);
            if (p.now_us - before_us > longest_ms * 1000) {
                longest_ms = (unsigned)((p.now_us - before_us) / 1000);
            }
        }
        n[i] = p.n_packets;
        assert_int_equal(longest_ms, i == 0 ? 20 : 400);
    }
    assert_int_equal(n[0], 451);
    assert_true(n[1] + 60 < n[0]);
}

static void frames_that_are_very_late_are_given_up(void **state)
{
    static struct played p;
    uint32_t ts;
    (void)state;

    begin(&p, &pattern_vp8[2], 0, 0);
    play(&p);
    ts = p.ts;
    assert_true(sender_is_due(&p.s, p.now_us + 10000000));
    assert_true(p.s.n_late > 1000);
    assert_in_range(p.now_us + 10000000 - p.s.due_us, SENDER_MAX_LATE_US - 40000,
                    SENDER_MAX_LATE_US);
    play(&p);
    assert_in_range(p.ts - ts, 9 * 90000, 10 * 90000); /* its clock has gone on */
    assert_int_equal(p.r.numbers.n_missing, 0);
}

static void who_was_silent_goes_on_at_the_time_it_is(void **state)
{
    uint8_t data[CAP];
    struct rtp_hdr hdr = {0};
    struct sender s;
    uint32_t ts;
    (void)state;

    sender_init(&s, false, 3, 50, 160, 99);
    sender_start(&s, START_US);
    (void)make(&s, START_US, data, &hdr);
    ts = hdr.ts;
    sender_go_on(&s, START_US + 1020000); /* a second after it was due */
    assert_true(sender_is_due(&s, START_US + 1020000));
    (void)make(&s, START_US + 1020000, data, &hdr);
    assert_int_equal(hdr.ts - ts, 48000 + 960);
    assert_false(sender_is_due(&s, START_US + 1020000)); /* nothing is made up for */
    assert_int_equal(s.n_late, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings_are_told_apart_and_halve_their_packets),
        cmocka_unit_test(pattern_is_played_in_packets_and_layers_as_it_was_recorded),
        cmocka_unit_test(what_is_lost_at_the_end_is_known_by_what_was_sent),
        cmocka_unit_test(what_a_node_may_have_left_out_at_the_end_is_not_lost),
        cmocka_unit_test(the_rest_of_a_frame_that_came_in_part_is_lost),
        cmocka_unit_test(picture_numbers_go_on_whatever_is_left_out),
        cmocka_unit_test(key_frame_that_is_asked_for_begins_the_layers_anew),
        cmocka_unit_test(h264_begins_with_parameter_sets_and_is_paced),
        cmocka_unit_test(speech_with_dtx_is_fewer_packets),
        cmocka_unit_test(frames_that_are_very_late_are_given_up),
        cmocka_unit_test(another_encoding_begins_with_its_key_frame_and_numbers_anew),
        cmocka_unit_test(another_encoding_does_not_begin_behind_the_first_packet_of_a_key_frame),
        cmocka_unit_test(payload_that_is_not_ours_is_foreign_until_one_was),
        cmocka_unit_test(who_was_silent_goes_on_at_the_time_it_is),
        cmocka_unit_test(who_stays_silent_to_the_end_was_silent_so_long),
        cmocka_unit_test(what_nobody_looks_into_is_missed_before_and_behind_what_came),
        cmocka_unit_test(frames_of_video_are_marked_and_keyed),
        cmocka_unit_test(late_sender_catches_up_a_little_and_gives_up_the_rest),
        cmocka_unit_test(receiver_numbers_packets_and_tells_other_payloads),
        cmocka_unit_test(report_tells_loss_and_the_last_sender_report),
        cmocka_unit_test(feedback_tells_each_arrival_and_each_hole_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
