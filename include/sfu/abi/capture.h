/* Packets of one peer, copied for whoever watches it: a further ring a lane, from the
 * dataplane to control. Nothing waits for it: what finds no place is lost and counted. */
#ifndef SFU_ABI_CAPTURE_H
#define SFU_ABI_CAPTURE_H

#include <stdint.h>

#include "sfu/base/path.h"

enum { ABI_CAPTURE_SLOTS = 1024 };

/* The arg of ABI_OP_PEER_CAPTURE. */
enum abi_capture {
    ABI_CAPTURE_OFF = 0,
    ABI_CAPTURE_WIRE = 1,  /* as on the wire */
    ABI_CAPTURE_PLAIN = 2, /* SRTP and SRTCP without their protection; the rest as it is */
    N_ABI_CAPTURES = 3
};

struct abi_captured {
    uint64_t time_us; /* CLOCK_MONOTONIC */
    uint64_t peer;    /* handle */
    struct path path;
    uint16_t len;
    uint8_t out;     /* 0 from the peer, 1 to it */
    uint8_t plain;   /* 1: its protection was taken off, or not yet put on */
    uint32_t missed; /* by this lane since the one before, for want of room */
    uint32_t _pad;
    uint8_t data[1528]; /* UDP payload */
};

_Static_assert(sizeof(struct abi_captured) == 1600, "capture slot");

#endif
