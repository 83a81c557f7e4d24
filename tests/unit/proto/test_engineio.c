/* control/proto/engineio: the steps of the public Engine.IO v4 test suite without sockets,
 * and what it does not try: limits, aborts, timeouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/engineio.h"

enum { MS = 1000 };

static const struct eio_conf CONF = {.ping_interval_ms = 300,
                                     .ping_timeout_ms = 200,
                                     .upgrade_timeout_ms = 1000,
                                     .max_payload = 1000,
                                     .max_queue_msgs = 8,
                                     .max_queue_bytes = 4000};

/* A session that echoes, and what it told. */
struct fixture {
    struct eio_session *s;
    bool echo;
    int n_messages;
    int n_closes;
    enum eio_reason reason;
    bool close_on_message;
};

static void on_message(void *ctx, bool binary, const uint8_t *data, size_t len)
{
    struct fixture *f = ctx;
    struct eio_msg *msg =
        binary ? eio_msg_binary(data, len) : eio_msg_text(EIO_MESSAGE, data, len);

    f->n_messages++;
    if (f->echo) {
        eio_send(f->s, msg);
    }
    if (f->close_on_message) {
        eio_close(f->s, 0);
    }
    eio_msg_unref(msg);
}

static void on_close(void *ctx, enum eio_reason reason)
{
    struct fixture *f = ctx;

    f->n_closes++;
    f->reason = reason;
}

static const struct eio_callbacks CALLBACKS = {on_message, on_close};

static void open_session(struct fixture *f, bool websocket)
{
    memset(f, 0, sizeof(*f));
    f->echo = true;
    assert_int_equal(eio_create(&f->s, &CONF, &CALLBACKS, f, "sid-1_A", websocket, 0), 0);
}

/* The answer to the waiting GET, or "(waits)". */
static const char *take_poll(struct fixture *f)
{
    static char body[8192];
    size_t len = eio_poll_len(f->s);

    if (len == 0) {
        return "(waits)";
    }
    assert_true(len < sizeof(body));
    assert_int_equal(eio_take_poll(f->s, body), len);
    body[len] = '\0';
    return body;
}

static const char *take_frame(struct fixture *f)
{
    static char frame[8192];
    struct eio_msg *msg = eio_take_frame(f->s);

    if (msg == NULL) {
        return "(none)";
    }
    snprintf(frame, sizeof(frame), "%s%.*s", msg->binary ? "binary:" : "", (int)msg->len,
             (const char *)eio_msg_packet(msg));
    eio_msg_unref(msg);
    return frame;
}

static const char *get(struct fixture *f, uint64_t now_us)
{
    if (eio_on_poll(f->s, now_us) != EIO_OK) {
        return "(refused)";
    }
    return take_poll(f);
}

static enum eio_error post(struct fixture *f, const char *body, uint64_t now_us)
{
    enum eio_error err = eio_on_post_begin(f->s, strlen(body), now_us);

    return err != EIO_OK ? err : eio_on_post(f->s, body, strlen(body), now_us);
}

static void ws_text(struct fixture *f, const char *text, uint64_t now_us)
{
    eio_on_ws_frame(f->s, false, (const uint8_t *)text, strlen(text), now_us);
}

static void open_polling(struct fixture *f)
{
    open_session(f, false);
    assert_string_equal(take_poll(f),
                        "0{\"sid\":\"sid-1_A\",\"upgrades\":[\"websocket\"],"
                        "\"pingInterval\":300,\"pingTimeout\":200,\"maxPayload\":1000}");
}

static void open_websocket(struct fixture *f)
{
    open_session(f, true);
    assert_string_equal(take_frame(f),
                        "0{\"sid\":\"sid-1_A\",\"upgrades\":[],"
                        "\"pingInterval\":300,\"pingTimeout\":200,\"maxPayload\":1000}");
}

static void upgrade(struct fixture *f)
{
    assert_int_equal(eio_on_ws_open(f->s, 0), 0);
    ws_text(f, "2probe", 0);
    assert_string_equal(take_frame(f), "3probe");
    ws_text(f, "5", 0);
}

/* ---- handshake ---- */

static void requests_are_vetted_with_the_codes_of_the_protocol(void **state)
{
    static const struct {
        struct eio_request req;
        bool known;
        enum eio_error want;
    } cases[] = {
        {{.get = true, .eio = "4", .transport = "polling"}, false, EIO_OK},
        {{.get = true, .upgrade = true, .eio = "4", .transport = "websocket"},
         false,
         EIO_OK},
        {{.get = true, .eio = "4"}, false, EIO_UNKNOWN_TRANSPORT},
        {{.get = true, .eio = "4", .transport = "abc"}, false, EIO_UNKNOWN_TRANSPORT},
        {{.get = true, .transport = "polling"}, false, EIO_BAD_VERSION},
        {{.get = true, .eio = "3", .transport = "polling"}, false, EIO_BAD_VERSION},
        {{.get = true, .eio = "abc", .transport = "polling"}, false, EIO_BAD_VERSION},
        {{.post = true, .eio = "4", .transport = "polling"}, false, EIO_BAD_METHOD},
        {{.eio = "4", .transport = "polling"}, false, EIO_BAD_METHOD},
        {{.get = true, .eio = "4", .transport = "websocket"}, false, EIO_BAD_REQUEST},
        {{.get = true, .upgrade = true, .eio = "4", .transport = "polling"},
         false,
         EIO_BAD_REQUEST},
        {{.get = true, .eio = "4", .transport = "polling", .sid = "x"},
         false,
         EIO_UNKNOWN_SID},
        {{.get = true, .eio = "4", .transport = "polling", .sid = "x"}, true, EIO_OK},
        {{.post = true, .transport = "polling", .sid = "x"}, true, EIO_OK},
        {{.transport = "polling", .sid = "x"}, true, EIO_BAD_REQUEST},
        {{.get = true, .transport = "websocket", .sid = "x"}, true, EIO_BAD_REQUEST},
        {{.get = true, .upgrade = true, .transport = "websocket", .sid = "x"},
         true,
         EIO_OK},
    };
    struct fixture f;
    (void)state;

    open_polling(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(eio_vet(&cases[i].req, cases[i].known ? f.s : NULL),
                         cases[i].want);
    }
    eio_destroy(f.s);
    assert_string_equal(eio_error_body(EIO_UNKNOWN_TRANSPORT),
                        "{\"code\":0,\"message\":\"Transport unknown\"}");
    assert_string_equal(eio_error_body(EIO_BAD_VERSION),
                        "{\"code\":5,\"message\":\"Unsupported protocol version\"}");
    assert_string_equal(eio_error_body(EIO_OK), "ok");
    assert_int_equal(eio_error_status(EIO_UNKNOWN_SID), 400);
    assert_int_equal(eio_error_status(EIO_TOO_LARGE), 413);
}

static void a_session_id_that_would_break_the_open_packet_is_refused(void **state)
{
    static const char *const bad[] = {"", "a\"b", "a b",
                                      "123456789012345678901234567890123"};
    struct eio_session *s = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(eio_create(&s, &CONF, &CALLBACKS, NULL, bad[i], false, 0),
                         -EINVAL);
        assert_null(s);
    }
}

/* ---- messages ---- */

static void polling_payloads_are_echoed(void **state)
{
    static const char *const bodies[] = {"4hello",
                                         ("4test1\x1e"
                                          "4test2\x1e"
                                          "4test3"),
                                         ("4hello\x1e"
                                          "bAQIDBA=="),
                                         "4", "b"};
    struct fixture f;
    (void)state;

    open_polling(&f);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_int_equal(post(&f, bodies[i], 0), EIO_OK);
        assert_string_equal(get(&f, 0), bodies[i]);
    }
    assert_int_equal(f.n_messages, 8);
    assert_int_equal(f.n_closes, 0);
    eio_destroy(f.s);
}

static void a_waiting_poll_is_answered_when_a_message_comes(void **state)
{
    struct eio_msg *msg = eio_msg_text(EIO_MESSAGE, "late", 4);
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_string_equal(get(&f, 0), "(waits)");
    assert_int_equal(eio_send(f.s, msg), 0);
    assert_string_equal(take_poll(&f), "4late");
    assert_string_equal(take_poll(&f), "(waits)");
    eio_msg_unref(msg);
    eio_destroy(f.s);
}

static void websocket_frames_are_echoed(void **state)
{
    struct fixture f;
    (void)state;

    open_websocket(&f);
    ws_text(&f, "4hello", 0);
    assert_string_equal(take_frame(&f), "4hello");
    eio_on_ws_frame(f.s, true, (const uint8_t *)"\x01\x02", 2, 0);
    assert_string_equal(take_frame(&f), "binary:\x01\x02");
    assert_string_equal(take_frame(&f), "(none)");
    eio_destroy(f.s);
}

static void one_buffer_is_shared_by_many_sessions(void **state)
{
    struct eio_msg *msg = eio_msg_binary("abcd", 4);
    struct eio_msg *taken;
    struct fixture a;
    struct fixture b;
    (void)state;

    open_polling(&a);
    open_websocket(&b);
    assert_int_equal(eio_send(a.s, msg), 0);
    assert_int_equal(eio_send(b.s, msg), 0);
    assert_int_equal(msg->refs, 3);
    taken = eio_take_frame(b.s);
    assert_ptr_equal(taken, msg);
    eio_msg_unref(taken);
    assert_string_equal(get(&a, 0), "bYWJjZA==");
    assert_int_equal(msg->refs, 1);
    eio_msg_unref(msg);
    eio_destroy(a.s);
    eio_destroy(b.s);
}

static void a_long_queue_is_polled_in_bounded_bodies(void **state)
{
    char text[600];
    struct eio_msg *msg;
    struct fixture f;
    (void)state;

    memset(text, 'x', sizeof(text));
    msg = eio_msg_text(EIO_MESSAGE, text, sizeof(text));
    open_polling(&f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(eio_send(f.s, msg), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strlen(get(&f, 0)), 601);
    }
    assert_string_equal(get(&f, 0), "(waits)");
    eio_msg_unref(msg);
    eio_destroy(f.s);
}

static void malformed_payloads_close_the_session(void **state)
{
    static const char *const bad[] = {"abc",
                                      "",
                                      "4ok\x1e",
                                      "\x1e",
                                      "0",
                                      "2",
                                      "5",
                                      "7x",
                                      "bAQ=",
                                      "b====",
                                      ("4ok\x1e"
                                       "bA")};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture f;

        open_polling(&f);
        f.echo = false;
        assert_int_equal(post(&f, bad[i], 0), EIO_BAD_REQUEST);
        assert_int_equal(f.n_closes, 1);
        assert_int_equal(f.reason, EIO_REASON_PARSE);
        assert_string_equal(get(&f, 0), "(refused)");
        assert_int_equal(post(&f, "4x", 0), EIO_UNKNOWN_SID);
        assert_true(eio_done(f.s));
        eio_destroy(f.s);
    }
}

static void a_malformed_frame_closes_the_websocket(void **state)
{
    struct fixture f;
    (void)state;

    open_websocket(&f);
    ws_text(&f, "abc", 0);
    assert_int_equal(f.reason, EIO_REASON_PARSE);
    assert_true(eio_ws_must_close(f.s));
    assert_false(eio_done(f.s));
    eio_on_ws_closed(f.s);
    assert_true(eio_done(f.s));
    assert_int_equal(f.n_closes, 1);
    eio_destroy(f.s);
}

/* ---- limits ---- */

static void what_is_too_large_is_refused(void **state)
{
    char body[1001];
    struct fixture f;
    (void)state;

    memset(body, '4', sizeof(body));
    open_polling(&f);
    assert_int_equal(eio_on_post_begin(f.s, sizeof(body), 0), EIO_TOO_LARGE);
    assert_int_equal(eio_on_post_begin(f.s, 0, 0), EIO_OK);
    assert_int_equal(eio_on_post(f.s, body, sizeof(body), 0), EIO_TOO_LARGE);
    assert_int_equal(eio_on_post_begin(f.s, sizeof(body) - 1, 0), EIO_OK);
    assert_int_equal(eio_on_post(f.s, body, sizeof(body) - 1, 0), EIO_OK);
    assert_int_equal(f.n_messages, 1);
    assert_int_equal(f.n_closes, 0);
    eio_destroy(f.s);

    open_websocket(&f);
    eio_on_ws_frame(f.s, false, (const uint8_t *)body, sizeof(body), 0);
    assert_int_equal(f.n_messages, 0);
    assert_int_equal(f.reason, EIO_REASON_TOO_LARGE);
    assert_true(eio_ws_must_close(f.s));
    eio_destroy(f.s);
}

static void a_slow_reader_is_closed(void **state)
{
    char text[1500] = {0};
    struct eio_msg *small = eio_msg_text(EIO_MESSAGE, "x", 1);
    struct eio_msg *big = eio_msg_text(EIO_MESSAGE, text, sizeof(text));
    struct fixture f;
    (void)state;

    open_polling(&f);
    for (uint32_t i = 0; i < CONF.max_queue_msgs; i++) {
        assert_int_equal(eio_send(f.s, small), 0);
    }
    assert_int_equal(eio_send(f.s, small), -ENOSPC);
    assert_int_equal(f.reason, EIO_REASON_OVERFLOW);
    assert_int_equal(eio_send(f.s, small), -EPIPE);
    assert_int_equal(small->refs, 1);
    eio_destroy(f.s);

    open_websocket(&f);
    assert_int_equal(eio_send(f.s, big), 0);
    assert_int_equal(eio_send(f.s, big), 0);
    assert_int_equal(eio_send(f.s, big), -ENOSPC);
    assert_int_equal(f.reason, EIO_REASON_OVERFLOW);
    assert_int_equal(f.n_closes, 1);
    assert_int_equal(big->refs, 1);
    eio_destroy(f.s);
    eio_msg_unref(small);
    eio_msg_unref(big);
}

static void a_second_poll_closes_the_session(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_string_equal(get(&f, 0), "(waits)");
    assert_int_equal(eio_on_poll(f.s, 5 * MS), EIO_BAD_REQUEST);
    assert_int_equal(f.reason, EIO_REASON_CONCURRENT);
    assert_false(eio_done(f.s));
    assert_string_equal(take_poll(&f), "1");
    assert_true(eio_done(f.s));
    assert_int_equal(eio_on_poll(f.s, 6 * MS), EIO_UNKNOWN_SID);
    eio_destroy(f.s);
}

static void a_second_post_closes_the_session(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_int_equal(eio_on_post_begin(f.s, 2, 0), EIO_OK);
    assert_int_equal(eio_on_post_begin(f.s, 2, 0), EIO_BAD_REQUEST);
    assert_int_equal(f.reason, EIO_REASON_CONCURRENT);
    assert_int_equal(eio_on_post(f.s, "4x", 2, 0), EIO_UNKNOWN_SID);
    assert_int_equal(f.n_messages, 0);
    eio_destroy(f.s);
}

/* ---- heartbeat ---- */

static void pings_are_answered_over_polling(void **state)
{
    uint64_t now = 0;
    struct fixture f;
    (void)state;

    open_polling(&f);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(get(&f, now), "(waits)");
        assert_int_equal(eio_deadline(f.s), now + 300 * MS);
        now = eio_deadline(f.s);
        eio_on_tick(f.s, now - 1);
        assert_string_equal(take_poll(&f), "(waits)");
        eio_on_tick(f.s, now);
        assert_string_equal(take_poll(&f), "2");
        assert_int_equal(eio_deadline(f.s), now + 200 * MS);
        assert_int_equal(post(&f, "3", now), EIO_OK);
    }
    assert_int_equal(f.n_closes, 0);
    eio_destroy(f.s);
}

static void a_missing_pong_closes_either_transport(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    eio_on_tick(f.s, 300 * MS);
    eio_on_tick(f.s, 500 * MS);
    assert_int_equal(f.reason, EIO_REASON_PING_TIMEOUT);
    assert_string_equal(get(&f, 500 * MS), "(refused)");
    assert_true(eio_done(f.s));
    eio_destroy(f.s);

    open_websocket(&f);
    eio_on_tick(f.s, 300 * MS);
    assert_string_equal(take_frame(&f), "2");
    eio_on_tick(f.s, 499 * MS);
    assert_int_equal(f.n_closes, 0);
    eio_on_tick(f.s, 500 * MS);
    assert_int_equal(f.reason, EIO_REASON_PING_TIMEOUT);
    assert_true(eio_ws_must_close(f.s));
    eio_destroy(f.s);
}

static void an_unasked_pong_does_not_put_off_the_ping(void **state)
{
    struct fixture f;
    (void)state;

    open_websocket(&f);
    ws_text(&f, "3", 200 * MS);
    assert_int_equal(eio_deadline(f.s), 300 * MS);
    eio_destroy(f.s);
}

/* ---- upgrade ---- */

static void polling_is_upgraded_to_websocket(void **state)
{
    struct eio_request poll = {.get = true, .transport = "polling", .sid = "x"};
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_int_equal(eio_on_ws_open(f.s, 0), 0);
    ws_text(&f, "2probe", 0);
    assert_string_equal(take_frame(&f), "3probe");
    assert_string_equal(get(&f, 0), "6");
    ws_text(&f, "5", 0);
    ws_text(&f, "4hello", 0);
    assert_string_equal(take_frame(&f), "4hello");

    assert_int_equal(eio_vet(&poll, f.s), EIO_BAD_REQUEST);
    assert_string_equal(get(&f, 0), "(refused)");
    assert_int_equal(post(&f, "4x", 0), EIO_BAD_REQUEST);
    assert_int_equal(eio_on_ws_open(f.s, 0), -EPERM);
    ws_text(&f, "4still", 0);
    assert_string_equal(take_frame(&f), "4still");
    assert_int_equal(f.n_closes, 0);
    assert_int_equal(eio_deadline(f.s), 300 * MS);
    eio_destroy(f.s);
}

static void a_held_poll_is_released_by_the_probe_and_keeps_messages(void **state)
{
    struct eio_msg *msg = eio_msg_text(EIO_MESSAGE, "m", 1);
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_string_equal(get(&f, 0), "(waits)");
    assert_int_equal(eio_on_ws_open(f.s, 0), 0);
    assert_string_equal(take_poll(&f), "(waits)");
    ws_text(&f, "2probe", 0);
    assert_string_equal(take_poll(&f), "6");
    assert_string_equal(take_frame(&f), "3probe");

    assert_int_equal(eio_send(f.s, msg), 0);
    assert_string_equal(take_frame(&f), "(none)");
    ws_text(&f, "5", 0);
    assert_string_equal(take_frame(&f), "4m");
    eio_msg_unref(msg);
    eio_destroy(f.s);
}

static void a_poll_held_across_the_upgrade_gets_noop_only(void **state)
{
    struct eio_msg *msg = eio_msg_text(EIO_MESSAGE, "m", 1);
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_int_equal(eio_on_ws_open(f.s, 0), 0);
    ws_text(&f, "2probe", 0);
    assert_int_equal(eio_on_poll(f.s, 0), EIO_OK);
    ws_text(&f, "5", 0);
    assert_int_equal(eio_send(f.s, msg), 0);
    assert_string_equal(take_poll(&f), "6");
    assert_string_equal(take_frame(&f), "3probe");
    assert_string_equal(take_frame(&f), "4m");
    eio_msg_unref(msg);
    eio_destroy(f.s);
}

static void a_failed_upgrade_leaves_polling_alive(void **state)
{
    static const char *const bad[] = {"5", "4x", "2", "2probe2"};
    struct fixture f;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_polling(&f);
        assert_int_equal(eio_on_ws_open(f.s, 0), 0);
        assert_int_equal(eio_on_ws_open(f.s, 0), -EPERM);
        ws_text(&f, bad[i], 0);
        assert_true(eio_ws_must_close(f.s));
        eio_on_ws_closed(f.s);
        assert_int_equal(post(&f, "4x", 0), EIO_OK);
        assert_string_equal(get(&f, 0), "4x");
        assert_int_equal(f.n_messages, 1);
        eio_destroy(f.s);
    }

    open_polling(&f);
    assert_int_equal(eio_on_ws_open(f.s, 200 * MS), 0);
    ws_text(&f, "2probe", 200 * MS);
    eio_on_tick(f.s, 300 * MS);
    assert_int_equal(post(&f, "3", 300 * MS), EIO_OK);
    for (uint64_t now = 600 * MS; now < 1200 * MS; now += 300 * MS) {
        eio_on_tick(f.s, now);
        assert_int_equal(post(&f, "3", now), EIO_OK);
        assert_false(eio_ws_must_close(f.s));
    }
    eio_on_tick(f.s, 1200 * MS);
    assert_true(eio_ws_must_close(f.s));
    assert_int_equal(f.n_closes, 0);
    eio_on_ws_closed(f.s);
    assert_int_equal(eio_on_ws_open(f.s, 1200 * MS), 0);
    eio_destroy(f.s);
}

/* ---- close ---- */

static void a_client_that_closes_gets_noop_on_its_poll(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_string_equal(get(&f, 0), "(waits)");
    assert_int_equal(post(&f, "1", 0), EIO_OK);
    assert_int_equal(f.reason, EIO_REASON_CLIENT);
    assert_string_equal(take_poll(&f), "6");
    assert_int_equal(eio_on_poll(f.s, 0), EIO_UNKNOWN_SID);
    assert_true(eio_done(f.s));
    eio_destroy(f.s);

    open_websocket(&f);
    ws_text(&f, "1", 0);
    assert_int_equal(f.reason, EIO_REASON_CLIENT);
    assert_true(eio_ws_must_close(f.s));
    eio_destroy(f.s);
}

static void nothing_is_taken_from_behind_a_close(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_int_equal(post(&f,
                          "4a\x1e"
                          "1\x1e"
                          "4b",
                          0),
                     EIO_OK);
    assert_int_equal(f.n_messages, 1);
    assert_int_equal(f.n_closes, 1);
    eio_destroy(f.s);

    open_polling(&f);
    f.close_on_message = true;
    assert_int_equal(post(&f,
                          "4a\x1e"
                          "4b",
                          0),
                     EIO_OK);
    assert_int_equal(f.n_messages, 1);
    assert_int_equal(f.reason, EIO_REASON_SERVER);
    eio_destroy(f.s);
}

static void a_server_close_delivers_what_is_queued(void **state)
{
    struct eio_msg *msg = eio_msg_text(EIO_MESSAGE, "bye", 3);
    struct fixture f;
    (void)state;

    open_polling(&f);
    eio_send(f.s, msg);
    eio_close(f.s, 0);
    assert_int_equal(f.n_closes, 1);
    assert_false(eio_done(f.s));
    assert_string_equal(get(&f, 100 * MS), "4bye\x1e"
                                           "1");
    assert_true(eio_done(f.s));
    eio_destroy(f.s);

    open_websocket(&f);
    eio_send(f.s, msg);
    eio_close(f.s, 0);
    assert_false(eio_ws_must_close(f.s));
    assert_string_equal(take_frame(&f), "4bye");
    assert_true(eio_ws_must_close(f.s));
    eio_on_ws_closed(f.s);
    assert_true(eio_done(f.s));
    assert_int_equal(f.n_closes, 1);
    eio_destroy(f.s);

    open_polling(&f);
    eio_send(f.s, msg);
    eio_close(f.s, 0);
    assert_int_equal(eio_deadline(f.s), 200 * MS);
    eio_on_tick(f.s, 200 * MS); /* nobody came for it */
    assert_true(eio_done(f.s));
    assert_int_equal(msg->refs, 1);
    eio_destroy(f.s);
    eio_msg_unref(msg);
}

static void a_lost_connection_closes_the_session(void **state)
{
    struct fixture f;
    (void)state;

    open_polling(&f);
    assert_string_equal(get(&f, 0), "(waits)");
    eio_on_poll_aborted(f.s);
    assert_int_equal(f.reason, EIO_REASON_TRANSPORT);
    assert_string_equal(get(&f, 0), "(refused)");
    eio_destroy(f.s);

    open_polling(&f);
    assert_int_equal(eio_on_post_begin(f.s, 5, 0), EIO_OK);
    eio_on_post_aborted(f.s);
    assert_int_equal(f.reason, EIO_REASON_TRANSPORT);
    eio_destroy(f.s);

    open_websocket(&f);
    eio_on_ws_closed(f.s);
    assert_int_equal(f.reason, EIO_REASON_TRANSPORT);
    assert_true(eio_done(f.s));
    eio_destroy(f.s);

    open_polling(&f);
    upgrade(&f);
    assert_int_equal(f.n_closes, 0);
    eio_on_ws_closed(f.s);
    assert_int_equal(f.reason, EIO_REASON_TRANSPORT);
    assert_true(eio_done(f.s));
    eio_destroy(f.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_vetted_with_the_codes_of_the_protocol),
        cmocka_unit_test(a_session_id_that_would_break_the_open_packet_is_refused),
        cmocka_unit_test(polling_payloads_are_echoed),
        cmocka_unit_test(a_waiting_poll_is_answered_when_a_message_comes),
        cmocka_unit_test(websocket_frames_are_echoed),
        cmocka_unit_test(one_buffer_is_shared_by_many_sessions),
        cmocka_unit_test(a_long_queue_is_polled_in_bounded_bodies),
        cmocka_unit_test(malformed_payloads_close_the_session),
        cmocka_unit_test(a_malformed_frame_closes_the_websocket),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_slow_reader_is_closed),
        cmocka_unit_test(a_second_poll_closes_the_session),
        cmocka_unit_test(a_second_post_closes_the_session),
        cmocka_unit_test(pings_are_answered_over_polling),
        cmocka_unit_test(a_missing_pong_closes_either_transport),
        cmocka_unit_test(an_unasked_pong_does_not_put_off_the_ping),
        cmocka_unit_test(polling_is_upgraded_to_websocket),
        cmocka_unit_test(a_held_poll_is_released_by_the_probe_and_keeps_messages),
        cmocka_unit_test(a_poll_held_across_the_upgrade_gets_noop_only),
        cmocka_unit_test(a_failed_upgrade_leaves_polling_alive),
        cmocka_unit_test(a_client_that_closes_gets_noop_on_its_poll),
        cmocka_unit_test(nothing_is_taken_from_behind_a_close),
        cmocka_unit_test(a_server_close_delivers_what_is_queued),
        cmocka_unit_test(a_lost_connection_closes_the_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
