/* Sinks at what they carry to: a file, a server of the test's own. test_kafka.c has the third. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

#define SECRET "a secret of the test"

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
                                  "\"tenant\":\"t\",\"dataschema\":\"urn:test:chat\","
                                  "\"traceparent\":\"" TRACE_OF_TEST "\",\"epoch\":1,"
                                  "\"seq\":1,\"data\":{\"user_id\":\"u\"}}\n"));
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

static void a_part_of_a_line_goes(void **state)
{
    static const char whole[] = "{\"id\":\"before\"}\n";
    struct world w;
    const char *parts[] = {"{\"id\":\"bef", ""};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct event_file_conf conf = {.max_mb = 1, .keep = 1};
        char err[EVENT_ERR_MAX];
        FILE *file;
        char *text;

        start(&w);
        conf.path = w.path;
        file = fopen(w.path, "we");
        assert_non_null(file);
        assert_true(fputs(whole, file) >= 0);
        assert_true(fprintf(file, "%s%*s", parts[i], i == 0 ? 5000 : 0, "") >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(event_relay_add_file(w.relay, &conf, err), 0);
        tell(&w, "kcs.meeting.closed", "{}");
        until_empty(&w);
        text = slurp(w.path);
        assert_int_equal(strncmp(text, whole, strlen(whole)), 0);
        assert_int_equal(strncmp(text + strlen(whole), "{\"specversion\"", 14), 0);
        free(text);
        finish(&w);
    }
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

static void assert_signed(const struct server *server, const void *key, size_t key_len)
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
    (void)HMAC(EVP_sha256(), key, (int)key_len, (unsigned char *)text, strlen(text), mac,
               &n);
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
    assert_non_null(strstr(server.last, "traceparent: " TRACE_OF_TEST "\r\n"));
    assert_signed(&server, SECRET, strlen(SECRET));
    finish(&w);
    server_stop(&server);
}

/* As libraries of Standard Webhooks take it: the bytes that stand behind whsec_. */
static void a_webhook_has_a_secret_in_base64(void **state)
{
    static const char key[] = "\x31\xf2\x90\xf6\xbf\x06\x29\x8a";
    struct world w;
    struct server server;
    char url[64];
    struct event_webhook_conf conf = {url, "whsec_MfKQ9r8GKYo=", "", 3600};
    char err[EVENT_ERR_MAX];
    (void)state;

    server_start(&server);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", server.port);
    start(&w);
    assert_int_equal(event_relay_add_webhook(w.relay, &conf, err), 0);
    tell(&w, "kcs.meeting.closed", "{}");
    until_empty(&w);
    assert_signed(&server, key, 8);
    conf.secret = "whsec_none!";
    assert_int_equal(event_relay_add_webhook(w.relay, &conf, err), -EBADMSG);
    assert_non_null(strstr(err, "not base64"));
    finish(&w);
    server_stop(&server);
}

/* Tokens name tenants and meetings: no name makes a header of its own. */
static void a_webhook_names_an_event_on_one_line(void **state)
{
    struct world w;
    struct server server;
    char url[64];
    char id[128];
    const struct event_webhook_conf conf = {url, SECRET, "", 3600};
    char err[EVENT_ERR_MAX];
    (void)state;

    server_start(&server);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", server.port);
    start(&w);
    assert_int_equal(event_relay_add_webhook(w.relay, &conf, err), 0);
    tell_of(&w, "t\r\nx-theirs: 1", "no m\u00e9\u00e9ting 100%", "kcs.meeting.closed", "{}");
    until_empty(&w);
    assert_null(strstr(server.last, "\nx-theirs"));
    header(&server, "webhook-id", id, sizeof(id));
    assert_string_equal(id, "t%0D%0Ax-theirs: 1/no m%C3%A9%C3%A9ting 100%25/1/1");
    assert_signed(&server, SECRET, strlen(SECRET));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_a_line_an_event_and_is_kept_when_it_has_grown),
        cmocka_unit_test(a_part_of_a_line_goes),
        cmocka_unit_test(a_full_disk_is_waited_for),
        cmocka_unit_test(a_file_that_cannot_be_is_refused),
        cmocka_unit_test(a_webhook_is_signed_and_tried_again),
        cmocka_unit_test(a_webhook_has_a_secret_in_base64),
        cmocka_unit_test(a_webhook_names_an_event_on_one_line),
        cmocka_unit_test(a_webhook_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
