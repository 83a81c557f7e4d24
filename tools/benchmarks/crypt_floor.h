/* The floor under fan-out: what a bare loop over ipsec-mb costs a packet, with as many keys
 * and packets as large. It shares no code with the dataplane, so that a slow dataplane
 * cannot slow its own measure; `tools/bench fanout` runs it beside the product in the same
 * process.
 *
 * A loop encrypts one plaintext out of place to n_keys keys, each with a session key of its
 * own, into a small ring of buffers. Each turn writes a 12-byte RTP header, the IV, and the
 * tag. Expanded keys are prefetched 2 packets ahead (GCM) or a burst ahead (counter mode).
 */
#ifndef BENCHMARKS_CRYPT_FLOOR_H
#define BENCHMARKS_CRYPT_FLOOR_H

#include <stdint.h>

enum crypt_floor_profile { CRYPT_FLOOR_GCM128, CRYPT_FLOOR_CM80 };

struct crypt_floor;

/* Keys and buffers of a floor.
 *
 * out     filled
 * n_keys  1 or more
 * size    bytes of the RTP packet before the tag, 13 to 1900
 *
 * Returns 0, -EINVAL for a number out of range, -ENOMEM, or -ENOTSUP if the CPU lacks what
 * ipsec-mb needs. */
int crypt_floor_create(struct crypt_floor **out, enum crypt_floor_profile profile,
                       unsigned n_keys, unsigned size);
void crypt_floor_destroy(struct crypt_floor *floor); /* NULL is a no-op */

/* From here on nothing is prefetched, and keys come in an order that the CPU does not foresee:
 * a floor that is memory's, to see it refused. */
void crypt_floor_chill(struct crypt_floor *floor);

/* Encrypts 'n_packets' (1 or more) to the first 'n_keys' keys in turn: as many as were
 * created, or 1 for a loop in which nothing misses the caches. Returns nanoseconds a packet
 * of the calling thread's CPU time; rounds of 20,000 or more give steady numbers. */
double crypt_floor_round(struct crypt_floor *floor, unsigned n_keys, unsigned n_packets);

/* Writes one packet of a floor of profile GCM for the key-th key to 'dst', which has room
 * for size + 16 bytes. Returns these. */
unsigned crypt_floor_seal(struct crypt_floor *floor, unsigned key, uint8_t *dst);

/* The floor says what the cipher costs, not what memory costs, as long as many keys cost at
 * most this many times one key. */
#define CRYPT_FLOOR_VALID_RATIO 1.4

#endif
