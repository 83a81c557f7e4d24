/* WHIP at its edges: what is still to come when the service ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "meeting/meeting.h"
#include "metric/metric.h"
#include "net/net.h"
#include "proto/jwt.h"
#include "rest/rest.h"
#include "support/http_ask.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

static const uint8_t secret[] = "0123456789abcdef0123456789abcdef";

struct fixture {
    struct loop *loop;
    struct metric_registry *metrics;
    struct auth *auth;
    struct meeting *meeting;
    struct net_server *server;
    struct rest *rest;
};

static void give_facts(void *user, struct rest_facts *out)
{
    (void)user;
    *out = (struct rest_facts){
        .attached = true, .n_devices = 1, .devices = {{.n_addrs = 1}}};
}

static void on_request(void *user, struct net_req *req)
{
    rest_on_request(((struct fixture *)user)->rest, req);
}

static void on_abort(void *user, struct net_req *req)
{
    rest_on_abort(((struct fixture *)user)->rest, req);
}

/* The store does not answer. */
static void load(void *user, struct room *room)
{
    (void)user;
    (void)room;
}

static void start(struct fixture *f)
{
    static const struct net_listen listen = {.name = "test", .address = "127.0.0.1"};
    static const struct net_handlers handlers = {.on_request = on_request,
                                                 .on_abort = on_abort};
    const struct meeting_conf meeting = {
        .max_rooms = 4, .max_participants = 4, .id_prefix = "abc"};
    const struct meeting_ops ops = {.load = load};
    struct net_conf net = net_conf_default();
    struct rest_conf conf = {
        .version = "1.2.3", .facts = give_facts, .user = f, .web_root = ""};
    char err[NET_ERR_MAX];

    *f = (struct fixture){.loop = NULL};
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(metric_registry_create(&f->metrics), 0);
    assert_int_equal(auth_create(&f->auth, secret, sizeof(secret) - 1), 0);
    assert_int_equal(meeting_create(&f->meeting, &meeting, &ops, f), 0);
    conf.loop = f->loop;
    conf.auth = f->auth;
    conf.meeting = f->meeting;
    assert_int_equal(rest_create(&f->rest, &conf), 0);
    net.listen = &listen;
    net.n_listen = 1;
    if (net_server_create(&f->server, f->loop, f->metrics, &net, &handlers, f, err) != 0) {
        fail_msg("%s", err);
    }
}

static int post(const struct fixture *f)
{
    const struct jwt_claims claims = {.tenant = "default",
                                      .sub = "u",
                                      .role = "presenter",
                                      .meeting_id = "m",
                                      .exp = clock_wall_s() + 60};
    int fd = http_connect_port(net_server_port(f->server, 0));
    char token[1024];

    assert_int_equal(
        jwt_mint(&claims, secret, sizeof(secret) - 1, token, sizeof(token)), 0);
    assert_true(dprintf(fd,
                        "POST /api/whip/m HTTP/1.1\r\nhost: test\r\n"
                        "authorization: Bearer %s\r\ncontent-type: application/sdp\r\n"
                        "content-length: 5\r\n\r\nv=0\r\n",
                        token) > 0);
    return fd;
}

static void posts_that_wait_for_their_meeting_outlive_the_service(void **state)
{
    struct fixture f;
    const struct room *room = NULL;
    int fds[2];
    (void)state;

    start(&f);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = post(&f);
    }
    for (int i = 0; i < 5000 && (room == NULL || i < 200); i++) {
        loop_turn(f.loop);
        room = meeting_find_room(f.meeting, "default", "m");
        (void)usleep(1000);
    }
    assert_non_null(room);
    assert_true(room->loading);
    (void)close(fds[0]); /* one client is gone before */
    net_server_destroy(f.server);
    rest_destroy(f.rest);
    meeting_destroy(f.meeting); /* calls back who waits for the meeting */
    (void)close(fds[1]);
    auth_destroy(f.auth);
    metric_registry_destroy(f.metrics);
    loop_destroy(f.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_that_wait_for_their_meeting_outlive_the_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
