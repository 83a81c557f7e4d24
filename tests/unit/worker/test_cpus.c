/* The CPUs of lanes: one that is not there is refused, and what is no lane keeps off them.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/cpus.h"

static cpu_set_t ours;

static void expect_on(const cpu_set_t *set)
{
    cpu_set_t now;

    assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
    assert_true(CPU_EQUAL(&now, set));
}

static uint16_t nth(unsigned n)
{
    uint16_t cpu = 0;

    for (;; cpu++) {
        if (CPU_ISSET(cpu, &ours) && n-- == 0) {
            return cpu;
        }
    }
}

static void without_any_nothing_changes(void **state)
{
    char err[256] = "";
    (void)state;

    assert_int_equal(cpus_set_aside(NULL, 0, err, sizeof(err)), 0);
    expect_on(&ours);
}

static void one_that_is_not_there_is_named(void **state)
{
    const uint16_t cpus[] = {nth(0), 1023};
    char err[256] = "";
    (void)state;

    assert_int_equal(cpus_set_aside(cpus, 2, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "lanes.cpus: CPU 1023"));
    assert_non_null(strstr(err, "may run on"));
    expect_on(&ours);
}

static void others_keep_off_those_of_lanes(void **state)
{
    const uint16_t cpus[] = {nth(0)};
    cpu_set_t rest = ours;
    char err[256] = "";
    (void)state;

    if (CPU_COUNT(&ours) == 1) {
        skip();
    }
    assert_int_equal(cpus_set_aside(cpus, 1, err, sizeof(err)), 0);
    CPU_CLR(cpus[0], &rest);
    expect_on(&rest);
}

/* A process that may not leave one CPU (taskset, isolcpus) still finds that of the lane. */
static void one_that_it_was_not_begun_on_may_be_given(void **state)
{
    const uint16_t cpus[] = {nth(0)};
    cpu_set_t one;
    char err[256] = "";
    (void)state;

    if (CPU_COUNT(&ours) == 1) {
        skip();
    }
    CPU_ZERO(&one);
    CPU_SET(nth(1), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cpus_set_aside(cpus, 1, err, sizeof(err)), 0);
    expect_on(&one);
}

static void if_all_are_lanes_the_others_run_anywhere(void **state)
{
    uint16_t cpus[CPU_SETSIZE];
    uint32_t n = 0;
    char err[256] = "";
    (void)state;

    for (; n < (uint32_t)CPU_COUNT(&ours); n++) {
        cpus[n] = nth(n);
    }
    assert_int_equal(cpus_set_aside(cpus, n, err, sizeof(err)), 0);
    expect_on(&ours);
}

/* A machine of two nodes, of whose CPU 9 nothing is known. */
static void those_of_another_numa_node_are_named(void **state)
{
    const uint16_t cpus[] = {0, 5, 9, 4, 1};
    char dir[] = "/tmp/kcs-cpus-XXXXXX", command[512], text[512];
    (void)state;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(command, sizeof(command),
                   "cd %s && for n in 0 1; do for c in 0 1 2 3; do mkdir -p "
                   "devices/system/cpu/cpu$((4 * n + c))/node$n; done; done",
                   dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(cpus_far_from(cpus, 5, 0, dir, text, sizeof(text)), 2);
    assert_non_null(strstr(text, "lanes.cpus: CPU 4-5: "));
    assert_non_null(strstr(text, "(node 0)"));
    assert_int_equal(cpus_far_from(cpus, 5, 1, dir, text, sizeof(text)), 2);
    assert_non_null(strstr(text, "CPU 0-1: "));
    assert_int_equal(cpus_far_from(cpus, 1, 0, dir, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(cpus_far_from(NULL, 0, 0, dir, text, sizeof(text)), 0);
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static int go_anywhere(void **state)
{
    (void)state;
    return sched_setaffinity(0, sizeof(ours), &ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_nothing_changes),
        cmocka_unit_test(one_that_is_not_there_is_named),
        cmocka_unit_test_teardown(others_keep_off_those_of_lanes, go_anywhere),
        cmocka_unit_test_teardown(one_that_it_was_not_begun_on_may_be_given, go_anywhere),
        cmocka_unit_test(those_of_another_numa_node_are_named),
        cmocka_unit_test(if_all_are_lanes_the_others_run_anywhere),
    };

    if (sched_getaffinity(0, sizeof(ours), &ours) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
