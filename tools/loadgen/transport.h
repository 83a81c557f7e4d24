/* One client's media transport: a UDP socket, ICE, DTLS, SRTP on it. From the server's
 * parameters to decrypted packets.
 *
 * Callbacks come from the loop, from none of these calls except where said. */
#ifndef LOADGEN_TRANSPORT_H
#define LOADGEN_TRANSPORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/armor.h"
#include "loadgen/dtls.h"
#include "loadgen/ice.h"
#include "loadgen/loop.h"
#include "sfu/wire/rtp.h"

enum { TRANSPORT_PACKET_MAX = 1500 };

/* What the server told of its side. */
struct transport_remote {
    struct sockaddr_storage address;
    char ufrag[ICE_TEXT_MAX + 1];
    char pwd[ICE_TEXT_MAX + 1];
    char fingerprint[DTLS_FINGERPRINT_LEN];
};

struct transport_ops {
    void (*on_ice)(void *user);                        /* there is a path */
    void (*on_up)(void *user);                         /* media can flow */
    void (*on_failed)(void *user, const char *reason); /* for good; constant text */
    /* 'payload' is NULL if this transport does not decrypt. */
    void (*on_rtp)(void *user, const struct rtp_hdr *hdr, const uint8_t *payload,
                   size_t len, uint64_t now_us);
    void (*on_rtcp)(void *user, const uint8_t *data, size_t len, uint64_t now_us);
};

/* What came that was wrong. */
struct transport_faults {
    uint64_t replayed;  /* an SRTP or SRTCP index seen before */
    uint64_t forged;    /* does not decrypt */
    uint64_t malformed; /* no packet of any kind that has a place here */
    uint64_t early;     /* media before the handshake has ended: cannot be read */
    uint64_t unsent;    /* the socket did not take it */
};

struct transport_conf {
    const struct transport_ops *ops;
    void *user;
    struct loop *loop;
    SSL_CTX *ssl; /* of dtls_context() */
    bool decrypt; /* what comes in */
};

enum transport_state {
    TRANSPORT_NEW,
    TRANSPORT_ICE,
    TRANSPORT_DTLS,
    TRANSPORT_UP,
    TRANSPORT_DOWN
};

struct transport {
    struct transport_conf conf;
    struct loop_io io;
    struct loop_timer timer;
    struct ice ice;
    struct dtls dtls;
    struct armor armor;
    enum transport_state state;
    unsigned profile; /* IANA's number, once up */
    struct transport_faults faults;
    char fingerprint[DTLS_FINGERPRINT_LEN]; /* expected of the server */
};

/* Makes the certificate. conf is copied. Returns 0 or -ENOMEM. */
int transport_init(struct transport *t, const struct transport_conf *conf);
void transport_fini(struct transport *t); /* of a zeroed one: a no-op */

/* Opens the socket and begins with ICE. Returns 0 or -errno. */
int transport_start(struct transport *t, const struct transport_remote *remote);

/* Encrypt and send; 'data' is aligned to 8, has ARMOR_ROOM more, and is overwritten. A
 * packet that the socket does not take is counted. Only when up. */
void transport_send_rtp(struct transport *t, uint8_t *data, size_t len);
void transport_send_rtcp(struct transport *t, uint8_t *data, size_t len);

#endif
