/* Sessions end to end, when all goes well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sfu/base/txids.h"
#include "unit/session/browser.h"

/* ---- the good case ---- */

static void a_browser_connects_and_its_keys_stand_in_the_vault(void **state)
{
    struct vault_peer_conf conf;
    struct stun_msg msg = {.type = 0};
    struct browser *b;
    struct fixture f;
    char seen[200];
    uint64_t peer;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    peer = session_peer(b->session);
    conf = vault_of(&f, peer);
    assert_int_equal(conf.ufrag_len, strlen(b->local.ufrag));
    assert_memory_equal(conf.ufrag, b->local.ufrag, conf.ufrag_len);
    assert_memory_equal(conf.pwd, b->local.pwd, conf.pwd_len);
    assert_int_equal(conf.n_paths, 0);
    assert_int_equal(conf.profile, 0);
    assert_null(session_path(b->session));

    run_to_connected(&f, b);
    assert_int_equal(b->n_stun, 1);
    assert_int_equal(stun_parse(b->last_stun.data, b->last_stun.len, &msg), 0);
    assert_int_equal(msg.type, STUN_BINDING_SUCCESS);
    assert_int_equal(msg.mapped_port, b->path.remote_port);
    assert_true(stun_mac_ok(&msg, test_hmac_sha1, b->local.pwd));
    assert_true(path_same_tuple(session_path(b->session), &b->path));
    conf = vault_of(&f, peer);
    assert_int_equal(conf.profile, ABI_SRTP_AEAD_AES_128_GCM);
    assert_int_equal(conf.n_paths, 1);
    assert_int_equal(conf.selected, 0);
    assert_memory_equal(&conf.paths[0], &b->path, sizeof(b->path));
    assert_keys_in_vault(&f, b);
    dtls_peer_seen_fingerprint(&b->dtls, seen);
    assert_string_equal(seen, b->local.fingerprint);
    assert_int_equal(session_registry_count(f.reg, SESSION_CONNECTED), 1);
    assert_int_equal(metric(&f, "kcs_sessions{state=\"connected\"}"), 1);
    assert_int_equal(metric(&f, "kcs_dtls_handshakes_total{result=\"done\"}"), 1);
    finish(&f);
}

/* Who is sent away learns it from DTLS (RFC 9725, section 4.2), not by and by from ICE. */
static void a_peer_is_told_that_its_session_was_closed(void **state)
{
    struct browser *b;
    struct browser *other;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    run_to_connected(&f, b);
    other = open_browser(&f, 1);
    run_to_connected(&f, other);
    assert_false(b->dtls.parted);
    session_close(b->session);
    b->session = NULL;
    settle(&f, 50);
    assert_true(b->dtls.parted);
    assert_false(other->dtls.parted);
    finish(&f);
}

/* And the other way: who closes its own is not waited for. */
static void a_session_whose_peer_has_closed_it_fails_at_once(void **state)
{
    struct browser *b;
    struct browser *other;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    run_to_connected(&f, b);
    other = open_browser(&f, 1);
    run_to_connected(&f, other);
    dtls_peer_part(&b->dtls);
    shake(&f, b, session_peer(b->session), 1);
    WAIT(&f, b->state == SESSION_FAILED);
    assert_string_equal(b->reason, "peer_closed");
    assert_int_equal(other->state, SESSION_CONNECTED);
    finish(&f);
}

static void candidates_are_the_devices_public_addresses(void **state)
{
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    assert_int_equal(b->local.n_candidates, 2);
    assert_string_equal(b->local.candidates[0].address, "192.0.2.7");
    assert_int_equal(b->local.candidates[0].port, 7100);
    assert_int_equal(b->local.candidates[0].family, 4);
    assert_string_equal(b->local.candidates[1].address, "fd00::1");
    assert_int_equal(b->local.candidates[1].port, 7000);
    assert_int_equal(b->local.candidates[0].priority, 126u << 24 | 1000u << 8 | 255u);
    assert_true(b->local.candidates[0].priority > b->local.candidates[1].priority);
    assert_string_not_equal(b->local.candidates[0].foundation,
                            b->local.candidates[1].foundation);
    finish(&f);
}

static void we_can_be_the_dtls_client(void **state)
{
    const struct dtls_peer_conf server = {.server = true,
                                          .profiles = "SRTP_AES128_CM_SHA1_80"};
    struct session_dtls dtls;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    dtls_peer_fini(&b->dtls);
    dtls_peer_init(&b->dtls, &server);
    dtls = dtls_of(b);
    dtls.role = SESSION_PEER_SERVER;
    assert_int_equal(session_connect(b->session, &dtls), 0);
    settle(&f, 20);
    assert_int_equal(b->n_dtls, 0); /* nobody knows yet where the peer is */
    validate(&f, b);
    settle(&f, 100);
    assert_int_equal(b->n_dtls, 0); /* it may be anybody: our hello is longer than a check */
    validate(&f, b);
    settle(&f, 300);
    assert_int_equal(b->n_dtls, 1); /* once two have room for it */
    validate(&f, b);
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    assert_int_equal(vault_of(&f, session_peer(b->session)).profile,
                     ABI_SRTP_AES128_CM_SHA1_80);
    assert_keys_in_vault(&f, b);
    finish(&f);
}

static void keys_of_every_profile_stand_in_the_vault_whole(void **state)
{
    static const char *const names[] = {"SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM",
                                        "SRTP_AES128_CM_SHA1_80", "SRTP_AES128_CM_SHA1_32"};
    static const uint32_t profiles[] = {
        ABI_SRTP_AEAD_AES_128_GCM, ABI_SRTP_AEAD_AES_256_GCM, ABI_SRTP_AES128_CM_SHA1_80,
        ABI_SRTP_AES128_CM_SHA1_32};
    struct fixture f;
    (void)state;

    start(&f);
    for (int i = 0; i < 4; i++) {
        const struct dtls_peer_conf conf = {.profiles = names[i]};
        struct browser *b = open_browser(&f, i);

        dtls_peer_fini(&b->dtls);
        dtls_peer_init(&b->dtls, &conf);
        run_to_connected(&f, b);
        assert_int_equal(session_profile(b->session), profiles[i]);
        assert_keys_in_vault(&f, b);
    }
    finish(&f);
}

static void dtls_before_connect_is_held_and_then_used(void **state)
{
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    validate(&f, b);
    dtls_peer_step(&b->dtls, NULL, 0); /* the hello comes before transport:connect */
    assert_int_equal(b->dtls.n_out, 1);
    for (int i = 0; i < 6; i++) { /* and again, more often than there is room for */
        size_t n = b->dtls.n_out;

        punt_dtls(&f, b, &b->path, session_peer(b->session));
        b->dtls.n_out = n;
    }
    b->dtls.n_out = 0;
    assert_int_equal(b->n_dtls, 0);
    assert_int_equal(metric(&f, "kcs_dtls_datagrams_total{result=\"held\"}"), 4);
    assert_int_equal(metric(&f, "kcs_dtls_datagrams_total{result=\"held_lost\"}"), 2);
    connect_browser(b);
    WAIT(&f, b->n_dtls > 0); /* the answer to the held hello, nothing was sent again */
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    assert_keys_in_vault(&f, b);
    finish(&f);
}

static void dtls_is_found_by_its_path_when_the_dataplane_knows_no_peer(void **state)
{
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    validate(&f, b);
    connect_browser(b);
    shake(&f, b, HANDLE_NONE, 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    finish(&f);
}

static void nomination_moves_the_selected_path(void **state)
{
    struct vault_peer_conf conf;
    struct path wifi, lte;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    wifi = b->path;
    lte = b->path;
    lte.remote_port = 6000;
    send_check(&f, b, &wifi, (struct check){.nominate = false});
    settle(&f, 5);
    conf = vault_of(&f, session_peer(b->session));
    assert_int_equal(conf.n_paths, 1);
    assert_int_equal(conf.selected, 1); /* none */
    send_check(&f, b, &wifi, (struct check){.nominate = true});
    send_check(&f, b, &lte, (struct check){.nominate = true});
    settle(&f, 5);
    conf = vault_of(&f, session_peer(b->session));
    assert_int_equal(conf.n_paths, 2);
    assert_int_equal(conf.selected, 2); /* without keys nothing is sent to it */
    assert_int_equal(conf.paths[1].remote_port, 6000);
    assert_int_equal(session_path(b->session)->remote_port, 6000);
    connect_browser(b);
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    assert_int_equal(vault_of(&f, session_peer(b->session)).selected, 1);
    finish(&f);
}

/* What the dataplane writes of a peer. */
static struct vault_peer_live *live_of(struct fixture *f, const struct browser *b)
{
    return &fake_dp_vault(f->dp)->peers[handle_index(session_peer(b->session))].live;
}

/* Anybody on the way can send a check again, or be faster than it. */
static void who_is_sent_media_moves_only_with_proof(void **state)
{
    struct abi_datagram first = {.kind = ABI_DATAGRAM_STUN};
    struct path attacker, lte;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    attacker = b->path;
    attacker.remote_ip[15] ^= 64;
    lte = b->path;
    lte.remote_port = 6000;
    run_to_connected(&f, b);
    __atomic_store_n(&live_of(&f, b)->heard_us[0], now_ms() * 1000, __ATOMIC_RELAXED);
    first.path = attacker;
    first.len = write_check(&f, b, (struct check){.nominate = true}, first.data);
    txids_add(live_of(&f, b)->answered, VAULT_ANSWERED, first.data + 8);
    first.time_us = now_ms() * 1000 + 10000000; /* the peer has been silent since */
    punt(&f, &first);
    settle(&f, 5);
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"replayed\"}"), 1);
    assert_int_equal(vault_of(&f, session_peer(b->session)).n_paths, 1);

    /* it has moved itself: when its media comes by the new path */
    __atomic_store_n(&live_of(&f, b)->heard_us[0], now_ms() * 1000, __ATOMIC_RELAXED);
    send_check(&f, b, &lte, (struct check){.nominate = true});
    settle(&f, 150);
    assert_int_equal(vault_of(&f, session_peer(b->session)).n_paths, 2);
    assert_int_equal(vault_of(&f, session_peer(b->session)).selected, 0);
    settle(&f, 100);
    __atomic_store_n(&live_of(&f, b)->heard_us[1], now_ms() * 1000, __ATOMIC_RELAXED);
    WAIT(&f, vault_of(&f, session_peer(b->session)).selected == 1);

    /* what it had nominated by when it is closed does not matter any more */
    send_check(&f, b, &b->path, (struct check){.nominate = true});
    finish(&f);
}

static void who_falls_silent_on_the_old_path_is_followed(void **state)
{
    struct path lte;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    lte = b->path;
    lte.remote_port = 6000;
    run_to_connected(&f, b);
    send_check(&f, b, &lte, (struct check){.nominate = true});
    assert_int_equal(vault_of(&f, session_peer(b->session)).selected, 0);
    WAIT(&f, vault_of(&f, session_peer(b->session)).selected == 1);
    finish(&f);
}

static void send_check_by(struct fixture *f, struct browser *b, const struct path *path,
                          const struct session_local *local, bool nominate)
{
    send_check(
        f, b, path,
        (struct check){.ufrag = local->ufrag, .pwd = local->pwd, .nominate = nominate});
}

static void
an_ice_restart_is_done_when_the_peer_nominates_by_the_new_credentials(void **state)
{
    struct session_local old, new;
    struct vault_peer_conf conf;
    struct path lte;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    run_to_connected(&f, b);
    old = b->local;
    lte = b->path;
    lte.remote_port = 6000;
    assert_int_equal(session_restart_ice(b->session), 0);
    session_local(b->session, &new);
    assert_string_not_equal(new.ufrag, old.ufrag);
    assert_string_not_equal(new.pwd, old.pwd);
    settle(&f, 5);
    conf = vault_of(&f, session_peer(b->session)); /* the dataplane goes on with the old */
    assert_memory_equal(conf.ufrag, old.ufrag, conf.ufrag_len);
    assert_int_equal(conf.next_ufrag_len, strlen(new.ufrag)); /* and knows the new name */
    assert_memory_equal(conf.next_ufrag, new.ufrag, conf.next_ufrag_len);

    b->n_stun = 0;
    send_check_by(&f, b, &b->path, &old, false);
    send_check_by(&f, b, &b->path, &new, false);
    assert_int_equal(b->n_stun, 2);
    send_check_by(&f, b, &lte, &new, true);
    settle(&f, 5);
    conf = vault_of(&f, session_peer(b->session));
    assert_int_equal(conf.ufrag_len, strlen(new.ufrag));
    assert_memory_equal(conf.ufrag, new.ufrag, conf.ufrag_len);
    assert_memory_equal(conf.pwd, new.pwd, conf.pwd_len);
    assert_int_equal(conf.next_ufrag_len, 0);
    assert_int_equal(conf.paths[conf.selected].remote_port, 6000);
    assert_int_equal(conf.profile, ABI_SRTP_AEAD_AES_128_GCM); /* no DTLS */
    assert_int_equal(b->state, SESSION_CONNECTED);

    b->n_stun = 0;
    send_check_by(&f, b, &b->path, &old, true);
    assert_int_equal(b->n_stun, 0);
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"unknown_ufrag\"}"), 1);

    for (int i = 0; i < 3; i++) { /* more of them, and one of them is used */
        assert_int_equal(session_restart_ice(b->session), 0);
    }
    session_local(b->session, &old);
    send_check_by(&f, b, &lte, &old, true);
    settle(&f, 5);
    conf = vault_of(&f, session_peer(b->session));
    assert_memory_equal(conf.ufrag, old.ufrag, conf.ufrag_len);
    send_check_by(&f, b, &lte, &new, true);
    assert_int_equal(metric(&f, "kcs_ice_checks_total{result=\"unknown_ufrag\"}"), 2);
    finish(&f);
}

/* What the dataplane says of nominations on the selected path counts. */
static void two_paths_that_nominate_all_the_time_do_not_flap(void **state)
{
    struct path wifi, lte;
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    wifi = b->path;
    lte = b->path;
    lte.remote_port = 6000;
    send_check(&f, b, &wifi, (struct check){.nominate = true});
    send_check(&f, b, &lte, (struct check){.nominate = true});
    assert_int_equal(session_path(b->session)->remote_port, 6000);
    for (int i = 0; i < 5; i++) {
        __atomic_store_n(&fake_dp_vault(f.dp)
                              ->peers[handle_index(session_peer(b->session))]
                              .live.last_nomination_us,
                         now_ms() * 1000, __ATOMIC_RELAXED);
        send_check(&f, b, &wifi, (struct check){.nominate = true});
        assert_int_equal(session_path(b->session)->remote_port, 6000);
    }
    finish(&f);
}

static void keys_without_a_selected_path_are_not_yet_connected(void **state)
{
    struct browser *b;
    struct fixture f;
    (void)state;

    start(&f);
    b = open_browser(&f, 0);
    send_check(&f, b, &b->path, (struct check){.nominate = false});
    connect_browser(b);
    for (uint64_t until = now_ms() + 5000; !b->dtls.done && now_ms() < until;) {
        shake(&f, b, session_peer(b->session), 5);
    }
    settle(&f, 20);
    assert_true(b->dtls.done);
    assert_int_equal(b->state, SESSION_CONNECTING);
    validate(&f, b);
    WAIT(&f, b->state == SESSION_CONNECTED);
    finish(&f);
}

static void two_browsers_do_not_disturb_each_other(void **state)
{
    struct browser *a, *b;
    struct fixture f;
    (void)state;

    start(&f);
    a = open_browser(&f, 0);
    b = open_browser(&f, 1);
    assert_string_not_equal(a->local.ufrag, b->local.ufrag);
    run_to_connected(&f, a);
    run_to_connected(&f, b);
    assert_keys_in_vault(&f, a);
    assert_keys_in_vault(&f, b);
    session_close(a->session);
    a->session = NULL;
    WAIT(&f, fake_dp_n_open(f.dp, 'p') == 1);
    assert_int_equal(session_state(b->session), SESSION_CONNECTED);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_browser_connects_and_its_keys_stand_in_the_vault),
        cmocka_unit_test(a_peer_is_told_that_its_session_was_closed),
        cmocka_unit_test(a_session_whose_peer_has_closed_it_fails_at_once),
        cmocka_unit_test(candidates_are_the_devices_public_addresses),
        cmocka_unit_test(we_can_be_the_dtls_client),
        cmocka_unit_test(keys_of_every_profile_stand_in_the_vault_whole),
        cmocka_unit_test(dtls_before_connect_is_held_and_then_used),
        cmocka_unit_test(dtls_is_found_by_its_path_when_the_dataplane_knows_no_peer),
        cmocka_unit_test(nomination_moves_the_selected_path),
        cmocka_unit_test(
            an_ice_restart_is_done_when_the_peer_nominates_by_the_new_credentials),
        cmocka_unit_test(two_paths_that_nominate_all_the_time_do_not_flap),
        cmocka_unit_test(who_is_sent_media_moves_only_with_proof),
        cmocka_unit_test(who_falls_silent_on_the_old_path_is_followed),
        cmocka_unit_test(keys_without_a_selected_path_are_not_yet_connected),
        cmocka_unit_test(two_browsers_do_not_disturb_each_other),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
