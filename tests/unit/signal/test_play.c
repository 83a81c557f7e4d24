/* Polls, the whiteboard, captions, figures and tokens over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static void mint(char *out, size_t cap, const char *sub, const char *scope, int64_t ttl_s)
{
    struct jwt_claims claims = {.tenant = "default",
                                .role = "host",
                                .meeting_id = "m",
                                .exp = (int64_t)(clock_wall_us() / 1000000) + ttl_s};

    (void)snprintf(claims.sub, sizeof(claims.sub), "%s", sub);
    (void)snprintf(claims.scope, sizeof(claims.scope), "%s", scope);
    assert_int_equal(jwt_mint(&claims, user_secret, sizeof(user_secret) - 1, out, cap),
                     JWT_OK);
}

static struct user *join_with(struct site *s, const char *sub, const char *scope,
                              int64_t ttl_s)
{
    struct user *u = user_open(s, false);
    char token[1024], packet[1200];

    mint(token, sizeof(token), sub, scope, ttl_s);
    (void)snprintf(packet, sizeof(packet), "40/meeting,{\"token\":\"%s\"}", token);
    user_send(s, u, packet);
    json_decref(user_take(s, u, "40/meeting,"));
    user_do(s, u, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    return u;
}

static void a_poll_is_asked_answered_and_closed(void **state)
{
    struct user *host, *a;
    char payload[128];
    json_t *made, *told;
    struct site s;
    (void)state;

    site_start(&s);
    host = join_with(&s, "h", "", 600);
    a = user_join(&s, false, "a");
    user_refused(&s, host, "poll:create", "{\"question\":\"?\",\"options\":[\"a\"]}",
                 "invalid", "/options");
    user_refused(&s, host, "poll:create", "{\"question\":\"?\",\"options\":[\"a\",1]}",
                 "invalid", "/options");
    made = user_ask(&s, host, "poll:create",
                    "{\"question\":\"?\",\"options\":[\"a\",\"b\"],\"multiple\":true}");
    told = user_event(&s, a, "poll:updated");
    assert_string_equal(text_of(told, "state"), "open");
    assert_true(json_is_integer(json_object_get(told, "seq")));
    json_decref(told);
    (void)snprintf(payload, sizeof(payload), "{\"poll_id\":\"%s\",\"choice\":[2]}",
                   text_of(made, "poll_id"));
    user_refused(&s, a, "poll:vote", payload, "invalid", "/choice");
    (void)snprintf(payload, sizeof(payload), "{\"poll_id\":\"%s\",\"choice\":[0,1]}",
                   text_of(made, "poll_id"));
    user_do(&s, a, "poll:vote", payload);
    user_do(&s, host, "poll:close", payload);
    json_decref(made);
    do {
        told = user_event(&s, a, "poll:updated");
        made = json_object_get(told, "votes");
        assert_int_equal(json_array_size(made), 2);
        if (strcmp(text_of(told, "state"), "closed") == 0) {
            break;
        }
        json_decref(told);
    } while (true);
    assert_int_equal(json_integer_value(json_array_get(made, 0)), 1);
    assert_int_equal(json_integer_value(json_array_get(made, 1)), 1);
    json_decref(told);
    site_finish(&s);
}

static void strokes_go_to_the_others_and_are_there_for_who_comes(void **state)
{
    struct user *a, *b;
    json_t *told;
    const json_t *list;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    user_refused(&s, a, "whiteboard:update", "{\"ops\":[]}", "invalid", "/ops");
    user_refused(&s, a, "whiteboard:update", "{\"ops\":[{\"id\":1,\"op\":\"x\"}]}",
                 "invalid", "/ops");
    user_refused(&s, a, "whiteboard:update", "{\"ops\":[{\"op\":\"remove\"}]}", "invalid",
                 "/ops/0/id");
    user_do(&s, a, "whiteboard:update",
            "{\"ops\":[{\"op\":\"line\",\"id\":\"1\",\"to\":[1,2]},{\"op\":\"dot\"}]}");
    told = user_event(&s, b, "whiteboard:updated");
    assert_int_equal(json_integer_value(json_object_get(told, "version")), 2);
    list = json_object_get(json_array_get(json_object_get(told, "ops"), 0), "to");
    assert_int_equal(json_array_size(list), 2);
    json_decref(told);
    user_do(&s, b, "whiteboard:update", "{\"ops\":[{\"op\":\"remove\",\"id\":\"1\"}]}");
    told = user_ask(&s, b, "whiteboard:get", NULL);
    assert_int_equal(json_array_size(json_object_get(told, "ops")), 1);
    assert_int_equal(json_integer_value(json_object_get(told, "version")), 3);
    json_decref(told);
    user_do(&s, a, "whiteboard:clear", NULL);
    told = user_event(&s, b, "whiteboard:cleared");
    assert_true(json_is_integer(json_object_get(told, "seq")));
    json_decref(told);
    site_finish(&s);
}

static void captions_and_figures(void **state)
{
    static const char said[] = "{\"lang\":\"en\",\"text\":\"hello\",\"start_ms\":1,"
                               "\"end_ms\":2,\"final\":true}";
    struct user *source, *a;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    source = join_with(&s, "c", "stats caption", 600);
    a = user_join(&s, false, "a");
    user_refused(&s, a, "caption:segment", said, "forbidden", "scope");
    user_do(&s, source, "caption:segment", said);
    told = user_event(&s, a, "caption:segment");
    assert_string_equal(text_of(told, "text"), "hello");
    json_decref(told);
    user_refused(&s, a, "stats:report", "{\"rtt\":1,\"jitter\":1,\"packet_loss\":101}",
                 "invalid", "/packet_loss");
    user_do(&s, a, "stats:report",
            "{\"rtt\":20,\"jitter\":1.5,\"packet_loss\":0,\"bitrate\":1000}");
    assert_int_equal(inbox_find(a, "42/meeting,[\"quality:warning\""), -1);
    user_do(&s, a, "stats:report",
            "{\"rtt\":20,\"jitter\":1.5,\"packet_loss\":9,\"bitrate\":1000}");
    told = user_event(&s, a, "quality:warning");
    assert_string_equal(text_of(told, "issue"), "packet_loss");
    json_decref(told);
    user_do(&s, a, "stats:report",
            "{\"rtt\":20,\"jitter\":1.5,\"packet_loss\":9,\"bitrate\":1000}");
    site_settle(&s, 20);
    assert_int_equal(inbox_find(a, "42/meeting,[\"quality:warning\""), -1); /* not again */
    user_do(&s, source, "stats:report",
            "{\"rtt\":20,\"jitter\":90,\"packet_loss\":0,\"bitrate\":1000}");
    told = user_event(&s, source, "quality:warning");
    assert_string_equal(text_of(told, "issue"), "high_jitter");
    json_decref(told);
    site_finish(&s);
}

static void hosts_are_told_figures_at_times(void **state)
{
    struct user *host, *other;
    uint64_t until;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    host = join_with(&s, "h", "", 600);
    other = user_join(&s, false, "a");
    until = now_ms() + 10500; /* each room has its turn within ten seconds */
    while (inbox_find(host, "42/meeting,[\"stats:update\"") < 0 && now_ms() < until) {
        site_settle(&s, 50);
    }
    told = user_event(&s, host, "stats:update");
    assert_int_equal(json_integer_value(json_object_get(told, "participants")), 2);
    assert_int_equal(json_integer_value(json_object_get(told, "producers")), 0);
    json_decref(told);
    assert_int_equal(inbox_find(other, "42/meeting,[\"stats:update\""), -1);
    site_finish(&s);
}

static void a_token_that_ends_is_told_and_renewed(void **state)
{
    char token[1024], payload[1100];
    struct user *a, *b;
    json_t *told;
    struct site s;
    (void)state;

    site_start(&s);
    a = join_with(&s, "a", "", 30);
    b = join_with(&s, "b", "", 600);
    told = user_event(&s, a, "auth:expiring");
    assert_int_equal(strlen(text_of(told, "expires_at")), 27);
    json_decref(told);
    mint(token, sizeof(token), "b", "", 900);
    (void)snprintf(payload, sizeof(payload), "{\"token\":\"%s\"}", token);
    user_refused(&s, a, "auth:refresh", payload, "forbidden", "another");
    user_refused(&s, a, "auth:refresh", "{\"token\":\"x\"}", "jwt_malformed", "");
    user_do(&s, b, "auth:refresh", payload);
    mint(token, sizeof(token), "a", "", 900);
    (void)snprintf(payload, sizeof(payload), "{\"token\":\"%s\"}", token);
    told = user_ask(&s, a, "auth:refresh", payload);
    assert_int_equal(strlen(text_of(told, "expires_at")), 27);
    json_decref(told);
    site_settle(&s, 600);
    assert_int_equal(inbox_find(a, "42/meeting,[\"auth:expiring\""), -1);
    assert_int_equal(inbox_find(b, "42/meeting,[\"auth:expiring\""), -1);
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poll_is_asked_answered_and_closed),
        cmocka_unit_test(strokes_go_to_the_others_and_are_there_for_who_comes),
        cmocka_unit_test(captions_and_figures),
        cmocka_unit_test(hosts_are_told_figures_at_times),
        cmocka_unit_test(a_token_that_ends_is_told_and_renewed),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
