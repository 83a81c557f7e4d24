/* One handshake, and what comes after it: an SSL object with its datagrams, timers and end.
 * Everything here but 'closed' belongs to the worker's thread. */
#ifndef KCS_DTLS_DTLS_CONN_H
#define KCS_DTLS_DTLS_CONN_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "dtls/dtls.h"
#include "dtls/dtls_address.h"
#include "dtls/dtls_bio.h"
#include "dtls/dtls_link.h"
#include "dtls/dtls_mail.h"

struct dtls_worker;

enum {
    DTLS_FAREWELL_MAX = 64, /* a record with an alert, of any cipher */
    DTLS_COOKIE_LEN = 16,
    DTLS_SECRET_LEN = 32,
    DTLS_LAST_MAX = 96 /* a server's last flight, of any cipher */
};

enum dtls_job_kind {
    DTLS_JOB_OPEN,
    DTLS_JOB_FEED,
    DTLS_JOB_GRANT,
    DTLS_JOB_SEND,
    DTLS_JOB_CLOSE
};

struct dtls_job {
    struct dtls_job *next;
    struct dtls_conn *conn;
    uint64_t since_us; /* in the queue */
    enum dtls_job_kind kind;
    struct path from;    /* FEED and GRANT only */
    uint32_t len;        /* of data, FEED and SEND only; GRANT: what is granted */
    const uint8_t *data; /* behind the job, in the same allocation */
};

enum dtls_phase {
    DTLS_PHASE_SHAKING,
    DTLS_PHASE_LINKED, /* done, and OpenSSL's part has ended */
    DTLS_PHASE_OVER
};

/* What the connections of one instance share; constant after dtls_create(). */
struct dtls_shared {
    uint64_t handshake_us;
    BIO_METHOD *bio_method;
    struct dtls_mailbox *box;
    void (*on_send)(void *user, const struct path *to, const void *data, size_t len);
    void (*on_done)(void *user, int err, const struct dtls_keys *keys);
    void (*on_data)(void *user, const void *data, size_t len); /* may be NULL */
    void (*on_parted)(void *user);                             /* may be NULL */
    void (*on_farewell)(void *user, const struct path *to, const void *data, size_t len);
    void *farewell_user;
    _Atomic uint64_t n_done, n_failed, n_wrong, n_ignored, n_refused, n_open;
};

struct dtls_conn {
    /* loop's thread */
    LIST_ENTRY(dtls_conn) link;
    void *user;
    bool closed;
    bool parting;   /* closed, and the peer is to be told */
    struct path to; /* then */
    /* set by the loop's thread, read by the worker's */
    atomic_bool keep;
    /* constant */
    struct dtls_shared *shared;
    struct dtls_worker *worker;
    enum dtls_role role;
    struct dtls_fp fps[DTLS_MAX_FPS];
    size_t n_fps;
    /* worker's thread */
    SSL_CTX *ctx;
    SSL *ssl;
    struct dtls_bio bio;
    uint8_t *part; /* of a hello, a datagram, until the next comes; NULL: none */
    size_t part_len;
    enum dtls_phase phase;
    bool cert_seen, cert_ok;
    struct dtls_mail *flight, **flight_end; /* held while flight_end is not NULL */
    /* close_notify, made when the connection is stopped; the loop's with 'gone' */
    uint8_t farewell[DTLS_FAREWELL_MAX];
    uint8_t farewell_len;
    struct dtls_seen sent; /* encrypted records, while OpenSSL has it */
    struct dtls_link rest; /* then */
    /* the last datagram that OpenSSL has sent, if it is so short. A server's ends the
     * handshake: for a peer that has not seen it (RFC 6347, 4.2.4) */
    uint8_t last[DTLS_LAST_MAX];
    uint8_t last_len;
    bool parted;                  /* it was said; once */
    unsigned restarts;
    struct dtls_addresses addresses;
    struct dtls_address *address;    /* where the last datagram came from; NULL: none yet */
    bool heard;                      /* a datagram has come */
    bool asked;                      /* for a cookie: once is for good */
    bool muted;                      /* what OpenSSL sends goes nowhere */
    size_t trying, flight_len;       /* bytes of the flight that is made, of the last one */
    uint8_t secret[DTLS_SECRET_LEN]; /* of cookies */
    uint64_t give_up_us;             /* when the handshake has failed */
    uint64_t deadline_us;            /* when dtls_conn_on_time() wants to be called */
    size_t heap_index;               /* in the worker's heap; SIZE_MAX: not in it */
    /* handed over with 'done' */
    int err;
    struct dtls_keys keys;
    struct dtls_job open_job, close_job;
    struct dtls_mail done, parting_mail, gone;
};

/* Begins the handshake with a context of the connection's own thread. */
void dtls_conn_start(struct dtls_conn *conn, SSL_CTX *ctx, uint64_t now_us);
void dtls_conn_on_datagram(struct dtls_conn *conn, const struct path *from,
                           const uint8_t *data, size_t len, uint64_t now_us);
void dtls_conn_on_grant(struct dtls_conn *conn, const struct path *from, uint32_t n,
                        uint64_t now_us);
void dtls_conn_on_send(struct dtls_conn *conn, const uint8_t *data, size_t len);
void dtls_conn_on_time(struct dtls_conn *conn, uint64_t now_us);

/* Frees what OpenSSL holds; the connection itself stays, and so does 'farewell' if there
 * was something to part from. */
void dtls_conn_stop(struct dtls_conn *conn);

/* Makes a context of dtls_cert_context() one of connections. */
void dtls_conn_context(SSL_CTX *ctx);

#endif
