/* The events of a call, their shapes, and what becomes of bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signal/priv.h"
#include "unit/signal/user.h"

enum { PAYLOAD = 8192 };

static const char dtls[] =
    "\"dtls_parameters\":{\"role\":\"%s\",\"fingerprints\":[{\"algorithm\":\"sha-256\","
    "\"value\":\"AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:"
    "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB\"}]}";

static void make_transport(struct site *s, struct user *u, bool send, char id[64])
{
    json_t *created =
        user_ask(s, u, "transport:create",
                 send ? "{\"direction\":\"send\"}" : "{\"direction\":\"recv\"}");

    (void)snprintf(id, 64, "%s", text_of(created, "transport_id"));
    json_decref(created);
    json_decref(user_event(s, u, "transport:created"));
}

static void produce_payload(char out[PAYLOAD], const char *transport, const char *format,
                            unsigned ssrc)
{
    bool audio = format == world_opus;
    json_t *params = world_json(format, ssrc, ssrc);
    char *text = json_dumps(params, JSON_COMPACT);

    (void)snprintf(out, PAYLOAD,
                   "{\"transport_id\":\"%s\",\"kind\":\"%s\",\"source\":\"%s\","
                   "\"rtp_parameters\":%s}",
                   transport, audio ? "audio" : "video", audio ? "mic" : "camera", text);
    free(text);
    json_decref(params);
}

static void make_producer(struct site *s, struct user *u, const char *transport,
                          const char *format, unsigned ssrc, char id[64])
{
    char payload[PAYLOAD];
    json_t *created;

    produce_payload(payload, transport, format, ssrc);
    created = user_ask(s, u, "produce", payload);
    (void)snprintf(id, 64, "%s", text_of(created, "producer_id"));
    assert_string_equal(text_of(created, "kind"), format == world_opus ? "audio" : "video");
    json_decref(created);
    json_decref(user_event(s, u, "producer:created"));
}

static void consume_payload(char out[PAYLOAD], const char *transport, const char *producer)
{
    json_t *caps = ortc_router_capabilities();
    char *text = json_dumps(caps, JSON_COMPACT);
    int n = snprintf(out, PAYLOAD,
                     "{\"transport_id\":\"%s\",\"producer_id\":\"%s\","
                     "\"rtp_capabilities\":%s}",
                     transport, producer, text);

    assert_true(n < PAYLOAD);
    free(text);
    json_decref(caps);
}

static const char *one(const char *key, const char *value)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "{\"%s\":\"%s\"}", key, value);
    return text;
}

/* ---- shapes ---- */

static void joining_tells_who_and_what_is_there(void **state)
{
    struct user *a, *b;
    char send[64], producer[64];
    json_t *ack, *told;
    const json_t *list, *p;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    make_transport(&s, a, true, send);
    make_producer(&s, a, send, world_opus, 1, producer);
    b = user_open(&s, true);
    user_connect(&s, b, "b", "attendee");
    ack = user_ask(
        &s, b, "room:join",
        "{\"meeting_id\":\"m\",\"display_name\":\"B \\u2615\",\"rtp_capabilities\":{}}");
    told = user_event(&s, a, "participant:joined");
    assert_string_equal(text_of(told, "display_name"), "B \xe2\x98\x95");
    assert_string_equal(text_of(told, "user_id"), "b");
    assert_string_equal(text_of(told, "role"), "attendee");
    assert_string_equal(text_of(told, "meeting_id"), "m");
    assert_int_equal(strlen(text_of(told, "timestamp")), 27);
    assert_int_equal(json_integer_value(json_object_get(told, "epoch")), 7);
    assert_int_equal(json_integer_value(json_object_get(told, "seq")), 3);

    assert_string_equal(text_of(json_object_get(ack, "meeting"), "id"), "m");
    assert_string_equal(text_of(ack, "your_role"), "attendee");
    list = json_object_get(ack, "permissions");
    assert_int_equal(json_array_size(list), 4);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "view");
    assert_int_equal(json_integer_value(json_object_get(ack, "participant_count")), 2);
    assert_int_equal(json_array_size(json_object_get(ack, "participants")), 2);
    assert_string_equal(text_of(ack, "participant_id"), text_of(told, "participant_id"));
    assert_int_equal(json_integer_value(json_object_get(ack, "seq")), 3);
    list = json_object_get(ack, "producers");
    assert_int_equal(json_array_size(list), 1);
    p = json_array_get(list, 0);
    assert_string_equal(text_of(p, "producer_id"), producer);
    assert_string_equal(text_of(p, "user_id"), "a");
    assert_string_equal(text_of(p, "kind"), "audio");
    assert_string_equal(text_of(p, "source"), "mic");
    assert_true(json_is_false(json_object_get(p, "paused")));
    assert_true(json_is_array(json_object_get(ack, "ice_servers")));
    p = json_object_get(ack, "rtp_capabilities");
    assert_true(json_array_size(json_object_get(p, "codecs")) > 5);
    json_decref(told);
    json_decref(ack);
    site_finish(&s);
}

static void a_transport_is_told_as_mediasoup_client_wants_it(void **state)
{
    struct user *a;
    json_t *t;
    const json_t *ice, *c, *fp;
    size_t i;
    json_t *value;
    char connect[1024], format[512];
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    t = user_ask(&s, a, "transport:create", "{\"direction\":\"send\"}");
    assert_string_equal(text_of(t, "direction"), "send");
    ice = json_object_get(t, "ice_parameters");
    assert_true(strlen(text_of(ice, "usernameFragment")) >= 4);
    assert_true(strlen(text_of(ice, "password")) >= 22);
    assert_true(json_is_true(json_object_get(ice, "iceLite")));
    assert_int_equal(json_array_size(json_object_get(t, "ice_candidates")), 2);
    json_array_foreach(json_object_get(t, "ice_candidates"), i, value)
    {
        assert_string_equal(text_of(value, "address"), text_of(value, "ip"));
        assert_string_equal(text_of(value, "protocol"), "udp");
        assert_string_equal(text_of(value, "type"), "host");
        assert_string_not_equal(text_of(value, "foundation"), "");
        assert_true(json_integer_value(json_object_get(value, "priority")) > 0);
    }
    c = json_array_get(json_object_get(t, "ice_candidates"), 0);
    assert_string_equal(text_of(c, "ip"), "192.0.2.7");
    assert_int_equal(json_integer_value(json_object_get(c, "port")), 7100);
    fp = json_object_get(json_object_get(t, "dtls_parameters"), "fingerprints");
    fp = json_array_get(fp, json_array_size(fp) - 1);
    assert_string_equal(text_of(fp, "algorithm"), "sha-256");
    assert_int_equal(strlen(text_of(fp, "value")), 95);

    (void)snprintf(format, sizeof(format), "{\"transport_id\":\"%s\",%s}",
                   text_of(t, "transport_id"), dtls);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(connect, sizeof(connect), format, "chief");
    user_refused(&s, a, "transport:connect", connect, "invalid", "/dtls_parameters");
    (void)snprintf(connect, sizeof(connect), format, "client");
#pragma GCC diagnostic pop
    value = user_ask(&s, a, "transport:connect", connect);
    assert_string_equal(text_of(value, "transport_id"), text_of(t, "transport_id"));
    json_decref(value);
    json_decref(user_event(&s, a, "transport:connected"));
    user_refused(&s, a, "transport:connect", connect, "already_connected", "");
    value = user_ask(&s, a, "transport:stats",
                     one("transport_id", text_of(t, "transport_id")));
    assert_string_equal(text_of(json_object_get(value, "stats"), "state"), "new");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(value, "stats"), "rx_packets")),
        0);
    json_decref(value);
    user_refused(&s, a, "transport:stats", one("transport_id", "x"), "not_found", "");
    user_do(&s, a, "transport:close", one("transport_id", text_of(t, "transport_id")));
    user_refused(&s, a, "transport:close", one("transport_id", "x"), "not_found", "");
    json_decref(t);
    site_finish(&s);
}

static void an_ice_restart_is_answered_with_new_credentials(void **state)
{
    json_t *created, *restarted;
    const char *before, *after;
    char id[64];
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    created = user_ask(&s, a, "transport:create", "{\"direction\":\"send\"}");
    (void)snprintf(id, sizeof(id), "%s", text_of(created, "transport_id"));
    before = text_of(json_object_get(created, "ice_parameters"), "usernameFragment");
    restarted = user_ask(&s, a, "transport:restart-ice", one("transport_id", id));
    after = text_of(json_object_get(restarted, "ice_parameters"), "usernameFragment");
    assert_string_equal(text_of(restarted, "transport_id"), id);
    assert_string_not_equal(before, after);
    assert_int_equal(
        strlen(text_of(json_object_get(restarted, "ice_parameters"), "password")), 24);
    assert_true(json_is_true(
        json_object_get(json_object_get(restarted, "ice_parameters"), "iceLite")));
    json_decref(created);
    json_decref(restarted);
    user_refused(&s, a, "transport:restart-ice", one("transport_id", "other"), "not_found",
                 "");
    user_refused(&s, a, "transport:restart-ice", "{}", "invalid", "/transport_id");
    site_finish(&s);
}

#define STREAM(params) "\"sctp_stream_parameters\":{" params "}"

static void data_channels_are_negotiated_by_events(void **state)
{
    static const char *const wrong[][2] = {
        {STREAM(""), "/sctp_stream_parameters/streamId"},
        {STREAM("\"streamId\":1024"), "/sctp_stream_parameters/streamId"},
        {STREAM("\"streamId\":1,\"ordered\":1"), "/sctp_stream_parameters/ordered"},
        {STREAM("\"streamId\":1,\"maxRetransmits\":-1"),
         "/sctp_stream_parameters/maxRetransmits"},
        {STREAM("\"streamId\":1,\"maxRetransmits\":1,\"maxPacketLifeTime\":1"),
         "/sctp_stream_parameters"},
        {"\"label\":1," STREAM("\"streamId\":1"), "/label"},
        {"\"label\":\"x\"", "/sctp_stream_parameters"},
    };
    char send[64], recv[64], payload[PAYLOAD], producer[64];
    json_t *made, *told, *stream;
    struct user *a, *b, *late;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    made = user_ask(&s, a, "transport:create", "{\"direction\":\"send\"}");
    (void)snprintf(send, sizeof(send), "%s", text_of(made, "transport_id"));
    stream = json_object_get(made, "sctp_parameters");
    assert_int_equal(json_integer_value(json_object_get(stream, "port")), 5000);
    assert_int_equal(json_integer_value(json_object_get(stream, "MIS")), 1024);
    assert_true(json_integer_value(json_object_get(stream, "maxMessageSize")) >= 65536);
    json_decref(made);
    make_transport(&s, b, false, recv);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(payload, sizeof(payload), "{\"transport_id\":\"%s\",%s}", send,
                       wrong[i][0]);
        user_refused(&s, a, "data:produce", payload, "invalid", wrong[i][1]);
    }
    (void)snprintf(payload, sizeof(payload),
                   "{\"transport_id\":\"%s\",\"label\":\"chat\"," STREAM(
                       "\"streamId\":0,\"ordered\":false,\"maxRetransmits\":3") "}",
                   send);
    made = user_ask(&s, a, "data:produce", payload);
    (void)snprintf(producer, sizeof(producer), "%s", text_of(made, "data_producer_id"));
    assert_string_equal(text_of(made, "id"), producer);
    json_decref(made);
    told = user_event(&s, b, "data:new");
    assert_string_equal(text_of(told, "data_producer_id"), producer);
    assert_string_equal(text_of(told, "label"), "chat");
    assert_string_equal(text_of(told, "protocol"), "");
    assert_non_null(json_object_get(told, "seq"));
    json_decref(told);

    late = user_open(&s, false);
    user_connect(&s, late, "c", "host");
    made =
        user_ask(&s, late, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"Late\"}");
    assert_string_equal(text_of(json_array_get(json_object_get(made, "data_producers"), 0),
                                "data_producer_id"),
                        producer);
    json_decref(made);

    (void)snprintf(payload, sizeof(payload),
                   "{\"transport_id\":\"%s\",\"data_producer_id\":\"%s\"}", recv, producer);
    made = user_ask(&s, b, "data:consume", payload);
    assert_string_equal(text_of(made, "id"), text_of(made, "data_consumer_id"));
    stream = json_object_get(made, "sctp_stream_parameters");
    assert_true(json_is_integer(json_object_get(stream, "streamId")));
    assert_true(json_is_false(json_object_get(stream, "ordered")));
    assert_int_equal(json_integer_value(json_object_get(stream, "maxRetransmits")), 3);
    user_refused(&s, a, "data:close", one("id", text_of(made, "id")), "not_found", "");
    user_refused(&s, a, "data:close", "{}", "invalid", "/id");
    user_do(&s, a, "data:close", one("id", producer));
    told = user_event(&s, b, "data:consumer-closed");
    assert_string_equal(text_of(told, "data_consumer_id"), text_of(made, "id"));
    assert_string_equal(text_of(told, "reason"), "producer_closed");
    json_decref(told);
    json_decref(made);
    told = user_event(&s, late, "data:closed");
    assert_string_equal(text_of(told, "data_producer_id"), producer);
    assert_string_equal(text_of(told, "reason"), "closed");
    json_decref(told);
    user_refused(&s, b, "data:consume", payload, "not_found", "");
    site_finish(&s);
}

static void a_transport_that_fails_is_told_to_its_owner(void **state)
{
    struct abi_evt evt = {.kind = ABI_EVT_CONSENT_LOST};
    char id[64];
    struct user *a;
    struct site s;
    json_t *told;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    make_transport(&s, a, true, id);
    evt.handle = media_handle_at(s.w.media, MEDIA_PEER, 0);
    fake_dp_event(s.w.dp, &evt);
    told = user_event(&s, a, "transport:closed");
    assert_string_equal(text_of(told, "transport_id"), id);
    assert_string_equal(text_of(told, "reason"), "consent_lost");
    json_decref(told);
    site_finish(&s);
}

static void the_life_of_a_stream_is_told_to_both_ends(void **state)
{
    static const char *const changes[][2] = {{"produce:pause", "producer:paused"},
                                             {"produce:resume", "producer:resumed"}};
    char send[64], recv[64], producer[64], consumer[64], payload[PAYLOAD];
    struct user *a, *b;
    const json_t *params, *encoding;
    json_t *event, *created;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, true, "b");
    make_transport(&s, a, true, send);
    make_transport(&s, b, false, recv);
    make_producer(&s, a, send, world_vp8, 4711, producer);
    event = user_event(&s, b, "new-producer");
    assert_string_equal(text_of(event, "producer_id"), producer);
    assert_string_equal(text_of(event, "user_id"), "a");
    assert_string_equal(text_of(event, "kind"), "video");
    assert_string_equal(text_of(event, "source"), "camera");
    json_decref(event);

    consume_payload(payload, recv, producer);
    created = user_ask(&s, b, "consume", payload);
    (void)snprintf(consumer, sizeof(consumer), "%s", text_of(created, "consumer_id"));
    assert_string_equal(text_of(created, "producer_id"), producer);
    assert_string_equal(text_of(created, "user_id"), "a");
    assert_string_equal(text_of(created, "kind"), "video");
    assert_true(json_is_false(json_object_get(created, "producer_paused")));
    params = json_object_get(created, "rtp_parameters");
    assert_int_equal(json_array_size(json_object_get(params, "encodings")), 1);
    encoding = json_array_get(json_object_get(params, "encodings"), 0);
    assert_int_not_equal(json_integer_value(json_object_get(encoding, "ssrc")), 4711);
    assert_true(
        json_is_true(json_object_get(json_object_get(params, "rtcp"), "reducedSize")));
    json_decref(created);
    json_decref(user_event(&s, b, "consumer:created"));

    event = user_ask(&s, b, "consumer:resume", one("consumer_id", consumer));
    json_decref(event);
    event = user_event(&s, b, "consumer:resumed");
    assert_string_equal(text_of(event, "consumer_id"), consumer);
    json_decref(event);
    user_do(&s, b, "consumer:pause", one("consumer_id", consumer));
    json_decref(user_event(&s, b, "consumer:paused"));
    for (int i = 0; i < 2; i++) {
        user_do(&s, a, changes[i][0], one("producer_id", producer));
        event = user_event(&s, b, changes[i][1]);
        assert_string_equal(text_of(event, "producer_id"), producer);
        json_decref(event);
    }
    user_do(&s, a, "produce:close", one("producer_id", producer));
    event = user_event(&s, b, "consumer:closed");
    assert_string_equal(text_of(event, "consumer_id"), consumer);
    assert_string_equal(text_of(event, "reason"), "producer_closed");
    assert_null(json_object_get(event, "seq"));
    json_decref(event);
    event = user_event(&s, b, "producer:closed");
    assert_string_equal(text_of(event, "producer_id"), producer);
    json_decref(event);
    user_refused(&s, b, "consumer:resume", one("consumer_id", consumer), "not_found", "");

    make_producer(&s, a, send, world_opus, 1, producer); /* once more, by the aliases */
    consume_payload(payload, recv, producer);
    created = user_ask(&s, b, "consumer:create", payload);
    user_do(&s, b, "consumer:close", one("consumer_id", text_of(created, "consumer_id")));
    json_decref(created);
    produce_payload(payload, send, world_vp8, 2);
    user_do(&s, a, "producer:create", payload);
    site_finish(&s);
}

/* The sender hears that its layers up to this one are needed. */
static void sender_needs(struct site *s, struct user *u, const char *producer, int spatial)
{
    json_t *body = user_event(s, u, "producer:layers");
    const json_t *layers = json_object_get(body, "layers");

    assert_string_equal(text_of(body, "producer_id"), producer);
    assert_int_equal(json_array_size(layers), 3);
    for (int i = 0; i < 3; i++) {
        const json_t *layer = json_array_get(layers, (size_t)i);

        assert_int_equal(json_integer_value(json_object_get(layer, "spatial")), i);
        assert_int_equal(json_is_true(json_object_get(layer, "needed")), i <= spatial);
    }
    json_decref(body);
}

/* What wishes for layers say and change, what the dataplane tells of them, and that the sender
 * hears which of its layers somebody needs. */
static void wishes_for_layers_are_taken_and_the_truth_is_told(void **state)
{
    static const struct {
        const char *event, *wish;
        uint8_t spatial, temporal;
    } wishes[] = {
        {"consumer:layers", "\"spatial\":1", 1, MEETING_LAYER_ANY},
        {"consumer:layers", "\"spatial\":0,\"temporal\":0", 0, 0},
        {"quality:change", "\"layer\":\"high\"", MEETING_LAYER_ANY, MEETING_LAYER_ANY},
        {"quality:change", "\"layer\":\"medium\"", 1, MEETING_LAYER_ANY},
        {"quality:change", "\"layer\":\"low\"", 0, MEETING_LAYER_ANY},
    };
    static const struct {
        const char *event, *wish;
    } wrong[] = {
        {"consumer:layers", "\"spatial\":3"},
        {"consumer:layers", "\"spatial\":-1"},
        {"consumer:layers", "\"spatial\":1e30"},
        {"consumer:layers", "\"temporal\":0"},
        {"consumer:layers", "\"spatial\":\"1\""},
        {"consumer:layers", "\"spatial\":0,\"temporal\":14"},
        {"quality:change", "\"layer\":\"best\""},
        {"quality:change", "\"layer\":2"},
        {"consumer:priority", "\"priority\":0"},
        {"consumer:priority", "\"priority\":256"},
        {"consumer:priority", "\"priority\":null"},
    };
    char send[64], recv[64], producer[64], consumer[64], payload[PAYLOAD];
    struct user *a, *b;
    const struct room_consumer *rc;
    const struct participant *p;
    json_t *body;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, true, "b");
    make_transport(&s, a, true, send);
    make_transport(&s, b, false, recv);
    make_producer(&s, a, send, world_simulcast, 1, producer);
    consume_payload(payload, recv, producer);
    body = user_ask(&s, b, "consume", payload);
    assert_string_equal(text_of(body, "type"), "simulcast");
    (void)snprintf(consumer, sizeof(consumer), "%s", text_of(body, "consumer_id"));
    json_decref(body);
    p = meeting_find_room(s.w.meeting, "default", "m")->participants;
    while (strcmp(p->who.user_id, "b") != 0) {
        p = p->next;
    }
    rc = p->transports->consumers;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        (void)snprintf(payload, sizeof(payload), "{\"consumer_id\":\"%s\",%s}", consumer,
                       wishes[i].wish);
        body = user_ask(&s, b, wishes[i].event, payload);
        assert_string_equal(text_of(body, "consumer_id"), consumer);
        assert_string_equal(text_of(body, "producer_id"), producer);
        assert_true(json_is_null(json_object_get(body, "current"))); /* nothing was sent */
        json_decref(body);
        json_decref(user_event(&s, b, "consumer:layers-changed")); /* the same */
        assert_int_equal(rc->wish_spatial, wishes[i].spatial);
        assert_int_equal(rc->wish_temporal, wishes[i].temporal);
    }
    (void)snprintf(payload, sizeof(payload), "{\"consumer_id\":\"%s\",\"priority\":9}",
                   consumer);
    user_do(&s, b, "consumer:priority", payload);
    assert_int_equal(rc->priority, 9);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(payload, sizeof(payload), "{\"consumer_id\":\"%s\",%s}", consumer,
                       wrong[i].wish);
        user_refused(&s, b, wrong[i].event, payload, "invalid", "");
        user_refused(&s, a, wrong[i].event, "{}", "invalid", "");
    }
    assert_int_equal(rc->wish_spatial, 0);
    assert_int_equal(rc->priority, 9);
    (void)snprintf(payload, sizeof(payload), "{\"consumer_id\":\"%s\",\"spatial\":0}",
                   consumer);
    user_refused(&s, a, "consumer:layers", payload, "not_found", ""); /* it is not its own */

    meeting_on_layers(s.w.meeting, consumer_sub(rc->consumer),
                      ABI_LAYERS(ABI_LAYERS_BANDWIDTH, 1, 0, 2, 0));
    body = user_event(&s, b, "consumer:layers-changed");
    assert_string_equal(text_of(body, "consumer_id"), consumer);
    assert_string_equal(text_of(body, "reason"), "bandwidth");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(body, "current"), "spatial")), 1);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(body, "target"), "spatial")), 2);
    json_decref(body);

    meeting_tick(s.w.meeting, clock_mono_us() + 2000 * MEETING_LOWER_MS);
    sender_needs(&s, a, producer, 0); /* nobody is there but one who is paused */
    user_do(&s, b, "consumer:resume", one("consumer_id", consumer));
    (void)snprintf(payload, sizeof(payload), "{\"consumer_id\":\"%s\",\"spatial\":1}",
                   consumer);
    user_do(&s, b, "consumer:layers", payload);
    sender_needs(&s, a, producer, 1);
    site_finish(&s);
}

/* ---- refusals ---- */

static void payloads_are_refused_field_by_field(void **state)
{
    static const struct {
        const char *event, *payload, *words;
    } cases[] = {
        {"transport:create", NULL, "/direction: missing"},
        {"transport:create", "null", "/direction: missing"},
        {"transport:create", "[]", "must be an object"},
        {"transport:create", "\"send\"", "must be an object"},
        {"transport:create", "{\"direction\":1}", "/direction: must be a string"},
        {"transport:create", "{\"direction\":\"up\"}", "must be one of send recv"},
        {"transport:connect", "{}", "/transport_id: missing"},
        {"transport:connect", "{\"transport_id\":\"\"}", "/transport_id: must not be"},
        {"transport:connect", "{\"transport_id\":\"x\"}", "/dtls_parameters: missing"},
        {"transport:connect", "{\"transport_id\":\"x\",\"dtls_parameters\":7}",
         "/dtls_parameters: must be an object"},
        {"transport:connect", "{\"transport_id\":\"x\",\"dtls_parameters\":{}}",
         "/dtls_parameters"},
        {"transport:connect",
         "{\"transport_id\":\"x\",\"dtls_parameters\":{\"role\":7,\"fingerprints\":["
         "{\"algorithm\":\"sha-256\",\"value\":\"AB\"}]}}",
         "/dtls_parameters/role: must be a string"},
        {"transport:connect",
         "{\"transport_id\":\"x\",\"dtls_parameters\":{\"fingerprints\":[7]}}",
         "/dtls_parameters/fingerprints/0: must be an object"},
        {"transport:connect",
         "{\"transport_id\":\"x\",\"dtls_parameters\":{\"fingerprints\":["
         "{\"algorithm\":\"sha-256\",\"value\":\"AB\"}]}}",
         "malformed"},
        {"transport:connect",
         "{\"transport_id\":\"x\",\"dtls_parameters\":{\"fingerprints\":["
         "{\"algorithm\":\"crc-8\",\"value\":\"AB\"}]}}",
         "no fingerprint of a known hash"},
        {"produce", "{\"transport_id\":\"x\",\"kind\":\"smell\"}", "/kind"},
        {"produce", "{\"transport_id\":\"x\",\"kind\":\"audio\"}", "/source: missing"},
        {"produce",
         "{\"transport_id\":\"x\",\"kind\":\"audio\",\"source\":\"mic\",\"paused\":1}",
         "/paused"},
        {"produce", "{\"transport_id\":\"x\",\"kind\":\"audio\",\"source\":\"mic\"}",
         "/rtp_parameters: missing"},
        {"produce",
         "{\"transport_id\":\"x\",\"kind\":\"audio\",\"source\":\"mic\","
         "\"rtp_parameters\":{\"codecs\":7}}",
         "/rtp_parameters/codecs"},
        {"consume", "{\"transport_id\":\"x\",\"producer_id\":\"y\"}",
         "/rtp_capabilities: missing"},
        {"consume",
         "{\"transport_id\":\"x\",\"producer_id\":\"y\",\"rtp_capabilities\":"
         "{\"codecs\":7}}",
         "/rtp_capabilities/codecs"},
        {"produce:close", "{\"producer_id\":null}", "/producer_id: missing"},
        {"produce:pause", "{\"producer_id\":{}}", "/producer_id: must be a string"},
        {"consumer:resume", "{}", "/consumer_id: missing"},
        {"consumer:close", "7", "must be an object"},
        {"room:leave", "{\"meeting_id\":[]}", "/meeting_id: must be a string"},
        {"room:leave", "\"m\"", "must be an object"},
    };
    char longer[400] = "{\"producer_id\":\"";
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        user_refused(&s, a, cases[i].event, cases[i].payload, "invalid", cases[i].words);
    }
    memset(longer + strlen(longer), 'x', 200);
    strcat(longer, "\"}");
    user_refused(&s, a, "produce:close", longer, "invalid", "too long");
    user_refused(&s, a, "room:leave", one("meeting_id", "n"), "not_found", "");
    user_refused(&s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}",
                 "already_joined", "");
    assert_int_equal(a->n_inbox, 0);
    assert_int_equal(world_n_open(&s.w), 0);
    assert_int_equal(meeting_n_participants(s.w.meeting), 1);
    site_finish(&s);
}

/* What makes something in the dataplane, well said or not, has a bound for each socket; all
 * else goes on. */
static void transports_producers_and_consumers_are_not_made_without_end(void **state)
{
    static const char *const events[] = {"transport:create", "produce",
                                         "consume",          "data:produce",
                                         "data:consume",     "transport:restart-ice"};
    enum { AT_ONCE = 60, ROUNDS = 100 };
    unsigned n_taken = 0, n_refused = 0;
    struct user *a, *b;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    b = user_join(&s, false, "b");
    for (unsigned i = 0; i < ROUNDS && n_refused == 0; i++) {
        uint64_t ids[AT_ONCE];

        for (unsigned k = 0; k < AT_ONCE; k++) {
            ids[k] = user_emit(&s, a, events[k % 6], "{}");
        }
        for (unsigned k = 0; k < AT_ONCE; k++) {
            json_t *body = user_ack(&s, a, ids[k]);
            const json_t *error = json_object_get(body, "error");
            const json_t *again = json_object_get(error, "retry_after_ms");

            if (strcmp(text_of(error, "code"), "invalid") == 0) {
                n_taken++;
            } else {
                assert_string_equal(text_of(error, "code"), "rate_limited");
                assert_in_range(json_integer_value(again), 1, 20);
                n_refused++;
            }
            json_decref(body);
        }
    }
    assert_true(n_taken >= 1000 && n_refused > 0);
    user_do(&s, a, "hand:raise", NULL);
    json_decref(user_event(&s, b, "hand:raised"));
    user_refused(&s, b, "consume", "{}", "invalid", "");
    site_finish(&s);
}

/* The table of schema/ and the handlers name the same events. */
static void what_is_built_is_what_the_table_says(void **state)
{
    const struct schema_event *event;
    (void)state;

    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        bool built = events_handler(event->name) != NULL;

        if (!event->told && built != ((event->flags & SCHEMA_LATER) == 0)) {
            fail_msg("%s is %s", event->name, built ? "built" : "not built");
        }
    }
}

static void all_that_is_wrong_is_told_at_once_by_ack_and_by_event(void **state)
{
    static const struct {
        const char *packet; /* behind the id */
        const char *paths;
    } cases[] = {
        {"[\"produce\",{\"kind\":\"smell\",\"paused\":1,\"rtp_parameters\":[]}]",
         "/transport_id /kind /source /paused /rtp_parameters "},
        {"[\"view:set\",{\"visible\":[{\"producer_id\":\"x\",\"width\":-1,\"height\":7},7]}"
         "]",
         "/visible/0/width /visible/1 "},
        {"[\"room:leave\",{\"meeting_id\":\"m\",\"meeting_id\":\"m\"}]", " "},
        {"[\"view:set\",{\"visible\":[],\"last_n\":99999999999999999999}]", " "},
        {"[\"view:set\",{\"visible\":[],\"last_n\":1e999}]", " "},
    };
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool ack = i % 2 == 0;
        json_t *body, *error, *each;
        char packet[256], paths[256] = "";
        size_t at;

        (void)snprintf(packet, sizeof(packet), "42/meeting,%s%s", ack ? "900" : "",
                       cases[i / 2].packet);
        user_send(&s, a, packet);
        body = ack ? user_ack(&s, a, 900) : user_event(&s, a, "error");
        error = ack ? json_object_get(body, "error") : body;
        assert_string_equal(text_of(error, "code"), "invalid");
        json_array_foreach(json_object_get(error, "errors"), at, each)
        {
            strcat(strcat(paths, text_of(each, "path")), " ");
            assert_true(strlen(text_of(each, "reason")) > 0);
        }
        assert_string_equal(paths, cases[i / 2].paths);
        json_decref(body);
    }
    assert_int_equal(meeting_n_participants(s.w.meeting), 1);
    site_finish(&s);
}

static void a_role_that_may_not_is_told_so_before_its_payload_is_looked_at(void **state)
{
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_open(&s, false);
    user_connect(&s, a, "a", "guest");
    user_refused(&s, a, "produce", "{}", "not_joined", "");
    user_do(&s, a, "room:join", "{\"meeting_id\":\"m\",\"display_name\":\"N\"}");
    user_refused(&s, a, "produce", "{}", "forbidden", "guest");
    user_refused(&s, a, "producer:create", "{}", "forbidden", "produce_media");
    user_refused(&s, a, "screen:start", "{}", "forbidden", "produce_screen");
    user_refused(&s, a, "data:produce", "{}", "forbidden", "");
    user_do(&s, a, "screen:stop", "{}");
    user_refused(&s, a, "recording:start", "{}", "forbidden", "record");
    user_refused(&s, a, "stream:start", "{\"kind\":\"hls\"}", "forbidden", "record");
    site_finish(&s);
}

static void joining_is_refused_field_by_field(void **state)
{
    static const struct {
        const char *payload, *code, *words;
    } cases[] = {
        {NULL, "invalid", "/meeting_id: missing"},
        {"[{\"meeting_id\":\"m\"}]", "invalid", "object"},
        {"{\"meeting_id\":7,\"display_name\":\"N\"}", "invalid", "/meeting_id"},
        {"{\"meeting_id\":\"m\"}", "invalid", "/display_name: missing"},
        {"{\"meeting_id\":\"m\",\"display_name\":\"a\\u0000b\"}", "invalid",
         "null character"},
        {"{\"meeting_id\":\"m\",\"display_name\":\"\"}", "invalid", "/display_name"},
        {"{\"meeting_id\":\"m\",\"display_name\":\"N\",\"rtp_capabilities\":7}", "invalid",
         "/rtp_capabilities"},
        {"{\"meeting_id\":\"m\",\"display_name\":\"N\",\"resume_token\":7}", "invalid",
         "/resume_token"},
        {"{\"meeting_id\":\"n\",\"display_name\":\"N\"}", "not_found", ""},
    };
    char longer[400] = "{\"meeting_id\":\"m\",\"display_name\":\"";
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_open(&s, false);
    user_connect(&s, a, "a", "host");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        user_refused(&s, a, "room:join", cases[i].payload, cases[i].code, cases[i].words);
    }
    memset(longer + strlen(longer), 'x', MEETING_NAME_MAX + 1);
    strcat(longer, "\"}");
    user_refused(&s, a, "room:join", longer, "invalid", "too long");
    assert_int_equal(meeting_n_rooms(s.w.meeting), 0);
    site_finish(&s);
}

static void what_the_router_does_not_know_is_named(void **state)
{
    char send[64], payload[PAYLOAD];
    struct user *a;
    struct site s;
    char *at;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    make_transport(&s, a, true, send);
    produce_payload(payload, send, world_vp8, 1);
    at = strstr(payload, "video/VP8");
    assert_non_null(at);
    memcpy(at, "video/FOO", 9);
    user_refused(&s, a, "produce", payload, "unsupported", "video/FOO");
    produce_payload(payload, send, world_simulcast, 1);
    at = strstr(payload, "sdes:mid");
    assert_non_null(at);
    memcpy(at, "sdes:foo", 8);
    user_refused(&s, a, "produce", payload, "unsupported", "sdes:foo");
    site_finish(&s);
}

/* ---- ends before answers, and a dataplane that goes ---- */

static void answers_that_are_due_come_once_when_their_object_ends(void **state)
{
    char send[64], payload[PAYLOAD];
    uint64_t produced, made;
    struct user *a, *b;
    json_t *ack;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    make_transport(&s, a, true, send);
    fake_dp_hold(s.w.dp, true);
    produce_payload(payload, send, world_simulcast, 1);
    produced = user_emit(&s, a, "produce", payload);
    made = user_emit(&s, a, "transport:create", "{\"direction\":\"recv\"}");
    site_settle(&s, 20);
    assert_int_equal(a->n_inbox, 0);
    user_do(&s, a, "room:leave", NULL);
    ack = user_ack(&s, a, produced);
    assert_string_equal(text_of(json_object_get(ack, "error"), "code"), "gone");
    json_decref(ack);
    ack = user_ack(&s, a, made);
    assert_string_equal(text_of(json_object_get(ack, "error"), "code"), "gone");
    json_decref(ack);
    fake_dp_hold(s.w.dp, false);
    site_settle(&s, 50);
    assert_int_equal(a->n_inbox, 0);

    b = user_join(&s, false, "b"); /* and one who vanishes with answers due */
    make_transport(&s, b, true, send);
    fake_dp_hold(s.w.dp, true);
    produce_payload(payload, send, world_opus, 1);
    (void)user_emit(&s, b, "produce", payload);
    site_settle(&s, 20);
    user_vanish(b);
    AWAIT(&s, signal_n_clients(s.signal) == 1);
    fake_dp_hold(s.w.dp, false);
    site_finish(&s);
}

static void the_dataplanes_answer_is_passed_on_at_once(void **state)
{
    uint64_t id, begin;
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    begin = now_ms();
    for (int i = 0; i < 8; i++) {
        json_t *t;

        id = user_emit(&s, a, "transport:create", "{\"direction\":\"send\"}");
        t = user_ack(&s, a, id);
        user_do(&s, a, "transport:close", one("transport_id", text_of(t, "transport_id")));
        json_decref(t);
    }
    assert_true(now_ms() - begin < 8 * 125); /* a tick is 250 ms */
    site_finish(&s);
}

static void those_with_media_are_cut_off_when_the_dataplane_goes(void **state)
{
    struct user *a[2], *idle;
    char send[64];
    struct site s;
    (void)state;

    site_start(&s);
    for (int polling = 0; polling < 2; polling++) {
        a[polling] = user_join(&s, polling != 0, "a");
        make_transport(&s, a[polling], true, send);
    }
    idle = user_join(&s, false, "idle");
    inbox_clear(idle);
    fake_dp_hang_up(s.w.dp);
    AWAIT(&s, a[0]->closed && a[1]->closed);
    assert_int_equal(a[0]->code, 1001);
    assert_int_equal(a[1]->code, 503);
    for (int i = 0; i < 2; i++) {
        json_decref(user_event(&s, idle, "participant:left"));
    }
    assert_false(idle->closed);
    AWAIT(&s, media_info(s.w.media) != NULL);
    make_transport(&s, idle, true, send);
    site_finish(&s);
}

static void without_a_dataplane_transports_are_refused(void **state)
{
    struct user *a;
    struct site s;
    (void)state;

    site_start(&s);
    a = user_join(&s, false, "a");
    fake_dp_kill(s.w.dp);
    s.w.dp = NULL;
    AWAIT(&s, s.w.n_detached == 1);
    user_refused(&s, a, "transport:create", "{\"direction\":\"send\"}", "media_unavailable",
                 "try again");
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_tells_who_and_what_is_there),
        cmocka_unit_test(a_transport_is_told_as_mediasoup_client_wants_it),
        cmocka_unit_test(an_ice_restart_is_answered_with_new_credentials),
        cmocka_unit_test(data_channels_are_negotiated_by_events),
        cmocka_unit_test(a_transport_that_fails_is_told_to_its_owner),
        cmocka_unit_test(the_life_of_a_stream_is_told_to_both_ends),
        cmocka_unit_test(wishes_for_layers_are_taken_and_the_truth_is_told),
        cmocka_unit_test(payloads_are_refused_field_by_field),
        cmocka_unit_test(transports_producers_and_consumers_are_not_made_without_end),
        cmocka_unit_test(what_is_built_is_what_the_table_says),
        cmocka_unit_test(all_that_is_wrong_is_told_at_once_by_ack_and_by_event),
        cmocka_unit_test(a_role_that_may_not_is_told_so_before_its_payload_is_looked_at),
        cmocka_unit_test(joining_is_refused_field_by_field),
        cmocka_unit_test(what_the_router_does_not_know_is_named),
        cmocka_unit_test(answers_that_are_due_come_once_when_their_object_ends),
        cmocka_unit_test(the_dataplanes_answer_is_passed_on_at_once),
        cmocka_unit_test(those_with_media_are_cut_off_when_the_dataplane_goes),
        cmocka_unit_test(without_a_dataplane_transports_are_refused),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
