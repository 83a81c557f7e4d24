/* Where in which trace the work of this process belongs, and what is recorded of it: spans,
 * which a thread of event/otlp.c carries away. Like the log there is one for the process.
 *
 * Nothing is recorded before trace_open(). Even then a trace that came from elsewhere is
 * passed on as it came: to events (ce_traceparent) and log lines.
 *
 * Thread: the loop's, but for trace_take() and trace_wake(). */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include <stddef.h>

#include "sys/log.h"
#include "trace/traceparent.h"

struct metric_registry;

enum {
    TRACE_NAME = 64,
    TRACE_ERROR = 64,
    TRACE_VALUE = 72,
    TRACE_TAGS = 4,
    TRACE_WORD = 161, /* of an id in the log; more is cut off */
    TRACE_QUEUE = 2048 /* spans that wait to be exported */
};

enum trace_kind { TRACE_INTERNAL = 1, TRACE_SERVER = 2 }; /* as OTLP numbers them */

/* What is known of a span beside its time. */
struct trace_tag {
    const char *key;   /* constant */
    const char *value; /* NULL: 'number' */
    int64_t number;
};

/* One that has begun; all zero: none. To be ended once; it may be moved. */
struct trace_span {
    struct trace self; /* what its parts have as their parent */
    uint8_t parent[TRACE_SPAN_ID];
    enum trace_kind kind;
    uint64_t begun_us;      /* wall clock */
    uint64_t begun_mono_us; /* 0: nothing is recorded of it */
};

/* One that has ended. */
struct trace_record {
    struct trace self;
    uint8_t parent[TRACE_SPAN_ID];
    enum trace_kind kind;
    uint64_t begun_us, ended_us;
    char name[TRACE_NAME];
    char error[TRACE_ERROR]; /* "": none */
    unsigned n_tags;
    struct {
        const char *key;
        bool is_number;
        int64_t number;
        char value[TRACE_VALUE];
    } tags[TRACE_TAGS];
};

/* Begins a part of 'parent' (NULL or none: a trace of its own, if spans are recorded). Also
 * if nothing is recorded of it 'self' is what is to be passed on. */
void trace_begin(struct trace_span *span, const struct trace *parent, enum trace_kind kind);

/* The same, of what began earlier: at 'begun_mono_us' of the monotonic clock. */
void trace_begin_at(struct trace_span *span, const struct trace *parent,
                    enum trace_kind kind, uint64_t begun_mono_us);

/* Ends it, and it is none. error  a word that says what went wrong; NULL: nothing did. A
 * none is a no-op. */
void trace_end(struct trace_span *span, const char *name, const char *error,
               const struct trace_tag *tags, size_t n_tags);

/* Whether it has begun and not ended, and is recorded. */
bool trace_is_open(const struct trace_span *span);

/* ---- what is being worked on ---- */

struct trace_scope {
    struct log_scope log;
    const struct log_scope *log_before;
    struct trace before;
    char id[TRACE_ID_TEXT];
    char request_id[TRACE_WORD], meeting[TRACE_WORD], participant[TRACE_WORD];
};

/* Until trace_leave() this is what the loop's thread works for: trace_now() and the ids in
 * the lines of the log. Scopes nest. What is told is copied, and may be NULL for what
 * is not known: what it names may end meanwhile. */
void trace_enter(struct trace_scope *scope, const struct trace *trace,
                 const char *request_id, const char *meeting, const char *participant);
void trace_leave(struct trace_scope *scope);

const struct trace *trace_now(void); /* none outside of every scope */

/* ---- recorded ---- */

/* From now on spans are recorded: of traces that begin here 'percent', of others those that
 * are to be. 0, -ENOMEM, or an error of metric_register(). */
int trace_open(struct metric_registry *metrics, uint32_t percent);

/* No more; what was not taken is gone. */
void trace_close(void);

/* Moves up to 'max' spans to 'out': as soon as there are so many, else what there is after
 * 'wait_ms', or after trace_wake(). The exporter's thread. */
uint32_t trace_take(struct trace_record *out, uint32_t max, uint32_t wait_ms);

/* Nothing is waited for in trace_take() from now on. */
void trace_wake(void);

/* What became of 'n' spans that were taken. The exporter's thread. */
enum trace_outcome { TRACE_EXPORTED, TRACE_REFUSED, TRACE_DROPPED, TRACE_N_OUTCOMES };
void trace_count(enum trace_outcome outcome, uint32_t n);

#endif
