/* What the switcher does that its property test (sim/test_layers) does not reach: clocks of
 * two streams compared, and what went out last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/switcher.h"

enum { HZ = 90000 };

/* A picture of both streams goes out at one time, whatever numbers they began with and
 * whichever report is newer. */
static void pictures_of_one_time_go_out_at_one_time(void **state)
{
    static const struct {
        int64_t apart_us; /* of the reports: the second one's time minus the first one's */
    } rows[] = {{0}, {1}, {1500000}, {-1500000}, {500000}, {-1}, {90000000}, {-4999999}};
    const uint64_t second = UINT64_C(1) << 32;
    const struct switcher_clock from = {.ntp = 3900000000u * second + second / 3,
                                        .ts = 0xfffffff0u};
    const uint32_t offset = 12345; /* source minus outgoing */
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const int64_t us = rows[i].apart_us;
        const struct switcher_clock to = {
            .ntp = from.ntp + (uint64_t)(us / 1000000) * second +
                   (uint64_t)(us % 1000000 * (int64_t)second / 1000000),
            .ts = 777};
        /* a picture 2 s after the first report, by either clock */
        const uint32_t a = from.ts + 2 * HZ - offset;
        const uint32_t there = to.ts + (uint32_t)((2000000 - us) * HZ / 1000000);
        const uint32_t b = there - switcher_map(&from, &to, HZ, offset);

        assert_in_range(b - a + 1, 0, 2); /* rounding */
    }
}

static struct switcher_in frame(uint64_t seq, uint32_t ts, uint16_t picture,
                                uint8_t temporal, bool key)
{
    struct switcher_in in = {.seq = seq,
                             .ts = ts,
                             .marker = true,
                             .layer = {.picture = picture,
                                       .present = LAYER_ALL,
                                       .chain = LAYER_NO_CHAIN,
                                       .temporal = temporal,
                                       .tl0 = (uint8_t)picture,
                                       .bits = 15,
                                       .flags = LAYER_BEGIN | LAYER_TL0 | LAYER_COUNTED}};

    for (unsigned s = 0; s < LAYER_MAX && temporal > 0; s++) {
        in.layer.present &= (uint16_t)~LAYER_BIT(s, 0);
    }
    if (key) {
        in.layer.sync = LAYER_ALL;
        in.layer.flags |= LAYER_KEY;
    }
    return in;
}

/* A base picture comes late, behind one that is left out: it is the last that was sent, and
 * another source goes on from it. */
static void what_came_late_is_gone_on_from(void **state)
{
    const struct switcher_last last = {.ts = 0};
    struct switcher_in in = frame(100, 1000, 50, 0, true);
    struct switcher sw;
    struct switcher_out out;
    (void)state;

    switcher_init(&sw, 1, &last);
    switcher_want(&sw, 0, 0);
    switcher_begin(&sw, &in, 1000);
    assert_true(switcher_packet(&sw, &in, &out));
    in = frame(102, 7000, 52, 1, false);
    assert_false(switcher_packet(&sw, &in, &out));
    in = frame(101, 4000, 51, 0, false);
    assert_true(switcher_packet(&sw, &in, &out));
    assert_int_equal(out.picture, 2);
    assert_int_equal(sw.out_ts, 4000);
    in = frame(9000, 123456, 7000, 0, true);
    switcher_begin(&sw, &in, sw.out_ts + 3000);
    assert_true(switcher_packet(&sw, &in, &out));
    assert_int_equal(out.index, 3);
    assert_int_equal(out.ts, 7000);
    assert_int_equal(out.picture, 3);
    assert_int_equal(out.tl0, 3);
}

/* ---- what is passed over ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static bool chance(uint32_t *seed, uint32_t of)
{
    return next_random(seed) % of == 0;
}

/* A source of pictures of 1 to 3 spatial layers and 3 temporal ones, a frame of each, of 1
 * to 3 packets; on the way some are lost, late, or come twice. */
struct source {
    uint32_t seed;
    uint64_t seq;
    uint32_t ts;
    uint16_t picture;
    uint8_t tl0, n_spatial, bits;
    struct switcher_in late[4]; /* each may come now, or again */
    unsigned n_late;
    struct switcher_in left[16]; /* of this picture */
    unsigned n_left, at;
};

static void next_picture(struct source *s)
{
    const bool key = chance(&s->seed, 60);
    static const uint8_t cycle[] = {0, 2, 1, 2}, bits[] = {0, 7, 15};
    const uint8_t temporal = key ? 0 : cycle[next_random(&s->seed) % 4];

    if (chance(&s->seed, 400)) {
        s->bits = bits[next_random(&s->seed) % 3];
    }
    s->ts += chance(&s->seed, 50) ? 0 : 3000; /* two pictures of one time, now and then */
    s->picture = (uint16_t)((s->picture + 1) & ((1u << s->bits) - 1));
    s->tl0 = (uint8_t)(s->tl0 + (temporal == 0));
    s->n_left = s->at = 0;
    for (uint8_t spatial = 0; spatial < s->n_spatial; spatial++) {
        const unsigned n = 1 + next_random(&s->seed) % 3;
        const bool apart = chance(&s->seed, 20); /* as in K-SVC: of this layer only */

        for (unsigned i = 0; i < n; i++) {
            struct switcher_in *in = &s->left[s->n_left++];

            *in = (struct switcher_in){.seq = s->seq++,
                                       .ts = s->ts,
                                       .marker = i + 1 == n && spatial + 1 == s->n_spatial,
                                       .layer = {.picture = s->picture,
                                                 .chain = LAYER_NO_CHAIN,
                                                 .spatial = spatial,
                                                 .temporal = temporal,
                                                 .tl0 = s->tl0,
                                                 .bits = s->bits,
                                                 .flags = LAYER_TL0 | LAYER_COUNTED}};
            for (unsigned x = spatial; x < (apart ? spatial + 1u : LAYER_MAX); x++) {
                for (unsigned t = temporal; t < LAYER_MAX; t++) {
                    in->layer.present |= LAYER_BIT(x, t);
                }
            }
            if (chance(&s->seed, 200)) { /* it contradicts itself */
                in->layer.present = (uint16_t)next_random(&s->seed);
            }
            in->layer.sync = key && spatial == 0   ? LAYER_ALL
                             : chance(&s->seed, 4) ? in->layer.present
                                                   : 0;
            in->layer.chain = key || chance(&s->seed, 2) ? LAYER_NO_CHAIN : 0;
            in->layer.flags =
                (uint8_t)(in->layer.flags | (i == 0 ? LAYER_BEGIN : 0) |
                          (i + 1 == n ? LAYER_END : 0) | (key ? LAYER_KEY : 0));
        }
    }
}

static struct switcher_in next_packet(struct source *s)
{
    for (;;) {
        struct switcher_in in;

        if (s->n_late > 0 && chance(&s->seed, 6)) {
            in = s->late[next_random(&s->seed) % s->n_late];
            s->n_late -= chance(&s->seed, 2); /* others may come once more */
            return in;
        }
        if (s->at == s->n_left) {
            next_picture(s);
        }
        in = s->left[s->at++];
        if (chance(&s->seed, 80)) {
            if (s->n_late < 4 && chance(&s->seed, 2)) {
                s->late[s->n_late++] = in;
            }
            continue; /* lost, or late */
        }
        return in;
    }
}

static void assert_same(const struct switcher *passing, const struct switcher *shown)
{
    struct switcher level = *passing;

    level.walked_pictures = shown->walked_pictures;
    assert_memory_equal(&level, shown, sizeof(level));
}

/* One that is shown everything and one that passes over what it can: the same is sent,
 * under the same numbers, and whenever the second has caught up nothing tells them apart.
 */
static void what_is_passed_over_is_as_if_it_had_been_shown(void **state)
{
    uint64_t passed = 0, sent = 0;
    (void)state;

    for (uint32_t run = 1; run <= 300; run++) {
        struct source s = {.seed = run * 2654435761u,
                           .seq = chance(&(uint32_t){run * 77u}, 2) ? 5 : UINT32_MAX - 700u,
                           .n_spatial = (uint8_t)(1 + run % 3),
                           .bits = run % 5 == 0 ? 7 : 15};
        const struct switcher_last last = {.ts = run, .picture = (uint16_t)(run * 31)};
        struct switcher shown, passing;
        struct switcher_walk walk;
        uint16_t passes = 0;

        memset(&walk, 0, sizeof(walk));
        memset(&shown, 0, sizeof(shown));
        switcher_init(&shown, 100, &last);
        memcpy(&passing, &shown, sizeof(shown));
        for (unsigned i = 0; i < 3000; i++) {
            const struct switcher_in in = next_packet(&s);
            const struct switcher_walk before = walk;
            struct switcher_out a, b;
            bool level;
            const bool other = chance(&s.seed, 100);

            if (i == 0 || chance(&s.seed, 500)) { /* the lane's walk skips something */
                level = false;
                switcher_walk_begin(&walk, &in);
            } else {
                level = switcher_walk_next(&walk, &in);
            }
            memset(&a, 0, sizeof(a));
            memset(&b, 0, sizeof(b));
            if (i == 0 || other) {
                const uint8_t spatial = (uint8_t)(next_random(&s.seed) % 3);
                const uint8_t temporal = (uint8_t)(next_random(&s.seed) % 3);

                if (passes != 0) {
                    switcher_catch_up(&passing, &before);
                    passes = 0;
                }
                assert_same(&passing, &shown);
                switcher_want(&shown, spatial, temporal);
                switcher_want(&passing, spatial, temporal);
                if (i == 0 || chance(&s.seed, 4)) {
                    switcher_begin(&shown, &in, shown.out_ts + 3000);
                    switcher_begin(&passing, &in, passing.out_ts + 3000);
                }
            }
            if (level && passes != 0 && (in.layer.present & passes) == 0) {
                assert_false(switcher_packet(&shown, &in, &a));
                passed++;
                continue;
            }
            if (passes != 0) {
                switcher_catch_up(&passing, &before);
            }
            assert_same(&passing, &shown);
            if (switcher_packet(&shown, &in, &a)) {
                sent++;
                assert_true(switcher_packet(&passing, &in, &b));
                assert_memory_equal(&a, &b, sizeof(a));
            } else {
                assert_false(switcher_packet(&passing, &in, &b));
            }
            passes = switcher_passes(&passing, &walk);
            if (passes != 0 && chance(&s.seed, 50)) {
                switcher_catch_up(&passing, &walk);
                assert_same(&passing, &shown);
                passes = switcher_passes(&passing, &walk);
            }
        }
    }
    /* and this was no rare case */
    assert_true(passed > 100000);
    assert_true(sent > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_passed_over_is_as_if_it_had_been_shown),
        cmocka_unit_test(pictures_of_one_time_go_out_at_one_time),
        cmocka_unit_test(what_came_late_is_gone_on_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
