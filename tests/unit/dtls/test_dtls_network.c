/* Handshakes on a bad network, among garbage, on full queues, and their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/dtls/ends.h"

static void a_hello_in_two_fragments_completes_in_either_order(void **state)
{
    /* Browsers with a post-quantum key share send 1,413 bytes. */
    struct dtls_peer_conf conf = {
        .profiles = both_profiles, .mtu = 1200, .hello_pad = 1200};
    struct fixture f;
    (void)state;

    start(&f, base_conf);
    for (int reorder = 0; reorder < 2; reorder++) {
        struct end end;
        size_t total = 0;

        open_end(&f, &end, &conf);
        dtls_peer_step(&end.peer, NULL, 0);
        assert_int_equal(end.peer.n_out, 2);
        total = end.peer.out[0].len + end.peer.out[1].len;
        assert_true(total >= 1413);
        if (reorder) {
            struct dtls_peer_datagram swap = end.peer.out[0];

            end.peer.out[0] = end.peer.out[1];
            end.peer.out[1] = swap;
        }
        run(&f, &end, 5000);
        run_for(&f, &end, 20);
        assert_same_keys(&end);
        close_end(&end);
    }
    finish(&f);
}

static void a_lost_flight_is_sent_again_without_the_peer(void **state)
{
    const struct dtls_peer_conf conf = {.server = true, .profiles = both_profiles};
    struct fixture f;
    struct end end;
    uint64_t began = now_ms();
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    end.drop_first = 2; /* our hello and its first retransmission */
    run(&f, &end, 5000);
    assert_same_keys(&end);
    assert_true(now_ms() - began >= 100); /* 50 + 100 ms, less the clock's grain */
    close_end(&end);
    finish(&f);
}

/* Handshakes until our side is done and its last flight lost. */
static void run_to_lost_flight(struct fixture *f, struct end *end)
{
    while (end->n_done == 0) {
        dtls_peer_step(&end->peer, NULL, 0);
        deliver(end);
        (void)usleep(2000);
        loop_turn(f->loop);
        if (end->n_sent > 1) { /* behind the cookie, the first flight has arrived */
            end->drop_first = 1000;
        }
    }
    assert_int_equal(end->err, 0);
    assert_false(end->peer.done);
}

static void a_peer_that_missed_the_last_flight_gets_it_again(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run_to_lost_flight(&f, &end);
    end.drop_first = 0;
    run_for(&f, &end, 250); /* its retransmission timer is 50 ms, 100 ms */
    assert_same_keys(&end);
    close_end(&end);
    finish(&f);
}

/* Hands what the peer sends again to the connection, which 'times' times in a row hears of the
 * very same bytes. Returns how often it has answered. */
static unsigned repeat_flight(struct fixture *f, struct end *end, unsigned times)
{
    const unsigned before = end->n_sent;

    while (end->peer.n_out == 0) { /* by its timer */
        (void)usleep(2000);
        dtls_peer_step(&end->peer, NULL, 0);
    }
    for (unsigned i = 0; i < times; i++) {
        for (size_t k = 0; k < end->peer.n_out; k++) {
            assert_int_equal(dtls_conn_feed(end->conn, &end->path, end->peer.out[k].data,
                                            end->peer.out[k].len),
                             0);
        }
    }
    end->peer.n_out = 0;
    for (int i = 0; i < 20; i++) {
        (void)usleep(1000);
        loop_turn(f->loop);
    }
    return end->n_sent - before;
}

/* However late; and who merely copies what it sends has no answer of it. */
static void each_last_flight_of_the_peer_is_answered_once(void **state)
{
    static const char *const ciphers[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
                                          "ECDHE-ECDSA-AES256-GCM-SHA384",
                                          "ECDHE-ECDSA-CHACHA20-POLY1305"};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        const struct dtls_peer_conf conf = {.profiles = both_profiles, .ciphers = ciphers[i]};

        open_end(&f, &end, &conf);
        run_to_lost_flight(&f, &end);
        assert_int_equal(repeat_flight(&f, &end, 1), 1);
        assert_int_equal(repeat_flight(&f, &end, 3), 1);
        end.drop_first = 0;
        assert_int_equal(repeat_flight(&f, &end, 1), 1);
        run_for(&f, &end, 20);
        assert_same_keys(&end);
        dtls_peer_send(&end.peer, "hello", 5); /* numbers go on */
        run_for(&f, &end, 20);
        close_end(&end);
    }
    finish(&f);
}

/* ---- who has a session may send what he likes in another's name ---- */

/* Gives what the peer wants to send to the connection, as if it came from there. Returns how
 * long it was. */
static size_t deliver_from(struct end *end, const struct path *from)
{
    size_t len = 0;

    for (size_t i = 0; i < end->peer.n_out; i++) {
        const struct dtls_peer_datagram *d = &end->peer.out[i];

        assert_int_equal(dtls_conn_feed(end->conn, from, d->data, d->len), 0);
        len += d->len;
    }
    end->peer.n_out = 0;
    return len;
}

/* Hellos of all lengths, once and repeated, whose answers nobody takes. */
static void no_hello_is_answered_with_more_than_half_as_much_again(void **state)
{
    enum { N = 30, STEP = 50 };
    static struct end ends[N];
    struct dtls_conf conf = base_conf;
    size_t heard[N] = {0};
    struct fixture f;
    (void)state;

    conf.handshake_ms = 1500;
    start(&f, conf);
    for (unsigned i = 0; i < N; i++) {
        const struct dtls_peer_conf peer_conf = {
            .profiles = both_profiles, .mtu = 1200, .hello_pad = i * STEP};

        open_end(&f, &ends[i], &peer_conf);
        ends[i].drop_first = 1000;
    }
    for (uint64_t began = now_ms(); now_ms() < began + 1600;) {
        for (unsigned i = 0; i < N; i++) {
            if (ends[i].n_done == 0 && (i % 2 == 0 || heard[i] == 0)) {
                dtls_peer_step(&ends[i].peer, NULL, 0); /* its timer repeats it */
                heard[i] += deliver_from(&ends[i], &ends[i].path);
            }
            assert_true(2 * ends[i].n_bytes <= 3 * heard[i]);
        }
        (void)usleep(500);
        loop_turn(f.loop);
    }
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(ends[i].err, -ETIMEDOUT);
        assert_true(ends[i].n_sent > 0);
        close_end(&ends[i]);
    }
    finish(&f);
}

/* What goes to an address that is not the peer's. */
static size_t sent_elsewhere;

static void on_send_anywhere(void *user, const struct path *to, const void *data,
                             size_t len)
{
    struct end *end = user;

    if (path_same_tuple(to, &end->path)) {
        on_send(user, to, data, len);
    } else {
        sent_elsewhere += len;
    }
}

/* The peer asks and is told the cookie; with that, or with what only came from itself, it
 * does not get anything sent elsewhere. */
static void what_one_address_has_proven_another_has_not(void **state)
{
    struct dtls_conf conf = base_conf;
    struct fixture f;
    (void)state;

    conf.on_send = on_send_anywhere;
    conf.handshake_ms = 1500;
    start(&f, conf);
    for (int turn = 0; turn < 2; turn++) {
        /* its hello is answered with a cookie, or is long enough not to be */
        const struct dtls_peer_conf peer_conf = {
            .profiles = both_profiles, .hello_pad = turn == 0 ? 0 : 1200};
        struct path other;
        size_t heard = 0;
        struct end end;

        open_end(&f, &end, &peer_conf);
        other = end.path;
        other.remote_port++;
        sent_elsewhere = 0;
        dtls_peer_step(&end.peer, NULL, 0);
        (void)deliver_from(&end, &end.path);
        while (end.n_sent == 0) {
            (void)usleep(500);
            loop_turn(f.loop);
        }
        end.drop_first = 1000;
        while (end.n_done == 0) { /* its next flight, repeated, but for what would end it */
            dtls_peer_step(&end.peer, NULL, 0);
            if (end.peer.n_out > 0) {
                end.peer.n_out = 1;
                heard += deliver_from(&end, &other);
            }
            (void)usleep(500);
            loop_turn(f.loop);
            assert_true(2 * sent_elsewhere <= 3 * heard);
        }
        assert_true(heard > 0);
        close_end(&end);
    }
    finish(&f);
}

/* As client we begin; to whom nobody knows. */
static void our_own_hello_waits_for_what_it_may_cost(void **state)
{
    const struct dtls_peer_conf peer_conf = {.server = true, .profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    struct fixture f;
    struct end end;
    struct dtls_fp fp;
    size_t granted = 0;
    (void)state;

    conf.handshake_ms = 2000;
    start(&f, conf);
    memset(&end, 0, sizeof(end));
    dtls_peer_init(&end.peer, &peer_conf);
    fp = fingerprint_of(&end.peer, "sha-256");
    assert_int_equal(dtls_conn_open(&end.conn, f.dtls, DTLS_CLIENT, &fp, 1, &end), 0);
    end.drop_first = 1000;
    while (end.n_done == 0) { /* a check, each 100 ms, of which 80 bytes are left */
        assert_int_equal(dtls_conn_grant(end.conn, &end.path, 80), 0);
        granted += 80;
        for (uint64_t began = now_ms(); end.n_done == 0 && now_ms() < began + 100;) {
            (void)usleep(500);
            loop_turn(f.loop);
            assert_true(end.n_bytes <= granted);
        }
        if (granted == 160) {
            assert_int_equal(end.n_sent, 1); /* the second had room for it */
        }
    }
    assert_int_equal(end.err, -ETIMEDOUT);
    assert_true(end.n_sent > 1 && end.n_sent <= granted / 120);
    close_end(&end);
    finish(&f);
}

/* Each hello may have lost its answer. */
static void a_peer_that_missed_the_first_flight_gets_it_again(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    end.drop_first = 3;
    run(&f, &end, 5000);
    run_for(&f, &end, 50);
    assert_true(end.n_sent > 3);
    assert_same_keys(&end);
    close_end(&end);
    finish(&f);
}

static void a_silent_peer_times_out(void **state)
{
    const struct dtls_peer_conf peer_conf = {.server = true, .profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    struct fixture f;
    struct end end;
    (void)state;

    conf.handshake_ms = 200;
    start(&f, conf);
    open_end(&f, &end, &peer_conf);
    end.drop_first = 1000;
    run(&f, &end, 5000);
    assert_int_equal(end.err, -ETIMEDOUT);
    assert_true(end.n_sent >= 2 && end.n_sent <= 6);
    close_end(&end);
    finish(&f);
}

/* What an attacker who can write the peer's address may send at any time. */
static void feed_garbage(struct end *end, unsigned seed)
{
    static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
    uint8_t d[300];

    srand(seed);
    (void)dtls_conn_feed(end->conn, &end->path, alert, sizeof(alert));
    for (int i = 0; i < 40; i++) {
        size_t n = (size_t)(rand() % 280) + 14;

        for (size_t k = 0; k < n; k++) {
            d[k] = (uint8_t)rand();
        }
        d[0] = (uint8_t)(20 + rand() % 4);
        d[1] = 0xfe;
        d[2] = 0xfd;
        d[3] = 0;
        d[4] = (uint8_t)(rand() % 2);
        d[11] = (uint8_t)((n - 13) >> 8);
        d[12] = (uint8_t)(n - 13);
        (void)dtls_conn_feed(end->conn, &end->path, d, n);
    }
}

static void garbage_at_any_moment_does_not_end_a_handshake(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, base_conf);
    for (unsigned seed = 0; seed < 40; seed++) {
        const struct dtls_peer_conf conf = {.server = seed % 2 == 1,
                                            .profiles = both_profiles};
        struct end end;

        open_end(&f, &end, &conf);
        for (int i = 0; i < 4000 && !(end.n_done > 0 && end.peer.done); i++) {
            feed_garbage(&end, seed * 4000 + (unsigned)i);
            dtls_peer_step(&end.peer, NULL, 0);
            deliver(&end);
            (void)usleep(1000);
            loop_turn(f.loop);
        }
        feed_garbage(&end, seed);
        run_for(&f, &end, 2);
        assert_same_keys(&end);
        close_end(&end);
    }
    finish(&f);
}

static void a_hello_that_nobody_can_accept_does_not_end_the_session(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    const struct dtls_peer_conf null_conf = {.profiles = both_profiles,
                                             .ciphers = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    for (int i = 0; i < 5; i++) { /* hellos that offer the NULL cipher only */
        struct dtls_peer forged;

        dtls_peer_init(&forged, &null_conf);
        dtls_peer_step(&forged, NULL, 0);
        assert_int_equal(forged.n_out, 1);
        assert_int_equal(dtls_conn_feed(end.conn, &end.path, forged.out[0].data, forged.out[0].len),
                         0);
        dtls_peer_fini(&forged);
    }
    end.drop_first = 5; /* the alerts that answer them go to the forger */
    run_for(&f, &end, 0);
    run(&f, &end, 5000);
    run_for(&f, &end, 50);
    assert_same_keys(&end);
    close_end(&end);
    finish(&f);
}

/* Behind the cookie, too, where the peer numbers its messages as one that was asked. */
static void a_hello_with_a_cookie_that_nobody_can_accept_ends_nothing(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    dtls_peer_step(&end.peer, NULL, 0);
    deliver(&end);
    while (end.peer.n_out == 0) { /* until the peer has the cookie */
        (void)usleep(500);
        loop_turn(f.loop);
    }
    for (int i = 0; i < 3; i++) {
        uint8_t forged[DTLS_PEER_MTU];
        const size_t len = end.peer.out[0].len;
        const size_t suites = 61 + 16; /* their length, behind session and cookie */

        memcpy(forged, end.peer.out[0].data, len);
        assert_int_equal(forged[59], 0);
        assert_int_equal(forged[60], 16);
        forged[10] = (uint8_t)(100 + i); /* a new record */
        memset(forged + suites + 2, 0, (size_t)(forged[suites] << 8 | forged[suites + 1]));
        assert_int_equal(dtls_conn_feed(end.conn, &end.path, forged, len), 0);
    }
    end.drop_first = end.n_sent + 3; /* the alerts that answer them go to the forger */
    run(&f, &end, 5000);
    run_for(&f, &end, 50);
    assert_same_keys(&end);
    close_end(&end);
    finish(&f);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static int gated_post(void *loop, void (*fn)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return loop_post(loop, fn, arg);
}

static void a_full_queue_says_so_and_recovers(void **state)
{
    const struct dtls_peer_conf peer_conf = {.server = true, .profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    struct dtls_counts counts;
    struct fixture f;
    struct end end;
    uint8_t junk[20] = {0};
    int err = 0;
    unsigned taken = 0;
    (void)state;

    conf.queue_len = 4;
    conf.post = gated_post;
    start(&f, conf);
    (void)pthread_mutex_lock(&gate);
    open_end(&f, &end, &peer_conf); /* the thread now waits to hand over its hello */
    for (int i = 0; i < 8 && err == 0; i++) {
        err = dtls_conn_feed(end.conn, &end.path, junk, sizeof(junk));
        taken += err == 0;
    }
    assert_int_equal(err, -EAGAIN);
    assert_true(taken == 4 || taken == 3); /* or what had it say hello waits there, too */
    assert_int_equal(dtls_conn_feed(end.conn, &end.path, junk, 0), -EINVAL);
    (void)pthread_mutex_unlock(&gate);
    run(&f, &end, 5000);
    assert_same_keys(&end);
    dtls_counts(f.dtls, &counts);
    assert_true(counts.refused >= 1);
    close_end(&end);
    finish(&f);
}

static void no_callback_comes_after_close(void **state)
{
    const struct dtls_peer_conf conf = {.server = true, .profiles = both_profiles};
    struct dtls_counts counts;
    struct fixture f;
    (void)state;

    start(&f, base_conf);
    for (int i = 0; i < 50; i++) {
        struct end end;
        unsigned sent;

        open_end(&f, &end, &conf);
        if (i % 2 == 0) {
            (void)usleep((unsigned)i * 20);
            loop_turn(f.loop);
        }
        dtls_conn_close(end.conn);
        sent = end.n_sent;
        for (int k = 0; k < 3; k++) {
            (void)usleep(200);
            loop_turn(f.loop);
        }
        assert_int_equal(end.n_sent, sent);
        assert_int_equal(end.n_done, 0);
        dtls_peer_fini(&end.peer);
    }
    for (int i = 0; i < 2000; i++) {
        dtls_counts(f.dtls, &counts);
        if (counts.open == 0) {
            break;
        }
        (void)usleep(1000);
        loop_turn(f.loop);
    }
    assert_int_equal(counts.open, 0);
    finish(&f);
}

static void many_share_two_threads_and_some_are_open_at_the_end(void **state)
{
    enum { N = 64 };
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct dtls_conf dtls_conf = base_conf;
    struct end *ends = calloc(N, sizeof(*ends));
    struct dtls_counts counts;
    struct fixture f;
    unsigned n_done = 0;
    (void)state;

    assert_non_null(ends);
    dtls_conf.threads = 2;
    start(&f, dtls_conf);
    for (int i = 0; i < N; i++) {
        open_end(&f, &ends[i], &conf);
    }
    for (uint64_t until = now_ms() + 10000; n_done < N && now_ms() < until;) {
        n_done = 0;
        for (int i = 0; i < N; i++) {
            dtls_peer_step(&ends[i].peer, NULL, 0);
            deliver(&ends[i]);
            n_done += ends[i].n_done > 0 && ends[i].peer.done;
        }
        (void)usleep(500);
        loop_turn(f.loop);
    }
    for (int i = 0; i < N; i++) {
        assert_same_keys(&ends[i]);
    }
    dtls_counts(f.dtls, &counts);
    assert_int_equal(counts.done, N);
    for (int i = 0; i < N; i++) {
        if (i % 2 == 0) {
            dtls_conn_close(ends[i].conn);
        }
        dtls_peer_fini(&ends[i].peer);
    }
    finish(&f); /* half of them are still open, some closings still queued */
    free(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_in_two_fragments_completes_in_either_order),
        cmocka_unit_test(a_lost_flight_is_sent_again_without_the_peer),
        cmocka_unit_test(a_peer_that_missed_the_last_flight_gets_it_again),
        cmocka_unit_test(each_last_flight_of_the_peer_is_answered_once),
        cmocka_unit_test(no_hello_is_answered_with_more_than_half_as_much_again),
        cmocka_unit_test(what_one_address_has_proven_another_has_not),
        cmocka_unit_test(our_own_hello_waits_for_what_it_may_cost),
        cmocka_unit_test(a_peer_that_missed_the_first_flight_gets_it_again),
        cmocka_unit_test(a_silent_peer_times_out),
        cmocka_unit_test(garbage_at_any_moment_does_not_end_a_handshake),
        cmocka_unit_test(a_hello_that_nobody_can_accept_does_not_end_the_session),
        cmocka_unit_test(a_hello_with_a_cookie_that_nobody_can_accept_ends_nothing),
        cmocka_unit_test(a_full_queue_says_so_and_recovers),
        cmocka_unit_test(no_callback_comes_after_close),
        cmocka_unit_test(many_share_two_threads_and_some_are_open_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
