/* DTLS handshakes for SRTP keys, on worker threads, so that the loop never waits for a
 * signature; and application data of those connections that are kept for it (data
 * channels). The only folder that includes OpenSSL's TLS.
 *
 * A connection is opened once ICE has validated a path and the peer's fingerprints are
 * known; the caller feeds it datagrams of that path and sends what it yields. It hands out
 * keys only after the peer's certificate has matched the fingerprints and the peer has
 * proved to hold its key. Bytes from the network can delay a handshake, never crash it.
 *
 * Thread: every function is called on the loop's thread, and every callback comes there,
 * through conf.post. Each connection lives on one worker, with that worker's SSL_CTX.
 * RFC 5764 (DTLS-SRTP), RFC 6347 (DTLS 1.2), RFC 7714 (AES-GCM), RFC 8122 (fingerprints).
 */
#ifndef KCS_DTLS_DTLS_H
#define KCS_DTLS_DTLS_H

#include <stddef.h>
#include <stdint.h>

#include "dtls/dtls_fp.h"
#include "sfu/base/path.h"

enum {
    DTLS_MAX_THREADS = 64,
    DTLS_MAX_DATAGRAM = 1500,
    DTLS_KEY_MAX = 32,
    DTLS_SALT_MAX = 14,
    DTLS_MAX_DATA = 1160,  /* application data of a datagram: fits 1,200 with any cipher */
    DTLS_QUEUE_LEN = 1024, /* default of conf.queue_len */
    DTLS_HANDSHAKE_MS = 20000 /* default of conf.handshake_ms */
};

enum dtls_role { DTLS_SERVER = 1, DTLS_CLIENT = 2 };

/* IANA numbers of the SRTP protection profiles, in our order of preference. */
enum dtls_profile {
    DTLS_AEAD_AES_128_GCM = 7,
    DTLS_AEAD_AES_256_GCM = 8,
    DTLS_AES128_CM_SHA1_80 = 1,
    DTLS_AES128_CM_SHA1_32 = 2
};

struct dtls;
struct dtls_conn;

/* Master keys and salts as SRTP wants them. */
struct dtls_keys {
    uint32_t profile;  /* enum dtls_profile */
    uint32_t key_len;  /* 32 for AES-256, else 16 */
    uint32_t salt_len; /* 12 for GCM, 14 for CM */
    uint8_t tx_key[DTLS_KEY_MAX], rx_key[DTLS_KEY_MAX];
    uint8_t tx_salt[DTLS_SALT_MAX], rx_salt[DTLS_SALT_MAX];
};

struct dtls_conf {
    unsigned threads;      /* 1..DTLS_MAX_THREADS */
    unsigned queue_len;    /* datagrams that may wait for one thread; 0: default */
    uint32_t handshake_ms; /* a handshake that takes longer has failed; 0: default */

    /* Runs fn(arg) once on the loop's thread, soon, never from inside the call itself;
     * called from any thread. Returns 0, or -errno and nothing is run. One that is still on
     * its way when dtls_destroy() is called may come later: it is harmless then. */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;

    /* A datagram for the peer. 'to' is where the handshake's last came from: once that is over
     * the session knows better. Both are borrowed for the call. */
    void (*on_send)(void *user, const struct path *to, const void *data, size_t len);

    /* The handshake has ended; exactly once, unless the connection is closed before. 'err'
     * is 0 and 'keys' borrowed for the call and wiped after it, or 'keys' is NULL and
     * 'err' -EPERM (wrong certificate), -ENOTSUP (no common SRTP profile), -ETIMEDOUT,
     * -EPROTO (the peer did not make sense) or -ENOMEM. */
    void (*on_done)(void *user, int err, const struct dtls_keys *keys);

    /* Application data of a connection that is kept, one record, after on_done(). 'data' is
     * borrowed for the call. May be NULL. */
    void (*on_data)(void *user, const void *data, size_t len);

    /* The peer has ended it (close_notify or a fatal alert, authentic), after on_done():
     * nothing will come any more. At most once; close it. May be NULL. */
    void (*on_parted)(void *user);

    /* What tells the peer of a connection that dtls_conn_part() has ended: a datagram with
     * an alert, close_notify, for 'to', as was given there; the connection and its user are
     * gone. Both are borrowed for the call. May be NULL. */
    void (*on_farewell)(void *farewell_user, const struct path *to, const void *data,
                        size_t len);
    void *farewell_user;
};

/* Counters since the start; 'open' is a gauge. */
struct dtls_counts {
    uint64_t done, failed, wrong_fingerprint;
    uint64_t ignored; /* datagrams that were no sane DTLS records, and plaintext alerts */
    uint64_t refused; /* datagrams for which no thread had room */
    uint64_t open;
};

/* How much the threads have to do. */
struct dtls_load {
    uint64_t busy_us;  /* CPU that they have taken since the start, all of them */
    uint64_t delay_us; /* how long what is done next has waited; of the busiest */
    unsigned threads;
};

/* Makes a certificate (ECDSA P-256, for this process's life) and starts the threads. conf
 * is borrowed. Returns 0, -EINVAL, -ENOMEM, -EIO if OpenSSL fails, or the thread's error.
 */
int dtls_create(struct dtls **out, const struct dtls_conf *conf);

/* Stops the threads; all connections end without a callback and are freed. Not from within
 * a callback. NULL is a no-op. */
void dtls_destroy(struct dtls *dtls);

/* SHA-256 of our certificate. Borrowed, constant. */
const struct dtls_fp *dtls_fingerprint(const struct dtls *dtls);

void dtls_counts(struct dtls *dtls, struct dtls_counts *out);

/* Takes each thread's lock for a moment. */
void dtls_load(struct dtls *dtls, struct dtls_load *out);

/* Opens a connection.
 *
 * Until an address has proven to be the peer's, by a cookie that we had sent there, it is
 * sent at most 1.5 times what came from it: a server asks for the cookie unless the hello is
 * as long as that takes, and a client says nothing before dtls_conn_grant().
 *
 * fps   borrowed; 1..DTLS_MAX_FPS. For every hash that occurs in it, the certificate must
 *       match one of the fingerprints of that hash
 * user  given back with every callback
 *
 * Returns 0, -EINVAL or -ENOMEM. */
int dtls_conn_open(struct dtls_conn **out, struct dtls *dtls, enum dtls_role role,
                   const struct dtls_fp *fps, size_t n_fps, void *user);

/* Hands over one datagram that came from 'from' (both copied). Returns 0, -EAGAIN if the
 * thread's queue is full (the peer will retransmit), -EINVAL by length, or -ENOMEM. */
int dtls_conn_feed(struct dtls_conn *conn, const struct path *from, const void *data,
                   size_t len);

/* Something else than DTLS came from 'from' (copied), which was answered with less than 1.5
 * times as much: 'n' bytes less. They may go there besides, and as a client that is where we
 * begin. Returns 0, -EAGAIN as dtls_conn_feed(), or -ENOMEM. */
int dtls_conn_grant(struct dtls_conn *conn, const struct path *from, uint32_t n);

/* Application data will be wanted: the connection carries it after its handshake. Soon after
 * it was opened; there is no way back. */
void dtls_conn_keep(struct dtls_conn *conn);

/* Sends application data (copied) in a datagram of its own, if the handshake is done and
 * the connection kept; else it is lost. Returns 0, -EAGAIN if the thread's queue is full,
 * -EINVAL by length, or -ENOMEM. */
int dtls_conn_send(struct dtls_conn *conn, const void *data, size_t len);

/* Ends the connection; no callback comes after it. NULL is a no-op. */
void dtls_conn_close(struct dtls_conn *conn);

/* The same, but the peer is told if the handshake was done, kept or not: on_farewell() soon
 * comes once, with 'to' (copied). RFC 5246, section 7.2.1. */
void dtls_conn_part(struct dtls_conn *conn, const struct path *to);

#endif
