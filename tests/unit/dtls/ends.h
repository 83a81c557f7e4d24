/* A connection under test and the OpenSSL peer that talks to it, over a network of which
 * the test is master. Include cmocka.h before. */
#ifndef UNIT_DTLS_ENDS_H
#define UNIT_DTLS_ENDS_H

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

static const char both_profiles[] __attribute__((unused)) =
    "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM";

/* One connection under test with the peer that talks to it. */
struct end {
    struct dtls_conn *conn;
    struct path path; /* where the peer is */
    struct dtls_peer peer;
    unsigned n_sent;     /* datagrams that our side has sent */
    unsigned drop_first; /* of these, how many the network loses */
    size_t n_bytes;      /* in them */
    size_t longest;
    unsigned n_done, n_farewells, n_parted;
    int err;
    struct dtls_keys keys;
    unsigned n_data; /* application data that has come, and the last of it */
    size_t data_len;
    uint8_t data[DTLS_MAX_DATAGRAM];
};

struct fixture {
    struct loop *loop;
    struct dtls *dtls;
};

static inline void on_send(void *user, const struct path *to, const void *data, size_t len)
{
    struct end *end = user;

    assert_true(path_same_tuple(to, &end->path));
    end->longest = len > end->longest ? len : end->longest;
    end->n_bytes += len;
    if (end->n_sent++ >= end->drop_first) {
        dtls_peer_step(&end->peer, data, len);
    }
}

static inline void on_done(void *user, int err, const struct dtls_keys *keys)
{
    struct end *end = user;

    end->n_done++;
    end->err = err;
    assert_int_equal(keys == NULL, err != 0);
    if (keys != NULL) {
        end->keys = *keys;
    }
}

static inline void on_data(void *user, const void *data, size_t len)
{
    struct end *end = user;

    assert_int_equal(end->n_done, 1); /* never before the keys */
    assert_true(len <= sizeof(end->data));
    end->n_data++;
    end->data_len = len;
    memcpy(end->data, data, len);
}

static inline void on_parted(void *user)
{
    struct end *end = user;

    assert_int_equal(end->n_done, 1);
    end->n_parted++;
}

/* The address says where the end stands. */
static inline void on_farewell(void *user, const struct path *to, const void *data,
                               size_t len)
{
    struct end *end;

    assert_null(user);
    memcpy(&end, to->remote_ip, sizeof(end));
    end->n_farewells++;
    dtls_peer_step(&end->peer, data, len);
}

static inline int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

static const struct dtls_conf base_conf = {.threads = 1,
                                           .post = post,
                                           .on_send = on_send,
                                           .on_done = on_done,
                                           .on_data = on_data,
                                           .on_parted = on_parted,
                                           .on_farewell = on_farewell};

static inline void start(struct fixture *f, struct dtls_conf conf)
{
    assert_int_equal(loop_create(&f->loop), 0);
    conf.loop = f->loop;
    assert_int_equal(dtls_create(&f->dtls, &conf), 0);
}

static inline void finish(struct fixture *f)
{
    dtls_destroy(f->dtls);
    loop_destroy(f->loop);
}

static inline struct dtls_fp fingerprint_of(const struct dtls_peer *peer, const char *hash)
{
    struct dtls_fp fp;
    char text[200];

    dtls_peer_fingerprint(peer, hash, text);
    assert_int_equal(dtls_fp_parse(hash, text, &fp), 0);
    return fp;
}

static inline void open_end(struct fixture *f, struct end *end,
                            const struct dtls_peer_conf *conf)
{
    struct dtls_fp fp;

    memset(end, 0, sizeof(*end));
    memcpy(end->path.remote_ip, &end, sizeof(end));
    dtls_peer_init(&end->peer, conf);
    fp = fingerprint_of(&end->peer, "sha-256");
    assert_int_equal(dtls_conn_open(&end->conn, f->dtls,
                                    conf->server ? DTLS_CLIENT : DTLS_SERVER, &fp, 1, end),
                     0);
    if (conf->server) { /* many checks have come from there */
        assert_int_equal(dtls_conn_grant(end->conn, &end->path, 10000), 0);
    }
}

static inline void close_end(struct end *end)
{
    dtls_conn_close(end->conn);
    dtls_peer_fini(&end->peer);
}

/* Gives what the peer wants to send to the connection; what comes after its end is lost. */
static inline void deliver(struct end *end)
{
    for (size_t i = 0; end->conn != NULL && i < end->peer.n_out; i++) {
        (void)dtls_conn_feed(end->conn, &end->path, end->peer.out[i].data,
                             end->peer.out[i].len);
    }
    end->peer.n_out = 0;
}

static inline uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Runs loop and peer until our side is done, at most 'ms'. */
static inline void run(struct fixture *f, struct end *end, unsigned ms)
{
    uint64_t until = now_ms() + ms;

    while (end->n_done == 0 && now_ms() < until) {
        dtls_peer_step(&end->peer, NULL, 0);
        deliver(end);
        (void)usleep(500);
        loop_turn(f->loop);
    }
}

static inline void run_for(struct fixture *f, struct end *end, unsigned ms)
{
    uint64_t until = now_ms() + ms;

    while (now_ms() < until) {
        dtls_peer_step(&end->peer, NULL, 0);
        deliver(end);
        (void)usleep(500);
        loop_turn(f->loop);
    }
}

static inline void assert_same_keys(const struct end *end)
{
    struct dtls_peer_keys peer;

    assert_int_equal(end->n_done, 1);
    assert_int_equal(end->err, 0);
    assert_true(end->peer.done);
    assert_int_equal(dtls_peer_keys(&end->peer, &peer), end->keys.profile);
    assert_int_equal(end->keys.key_len, peer.key_len);
    assert_int_equal(end->keys.salt_len, peer.salt_len);
    assert_memory_equal(peer.tx_key, end->keys.rx_key, peer.key_len);
    assert_memory_equal(peer.rx_key, end->keys.tx_key, peer.key_len);
    assert_memory_equal(peer.tx_salt, end->keys.rx_salt, peer.salt_len);
    assert_memory_equal(peer.rx_salt, end->keys.tx_salt, peer.salt_len);
}

#endif
