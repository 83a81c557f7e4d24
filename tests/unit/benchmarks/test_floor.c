/* When `tools/bench fanout` refuses its floor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "benchmarks/fanout_measure.h"

static void a_floor_that_is_memorys_is_refused(void **state)
{
    static const struct {
        double floor_ns, one_key_ns;
        bool valid;
    } rows[] = {{137, 138, true},    {100, 137, true}, {139.9, 100, true},
                {140.1, 100, false}, {290, 138, false}};
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fanout_floor_valid(rows[i].floor_ns, rows[i].one_key_ns),
                         rows[i].valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_floor_that_is_memorys_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
