/* One publisher and many subscribers on a lane of the real dataplane, between two ends of
 * an in-memory port: what `tools/bench fanout` measures. Peers, stream and subscriptions
 * are made by the product's own command_apply() from a real vault, each peer with random
 * keys and a path of its own; the publisher's packets are real SRTP with three header
 * extensions, and so are those that leave, with Ethernet, IPv4 and UDP headers. */
#ifndef BENCHMARKS_FANOUT_H
#define BENCHMARKS_FANOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "crypt/crypt.h"
#include "io/io.h"

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

/* What all subscriptions but the first are. */
enum fanout_others {
    FANOUT_SENT,
    FANOUT_PAUSED,
    FANOUT_BELOW /* of layer 0, and sent the first packet: all others are of layer 1 */
};

struct fanout;

/* Starts DPDK (once a process) and opens everything.
 *
 * err  filled, on failure, with one line
 *
 * Returns 0 or a negative errno; after failure nothing is left. */
int fanout_create(struct fanout **out, enum crypt_profile profile, unsigned n_subs,
                  unsigned size, enum fanout_others others, char *err, size_t err_cap);

/* Where subscribers are, if not behind the in-memory port. */
struct fanout_wire {
    struct io_conf io; /* devices[1] is theirs; devices[0] is filled in */
    uint8_t net;       /* first byte of their IPv4 addresses, all different */
    uint8_t mac[6];    /* their link address */
    uint16_t port;     /* of all of them; 0: different ones */
};

/* As fanout_create(), and subscribers are reached by a real device; the publisher's packets
 * still come from memory. GCM. */
int fanout_create_wire(struct fanout **out, const struct fanout_wire *wire, unsigned n_subs,
                       unsigned size, char *err, size_t err_cap);

/* From now on one burst in 'every' is traced, as lanes.trace has it; 0: none. */
void fanout_trace(struct fanout *fanout, unsigned every);

void fanout_destroy(struct fanout *fanout); /* NULL is a no-op */

/* Sends a few packets through and looks at what up to 64 of the subscribers get: outer
 * headers, RTP header, extension block, and the payload as libsrtp2 decrypts it. Returns 0,
 * or -EBADMSG with the first difference in 'err'. */
int fanout_verify(struct fanout *fanout, char *err, size_t err_cap);

/* Sends 'n_packets' (1 to FANOUT_PACKETS_MAX) through all stages.
 *
 * ns      filled: CPU time of this thread a packet and subscription, sent or passed over
 * stages  filled, N_FANOUT_STAGES of them; NULL to measure without looking inside
 *
 * Returns 0, or -EIO with 'err' filled unless every subscriber got every packet that is
 * for it. */
int fanout_round(struct fanout *fanout, unsigned n_packets, double *ns, double *stages,
                 char *err, size_t err_cap);

/* The same packets encrypted as protect does it, and nothing else: CPU time a packet, in
 * nanoseconds. About 'n_packets', to each subscriber in turn. */
double fanout_crypt_round(struct fanout *fanout, unsigned n_packets);

/* What each subscriber costs, in nanoseconds of CPU a second, while nothing is sent: all that
 * a lane does by timer, over 'seconds' of its time, which nobody waits for. */
double fanout_silence(struct fanout *fanout, unsigned seconds);

/* What went out by the device of fanout_create_wire() in one round. */
struct fanout_sent {
    double cpu_ns; /* of this thread, what the kernel does on it included */
    double wall_ns;
    uint64_t sent;
    uint64_t lost; /* the device was full */
};

void fanout_wire_round(struct fanout *fanout, unsigned n_packets, struct fanout_sent *out);

/* Borrowed. */
const struct io *fanout_io(const struct fanout *fanout);

#endif
