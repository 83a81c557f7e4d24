/* The last facts of a room, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "meeting/facts.h"

static const struct fact_audience all = {.reach = FACT_ALL};

static void add(struct facts *facts, uint64_t seq, size_t len)
{
    char *words = calloc(1, len + 1);

    (void)memset(words, 'x', len);
    facts_add(facts, seq, "event", &all, words, len);
    free(words);
}

static void what_came_after_a_number_is_given_in_order(void **state)
{
    struct facts facts = {.floor = 0};
    const struct fact *fact;
    (void)state;

    facts_add(&facts, 3, "three", &all, "abc", 3);
    facts_add(&facts, 5, "five", &all, "de", 2); /* numbers may have gaps */
    facts_add(&facts, 6, "six", &all, "", 0);
    fact = facts_after(&facts, 3, 0);
    assert_string_equal(fact->name, "five");
    assert_int_equal(fact->len, 2);
    assert_memory_equal(fact->words, "de", 2);
    assert_int_equal(facts_after(&facts, 4, 0)->seq, 5);
    assert_int_equal(facts_after(&facts, 3, 1)->seq, 6);
    assert_null(facts_after(&facts, 3, 2));
    assert_null(facts_after(&facts, 6, 0));
    assert_int_equal(facts_after(&facts, 0, 0)->seq, 3);
    facts_clear(&facts, 6);
    assert_false(facts_reach_back(&facts, 5));
    assert_true(facts_reach_back(&facts, 6));
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct facts facts = {.floor = 0};
    (void)state;

    for (uint64_t seq = 1; seq <= FACTS_MAX + 10; seq++) {
        add(&facts, seq, 1);
    }
    assert_int_equal(facts.n, FACTS_MAX);
    assert_true(facts_reach_back(&facts, 10));
    assert_false(facts_reach_back(&facts, 9));
    assert_int_equal(facts_after(&facts, 10, 0)->seq, 11);
    assert_int_equal(facts_after(&facts, 10, FACTS_MAX - 1)->seq, FACTS_MAX + 10);
    facts_clear(&facts, 0);
}

static void the_oldest_go_when_they_are_too_long(void **state)
{
    struct facts facts = {.floor = 0};
    (void)state;

    for (uint64_t seq = 1; seq <= 5; seq++) {
        add(&facts, seq, FACTS_BYTES / 4);
        assert_true(facts.bytes <= FACTS_BYTES);
    }
    assert_int_equal(facts.n, 4);
    assert_false(facts_reach_back(&facts, 0));
    assert_true(facts_reach_back(&facts, 1));
    add(&facts, 6, FACTS_BYTES + 1); /* one that cannot be kept leaves nothing before it */
    assert_int_equal(facts.n, 0);
    assert_int_equal(facts.bytes, 0);
    assert_false(facts_reach_back(&facts, 5));
    assert_true(facts_reach_back(&facts, 6));
    facts_clear(&facts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_after_a_number_is_given_in_order),
        cmocka_unit_test(the_oldest_go_when_there_are_too_many),
        cmocka_unit_test(the_oldest_go_when_they_are_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
