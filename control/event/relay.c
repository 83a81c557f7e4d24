/* Each sink's place in the outbox. A port asks the store for what lies behind its place,
 * hands it to its sink one after the other, and remembers what it has handed over until
 * that is reported; 'done' is the position up to which all has been. What all ports are
 * done with is acknowledged. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/sink.h"
#include "metric/metric.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum {
    TICK_MS = 100,   /* for what a sink had no room for */
    LOOK_TICKS = 50, /* between looks whether there is something that nobody has told of */
    WINDOW = 8192,   /* handed over and not reported, of a sink */
    PAGE = STORE_FIND_MAX, /* asked for at once */
    AHEAD = 32768, /* in hand and not yet handed over, of a sink: more is read again */
    AHEAD_BYTES = 32 << 20, /* of their data */
    STOP_MS = 2000,
    NODE = 64
};

struct flying {
    uint64_t position, at_us;
    bool over;
};

struct report {
    uint64_t position;
    enum event_outcome outcome;
};

struct event_port {
    struct event_relay *relay;
    struct event_sink *sink;
    struct flying ring[WINDOW];
    uint32_t first, n;
    uint64_t read; /* the last position that came */
    uint64_t done;
    struct event *page, **page_end; /* came, and not handed over yet */
    uint32_t n_page;
    size_t n_bytes; /* of their data */
    bool asking;
    uint64_t asked;  /* behind which position */
    bool at_end;     /* nothing lay behind 'read': what is written comes by itself */
    bool away;       /* the sink, when it was last looked at */
    uint64_t looked; /* what 'read' was when it was last looked behind it */
    struct metric *delivered, *dead, *oldest, *works;
    struct report taken[WINDOW];

    /* ---- any thread's ---- */
    pthread_mutex_t lock;
    struct report reports[WINDOW];
    uint32_t n_reports;
    bool broken;
    bool posted;
};

struct event_relay {
    struct event_conf conf;
    struct event_words words;
    char node[NODE];
    struct event_port *ports[EVENT_SINKS];
    size_t n_ports;
    struct loop_timer *timer;
    uint64_t acked, acking; /* up to which position; 0: that is not on its way */
    uint32_t ticks;
    bool stopped;
    struct metric *lost;
};

static void pump(struct event_port *port);
static void look_ahead(struct event_port *port);

/* ---- acknowledged ---- */

static void acknowledge(struct event_relay *relay);

static void on_acked(void *arg, const struct store_result *result)
{
    struct event_relay *relay = arg;

    if (result->err == 0) {
        relay->acked = relay->acking;
    } else if (result->err != -ECANCELED) {
        log_warn("event_ack_failed", LOG_STR("error", strerror(-result->err)));
    }
    relay->acking = 0;
    if (result->err == 0) { /* else at the next tick */
        acknowledge(relay);
    }
}

/* What all sinks have passed. */
static void acknowledge(struct event_relay *relay)
{
    uint64_t done = relay->n_ports > 0 ? UINT64_MAX : 0;
    int err;

    for (size_t i = 0; i < relay->n_ports; i++) {
        done = relay->ports[i]->done < done ? relay->ports[i]->done : done;
    }
    if (done <= relay->acked || relay->acking != 0) {
        return;
    }
    err = store_ack(relay->conf.store, done, on_acked, relay);
    if (err == 0) {
        relay->acking = done;
    } else if (err != -EAGAIN && err != -ECANCELED) {
        log_warn("event_ack_failed", LOG_STR("error", strerror(-err)));
    }
}

/* ---- reported ---- */

static void mark(struct event_port *port, const struct report *report)
{
    uint32_t low = 0;
    uint32_t high = port->n;

    metric_inc(report->outcome == EVENT_DELIVERED ? port->delivered : port->dead);
    while (low < high) { /* positions ascend */
        uint32_t mid = (low + high) / 2;

        if (port->ring[(port->first + mid) % WINDOW].position < report->position) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low < port->n) {
        struct flying *f = &port->ring[(port->first + low) % WINDOW];

        f->over = f->over || f->position == report->position;
    }
}

static void advance(struct event_port *port)
{
    while (port->n > 0 && port->ring[port->first].over) {
        port->done = port->ring[port->first].position;
        port->first = (port->first + 1) % WINDOW;
        port->n--;
    }
}

static void forget_page(struct event_port *port)
{
    struct event *event;

    while ((event = port->page) != NULL) {
        port->page = event->next;
        free(event);
    }
    port->page_end = &port->page;
    port->n_page = 0;
    port->n_bytes = 0;
}

/* Takes what other threads have reported. They do not wait until it is looked at. */
static void collect(struct event_port *port)
{
    uint32_t n;
    bool broken;

    (void)pthread_mutex_lock(&port->lock);
    n = port->n_reports;
    memcpy(port->taken, port->reports, n * sizeof(port->taken[0]));
    port->n_reports = 0;
    broken = port->broken;
    port->broken = false;
    (void)pthread_mutex_unlock(&port->lock);
    for (uint32_t i = 0; i < n; i++) {
        mark(port, &port->taken[i]);
    }
    advance(port);
    if (broken) {
        forget_page(port);
        port->n = 0;
        port->read = port->done;
        port->at_end = false;
    }
}

static void port_free(struct event_port *port)
{
    (void)pthread_mutex_destroy(&port->lock);
    free(port);
}

static void on_news(void *arg)
{
    struct event_port *port = arg;

    (void)pthread_mutex_lock(&port->lock);
    port->posted = false;
    (void)pthread_mutex_unlock(&port->lock);
    if (port->relay == NULL) {
        port_free(port); /* it was destroyed while this was on its way */
    } else if (!port->relay->stopped) {
        pump(port);
    }
}

/* With the lock held. What cannot be posted is seen at the next tick. */
static void tell_loop(struct event_port *port)
{
    if (!port->posted) {
        port->posted = loop_post(port->relay->conf.loop, on_news, port) == 0;
    }
}

void event_port_report(struct event_port *port, uint64_t position,
                       enum event_outcome outcome)
{
    if (position == 0) {
        return;
    }
    (void)pthread_mutex_lock(&port->lock);
    /* There is room for all that is on its way; each is reported once. */
    if (port->n_reports < WINDOW) {
        port->reports[port->n_reports++] = (struct report){position, outcome};
    }
    tell_loop(port);
    (void)pthread_mutex_unlock(&port->lock);
}

void event_port_broken(struct event_port *port)
{
    (void)pthread_mutex_lock(&port->lock);
    port->broken = true;
    tell_loop(port);
    (void)pthread_mutex_unlock(&port->lock);
}

/* ---- read and handed over ---- */

/* One more in hand. False without memory: it comes again. */
static bool take(struct event_port *port, const struct store_event *fact)
{
    struct event *event = event_of(fact, &port->relay->words);

    if (event == NULL) {
        return false;
    }
    port->read = fact->position;
    event->next = NULL;
    *port->page_end = event;
    port->page_end = &event->next;
    port->n_page++;
    port->n_bytes += event->data_len;
    return true;
}

static void on_page(void *arg, const struct store_result *result)
{
    struct event_port *port = arg;

    port->asking = false;
    if (result->err != 0) {
        if (result->err != -ECANCELED) {
            log_warn("event_outbox_unreadable", LOG_STR("error", strerror(-result->err)));
        }
        return;
    }
    if (port->relay->stopped) {
        return;
    }
    if (port->asked != port->read) { /* the sink broke: what is before has to come */
        pump(port);
        return;
    }
    port->at_end = !result->more;
    for (size_t i = 0; i < result->n_events; i++) {
        if (!take(port, &result->events[i])) {
            port->at_end = false;
            break;
        }
    }
    look_ahead(port); /* the store reads on while these are handed over */
    pump(port);
}

static void ask(struct event_port *port)
{
    if (!port->asking && !port->relay->stopped &&
        store_outbox(port->relay->conf.store, port->read, PAGE, on_page, port) == 0) {
        port->asking = true;
        port->asked = port->read;
    }
}

/* The next page is asked for when no more than one is in hand. */
static void look_ahead(struct event_port *port)
{
    if (port->n_page <= PAGE && !port->at_end) {
        ask(port);
    }
}

static void pump(struct event_port *port)
{
    struct event_relay *relay = port->relay;

    collect(port);
    while (port->page != NULL && port->n < WINDOW && !relay->stopped) {
        struct event *event = port->page;
        const struct flying flying = {event->position, event->at_us, false};
        const size_t len = event->data_len;

        /* Before it is sent: it may be reported at once. */
        port->ring[(port->first + port->n++) % WINDOW] = flying;
        port->page = event->next;
        if (port->sink->ops->send(port->sink, event) != 0) {
            port->n--;
            event->next = port->page;
            port->page = event;
            break;
        }
        port->n_page--;
        port->n_bytes -= len;
        if (port->page == NULL) {
            port->page_end = &port->page;
        }
    }
    look_ahead(port);
    acknowledge(relay);
}

static void on_tick(void *arg)
{
    struct event_relay *relay = arg;
    uint64_t now_us = clock_wall_us();
    char why[EVENT_STATE_MAX];

    for (size_t i = 0; i < relay->n_ports; i++) {
        struct event_port *port = relay->ports[i];
        uint64_t at_us = port->n > 0          ? port->ring[port->first].at_us
                         : port->page != NULL ? port->page->at_us
                                              : now_us;

        port->away = !port->sink->ops->works(port->sink, why);
        metric_set(port->works, port->away ? 0 : 1);
        /* While the store is asked for more nothing is in hand, and yet the outbox is not
         * known to be empty. */
        if (port->n > 0 || port->page != NULL || port->at_end) {
            metric_set(port->oldest,
                       at_us < now_us ? (int64_t)((now_us - at_us) / 1000000) : 0);
        }
        if (relay->ticks % LOOK_TICKS == 0) {
            port->at_end = port->at_end && port->read != port->looked;
            port->looked = port->read;
        }
        pump(port);
    }
    relay->ticks++;
}

/* What is written is taken as it is: it need not be read again. Unless it does not follow
 * what has come, or there is no room. */
static void on_event(void *arg, const struct store_event *event)
{
    struct event_relay *relay = arg;

    for (size_t i = 0; i < relay->n_ports; i++) {
        struct event_port *port = relay->ports[i];

        port->at_end = port->at_end && event != NULL && event->position == port->read + 1 &&
                       port->n_page < (port->away ? PAGE : AHEAD) &&
                       port->n_bytes < AHEAD_BYTES && take(port, event);
    }
}

static void on_written(void *arg)
{
    struct event_relay *relay = arg;

    for (size_t i = 0; i < relay->n_ports; i++) {
        pump(relay->ports[i]);
    }
}

/* ---- made ---- */

int event_relay_create(struct event_relay **out, const struct event_conf *conf)
{
    struct event_relay *relay = calloc(1, sizeof(*relay));
    int ret = relay != NULL ? loop_timer_create(conf->loop, &relay->timer, on_tick, relay)
                            : -ENOMEM;

    if (ret == 0) {
        ret = metric_register(conf->metrics, METRIC_COUNTER, "event_quality_lost_total",
                              "Events of quality that no sink had room for.", NULL, 0,
                              &relay->lost);
    }
    if (ret != 0) {
        if (relay != NULL) {
            loop_timer_destroy(relay->timer);
        }
        free(relay);
        return ret;
    }
    relay->conf = *conf;
    (void)snprintf(relay->node, sizeof(relay->node), "%s", conf->node);
    relay->words = (struct event_words){relay->node, conf->chat_text, conf->kind_of};
    loop_timer_start(relay->timer, TICK_MS, TICK_MS);
    store_on_events(conf->store, on_event, on_written, relay);
    *out = relay;
    return 0;
}

static int register_metrics(struct event_port *port, const char *name, size_t i)
{
    struct metric_registry *metrics = port->relay->conf.metrics;
    char number[8];
    const struct metric_label labels[] = {{"sink", name}, {"index", number}};
    int ret;

    (void)snprintf(number, sizeof(number), "%zu", i);
    ret = metric_register(metrics, METRIC_COUNTER, "event_delivered_total",
                          "Lasting events that a sink has taken.", labels, 2,
                          &port->delivered);
    if (ret == 0) {
        ret = metric_register(metrics, METRIC_COUNTER, "event_dead_total",
                              "Lasting events that a sink will never take.", labels, 2,
                              &port->dead);
    }
    if (ret == 0) {
        ret = metric_register(metrics, METRIC_GAUGE, "event_oldest_seconds",
                              "Age of the oldest lasting event that waits for a sink.",
                              labels, 2, &port->oldest);
    }
    if (ret == 0) {
        ret = metric_register(metrics, METRIC_GAUGE, "event_sink_works",
                              "1 while a sink takes events, as far as is known.", labels, 2,
                              &port->works);
    }
    return ret;
}

int event_relay_add(struct event_relay *relay,
                    int (*make)(struct event_sink **out, struct event_port *port,
                                const void *conf, char err[EVENT_ERR_MAX]),
                    const void *conf, char err[EVENT_ERR_MAX])
{
    struct event_port *port = calloc(1, sizeof(*port));
    int ret = -ENOMEM;

    if (port == NULL || relay->n_ports == EVENT_SINKS) {
        free(port);
        (void)snprintf(err, EVENT_ERR_MAX, "events: no memory, or more than %d sinks",
                       EVENT_SINKS);
        return ret;
    }
    port->relay = relay;
    port->page_end = &port->page;
    (void)pthread_mutex_init(&port->lock, NULL);
    ret = make(&port->sink, port, conf, err);
    if (ret == 0) {
        ret = register_metrics(port, port->sink->name, relay->n_ports);
        if (ret != 0) {
            (void)snprintf(err, EVENT_ERR_MAX, "events: %s", strerror(-ret));
            port->sink->ops->destroy(port->sink);
        }
    }
    if (ret != 0) {
        port_free(port);
        return ret;
    }
    relay->ports[relay->n_ports++] = port;
    return 0;
}

/* ---- used ---- */

uint32_t event_relay_n_sinks(const struct event_relay *relay)
{
    return (uint32_t)relay->n_ports;
}

void event_relay_quality(struct event_relay *relay, const char *type, const char *tenant,
                         const char *meeting, const char *json)
{
    const struct store_event fact = {.tenant = tenant,
                                     .meeting = meeting,
                                     .type = type,
                                     .json = json,
                                     .at_us = clock_wall_us()};

    for (size_t i = 0; i < relay->n_ports && !relay->stopped; i++) {
        struct event_sink *sink = relay->ports[i]->sink;
        struct event *event = sink->quality ? event_of(&fact, &relay->words) : NULL;

        if (sink->quality && (event == NULL || sink->ops->send(sink, event) != 0)) {
            free(event);
            metric_inc(relay->lost);
        }
    }
}

uint32_t event_relay_state(const struct event_relay *relay, char state[EVENT_STATE_MAX])
{
    char why[EVENT_STATE_MAX] = "";
    uint32_t n = 0;

    state[0] = '\0';
    for (size_t i = 0; i < relay->n_ports; i++) {
        struct event_sink *sink = relay->ports[i]->sink;

        if (!sink->ops->works(sink, why)) {
            if (n++ == 0) {
                (void)snprintf(state, EVENT_STATE_MAX, "%s: %.200s", sink->name, why);
            }
        }
    }
    return n;
}

void event_relay_stop(struct event_relay *relay)
{
    if (relay == NULL || relay->stopped) {
        return;
    }
    relay->stopped = true;
    loop_timer_stop(relay->timer);
    store_on_events(relay->conf.store, NULL, NULL, NULL);
    for (size_t i = 0; i < relay->n_ports; i++) {
        struct event_port *port = relay->ports[i];

        port->sink->ops->stop(port->sink, STOP_MS);
        collect(port);
    }
    acknowledge(relay);
}

void event_relay_destroy(struct event_relay *relay)
{
    if (relay == NULL) {
        return;
    }
    event_relay_stop(relay);
    for (size_t i = 0; i < relay->n_ports; i++) {
        struct event_port *port = relay->ports[i];

        port->sink->ops->destroy(port->sink);
        forget_page(port);
        port->relay = NULL;
        if (!port->posted) {
            port_free(port);
        }
    }
    loop_timer_destroy(relay->timer);
    free(relay);
}
