/* One stream as frames: read from its ring (base/tap.h), put in order, made frames of. What
 * becomes of these is the business of who runs it: track/ writes them down, compose/ makes
 * pictures and sound of them. */
#ifndef EGRESS_FEED_H
#define EGRESS_FEED_H

#include "egress/depay/depay.h"
#include "egress/depay/order.h"
#include "sfu/base/tap.h"

enum {
    FEED_NAME = 63,        /* characters of a stream's name */
    FEED_HOLD_US = 500000, /* what repair may take */
    FEED_ASK_US = 2000000, /* between two wishes for a key frame */
    FEED_VIDEO_SLOTS = 1024,
    FEED_AUDIO_SLOTS = 64
};

/* The mapped rings, valid (tap_valid()). */
struct feed_rings {
    const void *mem;
    size_t len;
    uint32_t n_taps; /* that tap_valid() saw: the memory may say otherwise later */
};

struct feed {
    struct feed_rings rings;
    uint64_t handle;
    enum abi_codec codec;
    const struct tap *tap;
    uint64_t at; /* the position to read next */
    struct order order;
    struct order_packet *slots;
    struct depay depay;
    struct depay_buffers *buffers;
    uint64_t asked_us; /* for a key frame; 0: never */
    uint64_t overrun;  /* packets that were overwritten before they were read */
};

/* A whole frame, in the order of sending. */
typedef void feed_frame(void *arg, const struct depay_frame *frame, uint64_t arrival_us);

/* Reads from now on. Returns 0, -EINVAL (no such stream), or -ENOMEM. */
int feed_init(struct feed *feed, const struct feed_rings *rings, uint64_t handle,
              enum abi_codec codec);

/* Reads what has come and hands out the frames of which nothing is waited for any more.
 * Call every few milliseconds: a ring holds a second. */
void feed_run(struct feed *feed, uint64_t now_us, feed_frame *fn, void *arg);

/* The same, and what still waits for what is missing. */
void feed_end(struct feed *feed, uint64_t now_us, feed_frame *fn, void *arg);

/* The publisher's last sender report; false: none yet, or one is just being written. */
bool feed_report(const struct feed *feed, uint64_t *ntp, uint32_t *ts);

/* Nothing more comes out until its publisher sends a key frame. */
void feed_spoilt(struct feed *feed);

/* Whether the publisher is to be asked for a key frame now. */
bool feed_wants_key(struct feed *feed, uint64_t now_us);

uint64_t feed_lost(const struct feed *feed); /* packets that were given up */

void feed_fini(struct feed *feed); /* one that is all zeros, too */

#endif
