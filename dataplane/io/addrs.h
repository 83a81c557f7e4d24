/* The host's own addresses that media may use. Private to this folder. */
#ifndef KCS_IO_ADDRS_H
#define KCS_IO_ADDRS_H

#include "io/port.h"

struct host_addr {
    char ifname[IO_NAME_LEN];
    struct io_addr addr;
};

/* Lists the addresses of interfaces that are up, but for loopback, IPv6 link-local and
 * unspecified ones; 'ifname' (may be NULL) limits it to one interface.
 *
 * Returns how many were filled, at most 'cap', or a negative errno. */
int addrs_list(const char *ifname, struct host_addr *out, unsigned cap);

/* Holds the media port of one of the host's addresses with a kernel socket: media is taken
 * before the kernel sees it, so no other program of the host may listen there, and none may
 * start to.
 *
 * Returns a descriptor to close() at the end, or a negative errno with env->err set. */
int addrs_reserve(const struct port_env *env, const struct io_addr *addr);

#endif
