/* A network as one writes it: "10.0.0.0/8", "2001:db8::/32"; without a length one address.
 *
 * Pure; any thread. */
#ifndef SYS_PREFIX_H
#define SYS_PREFIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct prefix {
    uint8_t address[16]; /* IPv4 mapped to IPv6 (RFC 4291, section 2.5.5.2) */
    uint8_t bits;        /* of these 16 bytes */
};

/* 0, or -EINVAL: it is none, or has bits behind its length. */
int prefix_parse(const char *text, struct prefix *out);

/* False for what is no address of IPv4 or IPv6. */
bool prefix_has(const struct prefix *prefix, const struct sockaddr_storage *ss);

#endif
