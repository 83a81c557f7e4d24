/* How many events a second leave through the outbox of control to Kafka, beside a bare
 * librdkafka producer that is as careful (idempotent, acks=all) with the same events: the
 * floor. Both in one run, by turns, since the machine and the broker are shared with
 * others.
 *
 * usage: bench-kafka BROKERS DIR [EVENTS [ROUNDS]]    DIR: for the store
 *
 * Prints JSON: of each round the rates, and shares of the middle ones: what is short has a
 * quiet moment of a shared machine to itself more often, so the best would favour it.
 * "kept": written to the store, which nobody reads meanwhile; "drained": from a store that
 * is full, as after an outage; "written": each event written while others leave, as in a
 * meeting. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "metric/metric.h"
#include "store/writer.h"
#include "sys/clock.h"
#include "sys/loop.h"

enum {
    MEETINGS = 64,
    PARTITIONS = 3,
    AT_ONCE = STORE_WRITER_FLYING,
    ROUNDS_MAX = 16,
    LOOK_MS = 5
};

static const char body[] =
    "{\"participant_id\":\"nG5xK2pQ7vLw9tYbRzA1cD\",\"user_id\":\"user-000000000000\","
    "\"display_name\":\"Somebody Or Other\",\"role\":\"presenter\",\"joined_at\":"
    "\"2026-11-28T02:23:10.577Z\",\"off\":[\"video\"],\"muted_by_host\":[],\"meeting_id\":"
    "\"meeting-000000000000\",\"timestamp\":\"2026-11-28T02:23:10.577Z\",\"epoch\":1,"
    "\"seq\":1,\"event\":\"participant:joined\",\"audience\":{\"reach\":\"others\"}}";

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench-kafka: %s: %s\n", what, why);
    exit(1);
}

static double seconds_since(uint64_t us)
{
    return (double)(clock_mono_us() - us) / 1e6;
}

/* ---- bare ---- */

static uint32_t n_arrived;

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    (void)opaque;
    if (message->err != 0) {
        die("bare", rd_kafka_err2str(message->err));
    }
    n_arrived++;
}

static rd_kafka_t *bare_producer(const char *brokers)
{
    const char *const settings[][2] = {{"bootstrap.servers", brokers},
                                       {"enable.idempotence", "true"},
                                       {"acks", "all"},
                                       {"message.timeout.ms", "0"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char err[512];
    rd_kafka_t *producer;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], err, sizeof(err)) !=
            0) {
            die("bare", err);
        }
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof(err));
    if (producer == NULL) {
        die("bare", err);
    }
    return producer;
}

static void bare_produce(rd_kafka_t *producer, uint32_t i)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(10);
    char id[64];
    char key[16];
    char seq[16];
    const char *const list[][2] = {{"ce_specversion", "1.0"},
                                   {"ce_id", id},
                                   {"ce_source", "/kcs/bench"},
                                   {"ce_type", "kcs.participant.joined"},
                                   {"ce_time", "2026-11-28T02:23:10.577Z"},
                                   {"ce_subject", key},
                                   {"ce_tenant", "default"},
                                   {"content-type", "application/json"},
                                   {"ce_epoch", "1"},
                                   {"ce_seq", seq}};
    rd_kafka_resp_err_t err;

    (void)snprintf(key, sizeof(key), "meeting-%u", i % MEETINGS);
    (void)snprintf(seq, sizeof(seq), "%u", i / MEETINGS + 1);
    (void)snprintf(id, sizeof(id), "default/%s/1/%s", key, seq);
    for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
        (void)rd_kafka_header_add(headers, list[k][0], -1, list[k][1], -1);
    }
    do {
        err = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(EVENT_TOPIC_FACTS),
                                RD_KAFKA_V_KEY(key, strlen(key)),
                                RD_KAFKA_V_VALUE((void *)(uintptr_t)body, sizeof(body) - 1),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        (void)rd_kafka_poll(producer, err != 0 ? 10 : 0);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (err != 0) {
        die("bare", rd_kafka_err2str(err));
    }
}

static double run_bare(const char *brokers, uint32_t n)
{
    rd_kafka_t *producer = bare_producer(brokers);
    uint64_t since_us;
    double s;

    bare_produce(producer, 0); /* connected, and has its number */
    (void)rd_kafka_flush(producer, 30000);
    n_arrived = 0;
    since_us = clock_mono_us();
    for (uint32_t i = 0; i < n; i++) {
        bare_produce(producer, i);
    }
    while (n_arrived < n) {
        (void)rd_kafka_poll(producer, 100);
    }
    s = seconds_since(since_us);
    rd_kafka_destroy(producer);
    return n / s;
}

/* ---- the outbox ---- */

struct bench {
    struct loop *loop;
    struct store *store;
    struct metric_registry *metrics;
    struct event_relay *relay;
    struct loop_timer *timer;
    uint32_t n, n_asked, n_written;
    bool looking;
};

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

static struct event_kind kind_of(const char *type, const char *json)
{
    (void)type;
    (void)json;
    return (struct event_kind){"urn:kcs:event:kcs.participant.joined:1", NULL};
}

static void write_some(struct bench *b);

static void on_written(void *arg, const struct store_result *result)
{
    struct bench *b = arg;

    if (result->err != 0) {
        die("store", strerror(-result->err));
    }
    b->n_written++;
    if (b->n_written == b->n && b->relay == NULL) {
        loop_stop(b->loop);
    }
    write_some(b);
}

/* One list an event, as rooms write them. */
static void write_some(struct bench *b)
{
    while (b->n_asked < b->n && b->n_asked - b->n_written < AT_ONCE) {
        char meeting[16];
        const struct store_write write = {.what = STORE_EVENT,
                                          .event = {.tenant = "default",
                                                    .meeting = meeting,
                                                    .type = "kcs.participant.joined",
                                                    .ref = "user-000000000000",
                                                    .json = body,
                                                    .at_us = clock_wall_us()}};

        (void)snprintf(meeting, sizeof(meeting), "meeting-%u", b->n_asked % MEETINGS);
        if (store_write(b->store, &write, 1, on_written, b) != 0) {
            break;
        }
        b->n_asked++;
    }
}

static void on_look(void *arg, const struct store_result *result)
{
    struct bench *b = arg;

    b->looking = false;
    if (result->err == 0 && result->n_events == 0) {
        loop_stop(b->loop);
    }
}

static void on_tick(void *arg)
{
    struct bench *b = arg;

    if (b->n_written == b->n && b->relay != NULL && !b->looking) {
        b->looking = store_outbox(b->store, 0, 1, on_look, b) == 0;
    }
}

static void open_store(struct bench *b, const char *dir, unsigned round)
{
    char path[256];
    char err[STORE_ERR_MAX];
    struct store_conf conf = {.path = path, .synchronous = STORE_SYNC_FULL, .post = post};

    memset(b, 0, sizeof(*b));
    (void)snprintf(path, sizeof(path), "%s/bench-%u.db", dir, round);
    if (loop_create(&b->loop) != 0 ||
        loop_timer_create(b->loop, &b->timer, on_tick, b) != 0 ||
        metric_registry_create(&b->metrics) != 0) {
        die("control", strerror(ENOMEM));
    }
    conf.loop = b->loop;
    if (store_create(&b->store, &conf, err) != 0) {
        die("store", err);
    }
}

static void open_relay(struct bench *b, const char *brokers)
{
    const struct event_conf conf = {.loop = b->loop,
                                    .store = b->store,
                                    .metrics = b->metrics,
                                    .node = "bench",
                                    .kind_of = kind_of};
    const struct event_kafka_conf kafka = {
        .brokers = brokers, .create_topics = true, .partitions = PARTITIONS};
    char err[EVENT_ERR_MAX];

    if (event_relay_create(&b->relay, &conf) != 0 ||
        event_relay_add_kafka(b->relay, &kafka, err) != 0) {
        die("relay", err);
    }
}

/* Runs until all is written and, if there is a relay, acknowledged. Returns the seconds. */
static double until_done(struct bench *b)
{
    const uint64_t since_us = clock_mono_us();

    write_some(b);
    loop_timer_start(b->timer, LOOK_MS, LOOK_MS);
    loop_run(b->loop);
    loop_timer_stop(b->timer);
    return seconds_since(since_us);
}

static void close_all(struct bench *b)
{
    event_relay_stop(b->relay);
    store_close(b->store);
    event_relay_destroy(b->relay);
    store_destroy(b->store);
    metric_registry_destroy(b->metrics);
    loop_timer_destroy(b->timer);
    loop_destroy(b->loop);
}

static void run_drained(const char *brokers, const char *dir, uint32_t n, unsigned round,
                        double *kept, double *drained)
{
    struct bench b;

    open_store(&b, dir, round);
    b.n = n;
    *kept = n / until_done(&b);
    open_relay(&b, brokers);
    *drained = n / until_done(&b);
    close_all(&b);
}

static double run_written(const char *brokers, const char *dir, uint32_t n, unsigned round)
{
    struct bench b;
    double s;

    open_store(&b, dir, round);
    open_relay(&b, brokers);
    b.n = 1;
    (void)until_done(&b); /* connected, and has its number */
    b.n = n + 1;
    s = until_done(&b);
    close_all(&b);
    return n / s;
}

/* ---- all ---- */

static int by_rate(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double middle(const double *of, unsigned n)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, of, n * sizeof(*of));
    qsort(sorted, n, sizeof(*of), by_rate);
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static void print_list(const char *name, const double *of, unsigned n)
{
    (void)printf("  \"%s\": [", name);
    for (unsigned i = 0; i < n; i++) {
        (void)printf("%s%.0f", i > 0 ? ", " : "", of[i]);
    }
    (void)printf("],\n");
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 200000;
    unsigned rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 3;
    double bare[ROUNDS_MAX];
    double kept[ROUNDS_MAX];
    double drained[ROUNDS_MAX];
    double written[ROUNDS_MAX];

    if (argc < 3 || n == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
        (void)fputs("usage: bench-kafka BROKERS DIR [EVENTS [ROUNDS]]\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < rounds; i++) {
        run_drained(argv[1], argv[2], n, 2 * i, &kept[i], &drained[i]);
        bare[i] = run_bare(argv[1], n);
        written[i] = run_written(argv[1], argv[2], n, 2 * i + 1);
    }
    (void)printf("{\n  \"events\": %u, \"bytes\": %zu, \"meetings\": %d,\n", n,
                 sizeof(body) - 1, MEETINGS);
    print_list("bare_per_s", bare, rounds);
    print_list("kept_per_s", kept, rounds);
    print_list("drained_per_s", drained, rounds);
    print_list("written_per_s", written, rounds);
    (void)printf("  \"drained_of_bare\": %.2f, \"written_of_bare\": %.2f\n}\n",
                 middle(drained, rounds) / middle(bare, rounds),
                 middle(written, rounds) / middle(bare, rounds));
    return 0;
}
