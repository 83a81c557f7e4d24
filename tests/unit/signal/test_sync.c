/* Who lost its connection is told what it missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static int64_t int_of(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static json_t *sync_since(struct site *s, struct user *u, int64_t since)
{
    char payload[64];

    (void)snprintf(payload, sizeof(payload), "{\"since_seq\":%lld}", (long long)since);
    return user_ask(s, u, "room:sync", payload);
}

static void what_was_missed_comes_again_in_the_words_it_was_told_in(void **state)
{
    struct user *a, *b;
    json_t *told, *answer;
    const json_t *list, *first;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    told = user_event(&s, a, "participant:joined");
    user_do(&s, b, "screen:start", "{}");
    answer = sync_since(&s, a, 1);
    list = json_object_get(answer, "facts");
    assert_int_equal(json_array_size(list), 2);
    first = json_array_get(list, 0);
    assert_string_equal(text_of(first, "event"), "participant:joined");
    assert_true(json_equal(json_object_get(first, "payload"), told));
    assert_string_equal(text_of(json_array_get(list, 1), "event"), "screen:started");
    assert_int_equal(int_of(answer, "seq"), 3);
    assert_true(json_is_true(json_object_get(answer, "complete")));
    assert_true(json_is_false(json_object_get(answer, "more")));
    assert_true(json_is_null(json_object_get(answer, "snapshot")));
    json_decref(answer);
    answer = sync_since(&s, a, 3);
    assert_int_equal(json_array_size(json_object_get(answer, "facts")), 0);
    json_decref(answer);
    json_decref(told);
    site_finish(&s);
}

static void what_is_too_old_or_of_another_epoch_brings_all_there_is(void **state)
{
    const json_t *snapshot;
    struct user *a;
    json_t *answer;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    user_refused(&s, a, "room:sync", "{}", "invalid", "/since_seq");
    user_refused(&s, a, "room:sync", "{\"since_seq\":-1}", "invalid", "/since_seq");
    user_refused(&s, a, "room:sync", "{\"since_seq\":1.5}", "invalid", "/since_seq");
    user_refused(&s, a, "room:sync", "{\"since_seq\":1e3}", "invalid", "/since_seq");
    user_refused(&s, a, "room:sync", "{\"since_seq\":9007199254740992}", "invalid",
                 "/since_seq");     /* 2^53 */
    answer = sync_since(&s, a, 99); /* nobody has told that yet */
    assert_true(json_is_false(json_object_get(answer, "complete")));
    snapshot = json_object_get(answer, "snapshot");
    assert_int_equal(json_array_size(json_object_get(snapshot, "participants")), 1);
    assert_true(json_is_array(json_object_get(snapshot, "own_transports")));
    json_decref(answer);
    answer = user_ask(&s, a, "room:sync", "{\"since_seq\":1,\"epoch\":6}");
    assert_true(json_is_false(json_object_get(answer, "complete")));
    assert_int_equal(int_of(answer, "epoch"), 7);
    json_decref(answer);
    for (int i = 0; i < FACTS_MAX / 2 + 1; i++) { /* two facts each, told to nobody */
        user_do(&s, a, "screen:start", "{}");
        user_do(&s, a, "screen:stop", "{}");
        inbox_clear(a);
    }
    answer = sync_since(&s, a, 1);
    assert_true(json_is_false(json_object_get(answer, "complete")));
    json_decref(answer);
    answer = sync_since(&s, a, 3 + FACTS_MAX - 260);
    assert_true(json_is_true(json_object_get(answer, "more")));
    assert_int_equal(json_array_size(json_object_get(answer, "facts")), 256);
    assert_int_equal(int_of(answer, "seq"), 3 + FACTS_MAX - 260 + 256);
    json_decref(answer);
    site_finish(&s);
}

static void a_room_that_opens_again_does_not_count_twice(void **state)
{
    struct user *a, *b;
    json_t *answer;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    user_do(&s, a, "room:leave", "{}"); /* the room closes with number 2 */
    b = user_open(&s, false);
    user_connect(&s, b, "b", "presenter");
    answer = user_ask(&s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    assert_int_equal(int_of(answer, "seq"), 3);
    json_decref(answer);
    answer = sync_since(&s, b, 1);
    assert_true(json_is_false(json_object_get(answer, "complete")));
    json_decref(answer);
    site_finish(&s);
}

static void the_end_of_the_node_is_told_to_all_and_to_who_comes(void **state)
{
    struct user *a, *b;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    signal_draining(s.signal, clock_mono_us() + 60000000);
    told = user_event(&s, a, "server:draining");
    assert_in_range(int_of(told, "deadline_ms"), 50000, 60000);
    json_decref(told);
    b = user_open(&s, true);
    user_connect(&s, b, "b", "presenter");
    json_decref(user_event(&s, b, "server:draining"));
    signal_draining(s.signal, clock_mono_us() + 600000000); /* another deadline */
    told = user_event(&s, a, "server:draining");
    assert_in_range(int_of(told, "deadline_ms"), 590000, 600000);
    json_decref(told);
    signal_draining(s.signal, 0);
    for (int i = 0; i < 2; i++) {
        told = user_event(&s, i == 0 ? a : b, "server:draining");
        while (json_object_get(told, "cancelled") == NULL) { /* b's of the other deadline */
            json_decref(told);
            told = user_event(&s, b, "server:draining");
        }
        assert_true(json_is_true(json_object_get(told, "cancelled")));
        json_decref(told);
    }
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_missed_comes_again_in_the_words_it_was_told_in),
        cmocka_unit_test(what_is_too_old_or_of_another_epoch_brings_all_there_is),
        cmocka_unit_test(a_room_that_opens_again_does_not_count_twice),
        cmocka_unit_test(the_end_of_the_node_is_told_to_all_and_to_who_comes),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
