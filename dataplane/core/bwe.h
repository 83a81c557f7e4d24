/* How much one subscriber's link carries: a send-side estimator on transport-wide feedback
 * (delay, loss, probes), with REMB as an upper bound, or as all there is for clients
 * without transport-cc (they measure by abs-send-time).
 *
 * stage/rewrite notes each packet as it is numbered (bwe_note_sent, one store of 8 bytes);
 * rtcp/ hands in feedback, runs the timer and sends the padding of probes; the target goes
 * to core/alloc.
 *
 * Pure: no clock, no allocation, no I/O. Memory: struct bwe, 5 KiB a peer. Nothing
 * that a client reports can move the target out of [min_bps, max_bps], nor cost more than
 * the length of its message.
 * draft-holmer-rmcat-transport-wide-cc-extensions-01, draft-ietf-rmcat-gcc-02. */
#ifndef CORE_BWE_H
#define CORE_BWE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/bwe_acked.h"
#include "core/bwe_delay.h"
#include "core/bwe_loss.h"
#include "core/bwe_probe.h"
#include "core/bwe_rate.h"

struct twcc_fb;

enum {
    BWE_HISTORY = 512, /* packets that feedback can be about: 49 Mb/s at 100 ms */
    BWE_TICK_US = 20000,
    BWE_SOON = 64,       /* packets whose records are loaded ahead */
    BWE_MAX_REPORTS = 30 /* in 100 ms; more are counted and ignored */
};

struct bwe_conf {
    uint32_t start_bps, min_bps, max_bps; /* 600000, 50000, 100000000 */
};

/* A packet that was sent, at its transport-wide number modulo BWE_HISTORY. */
struct bwe_sent {
    uint32_t time_us; /* low bits of the lane's time */
    uint16_t len;     /* of the UDP payload; 0: never sent */
    uint8_t state;    /* enum bwe_state */
    uint8_t _pad;
};

enum bwe_state { BWE_SENT, BWE_ARRIVED, BWE_LOST };

struct bwe {
    /* first, so that none is in two lines */
    _Alignas(64) struct bwe_sent sent[BWE_HISTORY];
    float target_bps;
    float wanted_bps;  /* bwe_want() */
    float besides_bps; /* bwe_besides() */
    float remb_bps;    /* 0 none */
    float shown_bps;   /* bwe_on_shown(); 0 none, or something spoke against it since */
    float most_bps;    /* the highest REMB since then */
    uint64_t remb_us;
    uint64_t feedback_us;   /* when the last came; 0 none yet */
    uint64_t seen_next;     /* number of the next packet, at the last tick or feedback */
    uint64_t unanswered_us; /* since when something is sent that none tells of; 0 nothing */
    uint64_t told_next;     /* number of the first packet that no feedback was about */
    uint64_t rtt_us;        /* round trip, smoothed; feedback delay included */
    uint64_t route_next; /* numbers below went another way: they say nothing of this one */
    int64_t ref_ticks;   /* reference time of feedback, extended */
    bool has_ref;
    bool silent; /* the rate was lowered for want of answers, and none has come since */

    /* how much is sent */
    bool started;
    bool limited; /* the subscriber's media needs less than there is */
    float sent_bps;
    uint64_t limited_us; /* the last time that it did */
    uint64_t window_us;
    uint64_t window_bytes;

    /* the cost of a client is bounded */
    uint64_t reports_us;
    uint32_t n_reports;

    uint32_t unanswered; /* of the first number since 'unanswered_us': the low bits */

    uint64_t n_unknown; /* reported, but never sent or too long ago */
    uint64_t n_lost;
    uint64_t n_ignored; /* reports too many */
    uint64_t n_probes;

    struct bwe_delay delay;
    struct bwe_acked acked;
    struct bwe_rate rate;
    struct bwe_loss loss;
    struct bwe_probe probe;
    struct bwe_conf conf;
};

_Static_assert(sizeof(struct bwe_sent) == 8, "8 to a cache line");
_Static_assert(sizeof(struct bwe) <= (size_t)5 * 1024, "a peer's budget");

void bwe_init(struct bwe *bwe, const struct bwe_conf *conf); /* conf: borrowed */

/* Notes that packet 'number' leaves now. */
static inline void bwe_note_sent(struct bwe *bwe, uint64_t number, uint16_t len,
                                 uint64_t now_us)
{
    const struct bwe_sent sent = {.time_us = (uint32_t)now_us, .len = len};

    memcpy(&bwe->sent[number % BWE_HISTORY], &sent, sizeof(sent)); /* one store */
}

/* What bwe_note_sent() writes to, for a prefetch. */
static inline const void *bwe_sent_at(const struct bwe *bwe, uint64_t number)
{
    return &bwe->sent[number % BWE_HISTORY];
}

/* Starts loading all but the packets that were sent. */
static inline void bwe_prefetch(const struct bwe *bwe)
{
    for (size_t at = sizeof(bwe->sent); at < sizeof(*bwe); at += 64) {
        __builtin_prefetch((const char *)bwe + at);
    }
}

/* Starts loading those that the next feedback is likely about: it goes on where the last
 * one ended. */
static inline void bwe_prefetch_sent(const struct bwe *bwe)
{
    for (unsigned i = 0; i < BWE_SOON; i += 8) {
        __builtin_prefetch(bwe_sent_at(bwe, bwe->told_next + i), 1);
    }
}

/* A message of transport-wide feedback, parsed. 'next' is the number that the next packet
 * will get. Returns true if the target has changed. */
bool bwe_on_feedback(struct bwe *bwe, struct twcc_fb *fb, uint64_t next, uint64_t now_us);

/* The receiver's own estimate; any value. Returns true if the target has changed. */
bool bwe_on_remb(struct bwe *bwe, uint64_t bps, uint64_t now_us);

/* What a receiver report says of 'n' packets, of one who tells of none by number: all there
 * is to bound what is lost. Ignored of those with transport-wide feedback. Returns true if
 * the target has changed. */
bool bwe_on_report(struct bwe *bwe, uint32_t n, uint32_t n_lost, uint64_t now_us);

/* So much was sent for a while and nothing spoke against it (core/trial): what was lost
 * before is no bound any more, and one without transport-wide feedback may be sent that
 * much until its REMB falls, or packets are lost. */
void bwe_on_shown(struct bwe *bwe, uint64_t bps, uint64_t now_us);

/* From number 'next' on, packets go another way: that those under way are lost is no
 * congestion, and delays and loss begin anew. The rate stays until more is known, which a
 * probe asks for at once. */
void bwe_on_route(struct bwe *bwe, uint64_t next, uint64_t now_us);

/* What the subscriber could make use of, all layers that it asks for: no probe goes beyond.
 */
void bwe_want(struct bwe *bwe, uint64_t bps);

/* What is sent besides, in packets without a number: browsers' audio. No feedback tells of
 * it, but the link carries it too. */
void bwe_besides(struct bwe *bwe, uint64_t bps);

/* Call each BWE_TICK_US, but see bwe_deadline(). 'tx_bytes' counts what was sent to the peer
 * in all. Returns true if the target has changed. */
bool bwe_tick(struct bwe *bwe, uint64_t tx_bytes, uint64_t next, uint64_t now_us);

/* When bwe_tick() next has something to do if nothing is sent, heard or wanted that is not
 * now: ticks in between would change nothing, and may be left out if one at their end, with
 * the numbers of before, comes before anything is sent. UINT64_MAX: never. */
uint64_t bwe_deadline(const struct bwe *bwe, uint64_t tx_bytes, uint64_t next,
                      uint64_t now_us);

/* Bytes of padding that a probe needs now, and when to ask next. */
uint32_t bwe_take_padding(struct bwe *bwe, uint64_t tx_bytes, uint64_t next,
                          uint64_t now_us);
static inline uint64_t bwe_padding_due(const struct bwe *bwe)
{
    return bwe->probe.due_us;
}

static inline bool bwe_is_probing(const struct bwe *bwe)
{
    return bwe->probe.sending;
}

/* What the receiver itself says, or what its feedback comes to: in between is what else is
 * known. */
static inline uint64_t bwe_told(const struct bwe *bwe)
{
    return (uint64_t)(bwe->feedback_us != 0 ? bwe->rate.bps : bwe->remb_bps);
}

/* Bits a second that may be sent. */
static inline uint64_t bwe_target(const struct bwe *bwe)
{
    return (uint64_t)bwe->target_bps;
}

/* Whether nothing speaks for a link that is too narrow for what is sent: no queue, no loss
 * that limits, no decrease just now, and feedback comes; or without that, what is sent was
 * shown to get through. The target is then only what was shown so far. */
bool bwe_is_calm(const struct bwe *bwe, uint64_t now_us);

/* Whether what is sent waits for others of ours for long: what is sent now comes late. */
bool bwe_is_behind(const struct bwe *bwe);

/* How long packets wait in the link's queue, jitter left out. */
static inline uint32_t bwe_queue_us(const struct bwe *bwe)
{
    const int64_t us = bwe->delay.queue_us;

    return us < 0 ? 0 : us > 60000000 ? 60000000 : (uint32_t)us;
}

/* Whether anything was heard from the receiver: before, the target is the start. */
static inline bool bwe_is_fed(const struct bwe *bwe)
{
    return bwe->feedback_us != 0 || bwe->remb_us != 0;
}

#endif
