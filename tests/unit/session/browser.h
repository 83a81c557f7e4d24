/* A browser made of STUN messages and an OpenSSL client, which talks through a fake
 * dataplane's rings to the real session, media and DTLS modules. Include cmocka.h before.
 */
#ifndef UNIT_SESSION_BROWSER_H
#define UNIT_SESSION_BROWSER_H

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

enum { MAX_BROWSERS = 4 };

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

static inline uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Takes what control has sent to the browser whose address it bears. */
static inline void take_sent(struct fixture *f)
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

static inline void settle(struct fixture *f, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        loop_turn(f->loop);
        take_sent(f);
        (void)usleep(500);
    }
}

static inline void on_media(void *user, bool attached)
{
    struct fixture *f = user;

    f->n_attached += attached;
    f->n_detached += !attached;
}

static inline void on_ready(void *user, int status)
{
    struct browser *b = user;

    b->n_ready++;
    b->ready_status = status;
}

static inline void on_state(void *user, enum session_state state, const char *reason)
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

static inline void start(struct fixture *f)
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
    media_conf =
        (struct media_conf){.loop = f->loop, .socket = f->socket, .patience_ms = 50};
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

static inline void finish(struct fixture *f)
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
static inline struct browser *open_browser(struct fixture *f, int i)
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
static inline uint16_t write_check(struct fixture *f, struct browser *b, struct check check,
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

static inline void punt(struct fixture *f, const struct abi_datagram *d)
{
    assert_true(fake_dp_punt(f->dp, d));
    settle(f, 2);
}

static inline void send_check(struct fixture *f, struct browser *b, const struct path *path,
                              struct check check)
{
    struct abi_datagram d = {.time_us = now_ms() * 1000, .kind = ABI_DATAGRAM_STUN};

    d.path = *path;
    d.len = write_check(f, b, check, d.data);
    punt(f, &d);
}

static inline void validate(struct fixture *f, struct browser *b)
{
    send_check(f, b, &b->path, (struct check){.nominate = true});
}

static inline struct session_dtls dtls_of(const struct browser *b)
{
    struct session_dtls dtls = {.n_fps = 0};
    char text[200];

    dtls_peer_fingerprint(&b->dtls, "sha-256", text);
    assert_int_equal(session_dtls_add(&dtls, "sha-256", text), 0);
    return dtls;
}

static inline void connect_browser(struct browser *b)
{
    struct session_dtls dtls = dtls_of(b);

    assert_int_equal(session_connect(b->session, &dtls), 0);
}

/* Punts what the browser's DTLS wants to send. 'peer' as the dataplane would say it. */
static inline void punt_dtls(struct fixture *f, struct browser *b, const struct path *path,
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
static inline void shake(struct fixture *f, struct browser *b, uint64_t peer, unsigned ms)
{
    unsigned n_state = b->n_state;

    for (uint64_t until = now_ms() + ms; now_ms() < until && b->n_state == n_state;) {
        dtls_peer_step(&b->dtls, NULL, 0);
        punt_dtls(f, b, &b->path, peer);
    }
}

static inline struct vault_peer_conf vault_of(struct fixture *f, uint64_t peer)
{
    struct vault_peer_conf conf;

    assert_int_equal(
        vault_peer_read(&fake_dp_vault(f->dp)->peers[handle_index(peer)], &conf), 0);
    return conf;
}

static inline unsigned metric(struct fixture *f, const char *series)
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

static inline void run_to_connected(struct fixture *f, struct browser *b)
{
    validate(f, b);
    assert_int_equal(b->state, SESSION_CONNECTING);
    connect_browser(b);
    shake(f, b, session_peer(b->session), 5000);
    assert_int_equal(b->state, SESSION_CONNECTED);
    settle(f, 10);
}

static inline void assert_keys_in_vault(struct fixture *f, struct browser *b)
{
    struct vault_peer_conf conf = vault_of(f, session_peer(b->session));
    struct dtls_peer_keys keys;

    assert_true(b->dtls.done);
    assert_int_equal(dtls_peer_keys(&b->dtls, &keys), conf.profile);
    assert_memory_equal(conf.rx_key, keys.tx_key, keys.key_len);
    assert_memory_equal(conf.tx_key, keys.rx_key, keys.key_len);
    assert_memory_equal(conf.rx_salt, keys.tx_salt, keys.salt_len);
    assert_memory_equal(conf.tx_salt, keys.rx_salt, keys.salt_len);
}

#endif
