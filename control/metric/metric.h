/* Registry of what the process counts and measures, rendered as Prometheus text (exposition
 * format 0.0.4). Names are given without the prefix "kcs_", which the registry adds;
 * counters end in "_total", base units are in the name ("_seconds", "_bytes"). No label may
 * name a room or a user.
 *
 * Registering and rendering belong to one thread (the loop). metric_inc(), metric_add() and
 * metric_set() are any thread's, relaxed atomics. */
#ifndef METRIC_METRIC_H
#define METRIC_METRIC_H

#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum { METRIC_MAX_LABELS = 8, METRIC_MAX_BUCKETS = 16 };

struct metric_label {
    const char *name;
    const char *value; /* any UTF-8 */
};

struct metric_registry;
struct metric; /* one series: a family's name and a set of label values */
struct metric_histogram;
struct metric_sink;

int metric_registry_create(struct metric_registry **out);

/* Frees every series too. NULL is a no-op. */
void metric_registry_destroy(struct metric_registry *reg);

/* Registers a series that starts at 0; the registry owns it. 'help' is one sentence.
 * Families render in the order of their first series. All strings are copied.
 *
 * 0; -EINVAL for a name or label Prometheus would refuse, a counter without "_total" (or a
 * gauge with it), or a family registered before with another kind or help; -EEXIST for a
 * series registered before; -ENOMEM. */
int metric_register(struct metric_registry *reg, enum metric_kind kind, const char *name,
                    const char *help, const struct metric_label *labels, size_t n_labels,
                    struct metric **out);

/* Registers a family whose series live elsewhere: at each rendering collect(sink, arg)
 * calls metric_emit() once a series (none is fine). The family takes no other series. The
 * same errors; -EEXIST if it has been registered before. */
int metric_register_collector(struct metric_registry *reg, enum metric_kind kind,
                              const char *name, const char *help,
                              void (*collect)(struct metric_sink *sink, void *arg),
                              void *arg);

/* From a collector only: one sample. A label name that Prometheus would refuse drops it. */
void metric_emit(struct metric_sink *sink, const struct metric_label *labels,
                 size_t n_labels, double value);

/* Registers a histogram: how many observations were at most each of 'bounds' (ascending, at
 * most METRIC_MAX_BUCKETS), how many in all, and their sum. No label may be "le". The same
 * errors as metric_register(). The registry owns it; 'bounds' is copied. */
int metric_register_histogram(struct metric_registry *reg, const char *name,
                              const char *help, const struct metric_label *labels,
                              size_t n_labels, const double *bounds, size_t n_bounds,
                              struct metric_histogram **out);

/* The loop's thread. */
void metric_observe(struct metric_histogram *histogram, double value);

/* Forgets the family 'name' and frees its series: its owner goes away. */
void metric_unregister(struct metric_registry *reg, const char *name);

void metric_inc(struct metric *metric);
void metric_add(struct metric *metric, int64_t n); /* negative for gauges only */
void metric_set(struct metric *metric, int64_t value);
int64_t metric_get(const struct metric *metric);

/* Fills 'out' with the text (the caller frees it) and 'len'; -ENOMEM. Serve it as
 * METRIC_CONTENT_TYPE. */
int metric_render(struct metric_registry *reg, char **out, size_t *len);

#define METRIC_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
