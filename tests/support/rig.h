/* A dataplane without threads for the stage tests: one lane on memory devices, with a real
 * packet pool, real tables, a real vault and real keys, driven by hand in virtual time.
 * What it sends is kept; at the end it must have given everything back.
 *
 * One at a time: DPDK starts once a process. Include cmocka.h before. */
#ifndef TESTS_SUPPORT_RIG_H
#define TESTS_SUPPORT_RIG_H

#include "io/port_mem.h"
#include "worker/command.h"
#include "worker/pipeline.h"
#include "worker/shared.h"

enum {
    RIG_PEERS = 160,
    RIG_STREAMS = 40,
    RIG_SUBS = 512,
    RIG_BUFFERS = 1023,
    RIG_FRAMES = 16384, /* kept; more fail the test */
    RIG_INPUTS = 512,   /* that wait for rig_ingress() */
    RIG_PUNTS = 64,
    RIG_PORT = 7000
};
#define RIG_START_US UINT64_C(5000000000)

struct rig_frame {
    struct path to;
    uint16_t len;
    uint8_t data[PKT_ROOM];
};

struct rig_input {
    uint16_t len;
    uint8_t data[PKT_ROOM];
};

struct rig {
    struct lane lane; /* first: it wants its alignment */
    struct pipeline pipe;
    struct io *io;
    struct shared shared;
    struct tables tables;
    void *memory; /* of the tables */
    uint32_t gen; /* of the last handle given out */
    uint64_t n_injected;

    struct rig_frame *frames; /* what was sent */
    uint32_t n_frames;
    struct abi_datagram punted[RIG_PUNTS];
    uint32_t n_punted;
    bool punt_full; /* control's ring is full */

    /* Several lanes on threads take their commands elsewhere (lanes.h); NULL: the lane
     * above. */
    int (*command)(struct rig *rig, uint32_t op, uint64_t handle);

    uint32_t n_inputs;
    struct port_mem_packet packets[RIG_INPUTS];
    struct rig_input inputs[RIG_INPUTS];
};

/* device  "mem" (as udp: no headers) or "mem:eth" (as AF_XDP) */
struct rig *rig_start(const char *device);

/* Whether "mem" likes runs, as udp does: with KCS_TEST_RUNS in the environment, with which the
 * gate has these tests once more. */
bool rig_mem_likes_runs(void);

/* What io_create() is given for it. */
const char *rig_device(const char *device);

/* The same with the SRTP backend of the caller's choice; rig_start() takes ipsec-mb. */
struct rig *rig_start_on(const char *device, enum crypt_backend backend);

/* Closes everything and asserts that all came back (rig_check), that every buffer and every
 * byte of the rings is free, and that nothing is open. */
void rig_stop(struct rig *rig);

/* Asserts that frames in = answered + ignored + done + drops of ingress, and that nobody is
 * passed over who has not promised to need nothing (table/sublist.h). */
void rig_check(const struct rig *rig);

/* Queues a datagram from 'from'; rig_ingress() takes all of them through the stages up to
 * the rings, rig_egress() from the rings to the device. */
void rig_inject(struct rig *rig, const struct path *from, const void *data, size_t len);
void rig_ingress(struct rig *rig);
void rig_egress(struct rig *rig);

/* Both, then the RTCP that is due. */
void rig_run(struct rig *rig);

/* Lets 'us' pass in steps of 10 ms, running at each. */
void rig_pass(struct rig *rig, uint64_t us);

/* A command as control would send it. Returns the status of its answer. */
int rig_command(struct rig *rig, uint32_t op, uint64_t handle);

/* A handle of the table's slot 'index' that never was. */
uint64_t rig_handle(struct rig *rig, uint32_t index);

/* Commit a record and send the command; return its status. 'conf' needs a handle. */
int rig_peer(struct rig *rig, uint32_t op, const struct vault_peer_conf *conf);
int rig_stream(struct rig *rig, uint32_t op, const struct vault_stream_conf *conf);
int rig_sub(struct rig *rig, uint32_t op, const struct vault_sub_conf *conf);

static inline uint64_t rig_dropped(const struct rig *rig, enum drop_reason reason)
{
    return rig->lane.counts.drops_in[reason];
}

static inline uint64_t rig_done(const struct rig *rig, enum done_kind kind)
{
    return rig->lane.counts.done[kind];
}

/* All drops of ingress, or of egress. */
uint64_t rig_drops_in(const struct rig *rig);
uint64_t rig_drops_out(const struct rig *rig);

/* Takes every buffer of the pool but 'n'. Returns how many; rig_release gives them back. */
uint32_t rig_exhaust(struct rig *rig, uint32_t n, struct pkt **held);
void rig_release(struct rig *rig, struct pkt **held, uint32_t n_held);

#endif
