/* Between the files that make the way to Kafka: kafka.c, which has the producer and its
 * thread; kafka_message.c, what an event is there; kafka_topics.c, where they go. */
#ifndef EVENT_KAFKA_PRIV_H
#define EVENT_KAFKA_PRIV_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "event/sink.h"

enum {
    KAFKA_POLL_MS = 100,
    KAFKA_SHARES = 1024,  /* of meetings, by their names */
    KAFKA_QUALITY = 16384 /* events of it on their way: of 10,000 people in 16 seconds */
};

struct kafka {
    struct event_sink sink;
    struct event_port *port;
    rd_kafka_conf_t *conf; /* copied for each producer */
    int partitions, replication;
    bool create_topics;
    pthread_t thread;
    /* The thread's: this producer's messages go one by one; the next one's shall. */
    bool cautious, doubt;
    bool old_scram; /* see configure() */
    bool named; /* what ails this producer is known better than that no broker is there */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    rd_kafka_t *producer; /* NULL: takes nothing just now */
    /* Brokers take any batch as the first of a producer, also what follows one that they
     * refuse; from then on only the next. So a meeting's second event is sent when the
     * first has arrived: of each share of the meetings, and this producer's. */
    bool gated; /* not if messages go one by one: what is refused then is over */
    bool begun[KAFKA_SHARES];
    atomic_bool known[KAFKA_SHARES];
    bool broken;
    bool stop;
    uint32_t patience_ms;
    atomic_uint n_quality; /* on their way: KAFKA_QUALITY at most */
    atomic_bool away; /* and why: written with the lock */
    atomic_bool failed; /* a try was told of, and nothing has got through since */
    char why[EVENT_STATE_MAX];
    bool joined;
};

/* ---- kafka.c ---- */

/* Says once why nothing gets through, until something does. cure: NULL if there is no
 * better one than to look at the configuration. */
void kafka_note_away(struct kafka *kafka, const char *why, const char *cure);

bool kafka_is_over(struct kafka *kafka); /* of this producer, or all */

/* Sleeps, unless it is to stop. The thread's. */
void kafka_pause(struct kafka *kafka, uint32_t ms);

/* ---- kafka_message.c ---- */

/* Gives a message to 'producer': an event in binary mode (CloudEvents, Kafka protocol
 * binding 1.0.2, section 3.2) with 'body'. reason: of the dead, else NULL. flags and opaque
 * are librdkafka's. 0, or its error. */
rd_kafka_resp_err_t kafka_produce(rd_kafka_t *producer, const char *topic,
                                  const struct event *event, const void *body, size_t len,
                                  const char *reason, int flags, void *opaque);

/* Whether it is the message that is wrong, so that no second try can help. */
bool kafka_is_fault_of_message(rd_kafka_resp_err_t err);

/* Tells the topic of the dead of an event that can never be delivered, without its body,
 * which may be why; and reports it. */
void kafka_bury(struct kafka *kafka, rd_kafka_t *producer, const struct event *event,
                rd_kafka_resp_err_t err);

/* ---- kafka_topics.c ---- */

/* Makes the topics, if that is wanted, and waits until all are there. False: not yet, which
 * was told, or it is over. The thread's. */
bool kafka_topics_ready(struct kafka *kafka, rd_kafka_t *producer);

#endif
