/* The vault: a sealed memfd mapped by both processes that holds the state which must
 * survive either of them. It is not a copy of the state, it is the state: control writes
 * what an object is to be (conf), the dataplane what it did (live), and each word has one
 * writer.
 *
 * Commit order of a conf: it has two copies; the writer fills the one that is not current
 * and then stores 'commit' + 1 with release order. The current copy is commit & 1, and
 * commit 0 means never written. A writer killed at any instruction leaves the old or the
 * new conf, never a mixture. A freed record is committed with handle 0 and its other copy
 * is wiped, so that keys do not outlive their peer.
 *
 * The live words are 64-bit and each is stored whole: the next outgoing index is stored
 * before the encryption that uses it, so that a successor never reuses one.
 *
 * Locked, not dumped (MADV_DONTDUMP), wiped on close. Keys stand nowhere else. */
#ifndef SFU_ABI_VAULT_H
#define SFU_ABI_VAULT_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sfu/abi/media.h"
#include "sfu/base/path.h"

#define VAULT_MAGIC 0x31544c56u /* "VLT1" */

enum {
    VAULT_VERSION = 9,
    VAULT_PATHS = 4,
    VAULT_RX_SSRCS = 32, /* SSRCs that one peer may send */
    VAULT_UFRAG_MAX = 32,
    VAULT_PWD_MAX = 64,
    VAULT_MID_MAX = 16,
    VAULT_RID_MAX = 16,
    VAULT_CNAME_MAX = 40,
    VAULT_KEY_MAX = 32,
    VAULT_SALT_MAX = 16,
    VAULT_BLOB_MAX = 640,
    VAULT_SUB_BLOB_MAX = 232, /* of a subscription, of which there are many */
    VAULT_ANSWERED = 256, /* words of base/txids: 1,024 checks, 40 min of a browser's */
    VAULT_JUDGED = 64,    /* 256 checks: those of new paths, and of paths kept in reserve */
    VAULT_SUB_HIGHER = 2, /* streams of a subscription beside its first */
    VAULT_LAYER_ANY = 255 /* as many layers as there are */
};

/* A record without a blob is nobody's: a control that finds one in the vault closes it. So
 * is one that is being closed. */
struct vault_blob {
    uint32_t len;
    uint32_t _pad;
    uint8_t data[VAULT_BLOB_MAX]; /* control's own; opaque to the dataplane */
};

struct vault_sub_blob {
    uint32_t len;
    uint32_t _pad;
    uint8_t data[VAULT_SUB_BLOB_MAX];
};

struct vault_peer_conf {
    uint64_t handle;  /* 0: the record is free */
    uint32_t profile; /* enum abi_srtp_profile; 0: no keys yet */
    uint8_t n_paths;
    uint8_t selected; /* index in paths; n_paths when none is selected yet */
    uint8_t ufrag_len, pwd_len;
    uint8_t ufrag[VAULT_UFRAG_MAX]; /* ours; a check names us as "ufrag:theirs" */
    uint8_t pwd[VAULT_PWD_MAX];     /* ours; keys MESSAGE-INTEGRITY of checks to us */
    uint8_t rx_key[VAULT_KEY_MAX], tx_key[VAULT_KEY_MAX];
    uint8_t rx_salt[VAULT_SALT_MAX], tx_salt[VAULT_SALT_MAX];
    uint8_t probator;       /* 1: it takes probes under an SSRC of their own */
    uint8_t next_ufrag_len; /* 0: no ICE restart is under way */
    uint8_t _pad[6];
    uint8_t next_ufrag[VAULT_UFRAG_MAX]; /* ours when the restart is done */
    struct path paths[VAULT_PATHS];      /* validated by an authenticated check */
    struct vault_blob blob;
};

/* Receive state of one SSRC (RFC 3711, 3.3): index and replay window. */
struct vault_rx {
    uint64_t highest; /* SRTP: 48-bit index; SRTCP: 31-bit index */
    uint64_t window[2];
    uint32_t ssrc;
    uint32_t started; /* 0 until the first authenticated packet */
};

struct vault_peer_live {
    uint64_t last_check_us;   /* CLOCK_MONOTONIC */
    uint64_t rtcp_next_index; /* SRTCP, all our SSRCs share it */
    uint64_t twcc_next; /* transport-wide numbers below may have been sent (in blocks) */
    uint64_t lane;      /* that it belongs to */
    struct vault_rx rx[VAULT_RX_SSRCS];
    struct vault_rx rx_rtcp[VAULT_RX_SSRCS];
    uint64_t probe_next_index;   /* of the probes' SSRC, stored before use */
    uint64_t last_nomination_us; /* the last check that nominated the selected path */
    /* by path: when SRTP or SRTCP that is authentic, and no replay, came by it last */
    uint64_t heard_us[VAULT_PATHS];
    uint64_t answered[VAULT_ANSWERED]; /* checks that the dataplane has answered */
    uint64_t judged[VAULT_JUDGED];     /* those that control has: its own words */
};

struct vault_stream_conf {
    uint64_t handle;
    uint64_t peer; /* publisher */
    uint32_t clock_hz;
    uint32_t ssrc;     /* 0: bound by MID and RID */
    uint32_t rtx_ssrc; /* 0: none, or bound by repaired RID */
    uint8_t kind;      /* enum abi_kind */
    uint8_t codec;     /* enum abi_codec */
    uint8_t paused;
    uint8_t pt;     /* the publisher's payload type */
    uint8_t rtx_pt; /* the publisher's; 0 none */
    uint8_t mid_len, rid_len;
    uint8_t gate; /* audio: enum abi_gate */
    uint8_t mid[VAULT_MID_MAX];
    uint8_t rid[VAULT_RID_MAX];
    uint8_t ext_id[N_ABI_EXTS]; /* by enum abi_ext: the publisher's id, 0 not used */
    uint8_t nack; /* audio: the publisher answers Generic NACKs (RFC 4585); video always */
    uint8_t remb; /* the publisher follows REMB; used if it does not number its packets */
    uint16_t room; /* of the same one share what there is with other rooms; 0 not told */
    struct vault_blob blob;
};

struct vault_stream_live {
    uint64_t ssrc;     /* bound */
    uint64_t rtx_ssrc; /* bound */
    uint64_t audio;    /* abi_audio(): how loud it is, by its last 100 ms; 0 not told */
};

struct vault_sub_conf {
    uint64_t handle;
    uint64_t stream;                   /* of the lowest layer, or the only one */
    uint64_t higher[VAULT_SUB_HIGHER]; /* of the layers above it, ascending; 0 none */
    uint64_t peer;                     /* subscriber */
    uint32_t ssrc; /* never one of this peer before: its indexes begin anew */
    uint32_t rtx_ssrc;
    uint8_t pt; /* the router's */
    uint8_t rtx_pt;
    uint8_t paused;
    uint8_t mid_len;
    uint8_t mid[VAULT_MID_MAX];
    uint8_t ext_id[N_ABI_EXTS]; /* by enum abi_ext: the subscriber's id, 0 not negotiated */
    uint8_t cname_len;
    uint8_t layered;  /* 1: its packets may be left out, and its streams may change */
    uint8_t spatial;  /* the layers wished for; VAULT_LAYER_ANY */
    uint8_t temporal; /* likewise */
    uint8_t priority; /* its share when there is not enough for all: 1 … 255, 0 as 1 */
    uint8_t screen;   /* 1: a screen: detail over motion */
    uint8_t _pad[2];
    uint32_t area; /* pixels it is shown with: of equals the larger first; 0 unknown */
    char cname[VAULT_CNAME_MAX];
    struct vault_sub_blob blob;
};

/* Apart from the records: a packet sent to a subscriber touches its index, and those of
 * many thousand that are dense lie on few pages. A line each, as lanes write them at once.
 */
struct vault_sub_live {
    _Alignas(64) uint64_t
        next_index;          /* outgoing SRTP index (ROC << 16 | SEQ), stored before use */
    uint64_t rtx_next_index; /* the same of its retransmissions */
    uint64_t seq_offset;     /* outgoing = source - offset, modulo 2^64 */

    /* of one that is layered: what it was sent last, so that a successor goes on from it */
    uint64_t last_us;  /* when (CLOCK_MONOTONIC); 0 nothing yet */
    uint64_t last_out; /* timestamp << 32 | picture id << 16 | TL0PICIDX << 8 | KEYIDX */
    uint64_t _pad[3];
};

#define VAULT_CONF(name)                                                                   \
    _Alignas(64) _Atomic uint64_t commit;                                                  \
    uint64_t _pad[7];                                                                      \
    _Alignas(64) struct vault_##name##_conf conf[2]

struct vault_peer {
    VAULT_CONF(peer);
    _Alignas(64) struct vault_peer_live live;
};

struct vault_stream {
    VAULT_CONF(stream);
    _Alignas(64) struct vault_stream_live live;
};

struct vault_sub {
    VAULT_CONF(sub);
};

struct vault_header {
    uint32_t magic, version;
    uint32_t n_peers, n_streams, n_subs, _pad;
    uint64_t bytes;
    uint64_t created_us;
};

struct vault_layout {
    size_t peers, streams, subs, sub_lives, bytes;
};

static inline struct vault_layout vault_layout(uint32_t n_peers, uint32_t n_streams,
                                               uint32_t n_subs)
{
    struct vault_layout l;

    l.peers = 4096;
    l.streams = l.peers + (size_t)n_peers * sizeof(struct vault_peer);
    l.subs = l.streams + (size_t)n_streams * sizeof(struct vault_stream);
    l.sub_lives = l.subs + (size_t)n_subs * sizeof(struct vault_sub);
    l.bytes = l.sub_lives + (size_t)n_subs * sizeof(struct vault_sub_live);
    return l;
}

/* A process's view of the mapped vault. */
struct vault {
    struct vault_header *header;
    struct vault_peer *peers;
    struct vault_stream *streams;
    struct vault_sub *subs;
    struct vault_sub_live *sub_lives;
    uint32_t n_peers, n_streams, n_subs;
};

static inline struct vault vault_view(void *mem, uint32_t n_peers, uint32_t n_streams,
                                      uint32_t n_subs)
{
    struct vault_layout l = vault_layout(n_peers, n_streams, n_subs);
    uint8_t *p = (uint8_t *)mem;

    return (struct vault){.header = (struct vault_header *)mem,
                          .peers = (struct vault_peer *)(p + l.peers),
                          .streams = (struct vault_stream *)(p + l.streams),
                          .subs = (struct vault_sub *)(p + l.subs),
                          .sub_lives = (struct vault_sub_live *)(p + l.sub_lives),
                          .n_peers = n_peers,
                          .n_streams = n_streams,
                          .n_subs = n_subs};
}

/* vault_X_read copies the current conf to 'out': 0, or -ENOENT if never written or free, or
 * -EAGAIN if the writer changed it under us (only a broken writer does so twice).
 * vault_X_write commits 'conf'. Thread: any reader; one writer (control).
 * vault_X_wipe frees the record and leaves nothing of it; 'live' is the record's. */
#define VAULT_ACCESS(name)                                                                 \
    static inline int vault_##name##_read(const struct vault_##name *rec,                  \
                                          struct vault_##name##_conf *out)                 \
    {                                                                                      \
        uint64_t before = atomic_load_explicit(&rec->commit, memory_order_acquire);        \
                                                                                           \
        if (before == 0) {                                                                 \
            return -ENOENT;                                                                \
        }                                                                                  \
        memcpy(out, &rec->conf[before & 1], sizeof(*out));                                 \
        atomic_thread_fence(memory_order_acquire);                                         \
        if (atomic_load_explicit(&rec->commit, memory_order_relaxed) - before > 0) {       \
            return -EAGAIN;                                                                \
        }                                                                                  \
        return out->handle == 0 ? -ENOENT : 0;                                             \
    }                                                                                      \
    static inline void vault_##name##_write(struct vault_##name *rec,                      \
                                            const struct vault_##name##_conf *conf)        \
    {                                                                                      \
        uint64_t next = atomic_load_explicit(&rec->commit, memory_order_relaxed) + 1;      \
                                                                                           \
        /* whoever still reads this copy must see that 'commit' has left it */             \
        atomic_thread_fence(memory_order_release);                                         \
        memcpy(&rec->conf[next & 1], conf, sizeof(*conf));                                 \
        atomic_store_explicit(&rec->commit, next, memory_order_release);                   \
    }                                                                                      \
    static inline void vault_##name##_wipe(struct vault_##name *rec,                       \
                                           struct vault_##name##_live *live)               \
    {                                                                                      \
        uint64_t next = atomic_load_explicit(&rec->commit, memory_order_relaxed) + 1;      \
                                                                                           \
        atomic_thread_fence(memory_order_release);                                         \
        explicit_bzero(&rec->conf[next & 1], sizeof(rec->conf[0]));                        \
        atomic_store_explicit(&rec->commit, next, memory_order_release);                   \
        atomic_thread_fence(memory_order_release);                                         \
        explicit_bzero(&rec->conf[(next + 1) & 1], sizeof(rec->conf[0]));                  \
        explicit_bzero(live, sizeof(*live));                                               \
    }

VAULT_ACCESS(peer)
VAULT_ACCESS(stream)
VAULT_ACCESS(sub)

_Static_assert(sizeof(struct vault_peer_conf) == 1072, "vault_peer_conf layout");
_Static_assert(sizeof(struct vault_stream_conf) == 736, "vault_stream_conf layout");
_Static_assert(sizeof(struct vault_sub_conf) == 376, "vault_sub_conf layout");
_Static_assert(sizeof(struct vault_rx) == 32, "vault_rx layout");
_Static_assert(offsetof(struct vault_peer_live, rx) % 32 == 0, "each changes by one store");
_Static_assert(sizeof(struct vault_sub_live) == 64, "vault_sub_live layout");

#endif
