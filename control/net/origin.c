/* How many connections each remote address has, so that one cannot take all that there are.
 * A network of 64 bits of IPv6 is one address: that much is given to one customer. Those of
 * this host itself (a proxy in front of us, tests), of trusted proxies and of Unix sockets
 * are not counted. */
#include "net/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->n = 0)
#include <uthash.h>

struct net_origin {
    uint8_t address[NET_ORIGIN]; /* IPv4, mapped to 2002::/16 (RFC 3056), or the upper half
                                    of IPv6 */
    uint32_t n;
    UT_hash_handle hh;
};

static void of_v4(uint8_t address[NET_ORIGIN], const void *v4)
{
    static const uint8_t prefix[2] = {0x20, 0x02};

    memset(address, 0, NET_ORIGIN);
    memcpy(address, prefix, 2);
    memcpy(address + 2, v4, 4);
}

bool origin_address(const struct sockaddr_storage *ss, uint8_t address[NET_ORIGIN])
{
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

        of_v4(address, &in->sin_addr);
        return in->sin_addr.s_addr != htonl(INADDR_LOOPBACK);
    }
    if (ss->ss_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)ss)->sin6_addr;
        static const uint8_t here[4] = {127, 0, 0, 1};

        if (IN6_IS_ADDR_V4MAPPED(ip)) {
            of_v4(address, ip->s6_addr + 12);
            return memcmp(ip->s6_addr + 12, here, 4) != 0;
        }
        memcpy(address, ip->s6_addr, NET_ORIGIN);
        return !IN6_IS_ADDR_LOOPBACK(ip);
    }
    return false;
}

int origin_enter(struct net_server *server, const struct sockaddr_storage *ss,
                 struct net_origin **out)
{
    struct net_origin *origin = NULL;
    uint8_t address[NET_ORIGIN];

    *out = NULL;
    if (server->conf.max_per_address == 0 || !origin_address(ss, address) ||
        forwarded_trusts(server, ss)) {
        return 0;
    }
    HASH_FIND(hh, server->origins, address, sizeof(address), origin);
    if (origin == NULL) {
        origin = calloc(1, sizeof(*origin));
        if (origin == NULL) {
            return -ENOMEM;
        }
        memcpy(origin->address, address, sizeof(address));
        origin->n = 1;
        HASH_ADD(hh, server->origins, address, sizeof(origin->address), origin);
        if (origin->n == 0) {
            free(origin);
            return -ENOMEM;
        }
    } else if (origin->n >= server->conf.max_per_address) {
        return -ENOSPC;
    } else {
        origin->n++;
    }
    *out = origin;
    return 0;
}

void origin_leave(struct net_server *server, struct net_origin *origin)
{
    if (origin != NULL && --origin->n == 0) {
        HASH_DEL(server->origins, origin);
        free(origin);
    }
}
