/* A subscriber of one AV1 stream with layers through every stage: what becomes of the
 * dependency descriptors, read by a reader that shares no code with core/layer_dd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "support/av1_dd.h"
#include "support/call.h"

enum { SSRC = 100, OUT = 900, N = 3, FRAME_US = 33000, THEIR_ID = 13 };

struct cast {
    struct rig *rig;
    struct far pub, sub;
    struct vault_stream_conf stream;
    struct vault_sub_conf conf;
    uint16_t seq, number; /* of what was sent last */
    uint32_t pictures;
    /* what the subscriber has got */
    unsigned n_got, n_structures;
    uint16_t last, offset; /* of frame numbers */
    unsigned active;       /* of the last structure */
    uint8_t top_spatial, top_temporal;
};

/* id  of the descriptor for the subscriber */
static void cast_open(struct cast *c, uint8_t id, uint8_t spatial, uint8_t temporal)
{
    memset(c, 0, sizeof(*c));
    c->number = 65500;
    c->rig = rig_start("mem");
    far_open(&c->pub, c->rig, 1, FAR_GCM, 4);
    far_open(&c->sub, c->rig, 2, FAR_GCM, 4);
    c->stream = far_video(&c->pub, 0, SSRC);
    c->stream.codec = ABI_CODEC_AV1;
    assert_int_equal(rig_stream(c->rig, ABI_OP_STREAM_OPEN, &c->stream), 0);
    c->conf = far_sub(&c->sub, 0, &c->stream, OUT);
    c->conf.ext_id[ABI_EXT_DEPENDENCY] = id;
    c->conf.layered = 1;
    c->conf.spatial = spatial;
    c->conf.temporal = temporal;
    assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_OPEN, &c->conf), 0);
}

static void cast_close(struct cast *c)
{
    assert_int_equal(rig_drops_out(c->rig), 0);
    far_end(&c->pub);
    far_end(&c->sub);
    rig_stop(c->rig);
}

/* A packet with this descriptor. What it is stands in the payload, too. */
static void send(struct cast *c, const uint8_t *dd, size_t len, bool two_byte, bool marker,
                 const struct av1_packet *p)
{
    const bool begins = p->key && p->first && p->spatial == 0; /* a coded video sequence */
    const uint8_t payload[] = {begins ? 0x18 : 0x10,
                               0x30,
                               (uint8_t)(p->number >> 8),
                               (uint8_t)p->number,
                               p->first,
                               (uint8_t)p->spatial,
                               (uint8_t)p->temporal};
    uint8_t ext[264] = {0};
    struct far_rtp rtp = {.ssrc = SSRC,
                          .pt = FAR_VIDEO_PT,
                          .seq = ++c->seq,
                          .ts = c->pictures * 2970,
                          .marker = marker,
                          .payload = payload,
                          .len = sizeof(payload),
                          .ext = ext,
                          .ext_len = (len + (two_byte ? 2 : 1) + 3) / 4 * 4,
                          .ext_profile = two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE};

    ext[0] = two_byte ? FAR_EXT_DEPENDENCY
                      : (uint8_t)(FAR_EXT_DEPENDENCY << 4 | (uint8_t)(len - 1));
    ext[1] = (uint8_t)len;
    memcpy(ext + (two_byte ? 2 : 1), dd, len);
    far_send_rtp(&c->pub, &rtp);
}

/* A picture of three spatial layers, two packets each. */
static void picture(struct cast *c, bool key)
{
    static const int temporal[] = {0, 2, 1, 2};
    uint8_t dd[255];

    c->pictures++;
    for (int i = 0; i < 2 * N; i++) {
        const struct av1_packet p = {.n_spatial = N,
                                     .key = key,
                                     .first = i % 2 == 0,
                                     .last = i % 2 == 1,
                                     .spatial = i / 2,
                                     .temporal = key ? 0 : temporal[c->pictures % 4],
                                     .number = i % 2 == 0 ? ++c->number : c->number};
        const size_t len = av1_write_dd(&p, dd);

        send(c, dd, len, len > 16, i == 2 * N - 1, &p);
    }
    rig_run(c->rig);
    rig_pass(c->rig, FRAME_US);
}

/* Everything that came: each descriptor has the number that its frame has for this
 * subscriber, and is as it was but for that and the targets. */
static void take(struct cast *c)
{
    struct far_got got;

    c->n_got = c->n_structures = c->top_spatial = c->top_temporal = 0;
    while (far_take_rtp(&c->sub, &got)) {
        const uint16_t number = load_be16(got.payload + 2);
        const bool first = got.payload[4] != 0;
        struct av1_read r;
        uint8_t len = 0;
        const uint8_t *dd = far_ext(&got, THEIR_ID, &len);

        assert_non_null(dd);
        r = av1_read_dd(dd, len, N);
        if (c->n_got++ == 0) {
            assert_int_equal(r.number, (uint16_t)(c->last + 1)); /* no gap is seen */
            c->offset = (uint16_t)(number - r.number);
        }
        assert_int_equal(r.number, (uint16_t)(number - c->offset));
        assert_int_equal(r.first, first);
        if (len > 16) {
            c->n_structures++;
            c->active = r.active;
        } else {
            assert_int_equal(r.active, 0);
        }
        c->last = r.number;
        c->top_spatial = got.payload[5] > c->top_spatial ? got.payload[5] : c->top_spatial;
        c->top_temporal =
            got.payload[6] > c->top_temporal ? got.payload[6] : c->top_temporal;
    }
}

/* The targets of up to these layers, a bit each, the lowest first. */
static unsigned targets(unsigned spatial, unsigned temporal)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < N * AV1_TEMPORAL; i++) {
        mask |= i / AV1_TEMPORAL <= spatial && i % AV1_TEMPORAL <= temporal ? 1u << i : 0;
    }
    return mask;
}

static void pause(struct cast *c, uint8_t paused)
{
    c->conf.paused = paused;
    assert_int_equal(rig_sub(c->rig, ABI_OP_SUB_UPDATE, &c->conf), 0);
}

static void frames_are_numbered_and_targets_named_for_each_subscriber(void **state)
{
    (void)state;
    for (uint8_t spatial = 0; spatial < N; spatial++) {
        for (uint8_t temporal = 0; temporal < AV1_TEMPORAL; temporal++) {
            struct cast c;

            cast_open(&c, THEIR_ID, spatial, temporal);
            for (unsigned i = 0; i < 40; i++) { /* numbers go past 65535 */
                picture(&c, i % 10 == 0);
            }
            take(&c);
            assert_int_equal(c.n_structures, 4);
            assert_int_equal(c.active, targets(spatial, temporal));
            assert_int_equal(c.top_spatial, spatial);
            assert_int_equal(c.top_temporal, temporal);
            pause(&c, 1);
            for (unsigned i = 0; i < 10; i++) {
                picture(&c, i == 0);
            }
            pause(&c, 0);
            for (unsigned i = 0; i < 10; i++) {
                picture(&c, i == 5);
            }
            take(&c);
            assert_int_equal(c.n_structures, 1);
            assert_int_equal(c.active, targets(spatial, temporal));
            cast_close(&c);
        }
    }
}

/* Two spatial layers, each a target: a structure of 56 bits, then zeros. */
static const uint8_t two[17] = {0xc0, 0x12, 0x34, 0x80, 0x01, 0xba, 0x20};

/* What a subscriber of the lowest layer gets of the first 'len' bytes of that. */
static void first_descriptor(uint8_t len, bool two_byte, uint8_t *out, uint8_t *out_len)
{
    const struct av1_packet p = {.number = 0x1234, .key = true, .first = true};
    struct cast c;
    struct far_got got;
    const uint8_t *dd;

    cast_open(&c, EXT_DEPENDENCY, 0, 0); /* no other id than ours */
    send(&c, two, len, two_byte, true, &p);
    rig_run(c.rig);
    rig_pass(c.rig, FRAME_US);
    assert_true(far_take_rtp(&c.sub, &got));
    assert_int_equal(got.hdr.ext_profile, two_byte ? RTP_EXT_TWO_BYTE : RTP_EXT_ONE_BYTE);
    dd = far_ext(&got, EXT_DEPENDENCY, out_len);
    assert_non_null(dd);
    memcpy(out, dd, *out_len);
    cast_close(&c);
}

static void a_descriptor_grows_by_its_targets(void **state)
{
    static const uint8_t expected[18] = {0xc0, 0, 1, 0xc0, 0x01, 0xba, 0x20, 0x40};
    uint8_t dd[255], len;
    (void)state;

    first_descriptor(7, false, dd, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(dd, expected, len);
    first_descriptor(15, false, dd, &len); /* just fits a one-byte element */
    assert_int_equal(len, 16);
    assert_memory_equal(dd, expected, len);
    first_descriptor(17, true, dd, &len);
    assert_int_equal(len, 18);
    assert_memory_equal(dd, expected, len);
}

/* Those of the sender stay, but a number of another would be of another frame. */
static void a_descriptor_that_cannot_grow_has_our_number_all_the_same(void **state)
{
    static const uint8_t expected[16] = {0xc0, 0, 1, 0x80, 0x01, 0xba, 0x20};
    uint8_t dd[255], len;
    (void)state;

    first_descriptor(16, false, dd, &len);
    assert_int_equal(len, 16);
    assert_memory_equal(dd, expected, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_numbered_and_targets_named_for_each_subscriber),
        cmocka_unit_test(a_descriptor_grows_by_its_targets),
        cmocka_unit_test(a_descriptor_that_cannot_grow_has_our_number_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
