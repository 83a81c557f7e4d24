/* Counters that a lane publishes and control reads: per lane under a seqlock (so that the
 * sums of one reading are exact), per object as plain words with one writer.
 *
 * 'frames_in' = every frame or datagram taken from a device. For each lane
 *     frames_in + handed_in = answered + ignored + sum(done) + sum(drops of ingress)
 *                             + handed_out + what waits for a peer that moves
 * and egress is counted apart: tx_packets, and the drops of the kinds overrun, protect,
 * no_buffer and tx_full. */
#ifndef SFU_ABI_STATS_H
#define SFU_ABI_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { ABI_MAX_DROPS = 48, ABI_MAX_DONES = 8 };

struct abi_lane_counts {
    uint64_t frames_in;
    uint64_t answered; /* ARP, NDP, ping: answered by io/ */
    uint64_t ignored;  /* not a datagram to the media port */
    uint64_t rx_packets;
    uint64_t rx_bytes; /* UDP payload */
    uint64_t tx_packets;
    uint64_t tx_bytes;
    uint64_t forwards; /* media packets sent to subscribers */
    uint64_t rtcp_out;
    uint64_t datagrams_out; /* sent for control */
    uint64_t loops;
    uint64_t busy_loops; /* that moved at least one packet */
    uint64_t busy_cycles; /* in these; abi_shm.cycles_per_s a second */
    uint64_t cycles;      /* since the lane's first turn, asleep or not */
    /* of the last whole second: cycles, those of busy turns, packets in and out */
    uint64_t recent_cycles, recent_busy_cycles, recent_packets;
    uint64_t sleeps;
    uint64_t peers, streams, subs;        /* open now */
    uint64_t buffers_free, buffers_total; /* of the packet pool */
    uint64_t ring_bytes_used;             /* of the stream rings' budget; lane 0 says */
    uint64_t handed_out, handed_in;       /* packets of peers, to and from other lanes */
    uint64_t handed_tx;                   /* frames given to the lane of their device */
    uint64_t padding_packets, padding_bytes; /* of probes, in tx_packets too */
    uint64_t resent;                      /* retransmissions sent to subscribers */
    uint64_t paced; /* times that video waited for the pacer */
    uint64_t udp6_sums; /* of tx_packets: UDP checksums of IPv6 that the CPU computed */
    uint64_t drops_in[ABI_MAX_DROPS];     /* by enum drop_reason */
    uint64_t drops_out[ABI_MAX_DROPS];
    uint64_t done[ABI_MAX_DONES];
};

/* How busy the lane was in the last whole second, in permille; 0 before there was one. */
static inline uint64_t abi_lane_busy(const struct abi_lane_counts *c)
{
    return c->recent_cycles != 0 ? c->recent_busy_cycles * 1000 / c->recent_cycles : 0;
}

struct abi_lane_stats {
    _Alignas(64) _Atomic uint32_t seq; /* odd while the lane writes */
    uint32_t _pad;
    uint64_t updated_us;
    struct abi_lane_counts counts;
};

struct abi_peer_stats {
    uint64_t handle; /* of whom these are; 0: nobody */
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
    uint64_t last_check_us; /* last valid consent check */
    uint32_t remb_bps;      /* last REMB from this peer, 0 none */
    uint32_t twcc_reports;  /* transport-cc feedback packets parsed from this peer */
    uint32_t twcc_lost;     /* packets it reported missing */
    uint32_t rtt_us;        /* by its reports, plain or extended; 0 unknown */
    uint32_t available_bps; /* what its link carries, 0 unknown */
    uint32_t wanted_bps;    /* what it could make use of */
    uint32_t queue_us;      /* how long packets wait in its link's queue */
    uint32_t _pad;
    uint64_t probes, padding_packets, padding_bytes;
    uint64_t twcc_unknown; /* numbers reported that were never sent, or long ago */
    uint64_t twcc_ignored; /* feedback packets beyond what one peer may cost */
};

struct abi_stream_stats {
    uint64_t handle;
    uint64_t packets, bytes; /* that reached the ring */
    uint64_t lost;           /* by RFC 3550, A.3 */
    uint64_t keyframes;
    uint64_t pli_sent;  /* key frame requests that went to the publisher */
    uint64_t pli_asked; /* by subscribers and control, before merging */
    uint64_t nacked;    /* numbers that the publisher was asked for again */
    uint64_t repaired;  /* packets that came as retransmissions */
    uint32_t ssrc;
    uint32_t jitter_us;
    uint32_t subs;
    uint32_t _pad;
};

struct abi_sub_stats {
    uint64_t handle;
    uint64_t packets, bytes; /* sent */
    uint64_t skipped;        /* not sent: overrun, no buffer, device full */
    uint64_t nacks;          /* numbers asked for again */
    uint64_t nacks_ignored;  /* of these: never sent, forgotten, asked twice, or too many */
    uint64_t keyframes_ignored; /* requests of it for key frames that were too many */
    uint64_t rtx_packets, rtx_bytes; /* sent again */
    uint32_t lost;           /* from the subscriber's receiver reports */
    uint32_t jitter_us;
    uint32_t rtt_us;
    uint32_t fraction_lost; /* of 256 */
    uint32_t held; /* 1: not sent, for its link does not carry it now */
    uint32_t _pad;
};

/* Copies counters word by word, so that each is whole even while its writer stores it, and
 * so that the compiler knows of the other side. 'n' is in bytes, a multiple of 8. */
static inline void abi_words_copy(void *to, const void *from, size_t n)
{
    uint64_t *out = (uint64_t *)to;
    const uint64_t *in = (const uint64_t *)from;

    for (size_t i = 0; i < n / sizeof(*in); i++) {
        __atomic_store_n(&out[i], __atomic_load_n(&in[i], __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
    }
}

_Static_assert(sizeof(struct abi_lane_counts) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct abi_peer_stats) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct abi_stream_stats) % 8 == 0, "copied by words");
_Static_assert(sizeof(struct abi_sub_stats) % 8 == 0, "copied by words");

/* Copies a consistent reading to 'out'. Returns 0, or -1 if the lane was caught writing
 * (or died writing) for 'tries' tries; 'out' then holds the last, perhaps torn, copy. */
static inline int abi_lane_stats_read(const struct abi_lane_stats *s, unsigned tries,
                                      struct abi_lane_counts *out)
{
    while (tries-- > 0) {
        uint32_t before = atomic_load_explicit(&s->seq, memory_order_acquire);

        abi_words_copy(out, &s->counts, sizeof(*out));
        atomic_thread_fence(memory_order_acquire);
        if ((before & 1) == 0 &&
            atomic_load_explicit(&s->seq, memory_order_relaxed) == before) {
            return 0;
        }
    }
    return -1;
}

/* Publishes 'counts'. Thread: the lane. */
static inline void abi_lane_stats_write(struct abi_lane_stats *s,
                                        const struct abi_lane_counts *counts,
                                        uint64_t now_us)
{
    uint32_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed);

    atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    abi_words_copy(&s->counts, counts, sizeof(*counts));
    __atomic_store_n(&s->updated_us, now_us, __ATOMIC_RELAXED);
    atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
}

#endif
