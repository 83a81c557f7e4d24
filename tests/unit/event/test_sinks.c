/* Each sink at what it carries to: a file, a server of the test's own, librdkafka's mock
 * broker. */
#include "event/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "desk.h"
#include "metric/metric.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

#define SECRET "a secret of the test"

struct world {
    struct desk desk;
    struct metric_registry *metrics;
    struct event_relay *relay;
    char path[128];
};

static void start(struct world *w)
{
    struct event_conf conf = {.node = "n1"};

    memset(w, 0, sizeof(*w));
    desk_setup(&w->desk);
    desk_open(&w->desk, &store_sqlite, NULL);
    (void)snprintf(w->path, sizeof(w->path), "%s/events.jsonl", w->desk.dir);
    assert_int_equal(metric_registry_create(&w->metrics), 0);
    conf.metrics = w->metrics;
    conf.loop = w->desk.loop;
    conf.store = w->desk.store;
    assert_int_equal(event_relay_create(&w->relay, &conf), 0);
}

static void finish(struct world *w)
{
    event_relay_stop(w->relay);
    store_close(w->desk.store);
    event_relay_destroy(w->relay);
    metric_registry_destroy(w->metrics);
    desk_teardown(&w->desk);
}

static void tell(struct world *w, const char *type, const char *json)
{
    const struct store_write write = {.what = STORE_EVENT,
                                      .event = {.tenant = "t",
                                                .meeting = "m",
                                                .type = type,
                                                .json = json,
                                                .at_us = clock_wall_us()}};

    assert_int_equal(desk_wait(&w->desk, store_write(w->desk.store, &write, 1, desk_done,
                                                     &w->desk)),
                     0);
}

static uint32_t n_waiting(struct world *w)
{
    assert_int_equal(desk_wait(&w->desk, store_outbox(w->desk.store, 0, STORE_FIND_MAX,
                                                      desk_done, &w->desk)),
                     0);
    return (uint32_t)w->desk.n_events;
}

static void until_empty(struct world *w)
{
    uint64_t until_us = clock_mono_us() + 30000000;

    while (n_waiting(w) > 0 && clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
    }
    assert_int_equal(n_waiting(w), 0);
}

static void until_state(struct world *w, const char *part)
{
    uint64_t until_us = clock_mono_us() + 30000000;
    char state[EVENT_STATE_MAX] = "";
    bool wanted = false;

    while (!wanted && clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
        wanted = part == NULL ? event_relay_state(w->relay, state) == 0
                              : event_relay_state(w->relay, state) == 1 &&
                                    strstr(state, part) != NULL;
    }
    if (!wanted) {
        fail_msg("the state is '%s'", state);
    }
}

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 1 << 22);

    assert_non_null(text);
    if (file != NULL) {
        (void)fread(text, 1, (1 << 22) - 1, file);
        (void)fclose(file);
    }
    return text;
}

/* ---- file ---- */

static void a_file_has_a_line_an_event_and_is_kept_when_it_has_grown(void **state)
{
    struct world w;
    struct event_file_conf conf = {.max_mb = 1, .keep = 1};
    char err[EVENT_ERR_MAX];
    char long_json[40000];
    char path[160];
    char *first, *second;
    uint32_t n = 0;
    (void)state;

    (void)snprintf(long_json, sizeof(long_json), "{\"x\":\"%0*d\"}", 39000, 0);
    start(&w);
    conf.path = w.path;
    assert_int_equal(event_relay_add_file(w.relay, &conf, err), 0);
    tell(&w, "kcs.chat.message", "{\"message\":\"what was said\",\"user_id\":\"u\"}");
    until_empty(&w);
    first = slurp(w.path);
    assert_null(strstr(first, "what was said"));
    assert_non_null(strstr(first, "{\"specversion\":\"1.0\",\"id\":\"t/m/1/1\",\"source\":"
                                  "\"/kcs/n1\",\"type\":\"kcs.chat.message\",\"time\":\"20"));
    assert_non_null(strstr(first, "\"subject\":\"m\",\"datacontenttype\":\"application/json\","
                                  "\"tenant\":\"t\",\"data\":{\"user_id\":\"u\"},\"epoch\":1,"
                                  "\"seq\":1}\n"));
    free(first);
    for (int i = 0; i < 60; i++) { /* 2.3 MB */
        tell(&w, "kcs.meeting.other", long_json);
        if (i % 10 == 9) {
            until_empty(&w);
        }
    }
    until_empty(&w);
    (void)snprintf(path, sizeof(path), "%s.1", w.path);
    first = slurp(w.path);
    second = slurp(path);
    assert_true(strlen(first) > 0 && strlen(first) <= 1 << 20);
    assert_true(strlen(second) > 0 && strlen(second) <= 1 << 20);
    assert_non_null(strstr(first, "\"id\":\"t/m/1/61\""));
    for (const char *at = second; (at = strchr(at, '\n')) != NULL; at++) {
        n++;
    }
    for (const char *at = first; (at = strchr(at, '\n')) != NULL; at++) {
        n++;
    }
    assert_in_range(n, 20, 54); /* the oldest file is gone */
    free(first);
    free(second);
    (void)snprintf(path, sizeof(path), "%s.2", w.path);
    assert_int_equal(access(path, F_OK), -1);
    finish(&w);
}

static void a_full_disk_is_waited_for(void **state)
{
    struct world w;
    const struct event_file_conf conf = {.path = "/dev/full", .max_mb = 1, .keep = 0};
    char err[EVENT_ERR_MAX];
    (void)state;

    start(&w);
    assert_int_equal(event_relay_add_file(w.relay, &conf, err), 0);
    tell(&w, "kcs.meeting.closed", "{}");
    until_state(&w, "/dev/full: No space left on device");
    assert_int_equal(n_waiting(&w), 1);
    finish(&w);
}

static void a_file_that_cannot_be_is_refused(void **state)
{
    struct world w;
    const struct event_file_conf conf = {.path = "/proc/none/x", .max_mb = 1};
    char err[EVENT_ERR_MAX];
    (void)state;

    start(&w);
    assert_int_equal(event_relay_add_file(w.relay, &conf, err), -ENOENT);
    assert_string_equal(err, "events.file.path /proc/none/x: No such file or directory");
    finish(&w);
}

/* ---- webhook ---- */

struct server {
    pthread_t thread;
    int fd;
    uint16_t port;
    atomic_uint n_refusals; /* so many are answered 500 first */
    atomic_uint n_requests;
    atomic_bool stop;
    char last[8192];
};

static void *serve(void *arg)
{
    struct server *server = arg;

    while (!atomic_load(&server->stop)) {
        int fd = accept(server->fd, NULL, NULL);
        size_t len = 0;
        const char *answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        const char *body = NULL;

        if (fd < 0) {
            continue;
        }
        memset(server->last, 0, sizeof(server->last));
        while (body == NULL || strlen(body + 4) < strtoul(strstr(server->last,
                                                                 "Content-Length: ") +
                                                              16, NULL, 10)) {
            ssize_t n = read(fd, server->last + len, sizeof(server->last) - 1 - len);

            if (n <= 0) {
                break;
            }
            len += (size_t)n;
            body = strstr(server->last, "\r\n\r\n");
        }
        if (atomic_load(&server->n_refusals) > 0) {
            atomic_fetch_sub(&server->n_refusals, 1);
            answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        }
        atomic_fetch_add(&server->n_requests, 1);
        (void)write(fd, answer, strlen(answer));
        (void)close(fd);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    const struct timeval tick = {.tv_usec = 100000};

    memset(server, 0, sizeof(*server));
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(
        setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&addr, &len), 0);
    server->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    atomic_store(&server->stop, true);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
}

/* The value of a header of the last request. */
static void header(const struct server *server, const char *name, char *out, size_t cap)
{
    const char *at = strstr(server->last, name);

    assert_non_null(at);
    at += strlen(name) + 2;
    (void)snprintf(out, cap, "%.*s", (int)strcspn(at, "\r"), at);
}

static void assert_signed(const struct server *server)
{
    char id[128], at[32], signature[64], wanted[64] = "v1,";
    char text[8192];
    unsigned char mac[32];
    unsigned n;
    const char *body = strstr(server->last, "\r\n\r\n") + 4;

    header(server, "webhook-id", id, sizeof(id));
    header(server, "webhook-timestamp", at, sizeof(at));
    header(server, "webhook-signature", signature, sizeof(signature));
    (void)snprintf(text, sizeof(text), "%s.%s.%s", id, at, body);
    (void)HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (unsigned char *)text,
               strlen(text), mac, &n);
    (void)EVP_EncodeBlock((unsigned char *)wanted + 3, mac, 32);
    assert_string_equal(signature, wanted);
}

static void a_webhook_is_signed_and_tried_again(void **state)
{
    struct world w;
    struct server server;
    char url[64];
    const struct event_webhook_conf conf = {url, SECRET, "kcs.meeting. kcs.chat.", 3600};
    char err[EVENT_ERR_MAX];
    (void)state;

    server_start(&server);
    atomic_store(&server.n_refusals, 2);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", server.port);
    start(&w);
    assert_int_equal(event_relay_add_webhook(w.relay, &conf, err), 0);
    tell(&w, "kcs.participant.joined", "{}"); /* not wanted */
    tell(&w, "kcs.meeting.closed", "{\"reason\":\"ended\"}");
    until_state(&w, "it answered 500");
    until_empty(&w);
    until_state(&w, NULL);
    assert_int_equal(atomic_load(&server.n_requests), 3);
    assert_non_null(strstr(server.last, "POST /hook HTTP/1.1\r\n"));
    assert_non_null(strstr(server.last, "Content-Type: application/cloudevents+json\r\n"));
    assert_non_null(strstr(server.last, "\"type\":\"kcs.meeting.closed\""));
    assert_signed(&server);
    finish(&w);
    server_stop(&server);
}

static void a_webhook_gives_up(void **state)
{
    struct world w;
    struct server server;
    char url[64];
    const struct event_webhook_conf conf = {url, SECRET, "", 0};
    char err[EVENT_ERR_MAX];
    char *text;
    size_t len;
    (void)state;

    server_start(&server);
    atomic_store(&server.n_refusals, 1);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", server.port);
    start(&w);
    assert_int_equal(event_relay_add_webhook(w.relay, &conf, err), 0);
    tell(&w, "kcs.meeting.closed", "{}");
    until_empty(&w);
    assert_int_equal(metric_render(w.metrics, &text, &len), 0);
    assert_non_null(strstr(text, "kcs_event_dead_total{sink=\"webhook\",index=\"0\"} 1\n"));
    free(text);
    finish(&w);
    server_stop(&server);
}

/* ---- Kafka ---- */

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

static void kafka_is_told_all_again_after_an_error(void **state)
{
    struct world w;
    struct mock mock;
    struct event_kafka_conf conf = {.partitions = 1};
    char err[EVENT_ERR_MAX];
    char ids[256];
    (void)state;

    mock_start(&mock);
    conf.brokers = rd_kafka_mock_cluster_bootstraps(mock.cluster);
    start(&w);
    assert_int_equal(event_relay_add_kafka(w.relay, &conf, err), 0);
    tell(&w, "kcs.meeting.other", "{}");
    until_empty(&w);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_a_line_an_event_and_is_kept_when_it_has_grown),
        cmocka_unit_test(a_full_disk_is_waited_for),
        cmocka_unit_test(a_file_that_cannot_be_is_refused),
        cmocka_unit_test(a_webhook_is_signed_and_tried_again),
        cmocka_unit_test(a_webhook_gives_up),
        cmocka_unit_test(kafka_is_told_all_again_after_an_error),
        cmocka_unit_test(kafka_settings_are_checked),
        cmocka_unit_test(kafka_that_is_away_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
