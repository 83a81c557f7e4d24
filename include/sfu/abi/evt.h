/* Events from a lane to control: the answers to commands, and news. */
#ifndef SFU_ABI_EVT_H
#define SFU_ABI_EVT_H

#include <stdint.h>

enum abi_evt_kind {
    ABI_EVT_ANSWER = 1,       /* cookie, status */
    ABI_EVT_CONSENT_LOST = 2, /* handle: peer without a valid check for 30 s (RFC 7675) */
    ABI_EVT_STREAM_BOUND = 3, /* handle: stream whose first packet came; arg: its SSRC */
    ABI_EVT_BYE = 4,          /* handle: stream whose publisher sent BYE */
    ABI_EVT_LAYERS = 5,       /* handle: subscription; arg: what it is sent now (below) */
    ABI_EVT_BANDWIDTH = 6,    /* handle: peer; arg: kb/s that its link carries */
    N_ABI_EVTS = 7
};

/* Why a subscription's layers changed, or what is aimed at did. */
enum abi_layers_reason {
    ABI_LAYERS_STARTED = 1,
    ABI_LAYERS_REQUESTED = 2,   /* control's wish */
    ABI_LAYERS_BANDWIDTH = 3,   /* what its link carries */
    ABI_LAYERS_SOURCE = 4,      /* a layer began or ceased to come */
    ABI_LAYERS_NO_KEYFRAME = 5, /* none came in time: it stays where it is for a while */
    N_ABI_LAYERS_REASONS = 6
};

/* The arg of ABI_EVT_LAYERS: reason << 16 and four layers of four bits each. */
#define ABI_LAYERS_NONE 15u /* nothing is sent, or is to be */
#define ABI_LAYERS(reason, spatial, temporal, to_spatial, to_temporal)                     \
    ((uint32_t)(reason) << 16 | (uint32_t)(spatial) << 12 | (uint32_t)(temporal) << 8 |    \
     (uint32_t)(to_spatial) << 4 | (uint32_t)(to_temporal))

struct abi_evt {
    uint64_t cookie;
    uint64_t handle;
    uint32_t kind;  /* enum abi_evt_kind */
    int32_t status; /* 0 or -errno (base/err.h) */
    uint32_t arg;
    uint32_t _pad;
};

_Static_assert(sizeof(struct abi_evt) == 32, "event slot");

#endif
