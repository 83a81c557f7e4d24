/* A client that cannot be made leaves nothing, and is taken down like any other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/client.h"
#include "loadgen/run.h"

static void client_of_a_meeting_whose_name_is_too_long_is_taken_down(void **state)
{
    char name[2 * CLIENT_MEETING_MAX + 1];
    const struct options options = {
        .meeting = name, .rooms = 1, .publishers = 1, .subscribers = 1, .verify_every = 1};
    struct run run = {.options = &options};
    struct client client = {0};
    (void)state;

    memset(name, 'm', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(loop_create(&run.loop), 0);
    assert_int_equal(client_init(&client, &run, false, 0), -EINVAL);
    client_fini(&client);
    loop_destroy(run.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_of_a_meeting_whose_name_is_too_long_is_taken_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
