/* Who gets keys, and which. */
#include <setjmp.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/dtls/ends.h"

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

/* Ends with the profile that we prefer of those the peer has, whoever is the server, and
 * with keys as long as it needs. */
static void expect_profile(bool server, const char *profiles, enum dtls_profile expected)
{
    const struct dtls_peer_conf conf = {.server = server, .profiles = profiles};
    struct fixture f;
    struct end end;

    start(&f, base_conf);
    open_end(&f, &end, &conf);
    run(&f, &end, 5000);
    run_for(&f, &end, 20);
    assert_same_keys(&end);
    assert_int_equal(end.keys.profile, expected);
    close_end(&end);
    finish(&f);
}

static void profiles_are_preferred_in_our_order(void **state)
{
    static const char all[] = "SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80:"
                              "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";
    static const char no_gcm128[] =
        "SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM";
    static const char no_gcm[] = "SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80";
    (void)state;

    expect_profile(false, all, DTLS_AEAD_AES_128_GCM);
    expect_profile(false, no_gcm128, DTLS_AEAD_AES_256_GCM);
    expect_profile(false, no_gcm, DTLS_AES128_CM_SHA1_80);
    expect_profile(false, "SRTP_AES128_CM_SHA1_32", DTLS_AES128_CM_SHA1_32);
}

static void a_server_that_has_one_profile_gets_it(void **state)
{
    (void)state;
    expect_profile(true, "SRTP_AEAD_AES_128_GCM", DTLS_AEAD_AES_128_GCM);
    expect_profile(true, "SRTP_AEAD_AES_256_GCM", DTLS_AEAD_AES_256_GCM);
    expect_profile(true, "SRTP_AES128_CM_SHA1_80", DTLS_AES128_CM_SHA1_80);
    expect_profile(true, "SRTP_AES128_CM_SHA1_32", DTLS_AES128_CM_SHA1_32);
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
        assert_int_equal(dtls_conn_grant(end.conn, &end.path, 1000), 0);
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

/* What data channels need: it stays, however long after the handshake. */
static void a_kept_connection_carries_data_both_ways(void **state)
{
    const struct dtls_peer_conf confs[] = {{.profiles = both_profiles},
                                           {.profiles = both_profiles, .server = true}};
    struct dtls_conf conf = base_conf;
    uint8_t most[DTLS_MAX_DATA + 1];
    struct fixture f;
    (void)state;

    memset(most, 7, sizeof(most));
    start(&f, conf);
    for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
        static struct end end;

        open_end(&f, &end, &confs[i]);
        assert_int_equal(dtls_conn_send(end.conn, "early", 5), 0); /* lost */
        dtls_conn_keep(end.conn);
        run(&f, &end, 5000);
        assert_same_keys(&end);
        run_for(&f, &end, 100);
        assert_int_equal(end.peer.n_data, 0);
        dtls_peer_send(&end.peer, "hello", 5);
        run_for(&f, &end, 30);
        assert_int_equal(end.n_data, 1);
        assert_int_equal(end.data_len, 5);
        assert_memory_equal(end.data, "hello", 5);
        assert_int_equal(dtls_conn_send(end.conn, "back", 4), 0);
        run_for(&f, &end, 30);
        assert_int_equal(end.peer.n_data, 1);
        assert_memory_equal(end.peer.data, "back", 4);

        assert_int_equal(dtls_conn_send(end.conn, most, DTLS_MAX_DATA), 0);
        run_for(&f, &end, 30);
        assert_int_equal(end.peer.data_len, DTLS_MAX_DATA);
        assert_true(end.longest <= 1200);
        assert_int_equal(dtls_conn_send(end.conn, most, DTLS_MAX_DATA + 1), -EINVAL);
        assert_int_equal(dtls_conn_send(end.conn, most, 0), -EINVAL);
        close_end(&end);
    }
    finish(&f);
}

/* Numbers go on from the handshake's, and what has come before does not come again. */
static void records_after_the_handshake_are_good_and_new(void **state)
{
    static const char *const ciphers[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
                                          "ECDHE-ECDSA-AES256-GCM-SHA384",
                                          "ECDHE-ECDSA-CHACHA20-POLY1305"};
    struct dtls_conf conf = base_conf;
    struct dtls_peer_datagram before, after;
    static struct end end;
    struct fixture f;
    (void)state;

    start(&f, conf);
    for (size_t i = 0; i < 2 * sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        const struct dtls_peer_conf peer = {
            .profiles = both_profiles, .ciphers = ciphers[i / 2], .server = i % 2 == 1};

        open_end(&f, &end, &peer);
        dtls_conn_keep(end.conn);
        run(&f, &end, 5000);
        assert_same_keys(&end);
        dtls_peer_send(&end.peer, "before", 6);
        before = end.peer.out[end.peer.n_out - 1];
        assert_int_equal(dtls_conn_send(end.conn, "one", 3), 0);
        run_for(&f, &end, 10);
        assert_int_equal(end.n_data, 1);
        assert_int_equal(end.peer.n_data, 1);

        (void)dtls_conn_feed(end.conn, &end.path, before.data, before.len);
        run_for(&f, &end, 10);
        assert_int_equal(end.n_data, 1);
        dtls_peer_send(&end.peer, "after", 5);
        after = end.peer.out[end.peer.n_out - 1];
        end.peer.n_out = 0;
        after.data[after.len - 1] ^= 1;
        (void)dtls_conn_feed(end.conn, &end.path, after.data, after.len);
        run_for(&f, &end, 10);
        assert_int_equal(end.n_data, 1);
        after.data[after.len - 1] ^= 1;
        for (int j = 0; j < 3; j++) {
            (void)dtls_conn_feed(end.conn, &end.path, after.data, after.len);
        }
        run_for(&f, &end, 10);
        assert_int_equal(end.n_data, 2);
        assert_memory_equal(end.data, "after", 5);
        assert_int_equal(dtls_conn_send(end.conn, "two", 3), 0);
        run_for(&f, &end, 10);
        assert_int_equal(end.peer.n_data, 2);
        assert_memory_equal(end.peer.data, "two", 3);
        close_end(&end);
    }
    finish(&f);
}

/* Its records could not be carried on: RFC 8827, section 6.5, asks all for one that can. */
static void a_suite_without_aead_is_not_taken(void **state)
{
    struct dtls_conf conf = base_conf;
    static struct end end;
    struct fixture f;
    (void)state;

    conf.handshake_ms = 300;
    start(&f, conf);
    for (int server = 0; server < 2; server++) {
        const struct dtls_peer_conf peer = {.profiles = both_profiles,
                                            .ciphers = "ECDHE-ECDSA-AES128-SHA",
                                            .server = server == 1};

        open_end(&f, &end, &peer);
        run(&f, &end, 5000);
        assert_int_equal(end.n_done, 1);
        assert_int_not_equal(end.err, 0);
        assert_false(end.peer.done);
        close_end(&end);
    }
    finish(&f);
}

static void a_connection_that_is_not_kept_is_forgotten(void **state)
{
    const struct dtls_peer_conf peer = {.profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    static struct end end;
    struct fixture f;
    (void)state;

    start(&f, conf);
    open_end(&f, &end, &peer);
    run(&f, &end, 5000);
    assert_same_keys(&end);
    dtls_peer_send(&end.peer, "hello", 5);
    assert_int_equal(dtls_conn_send(end.conn, "back", 4), 0);
    run_for(&f, &end, 60);
    dtls_peer_send(&end.peer, "hello", 5);
    assert_int_equal(dtls_conn_send(end.conn, "back", 4), 0);
    run_for(&f, &end, 30);
    assert_int_equal(end.n_data, 0);
    assert_int_equal(end.peer.n_data, 0);
    close_end(&end);
    finish(&f);
}

/* RFC 5246, section 7.2.1: in the handshake's wake, after it was forgotten, and of one that
 * is kept and has carried data; nothing of one that was not done, and nothing unasked. */
static void a_peer_is_told_when_its_connection_ends(void **state)
{
    const struct dtls_peer_conf peer = {.profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    static struct end end;
    struct fixture f;
    (void)state;

    start(&f, conf);
    for (int i = 0; i < 5; i++) {
        bool done = i != 3;

        open_end(&f, &end, &peer);
        if (i == 2) {
            dtls_conn_keep(end.conn);
        }
        if (done) {
            run(&f, &end, 5000);
            assert_same_keys(&end);
            run_for(&f, &end, i == 0 ? 1 : 60);
        }
        for (int j = 0; i == 2 && j < 100; j++) { /* far beyond a replay window */
            assert_int_equal(dtls_conn_send(end.conn, "data", 4), 0);
        }
        if (done) {
            run_for(&f, &end, 10);
        }
        assert_false(end.peer.parted);
        if (i == 4) {
            dtls_conn_close(end.conn);
        } else {
            dtls_conn_part(end.conn, &end.path);
        }
        end.conn = NULL;
        run_for(&f, &end, 30);
        assert_int_equal(end.n_farewells, i < 3);
        assert_int_equal(end.peer.parted, i < 3);
        dtls_peer_fini(&end.peer);
    }
    finish(&f);
}

/* Runs a handshake; then what was kept of it has been given back, unless 'kept'. */
static void shake(struct fixture *f, struct end *end, const struct dtls_peer_conf *peer,
                  bool kept)
{
    open_end(f, end, peer);
    if (kept) {
        dtls_conn_keep(end->conn);
    }
    run(f, end, 5000);
    run_for(f, end, 60);
    assert_same_keys(end);
    assert_int_equal(end->n_parted, 0);
}

/* Whatever is kept of the handshake, of any cipher and in either role. */
static void a_peer_that_ends_its_connection_is_heard(void **state)
{
    static const struct {
        const char *ciphers;
        bool server, kept;
    } cases[] = {{"ECDHE-ECDSA-AES128-GCM-SHA256", false, false},
                 {"ECDHE-ECDSA-AES128-GCM-SHA256", true, false},
                 {"ECDHE-ECDSA-AES256-GCM-SHA384", false, false},
                 {"ECDHE-ECDSA-AES256-GCM-SHA384", true, false},
                 {"ECDHE-ECDSA-CHACHA20-POLY1305", false, false},
                 {"ECDHE-ECDSA-CHACHA20-POLY1305", true, false},
                 {NULL, false, true}};
    struct dtls_conf conf = base_conf;
    struct dtls_peer_datagram last;
    static struct end end;
    struct fixture f;
    (void)state;

    start(&f, conf);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dtls_peer_conf peer = {.server = cases[i].server,
                                            .profiles = both_profiles,
                                            .ciphers = cases[i].ciphers};

        shake(&f, &end, &peer, cases[i].kept);
        dtls_peer_send(&end.peer, "hello", 5); /* before it: its number is not the first */
        dtls_peer_part(&end.peer);
        last = end.peer.out[end.peer.n_out - 1];
        deliver(&end);
        for (int waited = 0; end.n_parted == 0 && waited < 5000; waited++) {
            run_for(&f, &end, 1);
        }
        (void)dtls_conn_feed(end.conn, &end.path, last.data, last.len); /* said twice, heard once */
        run_for(&f, &end, 5);
        assert_int_equal(end.n_parted, 1);
        close_end(&end);
    }
    finish(&f);
}

/* Who merely knows the path can say nothing in the peer's name. */
static void an_end_that_is_forged_is_not_believed(void **state)
{
    static const uint8_t plain[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0};
    const struct dtls_peer_conf peer = {.profiles = both_profiles};
    struct dtls_conf conf = base_conf;
    struct dtls_peer_datagram last, forged;
    static struct end end;
    struct fixture f;
    (void)state;

    start(&f, conf);
    for (int kept = 0; kept < 2; kept++) {
        shake(&f, &end, &peer, kept == 1);
        dtls_peer_part(&end.peer);
        assert_int_equal(end.peer.n_out, 1);
        last = end.peer.out[0];
        end.peer.n_out = 0;
        assert_int_equal(dtls_conn_feed(end.conn, &end.path, plain, sizeof(plain)), 0);
        for (size_t i = 0; i < last.len; i++) {
            forged = last;
            forged.data[i] ^= 1;
            assert_int_equal(dtls_conn_feed(end.conn, &end.path, forged.data, forged.len), 0);
            assert_int_equal(
                dtls_conn_feed(end.conn, &end.path, last.data, i + 1 < last.len ? i + 1 : 1), 0);
        }
        run_for(&f, &end, 30);
        assert_int_equal(end.n_parted, 0);
        assert_int_equal(dtls_conn_feed(end.conn, &end.path, last.data, last.len), 0);
        run_for(&f, &end, 30);
        assert_int_equal(end.n_parted, 1);
        close_end(&end);
    }
    finish(&f);
}

/* ---- what OpenSSL has allocated ---- */

static _Atomic size_t openssl_bytes;

static void *openssl_alloc(size_t n, const char *file, int line)
{
    void *p = malloc(n);

    (void)file;
    (void)line;
    openssl_bytes += malloc_usable_size(p);
    return p;
}

static void *openssl_realloc(void *old, size_t n, const char *file, int line)
{
    const size_t before = malloc_usable_size(old);
    void *p = realloc(old, n);

    (void)file;
    (void)line;
    openssl_bytes += malloc_usable_size(p) - before;
    return p;
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    openssl_bytes -= malloc_usable_size(p);
    free(p);
}

/* So that what OpenSSL makes once is made. */
static void shake_once(struct fixture *f, struct end *end, const struct dtls_peer_conf *peer)
{
    open_end(f, end, peer);
    run(f, end, 5000);
    close_end(end);
    (void)usleep(5000);
}

/* A part of a hello alone is kept as it is, and freed if nothing more comes. */
static void a_part_of_a_hello_has_no_memory_of_openssl(void **state)
{
    enum { SMALL = 1024 };
    const struct dtls_peer_conf peer = {
        .profiles = both_profiles, .mtu = 1200, .hello_pad = 1200};
    struct fixture f;
    struct end ends[2];
    size_t before;
    (void)state;

    start(&f, base_conf);
    shake_once(&f, &ends[0], &peer);
    for (int i = 0; i < 2; i++) {
        open_end(&f, &ends[i], &peer);
        dtls_peer_step(&ends[i].peer, NULL, 0);
        assert_int_equal(ends[i].peer.n_out, 2);
        before = openssl_bytes;
        (void)dtls_conn_feed(ends[i].conn, &ends[i].path, ends[i].peer.out[0].data,
                             ends[i].peer.out[0].len);
        (void)usleep(5000);
        assert_true(openssl_bytes < before + SMALL);
    }
    close_end(&ends[0]);
    run(&f, &ends[1], 5000); /* it comes again, and then the rest of it */
    assert_same_keys(&ends[1]);
    close_end(&ends[1]);
    finish(&f);
}

/* Neither who never comes nor who has come: only who is at it. */
static void only_a_handshake_under_way_has_memory_of_openssl(void **state)
{
    enum { N = 20, SMALL = 1024 };
    const struct dtls_peer_conf peer = {.profiles = both_profiles};
    static struct end ends[N];
    struct fixture f;
    size_t before;
    (void)state;

    start(&f, base_conf);
    shake_once(&f, &ends[0], &peer);
    before = openssl_bytes;
    for (int i = 0; i < N; i++) {
        const size_t begun = openssl_bytes;
        size_t of_peer;

        dtls_peer_init(&ends[i].peer, &peer);
        of_peer = openssl_bytes - begun;
        dtls_peer_fini(&ends[i].peer);
        open_end(&f, &ends[i], &peer);
        dtls_conn_keep(ends[i].conn);
        (void)usleep(5000); /* the worker has opened it */
        assert_true(openssl_bytes < begun + of_peer + SMALL);
    }
    for (int i = 0; i < N; i++) {
        run(&f, &ends[i], 5000);
        assert_same_keys(&ends[i]);
        dtls_peer_fini(&ends[i].peer);
    }
    assert_true(openssl_bytes < before + SMALL * (size_t)N);
    for (int i = 0; i < N; i++) {
        dtls_conn_close(ends[i].conn);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_the_same_keys_and_gcm_is_preferred),
        cmocka_unit_test(profiles_are_preferred_in_our_order),
        cmocka_unit_test(a_server_that_has_one_profile_gets_it),
        cmocka_unit_test(we_can_be_the_client),
        cmocka_unit_test(a_peer_without_srtp_fails_at_once),
        cmocka_unit_test(a_wrong_certificate_gets_no_keys),
        cmocka_unit_test(every_hash_that_is_given_must_match),
        cmocka_unit_test(a_kept_connection_carries_data_both_ways),
        cmocka_unit_test(records_after_the_handshake_are_good_and_new),
        cmocka_unit_test(a_suite_without_aead_is_not_taken),
        cmocka_unit_test(a_connection_that_is_not_kept_is_forgotten),
        cmocka_unit_test(a_peer_is_told_when_its_connection_ends),
        cmocka_unit_test(a_peer_that_ends_its_connection_is_heard),
        cmocka_unit_test(an_end_that_is_forged_is_not_believed),
        cmocka_unit_test(a_part_of_a_hello_has_no_memory_of_openssl),
        cmocka_unit_test(only_a_handshake_under_way_has_memory_of_openssl),
        cmocka_unit_test(bad_arguments_are_refused),
    };

    if (CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free) != 1) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
