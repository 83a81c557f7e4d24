/* THE contract between kcs-control and kcs-dataplane: how they meet and what lies in the
 * memory that they share. Fixed-width integers only; sizes are static-asserted; every
 * '_pad' is 0.
 *
 * The dataplane listens on a Unix SOCK_SEQPACKET socket. Control connects and sends one
 * abi_hello; the dataplane answers one abi_welcome. When 'status' is 0 it carries, as
 * SCM_RIGHTS in this order: the contract memfd, the vault memfd, the memfd of the stream
 * rings (base/tap.h; nobody but the dataplane can map it to write), control's doorbell
 * (eventfd, the dataplane writes), then one doorbell a lane (eventfd, control writes). The
 * socket stays open for as long as they are attached: its end is the news of the other's
 * death. One control at a time; a second is answered -EBUSY. All memfds carry
 * F_SEAL_SHRINK and F_SEAL_GROW: a mapping that shrinks kills its reader, so control
 * refuses others.
 *
 * Recovery: a dataplane keeps its objects while no control is attached; the next control
 * finds them in the vault. A control that outlived a dataplane sends the vault with its
 * hello, after it has seen (pidfd) that the old dataplane is dead; a dataplane that never
 * had a control takes it and hands the same memory back with the welcome. In both cases,
 * before it answers, the dataplane empties the rings, closes objects whose records are gone
 * and opens records without an object, going on with their live words. Control then sends
 * an UPDATE for each record: an error tells it that this object could not be had.
 *
 * Sleeping: a side that is about to sleep stores its flag of each lane (abi_lane), then a
 * full fence, and looks at its rings once more; one that has put something in a ring makes
 * a full fence and rings the other's doorbell if that flag is set. Control's flag is set
 * whenever it is not reading its rings.
 *
 * The contract memfd is {abi_shm, then for each lane its rings and statistics, then the
 * object statistics}; abi_layout() computes every offset from the counts, and the side that
 * attaches checks that the header holds the same numbers. Both sides validate what the
 * other wrote: a bad command is answered with an error, never trusted.
 *
 * Neighbours: cmd.h, evt.h (messages), capture.h (packets that are watched), stats.h
 * (counters), trace.h (what stages took), vault.h (what survives). */
#ifndef SFU_ABI_ABI_H
#define SFU_ABI_ABI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/abi/capture.h"
#include "sfu/abi/cmd.h"
#include "sfu/abi/evt.h"
#include "sfu/abi/stats.h"
#include "sfu/abi/trace.h"
#include "sfu/abi/vault.h"
#include "sfu/base/ring.h"
#include "sfu/base/tap.h"

#define ABI_MAGIC 0x3153434bu /* "KCS1" */

enum {
    ABI_VERSION = 10,
    ABI_FIXED_FDS = 4, /* that come with a welcome, before those of the lanes */
    ABI_MAX_LANES = 64,
    ABI_MAX_DEVICES = 8,
    ABI_MAX_ADDRS = 8,
    ABI_CMD_SLOTS = 4096,
    ABI_EVT_SLOTS = 8192,
    ABI_PUNT_SLOTS = 1024,
    ABI_LINE = 64
};

/* Sizes that both sides must agree on; a mismatch is refused by name. */
struct abi_sizes {
    uint32_t shm, cmd, evt, datagram, lane_stats, peer_stats, stream_stats, sub_stats;
    uint32_t vault_peer, vault_stream, vault_sub, captured, lane_trace;
};

static inline struct abi_sizes abi_sizes_here(void);

struct abi_hello {
    uint32_t magic;
    uint32_t version;
    uint32_t pid;
    uint32_t
        has_vault; /* 1: a descriptor comes along, the vault of a dataplane that died */
    struct abi_sizes sizes;
};

struct abi_welcome {
    uint32_t magic;
    uint32_t version;
    int32_t status; /* 0 or -errno: -EBUSY a control is attached, -EPROTO versions differ */
    uint32_t pid;   /* of the dataplane */
    uint32_t n_lanes;
    uint32_t _pad;
    char reason[104]; /* one line, NUL-terminated, when status is not 0 */
};

/* A device as far as ICE candidates are concerned. */
struct abi_addr {
    uint8_t ip[16];        /* IPv4 mapped */
    uint8_t public_ip[16]; /* what to announce (media.announce), else equal to ip */
    uint16_t public_port;
    uint8_t family; /* 4 or 6 */
    uint8_t _pad[5];
};

enum abi_device_state {
    ABI_DEVICE_WORKS = 0,
    ABI_DEVICE_DOWN = 1, /* works again when its interface is up */
    ABI_DEVICE_GONE = 2  /* until the dataplane is started again */
};

struct abi_device {
    char kind[16]; /* "veth", "af_xdp", "udp" */
    char name[32]; /* interface, or empty */
    uint8_t mac[6];
    uint16_t port;       /* the media port, host order */
    uint16_t preference; /* ICE local preference (RFC 8445, 5.1.2.1) */
    uint16_t n_addrs;
    uint32_t state; /* enum abi_device_state: the only word of it that changes */
    struct abi_addr addrs[ABI_MAX_ADDRS];
};

/* A STUN or DTLS datagram: punted to control with where it came from, or sent by control.
 */
struct abi_datagram {
    uint64_t time_us; /* CLOCK_MONOTONIC at reception; 0 when sent by control */
    uint64_t peer;    /* handle of the peer whose validated path this is, or 0 */
    struct path path;
    uint16_t len;
    uint8_t kind;    /* enum abi_datagram_kind */
    uint8_t rx_lane; /* the lane that received it; 0 when sent by control */
    uint8_t data[1528];
};

enum abi_datagram_kind { ABI_DATAGRAM_STUN = 1, ABI_DATAGRAM_DTLS = 2 };

_Static_assert(sizeof(struct abi_datagram) == 1592, "punt slot");

/* Per lane, before its rings. Who goes to sleep sets its word; who rings clears it. */
struct abi_lane {
    _Alignas(64) _Atomic uint32_t dp_sleeping; /* the lane sleeps: ring its doorbell */
    uint32_t _pad0[15];
    _Alignas(64) _Atomic uint32_t ctl_sleeping; /* control sleeps: ring its doorbell */
    uint32_t _pad1[15];
};

/* Takes a side's word. Returns true if it sleeps: its doorbell is to be rung, once a sleep. A
 * full fence must lie between what was written for it and this. */
static inline bool abi_take_sleeper(_Atomic uint32_t *sleeping)
{
    /* looked at first: it is seldom set, and taking it moves its line */
    return atomic_load_explicit(sleeping, memory_order_relaxed) != 0 &&
           atomic_exchange(sleeping, 0) != 0;
}

struct abi_shm {
    uint32_t magic;
    uint32_t version;
    struct abi_sizes sizes;
    uint32_t n_lanes;
    uint32_t n_devices;
    uint32_t n_peers; /* capacities: handle indexes are below these */
    uint32_t n_streams;
    uint32_t n_subs;
    uint32_t pid;
    uint32_t _pad;
    uint64_t started_us;
    uint64_t bytes; /* of the whole memfd */
    uint32_t n_drops;
    uint32_t n_dones;
    uint64_t cycles_per_s; /* of all that is counted in cycles */
    uint32_t trace_every;  /* one burst in so many is traced; 0: none */
    uint32_t n_traces;
    char backend[16];                   /* SRTP backend in use */
    char devices_note[512];             /* what `auto` chose and why */
    char drop_names[ABI_MAX_DROPS][24]; /* names of the counters in abi_lane_stats */
    char done_names[ABI_MAX_DONES][24];
    char trace_names[ABI_MAX_TRACES][24]; /* of stages, in abi_lane_trace */
    struct abi_device devices[ABI_MAX_DEVICES];
};

/* Where everything lies in the contract memfd. */
struct abi_layout {
    size_t lane[ABI_MAX_LANES]; /* struct abi_lane */
    size_t cmd[ABI_MAX_LANES];
    size_t evt[ABI_MAX_LANES];
    size_t punt_in[ABI_MAX_LANES];  /* dataplane -> control */
    size_t punt_out[ABI_MAX_LANES]; /* control -> dataplane */
    size_t captured[ABI_MAX_LANES]; /* dataplane -> control */
    size_t lane_stats[ABI_MAX_LANES];
    size_t lane_trace[ABI_MAX_LANES];
    size_t peer_stats;
    size_t stream_stats;
    size_t sub_stats;
    size_t bytes;
};

static inline size_t abi_take_(size_t *at, size_t bytes)
{
    size_t here = *at;

    *at = (here + bytes + ABI_LINE - 1) & ~(size_t)(ABI_LINE - 1);
    return here;
}

static inline struct abi_layout abi_layout(uint32_t n_lanes, uint32_t n_peers,
                                           uint32_t n_streams, uint32_t n_subs)
{
    struct abi_layout l = {.bytes = 0};
    size_t at = 0;

    (void)abi_take_(&at, sizeof(struct abi_shm));
    for (uint32_t i = 0; i < n_lanes && i < ABI_MAX_LANES; i++) {
        l.lane[i] = abi_take_(&at, sizeof(struct abi_lane));
        l.cmd[i] = abi_take_(&at, ring_bytes(ABI_CMD_SLOTS, sizeof(struct abi_cmd)));
        l.evt[i] = abi_take_(&at, ring_bytes(ABI_EVT_SLOTS, sizeof(struct abi_evt)));
        l.punt_in[i] =
            abi_take_(&at, ring_bytes(ABI_PUNT_SLOTS, sizeof(struct abi_datagram)));
        l.punt_out[i] =
            abi_take_(&at, ring_bytes(ABI_PUNT_SLOTS, sizeof(struct abi_datagram)));
        l.captured[i] =
            abi_take_(&at, ring_bytes(ABI_CAPTURE_SLOTS, sizeof(struct abi_captured)));
        l.lane_stats[i] = abi_take_(&at, sizeof(struct abi_lane_stats));
        l.lane_trace[i] = abi_take_(&at, sizeof(struct abi_lane_trace));
    }
    l.peer_stats = abi_take_(&at, (size_t)n_peers * sizeof(struct abi_peer_stats));
    l.stream_stats = abi_take_(&at, (size_t)n_streams * sizeof(struct abi_stream_stats));
    l.sub_stats = abi_take_(&at, (size_t)n_subs * sizeof(struct abi_sub_stats));
    l.bytes = at;
    return l;
}

static inline struct abi_sizes abi_sizes_here(void)
{
    return (struct abi_sizes){
        .shm = sizeof(struct abi_shm),
        .cmd = sizeof(struct abi_cmd),
        .evt = sizeof(struct abi_evt),
        .datagram = sizeof(struct abi_datagram),
        .lane_stats = sizeof(struct abi_lane_stats),
        .peer_stats = sizeof(struct abi_peer_stats),
        .stream_stats = sizeof(struct abi_stream_stats),
        .sub_stats = sizeof(struct abi_sub_stats),
        .vault_peer = sizeof(struct vault_peer),
        .vault_stream = sizeof(struct vault_stream),
        .vault_sub = sizeof(struct vault_sub),
        .captured = sizeof(struct abi_captured),
        .lane_trace = sizeof(struct abi_lane_trace),
    };
}

#endif
