/* Spans of traces to an OpenTelemetry collector: OTLP/JSON by HTTP POST, on a thread of its
 * own. Nobody waits for it: what does not fit into the queue of trace/ while the receiver is
 * away is dropped and counted.
 *
 * A receiver that is away is asked again, at longer and longer intervals; that it is away,
 * and that it is back, is said once. What it refuses (4xx) is not sent again. */
#ifndef EVENT_OTLP_H
#define EVENT_OTLP_H

#include "event/event.h"

struct otlp;

struct otlp_conf {
    const char *endpoint; /* "http://host:4318": spans go to its /v1/traces */
    const struct event_setting
        *headers; /* of each request: who we are, mostly. Not logged */
    size_t n_headers;
    const char *version;  /* of this program */
    const char *node;
    uint32_t percent; /* of the traces that begin here */
};

/* Opens trace/ and starts the thread. 'conf' is copied. 0, or -errno with 'err' filled with
 * one line. At start only; one at a time. */
int otlp_create(struct otlp **out, struct metric_registry *metrics,
                const struct otlp_conf *conf, char err[EVENT_ERR_MAX]);

/* Sends what there is, if that takes no longer than a moment, ends the thread and closes
 * trace/. NULL is a no-op. */
void otlp_destroy(struct otlp *otlp);

#endif
