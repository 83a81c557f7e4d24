/* What a live screen makes of two looks at a node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kcsctl/top.h"

static struct top_look look(double at_s, const char *status, const char *lanes,
                            const char *rooms, const char *peers)
{
    return (struct top_look){at_s, json_loads(status, 0, NULL), json_loads(lanes, 0, NULL),
                             json_loads(rooms, 0, NULL), json_loads(peers, 0, NULL)};
}

static json_int_t number(const json_t *frame, const char *list, size_t i, const char *key)
{
    const json_t *row = json_array_get(json_object_get(frame, list), i);

    return json_integer_value(json_object_get(row, key));
}

static void counters_become_rates(void **state)
{
    struct top_look a =
        look(10, "{\"node\":\"n1\"}",
             "[{\"lane\":0,\"cycles\":1000,\"busy_cycles\":200,\"rx_packets\":1,"
             "\"tx_bytes\":0,\"dropped_in\":{\"a\":1,\"b\":2}}]",
             "[]", "[{\"transport_id\":\"t\",\"rx_bytes\":1000}]");
    struct top_look b =
        look(12, "{\"node\":\"n1\",\"rooms\":3}",
             "[{\"lane\":0,\"cycles\":5000,\"busy_cycles\":1200,\"rx_packets\":401,"
             "\"tx_bytes\":250000,\"dropped_in\":{\"a\":5,\"b\":4}}]",
             "[]",
             "[{\"transport_id\":\"new\"},"
             "{\"transport_id\":\"t\",\"rx_bytes\":126000,\"rtt_ms\":1.5}]");
    json_t *frame = top_frame(&a, &b);
    (void)state;

    assert_int_equal(json_integer_value(json_object_get(frame, "rooms")), 3);
    assert_int_equal(number(frame, "lanes", 0, "busy_percent"), 25);
    assert_int_equal(number(frame, "lanes", 0, "cycles_per_packet"), 3); /* 1000 of 400 */
    assert_int_equal(number(frame, "lanes", 0, "in_packets_per_s"), 200);
    assert_int_equal(number(frame, "lanes", 0, "out_kbps"), 1000);
    assert_int_equal(number(frame, "lanes", 0, "drops_per_s"), 3);
    assert_int_equal(json_array_size(json_object_get(frame, "transports")), 1);
    assert_int_equal(number(frame, "transports", 0, "in_kbps"), 500);
    json_decref(frame);
    top_forget(&a);
    top_forget(&b);
}

static void a_process_that_began_anew_has_no_rate_below_nothing(void **state)
{
    struct top_look a = look(0, "{}", "[{\"lane\":0,\"rx_packets\":900}]", "[]", "[]");
    struct top_look b = look(1, "{}", "[{\"lane\":0,\"rx_packets\":5},{\"lane\":1}]",
                             "[]", "[]");
    json_t *frame = top_frame(&a, &b);
    (void)state;

    assert_int_equal(number(frame, "lanes", 0, "in_packets_per_s"), 0);
    assert_int_equal(json_array_size(json_object_get(frame, "lanes")), 2);
    json_decref(frame);
    top_forget(&a);
    top_forget(&b);
}

/* It has no queue: what it makes goes out by another. */
static void a_lane_that_hands_over_all_it_makes_has_a_cost_of_a_packet(void **state)
{
    struct top_look a = look(0, "{}", "[{\"lane\":1,\"cycles\":0,\"busy_cycles\":0}]", "[]", "[]");
    struct top_look b = look(1, "{}",
                             "[{\"lane\":1,\"cycles\":9000,\"busy_cycles\":4000,"
                             "\"handed_tx\":20,\"tx_packets\":0}]",
                             "[]", "[]");
    json_t *frame = top_frame(&a, &b);
    (void)state;

    assert_int_equal(number(frame, "lanes", 0, "handed_tx_per_s"), 20);
    assert_int_equal(number(frame, "lanes", 0, "cycles_per_packet"), 200);
    json_decref(frame);
    top_forget(&a);
    top_forget(&b);
}

static void the_busiest_come_first_and_not_all(void **state)
{
    struct top_look a = look(0, "{}", "[]", "[]", "[]");
    struct top_look b = look(1, "{}", "[]", "[]", "[]");
    json_t *frame;
    (void)state;

    for (int i = 0; i < 15; i++) {
        json_array_append_new(b.rooms, json_pack("{s:i}", "participants", i));
    }
    frame = top_frame(&a, &b);
    assert_int_equal(json_array_size(json_object_get(frame, "meetings")), 10);
    assert_int_equal(number(frame, "meetings", 0, "participants"), 14);
    assert_int_equal(number(frame, "meetings", 9, "participants"), 5);
    json_decref(frame);
    top_forget(&a);
    top_forget(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_become_rates),
        cmocka_unit_test(a_process_that_began_anew_has_no_rate_below_nothing),
        cmocka_unit_test(a_lane_that_hands_over_all_it_makes_has_a_cost_of_a_packet),
        cmocka_unit_test(the_busiest_come_first_and_not_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
