/* The Internet checksum (RFC 1071) over a few bytes: headers and control messages. */
#ifndef KCS_IO_CSUM_H
#define KCS_IO_CSUM_H

#include <stddef.h>
#include <stdint.h>

#include "sfu/base/bytes.h"

/* Adds 'len' (at most 64 KiB) bytes to a running sum. */
static inline uint32_t csum_add(uint32_t sum, const uint8_t *p, size_t len)
{
    for (; len > 1; p += 2, len -= 2) {
        sum += load_be16(p);
    }
    return len > 0 ? sum + ((uint32_t)p[0] << 8) : sum;
}

/* The sum of the IPv6 pseudo-header (RFC 8200, 8.1); 'ip' is the IPv6 header. */
static inline uint32_t csum_pseudo6(const uint8_t *ip, uint8_t protocol, uint32_t len)
{
    return csum_add((len >> 16) + (len & 0xffff) + protocol, ip + 8, 32);
}

static inline uint16_t csum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

#endif
