/* A JSON text is whole or not there at all, whichever allocation of it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oom/alloc.h"
#include "proto/jtext.h"

enum { MEMBERS = 300, LIVES = 60 };

static json_t *json;
static char *whole;

static void make(void)
{
    char *text = jtext_make(json, JSON_COMPACT);

    assert_true(text != NULL || oom_failed() != 0);
    if (text != NULL) {
        assert_string_equal(text, whole);
    }
    free(text);
}

static void a_text_is_whole_or_not_at_all(void **state)
{
    char key[80];
    (void)state;

    json = json_object();
    for (unsigned i = 0; i < MEMBERS; i++) { /* of all lengths: each may want more room */
        memset(key, 'k', sizeof(key));
        (void)snprintf(key + i % 70, sizeof(key) - i % 70, "%u", i);
        assert_int_equal(json_object_set_new(json, key, json_integer(i % 3)), 0);
    }
    whole = json_dumps(json, JSON_COMPACT);
    assert_non_null(whole);
    assert_true(oom_every(OOM_OURS, make, LIVES) >= 5);
    free(whole);
    json_decref(json);
}

static void no_value_is_no_text(void **state)
{
    (void)state;
    assert_null(jtext_make(NULL, JSON_COMPACT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_whole_or_not_at_all),
        cmocka_unit_test(no_value_is_no_text),
    };

    oom_hook();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
