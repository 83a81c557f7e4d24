/* Packets come out in the order of their numbers, whatever order they came in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "egress/depay/order.h"

enum { SLOTS = 16, HOLD_US = 100 };

struct fixture {
    struct order order;
    struct order_packet slots[SLOTS];
};

static struct fixture *setup(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    order_init(&f->order, f->slots, SLOTS, HOLD_US);
    return f;
}

static int put(struct fixture *f, uint64_t seq, uint64_t now_us)
{
    const struct order_packet meta = {.seq = seq, .ts = (uint32_t)seq, .len = 1};
    const uint8_t byte = (uint8_t)seq;

    return order_put(&f->order, &meta, &byte, now_us);
}

/* The number of the next one, 0 if there is none; 'lost' in the sign. */
static int64_t take(struct fixture *f, uint64_t now_us)
{
    bool lost;
    const struct order_packet *p = order_take(&f->order, now_us, &lost);

    if (p == NULL) {
        return 0;
    }
    assert_int_equal(p->data[0], (uint8_t)p->seq);
    return lost ? -(int64_t)p->seq : (int64_t)p->seq;
}

static void the_start_is_fixed_after_the_hold_time(void **state)
{
    struct fixture *f = setup();
    (void)state;

    assert_int_equal(put(f, 102, 1000), 0);
    assert_int_equal(put(f, 101, 1010), 0);
    assert_int_equal(put(f, 100, 1020), 0);
    assert_int_equal(take(f, 1099), 0);
    assert_int_equal(take(f, 1100), 100);
    assert_int_equal(take(f, 1100), 101);
    assert_int_equal(take(f, 1100), 102);
    assert_int_equal(take(f, 1100), 0);
    assert_int_equal(put(f, 99, 1110), -EALREADY);
    free(f);
}

static void a_hole_is_waited_for_and_then_given_up(void **state)
{
    struct fixture *f = setup();
    (void)state;

    assert_int_equal(put(f, 1, 1000), 0);
    assert_int_equal(take(f, 1100), 1);
    assert_int_equal(put(f, 3, 1110), 0);
    assert_int_equal(take(f, 1110), 0);
    assert_int_equal(put(f, 2, 1150), 0); /* it was repaired */
    assert_int_equal(take(f, 1150), 2);
    assert_int_equal(take(f, 1150), 3);
    assert_int_equal(put(f, 6, 1200), 0);
    assert_int_equal(put(f, 7, 1200), 0);
    assert_int_equal(take(f, 1200), 0);
    assert_int_equal(take(f, 1299), 0);
    assert_int_equal(take(f, 1300), -6);
    assert_int_equal(take(f, 1300), 7);
    assert_int_equal(f->order.lost, 2);
    assert_int_equal(put(f, 5, 1310), -EALREADY); /* too late */
    free(f);
}

/* Each of many holes has been waited for since what is behind it came. */
static void many_holes_wait_no_longer_than_one(void **state)
{
    struct fixture *f = setup();
    (void)state;

    for (uint64_t seq = 1; seq <= 7; seq += 2) {
        assert_int_equal(put(f, seq, 1000), 0);
    }
    assert_int_equal(take(f, 1099), 0);
    assert_int_equal(take(f, 1100), 1);
    assert_int_equal(take(f, 1100), -3);
    assert_int_equal(take(f, 1100), -5);
    assert_int_equal(take(f, 1100), -7);
    assert_int_equal(put(f, 9, 1150), 0);
    assert_int_equal(put(f, 11, 1200), 0);
    assert_int_equal(take(f, 1250), -9);
    assert_int_equal(take(f, 1250), 0);
    assert_int_equal(take(f, 1300), -11);
    assert_int_equal(f->order.lost, 5);
    free(f);
}

static void one_that_is_far_ahead_gives_up_what_is_before(void **state)
{
    struct fixture *f = setup();
    (void)state;

    assert_int_equal(put(f, 10, 1000), 0);
    assert_int_equal(put(f, 10, 1000), -EALREADY);
    assert_int_equal(take(f, 1100), 10);
    assert_int_equal(put(f, 12, 1100), 0);
    assert_int_equal(put(f, 1000, 1100), 0);
    assert_int_equal(take(f, 1100), 0);
    assert_int_equal(take(f, 1200), -1000);
    assert_int_equal(f->order.n, 0);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_start_is_fixed_after_the_hold_time),
        cmocka_unit_test(a_hole_is_waited_for_and_then_given_up),
        cmocka_unit_test(many_holes_wait_no_longer_than_one),
        cmocka_unit_test(one_that_is_far_ahead_gives_up_what_is_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
