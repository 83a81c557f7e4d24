/* Puts the packets of one stream back into the order of their numbers: waits for what is
 * missing as long as repair may take, counted from when the packet behind it came, so that
 * many holes wait no longer than one; then gives it up and says so. The start is fixed only
 * after that time too, as the first packet may come out of order.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef EGRESS_ORDER_H
#define EGRESS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_PACKET = 1536 }; /* bytes of payload, at most */

struct order_packet {
    uint64_t seq; /* extended */
    uint64_t arrival_us;
    uint64_t put_us; /* order.c's own: when it was put here */
    uint32_t ts;
    uint16_t len;
    bool marker;
    bool there; /* order.c's own */
    uint8_t data[ORDER_PACKET];
};

struct order {
    struct order_packet *slots;
    uint32_t mask;
    uint32_t n; /* that wait */
    uint32_t hold_us;
    uint64_t next;     /* the number to go on with */
    uint64_t since_us; /* that the start is waited for; 0: nothing has come */
    bool started;
    bool gap;      /* numbers right before 'next' were given up */
    uint64_t lost; /* numbers given up */
};

/* slots  n of them, a power of two, zeroed, borrowed */
void order_init(struct order *order, struct order_packet *slots, uint32_t n,
                uint32_t hold_us);

/* Copies a packet in. Returns 0, -EALREADY for one that is there or whose time is over, or
 * -EMSGSIZE. One that is too far ahead has what is before it given up. */
int order_put(struct order *order, const struct order_packet *meta, const uint8_t *data,
              uint64_t now_us);

/* The next packet, or NULL while it is waited for; borrowed until the next call of anything
 * here. 'lost' is filled: numbers right before it were given up. */
const struct order_packet *order_take(struct order *order, uint64_t now_us, bool *lost);

#endif
