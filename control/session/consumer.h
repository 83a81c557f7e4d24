/* What one participant receives of a producer: the parameters its browser is told, and a
 * subscription of the dataplane. Starts paused, as mediasoup-client expects.
 *
 * Thread: the loop's. */
#ifndef SESSION_CONSUMER_H
#define SESSION_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "session/producer.h"

struct consumer;

/* Called once when the subscription stands (0) or was refused (-errno: then close it). */
typedef void consumer_done(void *arg, int status);

struct consumer_conf {
    struct media *media;             /* borrowed for the consumer's life */
    uint64_t peer;                   /* of the receiving transport */
    const struct producer *producer; /* borrowed; outlives the consumer */
    const struct ortc_caps *caps;    /* borrowed during the call */
    const char *mid;                 /* unique in the transport; copied */
    const char *cname;               /* of the producing transport; copied */
    uint32_t ssrc, rtx_ssrc;         /* fresh in the transport */
};

/* Returns 0 and calls 'done' later; -ENOTSUP if the browser has none of the codecs;
 * -EINVAL, -ENOMEM, or an error of media.h: then 'done' is not called. */
int consumer_create(struct consumer **out, const struct consumer_conf *conf,
                    consumer_done *done, void *arg);

/* Ends it; 'done' is not called any more. NULL is a no-op. */
void consumer_close(struct consumer *consumer);

void consumer_set_paused(struct consumer *consumer, bool paused);
bool consumer_is_paused(const struct consumer *consumer);

/* What the browser is told. */
void consumer_params(const struct consumer *consumer, struct rtp_params *out);

uint64_t consumer_sub(const struct consumer *consumer); /* its handle, for listings */

#endif
