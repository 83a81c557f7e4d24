#include "trace/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric/metric.h"
#include "sys/clock.h"
#include "sys/entropy.h"

static const char metric_spans[] = "trace_spans_total";

/* The loop's. */
static struct trace now;
static uint32_t sample_percent;
static bool recording;
static struct metric_registry *registry;

/* Shared with the exporter. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct trace_record *ring; /* TRACE_QUEUE; NULL: nothing is recorded */
    uint32_t first, n, wanted;
    bool awake;
    struct metric *counts[TRACE_N_OUTCOMES];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool is_chosen(void)
{
    uint8_t byte[2];

    if (sample_percent >= 100) {
        return true;
    }
    entropy_fill(byte, sizeof(byte));
    return (uint32_t)(byte[0] << 8 | byte[1]) * 100 < sample_percent * 65536;
}

void trace_begin_at(struct trace_span *span, const struct trace *parent,
                    enum trace_kind kind, uint64_t begun_mono_us)
{
    uint64_t mono_us = clock_mono_us();

    memset(span, 0, sizeof(*span));
    if (parent != NULL && trace_is_set(parent)) {
        span->self = *parent;
        memcpy(span->parent, parent->span, TRACE_SPAN_ID);
    } else if (recording) {
        entropy_fill(span->self.id, TRACE_ID);
        span->self.id[0] |= 1; /* all zero would be none */
        span->self.sampled = is_chosen();
    }
    if (recording && trace_is_set(&span->self)) {
        entropy_fill(span->self.span, TRACE_SPAN_ID);
        span->self.span[0] |= 1;
    }
    if (recording && span->self.sampled) {
        span->kind = kind;
        span->begun_mono_us = begun_mono_us;
        span->begun_us = clock_wall_us() - (mono_us - begun_mono_us);
    }
}

void trace_begin(struct trace_span *span, const struct trace *parent, enum trace_kind kind)
{
    trace_begin_at(span, parent, kind, clock_mono_us());
}

bool trace_is_open(const struct trace_span *span)
{
    return span->begun_mono_us != 0;
}

static void write_record(struct trace_record *out, const struct trace_span *span,
                         const char *name, const char *error, const struct trace_tag *tags,
                         size_t n_tags)
{
    out->self = span->self;
    memcpy(out->parent, span->parent, TRACE_SPAN_ID);
    out->kind = span->kind;
    out->begun_us = span->begun_us;
    out->ended_us = span->begun_us + (clock_mono_us() - span->begun_mono_us);
    (void)snprintf(out->name, sizeof(out->name), "%s", name);
    (void)snprintf(out->error, sizeof(out->error), "%s", error != NULL ? error : "");
    out->n_tags = 0;
    for (size_t i = 0; i < n_tags && out->n_tags < TRACE_TAGS; i++) {
        out->tags[out->n_tags].key = tags[i].key;
        out->tags[out->n_tags].is_number = tags[i].value == NULL;
        out->tags[out->n_tags].number = tags[i].number;
        (void)snprintf(out->tags[out->n_tags].value, TRACE_VALUE, "%s",
                       tags[i].value != NULL ? tags[i].value : "");
        out->n_tags++;
    }
}

void trace_end(struct trace_span *span, const char *name, const char *error,
               const struct trace_tag *tags, size_t n_tags)
{
    if (recording && trace_is_open(span)) {
        (void)pthread_mutex_lock(&queue.lock);
        if (queue.n < TRACE_QUEUE) {
            write_record(&queue.ring[(queue.first + queue.n++) % TRACE_QUEUE], span, name,
                         error, tags, n_tags);
            if (queue.n == queue.wanted) {
                (void)pthread_cond_signal(&queue.changed);
            }
        } else {
            metric_inc(queue.counts[TRACE_DROPPED]);
        }
        (void)pthread_mutex_unlock(&queue.lock);
    }
    memset(span, 0, sizeof(*span));
}

/* ---- what is being worked on ---- */

static void keep(char out[TRACE_WORD], const char *text)
{
    size_t len = text != NULL ? strnlen(text, TRACE_WORD - 1) : 0;

    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
}

void trace_enter(struct trace_scope *scope, const struct trace *trace,
                 const char *request_id, const char *meeting, const char *participant)
{
    scope->before = now;
    now = *trace;
    scope->id[0] = '\0';
    if (trace_is_set(trace)) {
        trace_hex(trace->id, TRACE_ID, scope->id);
    }
    keep(scope->request_id, request_id);
    keep(scope->meeting, meeting);
    keep(scope->participant, participant);
    scope->log = (struct log_scope){.trace_id = scope->id,
                                    .request_id = scope->request_id,
                                    .meeting_id = scope->meeting,
                                    .participant_id = scope->participant};
    scope->log_before = log_enter(&scope->log);
}

void trace_leave(struct trace_scope *scope)
{
    now = scope->before;
    (void)log_enter(scope->log_before);
}

const struct trace *trace_now(void)
{
    return &now;
}

/* ---- recorded ---- */

int trace_open(struct metric_registry *metrics, uint32_t percent)
{
    static const char *const names[] = {"exported", "refused", "dropped"};
    int err = 0;

    for (int i = 0; i < TRACE_N_OUTCOMES && err == 0; i++) {
        const struct metric_label label = {"result", names[i]};

        err = metric_register(metrics, METRIC_COUNTER, metric_spans,
                              "Spans of traces: taken by the receiver, refused by it, and "
                              "dropped for it was away or slow.",
                              &label, 1, &queue.counts[i]);
    }
    if (err == 0) {
        queue.ring = calloc(TRACE_QUEUE, sizeof(*queue.ring));
        err = queue.ring != NULL ? 0 : -ENOMEM;
    }
    if (err != 0) {
        metric_unregister(metrics, metric_spans);
        return err;
    }
    queue.first = queue.n = 0;
    queue.awake = false;
    registry = metrics;
    sample_percent = percent;
    recording = true;
    return 0;
}

void trace_close(void)
{
    if (recording) {
        metric_unregister(registry, metric_spans);
    }
    recording = false;
    free(queue.ring);
    queue.ring = NULL;
}

uint32_t trace_take(struct trace_record *out, uint32_t max, uint32_t wait_ms)
{
    const struct timespec until = clock_deadline(CLOCK_REALTIME, wait_ms);
    uint32_t n;
    int timed_out = 0;

    (void)pthread_mutex_lock(&queue.lock);
    queue.wanted = max;
    while (queue.n < max && !queue.awake && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&queue.changed, &queue.lock, &until);
    }
    n = queue.n < max ? queue.n : max;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = queue.ring[(queue.first + i) % TRACE_QUEUE];
    }
    queue.first = (queue.first + n) % TRACE_QUEUE;
    queue.n -= n;
    (void)pthread_mutex_unlock(&queue.lock);
    return n;
}

void trace_wake(void)
{
    (void)pthread_mutex_lock(&queue.lock);
    queue.awake = true;
    (void)pthread_cond_signal(&queue.changed);
    (void)pthread_mutex_unlock(&queue.lock);
}

void trace_count(enum trace_outcome outcome, uint32_t n)
{
    metric_add(queue.counts[outcome], (int64_t)n);
}
