/* What an operator sees of the lanes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "kcsctl/lanes.h"
#include "kcsctl/table.h"

static void what_was_dropped_is_a_sum(void **state)
{
    json_t *lanes = json_loads(
        "[{\"lane\":0,\"handed_tx\":7,\"answered\":3,\"dropped_in\":{\"empty\":60,\"auth\":37},"
        "\"dropped_out\":{\"empty\":0,\"auth\":4}},{\"lane\":1}]",
        0, NULL);
    json_t *rows = lanes_table(lanes);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    (void)state;

    assert_non_null(out);
    assert_int_equal(table_print(out, rows, false), 0);
    fclose(out);
    assert_string_equal(text, "lane  handed_tx  dropped_in  dropped_out\n"
                              "   0          7          97            4\n"
                              "   1          -           -            -\n");
    free(text);
    json_decref(rows);
    json_decref(lanes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_dropped_is_a_sum)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
