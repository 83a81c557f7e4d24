/* Lasting facts on their way out: from the store's outbox to Kafka, to a file of JSON
 * lines, to webhooks. The librdkafka and libcurl folder.
 *
 * Each way out is a sink of its own with its own place in the outbox, so that one that is
 * away holds up no other. An event is acknowledged in the store when the last of them has
 * it: until then it comes again, after a failure or a restart, so that delivery is at least
 * once, and one meeting's events are in order. Readers know a repeated one by its id.
 *
 * What a sink can never take is dead: it is counted, logged, and (Kafka) told of in the
 * topic kcs.dead.v1, and does not hold up its meeting.
 *
 * Thread: the loop's. Sinks have threads of their own. */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_relay;
struct loop;
struct metric_registry;
struct store;

enum {
    EVENT_ERR_MAX = 512,
    EVENT_STATE_MAX = 256,
    EVENT_SINKS = 8,
    EVENT_TOPICS = 3,
};

#define EVENT_TOPIC_FACTS   "kcs.facts.v1"
#define EVENT_TOPIC_QUALITY "kcs.quality.v1"
#define EVENT_TOPIC_DEAD    "kcs.dead.v1"

/* One of librdkafka's own settings, or a header of HTTP. */
struct event_setting {
    const char *name;
    const char *value;
};

struct event_kafka_conf {
    const char *brokers; /* "host:port,host:port" */
    const struct event_setting *settings;
    size_t n_settings;
    bool create_topics; /* those that are missing */
    int partitions;     /* of these */
    int replication;    /* of these; 0: as the brokers have it by default */
};

struct event_file_conf {
    const char *path; /* its directory is made if only that is missing */
    uint32_t max_mb;  /* then PATH becomes PATH.1, that PATH.2 … */
    uint32_t keep;    /* so many of them besides PATH */
};

/* Signed as Standard Webhooks 1.0 says. */
struct event_webhook_conf {
    const char *url;
    const char *secret; /* of the signature */
    const char *types;  /* beginnings of types, with spaces between; "": all */
    uint32_t give_up_s; /* an event is dead when it was refused for so long */
};

/* What is known of a type of events: both may be NULL. */
struct event_kind {
    const char *schema; /* URI of the data's */
    const char *said;   /* the member with what somebody said */
};

struct event_conf {
    struct loop *loop;
    struct store *store;
    struct metric_registry *metrics;
    const char *node; /* in "source" */
    bool chat_text;   /* else what was said is left out */
    /* 'json' is the event's data. Any thread. */
    struct event_kind (*kind_of)(const char *type, const char *json);
};

/* With no sink at first. 0 or -ENOMEM. 'conf' is copied, what it points to borrowed but for
 * the node's name. */
int event_relay_create(struct event_relay **out, const struct event_conf *conf);

/* Each adds a sink ('conf' is copied) and starts it: what is wrong later is told by
 * event_relay_state(). 0, or -errno with 'err' filled with one line that says what is wrong
 * with the configuration. At start only. */
int event_relay_add_kafka(struct event_relay *relay, const struct event_kafka_conf *conf,
                          char err[EVENT_ERR_MAX]);
int event_relay_add_file(struct event_relay *relay, const struct event_file_conf *conf,
                         char err[EVENT_ERR_MAX]);
int event_relay_add_webhook(struct event_relay *relay,
                            const struct event_webhook_conf *conf, char err[EVENT_ERR_MAX]);

uint32_t event_relay_n_sinks(const struct event_relay *relay);

/* An event that may be lost, beside the outbox: to Kafka's topic of quality, or to the
 * file. Webhooks do not get them. 'json' is borrowed. What does not fit is counted. */
void event_relay_quality(struct event_relay *relay, const char *type, const char *tenant,
                         const char *meeting, const char *json);

/* How the sinks are: the number of those that fail just now, with the first one's name and
 * reason in 'state' ("" if none). */
uint32_t event_relay_state(const struct event_relay *relay, char state[EVENT_STATE_MAX]);

/* Nothing more is read; what is on its way is given a moment to arrive. Before
 * store_close(), so that what has arrived is acknowledged. NULL is a no-op. */
void event_relay_stop(struct event_relay *relay);

/* After store_close(). NULL is a no-op. */
void event_relay_destroy(struct event_relay *relay);

#endif
