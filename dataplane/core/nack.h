/* Finds the holes in one received RTP stream and says which to ask for again, and when.
 * Fed by stage/ingest; its answers become Generic NACKs (RFC 4585, 6.2.1) in rtcp/.
 *
 * Pure: no clock, no allocation, no I/O. Sequence numbers are extended, so never wrap. */
#ifndef CORE_NACK_H
#define CORE_NACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NACK_MAX_HOLES = 128 }; /* more is an outage: a key frame is cheaper */

struct nack_conf {
    uint32_t reorder_us;   /* patience with reordering before the first request */
    uint32_t retry_us;     /* between two requests while the round trip is not known */
    uint32_t retry_min_us; /* bounds of that time once it is */
    uint32_t retry_max_us;
    uint8_t max_tries; /* requests for one packet before it is given up; not 0 */
};

struct nack_hole {
    uint64_t seq;
    uint64_t due_us;   /* of the next request */
    uint64_t asked_us; /* the last one; valid if n_tries is not 0 */
    uint8_t n_tries;
};

struct nack {
    struct nack_conf conf;
    uint64_t next;        /* one past the highest number */
    uint64_t deadline_us; /* never later than the first hole's; UINT64_MAX if none */
    uint32_t rtt_us;      /* smoothed; 0 unknown */
    uint32_t n_given_up;  /* since nack_take_given_up() */
    uint16_t n;
    bool started;
    struct nack_hole holes[NACK_MAX_HOLES]; /* ascending */

    uint64_t n_asked;  /* numbers asked for, each time counted */
    uint64_t n_mended; /* holes that a repair or a late packet has filled */
    uint64_t n_lost;   /* holes given up or forgotten */
};

void nack_init(struct nack *nack, const struct nack_conf *conf); /* conf: borrowed */

/* Notes the arrival of 'seq'. Returns 0, -EALREADY if it fills no hole (a duplicate, or one
 * that was given up), or -EOVERFLOW if the gap is too wide to mend: holes are forgotten,
 * the caller asks for a key frame. */
int nack_on_packet(struct nack *nack, uint64_t seq, uint64_t now_us);

/* The same for a packet that came as a retransmission: if it was asked for once, it tells
 * the round trip. */
int nack_on_repair(struct nack *nack, uint64_t seq, uint64_t now_us);

/* Notes a round trip that was measured otherwise. */
void nack_set_rtt(struct nack *nack, uint32_t rtt_us);

/* Forgets all holes; the next packet begins anew. */
void nack_reset(struct nack *nack);

/* Fills 'out' with at most 'cap' numbers due at 'now_us', ascending, and counts each as
 * asked for. Holes that were asked for 'max_tries' times in vain are given up. Returns how
 * many; call again while it is 'cap'. Cost: O(holes). */
size_t nack_take_due(struct nack *nack, uint64_t now_us, uint64_t *out, size_t cap);

/* How many holes were given up since the last call: then only a key frame helps. */
uint32_t nack_take_given_up(struct nack *nack);

/* When nack_take_due() can next yield something; UINT64_MAX if never. */
static inline uint64_t nack_deadline(const struct nack *nack)
{
    return nack->deadline_us;
}

#endif
