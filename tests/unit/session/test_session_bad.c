/* Sessions end to end, when something is wrong, forged or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/session/browser.h"

/* ---- the bad ones ---- */

static void a_wrong_fingerprint_gets_no_keys_and_fails(void **state)
{
    struct session_dtls dtls;
    struct vault_peer_conf conf;
    struct browser *b;
    struct fixture f;
    const uint8_t none[16] = {0};
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    validate(&f, b);
    dtls = dtls_of(b);
    dtls.fps[0].value[5] ^= 1;
    assert_int_equal(session_connect(b->session, &dtls), 0);
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_FAILED);
    assert_string_equal(b->reason, "dtls_wrong_fingerprint");
    conf = vault_of(&f, session_peer(b->session));
    assert_int_equal(conf.profile, 0);
    assert_memory_equal(conf.rx_key, none, 16);
    assert_memory_equal(conf.tx_key, none, 16);
    assert_int_equal(session_connect(b->session, &dtls), -ENOTCONN);
    assert_int_equal(metric(&f, "kcs_dtls_handshakes_total{result=\"wrong_fingerprint\"}"),
                     1);
    finish(&f);
}

static void a_peer_without_srtp_fails(void **state)
{
    const struct dtls_peer_conf conf = {.profiles = NULL};
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    dtls_peer_fini(&b->dtls);
    dtls_peer_init(&b->dtls, &conf);
    validate(&f, b);
    connect_browser(b);
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_FAILED);
    assert_string_equal(b->reason, "dtls_no_srtp_profile");
    finish(&f);
}

static void stun_that_is_not_ours_or_not_authentic_changes_nothing(void **state)
{
    struct abi_datagram d = {.kind = ABI_DATAGRAM_STUN};
    struct vault_peer_conf conf;
    struct browser *b;
    struct fixture f;
    size_t n_cmds;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    n_cmds = fake_dp_n_cmds(f.dp);
    send_check(&f, b, &b->path, (struct check){.ufrag = "nobody88", .nominate = true});
    assert_int_equal(b->n_stun, 0);
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"unknown_ufrag\"}"), 1);

    send_check(&f, b, &b->path,
               (struct check){.pwd = "wrongwrongwrongwrongwrong", .nominate = true});
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"unauthenticated\"}"), 1);

    d.path = b->path;
    d.len = write_check(&f, b, (struct check){.nominate = true}, d.data);
    assert_true(b->n_stun == 0 || b->last_stun.len <= d.len); /* no amplification */
    d.data[d.len - 1] ^= 1;                                   /* the fingerprint */
    punt(&f, &d);
    d.len = 7;
    punt(&f, &d);
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"malformed\"}"), 2);

    settle(&f, 10);
    conf = vault_of(&f, session_peer(b->session));
    assert_int_equal(conf.n_paths, 0);
    assert_int_equal(fake_dp_n_cmds(f.dp), n_cmds);
    assert_int_equal(session_state(b->session), SESSION_NEW);
    run_to_connected(&f, b); /* and the true one still comes through */
    finish(&f);
}

static void dtls_from_a_path_that_is_not_validated_is_never_answered(void **state)
{
    struct path elsewhere;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    connect_browser(b);
    dtls_peer_step(&b->dtls, NULL, 0);
    punt_dtls(&f, b, &b->path, HANDLE_NONE); /* before any check */
    assert_int_equal(metric(&f, "kcs_dtls_datagrams_total{result=\"no_session\"}"), 1);
    validate(&f, b);
    elsewhere = b->path;
    elsewhere.remote_port++;
    for (int i = 0; i < 3; i++) {
        (void)usleep(60000u << i); /* the hello again, from another port */
        dtls_peer_step(&b->dtls, NULL, 0);
        assert_true(b->dtls.n_out > 0);
        punt_dtls(&f, b, &elsewhere, i == 0 ? HANDLE_NONE : session_peer(b->session));
    }
    settle(&f, 30);
    assert_int_equal(b->n_dtls, 0);
    assert_int_equal(metric(&f, "kcs_dtls_datagrams_total{result=\"no_session\"}"), 2);
    assert_int_equal(metric(&f, "kcs_dtls_datagrams_total{result=\"not_validated\"}"), 2);
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    finish(&f);
}

static void garbage_on_the_validated_path_does_not_end_the_handshake(void **state)
{
    struct browser *b;
    struct fixture f;
    unsigned seed = 7;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    validate(&f, b);
    connect_browser(b);
    for (uint64_t until = now_ms() + 5000;
         b->state != SESSION_CONNECTED && now_ms() < until;) {
        for (int i = 0; i < 10; i++) {
            struct abi_datagram d = {.kind = ABI_DATAGRAM_DTLS,
                                     .peer = session_peer(b->session)};

            d.path = b->path;
            d.len = (uint16_t)(13 + rand_r(&seed) % 300);
            for (uint16_t k = 0; k < d.len; k++) {
                d.data[k] = (uint8_t)rand_r(&seed);
            }
            d.data[0] = (uint8_t)(20 + rand_r(&seed) % 4);
            assert_true(fake_dp_punt(f.dp, &d));
        }
        shake(&f, b, session_peer(b->session), 3);
    }
    assert_int_equal(b->state, SESSION_CONNECTED);
    settle(&f, 10);
    assert_keys_in_vault(&f, b);
    finish(&f);
}

static void a_path_stays_with_the_session_that_validated_it(void **state)
{
    struct browser *a, *b;
    struct fixture f;
    (void)state;

    start(&f);
    a = open_browser(&f, 0);
    b = open_browser(&f, 1);
    validate(&f, a);
    /* b's owner knows its own password and forges a's address */
    send_check(&f, b, &a->path, (struct check){.nominate = true});
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"path_taken\"}"), 1);
    assert_int_equal(vault_of(&f, session_peer(b->session)).n_paths, 0);
    assert_int_equal(a->n_stun, 1);
    session_close(a->session); /* once a has gone the address is free */
    a->session = NULL;
    send_check(&f, b, &a->path, (struct check){.nominate = true});
    WAIT(&f, vault_of(&f, session_peer(b->session)).n_paths == 1);
    finish(&f);
}

static void consent_that_is_lost_fails_the_session(void **state)
{
    struct browser *b;
    struct fixture f;
    struct abi_evt evt = {.kind = ABI_EVT_CONSENT_LOST};
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    run_to_connected(&f, b);
    evt.handle = session_peer(b->session);
    fake_dp_event(f.dp, &evt);
    WAIT(&f, b->state == SESSION_FAILED);
    assert_string_equal(b->reason, "consent_lost");
    assert_int_equal(session_registry_count(f.reg, SESSION_FAILED), 1);
    finish(&f);
}

static void connect_refuses_nonsense(void **state)
{
    static const char sha1[] =
        "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:02:03:04";
    struct session_dtls none = {.n_fps = 0}, many = {.n_fps = 0}, good;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    assert_int_equal(session_connect(b->session, &none), -EINVAL);
    assert_int_equal(session_dtls_add(&none, "md5", sha1), -ENOTSUP);
    assert_int_equal(session_dtls_add(&none, "sha-256", sha1), -EBADMSG);
    assert_int_equal(none.n_fps, 0);
    for (int i = 0; i < DTLS_MAX_FPS; i++) {
        assert_int_equal(session_dtls_add(&many, "sha-1", sha1), 0);
    }
    assert_int_equal(session_dtls_add(&many, "sha-1", sha1), -ENOSPC);
    good = dtls_of(b);
    assert_int_equal(session_connect(b->session, &good), 0);
    assert_int_equal(session_connect(b->session, &good), -EALREADY);
    finish(&f);
}

/* ---- the dataplane, and the end ---- */

static void a_dataplane_that_refuses_says_so_once(void **state)
{
    struct browser *b;
    struct session *extra;
    struct fixture f;
    (void)state;

    start(&f);
    b = &f.browsers[0];
    fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, -ENOMEM);
    assert_int_equal(session_create(&b->session, f.reg, &ops, b), 0);
    WAIT(&f, b->n_ready == 1);
    assert_int_equal(b->ready_status, -ENOMEM);
    session_close(b->session);
    b->session = NULL;
    fake_dp_fail(f.dp, ABI_OP_PEER_OPEN, 0);

    fake_dp_fail(f.dp, ABI_OP_PEER_UPDATE, -ENOSPC);
    b = open_browser(&f, 1);
    validate(&f, b);
    WAIT(&f, b->state == SESSION_FAILED);
    assert_string_equal(b->reason, "media_refused");
    fake_dp_fail(f.dp, ABI_OP_PEER_UPDATE, 0);

    fake_dp_kill(f.dp);
    f.dp = fake_dp_start(&(struct fake_dp_conf){.socket = f.socket, .n_peers = 1});
    WAIT(&f, f.n_attached == 2);
    (void)open_browser(&f, 2);
    assert_int_equal(session_create(&extra, f.reg, &ops, b), -ENOSPC);
    assert_int_equal(session_registry_count(f.reg, SESSION_NEW), 1);
    finish(&f);
}

static void when_the_dataplane_dies_all_sessions_have_failed(void **state)
{
    struct session *more;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    run_to_connected(&f, b);
    (void)open_browser(&f, 1);
    fake_dp_kill(f.dp);
    f.dp = fake_dp_start(&(struct fake_dp_conf){.socket = f.socket});
    WAIT(&f, f.n_detached == 1);
    assert_int_equal(session_state(b->session), SESSION_FAILED);
    assert_int_equal(session_registry_count(f.reg, SESSION_FAILED), 2);
    if (f.n_attached == 1) {
        assert_int_equal(session_create(&more, f.reg, &ops, b), -ENOTCONN);
    }
    WAIT(&f, f.n_attached == 2);
    b = open_browser(&f, 2);
    run_to_connected(&f, b);
    finish(&f);
}

static void a_session_may_be_closed_from_its_own_news_and_at_any_time(void **state)
{
    struct fixture f;
    (void)state;

    start(&f);
    for (int step = 0; step < 6; step++) {
        struct browser *b = &f.browsers[0];

        *b = (struct browser){.path = b->path};
        if (step == 0) { /* while the dataplane has not answered */
            assert_int_equal(session_create(&b->session, f.reg, &ops, b), 0);
            session_close(b->session);
            b->session = NULL;
            settle(&f, 10);
            assert_int_equal(b->n_ready, 0);
            continue;
        }
        b = open_browser(&f, 0);
        b->close_when_told = step == 1;
        validate(&f, b); /* tells CONNECTING */
        if (step >= 2) {
            b->close_when_told = step == 2 || step == 3;
            struct session_dtls dtls = dtls_of(b);

            dtls.fps[0].value[0] ^= step == 3; /* tells FAILED instead of CONNECTED */
            assert_int_equal(session_connect(b->session, &dtls), 0);
            shake(&f, b, session_peer(b->session), step == 4 ? 2 : 5000);
        }
        assert_int_equal(b->session == NULL, step <= 3);
        session_close(b->session);
        b->session = NULL;
        dtls_peer_fini(&b->dtls);
        WAIT(&f, fake_dp_n_open(f.dp, 'p') == 0);
    }
    for (enum session_state s = 0; s < N_SESSION_STATES; s++) {
        assert_int_equal(session_registry_count(f.reg, s), 0);
    }
    finish(&f);
}

static void what_a_session_took_comes_back(void **state)
{
    struct fixture f;
    (void)state;

    start(&f);
    for (int i = 0; i < 30; i++) { /* the fake has eight peers */
        struct browser *b = open_browser(&f, 0);

        run_to_connected(&f, b);
        session_close(b->session);
        dtls_peer_fini(&b->dtls);
        *b = (struct browser){.path = b->path};
    }
    WAIT(&f, fake_dp_n_open(f.dp, 'p') == 0);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_fingerprint_gets_no_keys_and_fails),
        cmocka_unit_test(a_peer_without_srtp_fails),
        cmocka_unit_test(stun_that_is_not_ours_or_not_authentic_changes_nothing),
        cmocka_unit_test(dtls_from_a_path_that_is_not_validated_is_never_answered),
        cmocka_unit_test(garbage_on_the_validated_path_does_not_end_the_handshake),
        cmocka_unit_test(a_path_stays_with_the_session_that_validated_it),
        cmocka_unit_test(consent_that_is_lost_fails_the_session),
        cmocka_unit_test(connect_refuses_nonsense),
        cmocka_unit_test(a_dataplane_that_refuses_says_so_once),
        cmocka_unit_test(when_the_dataplane_dies_all_sessions_have_failed),
        cmocka_unit_test(a_session_may_be_closed_from_its_own_news_and_at_any_time),
        cmocka_unit_test(what_a_session_took_comes_back),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
