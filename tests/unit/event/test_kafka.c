/* Kafka, in its place the broker that librdkafka brings to be tested with. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "world.h"

struct mock {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *cluster;
};

static void mock_start(struct mock *mock)
{
    char text[256];

    mock->handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
    assert_non_null(mock->handle);
    mock->cluster = rd_kafka_mock_cluster_new(mock->handle, 1);
    assert_non_null(mock->cluster);
}

static void mock_stop(struct mock *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->handle);
}

/* What the topic of facts holds, ids with spaces between. */
static void read_ids(const struct mock *mock, size_t n, char *out, size_t cap)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(4);
    char text[256];
    rd_kafka_t *consumer;
    size_t at = 0;

    (void)rd_kafka_conf_set(conf, "bootstrap.servers",
                            rd_kafka_mock_cluster_bootstraps(mock->cluster), text,
                            sizeof(text));
    (void)rd_kafka_conf_set(conf, "group.id", "test", text, sizeof(text));
    consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(consumer);
    for (int32_t i = 0; i < 4; i++) {
        rd_kafka_topic_partition_list_add(topics, EVENT_TOPIC_FACTS, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    assert_int_equal(rd_kafka_assign(consumer, topics), 0);
    out[0] = '\0';
    for (int i = 0; i < 100 && n > 0; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        rd_kafka_headers_t *headers;
        const void *id;
        size_t len;

        if (message != NULL && message->err == 0) {
            assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
            assert_int_equal(rd_kafka_header_get_last(headers, "ce_id", &id, &len), 0);
            at += (size_t)snprintf(out + at, cap - at, "%.*s ", (int)len, (const char *)id);
            assert_int_equal(
                rd_kafka_header_get_last(headers, "ce_traceparent", &id, &len), 0);
            assert_string_equal(id, TRACE_OF_TEST);
            assert_memory_equal(message->key, "m", 1);
            n--;
        }
        if (message != NULL) {
            rd_kafka_message_destroy(message);
        }
    }
    rd_kafka_topic_partition_list_destroy(topics);
    (void)rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* A relay to one broker, which a first event has reached. */
static void start_kafka(struct world *w, struct mock *mock)
{
    struct event_kafka_conf conf = {.partitions = 1};
    char err[EVENT_ERR_MAX];

    mock_start(mock);
    conf.brokers = rd_kafka_mock_cluster_bootstraps(mock->cluster);
    start(w);
    assert_int_equal(event_relay_add_kafka(w->relay, &conf, err), 0);
    tell(w, "kcs.meeting.other", "{}");
    until_empty(w);
}

static void kafka_is_told_all_again_after_an_error(void **state)
{
    struct world w;
    struct mock mock;
    char ids[256];
    (void)state;

    start_kafka(&w, &mock);
    /* it is not allowed to, for once: no message's fault */
    rd_kafka_mock_push_request_errors(mock.cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    tell(&w, "kcs.meeting.other", "{}");
    tell(&w, "kcs.meeting.closed", "{}");
    until_state(&w, "kafka: Broker: Topic authorization failed");
    until_empty(&w);
    until_state(&w, NULL);
    read_ids(&mock, 3, ids, sizeof(ids));
    assert_string_equal(ids, "t/m/1/1 t/m/1/2 t/m/1/3 ");
    finish(&w);
    mock_stop(&mock);
}

static void kafka_settings_are_checked(void **state)
{
    static const struct {
        struct event_setting setting;
        const char *err;
    } bad[] = {{{"acks", "1"},
                "events.kafka.settings: acks is always all: without it events could be lost"},
               {{"no.such", "1"},
                "events.kafka.settings: No such configuration property: \"no.such\""},
               {{"linger.ms", "x"},
                "events.kafka.settings: Invalid value for configuration property "}};
    struct world w;
    char err[EVENT_ERR_MAX];
    (void)state;

    start(&w);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct event_kafka_conf conf = {
            .brokers = "127.0.0.1:1", .settings = &bad[i].setting, .n_settings = 1};

        assert_int_equal(event_relay_add_kafka(w.relay, &conf, err), -EINVAL);
        if (strncmp(err, bad[i].err, strlen(bad[i].err)) != 0) {
            fail_msg("it says: %s", err);
        }
    }
    assert_int_equal(event_relay_n_sinks(w.relay), 0);
    finish(&w);
}

static void kafka_that_is_away_is_waited_for(void **state)
{
    const struct event_kafka_conf conf = {
        .brokers = "127.0.0.1:1", .create_topics = true, .partitions = 1};
    struct world w;
    char err[EVENT_ERR_MAX];
    (void)state;

    start(&w);
    assert_int_equal(event_relay_add_kafka(w.relay, &conf, err), 0);
    tell(&w, "kcs.meeting.other", "{}");
    until_state(&w, "kafka: ");
    assert_int_equal(n_waiting(&w), 1);
    finish(&w); /* without waiting for it */
}

static unsigned long lost_quality(struct world *w)
{
    static const char name[] = "\nkcs_event_quality_lost_total ";
    const char *at;
    char *text;
    size_t len;
    unsigned long n;

    assert_int_equal(metric_render(w->metrics, &text, &len), 0);
    at = strstr(text, name);
    assert_non_null(at);
    n = strtoul(at + strlen(name), NULL, 10);
    free(text);
    return n;
}

/* They are not kept for hours, in memory: who counts them wants the newest. */
static void quality_waits_for_no_broker_that_is_away(void **state)
{
    enum { TOLD = 20000, KEPT = 16384 };
    struct world w;
    struct mock mock;
    uint64_t until_us;
    (void)state;

    start_kafka(&w, &mock);
    assert_int_equal(rd_kafka_mock_broker_set_down(mock.cluster, 1), 0);
    for (int i = 0; i < TOLD; i++) {
        event_relay_quality(w.relay, "kcs.quality.participant", "t", "m", "{}");
    }
    assert_in_range(lost_quality(&w), TOLD - KEPT - 100, TOLD - KEPT);

    /* and they are taken again once it is back */
    assert_int_equal(rd_kafka_mock_broker_set_up(mock.cluster, 1), 0);
    until_us = clock_mono_us() + 30000000;
    for (unsigned long before = ULONG_MAX; lost_quality(&w) != before;) {
        assert_true(clock_mono_us() < until_us);
        (void)usleep(50000);
        before = lost_quality(&w);
        event_relay_quality(w.relay, "kcs.quality.participant", "t", "m", "{}");
    }
    tell(&w, "kcs.meeting.closed", "{}"); /* a fact finds its way all the same */
    until_empty(&w);
    finish(&w);
    mock_stop(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_is_told_all_again_after_an_error),
        cmocka_unit_test(kafka_settings_are_checked),
        cmocka_unit_test(kafka_that_is_away_is_waited_for),
        cmocka_unit_test(quality_waits_for_no_broker_that_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
