/* Control's side of the contract: attaches to the dataplane, turns objects into vault
 * records and commands, and gives out what comes back: answers, events, STUN and DTLS
 * datagrams, counters.
 *
 * When the dataplane dies, its successor is given the vault and rebuilds every object from
 * it: handles stay good, what was commanded meanwhile is done then. Only if none comes
 * within MEDIA_PATIENCE_MS, or it cannot take the vault, is everything lost: handles are
 * then stale for ever. Every accepted call with a callback calls it exactly once, later:
 * with the dataplane's answer, or with -ECONNRESET when all is lost first.
 *
 * What an earlier control has left in the vault is adopted when it is attached: see
 * media_handle_at() and media_check(). A record without a blob is nobody's and is closed.
 *
 * All functions that command return -ENOTCONN while there is no dataplane's state, -ESTALE
 * for a handle that does not name an open object, and -EAGAIN if too many commands wait. A
 * call that fails has changed nothing and calls nothing back. Callbacks may call everything
 * here but media_destroy().
 *
 * Thread: the loop's. */
#ifndef KCS_MEDIA_MEDIA_H
#define KCS_MEDIA_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/abi/abi.h"

struct loop;
struct media;

enum media_kind { MEDIA_PEER, MEDIA_STREAM, MEDIA_SUB, N_MEDIA_KINDS };

enum {
    MEDIA_MAX_OBJECTS = 1 << 22, /* of a kind; a dataplane that claims more is refused */
    MEDIA_MAX_COMMANDS = 8192,   /* that may wait for their answers, closings apart */
    MEDIA_GREETING_MS = 2000,    /* for the dataplane's welcome */
    MEDIA_PATIENCE_MS = 10000,   /* for a dataplane to return and take the vault */
    MEDIA_RETRY_MIN_MS = 20,     /* between attempts to attach */
    MEDIA_RETRY_MAX_MS = 1000,
    MEDIA_RETRY_KEPT_MS = 40 /* at most, while calls wait for a new dataplane */
};

struct media_conf {
    struct loop *loop;    /* borrowed */
    const char *socket;   /* path, copied */
    uint32_t patience_ms; /* for a dataplane to return; 0: MEDIA_PATIENCE_MS */
};

/* News. Each may be NULL. */
struct media_ops {
    /* A dataplane is there; the vault may hold what an earlier control has left. Not
     * called when one returns with our own vault: then nothing has changed. */
    void (*on_attached)(void *user);
    /* All is lost: handles are stale. It attaches again by itself. */
    void (*on_detached)(void *user);
    void (*on_datagram)(void *user, const struct abi_datagram *datagram); /* borrowed */
    void (*on_consent_lost)(void *user, uint64_t peer);
    void (*on_stream_bound)(void *user, uint64_t stream, uint32_t ssrc);
    void (*on_stream_bye)(void *user, uint64_t stream);
    /* What a subscription with layers is sent, or aims at, has changed (ABI_LAYERS). */
    void (*on_layers)(void *user, uint64_t sub, uint32_t layers);
    /* What the link of a subscriber carries has changed. */
    void (*on_bandwidth)(void *user, uint64_t peer, uint32_t kbps);
};

struct media_status {
    bool attached;
    int err;          /* why not: -errno of the last attempt */
    char reason[104]; /* in words, if the dataplane or our checks gave one */
};

/* What this side has seen; rises only. */
struct media_counts {
    uint64_t attaches;
    uint64_t resumes; /* of them: with our own vault */
    uint64_t adopted; /* objects of an earlier control */
    uint64_t commands;
    uint64_t sent, send_full;   /* datagrams out; and not, because the ring was full */
    uint64_t datagrams, events; /* in */
    uint64_t bad;               /* datagrams, events, answers that made no sense: ignored */
};

typedef void media_done(void *arg, int status);

/* SRTP keys as they go into the vault. */
struct media_keys {
    uint32_t profile; /* enum abi_srtp_profile */
    uint32_t key_len, salt_len;
    const uint8_t *rx_key, *tx_key, *rx_salt, *tx_salt; /* borrowed */
};

/* Returns 0, -ENOMEM, or -ENAMETOOLONG for the socket's path. */
int media_create(struct media **out, const struct media_conf *conf);

/* Begins to attach and never gives up. 'ops' is borrowed for the life of 'media'. Once. */
void media_start(struct media *media, const struct media_ops *ops, void *user);

/* Detaches for good and leaves all that is open to a successor; callbacks that are due get
 * -ECONNRESET. Afterwards there is no dataplane's state, as far as this module goes. */
void media_let_go(struct media *media);

/* The same, and frees it. NULL is a no-op. */
void media_destroy(struct media *media);

void media_status(const struct media *media, struct media_status *out);
void media_counts(const struct media *media, struct media_counts *out);

/* Commands that have no answer yet. */
uint32_t media_n_waiting(const struct media *media);

/* The header of the contract, checked and copied when it was attached: devices and their
 * addresses, capacities, names of the counters. NULL if all is lost. Borrowed until the
 * dataplane goes away. */
const struct abi_shm *media_info(const struct media *media);

/* Of a device of media_info(), now; that it works if no dataplane is attached. */
enum abi_device_state media_device_state(const struct media *media, uint32_t device);

/* The memory of the stream rings (base/tap.h), for a process that is to read them: 'fd' is
 * borrowed until the dataplane goes away; 'id' differs for each dataplane. Returns 0 or
 * -ENOTCONN. */
int media_streams(const struct media *media, int *fd, uint64_t *id);

/* Opens an object. The handle in 'conf' (borrowed) is ignored and the one given out is
 * stored to 'handle'. done may be NULL. If the answer is an error the object is gone and
 * its handle stale when 'done' is called. -ENOSPC if all slots are in use. */
int media_peer_open(struct media *media, const struct vault_peer_conf *conf,
                    media_done *done, void *arg, uint64_t *handle);
int media_stream_open(struct media *media, const struct vault_stream_conf *conf,
                      media_done *done, void *arg, uint64_t *handle);
int media_sub_open(struct media *media, const struct vault_sub_conf *conf, media_done *done,
                   void *arg, uint64_t *handle);

/* Changes a peer. The vault holds the new state when the call returns. */
int media_peer_set_paths(struct media *media, uint64_t peer, const struct path *paths,
                         uint8_t n_paths, uint8_t selected, media_done *done, void *arg);
int media_peer_set_ice(struct media *media, uint64_t peer, const char *ufrag,
                       const char *pwd, media_done *done, void *arg);
/* An ICE restart has begun: checks may name it so too, until _set_ice ends it. */
int media_peer_expect_ice(struct media *media, uint64_t peer, const char *ufrag,
                          media_done *done, void *arg);
int media_peer_set_keys(struct media *media, uint64_t peer, const struct media_keys *keys,
                        media_done *done, void *arg);

int media_stream_set_paused(struct media *media, uint64_t stream, bool paused,
                            media_done *done, void *arg);

/* Which part of an audio stream is forwarded; gate: enum abi_gate. */
int media_stream_set_gate(struct media *media, uint64_t stream, uint8_t gate,
                          media_done *done, void *arg);
int media_sub_set_paused(struct media *media, uint64_t sub, bool paused, media_done *done,
                         void *arg);

/* The layers wished for, which one that was opened 'layered' follows; and its place when
 * there is not enough for all. */
struct media_layers {
    uint8_t spatial, temporal; /* VAULT_LAYER_ANY: all */
    uint8_t priority;          /* 1 … 255 */
    uint32_t area;             /* pixels that it is shown with; 0 unknown */
};
int media_sub_set_layers(struct media *media, uint64_t sub,
                         const struct media_layers *layers, media_done *done, void *arg);

/* What a subscription that was opened 'layered' is sent from now on, under the same SSRC
 * and numbers that go on. */
struct media_source {
    const uint64_t *streams; /* of its kind and of one codec, ascending layers; borrowed */
    uint8_t n;               /* 1 to VAULT_SUB_HIGHER + 1 */
    uint8_t pt, rtx_pt;      /* as its receiver knows the codec; rtx_pt 0: without RTX */
    const uint8_t *ext_id;   /* N_ABI_EXTS ids; borrowed */
    bool urgent; /* the old streams end: it does not wait for an earlier answer */
};

/* Begins with a key frame, which is asked for, if the streams are others. The old ones may
 * be closed at once. Also -EBUSY until the answer to an earlier one; if it is urgent, to
 * two earlier ones. */
int media_sub_set_source(struct media *media, uint64_t sub, const struct media_source *to,
                         media_done *done, void *arg);

/* Moves a peer with all that is its to another lane, while media flows. A new peer is
 * placed on the lane that sends least; when it first publishes it moves to the lane that
 * its packets arrive on by itself, and again when they arrive on another. Also -EINVAL no such
 * lane, -EBUSY it is on the move. */
int media_peer_move(struct media *media, uint64_t peer, uint32_t lane, media_done *done,
                    void *arg);

/* It stays where it was moved to, wherever its packets arrive: somebody wants it there. A
 * handle that is stale changes nothing. */
void media_peer_stay(struct media *media, uint64_t peer);

/* The lane that a peer is on, or moves to. -ESTALE. */
int media_peer_lane(const struct media *media, uint64_t peer, uint32_t *lane);

/* Stores what this control wants its successor to know of an object; replaces what was
 * there. Commands nothing. -EMSGSIZE beyond VAULT_BLOB_MAX, or
 * VAULT_SUB_BLOB_MAX. */
int media_set_blob(struct media *media, enum media_kind kind, uint64_t handle,
                   const void *data, size_t len);

/* Copies the record of an open object (handle as in media_handle_at). Returns 0, -ENOTCONN,
 * -ESTALE. A peer's holds keys: wipe it. */
int media_peer_conf(const struct media *media, uint64_t peer, struct vault_peer_conf *out);
int media_stream_conf(const struct media *media, uint64_t stream,
                      struct vault_stream_conf *out);
int media_sub_conf(const struct media *media, uint64_t sub, struct vault_sub_conf *out);

/* Asks whether the dataplane has an adopted object, and has it read its record again. If
 * the answer is an error the object is gone and its handle stale when 'done' is called. */
int media_check(struct media *media, enum media_kind kind, uint64_t handle,
                media_done *done, void *arg);

/* How many slots there are of a kind, for iterations with media_handle_at(). */
uint32_t media_slots_of(const struct media *media, enum media_kind kind);

/* What the dataplane has noticed of a peer's paths, in the order of set_paths(); times are
 * of CLOCK_MONOTONIC, 0 never. */
struct media_heard {
    uint64_t media_us[VAULT_PATHS];    /* SRTP or SRTCP that only the peer can have sent */
    uint64_t checked_us, nominated_us; /* by checks of the selected path */
    const uint64_t *answered;          /* base/txids of checks, VAULT_ANSWERED words */
    uint64_t *judged; /* the caller's own, VAULT_JUDGED words, for its next life */
};

/* Fills 'out', whose pointers are good until the next return to the loop. Returns 0,
 * -ENOTCONN or -ESTALE. */
int media_peer_heard(struct media *media, uint64_t peer, struct media_heard *out);

/* How loud an audio stream is now, 0..127; 0 if it does not say, or nothing comes. */
uint8_t media_stream_loudness(const struct media *media, uint64_t stream, uint64_t now_us);

/* Asks the stream's publisher for a key frame. */
int media_stream_keyframe(struct media *media, uint64_t stream, media_done *done,
                          void *arg);

/* The same in the name of who receives the subscription: it is heard as its PLIs are. */
int media_sub_keyframe(struct media *media, uint64_t sub, media_done *done, void *arg);

/* Closes an object: subscriptions before their stream, streams before their peer. The
 * handle is stale at once; the record is wiped and its slot free after the answer. Never
 * -EAGAIN. If the dataplane answers that the object is still in use, it is open again. */
int media_close(struct media *media, enum media_kind kind, uint64_t handle,
                media_done *done, void *arg);

/* Answered when lane 'lane' has done all that was commanded before. */
int media_ping(struct media *media, uint32_t lane, media_done *done, void *arg);

/* Sends a datagram on 'path' (both borrowed); that of a peer (else HANDLE_NONE) behind what
 * the peer was commanded before. -EAGAIN if the ring is full: it is lost, as datagrams may
 * be. -EMSGSIZE if it is too long. */
int media_send(struct media *media, uint64_t peer, const struct path *path,
               enum abi_datagram_kind kind, const void *data, size_t len);

/* Gives out a copy of each packet that the dataplane has of a peer, in either direction, and
 * that media_send() sends for it. One at a time.
 *
 * on_packet  borrowed; 'time_us' is of CLOCK_MONOTONIC
 * on_end     it has ended by itself: -ECONNRESET the dataplane is gone, -ESTALE the peer is
 *
 * on_packet may call media_capture_stop(). Also -EBUSY while there is one, and
 * -ENOTCONN while there is no dataplane. */
struct media_capture_ops {
    void (*on_packet)(void *user, const struct abi_captured *packet);
    void (*on_end)(void *user, int err);
};
int media_capture(struct media *media, uint64_t peer, enum abi_capture how,
                  const struct media_capture_ops *ops, void *user);
void media_capture_stop(struct media *media);

/* Counters. -EAGAIN if the lane could not be caught at rest; -EINVAL for no such lane;
 * -ENOENT while the dataplane has no counters for the handle. */
int media_lane_counts(const struct media *media, uint32_t lane,
                      struct abi_lane_counts *out);
/* 'out' is filled with the samples of one stage that are at most 'most_s' seconds old.
 * Returns how many, or as media_lane_counts(). */
int media_lane_trace(const struct media *media, uint32_t lane, uint32_t stage,
                     uint32_t most_s, struct abi_trace_sample out[ABI_TRACE_SAMPLES]);
int media_peer_stats(const struct media *media, uint64_t peer, struct abi_peer_stats *out);
int media_stream_stats(const struct media *media, uint64_t stream,
                       struct abi_stream_stats *out);
int media_sub_stats(const struct media *media, uint64_t sub, struct abi_sub_stats *out);

/* The handle of the open object in slot 'index', or HANDLE_NONE; for listings. */
uint64_t media_handle_at(const struct media *media, enum media_kind kind, uint32_t index);

#endif
