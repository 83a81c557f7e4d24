/* One publisher and many subscribers on a lane of the real dataplane, between two ends of
 * an in-memory port: what `tools/bench fanout` measures. Peers, stream and subscriptions
 * are made by the product's own command_apply() from a real vault, each peer with random
 * keys and a path of its own; the publisher's packets are real SRTP with three header
 * extensions, and so are those that leave, with Ethernet, IPv4 and UDP headers. */
#ifndef BENCHMARKS_FANOUT_H
#define BENCHMARKS_FANOUT_H

#include <stddef.h>

#include "crypt/crypt.h"

enum {
    FANOUT_SUBS_MAX = 50000,
    FANOUT_SIZE_MIN = 64, /* of the RTP packet, header included, before the tag */
    FANOUT_SIZE_MAX = 1400,
    FANOUT_PACKETS_MAX = 4096 /* of one round */
};

/* Where the time of one round went, in nanoseconds a forwarded packet. */
enum fanout_stage {
    FANOUT_INGRESS, /* rx, classify, unprotect, ingest, spread */
    FANOUT_ROUTE,
    FANOUT_REWRITE,
    FANOUT_PROTECT,
    FANOUT_TX,
    N_FANOUT_STAGES
};

struct fanout;

/* Starts DPDK (once a process) and opens everything.
 *
 * err  filled, on failure, with one line
 *
 * Returns 0 or a negative errno; after failure nothing is left. */
int fanout_create(struct fanout **out, enum crypt_profile profile, unsigned n_subs,
                  unsigned size, char *err, size_t err_cap);
void fanout_destroy(struct fanout *fanout); /* NULL is a no-op */

/* Sends a few packets through and looks at what up to 64 of the subscribers get: outer
 * headers, RTP header, extension block, and the payload as libsrtp2 decrypts it. Returns 0,
 * or -EBADMSG with the first difference in 'err'. */
int fanout_verify(struct fanout *fanout, char *err, size_t err_cap);

/* Sends 'n_packets' (1 to FANOUT_PACKETS_MAX) through all stages.
 *
 * ns      filled: CPU time of this thread a forwarded packet
 * stages  filled, N_FANOUT_STAGES of them; NULL to measure without looking inside
 *
 * Returns 0, or -EIO with 'err' filled unless every subscriber got every packet. */
int fanout_round(struct fanout *fanout, unsigned n_packets, double *ns, double *stages,
                 char *err, size_t err_cap);

#endif
