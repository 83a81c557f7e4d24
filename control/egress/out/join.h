/* The parts of what was composed, one a process, as one file: packet by packet as they are.
 * Between them, while there was no process, the last picture stands and there is silence.
 */
#ifndef EGRESS_JOIN_H
#define EGRESS_JOIN_H

#include <stdint.h>

enum { JOIN_REASON = 128 };

struct join_conf {
    const char *directory;
    const char *extension; /* of the parts: meeting.1.EXTENSION … */
    unsigned n;            /* parts; some may be missing */
    /* Now and then, that it goes on. May be NULL. */
    void (*alive)(void);
};

struct joined {
    uint64_t bytes;
    int64_t length_us;
};

/* Writes meeting.EXTENSION and, once it is whole, takes the parts away. Returns 0, or
 * -errno with 'reason' filled, and all is as it was. */
int join_parts(const struct join_conf *conf, struct joined *out, char reason[JOIN_REASON]);

#endif
