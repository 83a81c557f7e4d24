#include "dtls/dtls_conn.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/srtp.h>
#include <stdlib.h>
#include <string.h>

#include "dtls/dtls_cert.h"
#include "dtls/dtls_record.h"

enum {
    FIRST_TIMEOUT_US = 50000,
    MAX_TIMEOUT_US = 3000000,
    MAX_RESTARTS = 16, /* bounds what a flood of broken hellos costs */
    MAX_RECORDS = 8,   /* of a datagram */
    FIRST_FLIGHT = 700 /* what a hello may be answered with: ours is below that */
};

static void conn_end(struct dtls_conn *conn, int err)
{
    conn->err = err;
    conn->phase = DTLS_PHASE_OVER;
    conn->deadline_us = UINT64_MAX;
    dtls_conn_stop(conn);
    atomic_fetch_add_explicit(&conn->shared->n_failed, 1, memory_order_relaxed);
    if (err == -EPERM) {
        atomic_fetch_add_explicit(&conn->shared->n_wrong, 1, memory_order_relaxed);
    }
    dtls_mailbox_put(conn->shared->box, &conn->done);
}

static struct dtls_mail *new_mail(struct dtls_conn *conn, enum dtls_mail_kind kind,
                                  const void *data, size_t len)
{
    struct dtls_mail *mail = malloc(sizeof(*mail) + len);

    if (mail != NULL) {
        mail->conn = conn;
        mail->kind = kind;
        mail->len = (uint32_t)len;
        mail->data = memcpy(mail + 1, data, len);
    }
    return mail;
}

static void conn_send(void *arg, const void *data, size_t len)
{
    struct dtls_conn *conn = arg;
    struct dtls_mail *mail;

    if (conn->phase == DTLS_PHASE_SHAKING) {
        dtls_seen_note(&conn->sent, data, len);
        conn->last_len = len <= sizeof(conn->last) ? (uint8_t)len : 0;
        memcpy(conn->last, data, conn->last_len);
    }
    conn->trying += len;
    if (conn->muted) {
        return;
    }
    if (conn->address == NULL ||
        (conn->phase == DTLS_PHASE_SHAKING && !dtls_address_spend(conn->address, len))) {
        return; /* as if the network had lost it */
    }
    mail = new_mail(conn, DTLS_MAIL_SEND, data, len);
    if (mail == NULL) {
        return; /* the same */
    }
    mail->to = conn->address->path;
    if (conn->flight_end == NULL) {
        dtls_mailbox_put(conn->shared->box, mail);
        return;
    }
    mail->next = NULL;
    *conn->flight_end = mail;
    conn->flight_end = &mail->next;
}

static void conn_hold_flight(struct dtls_conn *conn)
{
    conn->flight = NULL;
    conn->flight_end = &conn->flight;
}

static void conn_send_flight(struct dtls_conn *conn)
{
    while (conn->flight != NULL) {
        struct dtls_mail *mail = conn->flight;

        conn->flight = mail->next;
        dtls_mailbox_put(conn->shared->box, mail);
    }
    conn->flight_end = NULL;
}

static unsigned conn_timer(SSL *ssl, unsigned timeout_us)
{
    (void)ssl;
    if (timeout_us == 0) {
        return FIRST_TIMEOUT_US;
    }
    return 2 * timeout_us < MAX_TIMEOUT_US ? 2 * timeout_us : MAX_TIMEOUT_US;
}

static int conn_verify(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct dtls_conn *conn = SSL_get_app_data(ssl);
    X509 *x509 = X509_STORE_CTX_get0_cert(store);

    (void)arg;
    conn->cert_seen = true;
    conn->cert_ok = x509 != NULL && dtls_cert_matches(x509, conn->fps, conn->n_fps);
    X509_STORE_CTX_set_error(store, conn->cert_ok ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return conn->cert_ok ? 1 : 0;
}

/* What only who receives at the address can say. */
static bool conn_cookie(const struct dtls_conn *conn, uint8_t cookie[DTLS_COOKIE_LEN])
{
    struct path path = conn->address->path;
    uint8_t mac[EVP_MAX_MD_SIZE];

    memset(path.remote_mac, 0, sizeof(path.remote_mac)); /* not of the address */
    if (HMAC(EVP_sha256(), conn->secret, sizeof(conn->secret), (const uint8_t *)&path,
             sizeof(path), mac, NULL) == NULL) {
        return false;
    }
    memcpy(cookie, mac, DTLS_COOKIE_LEN);
    return true;
}

static int conn_make_cookie(SSL *ssl, uint8_t *cookie, unsigned *len)
{
    struct dtls_conn *conn = SSL_get_app_data(ssl);

    conn->asked = true;
    *len = DTLS_COOKIE_LEN;
    return conn_cookie(conn, cookie) ? 1 : 0;
}

/* A wrong one ends nothing: it proves nothing. */
static int conn_take_cookie(SSL *ssl, const uint8_t *cookie, unsigned len)
{
    struct dtls_conn *conn = SSL_get_app_data(ssl);
    uint8_t ours[DTLS_COOKIE_LEN];

    if (len == sizeof(ours) && conn_cookie(conn, ours) &&
        CRYPTO_memcmp(cookie, ours, sizeof(ours)) == 0) {
        conn->address->proven = true;
    }
    return 1;
}

void dtls_conn_context(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, conn_verify, NULL);
    SSL_CTX_set_cookie_generate_cb(ctx, conn_make_cookie);
    SSL_CTX_set_cookie_verify_cb(ctx, conn_take_cookie);
}

/* A client that was asked for its cookie numbers its messages accordingly, which OpenSSL
 * takes only after it has asked: a connection that starts over does so, in silence, for the
 * shortest of hellos. */
static void conn_ask_again(struct dtls_conn *conn)
{
    static const uint8_t hello[] = {
        22,   0xfe, 0xfd, 0,    0, 0, 0, 0, 0, 0, 0, 0,  54, /* record, of 54 bytes */
        1,    0,    0,    42,   0, 0, 0, 0, 0, 0, 0, 42,     /* message, of 42 */
        0xfe, 0xfd, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0,  0,  /* version, random */
        0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0,  0,  /* */
        0,    0,    0,    0,    0, 0, 0, 0, 0, 0,            /* session and cookie: none */
        0,    2,    0xc0, 0x2b, 1, 0};                       /* a suite, no compression */

    conn->bio.data = hello;
    conn->bio.len = sizeof(hello);
    conn->muted = true;
    (void)SSL_set_options(conn->ssl, SSL_OP_COOKIE_EXCHANGE);
    (void)SSL_do_handshake(conn->ssl);
    ERR_clear_error();
    conn->muted = false;
    conn->bio.data = NULL;
}

static int conn_new_ssl(struct dtls_conn *conn)
{
    SSL *ssl = SSL_new(conn->ctx);
    BIO *bio;

    if (ssl == NULL) {
        return -ENOMEM;
    }
    conn->bio = (struct dtls_bio){.send = conn_send, .arg = conn};
    bio = dtls_bio_new(conn->shared->bio_method, &conn->bio);
    if (bio == NULL || SSL_set_app_data(ssl, conn) != 1) {
        BIO_free(bio);
        SSL_free(ssl);
        return -ENOMEM;
    }
    SSL_set_bio(ssl, bio, bio);
    (void)SSL_set_mtu(ssl, DTLS_MTU);
    DTLS_set_timer_cb(ssl, conn_timer);
    if (conn->role == DTLS_SERVER) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    conn->ssl = ssl;
    conn->cert_seen = false;
    conn->cert_ok = false;
    if (conn->asked) {
        conn_ask_again(conn);
    }
    return 0;
}

/* As server: a hello whose answer would be too long for it is answered with a cookie (a
 * round trip more); once one is asked for, it is due. */
static void conn_ask_cookie(const struct dtls_conn *conn)
{
    if (conn->asked || !dtls_address_affords(conn->address, FIRST_FLIGHT)) {
        (void)SSL_set_options(conn->ssl, SSL_OP_COOKIE_EXCHANGE);
    } else {
        (void)SSL_clear_options(conn->ssl, SSL_OP_COOKIE_EXCHANGE);
    }
}

/* Fills conn->keys. Returns 0, -ENOTSUP or -EPROTO. */
static int conn_export(struct dtls_conn *conn)
{
    static const char label[] = "EXTRACTOR-dtls_srtp";
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(conn->ssl);
    struct dtls_keys *keys = &conn->keys;
    uint8_t block[2 * (DTLS_KEY_MAX + DTLS_SALT_MAX)];
    bool server = conn->role == DTLS_SERVER;
    const uint8_t *salts;
    size_t key_len = 16;
    size_t salt_len;

    if (profile == NULL) {
        return -ENOTSUP;
    }
    switch (profile->id) {
    case SRTP_AEAD_AES_128_GCM:
        salt_len = 12;
        break;
    case SRTP_AEAD_AES_256_GCM:
        key_len = 32;
        salt_len = 12;
        break;
    case SRTP_AES128_CM_SHA1_80:
    case SRTP_AES128_CM_SHA1_32:
        salt_len = 14;
        break;
    default:
        return -ENOTSUP;
    }
    if (SSL_export_keying_material(conn->ssl, block, 2 * (key_len + salt_len), label,
                                   sizeof(label) - 1, NULL, 0, 0) != 1) {
        return -EPROTO;
    }
    /* client's key, server's key, client's salt, server's salt (RFC 5764, 4.2) */
    salts = block + 2 * key_len;
    keys->profile = (uint32_t)profile->id;
    keys->key_len = (uint32_t)key_len;
    keys->salt_len = (uint32_t)salt_len;
    memcpy(keys->rx_key, server ? block : block + key_len, key_len);
    memcpy(keys->tx_key, server ? block + key_len : block, key_len);
    memcpy(keys->rx_salt, server ? salts : salts + salt_len, salt_len);
    memcpy(keys->tx_salt, server ? salts + salt_len : salts, salt_len);
    explicit_bzero(block, sizeof(block));
    return 0;
}

static void conn_finish(struct dtls_conn *conn)
{
    int err = conn->cert_ok ? conn_export(conn) : -EPERM;

    if (err == 0) {
        err = dtls_link_init(&conn->rest, conn->ssl, &conn->sent);
    }
    if (err != 0) {
        conn_end(conn, err);
        return;
    }
    if (conn->role == DTLS_CLIENT) {
        conn->last_len = 0; /* the server's flight was the last */
    }
    /* Now, not later: the next handshake's state has the memory that this one has touched. */
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    conn->phase = DTLS_PHASE_LINKED;
    conn->deadline_us = UINT64_MAX;
    atomic_fetch_add_explicit(&conn->shared->n_done, 1, memory_order_relaxed);
    dtls_mailbox_put(conn->shared->box, &conn->done);
}

/* Sets the next deadline from OpenSSL's retransmission timer. */
static void conn_arm(struct dtls_conn *conn, uint64_t now_us)
{
    struct timeval left;

    conn->deadline_us = conn->give_up_us;
    if (DTLSv1_get_timeout(conn->ssl, &left) == 1) {
        /* 1 ms late rather than early: OpenSSL compares with its own clock */
        uint64_t at =
            now_us + (uint64_t)left.tv_sec * 1000000 + (uint64_t)left.tv_usec + 1000;

        if (at < conn->deadline_us) {
            conn->deadline_us = at;
        }
    }
}

static void conn_shake(struct dtls_conn *conn, uint64_t now_us)
{
    for (;;) {
        int r;

        ERR_clear_error();
        conn_hold_flight(conn);
        if (conn->role == DTLS_SERVER) {
            conn_ask_cookie(conn);
        }
        conn->trying = 0;
        r = SSL_do_handshake(conn->ssl);
        if (r == 1) {
            /* The keys are told before the flight that lets the peer use them: its first
             * packets find them in place. */
            conn_finish(conn);
            conn_send_flight(conn);
            return;
        }
        conn_send_flight(conn);
        if (conn->trying > 0) {
            conn->flight_len = conn->trying;
        }
        if (SSL_get_error(conn->ssl, r) == SSL_ERROR_WANT_READ) {
            conn_arm(conn, now_us);
            return;
        }
        ERR_clear_error();
        if (conn->cert_seen && !conn->cert_ok) {
            conn_end(conn, -EPERM);
            return;
        }
        /* Whatever this was, it was not authenticated: a forged message must not end the
         * session, so the handshake starts over for the true peer until time is up. */
        if (conn->restarts == MAX_RESTARTS) {
            conn_end(conn, -EPROTO);
            return;
        }
        conn->restarts++;
        SSL_free(conn->ssl);
        conn->ssl = NULL;
        if (conn_new_ssl(conn) != 0) {
            conn_end(conn, -ENOMEM);
            return;
        }
    }
}

void dtls_conn_start(struct dtls_conn *conn, SSL_CTX *ctx, uint64_t now_us)
{
    conn->ctx = ctx;
    conn->phase = DTLS_PHASE_SHAKING;
    conn->give_up_us = now_us + conn->shared->handshake_us;
    conn->deadline_us = conn->give_up_us;
    if (RAND_bytes(conn->secret, sizeof(conn->secret)) != 1) {
        conn_end(conn, -ENOMEM);
    }
}

/* What OpenSSL needs, some 80 kB, is made when there is something to do: who never comes costs
 * nothing, and of many who join together few are at it at the same time. Returns false if the
 * connection has ended of it. */
static bool conn_begin(struct dtls_conn *conn)
{
    if (conn->ssl == NULL && conn_new_ssl(conn) != 0) {
        conn_end(conn, -ENOMEM);
    }
    return conn->phase == DTLS_PHASE_SHAKING;
}

static bool kept(const struct dtls_conn *conn)
{
    return atomic_load_explicit(&conn->keep, memory_order_relaxed);
}

static void conn_parted(struct dtls_conn *conn)
{
    if (!conn->parted) {
        conn->parted = true;
        dtls_mailbox_put(conn->shared->box, &conn->parting_mail);
    }
}

static void conn_give(struct dtls_conn *conn, const uint8_t *data, size_t len)
{
    struct dtls_mail *mail = NULL;

    if (kept(conn) && conn->shared->on_data != NULL) {
        mail = new_mail(conn, DTLS_MAIL_DATA, data, len);
    }
    if (mail != NULL) {
        dtls_mailbox_put(conn->shared->box, mail);
    }
}

void dtls_conn_on_send(struct dtls_conn *conn, const uint8_t *data, size_t len)
{
    uint8_t record[DTLS_MAX_DATA + DTLS_LINK_OVERHEAD];
    size_t n;

    if (!kept(conn) || len > DTLS_MAX_DATA || conn->phase != DTLS_PHASE_LINKED) {
        return;
    }
    n = dtls_link_seal(&conn->rest, DTLS_CONTENT_DATA, data, len, record);
    if (n > 0) {
        conn_send(conn, record, n);
    }
}

/* ended  the handshake, by this very datagram: its Finished has its answer */
static void conn_read(struct dtls_conn *conn, const uint8_t *data, size_t len, bool ended)
{
    struct rbytes datagram = rbytes_of(data, len);
    uint8_t plain[DTLS_MAX_DATAGRAM];
    enum dtls_word word = DTLS_WORD_DATA;
    size_t n = 0;

    for (int i = 0; i < MAX_RECORDS && word != DTLS_WORD_NONE; i++) {
        word = dtls_link_open(&conn->rest, &datagram, plain, &n);
        if (word == DTLS_WORD_DATA) {
            conn_give(conn, plain, n);
        } else if (word == DTLS_WORD_FINISHED && !ended && conn->last_len > 0) {
            conn_send(conn, conn->last, conn->last_len);
        } else if (word == DTLS_WORD_END) {
            conn_parted(conn);
        }
    }
}

void dtls_conn_on_grant(struct dtls_conn *conn, const struct path *from, uint32_t n,
                        uint64_t now_us)
{
    struct dtls_address *address;
    bool first = conn->address == NULL;

    if (conn->phase != DTLS_PHASE_SHAKING) {
        return;
    }
    address = dtls_address_of(&conn->addresses, from);
    address->credit += n;
    if (!conn->heard) {
        conn->address = address;
    }
    if (conn->role == DTLS_CLIENT && first) {
        if (conn_begin(conn)) {
            conn_shake(conn, now_us); /* our hello */
        }
    } else if (conn->role == DTLS_CLIENT) {
        conn_arm(conn, now_us); /* it may have waited for this */
    }
}

/* A browser's hello has two datagrams, of which one alone says nothing: it waits for the
 * other, and OpenSSL is asked once. Returns whether it is kept. */
static bool conn_keep_part(struct dtls_conn *conn, const uint8_t *data, size_t len)
{
    if (conn->ssl != NULL || conn->part != NULL || !dtls_record_part_of_hello(data, len)) {
        return false;
    }
    conn->part = malloc(len);
    if (conn->part == NULL) {
        return false;
    }
    memcpy(conn->part, data, len);
    conn->part_len = len;
    return true;
}

static void conn_forget_part(struct dtls_conn *conn)
{
    free(conn->part);
    conn->part = NULL;
}

static void conn_feed(struct dtls_conn *conn, const uint8_t *data, size_t len,
                      uint64_t now_us)
{
    conn->bio.data = data;
    conn->bio.len = len;
    if (conn->part != NULL) {
        conn->bio.data = conn->part;
        conn->bio.len = conn->part_len;
        conn->bio.then = data;
        conn->bio.then_len = len;
    }
    conn_shake(conn, now_us);
    conn->bio.data = NULL;
    conn->bio.then = NULL;
    conn_forget_part(conn);
}

void dtls_conn_on_datagram(struct dtls_conn *conn, const struct path *from,
                           const uint8_t *data, size_t len, uint64_t now_us)
{
    if (conn->phase == DTLS_PHASE_LINKED && len <= DTLS_MAX_DATAGRAM) {
        conn_read(conn, data, len, false);
    }
    if (conn->phase != DTLS_PHASE_SHAKING) {
        return;
    }
    if (!dtls_record_sane(data, len, conn->role == DTLS_SERVER)) {
        atomic_fetch_add_explicit(&conn->shared->n_ignored, 1, memory_order_relaxed);
        return;
    }
    conn->address = dtls_address_of(&conn->addresses, from);
    conn->address->credit += dtls_address_share(len);
    conn->heard = true;
    if (conn_keep_part(conn, data, len) || !conn_begin(conn)) {
        return;
    }
    conn_feed(conn, data, len, now_us);
    if (conn->phase == DTLS_PHASE_LINKED && len <= DTLS_MAX_DATAGRAM) {
        conn_read(conn, data, len, true); /* there may be more in it */
    }
}

void dtls_conn_on_time(struct dtls_conn *conn, uint64_t now_us)
{
    switch (conn->phase) {
    case DTLS_PHASE_SHAKING:
        if (now_us >= conn->give_up_us) {
            conn_end(conn, conn->restarts > 0 ? -EPROTO : -ETIMEDOUT);
            return;
        }
        if (conn->ssl == NULL ||
            !dtls_address_affords(conn->address, conn->flight_len)) {
            conn->deadline_us = conn->give_up_us; /* what comes arms it again */
            return;
        }
        ERR_clear_error();
        conn->trying = 0;
        if (DTLSv1_handle_timeout(conn->ssl) < 0) { /* it counts to twelve */
            ERR_clear_error();
            conn_end(conn, -ETIMEDOUT);
            return;
        }
        conn_arm(conn, now_us);
        return;
    case DTLS_PHASE_LINKED:
    case DTLS_PHASE_OVER:
        conn->deadline_us = UINT64_MAX;
        return;
    }
}

void dtls_conn_stop(struct dtls_conn *conn)
{
    if (conn->phase == DTLS_PHASE_LINKED) {
        static const uint8_t close_notify[] = {1, 0};

        conn->farewell_len =
            (uint8_t)dtls_link_seal(&conn->rest, DTLS_CONTENT_ALERT, close_notify,
                                    sizeof(close_notify), conn->farewell);
    }
    conn->phase = DTLS_PHASE_OVER;
    conn_forget_part(conn);
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    ERR_clear_error();
}
