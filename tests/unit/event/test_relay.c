/* The outbox, carried away by sinks of the test's own: in order, each its own pace, again
 * after a failure, acknowledged when the last one has it. */
#include "event/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "desk.h"
#include "metric/metric.h"
#include "sqlite_ask.h"
#include "sys/clock.h"
#include "sys/loop.h"

enum { MAX = 41000 };

struct fake {
    struct event_sink sink;
    struct event_port *port;
    bool away;               /* takes nothing */
    bool lazy;               /* reports when it is told to */
    uint64_t taken[MAX];     /* positions, in order */
    char ids[MAX][64];
    uint32_t n, n_reported;
};

struct world {
    struct desk desk;
    struct metric_registry *metrics;
    struct event_relay *relay;
    struct fake *fakes[2];
};

static int fake_send(struct event_sink *sink, struct event *event)
{
    struct fake *fake = (struct fake *)sink;

    if (fake->away) {
        return -EAGAIN;
    }
    assert_true(fake->n < MAX);
    fake->taken[fake->n] = event->position;
    (void)snprintf(fake->ids[fake->n], sizeof(fake->ids[0]), "%s", event->id);
    fake->n++;
    if (!fake->lazy) {
        event_port_report(fake->port, event->position, EVENT_DELIVERED);
        fake->n_reported = fake->n;
    }
    free(event);
    return 0;
}

static bool fake_works(struct event_sink *sink, char state[EVENT_STATE_MAX])
{
    const struct fake *fake = (struct fake *)sink;

    (void)snprintf(state, EVENT_STATE_MAX, "%s", fake->away ? "it is away" : "");
    return !fake->away;
}

static void fake_stop(struct event_sink *sink, uint32_t patience_ms)
{
    (void)sink;
    (void)patience_ms;
}

static void fake_destroy(struct event_sink *sink)
{
    free(sink);
}

static int make_fake(struct event_sink **out, struct event_port *port, const void *conf,
                     char err[EVENT_ERR_MAX])
{
    static const struct event_sink_ops ops = {fake_send, fake_works, fake_stop,
                                              fake_destroy};
    struct fake *fake = calloc(1, sizeof(*fake));

    (void)err;
    assert_non_null(fake);
    fake->sink = (struct event_sink){&ops, "fake", true};
    fake->port = port;
    *(struct fake **)(uintptr_t)conf = fake;
    *out = &fake->sink;
    return 0;
}

static struct event_kind kind_of(const char *type, const char *json)
{
    (void)type;
    (void)json;
    return (struct event_kind){NULL, NULL};
}

static void open_relay(struct world *w, uint32_t n_fakes)
{
    char err[EVENT_ERR_MAX];
    struct event_conf conf = {.loop = w->desk.loop,
                              .store = w->desk.store,
                              .node = "n1",
                              .kind_of = kind_of};

    assert_int_equal(metric_registry_create(&w->metrics), 0);
    conf.metrics = w->metrics;
    assert_int_equal(event_relay_create(&w->relay, &conf), 0);
    for (uint32_t i = 0; i < n_fakes; i++) {
        assert_int_equal(event_relay_add(w->relay, make_fake, &w->fakes[i], err), 0);
    }
    assert_int_equal(event_relay_n_sinks(w->relay), n_fakes);
}

static void close_relay(struct world *w)
{
    event_relay_stop(w->relay);
    store_close(w->desk.store);
    event_relay_destroy(w->relay);
    metric_registry_destroy(w->metrics);
}

static void start(struct world *w, uint32_t n_fakes)
{
    memset(w, 0, sizeof(*w));
    desk_setup(&w->desk);
    desk_open(&w->desk, &store_sqlite, NULL);
    open_relay(w, n_fakes);
}

static void finish(struct world *w)
{
    close_relay(w);
    desk_teardown(&w->desk);
}

static uint64_t facts_age_us; /* of those that are told */

/* 'n' more facts, of three meetings in turn. */
static void tell(struct world *w, uint32_t n)
{
    static const char *const meetings[] = {"m0", "m1", "m2"};
    struct store_write writes[STORE_WRITES_MAX];

    for (uint32_t i = 0; i < n;) {
        const char *meeting = meetings[i / STORE_WRITES_MAX % 3];
        size_t k = 0;

        for (; k < STORE_WRITES_MAX && i < n; k++, i++) {
            writes[k] = (struct store_write){.what = STORE_EVENT};
            writes[k].event = (struct store_event){.tenant = "t",
                                                   .meeting = meeting,
                                                   .type = "kcs.meeting.other",
                                                   .json = "{\"a\":1}",
                                                   .at_us = clock_wall_us() - facts_age_us};
        }
        assert_int_equal(
            desk_wait(&w->desk, store_write(w->desk.store, writes, k, desk_done, &w->desk)),
            0);
    }
}

static uint32_t n_waiting(struct world *w)
{
    assert_int_equal(desk_wait(&w->desk, store_outbox(w->desk.store, 0, STORE_FIND_MAX,
                                                      desk_done, &w->desk)),
                     0);
    return (uint32_t)w->desk.n_events;
}

/* Turns the loop until a sink has taken 'n'. */
static void until_taken(struct world *w, const struct fake *fake, uint32_t n)
{
    uint64_t until_us = clock_mono_us() + 20000000;

    while (fake->n < n && clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
    }
    assert_int_equal(fake->n, n);
}

static void until_waiting(struct world *w, uint32_t n)
{
    uint64_t until_us = clock_mono_us() + 20000000;

    while (n_waiting(w) != n && clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
    }
    assert_int_equal(n_waiting(w), n);
}

static void assert_ascending(const struct fake *fake, uint32_t from, uint32_t to)
{
    for (uint32_t i = from + 1; i < to; i++) {
        assert_true(fake->taken[i] > fake->taken[i - 1]);
    }
}

static void facts_leave_in_order_and_are_acknowledged(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    tell(&w, 20000); /* many windows */
    until_taken(&w, w.fakes[0], 20000);
    assert_ascending(w.fakes[0], 0, 20000);
    assert_string_equal(w.fakes[0]->ids[0], "t/m0/1/1");
    until_waiting(&w, 0);
    finish(&w);
}

static void what_is_not_reported_is_not_acknowledged(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    w.fakes[0]->lazy = true;
    tell(&w, 10);
    until_taken(&w, w.fakes[0], 10);
    /* the second to the last: nothing may pass the first */
    for (uint32_t i = 1; i < 10; i++) {
        event_port_report(w.fakes[0]->port, w.fakes[0]->taken[i], EVENT_DELIVERED);
    }
    for (int i = 0; i < 20; i++) {
        loop_turn(w.desk.loop);
    }
    assert_int_equal(n_waiting(&w), 10);
    event_port_report(w.fakes[0]->port, w.fakes[0]->taken[0], EVENT_DEAD);
    until_waiting(&w, 0);

    /* after a restart nothing comes again but what was not acknowledged */
    tell(&w, 3);
    until_taken(&w, w.fakes[0], 13);
    close_relay(&w);
    desk_close(&w.desk);
    desk_open(&w.desk, &store_sqlite, NULL);
    open_relay(&w, 1);
    until_taken(&w, w.fakes[0], 3);
    until_waiting(&w, 0);
    finish(&w);
}

static void as_much_as_is_reported_at_once_is_acknowledged(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    w.fakes[0]->lazy = true;
    tell(&w, 3000); /* more than the store takes in one request */
    until_taken(&w, w.fakes[0], 3000);
    for (uint32_t i = 0; i < 3000; i++) {
        event_port_report(w.fakes[0]->port, w.fakes[0]->taken[i], EVENT_DELIVERED);
    }
    until_waiting(&w, 0);
    finish(&w);
}

static void a_sink_that_is_away_holds_up_no_other(void **state)
{
    struct world w;
    char text[EVENT_STATE_MAX];
    (void)state;

    start(&w, 2);
    w.fakes[1]->away = true;
    tell(&w, 6000); /* more than a window */
    until_taken(&w, w.fakes[0], 6000);
    assert_int_equal(n_waiting(&w), STORE_FIND_MAX);
    assert_int_equal(event_relay_state(w.relay, text), 1);
    assert_string_equal(text, "fake: it is away");
    w.fakes[1]->away = false;
    assert_int_equal(event_relay_state(w.relay, text), 0);
    until_taken(&w, w.fakes[1], 6000);
    assert_ascending(w.fakes[1], 0, 6000);
    until_waiting(&w, 0);
    finish(&w);
}

static void what_a_broken_sink_has_lost_comes_again(void **state)
{
    struct world w;
    struct fake *fake;
    uint64_t third;
    (void)state;

    start(&w, 2);
    fake = w.fakes[0];
    fake->lazy = true;
    tell(&w, 100);
    until_taken(&w, fake, 100);
    third = fake->taken[2];
    event_port_report(fake->port, fake->taken[0], EVENT_DELIVERED);
    event_port_report(fake->port, fake->taken[1], EVENT_DELIVERED);
    event_port_report(fake->port, fake->taken[50], EVENT_DELIVERED);
    event_port_broken(fake->port);
    fake->lazy = false;
    until_taken(&w, fake, 198); /* the third and all behind it */
    assert_int_equal(fake->taken[100], third);
    assert_ascending(fake, 100, 198);
    until_waiting(&w, 0);
    finish(&w);
}

/* Pages are of 500: the next is asked for as soon as one is handed over. */
static void a_page_that_was_asked_for_before_a_sink_broke_is_not_taken(void **state)
{
    struct world w;
    struct fake *fake;
    (void)state;

    memset(&w, 0, sizeof(w));
    desk_setup(&w.desk);
    desk_open(&w.desk, &store_sqlite, NULL);
    tell(&w, 1500); /* before there is a relay that takes them one by one */
    open_relay(&w, 1);
    fake = w.fakes[0];
    fake->lazy = true;
    while (fake->n < 500) {
        loop_turn(w.desk.loop);
    }
    fake->lazy = false;
    event_port_broken(fake->port);
    until_waiting(&w, 0);
    finish(&w);
}

static void quality_goes_beside_the_outbox_and_is_counted_when_lost(void **state)
{
    struct world w;
    char *text;
    size_t len;
    (void)state;

    start(&w, 1);
    event_relay_quality(w.relay, "kcs.quality.stream", "t", "m", "{}");
    assert_int_equal(w.fakes[0]->n, 1);
    assert_int_equal(w.fakes[0]->taken[0], 0);
    event_relay_quality(w.relay, "kcs.quality.stream", "t", "m", "{}");
    assert_string_not_equal(w.fakes[0]->ids[0], w.fakes[0]->ids[1]);
    w.fakes[0]->away = true;
    event_relay_quality(w.relay, "kcs.quality.stream", "t", "m", "{}");
    assert_int_equal(metric_render(w.metrics, &text, &len), 0);
    assert_non_null(strstr(text, "\nkcs_event_quality_lost_total 1\n"));
    assert_non_null(strstr(text, "kcs_event_delivered_total{sink=\"fake\",index=\"0\"} 0\n"));
    free(text);
    finish(&w);
}

static uint32_t n_looks;

static bool count_look(void *data, struct store_req *req)
{
    n_looks += req->op == OP_OUTBOX;
    return store_sqlite.run(data, req);
}

/* Turns the loop for a while. */
static void idle(struct world *w, uint32_t ms)
{
    uint64_t until_us = clock_mono_us() + ms * UINT64_C(1000);

    while (clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
        (void)usleep(1000);
    }
}

static void who_has_nothing_to_do_does_not_ask_and_is_woken(void **state)
{
    struct store_backend counting = store_sqlite;
    struct world w;
    uint32_t before;
    (void)state;

    counting.run = count_look;
    memset(&w, 0, sizeof(w));
    desk_setup(&w.desk);
    desk_open(&w.desk, &counting, NULL);
    open_relay(&w, 2);
    tell(&w, 100);
    until_taken(&w, w.fakes[1], 100);
    idle(&w, 300);
    before = n_looks;
    assert_in_range(before, 2, 20); /* they are counted */
    idle(&w, 1000);
    assert_in_range(n_looks - before, 0, 2); /* the seldom look of each */
    for (uint32_t i = 1; i <= 20; i++) {     /* long before that */
        uint64_t since_us = clock_mono_us();

        tell(&w, 1);
        until_taken(&w, w.fakes[0], 100 + i);
        assert_in_range(clock_mono_us() - since_us, 0, 4000000);
    }
    finish(&w);
}

/* Longer than from one tick of the relay to the next. */
static bool look_slowly(void *data, struct store_req *req)
{
    if (req->op == OP_OUTBOX) {
        (void)usleep(250000);
    }
    return store_sqlite.run(data, req);
}

static bool says_oldest(struct world *w, const char *s)
{
    char line[96];
    char *text;
    size_t len;
    bool says;

    (void)snprintf(line, sizeof(line),
                   "\nkcs_event_oldest_seconds{sink=\"fake\",index=\"0\"} %s", s);
    assert_int_equal(metric_render(w->metrics, &text, &len), 0);
    says = strstr(text, line) != NULL;
    free(text);
    return says;
}

/* While the store is asked for more the outbox is not empty: an outage is not over then. */
static void what_is_not_read_yet_waits_too(void **state)
{
    struct store_backend slow = store_sqlite;
    struct world w;
    (void)state;

    slow.run = look_slowly;
    memset(&w, 0, sizeof(w));
    desk_setup(&w.desk);
    desk_open(&w.desk, &store_sqlite, NULL);
    facts_age_us = UINT64_C(3600000000);
    tell(&w, 2 * STORE_FIND_MAX + 1);
    facts_age_us = 0;
    desk_close(&w.desk);
    desk_open(&w.desk, &slow, NULL);
    open_relay(&w, 1);
    w.fakes[0]->lazy = true;
    for (uint32_t page = 1; page <= 2; page++) {
        until_taken(&w, w.fakes[0], page * STORE_FIND_MAX);
        while (!says_oldest(&w, "36")) { /* a tick: it has them in hand */
            idle(&w, 1);
        }
        for (uint32_t i = (page - 1) * STORE_FIND_MAX; i < page * STORE_FIND_MAX; i++) {
            event_port_report(w.fakes[0]->port, w.fakes[0]->taken[i], EVENT_DELIVERED);
        }
        while (w.fakes[0]->n == page * STORE_FIND_MAX) { /* the next ones are asked for */
            assert_true(says_oldest(&w, "36"));
            idle(&w, 1);
        }
    }
    w.fakes[0]->lazy = false;
    event_port_report(w.fakes[0]->port, w.fakes[0]->taken[2 * STORE_FIND_MAX],
                      EVENT_DELIVERED);
    idle(&w, 800);
    assert_true(says_oldest(&w, "0\n"));
    finish(&w);
}

static atomic_uint n_asked; /* pages of the outbox */

static bool count_pages(void *data, struct store_req *req)
{
    (void)atomic_fetch_add(&n_asked, req->op == OP_OUTBOX);
    return store_sqlite.run(data, req);
}

/* What is written is at hand: the store is not asked for it. */
static void what_is_written_is_not_read_again(void **state)
{
    struct store_backend counted = store_sqlite;
    struct world w;
    unsigned before;
    (void)state;

    counted.run = count_pages;
    memset(&w, 0, sizeof(w));
    desk_setup(&w.desk);
    desk_open(&w.desk, &counted, NULL);
    open_relay(&w, 1);
    tell(&w, 1);
    until_taken(&w, w.fakes[0], 1);
    idle(&w, 300); /* it knows that there is no more */
    before = atomic_load(&n_asked);
    for (uint32_t i = 1; i <= 100; i++) {
        tell(&w, 10);
        until_taken(&w, w.fakes[0], 1 + 10 * i);
    }
    /* it looks whether others have written only if nothing came for five seconds */
    assert_int_equal(atomic_load(&n_asked), before);
    assert_ascending(w.fakes[0], 0, 1001);
    until_waiting(&w, 0);
    finish(&w);
}

/* More than is kept at hand is read later. */
static void what_there_is_no_room_for_is_read_later(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    w.fakes[0]->away = true;
    tell(&w, 40000);
    w.fakes[0]->away = false;
    until_taken(&w, w.fakes[0], 40000);
    assert_ascending(w.fakes[0], 0, 40000);
    until_waiting(&w, 0);
    finish(&w);
}

static void what_another_process_has_written_comes_in_its_place(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    tell(&w, 2);
    until_taken(&w, w.fakes[0], 2);
    idle(&w, 300);
    (void)ask_sql(w.desk.path,
                  "INSERT INTO event (tenant, meeting, epoch, seq, type, ref, at_us, doc)"
                  " VALUES ('t', 'other', 1, 1, 'kcs.meeting.other', '', 1, '{}')"
                  " RETURNING position");
    tell(&w, 1);
    until_taken(&w, w.fakes[0], 4);
    assert_string_equal(w.fakes[0]->ids[2], "t/other/1/1");
    assert_ascending(w.fakes[0], 0, 4);
    until_waiting(&w, 0);
    finish(&w);
}

static void news_on_its_way_outlives_the_relay(void **state)
{
    struct world w;
    (void)state;

    start(&w, 1);
    w.fakes[0]->lazy = true;
    tell(&w, 1);
    until_taken(&w, w.fakes[0], 1);
    event_port_report(w.fakes[0]->port, w.fakes[0]->taken[0], EVENT_DELIVERED);
    finish(&w); /* the loop has not come to it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_leave_in_order_and_are_acknowledged),
        cmocka_unit_test(what_is_not_reported_is_not_acknowledged),
        cmocka_unit_test(as_much_as_is_reported_at_once_is_acknowledged),
        cmocka_unit_test(a_sink_that_is_away_holds_up_no_other),
        cmocka_unit_test(what_a_broken_sink_has_lost_comes_again),
        cmocka_unit_test(a_page_that_was_asked_for_before_a_sink_broke_is_not_taken),
        cmocka_unit_test(quality_goes_beside_the_outbox_and_is_counted_when_lost),
        cmocka_unit_test(who_has_nothing_to_do_does_not_ask_and_is_woken),
        cmocka_unit_test(what_is_not_read_yet_waits_too),
        cmocka_unit_test(what_is_written_is_not_read_again),
        cmocka_unit_test(what_there_is_no_room_for_is_read_later),
        cmocka_unit_test(what_another_process_has_written_comes_in_its_place),
        cmocka_unit_test(news_on_its_way_outlives_the_relay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
