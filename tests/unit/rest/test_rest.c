/* The REST interface and the page, through the real listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "metric/metric.h"
#include "net/net.h"
#include "rest/call.h"
#include "rest/rest.h"
#include "support/http_ask.h"
#include "sys/log.h"
#include "sys/loop.h"

struct fixture {
    char dir[32];
    struct rest_facts facts;
    struct loop *loop;
    struct metric_registry *metrics;
    struct net_server *server;
    struct rest *rest;
};

static void give_facts(void *user, struct rest_facts *out)
{
    *out = ((struct fixture *)user)->facts;
}

static void on_request(void *user, struct net_req *req)
{
    rest_on_request(((struct fixture *)user)->rest, req);
}

static void turn(void *arg)
{
    loop_turn(arg);
}

static void start(struct fixture *f, bool page)
{
    static const struct net_listen listen = {.name = "test", .address = "127.0.0.1"};
    static const struct net_handlers handlers = {.on_request = on_request};
    struct net_conf net = net_conf_default();
    struct rest_conf conf = {.version = "1.2.3", .facts = give_facts, .user = f};
    char err[NET_ERR_MAX];

    *f = (struct fixture){.dir = "/tmp/kcs-rest-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
    conf.web_root = page ? f->dir : "";
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(metric_registry_create(&f->metrics), 0);
    assert_int_equal(rest_create(&f->rest, &conf), 0);
    net.listen = &listen;
    net.n_listen = 1;
    if (net_server_create(&f->server, f->loop, f->metrics, &net, &handlers, f, err) != 0) {
        fail_msg("%s", err);
    }
}

static void finish(struct fixture *f)
{
    net_server_destroy(f->server);
    rest_destroy(f->rest);
    metric_registry_destroy(f->metrics);
    loop_destroy(f->loop);
    assert_int_equal(rmdir(f->dir), 0);
}

static struct http_answer ask(struct fixture *f, const char *method, const char *path)
{
    return http_ask(http_connect_port(net_server_port(f->server, 0)), method, path, turn,
                    f->loop);
}

/* A failure in the shape that docs/api.md fixes. */
static void expect_problem(struct fixture *f, const char *method, const char *path,
                           unsigned status, const char *code)
{
    struct http_answer answer = ask(f, method, path);
    json_t *json = json_loads(answer.body, 0, NULL);

    assert_int_equal(answer.status, status);
    assert_true(http_has(&answer, "content-type: application/problem+json"));
    assert_true(json_is_false(json_object_get(json, "success")));
    assert_string_equal(json_string_value(json_object_get(json, "code")), code);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), status);
    assert_true(json_string_length(json_object_get(json, "message")) > 0);
    assert_true(json_string_length(json_object_get(json, "request_id")) > 0);
    assert_true(json_is_array(json_object_get(json, "errors")));
    json_decref(json);
    http_free(&answer);
}

/* The 'data' of a success; a new reference. */
static json_t *expect_data(struct fixture *f, const char *path)
{
    struct http_answer answer = ask(f, "GET", path);
    json_t *json = json_loads(answer.body, 0, NULL);
    json_t *data = json_incref(json_object_get(json, "data"));

    assert_int_equal(answer.status, 200);
    assert_true(http_has(&answer, "content-type: application/json"));
    assert_true(json_is_true(json_object_get(json, "success")));
    assert_non_null(data);
    json_decref(json);
    http_free(&answer);
    return data;
}

static void attach(struct fixture *f, uint32_t n_addrs)
{
    f->facts = (struct rest_facts){
        .attached = true,
        .srtp_backend = "ipsec_mb",
        .fingerprint_alg = "sha-256",
        .n_devices = 1,
        .devices = {{.kind = "veth",
                     .name = "kcs0",
                     .port = 40000,
                     .n_addrs = n_addrs,
                     .addrs = {{.ip = "10.0.0.2",
                                .public_ip = "192.0.2.1",
                                .public_port = 4000}}}},
        .rooms = 2,
        .participants = 3,
        .clients = 4,
        .uptime_us = 5000000,
        .contract = 1,
    };
}

/* ---- health ---- */

static void live_as_soon_as_the_loop_turns(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, false);
    json_decref(expect_data(&f, "/api/health/live"));
    finish(&f);
}

static void not_ready_without_a_dataplane_and_says_why(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f, false);
    (void)snprintf(f.facts.reason, sizeof(f.facts.reason), "it is away");
    expect_problem(&f, "GET", "/api/health/ready", 503, "media_unavailable");
    expect_problem(&f, "GET", "/api/health/webrtc", 503, "media_unavailable");
    answer = ask(&f, "GET", "/api/health/ready");
    assert_non_null(strstr(answer.body, "\"message\":\"it is away\""));
    http_free(&answer);
    finish(&f);
}

static void not_ready_without_an_address(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, false);
    attach(&f, 0);
    expect_problem(&f, "GET", "/api/health/ready", 503, "no_address");
    finish(&f);
}

static void not_ready_when_every_device_is_lost(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f, false);
    attach(&f, 1);
    f.facts.devices[0].lost = true;
    expect_problem(&f, "GET", "/api/health/ready", 503, "no_address");
    answer = ask(&f, "GET", "/api/health/ready");
    assert_non_null(strstr(answer.body, "down or gone"));
    http_free(&answer);
    f.facts.devices[1] = f.facts.devices[0];
    f.facts.devices[1].lost = false;
    f.facts.n_devices = 2;
    json_decref(expect_data(&f, "/api/health/ready"));
    finish(&f);
}

static void ready_with_a_dataplane_that_has_an_address(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, false);
    attach(&f, 1);
    json_decref(expect_data(&f, "/api/health/ready"));
    finish(&f);
}

static void webrtc_tells_devices_fingerprint_and_backend(void **state)
{
    const char *ip, *public_ip, *kind, *alg, *backend;
    int port, public_port;
    struct fixture f;
    json_t *data;
    (void)state;

    start(&f, false);
    attach(&f, 1);
    data = expect_data(&f, "/api/health/webrtc");
    assert_int_equal(json_unpack(data, "{s:[{s:s, s:i, s:[{s:s, s:s, s:i}]}], s:s, s:s}",
                                 "devices", "kind", &kind, "port", &port, "addresses", "ip",
                                 &ip, "public_ip", &public_ip, "public_port", &public_port,
                                 "dtls_fingerprint_algorithm", &alg, "srtp_backend",
                                 &backend),
                     0);
    assert_string_equal(kind, "veth");
    assert_int_equal(port, 40000);
    assert_string_equal(ip, "10.0.0.2");
    assert_string_equal(public_ip, "192.0.2.1");
    assert_int_equal(public_port, 4000);
    assert_string_equal(alg, "sha-256");
    assert_string_equal(backend, "ipsec_mb");
    json_decref(data);
    finish(&f);
}

static void expect_events(json_t *data, const char *state, const char *reason)
{
    const json_t *events = json_object_get(data, "events");
    const char *why = json_string_value(json_object_get(events, "reason"));

    assert_string_equal(json_string_value(json_object_get(events, "state")), state);
    if (reason == NULL) {
        assert_null(why);
    } else {
        assert_string_equal(why, reason);
    }
}

static void system_tells_totals_also_without_a_dataplane(void **state)
{
    int uptime, rooms, participants, clients, attached;
    const char *version;
    struct fixture f;
    json_t *data;
    (void)state;

    start(&f, false);
    attach(&f, 1);
    f.facts.attached = false;
    data = expect_data(&f, "/api/health/system");
    assert_int_equal(json_unpack(data, "{s:i, s:i, s:i, s:i, s:b, s:{s:s}}", "uptime_ms",
                                 &uptime, "rooms", &rooms, "participants", &participants,
                                 "clients", &clients, "attached", &attached, "versions",
                                 "kcs", &version),
                     0);
    assert_int_equal(uptime, 5000);
    assert_int_equal(rooms, 2);
    assert_int_equal(participants, 3);
    assert_int_equal(clients, 4);
    assert_int_equal(attached, 0);
    assert_string_equal(version, "1.2.3");
    expect_events(data, "off", NULL);
    json_decref(data);

    f.facts.outlets = 2;
    data = expect_data(&f, "/api/health/system");
    expect_events(data, "ok", NULL);
    json_decref(data);

    f.facts.outlets_failing = 1;
    (void)strcpy(f.facts.outlet_reason, "kafka: no broker answers");
    data = expect_data(&f, "/api/health/system");
    expect_events(data, "degraded", "kafka: no broker answers");
    json_decref(data);
    finish(&f);
}

/* ---- routes ---- */

static void unknown_routes_are_not_found(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, true);
    expect_problem(&f, "GET", "/api", 404, "not_found");
    expect_problem(&f, "GET", "/api/", 404, "not_found");
    expect_problem(&f, "GET", "/api/health", 404, "not_found");
    expect_problem(&f, "GET", "/api/health/live/more", 404, "not_found");
    expect_problem(&f, "GET", "/api/meeting/x/nothing", 404, "not_found");
    expect_problem(&f, "PATCH", "/api/meeting/m/participants/u", 404, "not_found");
    finish(&f);
}

static void what_needs_a_token_says_so(void **state)
{
    struct fixture f;
    (void)state;

    start(&f, true);
    expect_problem(&f, "GET", "/api/meeting", 401, "token_missing");
    expect_problem(&f, "GET", "/api/meeting/m1", 401, "token_missing");
    expect_problem(&f, "DELETE", "/api/user/u/data", 401, "token_missing");
    expect_problem(&f, "GET", "/api/meeting/m1/recordings", 401, "token_missing");
    expect_problem(&f, "GET", "/api/meeting/m1/recordings/r/download", 401,
                   "token_missing");
    expect_problem(&f, "POST", "/api/auth/login", 400, "invalid");
    finish(&f);
}

/* What is built of the table has a handler, but for WHIP and WHEP, which are wish.c's. */
static void each_route_that_is_built_has_a_handler(void **state)
{
    const struct schema_route *route;
    (void)state;

    for (size_t i = 0; (route = schema_route_at(i)) != NULL; i++) {
        bool built = (route->flags & SCHEMA_LATER) == 0;
        bool wish = strncmp(route->path, "/api/wh", 7) == 0;

        if (!wish && built != (rest_handler(route) != NULL)) {
            fail_msg("%s %s", route->method, route->path);
        }
    }
}

/* The request with 'headers', which end in a line break each; its answer. */
static struct http_answer ask_with(struct fixture *f, const char *method, const char *path,
                                   const char *headers)
{
    char target[256];

    /* http_ask() writes the method first and the path behind it, and headers follow */
    (void)snprintf(target, sizeof(target), "%s HTTP/1.1\r\n%sx-rest:", path, headers);
    return http_ask(http_connect_port(net_server_port(f->server, 0)), method, target, turn,
                    f->loop);
}

static void the_interface_is_there_as_documents(void **state)
{
    static const struct {
        const char *path, *type, *begins;
    } cases[] = {
        {"/api/openapi.json", "content-type: application/json", "{\"openapi\":\"3.1.0\""},
        {"/api/asyncapi.json", "content-type: application/json", "{\"asyncapi\":\"3.0.0\""},
        {"/docs", "content-type: text/html", "<!doctype html>"},
        {"/docs/style.css", "content-type: text/css", ":root"},
    };
    struct http_answer answer;
    struct fixture f;
    char match[64];
    (void)state;

    start(&f, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *etag;

        answer = ask(&f, "GET", cases[i].path);
        assert_int_equal(answer.status, 200);
        assert_non_null(strstr(answer.head, cases[i].type));
        assert_non_null(strstr(answer.head, "content-security-policy: default-src 'none'"));
        assert_memory_equal(answer.body, cases[i].begins, strlen(cases[i].begins));
        etag = strstr(answer.head, "etag: ");
        assert_non_null(etag);
        (void)snprintf(match, sizeof(match), "if-none-match: %.18s\r\n", etag + 6);
        http_free(&answer);
        answer = ask_with(&f, "GET", cases[i].path, match);
        assert_int_equal(answer.status, 304);
        http_free(&answer);
    }
    expect_problem(&f, "POST", "/docs", 405, "method_not_allowed");
    finish(&f);
}

static void a_route_has_its_share_of_what_an_address_may_ask(void **state)
{
    const struct rest_limits limits = {.per_address_s = 10}; /* 40 at once */
    struct fixture f;
    struct http_answer answer;
    (void)state;

    start(&f, false);
    assert_int_equal(rest_set_limits(f.rest, &limits), 0);
    for (int i = 0; i <= 20; i++) { /* 20 %, of 10 seconds at once */
        answer = ask(&f, "GET", "/api/asyncapi.json");
        assert_int_equal(answer.status, i < 20 ? 200 : 429);
        if (i == 20) {
            assert_true(http_has(&answer, "retry-after: 1"));
            assert_true(http_has(&answer, "ratelimit-limit: 20"));
            assert_true(http_has(&answer, "ratelimit-remaining: 0"));
        }
        http_free(&answer);
    }
    json_decref(expect_data(&f, "/api/health/system")); /* has none */
    answer = ask(&f, "GET", "/api/events/schemas");
    assert_int_equal(answer.status, 200); /* each by itself */
    http_free(&answer);
    finish(&f);
}

static void whip_and_whep_have_shares_too(void **state)
{
    const struct rest_limits limits = {.per_address_s = 10, .per_user_s = 1000};
    struct fixture f;
    struct http_answer answer;
    (void)state;

    start(&f, false);
    assert_int_equal(rest_set_limits(f.rest, &limits), 0);
    for (int i = 0; i <= 20; i++) {
        answer = ask(&f, "PATCH", "/api/whep/demo/some-session");
        assert_int_equal(answer.status == 429, i == 20);
        http_free(&answer);
    }
    answer = ask(&f, "PATCH", "/api/whip/demo/some-session"); /* each by itself */
    assert_int_not_equal(answer.status, 429);
    http_free(&answer);
    answer = ask(&f, "DELETE", "/api/whep/demo/some-session");
    assert_int_not_equal(answer.status, 429);
    http_free(&answer);
    finish(&f);
}

static void wrong_methods_are_told_the_right_ones(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f, true);
    expect_problem(&f, "POST", "/api/health/live", 405, "method_not_allowed");
    answer = ask(&f, "DELETE", "/api/meeting");
    assert_int_equal(answer.status, 405);
    assert_true(http_has(&answer, "allow: GET, HEAD, POST"));
    http_free(&answer);
    finish(&f);
}

/* ---- the page ---- */

static void put_page(const struct fixture *f, const char *text)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/index.html", f->dir);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void page_comes_with_headers_that_keep_it_safe(void **state)
{
    struct http_answer answer;
    struct fixture f;
    char path[64];
    (void)state;

    start(&f, true);
    put_page(&f, "<p>page");
    answer = ask(&f, "GET", "/");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "<p>page");
    assert_true(http_has(&answer, "content-type: text/html; charset=utf-8"));
    assert_true(http_has(&answer, "x-content-type-options: nosniff"));
    assert_true(http_has(&answer, "referrer-policy: no-referrer"));
    assert_true(http_has(&answer, "cache-control: no-cache"));
    assert_non_null(strstr(answer.head, "script-src 'self';"));
    assert_non_null(strstr(answer.head, "frame-ancestors 'none'"));
    http_free(&answer);

    answer = ask(&f, "GET", "/other");
    assert_int_equal(answer.status, 404);
    http_free(&answer);
    answer = ask(&f, "POST", "/");
    assert_int_equal(answer.status, 405);
    http_free(&answer);
    (void)snprintf(path, sizeof(path), "%s/index.html", f.dir);
    assert_int_equal(unlink(path), 0);
    finish(&f);
}

static void without_a_page_the_reason_is_told(void **state)
{
    struct http_answer answer;
    struct fixture f;
    (void)state;

    start(&f, true);
    answer = ask(&f, "GET", "/");
    assert_int_equal(answer.status, 404);
    assert_true(http_has(&answer, "content-type: text/plain; charset=utf-8"));
    assert_non_null(strstr(answer.body, "no index.html"));
    assert_null(strstr(answer.body, f.dir)); /* paths of the host are nobody's business */
    http_free(&answer);
    finish(&f);

    start(&f, false);
    answer = ask(&f, "GET", "/app.js");
    assert_int_equal(answer.status, 404);
    assert_non_null(strstr(answer.body, "web.root is not set"));
    http_free(&answer);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_as_soon_as_the_loop_turns),
        cmocka_unit_test(not_ready_without_a_dataplane_and_says_why),
        cmocka_unit_test(not_ready_without_an_address),
        cmocka_unit_test(not_ready_when_every_device_is_lost),
        cmocka_unit_test(ready_with_a_dataplane_that_has_an_address),
        cmocka_unit_test(webrtc_tells_devices_fingerprint_and_backend),
        cmocka_unit_test(system_tells_totals_also_without_a_dataplane),
        cmocka_unit_test(unknown_routes_are_not_found),
        cmocka_unit_test(what_needs_a_token_says_so),
        cmocka_unit_test(each_route_that_is_built_has_a_handler),
        cmocka_unit_test(the_interface_is_there_as_documents),
        cmocka_unit_test(a_route_has_its_share_of_what_an_address_may_ask),
        cmocka_unit_test(whip_and_whep_have_shares_too),
        cmocka_unit_test(wrong_methods_are_told_the_right_ones),
        cmocka_unit_test(page_comes_with_headers_that_keep_it_safe),
        cmocka_unit_test(without_a_page_the_reason_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
