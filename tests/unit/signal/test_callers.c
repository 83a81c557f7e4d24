/* How many sessions an address may have, and how fast it may open them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "signal/callers.h"

enum { S = 1000000 };

static const uint8_t one[NET_ORIGIN] = {0x20, 2, 192, 0, 2, 1};
static const uint8_t two[NET_ORIGIN] = {0x20, 2, 192, 0, 2, 2};

static void an_address_has_so_many_at_once(void **state)
{
    const struct callers_conf conf = {.most = 3}, more = {.most = 4};
    struct callers *callers;
    struct caller *open[4], *other;
    (void)state;

    assert_int_equal(callers_create(&callers, &conf), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(callers_enter(callers, one, i, &open[i]), 0);
    }
    assert_int_equal(callers_enter(callers, one, 3, &open[3]), -ENOSPC);
    assert_int_equal(callers_enter(callers, two, 3, &other), 0);
    callers_leave(open[1]);
    assert_int_equal(callers_enter(callers, one, 4, &open[1]), 0);
    assert_int_equal(callers_enter(callers, one, 5, &open[3]), -ENOSPC);
    callers_leave(other);
    callers_set(callers, &more);
    assert_int_equal(callers_enter(callers, one, 6, &open[3]), 0);
    for (unsigned i = 0; i < 4; i++) {
        callers_leave(open[i]);
    }
    callers_leave(NULL);
    callers_destroy(callers);
}

static void an_address_opens_so_many_a_second(void **state)
{
    const struct callers_conf conf = {.per_s = 10};
    struct callers *callers;
    struct caller *caller;
    uint64_t now_us = 100 * S;
    unsigned n = 0;
    (void)state;

    assert_int_equal(callers_create(&callers, &conf), 0);
    for (unsigned i = 0; i < 40; i++) { /* four seconds' worth at once */
        assert_int_equal(callers_enter(callers, one, now_us, &caller), 0);
        callers_leave(caller);
    }
    assert_int_equal(callers_enter(callers, one, now_us, &caller), -EAGAIN);
    assert_int_equal(callers_enter(callers, two, now_us, &caller), 0);
    callers_leave(caller);
    for (unsigned ms = 0; ms < 10000; ms++) { /* who asks all the time gets its share */
        now_us += 1000;
        if (callers_enter(callers, one, now_us, &caller) == 0) {
            callers_leave(caller);
            n++;
        }
    }
    assert_in_range(n, 99, 101);
    callers_destroy(callers);
}

static void without_limits_nobody_is_refused(void **state)
{
    const struct callers_conf conf = {.most = 0};
    struct callers *callers;
    struct caller *caller;
    (void)state;

    assert_int_equal(callers_create(&callers, &conf), 0);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(callers_enter(callers, one, 1, &caller), 0);
    }
    callers_destroy(callers);
}

/* A flood from very many addresses leaves nothing behind, and forgets nobody who counts. */
static void who_left_is_forgotten_in_time(void **state)
{
    const struct callers_conf conf = {.most = 2, .per_s = 10};
    struct callers *callers;
    struct caller *stays[2], *caller;
    uint8_t origin[NET_ORIGIN] = {0x20, 1, 13, 0xb8};
    uint64_t now_us = 100 * S;
    (void)state;

    assert_int_equal(callers_create(&callers, &conf), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(callers_enter(callers, one, now_us, &stays[i]), 0);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(origin + 4, &i, 4);
        now_us += 1000; /* a thousand a second: those of four seconds are remembered */
        assert_int_equal(callers_enter(callers, origin, now_us, &caller), 0);
        callers_leave(caller);
        assert_true(callers_n(callers) < 8010);
    }
    assert_int_equal(callers_enter(callers, one, now_us, &caller), -ENOSPC);
    callers_leave(stays[0]);
    callers_leave(stays[1]);
    callers_destroy(callers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_so_many_at_once),
        cmocka_unit_test(an_address_opens_so_many_a_second),
        cmocka_unit_test(without_limits_nobody_is_refused),
        cmocka_unit_test(who_left_is_forgotten_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
