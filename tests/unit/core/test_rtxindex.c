/* What an outgoing number was, over starts and resumes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rtxindex.h"

static void number_is_the_packet_of_its_span(void **state)
{
    struct rtxindex index = {.n = 0};
    struct rtxindex_hit hit;
    (void)state;

    assert_false(rtxindex_find(&index, 5, 10, &hit));
    rtxindex_begin(&index, 65530, 1000);
    rtxindex_begin(&index, 65540, 5000);
    assert_false(rtxindex_find(&index, (uint16_t)65529, 65550, &hit));
    assert_true(rtxindex_find(&index, (uint16_t)65530, 65550, &hit));
    assert_int_equal(hit.out, 65530);
    assert_int_equal(hit.seq, 66530);
    assert_true(rtxindex_find(&index, 3, 65550, &hit));
    assert_int_equal(hit.out, 65539);
    assert_int_equal(hit.seq, 66539);
    assert_true(rtxindex_find(&index, 4, 65550, &hit));
    assert_int_equal(hit.seq, 70540);
    assert_true(rtxindex_find(&index, 13, 65550, &hit));
    assert_false(rtxindex_find(&index, 14, 65550, &hit)); /* not sent yet */
    assert_false(rtxindex_find(&index, 40000, 65550, &hit));
}

/* The offset may be negative: a publisher whose numbers are below ours. */
static void offset_is_modulo_2_64(void **state)
{
    struct rtxindex index = {.n = 0};
    struct rtxindex_hit hit;
    (void)state;

    rtxindex_begin(&index, 5000, (uint64_t)-4990);
    assert_true(rtxindex_find(&index, 5003, 5010, &hit));
    assert_int_equal(hit.seq, 13);
}

static void old_spans_are_forgotten(void **state)
{
    struct rtxindex index = {.n = 0};
    struct rtxindex_hit hit;
    (void)state;

    for (uint32_t i = 0; i <= RTXINDEX_SPANS; i++) {
        rtxindex_begin(&index, 100 + 10 * (uint64_t)i, i);
    }
    assert_false(rtxindex_find(&index, 109, 1000, &hit));
    assert_true(rtxindex_find(&index, 110, 1000, &hit));
    assert_int_equal(hit.seq, 111);
    assert_true(rtxindex_find(&index, 999, 1000, &hit));
    assert_int_equal(hit.seq, 999 + RTXINDEX_SPANS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_is_the_packet_of_its_span),
        cmocka_unit_test(offset_is_modulo_2_64),
        cmocka_unit_test(old_spans_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
