/* Between relay.c, which reads the outbox and keeps each sink's place in it, and the sinks,
 * which carry events away. */
#ifndef EVENT_SINK_H
#define EVENT_SINK_H

#include "event/event.h"

/* An event as CloudEvents 1.0 has it. One block of memory: free() it. */
struct event {
    struct event *next;
    uint64_t position; /* in the outbox; 0: it is not of it, and nobody waits for it */
    uint64_t at_us;    /* wall clock */
    uint64_t epoch, seq;
    const char *id;
    const char *source;
    const char *type;
    const char *time;   /* RFC 3339 */
    const char *schema; /* URI; "": none */
    const char *trace;  /* traceparent; "": none */
    const char *tenant;
    const char *meeting; /* its subject, and its key */
    const char *data;    /* JSON */
    size_t data_len;
};

struct event_words {
    const char *node;
    bool chat_text;
    struct event_kind (*kind_of)(const char *type, const char *json);
};

struct store_event;

/* NULL without memory. */
struct event *event_of(const struct store_event *fact, const struct event_words *words);

/* Structured mode: the event as one JSON object, without a line's end; the caller frees it.
 * NULL without memory. */
char *event_json(const struct event *event, size_t *len);

struct event_sink;
struct event_port; /* the relay's end of a sink */

enum event_outcome { EVENT_DELIVERED, EVENT_DEAD };

/* From any thread. What has become of an event that was taken ('position' not 0). */
void event_port_report(struct event_port *port, uint64_t position,
                       enum event_outcome outcome);

/* From any thread: what was taken and not yet reported is lost and comes again, from the
 * first of it on. From here until the sink is given an event anew it takes none. */
void event_port_broken(struct event_port *port);

struct event_sink_ops {
    /* Takes 'event' (moved) and returns 0; or -EAGAIN: it comes again, soon. The loop's
     * thread. */
    int (*send)(struct event_sink *sink, struct event *event);

    /* True if it works as far as is known, else 'state' is filled. Any thread. */
    bool (*works)(struct event_sink *sink, char state[EVENT_STATE_MAX]);

    /* Ends its thread; what is on its way gets at most 'patience_ms'. Nothing is reported
     * afterwards. */
    void (*stop)(struct event_sink *sink, uint32_t patience_ms);

    void (*destroy)(struct event_sink *sink); /* stopped or not */
};

struct event_sink {
    const struct event_sink_ops *ops;
    const char *name; /* constant: a label of metrics */
    bool quality;     /* takes events of quality too */
};

int event_kafka_create(struct event_sink **out, struct event_port *port,
                       const struct event_kafka_conf *conf, char err[EVENT_ERR_MAX]);
int event_file_create(struct event_sink **out, struct event_port *port,
                      const struct event_file_conf *conf, char err[EVENT_ERR_MAX]);
int event_webhook_create(struct event_sink **out, struct event_port *port,
                         const struct event_webhook_conf *conf, char err[EVENT_ERR_MAX]);

/* relay.c; for sinks.c, and tests. 'make' fills 'out' with the sink of a port. */
int event_relay_add(struct event_relay *relay,
                    int (*make)(struct event_sink **out, struct event_port *port,
                                const void *conf, char err[EVENT_ERR_MAX]),
                    const void *conf, char err[EVENT_ERR_MAX]);

/* ---- for sinks with one thread that takes events one after the other ---- */

struct event_queue;

/* Has work(arg, first) called on a thread of its own with a list of at most 'batch' events
 * (moved), until it is stopped. At most 'cap' wait. 0, -ENOMEM, -EAGAIN. */
int event_queue_create(struct event_queue **out, uint32_t cap, uint32_t batch,
                       void (*work)(void *arg, struct event *first), void *arg);

/* Moves 'event' in: 0, or -EAGAIN: it is full. */
int event_queue_put(struct event_queue *queue, struct event *event);

/* From 'work': waits; true if the queue is to be left, so that work should return. */
bool event_queue_wait(struct event_queue *queue, uint32_t ms);

/* Ends the thread: at once in its waits, else when its list is done; what then waits is
 * given 'patience_ms' to be worked off. */
void event_queue_stop(struct event_queue *queue, uint32_t patience_ms);

/* Stopped before. Frees what waits. NULL is a no-op. */
void event_queue_destroy(struct event_queue *queue);

#endif
