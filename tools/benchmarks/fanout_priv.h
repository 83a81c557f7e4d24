/* What fanout.c and fanout_feedback.c share. Peer 0 publishes; subscriber i is peer i + 1
 * and subscription i. */
#ifndef BENCHMARKS_FANOUT_PRIV_H
#define BENCHMARKS_FANOUT_PRIV_H

#include "benchmarks/fanout.h"
#include "benchmarks/fanout_feedback.h"
#include "io/port_mem.h"
#include "worker/pipeline.h"
#include "worker/shared.h"
#include "worker/worker.h"

enum {
    SSRC_IN = 0x50000001,
    SSRC_OUT = 0x60000000, /* of subscription 0 */
    PT_IN = 96,
    PT_OUT = 101,
    HDR_LEN = 28, /* fixed header, and three extensions in 16 bytes */
    OUTER_LEN = 42,
    PACKET_BYTES = 1536,
    RING_BYTES = 4 << 20,
    LOOP_BURSTS = 32, /* of fan-out in one turn of the product's loop */
    SAMPLE_MAX = 64,  /* subscribers whose packets are looked at */
    VERIFY_PACKETS = 8,
    FIRST_INDEX = 1000,
    LAYERS_LEN = 6 /* of a payload descriptor that tells of them */
};

struct fanout {
    struct lane lane;
    struct pipeline pipe;
    struct io *io;
    struct shared shared;
    struct tables tables;
    void *memory; /* of the tables */
    size_t memory_bytes;
    unsigned n_subs, size;
    enum crypt_profile profile;
    enum fanout_others others;
    uint64_t next; /* publisher's next index */
    struct crypt_ctx *publisher;
    struct crypt_key publisher_key;
    struct port_mem_packet packets[FANOUT_PACKETS_MAX];
    uint8_t bytes[FANOUT_PACKETS_MAX][PACKET_BYTES];
    uint8_t noise[PACKET_BYTES];
    bool shared_open;
    struct fanout_wire wire;          /* with a device 1, or all zero */
    uint8_t out;                      /* device of the subscribers */
    struct fanout_feedback *feedback; /* NULL: none comes */
};

/* Where a peer is. */
struct path fanout_peer_path(const struct fanout *fanout, uint32_t peer);

#endif
