/* A session end to end: a browser made of STUN messages and an OpenSSL client talks through
 * a fake dataplane's rings to the real session, media and DTLS modules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "media/media.h"
#include "metric/metric.h"
#include "session/session.h"
#include "sfu/base/handle.h"
#include "sfu/wire/stun.h"
#include "support/dtls_peer.h"
#include "support/fake_dataplane.h"
#include "support/hmac_sha1.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { MAX_BROWSERS = 3 };

struct browser {
    struct session *session;
    struct session_local local;
    struct path path;
    struct dtls_peer dtls;
    unsigned n_stun, n_dtls; /* datagrams that reached it */
    struct abi_datagram last_stun;
    unsigned n_ready, n_state;
    int ready_status;
    enum session_state state;
    char reason[40];
    bool close_when_told;
};

struct fixture {
    char dir[32], socket[64];
    struct loop *loop;
    struct metric_registry *metrics;
    struct media *media;
    struct fake_dp *dp;
    struct session_registry *reg;
    unsigned n_attached, n_detached;
    struct browser browsers[MAX_BROWSERS];
    uint32_t n_txids;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Takes what control has sent to the browser whose address it bears. */
static void take_sent(struct fixture *f)
{
    struct abi_datagram d;

    while (fake_dp_take_sent(f->dp, &d)) {
        for (int i = 0; i < MAX_BROWSERS; i++) {
            struct browser *b = &f->browsers[i];

            if (!path_same_tuple(&d.path, &b->path)) {
                continue;
            }
            if (d.kind == ABI_DATAGRAM_STUN) {
                b->n_stun++;
                b->last_stun = d;
            } else {
                b->n_dtls++;
                if (b->dtls.ssl != NULL) {
                    dtls_peer_step(&b->dtls, d.data, d.len);
                }
            }
        }
    }
}

#define WAIT(f, cond)                                                                      \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 5000;                                                 \
        while (!(cond)) {                                                                  \
            assert_true(now_ms() < until_);                                                \
            loop_turn((f)->loop);                                                          \
            take_sent(f);                                                                  \
            (void)usleep(200);                                                             \
        }                                                                                  \
    } while (0)

static void settle(struct fixture *f, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        loop_turn(f->loop);
        take_sent(f);
        (void)usleep(500);
    }
}

static void on_media(void *user, bool attached)
{
    struct fixture *f = user;

    f->n_attached += attached;
    f->n_detached += !attached;
}

static void on_ready(void *user, int status)
{
    struct browser *b = user;

    b->n_ready++;
    b->ready_status = status;
}

static void on_state(void *user, enum session_state state, const char *reason)
{
    struct browser *b = user;

    b->n_state++;
    b->state = state;
    assert_int_equal(reason != NULL, state == SESSION_FAILED);
    (void)snprintf(b->reason, sizeof(b->reason), "%s", reason != NULL ? reason : "");
    if (b->close_when_told) {
        session_close(b->session);
        b->session = NULL;
    }
}

static const struct session_ops ops = {.on_ready = on_ready, .on_state = on_state};

static void start(struct fixture *f)
{
    struct media_conf media_conf;
    struct session_registry_conf conf;
    struct fake_dp_conf dp_conf;

    memset(f, 0, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kcs_session_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof(f->socket), "%s/dp.sock", f->dir);
    for (int i = 0; i < MAX_BROWSERS; i++) {
        struct path *path = &f->browsers[i].path;

        path->family = 4;
        path->local_port = 7000;
        path->remote_port = (uint16_t)(5000 + i);
        path_map_v4(path->local_ip, (const uint8_t[]){127, 0, 0, 1});
        path_map_v4(path->remote_ip, (const uint8_t[]){127, 0, 0, 9});
    }
    dp_conf = (struct fake_dp_conf){.socket = f->socket};
    f->dp = fake_dp_start(&dp_conf);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(metric_registry_create(&f->metrics), 0);
    media_conf = (struct media_conf){.loop = f->loop, .socket = f->socket};
    assert_int_equal(media_create(&f->media, &media_conf), 0);
    conf = (struct session_registry_conf){.loop = f->loop,
                                          .media = f->media,
                                          .metrics = f->metrics,
                                          .dtls_threads = 1,
                                          .on_media = on_media,
                                          .user = f};
    assert_int_equal(session_registry_create(&f->reg, &conf), 0);
    WAIT(f, f->n_attached == 1);
}

static void finish(struct fixture *f)
{
    for (int i = 0; i < MAX_BROWSERS; i++) {
        session_close(f->browsers[i].session);
        if (f->browsers[i].dtls.ssl != NULL) {
            dtls_peer_fini(&f->browsers[i].dtls);
        }
    }
    session_registry_destroy(f->reg);
    media_destroy(f->media);
    metric_registry_destroy(f->metrics);
    fake_dp_kill(f->dp);
    loop_destroy(f->loop);
    (void)rmdir(f->dir);
}

/* Opens the i-th browser's session. */
static struct browser *open_browser(struct fixture *f, int i)
{
    const struct dtls_peer_conf conf = {.profiles =
                                            "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"};
    struct browser *b = &f->browsers[i];

    assert_int_equal(session_create(&b->session, f->reg, &ops, b), 0);
    WAIT(f, b->n_ready == 1);
    assert_int_equal(b->ready_status, 0);
    session_local(b->session, &b->local);
    dtls_peer_init(&b->dtls, &conf);
    return b;
}

struct check {
    const char *ufrag, *pwd; /* NULL: the browser's */
    bool nominate;
};

/* Writes a connectivity check; returns its length. */
static uint16_t write_check(struct fixture *f, struct browser *b, struct check check,
                            uint8_t *out)
{
    uint8_t txid[STUN_TXID_LEN] = {0};
    char username[80], pwd[80];
    struct stun_writer w;
    int len;

    (void)snprintf(username, sizeof(username), "%s:peer",
                   check.ufrag != NULL ? check.ufrag : b->local.ufrag);
    (void)snprintf(pwd, sizeof(pwd), "%s", check.pwd != NULL ? check.pwd : b->local.pwd);
    store_be32(txid, ++f->n_txids);
    stun_write_begin(&w, out, 1500, STUN_BINDING_REQUEST, txid);
    stun_write_attr(&w, STUN_USERNAME, username, (uint16_t)strlen(username));
    stun_write_u32(&w, STUN_PRIORITY, 1000);
    stun_write_u64(&w, STUN_ICE_CONTROLLING, 77);
    if (check.nominate) {
        stun_write_attr(&w, STUN_USE_CANDIDATE, NULL, 0);
    }
    stun_write_integrity(&w, test_hmac_sha1, pwd);
    len = stun_write_finish(&w);
    assert_true(len > 0);
    return (uint16_t)len;
}

static void punt(struct fixture *f, const struct abi_datagram *d)
{
    assert_true(fake_dp_punt(f->dp, d));
    settle(f, 2);
}

static void send_check(struct fixture *f, struct browser *b, const struct path *path,
                       struct check check)
{
    struct abi_datagram d = {.time_us = now_ms() * 1000, .kind = ABI_DATAGRAM_STUN};

    d.path = *path;
    d.len = write_check(f, b, check, d.data);
    punt(f, &d);
}

static void validate(struct fixture *f, struct browser *b)
{
    send_check(f, b, &b->path, (struct check){.nominate = true});
}

static struct session_dtls dtls_of(const struct browser *b)
{
    struct session_dtls dtls = {.n_fps = 0};
    char text[200];

    dtls_peer_fingerprint(&b->dtls, "sha-256", text);
    assert_int_equal(session_dtls_add(&dtls, "sha-256", text), 0);
    return dtls;
}

static void connect_browser(struct browser *b)
{
    struct session_dtls dtls = dtls_of(b);

    assert_int_equal(session_connect(b->session, &dtls), 0);
}

/* Punts what the browser's DTLS wants to send. 'peer' as the dataplane would say it. */
static void punt_dtls(struct fixture *f, struct browser *b, const struct path *path,
                      uint64_t peer)
{
    for (size_t i = 0; i < b->dtls.n_out; i++) {
        struct abi_datagram d = {.peer = peer, .kind = ABI_DATAGRAM_DTLS};

        d.path = *path;
        d.len = (uint16_t)b->dtls.out[i].len;
        memcpy(d.data, b->dtls.out[i].data, b->dtls.out[i].len);
        assert_true(fake_dp_punt(f->dp, &d));
    }
    b->dtls.n_out = 0;
    settle(f, 2);
}

/* Lets the browser shake hands for at most 'ms', or until its session's state changes. */
static void shake(struct fixture *f, struct browser *b, uint64_t peer, unsigned ms)
{
    unsigned n_state = b->n_state;

    for (uint64_t until = now_ms() + ms; now_ms() < until && b->n_state == n_state;) {
        dtls_peer_step(&b->dtls, NULL, 0);
        punt_dtls(f, b, &b->path, peer);
    }
}

static struct vault_peer_conf vault_of(struct fixture *f, uint64_t peer)
{
    struct vault_peer_conf conf;

    assert_int_equal(
        vault_peer_read(&fake_dp_vault(f->dp)->peers[handle_index(peer)], &conf), 0);
    return conf;
}

static unsigned metric(struct fixture *f, const char *series)
{
    char *text, *at;
    unsigned value = 0;
    size_t len;

    assert_int_equal(metric_render(f->metrics, &text, &len), 0);
    at = strstr(text, series);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(series), " %u", &value), 1);
    free(text);
    return value;
}

static void run_to_connected(struct fixture *f, struct browser *b)
{
    validate(f, b);
    assert_int_equal(b->state, SESSION_CONNECTING);
    connect_browser(b);
    shake(f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    settle(f, 10);
}

static void assert_keys_in_vault(struct fixture *f, struct browser *b)
{
    struct vault_peer_conf conf = vault_of(f, session_peer(b->session));
    uint8_t tx_key[16], rx_key[16], tx_salt[14], rx_salt[14];

    assert_true(b->dtls.done);
    assert_int_equal(dtls_peer_keys(&b->dtls, tx_key, rx_key, tx_salt, rx_salt),
                     conf.profile);
    assert_memory_equal(conf.rx_key, tx_key, 16);
    assert_memory_equal(conf.tx_key, rx_key, 16);
    assert_memory_equal(conf.rx_salt, tx_salt, conf.profile == 7 ? 12 : 14);
    assert_memory_equal(conf.tx_salt, rx_salt, conf.profile == 7 ? 12 : 14);
}

/* ---- the good case ---- */

static void a_browser_connects_and_its_keys_stand_in_the_vault(void **state)
{
    struct vault_peer_conf conf;
    struct stun_msg msg;
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
    shake(&f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    assert_int_equal(vault_of(&f, session_peer(b->session)).profile,
                     ABI_SRTP_AES128_CM_SHA1_80);
    assert_keys_in_vault(&f, b);
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
    assert_int_equal(conf.selected, 1);
    assert_int_equal(conf.paths[1].remote_port, 6000);
    assert_int_equal(session_path(b->session)->remote_port, 6000);
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
        cmocka_unit_test(a_browser_connects_and_its_keys_stand_in_the_vault),
        cmocka_unit_test(candidates_are_the_devices_public_addresses),
        cmocka_unit_test(we_can_be_the_dtls_client),
        cmocka_unit_test(dtls_before_connect_is_held_and_then_used),
        cmocka_unit_test(dtls_is_found_by_its_path_when_the_dataplane_knows_no_peer),
        cmocka_unit_test(nomination_moves_the_selected_path),
        cmocka_unit_test(keys_without_a_selected_path_are_not_yet_connected),
        cmocka_unit_test(two_browsers_do_not_disturb_each_other),
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
