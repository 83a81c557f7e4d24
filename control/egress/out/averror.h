/* libav's codes as errno's.
 *
 * Pure; any thread. */
#ifndef EGRESS_AVERROR_H
#define EGRESS_AVERROR_H

#include <errno.h>

/* Its own codes, far below, are no errno: they say what it thinks of the data, -EBADMSG. */
static inline int averror_errno(int averror)
{
    return averror >= 0 ? 0 : averror > -4096 ? averror : -EBADMSG;
}

#endif
