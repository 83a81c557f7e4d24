/* Numbers are used once: gaps (outgoing), seen (incoming), answered (NACKs). Against plain
 * models that remember everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/answered.h"
#include "core/gaps.h"
#include "core/seen.h"

enum { N = 40000, SEEDS = 50 };

static uint32_t dice(uint64_t *random, uint32_t below)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % below;
}

/* As protect does it: at or above 'next' is new, below only what was left out. */
static bool use(struct gaps *gaps, uint64_t *next, uint64_t number)
{
    if (number < *next) {
        return gaps_take(gaps, number);
    }
    gaps_add(gaps, *next, number);
    *next = number + 1;
    return true;
}

static void no_number_is_taken_twice(void **state)
{
    static bool used[N + 4096];
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct gaps gaps = {.unused = {0}};
        uint64_t random = seed;
        uint64_t next = dice(&random, 3) == 0 ? 0 : dice(&random, 5000);
        uint64_t first = next;
        unsigned n_late = 0;

        memset(used, 0, sizeof(used));
        while (next < N) {
            uint32_t back = dice(&random, 10) == 0 ? dice(&random, 3000) : 0;
            uint32_t ahead = dice(&random, 40) == 0 ? dice(&random, 2000)
                                                    : dice(&random, 3);
            uint64_t number = back > 0 ? (next > back ? next - back : 0) : next + ahead;
            bool late = number < next;
            bool known = late && number >= first && next - number <= GAPS_WINDOW - 64;

            if (use(&gaps, &next, number)) {
                assert_false(used[number]);
                assert_true(number >= first);
                n_late += late;
                used[number] = true;
            } else {
                assert_true(late && (used[number] || !known));
            }
        }
        assert_true(n_late > 10);
    }
}

/* A successor of a process that died knows only the next number. */
static void nothing_late_is_taken_by_who_begins(void **state)
{
    struct gaps gaps = {.unused = {0}};
    uint64_t next = 5000;
    (void)state;

    for (uint64_t i = 0; i < 5000; i++) {
        assert_false(use(&gaps, &next, i));
    }
    assert_true(use(&gaps, &next, 5003));
    assert_false(use(&gaps, &next, 4999));
    assert_true(use(&gaps, &next, 5001));
    assert_false(use(&gaps, &next, 5001));
    assert_true(use(&gaps, &next, UINT64_C(1) << 40)); /* a wide gap: its end is known */
    assert_false(use(&gaps, &next, 5002));
    assert_true(use(&gaps, &next, (UINT64_C(1) << 40) - GAPS_WINDOW));
    assert_false(use(&gaps, &next, (UINT64_C(1) << 40) - GAPS_WINDOW - 1));
}

static void packets_come_once(void **state)
{
    static bool came[N + 8192];
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct seen seen = {.next = 0};
        uint64_t random = seed;
        uint64_t highest = 60000;

        memset(came, 0, sizeof(came));
        while (highest < 60000 + N) {
            uint64_t seq = dice(&random, 4) == 0
                               ? highest - dice(&random, 1500)
                               : highest + (dice(&random, 50) == 0 ? dice(&random, 3000)
                                                                   : dice(&random, 3));
            bool first = seq >= 60000 ? !came[seq - 60000] : seen.next == 0;
            bool recent = seq + SEEN_WINDOW >= seen.next;

            if (seq < 60000) {
                continue;
            }
            assert_int_equal(seen_take(&seen, seq), first && recent);
            came[seq - 60000] = true;
            highest = seq > highest ? seq : highest;
        }
    }
}

static void the_same_is_answered_once_a_round_trip(void **state)
{
    struct answered a = {.seq = {0}};
    (void)state;

    assert_true(answered_take(&a, 0, 1000000, 50000));
    assert_false(answered_take(&a, 0, 1049000, 50000));
    assert_true(answered_take(&a, 1, 1049000, 50000));
    assert_true(answered_take(&a, 0, 1050000, 50000));
    assert_false(answered_take(&a, 0, 1051000, 50000));
    assert_true(answered_take(&a, ANSWERED_PLACES, 1051000, 50000));
    assert_true(answered_take(&a, 0, 1051000, 50000)); /* forgotten: a packet more */
}

/* Asked for each 10 ms: answered after 50 ms twice, then 100, 200 and 400, and then no more
 * until the number may be another packet's. */
static void who_asks_on_and_on_is_answered_less_and_less(void **state)
{
    static const uint64_t at_ms[ANSWERED_TIMES] = {1000, 1050, 1100, 1200, 1400, 1800};
    struct answered a = {.seq = {0}};
    unsigned n = 0;
    (void)state;

    for (uint64_t ms = 1000; ms < 11800; ms += 10) {
        if (answered_take(&a, 7, ms * 1000, 50000)) {
            assert_true(n < ANSWERED_TIMES);
            assert_int_equal(ms, at_ms[n]);
            n++;
        }
        if (ms == 5000) {
            assert_true(answered_take(&a, 8, ms * 1000, 50000)); /* others do not wait */
        }
    }
    assert_int_equal(n, ANSWERED_TIMES);
    assert_true(answered_take(&a, 7, 11800000, 50000));
    assert_false(answered_take(&a, 7, 11849000, 50000));
    assert_true(answered_take(&a, 7, 11850000, 50000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_is_taken_twice),
        cmocka_unit_test(nothing_late_is_taken_by_who_begins),
        cmocka_unit_test(packets_come_once),
        cmocka_unit_test(the_same_is_answered_once_a_round_trip),
        cmocka_unit_test(who_asks_on_and_on_is_answered_less_and_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
