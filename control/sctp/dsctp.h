/* SCTP associations of data channels, on usrsctp; the only folder that includes it. Packets
 * come from DTLS and go to DTLS: the stack has no socket and no timer of its own, and works
 * on the caller's thread. (The library keeps one thread, for addresses, which sleeps.)
 * Names begin with dsctp_, since all that begin with sctp_ are the library's.
 *
 * Streams are the data channels' ids, negotiated by signaling; there is no DCEP. A message
 * is forwarded with its PPID, which says string or binary, empty or not.
 *
 * What waits to be sent to one peer is bounded (DSCTP_QUEUE_BYTES, DSCTP_QUEUE_MESSAGES). A
 * packet that makes no sense costs its association at most, never another.
 *
 * Thread: all of it the loop's. usrsctp's state is the process's: there is one stack,
 * however often dsctp_create() is called. RFC 8831 (data channels), 8261 (SCTP over DTLS),
 * 9260 (SCTP), 3758 (partial reliability), 6525 (stream reset). */
#ifndef KCS_SCTP_DSCTP_H
#define KCS_SCTP_DSCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DSCTP_PORT = 5000,
    DSCTP_STREAMS = 1024,                /* each way; what mediasoup-client counts up to */
    DSCTP_MAX_MESSAGE = 262144,          /* bytes, both ways */
    DSCTP_QUEUE_BYTES = 4 * 1024 * 1024, /* that wait for one peer, sent or not */
    DSCTP_QUEUE_MESSAGES = 8192,         /* that wait likewise */
    DSCTP_MAX_PACKET = 1140, /* leaves room for DTLS of any cipher in 1,200 bytes */
    DSCTP_TICK_MS = 10       /* how often dsctp_tick() wants to be called */
};

/* Payload protocol identifiers (RFC 8831, 8): */
enum dsctp_ppid {
    DSCTP_PPID_DCEP = 50,
    DSCTP_PPID_STRING = 51,
    DSCTP_PPID_BINARY = 53,
    DSCTP_PPID_STRING_EMPTY = 56, /* one byte that means nothing */
    DSCTP_PPID_BINARY_EMPTY = 57
};

enum dsctp_reliability { DSCTP_RELIABLE, DSCTP_LIFETIME, DSCTP_RETRANSMITS };

/* How the messages of a channel are sent. */
struct dsctp_channel {
    uint16_t stream;
    bool unordered;
    uint8_t reliability; /* enum dsctp_reliability */
    uint32_t limit;      /* of it: ms, or how often */
};

struct dsctp;
struct dsctp_assoc;

/* News of an association. Each may close it, or others. */
struct dsctp_ops {
    /* A packet for the peer, of DSCTP_MAX_PACKET bytes at most; borrowed. It must not call
     * back into here. */
    void (*on_send)(void *user, const void *data, size_t len);

    /* A whole message; borrowed. 'ppid' is not DCEP's, and one of those above. */
    void (*on_message)(void *user, uint16_t stream, uint32_t ppid, const void *data,
                       size_t len);

    /* The peer has closed the channel. */
    void (*on_reset)(void *user, uint16_t stream);

    /* It has ended, for good: close it. Once. 'reason' is a constant word. */
    void (*on_down)(void *user, const char *reason);
};

/* Counters since the start; 'open' is a gauge. */
struct dsctp_counts {
    uint64_t open;
    uint64_t packets_in, packets_out;
    uint64_t bad;      /* packets that were not looked at */
    uint64_t messages; /* that came in whole */
    uint64_t ignored;  /* DCEP and unknown PPIDs */
};

/* Returns 0 or -ENOMEM. */
int dsctp_create(struct dsctp **out);

/* Its associations must have been closed. NULL is a no-op. */
void dsctp_destroy(struct dsctp *dsctp);

void dsctp_counts(const struct dsctp *dsctp, struct dsctp_counts *out);

/* Lets time pass: retransmissions, heartbeats. */
void dsctp_tick(struct dsctp *dsctp, uint32_t elapsed_ms);

/* Opens an association; both ends of WebRTC do, so nobody listens. The INIT goes to
 * on_send() before this returns. Returns 0 or -ENOMEM.
 *
 * ops  borrowed for its life */
int dsctp_open(struct dsctp_assoc **out, struct dsctp *dsctp, const struct dsctp_ops *ops,
               void *user);

/* Aborts it; no callback comes after this. NULL is a no-op. */
void dsctp_close(struct dsctp_assoc *assoc);

/* A packet of the peer. Borrowed. */
void dsctp_input(struct dsctp_assoc *assoc, const void *data, size_t len);

/* Sends a message; copied. Returns 0, -EAGAIN if too much waits already, -EMSGSIZE, -EINVAL
 * by stream, or -ENOTCONN. */
int dsctp_send(struct dsctp_assoc *assoc, const struct dsctp_channel *channel,
               uint32_t ppid, const void *data, size_t len);

/* Closes a channel: what waits on it is sent before (RFC 8831, 6.7). */
void dsctp_reset(struct dsctp_assoc *assoc, uint16_t stream);

#endif
