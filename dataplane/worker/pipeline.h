/* The order of the stages, in one place:
 *
 *     rx > classify > unprotect > ingest > spread | route > rewrite > protect > tx
 *              \ > consent > tx     \ (SRTCP) > rtcp_in
 *               \ > punt > control
 *
 * Where there are several lanes, packets of a peer go from classify to the peer's lane and
 * begin there anew, and frames go to the lane that serves their device (across.h).
 *
 * Thread: the lane. */
#ifndef KCS_WORKER_PIPELINE_H
#define KCS_WORKER_PIPELINE_H

#include "io/io.h"
#include "lane/lane.h"
#include "worker/trace.h"

enum { PIPELINE_URGENT = 512 };

/* Finished frames that a device has not taken yet, of this lane and of others. RTCP, STUN
 * and DTLS have places of their own: a full device is sent them first, and they are dropped
 * only when these are full, too, or it takes nothing for a while. */
struct pipeline_held {
    uint16_t n_urgent;
    struct burst frames;
    uint64_t looked_us;
    uint64_t patience_us; /* that they, not the urgent, may still hold up the lane */
    uint64_t took_us;     /* urgent: when the device last took one, or the first came */
    struct pkt *urgent[PIPELINE_URGENT];
};

/* Where a lane reads and writes, and what io/ counted for it. */
struct pipeline {
    struct lane *lane;
    struct io *io;
    struct io_rx_count rx; /* frames, answered, ignored; packets are the lane's */
    /* Hands a punted packet over; returns false if control's ring is full. */
    bool (*punt)(void *arg, const struct pkt *pkt);
    void *punt_arg;
    struct pipeline_held held[IO_MAX_DEVICES]; /* of those that this lane serves */
    struct trace trace;
};

/* Receives one burst of each device and takes it as far as the rings. Returns how many
 * packets there were. */
uint32_t pipeline_ingress(struct pipeline *p);

/* Serves the rings that grew, at most 'max_bursts' bursts, and not while a device, or the
 * way to the lane that serves it, is full: cursors wait then. Returns packets sent or
 * dropped. */
uint32_t pipeline_egress(struct pipeline *p, unsigned max_bursts);

/* Whether frames of media wait until 'device' has room; _holds: any, until any has. */
bool pipeline_is_full(const struct pipeline *p, unsigned device);
bool pipeline_holds(const struct pipeline *p);

/* Whether there is something to serve that has to wait for a device or another lane. */
bool pipeline_held_up(const struct pipeline *p);

/* Changes subscriptions over to the layers that they are to have (stage/layers), before the
 * fan-out. Returns how many. */
uint32_t pipeline_layers(struct pipeline *p);

/* Runs the estimators of subscribers' links, and sends the padding of probes. Returns
 * packets sent. */
uint32_t pipeline_budget(struct pipeline *p);

/* Sends the RTCP that is due. Returns packets sent. */
uint32_t pipeline_rtcp(struct pipeline *p);

/* Takes packets as far as the rings that another lane has received. */
void pipeline_handed(struct pipeline *p, const struct burst *in);

/* Sends frames of another lane on this lane's devices. What a device does not take is
 * dropped here, by its kind as below, and taken off what their owner had counted as sent. */
void pipeline_send_for_others(struct pipeline *p, const struct burst *burst);

/* Sends finished frames, each on its device. What a device does not take now waits for it,
 * media a burst at most and for a part of the lane's time only: fan-out stands still
 * meanwhile. What cannot wait is dropped as tx_full, tx_full_audio or tx_full_control. */
void pipeline_transmit(struct pipeline *p, struct burst *burst);

#endif
