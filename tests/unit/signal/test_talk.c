/* The chat, hands and reactions over the wire, in both dialects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static void messages_are_told_to_whom_they_are_for(void **state)
{
    struct user *a, *b, *c;
    char payload[256];
    json_t *sent, *told;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, true, "b");
    c = user_join(&s, false, "c");
    user_refused(&s, a, "chat:send", "{}", "invalid", "/message");
    user_refused(&s, a, "chat:send", "{\"message\":\"x\",\"to\":\"z\"}", "not_found", "");
    sent = user_ask(&s, a, "chat:send",
                    "{\"message\":\"<b>\\u2615\",\"client_message_id\":\"1\"}");
    json_decref(user_event(&s, a, "chat:message"));
    told = user_event(&s, b, "chat:message");
    assert_string_equal(text_of(told, "message"), "<b>\xe2\x98\x95");
    assert_string_equal(text_of(told, "message_id"), text_of(sent, "message_id"));
    assert_string_equal(text_of(told, "display_name"), "N");
    assert_true(json_is_null(json_object_get(told, "to")));
    assert_true(json_integer_value(json_object_get(told, "seq")) ==
                json_integer_value(json_object_get(sent, "seq")));
    json_decref(told);
    json_decref(user_event(&s, c, "chat:message"));
    (void)snprintf(payload, sizeof(payload),
                   "{\"message\":\"psst\",\"to\":\"b\",\"reply_to\":\"%s\"}",
                   text_of(sent, "message_id"));
    json_decref(sent);
    user_do(&s, a, "chat:send", payload);
    told = user_event(&s, b, "chat:message");
    assert_string_equal(text_of(told, "to"), "b");
    (void)snprintf(payload, sizeof(payload), "{\"message_id\":\"%s\",\"emoji\":\"+\"}",
                   text_of(told, "message_id"));
    json_decref(told);
    user_do(&s, b, "chat:react", payload);
    told = user_event(&s, a, "chat:reaction");
    assert_true(json_is_true(json_object_get(told, "on")));
    json_decref(told);
    user_refused(&s, c, "chat:react", payload, "not_found", "");
    user_do(&s, b, "chat:typing", "{\"is_typing\":true}");
    told = user_event(&s, c, "chat:typing");
    assert_null(json_object_get(told, "seq"));
    json_decref(told);
    told = user_ask(&s, c, "chat:history", "{\"limit\":10}");
    assert_int_equal(json_array_size(json_object_get(told, "messages")), 1);
    assert_true(json_is_null(json_object_get(told, "next_cursor")));
    json_decref(told);
    told = user_ask(&s, c, "room:sync", "{\"since_seq\":3}"); /* it missed no secret */
    assert_int_equal(json_array_size(json_object_get(told, "facts")), 1);
    json_decref(told);
    assert_int_equal(inbox_find(c, "42/meeting,[\"chat:message\""), -1);
    user_refused(&s, c, "chat:history", "{\"cursor\":\"-\"}", "invalid", "/cursor");
    user_do(&s, c, "reaction:send", "{\"emoji\":\"!\"}");
    told = user_event(&s, a, "reaction:received");
    assert_string_equal(text_of(told, "emoji"), "!");
    json_decref(told);
    site_finish(&s);
}

static void edits_and_deletions_are_told(void **state)
{
    struct user *a, *b;
    char payload[256];
    json_t *sent, *told;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    sent = user_ask(&s, a, "chat:send", "{\"message\":\"one\"}");
    (void)snprintf(payload, sizeof(payload), "{\"message_id\":\"%s\",\"message\":\"two\"}",
                   text_of(sent, "message_id"));
    json_decref(sent);
    user_refused(&s, b, "chat:edit", payload, "forbidden", "");
    user_do(&s, a, "chat:edit", payload);
    told = user_event(&s, b, "chat:edited");
    assert_string_equal(text_of(told, "message"), "two");
    json_decref(told);
    user_do(&s, b, "chat:read", payload);
    json_decref(user_event(&s, a, "chat:read"));
    user_do(&s, a, "chat:delete", payload);
    json_decref(user_event(&s, b, "chat:deleted"));
    told = user_ask(&s, b, "chat:history", NULL);
    sent = json_array_get(json_object_get(told, "messages"), 0);
    assert_string_equal(text_of(sent, "message"), "");
    assert_true(json_is_true(json_object_get(sent, "deleted")));
    json_decref(told);
    user_refused(&s, b, "chat:delete", "{\"message_id\":\"x\"}", "not_found", "");
    site_finish(&s);
}

static void the_older_dialect_talks_too(void **state)
{
    struct user *old, *host;
    char auth[1100], packet[1200];
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    host = user_open(&s, false);
    user_connect(&s, host, "h", "host");
    user_do(&s, host, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"H\"}");
    old = user_open(&s, true);
    user_auth(auth, sizeof(auth), "u", "presenter");
    (void)snprintf(packet, sizeof(packet), "40%s", auth);
    user_send(&s, old, packet);
    json_decref(user_take(&s, old, "40"));
    user_send(&s, old, "42[\"join-meeting\",{\"meetingId\":\"m\"}]");
    json_decref(user_event_in(&s, old, "", "meeting-joined"));
    user_send(&s, old, "42[\"send-message\",{\"meetingId\":\"m\",\"message\":\"hi\"}]");
    told = user_event_in(&s, old, "", "new-message");
    assert_string_equal(text_of(told, "message"), "hi");
    assert_true(json_is_string(json_object_get(told, "messageId")));
    json_decref(told);
    told = user_event(&s, host, "chat:message");
    assert_string_equal(text_of(told, "message"), "hi");
    json_decref(told);
    user_do(&s, host, "chat:send", "{\"message\":\"ho\"}");
    told = user_event_in(&s, old, "", "new-message");
    assert_string_equal(text_of(told, "userId"), "h");
    json_decref(told);
    user_send(&s, old, "42[\"raise-hand\",{\"raised\":true}]");
    told = user_event(&s, host, "hand:raised");
    assert_int_equal(json_integer_value(json_object_get(told, "position")), 1);
    json_decref(told);
    user_send(&s, old, "42[\"raise-hand\",{\"raised\":false}]");
    json_decref(user_event(&s, host, "hand:lowered"));
    user_do(&s, host, "hand:raise", NULL);
    told = user_event_in(&s, old, "", "hand-raised");
    assert_true(json_is_true(json_object_get(told, "raised")));
    json_decref(told);
    user_send(&s, old, "42[\"typing\",{\"isTyping\":true}]");
    json_decref(user_event(&s, host, "chat:typing"));
    user_send(&s, old, "42[\"send-reaction\",{\"emoji\":\"!\"}]");
    json_decref(user_event(&s, host, "reaction:received"));
    user_do(&s, host, "reaction:send", "{\"emoji\":\"?\"}");
    told = user_event_in(&s, old, "", "participant-reaction");
    assert_string_equal(text_of(told, "emoji"), "?");
    json_decref(told);
    user_send(&s, old, "42[\"toggle-recording\",{\"start\":true}]");
    told = user_event_in(&s, old, "", "error");
    assert_string_equal(text_of(told, "code"), "forbidden");
    json_decref(told);
    user_do(&s, host, "participant:mute", "{\"target_user_id\":\"u\",\"kind\":\"audio\"}");
    told = user_event_in(&s, old, "", "muted-by-host");
    assert_string_equal(text_of(told, "byUserId"), "h");
    json_decref(told);
    user_do(&s, host, "participant:remove", "{\"target_user_id\":\"u\",\"reason\":\"r\"}");
    told = user_event_in(&s, old, "", "removed-from-meeting");
    assert_string_equal(text_of(told, "reason"), "r");
    json_decref(told);
    user_do(&s, host, "room:update", "{\"settings\":{\"waiting_room_enabled\":true}}");
    user_send(&s, old, "42[\"join-meeting\",{\"meetingId\":\"m\"}]");
    json_decref(user_event_in(&s, old, "", "waiting-for-host"));
    user_do(&s, host, "lobby:admit-all", NULL);
    told = user_event_in(&s, old, "", "meeting-joined");
    assert_true(json_is_array(json_object_get(told, "existingProducers")));
    json_decref(told);
    user_do(&s, host, "room:close", NULL);
    json_decref(user_event_in(&s, old, "", "meeting-ended"));
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_told_to_whom_they_are_for),
        cmocka_unit_test(edits_and_deletions_are_told),
        cmocka_unit_test(the_older_dialect_talks_too),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
