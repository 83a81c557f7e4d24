/* The legacy dialect beside ours, in one room, without media. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

/* A user of the namespace "/". */
static struct user *legacy_open(struct site *s, bool polling)
{
    struct user *u = user_open(s, polling);
    char auth[1100], packet[1200];

    user_auth(auth, sizeof(auth), "u", "presenter");
    (void)snprintf(packet, sizeof(packet), "40%s", auth);
    user_send(s, u, packet);
    json_decref(user_take(s, u, "40"));
    return u;
}

static json_t *legacy_take(struct site *s, struct user *u, const char *name)
{
    return user_event_in(s, u, "", name);
}

static void one_room_is_told_to_both_kinds_in_their_own_words(void **state)
{
    struct user *old, *modern;
    struct site s;
    json_t *body;
    (void)state;

    for (int polling = 0; polling < 2; polling++) {
        site_start(&s);
        old = legacy_open(&s, polling != 0);
        user_send(&s, old,
                  "42[\"join-meeting\",{\"meetingId\":\"m\",\"displayName\":\"Old\"}]");
        body = legacy_take(&s, old, "meeting-joined");
        assert_string_equal(text_of(body, "meetingId"), "m");
        assert_true(json_is_array(json_object_get(body, "existingProducers")));
        assert_null(json_object_get(body, "producers"));
        assert_non_null(
            json_object_get(json_object_get(body, "rtpCapabilities"), "codecs"));
        assert_string_equal(
            text_of(json_array_get(json_object_get(body, "participants"), 0),
                    "displayName"),
            "Old");
        json_decref(body);

        modern = user_open(&s, polling == 0);
        user_connect(&s, modern, "v", "presenter");
        user_do(&s, modern, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"New\"}");
        body = legacy_take(&s, old, "participant-joined");
        assert_string_equal(text_of(body, "displayName"), "New");
        assert_string_equal(text_of(body, "meetingId"), "m");
        assert_null(json_object_get(body, "display_name"));
        json_decref(body);

        user_send(&s, old, "42[\"leave-meeting\",{\"meetingId\":\"m\"}]");
        body = user_event(&s, modern, "participant:left");
        assert_string_equal(text_of(body, "reason"), "left");
        json_decref(body);
        site_finish(&s);
    }
}

static void what_the_dialect_does_not_have_or_is_wrong_is_the_event_error(void **state)
{
    static const struct {
        const char *packet, *event, *code, *path;
    } cases[] = {
        {"42[\"join-meeting\"]", "join-meeting", "invalid", "/meetingId"},
        {"42[\"join-meeting\",[1]]", "join-meeting", "invalid", ""},
        {"42[\"join-meeting\",{\"meetingId\":7}]", "join-meeting", "invalid", "/meetingId"},
        {"42[\"create-transport\",{\"direction\":\"send\"}]", "create-transport",
         "not_joined", NULL},
        {"42[\"room:join\",{\"meeting_id\":\"m\",\"display_name\":\"N\"}]", "unknown",
         "unknown_event", NULL},
        {"42[7,{}]", "unknown", "unknown_event", NULL},
    };
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = legacy_open(&s, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *error;

        user_send(&s, u, cases[i].packet);
        error = legacy_take(&s, u, "error");
        assert_string_equal(text_of(error, "event"), cases[i].event);
        assert_string_equal(text_of(error, "code"), cases[i].code);
        if (cases[i].path != NULL) {
            assert_string_equal(
                text_of(json_array_get(json_object_get(error, "errors"), 0), "path"),
                cases[i].path);
        }
        json_decref(error);
    }
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_room_is_told_to_both_kinds_in_their_own_words),
        cmocka_unit_test(what_the_dialect_does_not_have_or_is_wrong_is_the_event_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
