/* What SIGHUP changes: nothing of the configuration is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/reload.h"

static struct control_conf before, after; /* large for a stack */

static void load(void)
{
    char err[512];

    assert_int_equal(control_conf_load(NULL, &before, err, sizeof(err)), 0);
    after = before;
}

static void what_is_equal_changes_nothing(void **state)
{
    struct reload_diff diff;
    (void)state;

    load();
    reload_take(&before, &after, &diff);
    assert_string_equal(diff.live, "");
    assert_string_equal(diff.start, "");
}

static void the_key_that_signs_is_not_looked_at(void **state)
{
    struct reload_diff diff;
    (void)state;

    load();
    (void)strcpy(after.auth.hs256_secret, "another");
    reload_take(&before, &after, &diff);
    assert_string_equal(diff.start, "");
    after.auth.n_issuers = 1; /* behind it */
    reload_take(&before, &after, &diff);
    assert_string_equal(diff.start, "auth");
}

/* Each byte of the structure that is changed is told, by one of the two lists, and taken or
 * not accordingly; padding and the signing key are not. */
static void no_byte_of_it_is_forgotten(void **state)
{
    size_t key = offsetof(struct control_conf, auth.hs256_secret), untold = 0;
    struct reload_diff diff;
    (void)state;

    load();
    for (size_t i = 0; i < sizeof(after); i++) {
        unsigned char *to = (unsigned char *)&before + i;
        unsigned char *from = (unsigned char *)&after + i;
        unsigned char was = *to;

        if (i >= key && i < key + sizeof(after.auth.hs256_secret)) {
            continue;
        }
        *from = (unsigned char)~was;
        reload_take(&before, &after, &diff);
        untold += diff.live[0] == '\0' && diff.start[0] == '\0';
        assert_true(diff.live[0] == '\0' || diff.start[0] == '\0');
        assert_int_equal(*to, diff.live[0] != '\0' ? *from : was);
        *from = *to = was;
    }
    assert_in_range(untold, 0, 64); /* padding between the parts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_equal_changes_nothing),
        cmocka_unit_test(the_key_that_signs_is_not_looked_at),
        cmocka_unit_test(no_byte_of_it_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
