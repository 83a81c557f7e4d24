/* What people see of the admin interface's answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "kcsctl/table.h"

static void expect(const char *json, bool color, const char *wanted)
{
    json_t *data = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(data);
    assert_non_null(out);
    assert_int_equal(table_print(out, data, color), 0);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(data);
}

static void rows_are_a_table_with_numbers_to_the_right(void **state)
{
    (void)state;
    expect("[{\"name\":\"anna\",\"kbps\":5},{\"name\":\"bo\",\"kbps\":1200}]", false,
           "name  kbps\n"
           "anna     5\n"
           "bo    1200\n");
}

static void column_of_one_row_appears_for_all(void **state)
{
    (void)state;
    expect("[{\"a\":1},{\"a\":2,\"new\":true}]", false,
           "a  new\n"
           "1  -\n"
           "2  yes\n");
}

static void object_is_names_and_values_with_its_lists_below(void **state)
{
    (void)state;
    expect("{\"up\":true,\"lanes\":[{\"lane\":0,\"rx\":7}],\"version\":\"1\"}", false,
           "up       yes\n"
           "version  1\n"
           "\nlanes\n"
           "lane  rx\n"
           "   0   7\n");
}

static void no_rows_say_so(void **state)
{
    (void)state;
    expect("[]", false, "(none)\n");
}

/* More columns than a terminal has room for, of one or two: names go down the side. */
static void few_rows_that_are_too_wide_are_turned(void **state)
{
    char json[1024];
    char wanted[1024];
    char x[121], y[121];
    (void)state;

    memset(x, 'x', 120);
    memset(y, 'y', 120);
    x[120] = y[120] = '\0';
    (void)snprintf(json, sizeof(json),
                   "[{\"id\":\"a\",\"one\":\"%s\",\"two\":7},{\"id\":\"bb\",\"one\":\"c\",\"two\":\"%s\"}]",
                   x, y);
    (void)snprintf(wanted, sizeof(wanted),
                   "id   a%*s  bb\n"
                   "one  %s  c\n"
                   "two  7%*s  %s\n",
                   119, "", x, 119, "", y);
    expect(json, false, wanted);
}

static void width_counts_characters_not_bytes(void **state)
{
    (void)state;
    expect("[{\"n\":\"J\\u00f6rg\",\"x\":\"a\"},{\"n\":\"Hans\",\"x\":\"b\"}]", false,
           "n     x\n"
           "J\xc3\xb6rg  a\n"
           "Hans  b\n");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    expect("[{\"n\":\"a\\u001b[2Jb\\u009bc\\n\"}]", false, "n\na?[2Jb??c?\n");
}

static void headings_are_bold_in_color(void **state)
{
    (void)state;
    expect("[{\"a\":1}]", true, "\033[1ma\n\033[0m1\n");
}

static void values_that_are_no_rows_are_shown_too(void **state)
{
    (void)state;
    expect("[\"a\", 2]", false, "a\n2\n");
    expect("\"up\"", false, "up\n");
    expect("[{\"a\":{\"b\":[1]}}]", false, "a\n{\"b\":[1]}\n");
}

static void lists_in_rows_are_counted_and_follow_below(void **state)
{
    (void)state;
    expect("[{\"id\":\"p1\",\"subs\":[{\"to\":\"x\",\"n\":1},{\"to\":\"y\",\"n\":22}]},"
           "{\"id\":\"p2\",\"subs\":[]},{\"id\":\"p3\",\"subs\":[{\"to\":\"z\",\"n\":3}]}]",
           false,
           "id  subs\n"
           "p1     2\n"
           "p2     0\n"
           "p3     1\n"
           "\nsubs\n"
           "id  to   n\n"
           "p1  x    1\n"
           "p1  y   22\n"
           "p3  z    3\n");
    expect("[{\"id\":\"p1\",\"subs\":[]}]", false, "id  subs\np1  -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_a_table_with_numbers_to_the_right),
        cmocka_unit_test(column_of_one_row_appears_for_all),
        cmocka_unit_test(object_is_names_and_values_with_its_lists_below),
        cmocka_unit_test(no_rows_say_so),
        cmocka_unit_test(few_rows_that_are_too_wide_are_turned),
        cmocka_unit_test(width_counts_characters_not_bytes),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(headings_are_bold_in_color),
        cmocka_unit_test(values_that_are_no_rows_are_shown_too),
        cmocka_unit_test(lists_in_rows_are_counted_and_follow_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
