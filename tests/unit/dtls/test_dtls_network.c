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
        if (end->n_sent > 0) { /* the first flight has arrived */
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

static void after_the_linger_nothing_is_answered(void **state)
{
    const struct dtls_peer_conf peer_conf = {.profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    struct fixture f;
    struct end end;
    unsigned before;
    (void)state;

    conf.linger_ms = 600;
    start(&f, conf);
    open_end(&f, &end, &peer_conf);
    run_to_lost_flight(&f, &end);
    before = end.n_sent;
    run_for(&f, &end, 400);
    assert_true(end.n_sent > before);
    run_for(&f, &end, 300);
    before = end.n_sent;
    run_for(&f, &end, 900); /* the peer has retransmitted at 750 and 1,550 ms */
    assert_int_equal(end.n_sent, before);
    assert_int_equal(end.n_done, 1);
    close_end(&end);
    finish(&f);
}

/* Who has a session may send a hello in another's name: what the other gets does not grow
 * with time. */
static void a_hello_without_a_sequel_is_answered_once(void **state)
{
    static const unsigned pads[] = {0, 1200}; /* below and above our flight */
    struct dtls_conf conf = base_conf;
    struct fixture f;
    (void)state;

    conf.handshake_ms = 1500;
    start(&f, conf);
    for (unsigned i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
        const struct dtls_peer_conf peer_conf = {
            .profiles = both_profiles, .mtu = 1200, .hello_pad = pads[i]};
        struct end end;
        size_t heard = 0;

        open_end(&f, &end, &peer_conf);
        dtls_peer_step(&end.peer, NULL, 0);
        for (size_t k = 0; k < end.peer.n_out; k++) {
            heard += end.peer.out[k].len;
        }
        deliver(&end);
        end.drop_first = 1000;
        while (end.n_done == 0) {
            (void)usleep(500);
            loop_turn(f.loop);
        }
        assert_int_equal(end.err, -ETIMEDOUT);
        assert_true(end.n_sent > 0);
        assert_true(end.n_bytes <= 1200 || 2 * end.n_bytes <= 3 * heard);
        close_end(&end);
    }
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
    (void)dtls_conn_feed(end->conn, alert, sizeof(alert));
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
        (void)dtls_conn_feed(end->conn, d, n);
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
        assert_int_equal(dtls_conn_feed(end.conn, forged.out[0].data, forged.out[0].len),
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
        err = dtls_conn_feed(end.conn, junk, sizeof(junk));
        taken += err == 0;
    }
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(taken, 4);
    assert_int_equal(dtls_conn_feed(end.conn, junk, 0), -EINVAL);
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
        cmocka_unit_test(after_the_linger_nothing_is_answered),
        cmocka_unit_test(a_hello_without_a_sequel_is_answered_once),
        cmocka_unit_test(a_peer_that_missed_the_first_flight_gets_it_again),
        cmocka_unit_test(a_silent_peer_times_out),
        cmocka_unit_test(garbage_at_any_moment_does_not_end_a_handshake),
        cmocka_unit_test(a_hello_that_nobody_can_accept_does_not_end_the_session),
        cmocka_unit_test(a_full_queue_says_so_and_recovers),
        cmocka_unit_test(no_callback_comes_after_close),
        cmocka_unit_test(many_share_two_threads_and_some_are_open_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
