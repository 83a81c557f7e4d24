/* What may be sent to the addresses of one connection while none of them is known to be the
 * peer's. ICE-lite takes an authentic check for a path, and who has a session of his own can
 * make one up under anybody's address. So an address gets no more than 1.5 times what came
 * from it, until something has come back that only it was sent: a cookie (RFC 6347, 4.2.1).
 *
 * Pure. Used by dtls_conn.c. */
#ifndef KCS_DTLS_DTLS_ADDRESS_H
#define KCS_DTLS_DTLS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/path.h"

enum { DTLS_ADDRESSES = 4 }; /* as many as ICE has paths */

struct dtls_address {
    struct path path;
    uint64_t credit; /* bytes that may go there */
    bool proven;
};

struct dtls_addresses {
    struct dtls_address at[DTLS_ADDRESSES];
    unsigned n, oldest;
};

/* The entry of that 5-tuple, made if there is none: the one made first of too many is
 * forgotten, with what it might have been sent. The link address is the last one given. */
struct dtls_address *dtls_address_of(struct dtls_addresses *all, const struct path *path);

/* What may go there for 'len' bytes that came. */
static inline uint64_t dtls_address_share(uint64_t len)
{
    return len + len / 2;
}

/* Whether 'len' bytes may go there; takes them off. */
bool dtls_address_spend(struct dtls_address *address, size_t len);

/* Whether they may. */
bool dtls_address_affords(const struct dtls_address *address, size_t len);

#endif
