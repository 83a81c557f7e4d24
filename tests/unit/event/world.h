/* A relay on a store of its own, and facts to tell. */
#ifndef TESTS_EVENT_WORLD_H
#define TESTS_EVENT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "desk.h"
#include "event/event.h"
#include "metric/metric.h"
#include "sys/clock.h"
#include "sys/loop.h"

struct world {
    struct desk desk;
    struct metric_registry *metrics;
    struct event_relay *relay;
    char path[128];
};

static inline struct event_kind kind_of(const char *type, const char *json)
{
    const bool chat = strcmp(type, "kcs.chat.message") == 0;

    (void)json;
    return (struct event_kind){chat ? "urn:test:chat" : NULL, chat ? "message" : NULL};
}

static inline void start(struct world *w)
{
    struct event_conf conf = {.node = "n1", .kind_of = kind_of};

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

static inline void finish(struct world *w)
{
    event_relay_stop(w->relay);
    store_close(w->desk.store);
    event_relay_destroy(w->relay);
    metric_registry_destroy(w->metrics);
    desk_teardown(&w->desk);
}

#define TRACE_OF_TEST "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* Each that is told is a part of this. */
static inline struct trace trace_of_test(void)
{
    struct trace trace;

    assert_true(traceparent_parse(TRACE_OF_TEST, &trace));
    return trace;
}

static inline void tell_of(struct world *w, const char *tenant, const char *meeting,
                           const char *type, const char *json)
{
    const struct store_write write = {.what = STORE_EVENT,
                                      .event = {.tenant = tenant,
                                                .meeting = meeting,
                                                .type = type,
                                                .json = json,
                                                .trace = trace_of_test(),
                                                .at_us = clock_wall_us()}};

    assert_int_equal(desk_wait(&w->desk, store_write(w->desk.store, &write, 1, desk_done,
                                                     &w->desk)),
                     0);
}

static inline void tell(struct world *w, const char *type, const char *json)
{
    tell_of(w, "t", "m", type, json);
}

static inline uint32_t n_waiting(struct world *w)
{
    assert_int_equal(desk_wait(&w->desk, store_outbox(w->desk.store, 0, STORE_FIND_MAX,
                                                      desk_done, &w->desk)),
                     0);
    return (uint32_t)w->desk.n_events;
}

static inline void until_empty(struct world *w)
{
    uint64_t until_us = clock_mono_us() + 30000000;

    while (n_waiting(w) > 0 && clock_mono_us() < until_us) {
        loop_turn(w->desk.loop);
    }
    assert_int_equal(n_waiting(w), 0);
}

static inline void until_state(struct world *w, const char *part)
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

#endif
