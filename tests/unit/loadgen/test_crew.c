/* Who of several processes ends before its time is blamed, and all are told to end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loadgen/crew.h"

/* Begins two processes, of which the second ends so; checks what the first says of it. */
static void check_end(int status, int sig, const char *blame)
{
    struct crew *crew;
    uint32_t me;

    assert_int_equal(crew_begin(&crew, 2, 1, &me), 0);
    if (me == 1) {
        if (sig != 0) {
            (void)kill(getpid(), sig);
        }
        _exit(status);
    }
    crew_wait(crew);
    assert_int_equal(crew->seats[0].account.n_failures, blame != NULL ? 1 : 0);
    assert_int_equal(atomic_load(&crew->stopped), blame != NULL);
    if (blame != NULL) {
        assert_string_equal(crew->seats[0].account.failures[0], blame);
    }
    assert_true(crew_all_at(crew, 0, 0)); /* nobody waits for it */
    crew_free(crew);
}

static void who_is_through_is_not_blamed(void **state)
{
    (void)state;
    check_end(0, 0, NULL);
}

static void who_was_killed_is_blamed(void **state)
{
    (void)state;
    check_end(0, SIGKILL, "process 1 of the load was killed");
}

static void who_gave_up_is_blamed(void **state)
{
    (void)state;
    check_end(3, 0, "process 1 of the load ended with 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_through_is_not_blamed),
        cmocka_unit_test(who_was_killed_is_blamed),
        cmocka_unit_test(who_gave_up_is_blamed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
