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

#include <stdbool.h>

enum crypt_floor_profile { CRYPT_FLOOR_GCM128, CRYPT_FLOOR_CM80 };

struct crypt_floor {
    double ns;         /* a packet, n_keys keys in turn */
    double one_key_ns; /* the same loop with one key: nothing misses the caches */
    bool valid;        /* ns <= 1.4 one_key_ns: it is the cipher's cost, not memory's */
};

/* Measures for some seconds at most; CPU time of the calling thread, the best of 9 runs.
 *
 * n_keys     1 or more
 * size       bytes of the RTP packet before the tag, 13 to 1900
 * n_packets  of one run; 20,000 or more give steady numbers
 *
 * Returns 0, -EINVAL for a number out of range, -ENOMEM, or -ENOTSUP if the CPU lacks what
 * ipsec-mb needs. */
int crypt_floor_measure(enum crypt_floor_profile profile, unsigned n_keys, unsigned size,
                        unsigned n_packets, struct crypt_floor *out);

#endif
