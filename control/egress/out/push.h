/* What is composed, sent to a server by RTMP. In a thread of its own, which waits for the
 * network so that nobody else does: what cannot be sent in time is left out
 * (packet_queue.h), and a connection that was lost is tried again, after 1, 2, 4 … 30 s.
 *
 * A name is resolved here, for each try; what it stands for at that moment is looked at and
 * then connected to by its address: whatever a name server says next is not asked for. */
#ifndef EGRESS_PUSH_H
#define EGRESS_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "egress/out/encoder.h"
#include "sfu/base/rtmp_url.h"

struct push;

enum {
    PUSH_REASON = 128,
    PUSH_CA_FILE = 256,
    PUSH_CLOSE_MS = 1000 /* that push_close() takes at most */
};

enum push_state {
    PUSH_AWAY,      /* not connected: tried, or tried again */
    PUSH_CONNECTED, /* the server takes it */
    PUSH_REFUSED /* it stands for addresses that may not be connected to: not tried again */
};

struct push_figures {
    enum push_state state;
    uint64_t bytes;           /* that were sent */
    char reason[PUSH_REASON]; /* why it is not connected; "": not tried yet. No part of the
                               * URL is in it */
};

/* url      rtmp_url.h
 * encoder  what it has of pictures and sound is copied
 * private  whether addresses that are none of the public Internet may be connected to
 * ca_file  authorities that a server of rtmps is checked by; "": the system's
 *
 * All borrowed for the call. Returns 0, -EINVAL (the URL) or -ENOMEM. */
int push_open(struct push **out, const char *url, const struct encoder *encoder,
              bool private, const char *ca_file);

/* Takes a packet of the encoder's; borrowed. Never waits. */
void push_put(struct push *push, enum encoder_kind kind, const struct AVPacket *packet);

void push_figures(struct push *push, struct push_figures *out);

/* Sends what waits and says good-bye, or gives up: a server that hangs, or a name server,
 * holds nobody up for longer than PUSH_CLOSE_MS. NULL is a no-op. */
void push_close(struct push *push);

#endif
