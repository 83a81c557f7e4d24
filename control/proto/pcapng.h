/* Writes captured datagrams as pcapng, which Wireshark and tcpdump read: one section, one
 * interface of bare IP packets, whose headers are made of the addresses.
 *
 * Pure: no clock, no allocation. draft-ietf-opsawg-pcapng. */
#ifndef PROTO_PCAPNG_H
#define PROTO_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PCAPNG_HEAD_MAX = 256,  /* what pcapng_head() writes, at most */
    PCAPNG_MORE_MAX = 160,  /* what pcapng_packet() writes around the data, at most */
    PCAPNG_DATA_MAX = 65000 /* of a datagram */
};

struct pcapng_packet {
    uint64_t wall_us;       /* since 1970 */
    const uint8_t *from_ip; /* 16 bytes, IPv4 mapped; borrowed as all */
    const uint8_t *to_ip;
    uint16_t from_port, to_port;
    uint8_t family; /* 4 or 6 */
    bool out;       /* sent by this machine */
    uint64_t missed; /* packets lost between the one before and this one */
    const char *comment; /* NULL: none; 48 characters at most */
    const uint8_t *data; /* UDP payload */
    size_t len;
};

/* The beginning of a file; 'by' is the program that writes, 64 characters at most. Returns
 * the length, or -ENOSPC if it does not fit 'cap'. */
int pcapng_head(uint8_t *out, size_t cap, const char *by);

/* One packet. Returns the length; -ENOSPC if it does not fit 'cap', then 'out' may be
 * changed; -EMSGSIZE if the datagram is too long. */
int pcapng_packet(uint8_t *out, size_t cap, const struct pcapng_packet *packet);

#endif
