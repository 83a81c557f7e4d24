/* The topics: made, if that is wanted, and seen to be there before anything is sent. */
#include <stdio.h>

#include "event/kafka_priv.h"
#include "sys/clock.h"
#include "sys/log.h"

enum { TOPICS_MS = 10000 /* how long the brokers may take to make them */ };

static const char *const topic_names[EVENT_TOPICS] = {
    EVENT_TOPIC_FACTS, EVENT_TOPIC_QUALITY, EVENT_TOPIC_DEAD};

/* What the brokers answered to the wish for topics: 0, or one that a later try may mend. */
static rd_kafka_resp_err_t look_at_topics(struct kafka *kafka, rd_kafka_event_t *answer)
{
    const rd_kafka_CreateTopics_result_t *result =
        rd_kafka_event_CreateTopics_result(answer);
    rd_kafka_resp_err_t err = rd_kafka_event_error(answer);
    const rd_kafka_topic_result_t **topics;
    size_t n = 0;

    if (err != 0) {
        kafka_note_away(kafka, rd_kafka_event_error_string(answer), NULL);
        return err;
    }
    topics = rd_kafka_CreateTopics_result_topics(result, &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t one = rd_kafka_topic_result_error(topics[i]);

        if (one == RD_KAFKA_RESP_ERR_NO_ERROR) {
            log_info("kafka_topic_made",
                     LOG_STR("topic", rd_kafka_topic_result_name(topics[i])));
        } else if (one != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            log_warn("kafka_topic_not_made",
                     LOG_STR("topic", rd_kafka_topic_result_name(topics[i])),
                     LOG_STR("error", rd_kafka_topic_result_error_string(topics[i])));
        }
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Asks for the topics and waits for the answer. */
static rd_kafka_resp_err_t make_topics(struct kafka *kafka, rd_kafka_t *producer)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer);
    rd_kafka_NewTopic_t *topics[EVENT_TOPICS];
    rd_kafka_event_t *answer = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;

    for (size_t i = 0; i < EVENT_TOPICS; i++) {
        topics[i] = rd_kafka_NewTopic_new(topic_names[i], kafka->partitions,
                                          kafka->replication > 0 ? kafka->replication : -1,
                                          NULL, 0);
    }
    rd_kafka_CreateTopics(producer, topics, EVENT_TOPICS, NULL, queue);
    for (int ms = 0; answer == NULL && ms < TOPICS_MS && !kafka_is_over(kafka);
         ms += KAFKA_POLL_MS) {
        answer = rd_kafka_queue_poll(queue, KAFKA_POLL_MS);
        (void)rd_kafka_poll(producer, 0);
    }
    if (answer != NULL) {
        err = look_at_topics(kafka, answer);
        rd_kafka_event_destroy(answer);
    } else if (!kafka_is_over(kafka)) { /* else it is known why */
        kafka_note_away(kafka, "no broker answers", NULL);
    }
    rd_kafka_NewTopic_destroy_array(topics, EVENT_TOPICS);
    rd_kafka_queue_destroy(queue);
    return err;
}

/* What the brokers say of one topic. */
static rd_kafka_resp_err_t look_for(rd_kafka_t *producer, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err =
        topic != NULL ? rd_kafka_metadata(producer, 0, topic, &metadata, 10 * KAFKA_POLL_MS)
                      : rd_kafka_last_error();

    if (err == 0 && metadata != NULL) {
        err = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                       : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        rd_kafka_metadata_destroy(metadata);
    }
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic);
    }
    return err;
}

/* Whether all topics are there; of one just made that may take a moment. Without this an
 * event for a missing one would wait for half a minute, and nobody be told. */
static bool has_topics(struct kafka *kafka, rd_kafka_t *producer)
{
    char why[EVENT_STATE_MAX];
    const uint64_t until_us = clock_mono_us() + TOPICS_MS * UINT64_C(1000);
    size_t at = 0;

    while (at < EVENT_TOPICS && !kafka_is_over(kafka)) {
        rd_kafka_resp_err_t err = look_for(producer, topic_names[at]);
        bool unanswered =
            err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT;

        (void)rd_kafka_poll(producer, 0);
        if (err == 0) {
            at++;
        } else if (clock_mono_us() >= until_us || (!kafka->create_topics && !unanswered)) {
            (void)snprintf(why, sizeof(why), "topic %s: %s", topic_names[at],
                           rd_kafka_err2str(err));
            kafka_note_away(
                kafka, why,
                "make the topics of docs/events.md, or let events.kafka.create_topics "
                "be true, and let this user write to them");
            return false;
        } else {
            kafka_pause(kafka, KAFKA_POLL_MS);
        }
    }
    return at == EVENT_TOPICS;
}

bool kafka_topics_ready(struct kafka *kafka, rd_kafka_t *producer)
{
    return (!kafka->create_topics || make_topics(kafka, producer) == 0) &&
           has_topics(kafka, producer);
}
