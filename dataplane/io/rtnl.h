/* The few rtnetlink requests that the private veth pair and taps need. Each opens its own
 * socket and waits for the kernel's answer: start and stop only. Returns are 0 or the
 * kernel's negative errno. Private to this folder. */
#ifndef KCS_IO_RTNL_H
#define KCS_IO_RTNL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtnl_link {
    int index;
    bool up;
    uint8_t mac[6];
    char kind[16];        /* "veth"; empty for physical ones */
    unsigned xdp_prog_id; /* 0: none attached */
};

/* -ENODEV if there is none of that name. */
int rtnl_link_get(const char *name, struct rtnl_link *out);

/* Makes the pair 'name' and 'peer', one queue each, down; the peer gets no IPv6 address of
 * its own when it goes up. -EEXIST if either name is taken. */
int rtnl_veth_create(const char *name, const uint8_t mac[6], const char *peer,
                     const uint8_t peer_mac[6]);

int rtnl_link_up(int index);
int rtnl_link_delete(int index);

/* family 4 or 6, 'ip' of 4 or 16 bytes. IPv6 without duplicate detection: at once usable.
 */
int rtnl_addr_add(int index, int family, const uint8_t *ip, uint8_t prefix_len);

/* Makes the default route of a family go to 'gateway' by that interface. -EEXIST if there
 * is one with the same metric. */
int rtnl_route_default(int index, int family, const uint8_t *gateway);

/* The prefix length of the route that leads to 'ip' (0: the default route), or -ENETUNREACH
 * if there is none. */
int rtnl_route_prefix_len(int family, const uint8_t *ip);

#endif
