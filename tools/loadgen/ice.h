/* The checking side of ICE against an ICE-lite server: one candidate pair, nominated by its
 * first check, then consent kept fresh.
 *
 * Sans-IO: no socket, no clock; randomness is given. The owner calls ice_take() when
 * ice_deadline() is due and sends what it writes; what comes back goes to ice_on_answer().
 * RFC 8445 (controlling, regular checks with USE-CANDIDATE); RFC 7675 (consent). */
#ifndef LOADGEN_ICE_H
#define LOADGEN_ICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ICE_TEXT_MAX = 256,    /* of a ufrag or password, RFC 8839, 5.4 */
    ICE_CHECK_MAX = 700,   /* bytes of a check */
    ICE_FIRST_US = 100000, /* until the first check is sent again; then twice that ... */
    ICE_RETRY_MAX_US = 1600000,
    ICE_GIVE_UP_US = 15000000,
    ICE_CONSENT_US = 5000000, /* between checks, +- 20 % (RFC 7675, 5.1) */
    ICE_CONSENT_RETRY_US = 500000,
    ICE_EXPIRE_US = 30000000,
    ICE_WAITING = 8 /* the last checks, whose answers may still come */
};

struct ice_check {
    uint64_t sent_us;
    uint8_t txid[12];
};

enum ice_state { ICE_CHECKING, ICE_CONNECTED, ICE_FAILED };

struct ice {
    char username[2 * ICE_TEXT_MAX + 2]; /* "theirs:ours" */
    char pwd[ICE_TEXT_MAX + 1];          /* theirs */
    uint64_t tie_breaker;
    uint64_t random; /* state of a small generator: spreads consent checks */
    uint64_t began_us;
    uint64_t answered_us; /* the latest answer */
    uint64_t due_us;
    uint64_t rtt_us;
    uint32_t interval_us;
    uint32_t n_checks; /* since the latest answer */
    struct ice_check checks[ICE_WAITING];
    enum ice_state state;
};

/* seed: unguessable. Returns 0, or -EINVAL for a text that is empty or too long. */
int ice_init(struct ice *ice, const char *our_ufrag, const char *their_ufrag,
             const char *their_pwd, uint64_t seed, uint64_t now_us);

/* Writes the check that is due to 'out' and returns its length, or 0 when none is; the
 * state may have become ICE_FAILED. */
size_t ice_take(struct ice *ice, uint64_t now_us, uint8_t out[ICE_CHECK_MAX]);

/* A STUN message came. Returns 0 if it is a good answer to a check that waits, -ENOENT if
 * it answers none of those, -EBADMSG if it is malformed, unsigned or wrongly signed, or -EPERM
 * for an error response. */
int ice_on_answer(struct ice *ice, const uint8_t *data, size_t len, uint64_t now_us);

/* When ice_take() next has something to do; UINT64_MAX after failure. */
uint64_t ice_deadline(const struct ice *ice);

#endif
