/* Kafka. One thread owns the producer: it makes it, sees to the topics, serves its reports,
 * and, when something failed that is not one message's fault, throws it away and makes
 * another; what was on its way comes again from the outbox. librdkafka's own queue is only
 * what is on its way: nothing is trusted to it. */
#include "event/kafka_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "sfu/base/fnv.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/thread.h"

enum {
    RETRY_MIN_MS = 500,
    RETRY_MAX_MS = 15000,
    CAUTIOUS_US = 5000000,
    SCRAM_VERSION = 0x020601ff
};

/* Nobody may set these: on them rests that nothing is lost or out of order. */
static const char *const ours[][2] = {{"enable.idempotence", "true"},
                                      {"acks", "all"},
                                      {"message.timeout.ms", "0"},
                                      {"max.in.flight.requests.per.connection", "5"}};

static struct kafka *kafka_of(struct event_sink *sink)
{
    return (struct kafka *)sink;
}

/* ---- how it is ---- */

void kafka_note_away(struct kafka *kafka, const char *why, const char *cure)
{
    bool news;

    (void)pthread_mutex_lock(&kafka->lock);
    news = !kafka->away;
    kafka->away = true;
    (void)snprintf(kafka->why, sizeof(kafka->why), "%s", why);
    (void)pthread_mutex_unlock(&kafka->lock);
    if (news) {
        log_error(
            "kafka_away", LOG_STR("reason", why),
            LOG_STR("cure", cure != NULL ? cure : "see events.kafka in the configuration"),
            LOG_STR("until", "events wait in the store and it is tried again"));
    }
}

static void note_works(struct kafka *kafka)
{
    bool news;

    (void)pthread_mutex_lock(&kafka->lock);
    news = kafka->away;
    kafka->away = false;
    kafka->failed = false;
    (void)pthread_mutex_unlock(&kafka->lock);
    if (news) {
        log_info("kafka_works");
    }
}

static void set_broken(struct kafka *kafka)
{
    (void)pthread_mutex_lock(&kafka->lock);
    kafka->broken = true;
    (void)pthread_mutex_unlock(&kafka->lock);
}

/* Whether 'err' only says that a batch was refused, and all that is behind it with it. */
static bool is_of_gap(rd_kafka_t *producer, rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE ||
           (err == RD_KAFKA_RESP_ERR__FATAL &&
            rd_kafka_fatal_error(producer, NULL, 0) == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE);
}

static size_t share_of(const struct event *event)
{
    return fnv32(event->meeting, strlen(event->meeting)) % KAFKA_SHARES;
}

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka *kafka = opaque;
    struct event *event = message->_private;

    /* Not for each the lock, which whoever sends has all the time. */
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
        (atomic_load(&kafka->away) || atomic_load(&kafka->failed))) {
        note_works(kafka);
    }
    if (event != NULL && event->position == 0) {
        atomic_fetch_sub(&kafka->n_quality, 1);
    }
    if (event == NULL) { /* of the dead */
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            log_error("event_dead_untold",
                      LOG_STR("reason", rd_kafka_err2str(message->err)));
        }
        return;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (event->position != 0) {
            atomic_store(&kafka->known[share_of(event)], true);
        }
        event_port_report(kafka->port, event->position, EVENT_DELIVERED);
    } else if (kafka_is_fault_of_message(message->err) && kafka->cautious) {
        kafka_bury(kafka, producer, event, message->err);
    } else if (kafka_is_fault_of_message(message->err) ||
               is_of_gap(producer, message->err)) {
        kafka->doubt = true; /* brokers refuse a whole batch for one of its messages */
        set_broken(kafka);
    } else if (event->position != 0 && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
               message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        kafka_note_away(kafka, rd_kafka_err2str(message->err), NULL);
        set_broken(kafka);
    }
    free(event);
}

/* Whether there is room for one more event of quality. librdkafka would keep 100,000 of them
 * while no broker is there, for as long as that lasts. */
static bool may_take_quality(struct kafka *kafka)
{
    return atomic_load(&kafka->n_quality) < KAFKA_QUALITY;
}

/* With the lock. Whether it must not be sent before another has arrived. */
static bool has_to_wait(const struct kafka *kafka, const struct event *event, size_t share)
{
    return event->position != 0 && kafka->gated && kafka->begun[share] &&
           !atomic_load(&kafka->known[share]);
}

static int kafka_send(struct event_sink *sink, struct event *event)
{
    struct kafka *kafka = kafka_of(sink);
    const size_t share = share_of(event);
    const bool lasts = event->position != 0;
    rd_kafka_resp_err_t err;
    int ret = -EAGAIN;

    (void)pthread_mutex_lock(&kafka->lock);
    if (kafka->producer != NULL && !kafka->broken && !has_to_wait(kafka, event, share) &&
        (lasts || may_take_quality(kafka))) {
        if (!lasts) { /* before: it may be reported at once */
            atomic_fetch_add(&kafka->n_quality, 1);
        }
        err = kafka_produce(kafka->producer,
                            lasts ? EVENT_TOPIC_FACTS : EVENT_TOPIC_QUALITY, event,
                            event->data, event->data_len, NULL, 0, event);
        if (err != 0 && !lasts) {
            atomic_fetch_sub(&kafka->n_quality, 1);
        }
        if (err == 0) { /* the event may be gone by now */
            kafka->begun[share] = kafka->begun[share] || lasts;
            ret = 0;
        } else if (kafka_is_fault_of_message(err)) {
            kafka_bury(kafka, kafka->producer, event, err);
            free(event);
            ret = 0;
        } else if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            kafka->broken = true;
        }
    }
    (void)pthread_mutex_unlock(&kafka->lock);
    return ret;
}

static bool kafka_works(struct event_sink *sink, char state[EVENT_STATE_MAX])
{
    struct kafka *kafka = kafka_of(sink);
    bool works;

    (void)pthread_mutex_lock(&kafka->lock);
    works = !kafka->away;
    (void)snprintf(state, EVENT_STATE_MAX, "%s", works ? "" : kafka->why);
    (void)pthread_mutex_unlock(&kafka->lock);
    return works;
}

/* ---- the thread ---- */

static void on_error(rd_kafka_t *producer, int err, const char *reason, void *opaque)
{
    struct kafka *kafka = opaque;
    char text[EVENT_STATE_MAX];

    switch (err) {
    case RD_KAFKA_RESP_ERR__FATAL:
        if (rd_kafka_fatal_error(producer, text, sizeof(text)) ==
            RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE) {
            kafka->doubt = true;
        } else {
            kafka_note_away(kafka, text, NULL);
        }
        set_broken(kafka);
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION: /* another producer's try, with our backoff */
        kafka->named = true;
        kafka_note_away(
            kafka, reason,
            kafka->old_scram
                ? "brokers from Kafka 4.0 on refuse SCRAM of this librdkafka, with the right "
                  "password too: install librdkafka 2.6.1 or newer, or let sasl.mechanism be "
                  "PLAIN over TLS"
                : "make sasl.mechanism, sasl.username and sasl.password in "
                  "events.kafka.settings what the brokers know");
        set_broken(kafka);
        break;
    case RD_KAFKA_RESP_ERR__SSL:
        kafka->named = true;
        kafka_note_away(kafka, reason, "see ssl.ca.location in events.kafka.settings");
        break;
    case RD_KAFKA_RESP_ERR__RESOLVE:
        kafka->named = true;
        kafka_note_away(kafka, reason, "see events.kafka.brokers");
        break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: /* follows the others, too */
        if (!kafka->named) {
            kafka_note_away(kafka, reason, NULL);
        }
        break;
    default:
        break;
    }
}

/* Each of many tries is not told of, only the first: the next may come before it is noted
 * that it is away. Any of librdkafka's threads. */
static void on_log(const rd_kafka_t *producer, int level, const char *facility,
                   const char *text)
{
    struct kafka *kafka = rd_kafka_opaque(producer);

    if (level <= LOG_ERR && !atomic_load(&kafka->away) &&
        !atomic_exchange(&kafka->failed, true)) {
        log_warn("kafka_says", LOG_STR("facility", facility), LOG_STR("text", text));
    } else {
        log_debug("kafka_says", LOG_STR("facility", facility), LOG_STR("text", text));
    }
}

void kafka_pause(struct kafka *kafka, uint32_t ms)
{
    const struct timespec until = clock_deadline(CLOCK_REALTIME, ms);

    (void)pthread_mutex_lock(&kafka->lock);
    while (!kafka->stop &&
           pthread_cond_timedwait(&kafka->changed, &kafka->lock, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&kafka->lock);
}

bool kafka_is_over(struct kafka *kafka)
{
    bool over;

    (void)pthread_mutex_lock(&kafka->lock);
    over = kafka->stop || kafka->broken;
    (void)pthread_mutex_unlock(&kafka->lock);
    return over;
}

static rd_kafka_t *make_producer(struct kafka *kafka)
{
    char text[EVENT_STATE_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(kafka->conf);
    rd_kafka_t *producer;

    kafka->cautious = kafka->doubt;
    kafka->named = false;
    /* A batch that is refused for one of its messages ends this producer: what is sent behind
     * it must not arrive before what was good in it. One by one the others go on. */
    (void)rd_kafka_conf_set(conf, "enable.gapless.guarantee",
                            kafka->cautious ? "false" : "true", text, sizeof(text));
    if (kafka->cautious) {
        (void)rd_kafka_conf_set(conf, "batch.num.messages", "1", text, sizeof(text));
    }
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));

    if (producer == NULL) {
        rd_kafka_conf_destroy(conf);
        kafka_note_away(kafka, text, NULL);
    }
    return producer;
}

/* When nothing is on its way, so that nothing comes twice. */
static bool may_be_bold(struct kafka *kafka, rd_kafka_t *producer, uint64_t since_us)
{
    bool may;

    if (!kafka->cautious || clock_mono_us() - since_us < CAUTIOUS_US) {
        return false;
    }
    (void)pthread_mutex_lock(&kafka->lock);
    may = rd_kafka_outq_len(producer) == 0;
    if (may) {
        kafka->producer = NULL;
        kafka->doubt = false;
    }
    (void)pthread_mutex_unlock(&kafka->lock);
    return may;
}

/* Lends the producer to send() until it breaks, or all is over. */
static void serve(struct kafka *kafka, rd_kafka_t *producer)
{
    uint64_t since_us = clock_mono_us();
    uint32_t patience_ms;

    (void)pthread_mutex_lock(&kafka->lock);
    kafka->producer = producer;
    kafka->gated = !kafka->cautious;
    memset(kafka->begun, 0, sizeof(kafka->begun));
    for (size_t i = 0; i < KAFKA_SHARES; i++) {
        atomic_store(&kafka->known[i], false);
    }
    (void)pthread_mutex_unlock(&kafka->lock);
    while (!kafka_is_over(kafka) && !may_be_bold(kafka, producer, since_us)) {
        (void)rd_kafka_poll(producer, KAFKA_POLL_MS);
    }
    (void)pthread_mutex_lock(&kafka->lock);
    kafka->producer = NULL;
    patience_ms = kafka->broken ? 0 : kafka->patience_ms;
    (void)pthread_mutex_unlock(&kafka->lock);
    (void)rd_kafka_flush(producer, (int)patience_ms);
}

static void unmake(rd_kafka_t *producer)
{
    /* Each message is given back by a report: its event is freed there. */
    (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(producer) > 0) {
        (void)rd_kafka_poll(producer, KAFKA_POLL_MS);
    }
    rd_kafka_destroy(producer);
}

static void *run(void *arg)
{
    struct kafka *kafka = arg;
    uint32_t wait_ms = RETRY_MIN_MS;
    bool stop = false;

    thread_named("kcs-kafka");
    while (!stop) {
        rd_kafka_t *producer = make_producer(kafka);
        bool ready = producer != NULL && kafka_topics_ready(kafka, producer);

        if (ready) {
            serve(kafka, producer);
        }
        if (producer != NULL) {
            unmake(producer);
        }
        (void)pthread_mutex_lock(&kafka->lock);
        stop = kafka->stop;
        kafka->broken = false;
        (void)pthread_mutex_unlock(&kafka->lock);
        if (!stop) {
            event_port_broken(kafka->port);
            kafka_pause(kafka, wait_ms);
            wait_ms = ready ? RETRY_MIN_MS : 2 * wait_ms;
            wait_ms = wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
        }
    }
    return NULL;
}

static void kafka_stop(struct event_sink *sink, uint32_t patience_ms)
{
    struct kafka *kafka = kafka_of(sink);

    if (kafka->joined) {
        return;
    }
    (void)pthread_mutex_lock(&kafka->lock);
    kafka->stop = true;
    kafka->patience_ms = patience_ms;
    (void)pthread_cond_broadcast(&kafka->changed);
    (void)pthread_mutex_unlock(&kafka->lock);
    (void)pthread_join(kafka->thread, NULL);
    kafka->joined = true;
}

static void kafka_free(struct kafka *kafka)
{
    if (kafka->conf != NULL) {
        rd_kafka_conf_destroy(kafka->conf);
    }
    (void)pthread_cond_destroy(&kafka->changed);
    (void)pthread_mutex_destroy(&kafka->lock);
    free(kafka);
}

static void kafka_destroy(struct event_sink *sink)
{
    kafka_stop(sink, 0);
    kafka_free(kafka_of(sink));
}

/* ---- made ---- */

static int set(struct kafka *kafka, const char *name, const char *value,
               char err[EVENT_ERR_MAX])
{
    char text[EVENT_ERR_MAX / 2];

    if (rd_kafka_conf_set(kafka->conf, name, value, text, sizeof(text)) ==
        RD_KAFKA_CONF_OK) {
        return 0;
    }
    (void)snprintf(err, EVENT_ERR_MAX, "events.kafka.settings: %s", text);
    return -EINVAL;
}

static int configure(struct kafka *kafka, const struct event_kafka_conf *conf,
                     char err[EVENT_ERR_MAX])
{
    int ret = set(kafka, "bootstrap.servers", conf->brokers, err);

    if (ret == 0) {
        ret = set(kafka, "client.id", "kcs-control", err);
    }
    for (size_t i = 0; ret == 0 && i < conf->n_settings; i++) {
        for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++) {
            if (strcmp(conf->settings[i].name, ours[j][0]) == 0) {
                (void)snprintf(err, EVENT_ERR_MAX,
                               "events.kafka.settings: %s is always %s: without it events "
                               "could be lost",
                               ours[j][0], ours[j][1]);
                return -EINVAL;
            }
        }
        ret = set(kafka, conf->settings[i].name, conf->settings[i].value, err);
        /* Older ones send the client's nonce twice, which brokers let pass before
         * (librdkafka's pull request 4895). */
        kafka->old_scram = kafka->old_scram ||
                           (strncmp(conf->settings[i].name, "sasl.mechanism", 14) == 0 &&
                            strncmp(conf->settings[i].value, "SCRAM", 5) == 0 &&
                            rd_kafka_version() < SCRAM_VERSION);
    }
    for (size_t i = 0; ret == 0 && i < sizeof(ours) / sizeof(ours[0]); i++) {
        ret = set(kafka, ours[i][0], ours[i][1], err);
    }
    return ret;
}

int event_kafka_create(struct event_sink **out, struct event_port *port,
                       const struct event_kafka_conf *conf, char err[EVENT_ERR_MAX])
{
    static const struct event_sink_ops ops = {kafka_send, kafka_works, kafka_stop,
                                              kafka_destroy};
    struct kafka *kafka = calloc(1, sizeof(*kafka));
    rd_kafka_t *probe;
    int ret;

    if (kafka == NULL) {
        (void)snprintf(err, EVENT_ERR_MAX, "events.kafka: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    kafka->sink = (struct event_sink){&ops, "kafka", true};
    kafka->port = port;
    kafka->partitions = conf->partitions;
    kafka->replication = conf->replication;
    kafka->create_topics = conf->create_topics;
    (void)pthread_mutex_init(&kafka->lock, NULL);
    (void)pthread_cond_init(&kafka->changed, NULL);
    kafka->conf = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(kafka->conf, kafka);
    rd_kafka_conf_set_dr_msg_cb(kafka->conf, on_report);
    rd_kafka_conf_set_error_cb(kafka->conf, on_error);
    rd_kafka_conf_set_log_cb(kafka->conf, on_log);
    ret = configure(kafka, conf, err);
    if (ret == 0) {
        /* What does not fit together is said now, not by a thread. */
        probe = make_producer(kafka);
        if (probe == NULL) {
            (void)snprintf(err, EVENT_ERR_MAX, "events.kafka: %s", kafka->why);
            ret = -EINVAL;
        } else {
            rd_kafka_destroy(probe);
            ret = -pthread_create(&kafka->thread, NULL, run, kafka);
            (void)snprintf(err, EVENT_ERR_MAX, "events.kafka: %s", strerror(-ret));
        }
    }
    if (ret != 0) {
        kafka_free(kafka);
        return ret;
    }
    err[0] = '\0';
    *out = &kafka->sink;
    return 0;
}
