/* FNV-1a against the vectors that its authors publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/base/fnv.h"

static void known_vectors(void **state)
{
    (void)state;
    assert_int_equal(fnv32("", 0), 0x811c9dc5);
    assert_int_equal(fnv32("a", 1), 0xe40c292c);
    assert_int_equal(fnv32("foobar", 6), 0xbf9cf968);
    assert_int_equal(fnv64("", 0), UINT64_C(0xcbf29ce484222325));
    assert_int_equal(fnv64("a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    assert_int_equal(fnv64("foobar", 6), UINT64_C(0x85944171f73967e8));
    assert_int_equal(fnv64("\xff\x80", 2), fnv64((const uint8_t[]){255, 128}, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_vectors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
