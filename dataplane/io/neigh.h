/* Answers what a host asks its neighbour: ARP (RFC 826), Neighbour Solicitations (RFC 4861,
 * 7.2), echo requests (RFC 792, RFC 4443). For devices whose address the kernel does not
 * own. Never asks: where to send to is learnt from what arrives.
 *
 * Pure: bytes in, bytes out. An answer is never longer than 32 bytes more than its request
 * without options, and each request has at most one. */
#ifndef KCS_IO_NEIGH_H
#define KCS_IO_NEIGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct neigh {
    uint8_t mac[6];
    bool has_v4;
    bool has_v6;
    uint8_t v4[4];
    uint8_t v6[16];
};

/* Turns 'frame' into the answer.
 *
 * len   bytes of the frame
 * cap   bytes that may be written; at least len
 *
 * Returns the answer's length, or 0 if the frame asks nothing of us (then it is as it was).
 */
size_t neigh_answer(const struct neigh *self, uint8_t *frame, size_t len, size_t cap);

#endif
