/* What kcsctl and Prometheus are told, of a real meeting on a fake dataplane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/admin.h"
#include "net/net.h"
#include "proto/base64.h"
#include "store/store.h"
#include "support/http_ask.h"
#include "sys/clock.h"
#include "unit/meeting/world.h"

struct fixture {
    struct world w;
    struct net_server *server;
    struct admin *admin;
    bool metrics_only;
};

static void on_request(void *user, struct net_req *req)
{
    struct fixture *f = user;

    if (f->metrics_only) {
        admin_on_metrics(f->admin, req);
    } else {
        admin_on_request(f->admin, req);
    }
}

static uint32_t five_clients(void *user)
{
    (void)user;
    return 5;
}

static uint32_t drain_s; /* as it was asked for; 0: in service */

static void take_drain(void *user, uint32_t seconds)
{
    (void)user;
    drain_s = seconds;
}

static bool is_draining(void *user, uint32_t *left_s)
{
    (void)user;
    if (left_s != NULL) {
        *left_s = drain_s;
    }
    return drain_s > 0;
}

static void turn(void *arg)
{
    loop_turn(arg);
}

static struct store *kept;            /* the store of the next fixture, if any */
static uint32_t capture_patience_ms; /* likewise; 0: as it is for real */

static void start(struct fixture *f)
{
    static const struct net_listen listen = {.name = "test", .address = "127.0.0.1"};
    static const struct net_handlers handlers = {.on_request = on_request};
    struct net_conf net = net_conf_default();
    struct admin_conf conf = {.version = "1.2.3",
                              .node = "n1",
                              .started_wall_us = 1000000,
                              .n_clients = five_clients,
                              .drain = take_drain,
                              .draining = is_draining};
    char err[NET_ERR_MAX];

    log_set_level(LOG_LEVEL_ERROR);
    *f = (struct fixture){.metrics_only = false};
    world_start(&f->w);
    conf.loop = f->w.loop;
    conf.capture_patience_ms = capture_patience_ms;
    conf.media = f->w.media;
    conf.meeting = f->w.meeting;
    conf.store = kept;
    conf.audit_days = 1;
    conf.metrics = f->w.metrics;
    assert_int_equal(admin_create(&f->admin, &conf), 0);
    net.listen = &listen;
    net.n_listen = 1;
    if (net_server_create(&f->server, f->w.loop, f->w.metrics, &net, &handlers, f, err) !=
        0) {
        fail_msg("%s", err);
    }
}

static void finish(struct fixture *f)
{
    net_server_destroy(f->server);
    admin_destroy(f->admin);
    world_finish(&f->w);
}

static struct http_answer ask(struct fixture *f, const char *method, const char *path)
{
    return http_ask(http_connect_port(net_server_port(f->server, 0)), method, path, turn,
                    f->w.loop);
}

static json_t *expect_data(struct fixture *f, const char *path)
{
    struct http_answer answer = ask(f, "GET", path);
    json_t *json = json_loads(answer.body, 0, NULL);
    json_t *data = json_incref(json_object_get(json, "data"));

    assert_int_equal(answer.status, 200);
    assert_non_null(data);
    json_decref(json);
    http_free(&answer);
    return data;
}

static json_int_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value)) {
        fail_msg("no number '%s'", key);
    }
    return json_integer_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    if (value == NULL) {
        fail_msg("no text '%s'", key);
    }
    return value;
}

/* 1,000 frames came: 1 answered, 2 ignored, 900 ingested, 97 dropped. */
static void count_frames(struct fixture *f)
{
    const struct abi_lane_counts counts = {.frames_in = 1000,
                                           .answered = 1,
                                           .ignored = 2,
                                           .done = {900},
                                           .drops_in = {60, 37},
                                           .drops_out = {0, 4},
                                           .rx_packets = 997,
                                           .tx_packets = 55,
                                           .udp6_sums = 21};

    abi_lane_stats_write(fake_dp_lane_stats(f->w.dp, 0), &counts, 1);
}

/* Where the dataplane keeps the counters of streams and subscriptions. */
static uint8_t *shared_memory(struct fixture *f, struct abi_layout *layout)
{
    *layout = abi_layout(1, 64, 64, 64);
    return (uint8_t *)fake_dp_peer_stats(f->w.dp) - layout->peer_stats;
}

static void status_is_the_node_at_a_glance(void **state)
{
    struct participant *ada;
    struct fixture f;
    json_t *data, *device, *lane;
    (void)state;

    start(&f);
    ada = enter(&f.w, "ada");
    count_frames(&f);
    data = expect_data(&f, "/status");
    assert_string_equal(text(data, "version"), "1.2.3");
    assert_string_equal(text(data, "node"), "n1");
    assert_string_equal(text(data, "started"), "1970-01-01T00:00:01.000000Z");
    assert_int_equal(number(data, "rooms"), 1);
    assert_int_equal(number(data, "participants"), 1);
    assert_int_equal(number(data, "clients"), 5);
    assert_true(json_is_true(json_object_get(data, "attached")));
    assert_string_equal(text(data, "srtp_backend"), "fake");
    device = json_array_get(json_object_get(data, "devices"), 0);
    assert_string_equal(text(device, "kind"), "udp");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(device, "addresses"), 0)),
        "127.0.0.1");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(device, "addresses"), 1)),
        "fd00::1");
    assert_int_equal(json_array_size(json_object_get(device, "announced")), 1);
    lane = json_array_get(json_object_get(data, "lanes"), 0);
    assert_int_equal(number(lane, "rx_packets"), 997);
    assert_int_equal(number(lane, "dropped_in"), 97);
    assert_int_equal(number(lane, "dropped_out"), 4);
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static bool attached(const struct fixture *f)
{
    struct media_status status;

    media_status(f->w.media, &status);
    return status.attached;
}

static void expect_no_dataplane(struct fixture *f, const char *path)
{
    struct http_answer answer = ask(f, "GET", path);

    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "no dataplane is attached"));
    http_free(&answer);
}

static void status_says_why_nothing_is_attached(void **state)
{
    struct fixture f;
    json_t *data;
    (void)state;

    start(&f);
    fake_dp_hang_up(f.w.dp);
    WAIT(&f.w, !attached(&f));
    data = expect_data(&f, "/status");
    if (json_is_false(json_object_get(data, "attached"))) { /* not again so soon */
        assert_true(strlen(text(data, "not_attached")) > 0);
        assert_int_equal(json_array_size(json_object_get(data, "lanes")), 0);
        expect_no_dataplane(&f, "/lanes");
        expect_no_dataplane(&f, "/drops");
        expect_no_dataplane(&f, "/peers");
    }
    json_decref(data);
    finish(&f);
}

static void drops_add_up_to_what_came_in(void **state)
{
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    count_frames(&f);
    data = expect_data(&f, "/drops");
    row = json_array_get(json_object_get(data, "balance"), 0);
    assert_int_equal(number(row, "frames_in"), 1000);
    assert_int_equal(number(row, "answered") + number(row, "ignored") +
                         number(row, "handled") + number(row, "dropped"),
                     1000);
    assert_int_equal(json_array_size(json_object_get(data, "drops")), 3);
    row = json_array_get(json_object_get(data, "drops"), 1);
    assert_string_equal(text(row, "reason"), "auth");
    assert_string_equal(text(row, "direction"), "in");
    assert_int_equal(number(row, "packets"), 37);
    row = json_array_get(json_object_get(data, "drops"), 2);
    assert_string_equal(text(row, "direction"), "out");
    assert_int_equal(number(row, "packets"), 4);
    json_decref(data);
    finish(&f);
}

static void lanes_tell_every_counter(void **state)
{
    struct fixture f;
    json_t *data, *lane;
    (void)state;

    start(&f);
    count_frames(&f);
    data = expect_data(&f, "/lanes");
    assert_int_equal(json_array_size(data), 1);
    lane = json_array_get(data, 0);
    assert_int_equal(number(lane, "udp6_sums"), 21);
    assert_int_equal(number(lane, "ingested"), 900);
    assert_int_equal(number(json_object_get(lane, "dropped_in"), "empty"), 60);
    assert_int_equal(number(json_object_get(lane, "dropped_out"), "auth"), 4);
    assert_int_equal(number(lane, "tx_packets"), 55);
    assert_null(json_object_get(lane, "busy_percent")); /* no second has passed */
    json_decref(data);
    finish(&f);
}

/* The fake's counter has two thousand million cycles a second. */
static void lanes_tell_how_busy_they_are_now(void **state)
{
    struct abi_lane_counts counts = {.loops = 100,
                                     .busy_loops = 100,
                                     .recent_cycles = 4000000000,
                                     .recent_busy_cycles = 1002000000,
                                     .recent_packets = 501000};
    struct fixture f;
    json_t *data, *lane;
    (void)state;

    start(&f);
    abi_lane_stats_write(fake_dp_lane_stats(f.w.dp, 0), &counts, 1);
    data = expect_data(&f, "/lanes");
    lane = json_array_get(data, 0);
    assert_true(json_real_value(json_object_get(lane, "busy_percent")) == 25);
    assert_int_equal(number(lane, "packets_per_s"), 250500);
    assert_int_equal(number(lane, "cycles_per_packet"), 2000);
    json_decref(data);
    counts.recent_packets = 0;
    abi_lane_stats_write(fake_dp_lane_stats(f.w.dp, 0), &counts, 1);
    data = expect_data(&f, "/lanes");
    lane = json_array_get(data, 0);
    assert_int_equal(number(lane, "packets_per_s"), 0);
    assert_null(json_object_get(lane, "cycles_per_packet"));
    json_decref(data);
    finish(&f);
}

static double real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_real(value));
    return json_real_value(value);
}

/* A hundred bursts of the second stage: of i packets, 2 i cycles (so i ns). */
static void put_samples(struct fixture *f, uint16_t second)
{
    for (uint16_t i = 1; i <= 100; i++) {
        abi_trace_put(&fake_dp_lane_trace(f->w.dp)->stages[1],
                      (struct abi_trace_sample){
                          .cycles = 2u * i * i, .packets = i, .second = second});
    }
}

static void traces_tell_what_a_stage_takes(void **state)
{
    const uint16_t now_s = (uint16_t)(clock_mono_us() / 1000000);
    struct http_answer answer;
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    data = expect_data(&f, "/trace");
    assert_int_equal(json_array_size(data), 0);
    json_decref(data);
    put_samples(&f, now_s);
    abi_trace_put(&fake_dp_lane_trace(f.w.dp)->stages[1], /* no lane writes that */
                  (struct abi_trace_sample){.cycles = 1, .second = now_s});
    data = expect_data(&f, "/trace?seconds=20");
    assert_int_equal(json_array_size(data), 1);
    row = json_array_get(data, 0);
    assert_int_equal(number(row, "lane"), 0);
    assert_string_equal(text(row, "stage"), "tx");
    assert_int_equal(number(row, "bursts"), 100);
    assert_int_equal(number(row, "packets"), 5050);
    assert_true(real(row, "packets_per_burst") == 50.5);
    assert_true(real(row, "burst_ns_p50") == 2500);
    assert_true(real(row, "burst_ns_p99") == 9801);
    assert_true(real(row, "packet_ns_p50") == 50);
    assert_true(real(row, "packet_ns_p99") == 99);
    json_decref(data);
    for (unsigned i = 0; i < 6; i++) { /* the older ones are written over */
        put_samples(&f, (uint16_t)(now_s - 40));
    }
    data = expect_data(&f, "/trace?seconds=20");
    assert_int_equal(json_array_size(data), 0);
    json_decref(data);
    data = expect_data(&f, "/trace?seconds=100");
    assert_int_equal(number(json_array_get(data, 0), "bursts"), ABI_TRACE_SAMPLES);
    json_decref(data);
    answer = ask(&f, "GET", "/trace?seconds=x");
    assert_int_equal(answer.status, 400);
    http_free(&answer);
    finish(&f);
}

static void a_node_that_traces_nothing_says_so(void **state)
{
    struct abi_layout layout;
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f);
    ((struct abi_shm *)(void *)shared_memory(&f, &layout))->trace_every = 0;
    fake_dp_hang_up(f.w.dp);
    WAIT(&f.w, !attached(&f));
    WAIT(&f.w, attached(&f));
    answer = ask(&f, "GET", "/trace");
    assert_int_equal(answer.status, 409);
    assert_non_null(strstr(answer.body, "lanes.trace"));
    http_free(&answer);
    finish(&f);
}

static void peers_are_the_transports(void **state)
{
    struct abi_peer_stats *stats;
    struct participant *ada;
    struct transport *t;
    struct fixture f;
    json_t *data, *row;
    uint64_t peer;
    (void)state;

    start(&f);
    ada = enter(&f.w, "ada");
    t = open_transport(&f.w, ada, true);
    peer = session_peer(t->session);
    stats = &fake_dp_peer_stats(f.w.dp)[handle_index(peer)];
    *stats = (struct abi_peer_stats){
        .handle = peer, .rx_packets = 11, .rx_bytes = 12, .tx_packets = 13, .tx_bytes = 14};
    data = expect_data(&f, "/peers");
    assert_int_equal(json_array_size(data), 1);
    row = json_array_get(data, 0);
    assert_string_equal(text(row, "transport_id"), t->id);
    assert_string_equal(text(row, "participant_id"), ada->id);
    assert_string_equal(text(row, "meeting_id"), "m");
    assert_string_equal(text(row, "direction"), "send");
    assert_string_equal(text(row, "state"), "new");
    assert_true(json_is_null(json_object_get(row, "cipher"))); /* before DTLS */
    assert_true(json_is_null(json_object_get(row, "remote"))); /* before ICE */
    assert_int_equal(number(row, "rx_packets"), 11);
    assert_int_equal(number(row, "tx_bytes"), 14);
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static void streams_are_producers_with_their_subscribers(void **state)
{
    struct participant *ada, *bob;
    struct abi_stream_stats *streams;
    struct abi_sub_stats *subs;
    struct abi_layout layout;
    struct room_producer *rp;
    struct room_consumer *rc;
    uint64_t stream, sub;
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    streams = (void *)(shared_memory(&f, &layout) + layout.stream_stats);
    subs = (void *)(shared_memory(&f, &layout) + layout.sub_stats);
    ada = enter(&f.w, "ada");
    bob = enter(&f.w, "bob");
    rp = produce(&f.w, open_transport(&f.w, ada, true), world_vp8, 4711);
    rc = consume(&f.w, open_transport(&f.w, bob, false), rp->id);
    data = expect_data(&f, "/streams");
    row = json_array_get(data, 0);
    assert_int_equal(number(row, "packets"), 0); /* nothing is counted yet */
    json_decref(data);

    stream = producer_stream(rp->producer);
    sub = consumer_sub(rc->consumer);
    streams[handle_index(stream)] = (struct abi_stream_stats){.handle = stream,
                                                              .packets = 100,
                                                              .bytes = 1000,
                                                              .lost = 2,
                                                              .pli_sent = 3,
                                                              .ssrc = 4711,
                                                              .jitter_us = 1500};
    subs[handle_index(sub)] = (struct abi_sub_stats){
        .handle = sub, .packets = 90, .bytes = 900, .skipped = 10, .rtt_us = 2500};
    data = expect_data(&f, "/streams");
    assert_int_equal(json_array_size(data), 1);
    row = json_array_get(data, 0);
    assert_string_equal(text(row, "producer_id"), rp->id);
    assert_string_equal(text(row, "participant_id"), ada->id);
    assert_string_equal(text(row, "kind"), "video");
    assert_string_equal(text(row, "codec"), "VP8");
    assert_string_equal(text(row, "source"), "camera");
    assert_int_equal(number(row, "ssrc"), 4711);
    assert_int_equal(number(row, "packets"), 100);
    assert_int_equal(number(row, "lost"), 2);
    assert_int_equal(number(row, "pli"), 3);
    assert_true(json_real_value(json_object_get(row, "jitter_ms")) == 1.5);
    row = json_array_get(json_object_get(row, "subscribers"), 0);
    assert_string_equal(text(row, "consumer_id"), rc->id);
    assert_string_equal(text(row, "participant_id"), bob->id);
    assert_true(json_is_true(json_object_get(row, "paused")));
    assert_int_equal(number(row, "packets"), 90);
    assert_int_equal(number(row, "skipped"), 10);
    assert_true(json_real_value(json_object_get(row, "rtt_ms")) == 2.5);
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    meeting_leave(f.w.meeting, bob, "left");
    finish(&f);
}

static void layers_of_a_producer_are_counted_together(void **state)
{
    uint64_t handles[RTP_PARAMS_MAX_ENCODINGS];
    struct abi_stream_stats *streams;
    struct participant *ada;
    struct abi_layout layout;
    struct room_producer *rp;
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    streams = (void *)(shared_memory(&f, &layout) + layout.stream_stats);
    ada = enter(&f.w, "ada");
    rp = produce(&f.w, open_transport(&f.w, ada, true), world_simulcast, 1);
    assert_int_equal(producer_streams(rp->producer, handles), 3);
    for (uint32_t i = 0; i < 3; i++) {
        streams[handle_index(handles[i])] = (struct abi_stream_stats){
            .handle = handles[i], .packets = 10 * (i + 1), .ssrc = 77 + i};
    }
    data = expect_data(&f, "/streams");
    row = json_array_get(data, 0);
    assert_int_equal(json_array_size(data), 1);
    assert_int_equal(number(row, "layers"), 3);
    assert_int_equal(number(row, "packets"), 60);
    assert_int_equal(number(row, "ssrc"), 77);
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

/* The value of one series of /metrics. */
static long series(const struct http_answer *answer, const char *name)
{
    const char *at = strstr(answer->body, name);

    if (at == NULL || at[strlen(name)] != ' ') {
        fail_msg("no series %s", name);
    }
    return strtol(at + strlen(name), NULL, 10);
}

static void a_device_whose_interface_is_gone_is_told(void **state)
{
    struct abi_layout layout;
    struct http_answer answer;
    struct abi_shm *shm;
    struct fixture f;
    json_t *data, *device;
    (void)state;

    start(&f);
    shm = (struct abi_shm *)(void *)shared_memory(&f, &layout);
    for (uint32_t s = ABI_DEVICE_WORKS; s <= ABI_DEVICE_GONE + 1; s++) {
        static const char *const words[] = {"works", "down", "gone", "gone"};

        shm->devices[0].state = s;
        data = expect_data(&f, "/status");
        device = json_array_get(json_object_get(data, "devices"), 0);
        assert_string_equal(text(device, "state"), words[s]);
        json_decref(data);
        answer = ask(&f, "GET", "/metrics");
        assert_int_equal(series(&answer, "kcs_device_works{kind=\"udp\",name=\"\"}"),
                         s == ABI_DEVICE_WORKS);
        http_free(&answer);
    }
    finish(&f);
}

static void metrics_add_up_like_the_lanes(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f);
    count_frames(&f);
    f.metrics_only = true;
    answer = ask(&f, "GET", "/metrics");
    assert_int_equal(answer.status, 200);
    assert_true(http_has(&answer, "content-type: " METRIC_CONTENT_TYPE));
    assert_int_equal(series(&answer, "kcs_build_info{version=\"1.2.3\"}"), 1);
    assert_int_equal(series(&answer, "\nkcs_clients"), 5);
    assert_int_equal(series(&answer, "\nkcs_media_attached"), 1);
    assert_int_equal(series(&answer, "kcs_device_works{kind=\"udp\",name=\"\"}"), 1);
    assert_int_equal(series(&answer, "\nkcs_media_commands_waiting"), 0);
    assert_int_equal(series(&answer, "kcs_lane_frames_in_total{lane=\"0\"}"), 1000);
    assert_int_equal(series(&answer, "kcs_lane_udp6_sums_total{lane=\"0\"}"), 21);
    assert_int_equal(
        series(&answer, "kcs_lane_answered_total{lane=\"0\"}") +
            series(&answer, "kcs_lane_ignored_total{lane=\"0\"}") +
            series(&answer, "kcs_lane_done_total{lane=\"0\",outcome=\"ingested\"}") +
            series(&answer,
                   "kcs_drops_total{lane=\"0\",direction=\"in\",reason=\"empty\"}") +
            series(&answer, "kcs_drops_total{lane=\"0\",direction=\"in\",reason=\"auth\"}"),
        1000);
    assert_int_equal(
        series(&answer, "kcs_drops_total{lane=\"0\",direction=\"out\",reason=\"auth\"}"),
        4);
    http_free(&answer);
    answer = ask(&f, "GET", "/status"); /* names people: not for the admin address */
    assert_int_equal(answer.status, 404);
    http_free(&answer);
    finish(&f);
}

static void other_paths_and_methods_are_refused(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f);
    answer = ask(&f, "GET", "/nothing");
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(answer.body, "\"message\":"));
    http_free(&answer);
    answer = ask(&f, "POST", "/status");
    assert_int_equal(answer.status, 405);
    assert_true(http_has(&answer, "allow: GET, HEAD"));
    http_free(&answer);
    finish(&f);
}

static void a_move_wants_a_transport_and_a_lane(void **state)
{
    static const struct {
        const char *path;
        int status;
    } asked[] = {
        {"/lanes/move", 400},
        {"/lanes/move?transport=x", 400},
        {"/lanes/move?lane=1", 400},
        {"/lanes/move?transport=x&lane=-1", 400},
        {"/lanes/move?transport=x&lane=1x", 400},
        {"/lanes/move?transport=x&lane=99999999999", 400},
        {"/lanes/move?transport=x&lane=0", 404},
    };
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        answer = ask(&f, "POST", asked[i].path);
        assert_int_equal(answer.status, asked[i].status);
        http_free(&answer);
    }
    answer = ask(&f, "GET", "/lanes/move?transport=x&lane=0");
    assert_int_equal(answer.status, 404);
    http_free(&answer);
    finish(&f);
}

static void expect_order(struct fixture *f, const char *path, unsigned status)
{
    struct http_answer answer = ask(f, "POST", path);

    if (answer.status != status) {
        fail_msg("%s: %u, not %u", path, answer.status, status);
    }
    http_free(&answer);
}

static void expect_refusal(struct fixture *f, const char *path, unsigned status)
{
    struct http_answer answer = ask(f, "GET", path);

    if (answer.status != status) {
        fail_msg("%s: %u, not %u", path, answer.status, status);
    }
    http_free(&answer);
}

static void rooms_and_their_people_are_listed(void **state)
{
    struct participant *ada;
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    data = expect_data(&f, "/egress");
    assert_int_equal(json_array_size(data), 0);
    json_decref(data);
    data = expect_data(&f, "/rooms");
    assert_int_equal(json_array_size(data), 0);
    json_decref(data);
    ada = enter(&f.w, "ada");
    (void)produce(&f.w, open_transport(&f.w, ada, true), world_opus, 11);
    data = expect_data(&f, "/rooms");
    row = json_array_get(data, 0);
    assert_string_equal(text(row, "meeting_id"), "m");
    assert_int_equal(number(row, "participants"), 1);
    assert_int_equal(number(row, "producers"), 1);
    json_decref(data);
    data = expect_data(&f, "/room?meeting=m");
    assert_true(json_is_false(json_object_get(data, "locked")));
    row = json_array_get(json_object_get(data, "people"), 0);
    assert_string_equal(text(row, "participant_id"), ada->id);
    assert_string_equal(text(row, "state"), "here");
    json_decref(data);
    data = expect_data(&f, "/participants");
    assert_int_equal(json_array_size(data), 1);
    json_decref(data);
    data = expect_data(&f, "/participants?meeting=m");
    assert_int_equal(json_array_size(data), 1);
    json_decref(data);
    expect_refusal(&f, "/room", 400);
    expect_refusal(&f, "/room?meeting=x", 404);
    expect_refusal(&f, "/room?meeting=m&tenant=other", 404);
    expect_refusal(&f, "/participants?meeting=x", 404);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static void a_meeting_of_two_tenants_has_to_be_named_whole(void **state)
{
    struct auth_identity who = {.user_id = "b", .tenant = "other", .meeting_id = "m"};
    struct meeting_error err;
    struct participant *ada, *bob;
    struct fixture f;
    json_t *data;
    (void)state;

    start(&f);
    ada = enter(&f.w, "ada");
    bob = meeting_join(f.w.meeting, &who, "m", "Bob", &f.w, &err);
    assert_non_null(bob);
    expect_refusal(&f, "/room?meeting=m", 409);
    data = expect_data(&f, "/room?meeting=m&tenant=other");
    assert_string_equal(text(data, "tenant"), "other");
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    meeting_leave(f.w.meeting, bob, "left");
    finish(&f);
}

static void a_peer_is_told_with_what_it_sends_and_gets(void **state)
{
    struct participant *ada, *bob;
    struct room_producer *rp;
    struct room_consumer *rc;
    char path[64];
    struct fixture f;
    json_t *data, *row;
    (void)state;

    start(&f);
    ada = enter(&f.w, "ada");
    bob = enter(&f.w, "bob");
    rp = produce(&f.w, open_transport(&f.w, ada, true), world_vp8, 4711);
    rc = consume(&f.w, open_transport(&f.w, bob, false), rp->id);
    rc->layers = ABI_LAYERS(ABI_LAYERS_BANDWIDTH, 1, 2, 2, 2);
    (void)snprintf(path, sizeof(path), "/peer?id=%s", bob->id);
    data = expect_data(&f, path); /* of a participant: all that it has */
    assert_int_equal(json_array_size(data), 1);
    row = json_array_get(data, 0);
    assert_string_equal(text(row, "participant_id"), bob->id);
    assert_string_equal(text(row, "dtls"), "not yet");
    assert_int_equal(json_array_size(json_object_get(row, "publishes")), 0);
    row = json_array_get(json_object_get(row, "receives"), 0);
    assert_string_equal(text(row, "producer_id"), rp->id);
    assert_string_equal(text(row, "layer"), "S1T2");
    assert_string_equal(text(row, "wanted_layer"), "S2T2");
    assert_string_equal(text(row, "reason"), "bandwidth");
    json_decref(data);
    (void)snprintf(path, sizeof(path), "/peer?id=%s", ada->transports->id);
    data = expect_data(&f, path);
    row = json_array_get(json_object_get(json_array_get(data, 0), "publishes"), 0);
    assert_string_equal(text(row, "codec"), "VP8");
    json_decref(data);
    expect_refusal(&f, "/peer", 400);
    expect_refusal(&f, "/peer?id=nobody", 404);
    meeting_leave(f.w.meeting, ada, "left");
    meeting_leave(f.w.meeting, bob, "left");
    finish(&f);
}

static void the_operator_mutes_removes_and_closes(void **state)
{
    struct room_producer *mic;
    struct participant *ada;
    struct fixture f;
    (void)state;

    start(&f);
    ada = enter(&f.w, "ada");
    mic = produce(&f.w, open_transport(&f.w, ada, true), world_opus, 11);
    expect_order(&f, "/rooms/mute?meeting=m&who=ada", 400);
    expect_order(&f, "/rooms/mute?meeting=m&who=ada&kind=smell", 400);
    expect_order(&f, "/rooms/mute?meeting=m&kind=audio", 400);
    expect_order(&f, "/rooms/mute?meeting=m&who=bob&kind=audio", 404);
    assert_false(producer_is_paused(mic->producer));
    expect_order(&f, "/rooms/mute?meeting=m&who=ada&kind=audio&reason=noise", 200);
    assert_true(producer_is_paused(mic->producer));
    assert_string_equal(world_last(&f.w, MEETING_MUTED)->reason, "noise");

    expect_order(&f, "/rooms/kick?meeting=m", 400);
    expect_order(&f, "/rooms/kick?who=ada", 400);
    expect_order(&f, "/rooms/kick?meeting=m&who=bob", 404);
    expect_order(&f, "/rooms/kick?meeting=m&who=ada", 200); /* the last one: the room ends */
    assert_int_equal(f.w.n_ended, 1);
    assert_string_equal(world_last(&f.w, MEETING_LEFT)->reason, "removed");
    assert_int_equal(meeting_n_rooms(f.w.meeting), 0);

    (void)enter(&f.w, "ada");
    (void)enter(&f.w, "bob");
    expect_order(&f, "/rooms/kick?meeting=m&who=ada&ban=1", 200);
    assert_true(world_last(&f.w, MEETING_REMOVED)->on);
    expect_order(&f, "/rooms/close", 400);
    expect_order(&f, "/rooms/close?meeting=x", 404);
    expect_order(&f, "/rooms/close?meeting=m", 200);
    assert_string_equal(world_last(&f.w, MEETING_ROOM_CLOSED)->reason,
                        "closed_by_operator");
    assert_int_equal(meeting_n_participants(f.w.meeting), 0);
    finish(&f);
}

static void a_drain_is_begun_told_and_taken_back(void **state)
{
    struct http_answer answer;
    struct fixture f;
    json_t *data;
    (void)state;

    start(&f);
    expect_order(&f, "/drain", 400);
    expect_order(&f, "/drain?seconds=0", 400);
    expect_order(&f, "/drain?seconds=86401", 400);
    expect_order(&f, "/drain?seconds=1m", 400);
    assert_int_equal(drain_s, 0);
    expect_order(&f, "/drain?seconds=90", 200);
    assert_int_equal(drain_s, 90);
    data = expect_data(&f, "/status");
    assert_int_equal(number(data, "drains_within_s"), 90);
    json_decref(data);
    f.metrics_only = true;
    answer = ask(&f, "GET", "/metrics");
    assert_int_equal(series(&answer, "\nkcs_draining"), 1);
    http_free(&answer);
    f.metrics_only = false;
    expect_order(&f, "/undrain", 200);
    assert_int_equal(drain_s, 0);
    data = expect_data(&f, "/status");
    assert_null(json_object_get(data, "drains_within_s"));
    json_decref(data);
    finish(&f);
}

static void the_level_of_the_log_is_set(void **state)
{
    struct fixture f;
    (void)state;

    start(&f);
    expect_order(&f, "/loglevel", 400);
    expect_order(&f, "/loglevel?level=loud", 400);
    assert_false(log_enabled(LOG_LEVEL_WARN));
    expect_order(&f, "/loglevel?level=warn", 200);
    assert_true(log_enabled(LOG_LEVEL_WARN));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    expect_order(&f, "/loglevel?level=error", 200);
    assert_false(log_enabled(LOG_LEVEL_WARN));
    finish(&f);
}

/* ---- captures ---- */

/* Ada's transport, and its peer. */
static uint64_t start_peer(struct fixture *f, struct participant **ada, char path[256],
                           const char *more)
{
    struct transport *t;

    start(f);
    *ada = enter(&f->w, "ada");
    t = open_transport(&f->w, *ada, true);
    (void)snprintf(path, 256, "/capture?transport=%s%s", t->id, more);
    return session_peer(t->session);
}

static json_t *order_data(struct fixture *f, const char *path)
{
    struct http_answer answer = ask(f, "POST", path);
    json_t *json = json_loads(answer.body, 0, NULL);
    json_t *data = json_incref(json_object_get(json, "data"));

    if (answer.status != 200 || data == NULL) {
        fail_msg("%s: %s", path, answer.head);
    }
    json_decref(json);
    http_free(&answer);
    return data;
}

/* Takes what there is of capture 1, and looks for 'needle' in it; NULL: it is empty. */
static json_t *take(struct fixture *f, const char *needle)
{
    json_t *data = order_data(f, "/capture/take?capture=1");
    const char *code = text(data, "pcapng");
    uint8_t *bytes = malloc(base64_decoded_max(strlen(code)));
    size_t len;

    assert_non_null(bytes);
    assert_int_equal(base64_decode(code, strlen(code), bytes, &len), 0);
    assert_true(needle != NULL ? memmem(bytes, len, needle, strlen(needle)) != NULL
                               : len == 0);
    free(bytes);
    return data;
}

static void expect_told(struct fixture *f, uint64_t peer, enum abi_capture how)
{
    struct fake_dp_cmd cmd;

    WAIT(&f->w, (cmd = fake_dp_cmd(f->w.dp, fake_dp_n_cmds(f->w.dp) - 1),
                 cmd.op == ABI_OP_PEER_CAPTURE && cmd.arg == how));
    assert_int_equal(cmd.handle, peer);
}

static void put_packet(struct fixture *f, uint64_t peer, const char *data, uint32_t missed)
{
    struct abi_captured packet = {.peer = peer, .path = {.family = 4}, .missed = missed};

    packet.len = (uint16_t)strlen(data);
    memcpy(packet.data, data, strlen(data));
    assert_true(fake_dp_capture(f->w.dp, &packet));
    settle(&f->w, 20);
}

static void a_capture_is_taken_bit_by_bit_until_it_is_stopped(void **state)
{
    struct http_answer answer;
    struct participant *ada;
    struct fixture f;
    char path[256];
    json_t *data;
    uint64_t peer;
    (void)state;

    peer = start_peer(&f, &ada, path, "");
    expect_order(&f, "/capture", 400);
    expect_order(&f, "/capture?transport=none", 404);
    expect_order(&f, "/capture?transport=none&count=1x", 400);
    expect_order(&f, "/capture?transport=none&count=0", 400);
    expect_order(&f, "/capture?transport=none&count=100000000", 404);
    expect_order(&f, "/capture?transport=none&count=100000001", 400);
    expect_order(&f, "/capture?transport=none&count=99999999999999999999999", 400);
    expect_order(&f, "/capture/take?capture=1", 404);
    data = order_data(&f, path);
    assert_int_equal(number(data, "capture"), 1);
    json_decref(data);
    expect_told(&f, peer, ABI_CAPTURE_WIRE);
    answer = ask(&f, "POST", path);
    assert_int_equal(answer.status, 409);
    assert_non_null(strstr(answer.body, "127.0.0.1:")); /* who has it */
    http_free(&answer);
    expect_order(&f, "/capture/take?capture=2", 404);

    json_decref(take(&f, "kcs-control"));
    put_packet(&f, peer, "first", 0);
    data = take(&f, "first");
    assert_int_equal(number(data, "packets"), 1);
    assert_int_equal(number(data, "missed"), 0);
    assert_string_equal(text(data, "ended"), "");
    json_decref(data);
    json_decref(take(&f, NULL));
    put_packet(&f, peer, "second", 3);
    expect_order(&f, "/capture/stop?capture=1", 200);
    expect_told(&f, peer, ABI_CAPTURE_OFF);
    data = take(&f, "second");
    assert_int_equal(number(data, "packets"), 2);
    assert_int_equal(number(data, "missed"), 3);
    assert_string_equal(text(data, "ended"), "stopped");
    json_decref(data);
    expect_order(&f, "/capture/take?capture=1", 404);
    data = order_data(&f, path); /* the next one */
    assert_int_equal(number(data, "capture"), 2);
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f); /* which ends it */
}

static void a_capture_ends_with_its_number_or_its_transport(void **state)
{
    struct participant *ada;
    struct fixture f;
    char path[256];
    json_t *data;
    uint64_t peer;
    (void)state;

    peer = start_peer(&f, &ada, path, "&count=2");
    json_decref(order_data(&f, path));
    put_packet(&f, peer, "first", 0);
    put_packet(&f, peer, "second", 0);
    put_packet(&f, peer, "third", 0);
    data = take(&f, "second");
    assert_int_equal(number(data, "packets"), 2);
    assert_string_equal(text(data, "ended"), "as many as were asked for");
    json_decref(data);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);

    (void)start_peer(&f, &ada, path, "");
    json_decref(order_data(&f, path));
    meeting_leave(f.w.meeting, ada, "left");
    data = take(&f, "kcs-control");
    assert_string_equal(text(data, "ended"), "the transport has closed");
    json_decref(data);
    finish(&f);
}

/* Of one that has ended, and that nobody takes. */
static void a_capture_that_was_left_gives_way_to_the_next(void **state)
{
    struct participant *ada;
    struct fixture f;
    char path[256];
    json_t *data;
    (void)state;

    (void)start_peer(&f, &ada, path, "");
    json_decref(order_data(&f, path));
    expect_order(&f, "/capture/stop?capture=1", 200);
    expect_order(&f, path, 409); /* its owner may be about to take the rest */
    settle(&f.w, 1100);
    data = order_data(&f, path);
    assert_int_equal(number(data, "capture"), 2);
    json_decref(data);
    expect_order(&f, "/capture/take?capture=1", 404);
    settle(&f.w, 1100);
    expect_order(&f, path, 409); /* this one goes on */
    json_decref(order_data(&f, "/capture/take?capture=2"));
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static void what_is_said_of_decrypting_is_meant(void **state)
{
    static const char *const nos[] = {"&decrypted=0", "&decrypted=false"};
    struct participant *ada;
    struct fixture f;
    char path[256];
    uint64_t peer;
    (void)state;

    (void)start_peer(&f, &ada, path, "&decrypted=maybe");
    expect_order(&f, path, 400);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
    for (size_t i = 0; i < sizeof(nos) / sizeof(nos[0]); i++) {
        peer = start_peer(&f, &ada, path, nos[i]);
        json_decref(order_data(&f, path));
        expect_told(&f, peer, ABI_CAPTURE_WIRE);
        meeting_leave(f.w.meeting, ada, "left");
        finish(&f);
    }
    (void)start_peer(&f, &ada, path, "&decrypted=true");
    expect_order(&f, path, 403); /* it keeps no audit */
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

/* No room for more than so much: the rest is counted, and what there is comes in parts. */
static void what_nobody_takes_in_time_is_missed(void **state)
{
    enum { BIG = 1400, MANY = 6500 };
    struct abi_captured packet = {.path = {.family = 4}, .len = BIG};
    struct participant *ada;
    struct fixture f;
    char path[256];
    json_t *data;
    unsigned parts = 0;
    bool more = true;
    (void)state;

    packet.peer = start_peer(&f, &ada, path, "");
    json_decref(order_data(&f, path));
    for (int i = 0; i < MANY; i++) {
        WAIT(&f.w, fake_dp_capture(f.w.dp, &packet));
    }
    settle(&f.w, 50);
    while (more) {
        data = order_data(&f, "/capture/take?capture=1");
        more = json_is_true(json_object_get(data, "more"));
        assert_int_equal(number(data, "packets") + number(data, "missed"), MANY);
        assert_true(number(data, "missed") > 0);
        json_decref(data);
        parts++;
    }
    assert_int_equal(parts, 16); /* of half a MiB each */
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static void a_capture_that_nobody_asks_for_ends(void **state)
{
    struct participant *ada;
    struct fixture f;
    char path[256];
    uint64_t peer;
    (void)state;

    capture_patience_ms = 100;
    peer = start_peer(&f, &ada, path, "");
    json_decref(order_data(&f, path));
    expect_told(&f, peer, ABI_CAPTURE_WIRE);
    settle(&f.w, 200);
    expect_told(&f, peer, ABI_CAPTURE_OFF);
    expect_order(&f, "/capture/take?capture=1", 404);
    capture_patience_ms = 0;
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

struct audit {
    unsigned n, n_answers;
    char tenant[64], meeting[64], target[128];
};

static void on_audit(void *arg, const struct store_result *result)
{
    struct audit *audit = arg;

    audit->n_answers++;
    audit->n = (unsigned)result->n_docs;
    if (result->n_docs == 1) {
        (void)snprintf(audit->tenant, sizeof(audit->tenant), "%s", result->docs[0].tenant);
        (void)snprintf(audit->meeting, sizeof(audit->meeting), "%s", result->docs[0].group);
        (void)snprintf(audit->target, sizeof(audit->target), "%s", result->docs[0].json);
    }
}

static void only_a_node_with_an_audit_decrypts(void **state)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    const struct store_query query = {
        .kind = STORE_AUDIT, .tenant = "default", .state = "operator.capture_decrypted"};
    char dir[] = "/tmp/kcs_admin_XXXXXX", file[64], path[256], err[STORE_ERR_MAX];
    struct store_conf conf = {.path = file, .post = post};
    struct audit audit = {.n = 0};
    struct participant *ada;
    struct fixture f;
    json_t *answer;
    uint64_t peer;
    size_t n;
    (void)state;

    (void)start_peer(&f, &ada, path, "&decrypted=1");
    n = fake_dp_n_cmds(f.w.dp);
    expect_order(&f, path, 403);
    settle(&f.w, 20);
    assert_int_equal(fake_dp_n_cmds(f.w.dp), n);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);

    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/kcs.db", dir);
    assert_int_equal(loop_create((struct loop **)&conf.loop), 0);
    assert_int_equal(store_create(&kept, &conf, err), 0);
    peer = start_peer(&f, &ada, path, "&decrypted=1");
    json_decref(order_data(&f, path));
    expect_told(&f, peer, ABI_CAPTURE_PLAIN);
    json_decref(take(&f, NULL)); /* not before it is in the audit */
    assert_int_equal(store_find(kept, &query, on_audit, &audit), 0);
    for (uint64_t until = now_ms() + 5000; audit.n_answers == 0 && now_ms() < until;) {
        loop_turn(conf.loop);
        (void)usleep(200);
    }
    assert_int_equal(audit.n, 1);
    assert_string_equal(audit.meeting, "m");
    assert_non_null(strstr(audit.target, ada->transports->id));
    json_decref(take(&f, "kcs-control"));
    expect_order(&f, "/capture/stop?capture=1", 200);
    json_decref(take(&f, NULL));

    store_close(kept); /* no entry can be written: nothing is given away */
    json_decref(order_data(&f, path));
    answer = order_data(&f, "/capture/take?capture=2");
    assert_string_equal(text(answer, "pcapng"), "");
    assert_string_equal(text(answer, "ended"), "the audit could not be written");
    json_decref(answer);
    meeting_leave(f.w.meeting, ada, "left");
    finish(&f);
    store_close(kept);
    store_destroy(kept);
    kept = NULL;
    loop_destroy(conf.loop);
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        (void)snprintf(file, sizeof(file), "%s/kcs.db%s", dir, tails[i]);
        (void)unlink(file);
    }
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_the_node_at_a_glance),
        cmocka_unit_test(status_says_why_nothing_is_attached),
        cmocka_unit_test(a_device_whose_interface_is_gone_is_told),
        cmocka_unit_test(drops_add_up_to_what_came_in),
        cmocka_unit_test(lanes_tell_every_counter),
        cmocka_unit_test(lanes_tell_how_busy_they_are_now),
        cmocka_unit_test(traces_tell_what_a_stage_takes),
        cmocka_unit_test(a_node_that_traces_nothing_says_so),
        cmocka_unit_test(peers_are_the_transports),
        cmocka_unit_test(streams_are_producers_with_their_subscribers),
        cmocka_unit_test(layers_of_a_producer_are_counted_together),
        cmocka_unit_test(metrics_add_up_like_the_lanes),
        cmocka_unit_test(other_paths_and_methods_are_refused),
        cmocka_unit_test(a_move_wants_a_transport_and_a_lane),
        cmocka_unit_test(rooms_and_their_people_are_listed),
        cmocka_unit_test(a_meeting_of_two_tenants_has_to_be_named_whole),
        cmocka_unit_test(a_peer_is_told_with_what_it_sends_and_gets),
        cmocka_unit_test(the_operator_mutes_removes_and_closes),
        cmocka_unit_test(a_drain_is_begun_told_and_taken_back),
        cmocka_unit_test(the_level_of_the_log_is_set),
        cmocka_unit_test(a_capture_is_taken_bit_by_bit_until_it_is_stopped),
        cmocka_unit_test(a_capture_ends_with_its_number_or_its_transport),
        cmocka_unit_test(a_capture_that_was_left_gives_way_to_the_next),
        cmocka_unit_test(what_is_said_of_decrypting_is_meant),
        cmocka_unit_test(what_nobody_takes_in_time_is_missed),
        cmocka_unit_test(a_capture_that_nobody_asks_for_ends),
        cmocka_unit_test(only_a_node_with_an_audit_decrypts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
