/* What hosts do, over the wire: shapes, who is told, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static struct user *join_as(struct site *s, const char *sub, const char *role)
{
    struct user *u = user_open(s, false);

    user_connect(s, u, sub, role);
    user_do(s, u, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    json_decref(user_event(s, u, "room:joined"));
    return u;
}

static void two_hosts_are_told_in_one_order(void **state)
{
    struct user *a, *b, *c;
    json_t *x, *y, *told;
    struct site s;
    (void)state;

    site_start(&s);
    a = join_as(&s, "a", "host");
    b = join_as(&s, "b", "host");
    c = join_as(&s, "c", "attendee");
    inbox_clear(a);
    inbox_clear(b);
    {
        uint64_t one = user_emit(&s, a, "room:lock", "{}");
        uint64_t two = user_emit(&s, b, "room:unlock", "{}");

        x = user_ack(&s, a, one);
        y = user_ack(&s, b, two);
    }
    told = user_event(&s, c, "room:updated");
    assert_string_equal(text_of(told, "by_user_id"),
                        json_integer_value(json_object_get(told, "seq")) ==
                                json_integer_value(json_object_get(x, "seq"))
                            ? "a"
                            : "b");
    json_decref(told);
    told = user_event(&s, c, "room:updated");
    assert_true(json_integer_value(json_object_get(x, "seq")) !=
                json_integer_value(json_object_get(y, "seq")));
    json_decref(told);
    told = user_event(&s, a, "room:updated"); /* its own answer, or the other's */
    assert_true(json_is_object(json_object_get(told, "settings")));
    json_decref(told);
    json_decref(x);
    json_decref(y);
    site_finish(&s);
}

static void settings_are_read_field_by_field(void **state)
{
    struct user *host, *a;
    const json_t *settings;
    json_t *answer;
    struct site s;
    (void)state;

    site_start(&s);
    host = join_as(&s, "h", "host");
    a = join_as(&s, "a", "attendee");
    user_refused(&s, host, "room:update", "{}", "invalid", "/settings: missing");
    user_refused(&s, host, "room:update", "{\"settings\":{\"locked\":1}}", "invalid",
                 "/settings/locked");
    user_refused(&s, host, "room:update",
                 "{\"settings\":{\"features\":{\"chat_enabled\":\"no\"}}}", "invalid",
                 "/settings/features/chat_enabled");
    user_refused(&s, host, "room:update", "{\"settings\":{\"max_participants\":0}}",
                 "invalid", "/settings/max_participants");
    user_refused(&s, host, "room:update", "{\"settings\":{\"layout\":\"heap\"}}", "invalid",
                 "/settings/layout");
    user_refused(&s, a, "room:update", "{\"settings\":{}}", "forbidden", "moderate");
    answer = user_ask(&s, host, "room:update",
                      "{\"settings\":{\"meeting_name\":\"Board\",\"layout\":\"speaker\","
                      "\"allow_attendee_media\":true,"
                      "\"features\":{\"chat_enabled\":false}}}");
    settings = json_object_get(answer, "settings");
    assert_string_equal(text_of(settings, "meeting_name"), "Board");
    assert_string_equal(text_of(settings, "layout"), "speaker");
    assert_true(json_is_true(json_object_get(settings, "allow_attendee_media")));
    settings = json_object_get(settings, "features");
    assert_true(json_is_false(json_object_get(settings, "chat_enabled")));
    assert_true(json_is_true(json_object_get(settings, "video_enabled")));
    json_decref(answer);
    site_finish(&s);
}

static void people_are_muted_renamed_promoted_and_removed(void **state)
{
    struct user *host, *a;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    host = join_as(&s, "h", "host");
    a = join_as(&s, "a", "attendee");
    user_do(&s, host, "participant:mute",
            "{\"target_user_id\":\"a\",\"kind\":\"audio\",\"reason\":\"noise\"}");
    told = user_event(&s, a, "muted:by-host");
    assert_string_equal(text_of(told, "reason"), "noise");
    assert_string_equal(text_of(told, "by_user_id"), "h");
    assert_true(json_is_false(json_object_get(told, "may_unmute")));
    assert_null(json_object_get(told, "seq"));
    json_decref(told);
    user_refused(&s, a, "media:toggle", "{\"kind\":\"audio\",\"enabled\":true}",
                 "muted_by_host", "");
    user_do(&s, a, "participant:unmute-request", "{}");
    json_decref(user_event(&s, host, "unmute:requested"));
    user_do(&s, a, "media:toggle", "{\"kind\":\"video\",\"enabled\":false}");
    told = user_event(&s, host, "participant:media:updated"); /* of the mute */
    json_decref(told);
    told = user_event(&s, host, "participant:media:updated");
    assert_string_equal(text_of(told, "kind"), "video");
    assert_true(json_is_false(json_object_get(told, "enabled")));
    json_decref(told);
    json_decref(user_event(&s, host, "media:updated"));
    user_do(&s, a, "participant:rename", "{\"display_name\":\"Ann\"}");
    told = user_event(&s, host, "participant:updated");
    assert_string_equal(text_of(told, "display_name"), "Ann");
    json_decref(told);
    user_do(&s, host, "participant:role:update",
            "{\"target_user_id\":\"a\",\"new_role\":\"presenter\"}");
    told = user_event(&s, a, "participant:role:changed");
    assert_string_equal(text_of(told, "old_role"), "attendee");
    assert_string_equal(text_of(told, "new_role"), "presenter");
    assert_true(json_array_size(json_object_get(told, "permissions")) >= 5);
    json_decref(told);
    user_do(&s, host, "participant:spotlight", "{\"target_user_id\":\"a\",\"on\":true}");
    json_decref(user_event(&s, a, "participant:spotlighted"));
    user_do(&s, a, "participant:pin", "{\"target_user_id\":\"h\",\"on\":true}");
    user_refused(&s, host, "participant:remove", "{\"target_user_id\":\"x\"}", "not_found",
                 "");
    user_do(&s, host, "participant:remove",
            "{\"target_user_id\":\"a\",\"reason\":\"bye\",\"ban\":true}");
    told = user_event(&s, a, "removed:from-meeting");
    assert_string_equal(text_of(told, "reason"), "bye");
    assert_true(json_is_true(json_object_get(told, "banned")));
    json_decref(told);
    json_decref(user_event(&s, host, "participant:left"));
    user_refused(&s, a, "media:toggle", "{\"kind\":\"audio\",\"enabled\":true}",
                 "not_joined", "");
    user_refused(&s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}",
                 "banned", "");
    user_do(&s, host, "participant:add", "{\"user_id\":\"a\"}");
    user_do(&s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    site_finish(&s);
}

static void who_waits_has_nothing_until_it_is_let_in(void **state)
{
    struct user *host, *a, *b;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    host = join_as(&s, "h", "host");
    user_do(&s, host, "room:update", "{\"settings\":{\"waiting_room_enabled\":true}}");
    a = user_open(&s, false);
    user_connect(&s, a, "a", "presenter");
    told = user_ask(&s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"Ann\"}");
    assert_true(json_is_true(json_object_get(told, "waiting")));
    assert_null(json_object_get(told, "participants"));
    json_decref(told);
    json_decref(user_event(&s, a, "lobby:waiting"));
    user_refused(&s, a, "transport:create", "{\"direction\":\"recv\"}", "waiting", "");
    user_refused(&s, a, "participant:list", "{}", "waiting", "");
    told = user_event(&s, host, "lobby:updated");
    assert_int_equal(json_array_size(json_object_get(told, "waiting")), 1);
    assert_string_equal(
        text_of(json_array_get(json_object_get(told, "waiting"), 0), "display_name"),
        "Ann");
    json_decref(told);
    user_refused(&s, host, "lobby:admit", "{\"user_ids\":[]}", "invalid", "/user_ids");
    user_refused(&s, host, "lobby:admit", "{\"user_ids\":[\"x\"]}", "not_found", "");
    user_do(&s, host, "lobby:admit", "{\"user_ids\":[\"a\"]}");
    told = user_event(&s, a, "lobby:admitted");
    assert_int_equal(json_array_size(json_object_get(told, "participants")), 2);
    assert_true(json_is_string(json_object_get(told, "resume_token")));
    json_decref(told);
    json_decref(user_event(&s, host, "participant:joined"));
    user_do(&s, a, "transport:create", "{\"direction\":\"recv\"}");
    b = user_open(&s, false);
    user_connect(&s, b, "b", "guest");
    user_do(&s, b, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"Bob\"}");
    user_do(&s, host, "lobby:deny", "{\"user_ids\":[\"b\"]}");
    told = user_event(&s, b, "lobby:denied");
    assert_string_equal(text_of(told, "reason"), "denied");
    json_decref(told);
    user_refused(&s, b, "room:leave", "{}", "not_joined", "");
    user_do(&s, host, "room:close", "{}");
    told = user_event(&s, a, "room:closed");
    assert_string_equal(text_of(told, "reason"), "ended");
    json_decref(told);
    user_refused(&s, host, "room:leave", "{}", "not_joined", "");
    site_finish(&s);
}

static void a_list_goes_on_where_it_ended(void **state)
{
    struct user *a, *b;
    char payload[128];
    json_t *page;
    struct site s;
    (void)state;

    site_start(&s);
    a = join_as(&s, "a", "host");
    b = join_as(&s, "b", "attendee");
    page = user_ask(&s, b, "participant:list", "{\"limit\":1}");
    assert_int_equal(json_array_size(json_object_get(page, "participants")), 1);
    assert_int_equal(json_integer_value(json_object_get(page, "count")), 2);
    (void)snprintf(payload, sizeof(payload), "{\"limit\":1,\"cursor\":\"%s\"}",
                   text_of(page, "next_cursor"));
    json_decref(page);
    page = user_ask(&s, a, "participant:list", payload);
    assert_string_equal(
        text_of(json_array_get(json_object_get(page, "participants"), 0), "user_id"), "b");
    assert_true(json_is_null(json_object_get(page, "next_cursor")));
    json_decref(page);
    user_refused(&s, a, "participant:list", "{\"cursor\":\"x\"}", "invalid", "/cursor");
    user_refused(&s, a, "participant:list", "{\"limit\":201}", "invalid", "/limit");
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hosts_are_told_in_one_order),
        cmocka_unit_test(settings_are_read_field_by_field),
        cmocka_unit_test(people_are_muted_renamed_promoted_and_removed),
        cmocka_unit_test(who_waits_has_nothing_until_it_is_let_in),
        cmocka_unit_test(a_list_goes_on_where_it_ended),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
