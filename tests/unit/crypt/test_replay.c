/* crypt/replay.h: index guess and replay window, against RFC 3711 and a plain model. */
#include "crypt/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct replay at(uint64_t highest)
{
    struct replay replay = {0};

    replay_commit(&replay, highest);
    return replay;
}

static void first_packet_has_roc_zero_whatever_its_number(void **state)
{
    const struct replay fresh = {0};
    (void)state;

    assert_int_equal(replay_guess(&fresh, 0), 0);
    assert_int_equal(replay_guess(&fresh, 65535), 65535);
    assert_int_equal(replay_check(&fresh, 65535), 0);
}

static void guess_is_the_nearest_index(void **state)
{
    struct replay replay = at(5u << 16 | 100);
    (void)state;

    assert_int_equal(replay_guess(&replay, 101), 5u << 16 | 101);
    assert_int_equal(replay_guess(&replay, 99), 5u << 16 | 99);
    assert_int_equal(replay_guess(&replay, 100 + 32768), 5u << 16 | (100 + 32768));
    assert_int_equal(replay_guess(&replay, 100 + 32769), 4u << 16 | (100 + 32769));
    assert_int_equal(replay_guess(&replay, 65535), 4u << 16 | 65535);

    replay = at(5u << 16 | 40000);
    assert_int_equal(replay_guess(&replay, 40000 - 32768), 5u << 16 | (40000 - 32768));
    assert_int_equal(replay_guess(&replay, 40000 - 32769), 6u << 16 | (40000 - 32769));
    assert_int_equal(replay_guess(&replay, 65535), 5u << 16 | 65535);
}

static void guess_never_goes_below_roc_zero(void **state)
{
    const struct replay replay = at(3);
    (void)state;

    assert_int_equal(replay_guess(&replay, 65535), 65535);
}

static void end_of_the_last_roc_is_refused_as_old(void **state)
{
    const struct replay replay = at(UINT64_C(0xffffffffffff));
    uint64_t guess;
    (void)state;

    guess = replay_guess(&replay, 1);
    assert_int_equal(guess, 1);
    assert_int_equal(replay_check(&replay, guess), -ERANGE);
}

static void guess_follows_a_stream_through_many_rocs(void **state)
{
    struct replay replay = at(65000);
    uint64_t index = 65000;
    (void)state;

    srand(1);
    while (index < 40u << 16) {
        index += 1 + (unsigned)rand() % 32768;
        assert_int_equal(replay_guess(&replay, (uint16_t)index), index);
        assert_int_equal(replay_check(&replay, index), 0);
        replay_commit(&replay, index);
        assert_int_equal(replay_check(&replay, index), -EALREADY);
    }
}

static void window_edges_are_exact(void **state)
{
    struct replay replay = at(1000);
    (void)state;

    assert_int_equal(replay_check(&replay, 1000 - 127), 0);
    assert_int_equal(replay_check(&replay, 1000 - 128), -ERANGE);
    replay_commit(&replay, 1000 - 127);
    replay_commit(&replay, 1000 - 64);
    replay_commit(&replay, 1000 - 63);
    assert_int_equal(replay_check(&replay, 1000 - 127), -EALREADY);
    assert_int_equal(replay_check(&replay, 1000 - 64), -EALREADY);
    assert_int_equal(replay_check(&replay, 1000 - 63), -EALREADY);
    assert_int_equal(replay_check(&replay, 1000 - 65), 0);
    replay_commit(&replay, 1000 - 500); /* not checked by the caller: ignored */
    assert_int_equal(replay_check(&replay, 1000 - 126), 0);
}

/* Of two packets seen, each is where it belongs after a leap of any width, and no other is.
 */
static void a_leap_moves_the_window_exactly(void **state)
{
    (void)state;

    for (uint64_t ahead = 1; ahead < 2 * REPLAY_WINDOW; ahead++) {
        struct replay replay = at(1000);

        replay_commit(&replay, 990);
        replay_commit(&replay, 1000 + ahead);
        for (uint64_t age = 0; age < REPLAY_WINDOW; age++) {
            const uint64_t index = 1000 + ahead - age;
            const bool seen = index == 990 || index == 1000 || age == 0;

            assert_int_equal(replay_check(&replay, index), seen ? -EALREADY : 0);
        }
    }
}

/* Any order of indexes, jumps of all sizes around the words' edges: the window says what a
 * table of all indexes says. */
static void window_agrees_with_a_table(void **state)
{
    enum { N = 40000 };
    static bool seen[N];
    struct replay replay = {0};
    uint64_t highest = 0;
    (void)state;

    srand(2);
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t back = (unsigned)rand() % 200;
        const uint64_t step = (unsigned)rand() % (rand() % 50 == 0 ? 300 : 3);
        const uint64_t index = rand() % 2 != 0  ? highest + step
                               : highest > back ? highest - back
                                                : 0;
        int want = 0;

        if (index >= N) {
            break;
        }
        if (replay.started != 0 && index + REPLAY_WINDOW <= highest) {
            want = -ERANGE;
        } else if (seen[index]) {
            want = -EALREADY;
        }
        assert_int_equal(replay_check(&replay, index), want);
        if (want == 0) {
            replay_commit(&replay, index);
            seen[index] = true;
            highest = index > highest ? index : highest;
        }
    }
    assert_true(highest > 1000);
}

static void srtcp_indexes_of_31_bits_fit(void **state)
{
    struct replay replay = at(0x7ffffffe);
    (void)state;

    assert_int_equal(replay_check(&replay, 0x7fffffff), 0);
    replay_commit(&replay, 0x7fffffff);
    assert_int_equal(replay_check(&replay, 0x7ffffffe), -EALREADY);
    assert_int_equal(replay_check(&replay, 0), -ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_packet_has_roc_zero_whatever_its_number),
        cmocka_unit_test(guess_is_the_nearest_index),
        cmocka_unit_test(guess_never_goes_below_roc_zero),
        cmocka_unit_test(end_of_the_last_roc_is_refused_as_old),
        cmocka_unit_test(guess_follows_a_stream_through_many_rocs),
        cmocka_unit_test(window_edges_are_exact),
        cmocka_unit_test(a_leap_moves_the_window_exactly),
        cmocka_unit_test(window_agrees_with_a_table),
        cmocka_unit_test(srtcp_indexes_of_31_bits_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
