/* SRTP and SRTCP of one transport: any SSRC, both directions. Inwards by libsrtp2's own
 * sessions, and outwards too but for AES-GCM (gcm.h). Sessions of Debian's libsrtp2 (built
 * on NSS) grow slower the more there are: fine for hundreds, so a receiver that only counts
 * packets opens none inwards. */
#ifndef LOADGEN_ARMOR_H
#define LOADGEN_ARMOR_H

#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loadgen/dtls.h"
#include "loadgen/gcm.h"

/* Room behind a packet that protecting needs. */
enum { ARMOR_ROOM = SRTP_MAX_TRAILER_LEN + 4 };

struct armor {
    bool is_gcm; /* outwards 'gcm', else 'out' */
    struct gcm gcm;
    srtp_t out;
    srtp_t in; /* NULL: this one does not look inside */
};

/* Once, before all others. Returns 0 or -EIO. */
int armor_setup(void);
void armor_teardown(void);

/* Opens both directions, or without 'inwards' only the outgoing. Returns 0, or -ENOTSUP:
 * libsrtp2 has not this profile, or no memory. */
int armor_open(struct armor *armor, const struct dtls_keys *keys, bool inwards);
void armor_close(struct armor *armor); /* of a zeroed one: a no-op */

/* Encrypt in place; 'data' is aligned to 8 and has ARMOR_ROOM more. 'len' is changed.
 * Return 0 or -EIO. */
int armor_protect_rtp(struct armor *armor, uint8_t *data, size_t *len);
int armor_protect_rtcp(struct armor *armor, uint8_t *data, size_t *len);

/* Decrypt in place, 'data' aligned to 8. Return 0, -EALREADY for an index seen before (or
 * too old to tell), -EBADMSG if it is not authentic. */
int armor_unprotect_rtp(struct armor *armor, uint8_t *data, size_t *len);
int armor_unprotect_rtcp(struct armor *armor, uint8_t *data, size_t *len);

#endif
