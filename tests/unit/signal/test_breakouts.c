/* Breakout rooms over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static void they_are_made_opened_talked_in_and_closed(void **state)
{
    struct user *host, *a;
    json_t *answer, *told;
    const json_t *room;
    char payload[192];
    struct site s;
    (void)state;

    site_start(&s);
    host = user_open(&s, false);
    user_connect(&s, host, "h", "host");
    user_do(&s, host, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"H\"}");
    a = user_join(&s, false, "a");
    user_refused(&s, host, "breakout:create", "{\"rooms\":[]}", "invalid", "/rooms");
    user_refused(&s, host, "breakout:create", "{\"rooms\":[{\"name\":\"\"}]}", "invalid",
                 "/rooms/0/name");
    user_refused(&s, host, "breakout:create",
                 "{\"rooms\":[{\"name\":\"x\",\"user_ids\":[1]}]}", "invalid", "/user_ids");
    user_refused(&s, a, "breakout:create", "{\"rooms\":[{\"name\":\"x\"}]}", "forbidden",
                 "");
    answer = user_ask(&s, host, "breakout:create",
                      "{\"rooms\":[{\"name\":\"One\",\"user_ids\":[\"a\"]},"
                      "{\"name\":\"Two\"}]}");
    room = json_array_get(json_object_get(answer, "rooms"), 0);
    assert_string_equal(text_of(room, "name"), "One");
    assert_int_equal(json_array_size(json_object_get(room, "user_ids")), 1);
    assert_true(json_is_false(json_object_get(answer, "open")));
    told = user_event(&s, a, "breakout:updated");
    assert_true(json_is_integer(json_object_get(told, "seq")));
    json_decref(told);
    user_refused(&s, host, "breakout:open", "{\"duration_s\":0}", "invalid", "/duration_s");
    user_do(&s, host, "breakout:open", "{\"duration_s\":600}");
    told = user_event(&s, a, "breakout:moved");
    assert_string_equal(text_of(told, "breakout_id"), text_of(room, "breakout_id"));
    assert_true(json_is_array(json_object_get(told, "producers")));
    json_decref(told);
    told = user_event(&s, a, "breakout:updated");
    assert_true(json_is_true(json_object_get(told, "open")));
    assert_int_equal(strlen(text_of(told, "closes_at")), 27);
    json_decref(told);
    user_do(&s, a, "chat:send", "{\"message\":\"among us\"}");
    user_do(&s, host, "breakout:broadcast", "{\"message\":\"hello all\"}");
    told = user_event(&s, a, "breakout:message");
    assert_string_equal(text_of(told, "message"), "hello all");
    json_decref(told);
    assert_int_equal(inbox_find(host, "42/meeting,[\"chat:message\""), -1);
    (void)snprintf(payload, sizeof(payload), "{\"breakout_id\":\"%s\"}",
                   text_of(room, "breakout_id"));
    user_do(&s, host, "breakout:join", payload);
    user_do(&s, a, "chat:send", "{\"message\":\"welcome\"}");
    told = user_event(&s, host, "chat:message");
    assert_string_equal(text_of(told, "message"), "welcome");
    json_decref(told);
    user_do(&s, host, "breakout:close", NULL);
    told = user_event(&s, a, "breakout:moved");
    assert_true(json_is_null(json_object_get(told, "breakout_id")));
    json_decref(told);
    json_decref(answer);
    user_refused(&s, host, "breakout:close", NULL, "not_found", "");
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_made_opened_talked_in_and_closed),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
