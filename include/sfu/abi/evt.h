/* Events from a lane to control: the answers to commands, and news. */
#ifndef SFU_ABI_EVT_H
#define SFU_ABI_EVT_H

#include <stdint.h>

enum abi_evt_kind {
    ABI_EVT_ANSWER = 1,       /* cookie, status */
    ABI_EVT_CONSENT_LOST = 2, /* handle: peer without a valid check for 30 s (RFC 7675) */
    ABI_EVT_STREAM_BOUND = 3, /* handle: stream whose first packet came; arg: its SSRC */
    ABI_EVT_BYE = 4,          /* handle: stream whose publisher sent BYE */
    ABI_EVT_BANDWIDTH = 6,    /* handle: peer; arg: kb/s that its link carries */
    N_ABI_EVTS = 7
};

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
