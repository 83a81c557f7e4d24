/* Socket.IO above the transport: the namespace, tokens, acks and what goes without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/signal/user.h"

static const char join_m[] = "{\"meeting_id\":\"m\",\"display_name\":\"N\"}";

/* Sends a CONNECT that is refused; 'code' NULL: the refusal has none. */
static void expect_connect_error(struct site *s, struct user *u, const char *nsp,
                                 const char *auth, const char *code)
{
    char packet[2048], prefix[80];
    const json_t *data;
    json_t *error;

    (void)snprintf(packet, sizeof(packet), "40%s%s", nsp, auth);
    (void)snprintf(prefix, sizeof(prefix), "44%s", nsp);
    user_send(s, u, packet);
    error = user_take(s, u, prefix);
    assert_string_not_equal(text_of(error, "message"), "");
    data = json_object_get(error, "data");
    if (code != NULL) {
        assert_string_equal(text_of(data, "code"), code);
    } else {
        assert_null(data);
    }
    json_decref(error);
}

static void a_wrong_token_is_a_connect_error_with_its_code(void **state)
{
    const struct jwt_claims old = {.sub = "u", .exp = 1000};
    struct jwt_claims strange = {.sub = "u", .role = "emperor"};
    struct user *u;
    struct site s;
    char token[512], auth[600];
    (void)state;

    site_start(&s);
    for (int polling = 0; polling < 2; polling++) {
        u = user_open(&s, polling != 0);
        expect_connect_error(&s, u, "/meeting,", "", "token_missing");
        expect_connect_error(&s, u, "/meeting,", "{}", "token_missing");
        expect_connect_error(&s, u, "/meeting,", "{\"token\":7}", "token_missing");
        expect_connect_error(&s, u, "/meeting,", "{\"token\":\"\"}", "jwt_malformed");
        expect_connect_error(&s, u, "/meeting,", "{\"token\":\"a.b\"}", "jwt_malformed");
        assert_int_equal(jwt_mint(&old, user_secret, 32, token, sizeof(token)), JWT_OK);
        (void)snprintf(auth, sizeof(auth), "{\"token\":\"%s\"}", token);
        expect_connect_error(&s, u, "/meeting,", auth, "jwt_expired");
        strange.exp = (int64_t)(clock_wall_us() / 1000000) + 60;
        assert_int_equal(jwt_mint(&strange, user_secret, 32, token, sizeof(token)), JWT_OK);
        (void)snprintf(auth, sizeof(auth), "{\"token\":\"%s\"}", token);
        expect_connect_error(&s, u, "/meeting,", auth, "unknown_role");
        user_connect(&s, u, "u", "presenter"); /* the session is still good for that */
    }
    site_finish(&s);
}

static void other_namespaces_do_not_exist(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    expect_connect_error(&s, u, "", "", "token_missing"); /* the legacy dialect is there */
    expect_connect_error(&s, u, "/nowhere,", "{\"token\":\"x\"}", NULL);
    expect_connect_error(&s, u, "/meeting2,", "{\"token\":\"x\"}", NULL);
    user_connect(&s, u, "u", "presenter");
    expect_connect_error(&s, u, "/nowhere,", "", NULL);
    user_do(&s, u, "room:join", join_m);
    site_finish(&s);
}

static void leaving_the_namespace_leaves_the_room_and_it_can_be_entered_again(void **state)
{
    struct user *a, *b;
    struct site s;
    json_t *left;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    for (int polling = 0; polling < 2; polling++) {
        b = user_join(&s, polling != 0, "b");
        user_send(&s, b, "41/meeting,");
        left = user_event(&s, a, "participant:left");
        assert_string_equal(text_of(left, "reason"), "client namespace disconnect");
        json_decref(left);
        user_connect(&s, b, "b2", "presenter");
        user_do(&s, b, "room:join", join_m);
        user_do(&s, b, "room:leave", NULL);
        left = user_event(&s, a, "participant:left");
        assert_string_equal(text_of(left, "user_id"), "b2");
        json_decref(left);
    }
    site_finish(&s);
}

static void events_before_connect_end_the_session(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    (void)user_emit(&s, u, "room:join", join_m);
    AWAIT(&s, u->closed && signal_n_clients(s.signal) == 0);
    assert_int_equal(u->n_inbox, 0);
    site_finish(&s);
}

static void events_that_are_unknown_unbuilt_or_too_early_say_so(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    user_refused(&s, u, "transport:create", "{\"direction\":\"send\"}", "not_joined", "");
    user_refused(&s, u, "room:leave", "{}", "not_joined", "");
    user_refused(&s, u, "recording:start", "{}", "not_joined", "");
    user_refused(&s, u, "recording:pause", "{}", "not_joined", "");
    user_refused(&s, u, "no:such:event", "{}", "unknown_event", "");
    user_refused(&s, u, "", "{}", "unknown_event", "");
    user_send(&s, u, "42/meeting,99[7,{}]"); /* a name may be a number, but none of ours */
    {
        json_t *body = user_ack(&s, u, 99);

        assert_string_equal(text_of(json_object_get(body, "error"), "code"),
                            "unknown_event");
        json_decref(body);
    }
    user_do(&s, u, "room:join", join_m);
    site_finish(&s);
}

static void without_an_ack_a_failure_is_the_event_error(void **state)
{
    static const struct {
        const char *packet, *code, *event;
    } cases[] = {
        {"42/meeting,[\"room:join\",{}]", "invalid", "room:join"},
        {"42/meeting,[\"room:join\"]", "invalid", "room:join"},
        {"42/meeting,[\"produce\",{}]", "not_joined", "produce"},
        {"42/meeting,[\"recording:pause\",{}]", "not_joined", "recording:pause"},
        {"42/meeting,[\"<script>\",{}]", "unknown_event", "unknown"},
    };
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, true);
    user_connect(&s, u, "u", "presenter");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *error;

        user_send(&s, u, cases[i].packet);
        error = user_event(&s, u, "error");
        assert_string_equal(text_of(error, "code"), cases[i].code);
        assert_string_equal(text_of(error, "event"), cases[i].event);
        assert_string_not_equal(text_of(error, "message"), "");
        json_decref(error);
        assert_int_equal(u->n_inbox, 0);
    }
    site_finish(&s);
}

static void success_is_acked_and_paired_and_without_an_ack_only_paired(void **state)
{
    struct user *u;
    json_t *ack, *event;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    ack = user_ask(&s, u, "room:join", join_m);
    event = user_event(&s, u, "room:joined");
    assert_null(json_object_get(event, "ok"));
    assert_int_equal(json_object_del(ack, "ok"), 0);
    assert_true(json_equal(ack, event));
    json_decref(ack);
    json_decref(event);
    user_send(&s, u, "42/meeting,[\"transport:create\",{\"direction\":\"recv\"}]");
    event = user_event(&s, u, "transport:created");
    assert_string_equal(text_of(event, "direction"), "recv");
    json_decref(event);
    user_do(&s, u, "room:leave", NULL); /* has no paired event */
    site_settle(&s, 30);
    assert_int_equal(u->n_inbox, 0);
    site_finish(&s);
}

static void ack_ids_go_back_as_they_came(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    u->next_ack = 9007199254740991; /* 2^53 - 1 */
    user_do(&s, u, "room:join", join_m);
    u->next_ack = 0;
    user_do(&s, u, "room:leave", "{\"meeting_id\":\"m\"}");
    site_finish(&s);
}

static void an_ack_of_ours_asked_for_by_nobody_is_passed_over(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    user_send(&s, u, "43/meeting,3[{}]");
    user_do(&s, u, "room:join", join_m);
    site_finish(&s);
}

static void attachments_are_collected_and_a_placeholder_is_no_text(void **state)
{
    struct user *u;
    json_t *body;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    user_send(&s, u,
              "451-/meeting,5[\"room:join\",{\"meeting_id\":"
              "{\"_placeholder\":true,\"num\":0},\"display_name\":\"N\"}]");
    site_settle(&s, 20);
    assert_int_equal(u->n_inbox, 0); /* waits for it */
    ws_send(&s, u, 2, "\x01\x00\xff", 3);
    body = user_ack(&s, u, 5);
    assert_string_equal(text_of(json_object_get(body, "error"), "code"), "invalid");
    json_decref(body);
    user_send(&s, u,
              "451-/meeting,6[\"room:join\",{\"meeting_id\":\"m\",\"display_name\":\"N\","
              "\"more\":{\"_placeholder\":true,\"num\":0}}]");
    ws_send(&s, u, 2, "", 0);
    body = user_ack(&s, u, 6);
    assert_true(json_is_true(json_object_get(body, "ok")));
    json_decref(body);
    site_finish(&s);
}

static void binary_that_was_not_announced_ends_the_session(void **state)
{
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    ws_send(&s, u, 2, "x", 1);
    AWAIT(&s, u->closed);
    u = user_open(&s, true);
    user_connect(&s, u, "u", "presenter");
    user_send(&s, u, "bAAEC"); /* the polling form */
    AWAIT(&s, u->closed);
    u = user_open(&s, false); /* text where an attachment is due; it is then let go */
    user_connect(&s, u, "u", "presenter");
    user_send(&s, u, "451-/meeting,[\"x\",{\"_placeholder\":true,\"num\":0}]");
    user_send(&s, u, "42/meeting,[\"x\"]");
    AWAIT(&s, u->closed);
    site_finish(&s);
}

static void attachments_too_large_together_end_the_session(void **state)
{
    enum { LEN = 60000 }; /* each fits, two do not */
    char *data = calloc(1, LEN);
    struct user *u;
    struct site s;
    (void)state;

    site_start(&s);
    u = user_open(&s, false);
    user_connect(&s, u, "u", "presenter");
    user_send(&s, u, "452-/meeting,[\"x\",{\"_placeholder\":true,\"num\":0}]");
    ws_send(&s, u, 2, data, LEN);
    site_settle(&s, 20);
    assert_false(u->closed);
    ws_send(&s, u, 2, data, LEN);
    AWAIT(&s, u->closed);
    free(data);
    site_finish(&s);
}

/* The status of a handshake by polling; further ones go over the same connection. */
static unsigned handshake_by_polling(struct site *s, struct conn *c)
{
    struct http http;
    unsigned status;

    http_say(s, c, "GET", "EIO=4&transport=polling", NULL);
    AWAIT(s, (conn_read(c), http_take(c, &http)));
    status = http.status;
    http_free(&http);
    return status;
}

/* Sessions of one address are not all that there are, though by polling they need but one
 * connection. This host itself, maybe a proxy, is not counted. */
static void an_address_has_so_many_sessions_and_no_more(void **state)
{
    enum { FIRST = 0x7f000002, SECOND = 0x7f000003 };
    struct signal_conf conf = site_conf();
    struct conn greedy, other;
    struct user upgrading = {.polling = false};
    struct user *u;
    struct site s;
    (void)state;

    conf.callers.most = 3;
    site_start_with(&s, conf);
    conn_open_from(&s, &greedy, 0, FIRST);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(handshake_by_polling(&s, &greedy), 200);
    }
    assert_int_equal(handshake_by_polling(&s, &greedy), 429);
    conn_open_from(&s, &upgrading.main, 0, FIRST);
    ws_handshake(&s, &upgrading, "EIO=4&transport=websocket");
    assert_false(ws_accepted(&s, &upgrading));
    assert_int_equal(upgrading.code, 429);
    assert_int_equal(signal_n_clients(s.signal), 3);
    conn_open_from(&s, &other, 0, SECOND);
    assert_int_equal(handshake_by_polling(&s, &other), 200);
    u = user_join(&s, true, "a");
    user_vanish(u);
    conn_close(&greedy);
    conn_close(&other);
    conn_close(&upgrading.main);
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_token_is_a_connect_error_with_its_code),
        cmocka_unit_test(other_namespaces_do_not_exist),
        cmocka_unit_test(leaving_the_namespace_leaves_the_room_and_it_can_be_entered_again),
        cmocka_unit_test(events_before_connect_end_the_session),
        cmocka_unit_test(events_that_are_unknown_unbuilt_or_too_early_say_so),
        cmocka_unit_test(without_an_ack_a_failure_is_the_event_error),
        cmocka_unit_test(success_is_acked_and_paired_and_without_an_ack_only_paired),
        cmocka_unit_test(ack_ids_go_back_as_they_came),
        cmocka_unit_test(an_ack_of_ours_asked_for_by_nobody_is_passed_over),
        cmocka_unit_test(attachments_are_collected_and_a_placeholder_is_no_text),
        cmocka_unit_test(binary_that_was_not_announced_ends_the_session),
        cmocka_unit_test(attachments_too_large_together_end_the_session),
        cmocka_unit_test(an_address_has_so_many_sessions_and_no_more),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
