#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dtls/dtls.h"
#include "support/dtls_peer.h"
#include "sys/loop.h"

static const char both_profiles[] = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM";
static const char cm_only[] = "SRTP_AES128_CM_SHA1_80";

/* One connection under test with the peer that talks to it. */
struct end {
    struct dtls_conn *conn;
    struct dtls_peer peer;
    unsigned n_sent;     /* datagrams that our side has sent */
    unsigned drop_first; /* of these, how many the network loses */
    size_t longest;
    unsigned n_done;
    int err;
    struct dtls_keys keys;
};

struct fixture {
    struct loop *loop;
    struct dtls *dtls;
};

static void on_send(void *user, const void *data, size_t len)
{
    struct end *end = user;

    end->longest = len > end->longest ? len : end->longest;
    if (end->n_sent++ >= end->drop_first) {
        dtls_peer_step(&end->peer, data, len);
    }
}

static void on_done(void *user, int err, const struct dtls_keys *keys)
{
    struct end *end = user;

    end->n_done++;
    end->err = err;
    assert_int_equal(keys == NULL, err != 0);
    if (keys != NULL) {
        end->keys = *keys;
    }
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

static const struct dtls_conf base_conf = {
    .threads = 1, .post = post, .on_send = on_send, .on_done = on_done};

static void start(struct fixture *f, struct dtls_conf conf)
{
    assert_int_equal(loop_create(&f->loop), 0);
    conf.loop = f->loop;
    assert_int_equal(dtls_create(&f->dtls, &conf), 0);
}

static void finish(struct fixture *f)
{
    dtls_destroy(f->dtls);
    loop_destroy(f->loop);
}

static struct dtls_fp fingerprint_of(const struct dtls_peer *peer, const char *hash)
{
    struct dtls_fp fp;
    char text[200];

    dtls_peer_fingerprint(peer, hash, text);
    assert_int_equal(dtls_fp_parse(hash, text, &fp), 0);
    return fp;
}

static void open_end(struct fixture *f, struct end *end, const struct dtls_peer_conf *conf)
{
    struct dtls_fp fp;

    memset(end, 0, sizeof(*end));
    dtls_peer_init(&end->peer, conf);
    fp = fingerprint_of(&end->peer, "sha-256");
    assert_int_equal(dtls_conn_open(&end->conn, f->dtls,
                                    conf->server ? DTLS_CLIENT : DTLS_SERVER, &fp, 1, end),
                     0);
}

static void close_end(struct end *end)
{
    dtls_conn_close(end->conn);
    dtls_peer_fini(&end->peer);
}

/* Gives what the peer wants to send to the connection. */
static void deliver(struct end *end)
{
    for (size_t i = 0; i < end->peer.n_out; i++) {
        (void)dtls_conn_feed(end->conn, end->peer.out[i].data, end->peer.out[i].len);
    }
    end->peer.n_out = 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Runs loop and peer until our side is done, at most 'ms'. */
static void run(struct fixture *f, struct end *end, unsigned ms)
{
    uint64_t until = now_ms() + ms;

    while (end->n_done == 0 && now_ms() < until) {
        dtls_peer_step(&end->peer, NULL, 0);
        deliver(end);
        (void)usleep(500);
        loop_turn(f->loop);
    }
}

static void run_for(struct fixture *f, struct end *end, unsigned ms)
{
    uint64_t until = now_ms() + ms;

    while (now_ms() < until) {
        dtls_peer_step(&end->peer, NULL, 0);
        deliver(end);
        (void)usleep(500);
        loop_turn(f->loop);
    }
}

static void assert_same_keys(const struct end *end)
{
    uint8_t tx_key[16], rx_key[16], tx_salt[14], rx_salt[14];

    assert_int_equal(end->n_done, 1);
    assert_int_equal(end->err, 0);
    assert_true(end->peer.done);
    assert_int_equal(dtls_peer_keys(&end->peer, tx_key, rx_key, tx_salt, rx_salt),
                     end->keys.profile);
    assert_int_equal(end->keys.salt_len,
                     end->keys.profile == DTLS_AEAD_AES_128_GCM ? 12 : 14);
    assert_memory_equal(tx_key, end->keys.rx_key, 16);
    assert_memory_equal(rx_key, end->keys.tx_key, 16);
    assert_memory_equal(tx_salt, end->keys.rx_salt, end->keys.salt_len);
    assert_memory_equal(rx_salt, end->keys.tx_salt, end->keys.salt_len);
}

static void a_client_gets_the_same_keys_and_gcm_is_preferred(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct fixture f;
    struct end end;
    char seen[200], ours[DTLS_FP_TEXT];
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run(&f, &end, 5000);
    run_for(&f, &end, 20); /* the last flight reaches the peer */
    assert_same_keys(&end);
    assert_int_equal(end.keys.profile, DTLS_AEAD_AES_128_GCM);
    assert_true(end.longest <= 1200);
    dtls_peer_seen_fingerprint(&end.peer, seen);
    dtls_fp_text(dtls_fingerprint(f.dtls), ours);
    assert_string_equal(seen, ours);
    close_end(&end);
    finish(&f);
}

static void a_client_without_gcm_gets_cm(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = cm_only};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run(&f, &end, 5000);
    run_for(&f, &end, 20);
    assert_same_keys(&end);
    assert_int_equal(end.keys.profile, DTLS_AES128_CM_SHA1_80);
    close_end(&end);
    finish(&f);
}

static void we_can_be_the_client(void **state)
{
    const struct dtls_peer_conf conf = {.server = true, .profiles = both_profiles};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run(&f, &end, 5000);
    assert_same_keys(&end);
    close_end(&end);
    finish(&f);
}

static void a_peer_without_srtp_fails_at_once(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = NULL};
    struct fixture f;
    struct end end;
    (void)state;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run(&f, &end, 5000);
    assert_int_equal(end.err, -ENOTSUP);
    close_end(&end);
    finish(&f);
}

static void a_wrong_certificate_gets_no_keys(void **state)
{
    static const enum dtls_role roles[] = {DTLS_SERVER, DTLS_CLIENT};
    struct fixture f;
    (void)state;

    start(&f, base_conf);
    for (size_t i = 0; i < 2; i++) {
        const struct dtls_peer_conf conf = {.server = roles[i] == DTLS_CLIENT,
                                            .profiles = both_profiles};
        struct dtls_counts counts;
        struct dtls_fp fp;
        struct end end = {.n_done = 0};

        dtls_peer_init(&end.peer, &conf);
        fp = fingerprint_of(&end.peer, "sha-256");
        fp.value[31] ^= 1;
        assert_int_equal(dtls_conn_open(&end.conn, f.dtls, roles[i], &fp, 1, &end), 0);
        run(&f, &end, 5000);
        run_for(&f, &end, 20);
        assert_int_equal(end.n_done, 1);
        assert_int_equal(end.err, -EPERM);
        assert_false(end.peer.done);
        dtls_counts(f.dtls, &counts);
        assert_int_equal(counts.wrong_fingerprint, i + 1);
        assert_int_equal(counts.done, 0);
        close_end(&end);
    }
    finish(&f);
}

static void every_hash_that_is_given_must_match(void **state)
{
    static const struct {
        const char *hashes[3];
        int wrong; /* index of the fingerprint that is spoilt, -1 none */
        int err;
    } cases[] = {
        {{"sha-1"}, -1, 0},
        {{"sha-384"}, -1, 0},
        {{"sha-512"}, -1, 0},
        {{"sha-256", "sha-512"}, -1, 0},
        {{"sha-256", "sha-512"}, 1, -EPERM},
        {{"sha-1", "sha-256"}, 1, -EPERM},
        {{"sha-256", "sha-256"}, 0, 0}, /* several certificates, one of them is it */
    };
    const struct dtls_peer_conf conf = {.profiles = both_profiles};
    struct fixture f;
    (void)state;

    start(&f, base_conf);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct end end = {.n_done = 0};
        struct dtls_fp fps[3];
        size_t n = 0;

        dtls_peer_init(&end.peer, &conf);
        while (n < 3 && cases[i].hashes[n] != NULL) {
            fps[n] = fingerprint_of(&end.peer, cases[i].hashes[n]);
            n++;
        }
        if (cases[i].wrong >= 0) {
            fps[cases[i].wrong].value[0] ^= 0x80;
        }
        assert_int_equal(dtls_conn_open(&end.conn, f.dtls, DTLS_SERVER, fps, n, &end), 0);
        run(&f, &end, 5000);
        assert_int_equal(end.n_done, 1);
        assert_int_equal(end.err, cases[i].err);
        close_end(&end);
    }
    finish(&f);
}

static void bad_arguments_are_refused(void **state)
{
    struct dtls_conf conf = base_conf;
    struct dtls_fp fp = {.hash = DTLS_SHA256, .len = 32};
    struct dtls_conn *conn;
    struct dtls *dtls;
    struct fixture f;
    (void)state;

    conf.threads = 0;
    assert_int_equal(dtls_create(&dtls, &conf), -EINVAL);
    conf = base_conf;
    conf.post = NULL;
    assert_int_equal(dtls_create(&dtls, &conf), -EINVAL);
    start(&f, base_conf);
    assert_int_equal(dtls_conn_open(&conn, f.dtls, DTLS_SERVER, &fp, 0, NULL), -EINVAL);
    fp.len = 20;
    assert_int_equal(dtls_conn_open(&conn, f.dtls, DTLS_SERVER, &fp, 1, NULL), -EINVAL);
    fp.len = 32;
    assert_int_equal(dtls_conn_open(&conn, f.dtls, 0, &fp, 1, NULL), -EINVAL);
    finish(&f);
}

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
        cmocka_unit_test(a_client_gets_the_same_keys_and_gcm_is_preferred),
        cmocka_unit_test(a_client_without_gcm_gets_cm),
        cmocka_unit_test(we_can_be_the_client),
        cmocka_unit_test(a_peer_without_srtp_fails_at_once),
        cmocka_unit_test(a_wrong_certificate_gets_no_keys),
        cmocka_unit_test(every_hash_that_is_given_must_match),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_hello_in_two_fragments_completes_in_either_order),
        cmocka_unit_test(a_lost_flight_is_sent_again_without_the_peer),
        cmocka_unit_test(a_peer_that_missed_the_last_flight_gets_it_again),
        cmocka_unit_test(after_the_linger_nothing_is_answered),
        cmocka_unit_test(a_silent_peer_times_out),
        cmocka_unit_test(garbage_at_any_moment_does_not_end_a_handshake),
        cmocka_unit_test(a_hello_that_nobody_can_accept_does_not_end_the_session),
        cmocka_unit_test(a_full_queue_says_so_and_recovers),
        cmocka_unit_test(no_callback_comes_after_close),
        cmocka_unit_test(many_share_two_threads_and_some_are_open_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
