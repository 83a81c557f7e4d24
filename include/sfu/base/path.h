/* One direction-free description of where a datagram came from and how to answer it: the
 * 5-tuple as seen on one device, plus the link address to return to. It crosses between
 * the processes (punted packets, selected addresses), so its layout is fixed.
 *
 * Pure, header-only. Addresses are 16 bytes; IPv4 is mapped (::ffff:a.b.c.d). Ports are in
 * host order. */
#ifndef SFU_BASE_PATH_H
#define SFU_BASE_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { PATH_IP_LEN = 16, PATH_MAC_LEN = 6 };

struct path {
    uint8_t remote_ip[16];
    uint8_t local_ip[16];
    uint16_t remote_port;
    uint16_t local_port;
    uint8_t remote_mac[6]; /* zero where the kernel resolves it (udp devices) */
    uint8_t device;        /* index in the dataplane's list of devices */
    uint8_t family;        /* 4 or 6 */
};

_Static_assert(sizeof(struct path) == 44, "struct path has a fixed layout");

/* Writes the IPv4 address 'v4' (4 bytes, network order) in mapped form to 'ip'. */
static inline void path_map_v4(uint8_t ip[16], const uint8_t v4[4])
{
    memset(ip, 0, 10);
    ip[10] = 0xff;
    ip[11] = 0xff;
    memcpy(ip + 12, v4, 4);
}

/* True if both name the same remote socket on the same device (the 5-tuple; the link
 * address is not part of it). */
static inline bool path_same_tuple(const struct path *a, const struct path *b)
{
    return a->device == b->device && a->remote_port == b->remote_port &&
           a->local_port == b->local_port && memcmp(a->remote_ip, b->remote_ip, 16) == 0 &&
           memcmp(a->local_ip, b->local_ip, 16) == 0;
}

#endif
