/* A dataplane that moves no media: a thread which serves the real contract (socket, memfds,
 * rings, vault, doorbells), keeps book of what control opens, and answers every command as
 * the book says. Tests inject datagrams and events, and make it misbehave. */
#ifndef SUPPORT_FAKE_DATAPLANE_H
#define SUPPORT_FAKE_DATAPLANE_H

#include <stdbool.h>

#include "sfu/abi/abi.h"

struct fake_dp;

enum { FAKE_DP_BLOCKS = 1 << 20 };

/* What is wrong with the welcome or with what comes with it. */
enum fake_dp_flaw {
    FAKE_DP_FINE,
    FAKE_DP_MUTE,          /* never answers the greeting */
    FAKE_DP_BUSY,          /* status -EBUSY with a reason */
    FAKE_DP_OTHER_VERSION, /* of the welcome */
    FAKE_DP_OTHER_MAGIC,
    FAKE_DP_SHORT_WELCOME,
    FAKE_DP_FEW_FDS,
    FAKE_DP_UNSEALED,
    FAKE_DP_OTHER_SIZES,
    FAKE_DP_HUGE_COUNTS,
    FAKE_DP_SHORT_MEMORY, /* than its counts say */
    FAKE_DP_BAD_RING,
    FAKE_DP_BAD_DEVICE, /* more addresses than there is room for */
    FAKE_DP_BAD_VAULT,
    N_FAKE_DP_FLAWS
};

struct fake_dp_conf {
    const char *socket;
    uint32_t n_lanes, n_peers, n_streams, n_subs; /* 0: 1, 8, 8, 16 */
    enum fake_dp_flaw flaw;
};

struct fake_dp_cmd {
    uint32_t op, arg;
    int32_t status; /* of the answer */
    uint64_t handle;
};

struct fake_dp *fake_dp_start(const struct fake_dp_conf *conf);

/* Ends it as a crash would: sockets and mappings just go. */
void fake_dp_kill(struct fake_dp *dp);

/* Closes the connection to control; the next one finds the same memory. */
void fake_dp_hang_up(struct fake_dp *dp);

/* While held, commands stay in the rings. */
void fake_dp_hold(struct fake_dp *dp, bool hold);

/* From now on commands of kind 'op' fail with 'status'; 0 ends that. */
void fake_dp_fail(struct fake_dp *dp, enum abi_op op, int status);

/* Commands so far, and the i-th of them. */
size_t fake_dp_n_cmds(struct fake_dp *dp);
struct fake_dp_cmd fake_dp_cmd(struct fake_dp *dp, size_t i);

/* Objects that are open now. */
unsigned fake_dp_n_open(struct fake_dp *dp, char kind); /* 'p', 's' or 'u' (sub) */

/* Puts an event, a datagram, or a packet that is watched, into the ring of lane 0 and wakes
 * control. The last two are put by the caller's thread, which must be the only one to do so. */
void fake_dp_event(struct fake_dp *dp, const struct abi_evt *evt);
bool fake_dp_punt(struct fake_dp *dp, const struct abi_datagram *datagram);
bool fake_dp_capture(struct fake_dp *dp, const struct abi_captured *packet);

/* Takes a datagram that control sent. Only from one thread. */
bool fake_dp_take_sent(struct fake_dp *dp, struct abi_datagram *out);

/* The vault and the statistics as the dataplane sees them; mind the thread. */
struct vault *fake_dp_vault(struct fake_dp *dp);
/* The stream rings: their header, taps of nobody, and FAKE_DP_BLOCKS bytes for the test. */
void *fake_dp_streams(struct fake_dp *dp);
int fake_dp_vault_fd(struct fake_dp *dp); /* of its memory: for the caller to close */
struct abi_lane_stats *fake_dp_lane_stats(struct fake_dp *dp, uint32_t lane);
struct abi_lane_trace *fake_dp_lane_trace(struct fake_dp *dp);
struct abi_peer_stats *fake_dp_peer_stats(struct fake_dp *dp);
struct abi_stream_stats *fake_dp_stream_stats(struct fake_dp *dp);
struct abi_sub_stats *fake_dp_sub_stats(struct fake_dp *dp);

#endif
