#include "metric/metric.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metric {
    struct metric *next;
    char *labels; /* rendered: {a="b"} or "" */
    _Atomic int64_t value;
};

struct metric_histogram {
    struct metric_histogram *next;
    char *labels; /* rendered, without braces: a="b" or "" */
    size_t n_bounds;
    double bounds[METRIC_MAX_BUCKETS];
    uint64_t counts[METRIC_MAX_BUCKETS + 1]; /* between the bounds; the last above all */
    double sum;
};

struct family {
    struct family *next;
    char *name;
    char *help; /* escaped */
    enum metric_kind kind;
    struct metric *first;
    struct metric **last;
    struct metric_histogram *histograms; /* of that kind; the newest first */
    void (*collect)(struct metric_sink *sink, void *arg);
    void *arg;
};

struct metric_registry {
    struct family *first;
    struct family **last;
};

struct metric_sink {
    FILE *file;
    const struct family *family;
};

/* [a-zA-Z_][a-zA-Z0-9_]*; colons are for recording rules. */
static bool name_ok(const char *s)
{
    if (s == NULL || s[0] == '\0' || (s[0] >= '0' && s[0] <= '9')) {
        return false;
    }
    for (; *s != '\0'; s++) {
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
              (*s >= '0' && *s <= '9') || *s == '_')) {
            return false;
        }
    }
    return true;
}

static bool labels_ok(const struct metric_label *labels, size_t n)
{
    if (n > METRIC_MAX_LABELS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!name_ok(labels[i].name) || strncmp(labels[i].name, "__", 2) == 0 ||
            labels[i].value == NULL) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(labels[i].name, labels[k].name) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* The escapes of the format: backslash and newline, in label values also the quote. */
static void put_escaped(FILE *file, const char *s, bool quote)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\') {
            fputs("\\\\", file);
        } else if (*s == '\n') {
            fputs("\\n", file);
        } else if (*s == '"' && quote) {
            fputs("\\\"", file);
        } else {
            fputc(*s, file);
        }
    }
}

static void put_labels(FILE *file, const struct metric_label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fprintf(file, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
        put_escaped(file, labels[i].value, true);
        fputc('"', file);
    }
    if (n > 0) {
        fputc('}', file);
    }
}

/* Ends what open_memstream() began; '*text' is NULL if memory ran out on the way. */
static void close_text(FILE *file, char **text)
{
    bool bad = ferror(file) != 0;

    if (fclose(file) != 0 || bad) {
        free(*text);
        *text = NULL;
    }
}

static char *labels_text(const struct metric_label *labels, size_t n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (file == NULL) {
        return NULL;
    }
    put_labels(file, labels, n);
    close_text(file, &text);
    return text;
}

static char *help_text(const char *help)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (file == NULL) {
        return NULL;
    }
    put_escaped(file, help, false);
    close_text(file, &text);
    return text;
}

static void metric_free(struct metric *metric)
{
    if (metric != NULL) {
        free(metric->labels);
        free(metric);
    }
}

static void histogram_free(struct metric_histogram *histogram)
{
    if (histogram != NULL) {
        free(histogram->labels);
        free(histogram);
    }
}

static void family_free(struct family *family)
{
    if (family == NULL) {
        return;
    }
    while (family->histograms != NULL) {
        struct metric_histogram *histogram = family->histograms;

        family->histograms = histogram->next;
        histogram_free(histogram);
    }
    while (family->first != NULL) {
        struct metric *metric = family->first;

        family->first = metric->next;
        metric_free(metric);
    }
    free(family->name);
    free(family->help);
    free(family);
}

int metric_registry_create(struct metric_registry **out)
{
    struct metric_registry *reg = calloc(1, sizeof(*reg));

    if (reg == NULL) {
        return -ENOMEM;
    }
    reg->last = &reg->first;
    *out = reg;
    return 0;
}

void metric_registry_destroy(struct metric_registry *reg)
{
    if (reg == NULL) {
        return;
    }
    while (reg->first != NULL) {
        struct family *family = reg->first;

        reg->first = family->next;
        family_free(family);
    }
    free(reg);
}

static struct family *family_find(const struct metric_registry *reg, const char *name)
{
    for (struct family *f = reg->first; f != NULL; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }
    return NULL;
}

/* Fills 'out' with a new family, not yet in the registry. */
static int family_make(enum metric_kind kind, const char *name, const char *help,
                       struct family **out)
{
    size_t len = name != NULL ? strlen(name) : 0;
    bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
    struct family *family;

    if (name == NULL || !name_ok(name) || help == NULL ||
        total != (kind == METRIC_COUNTER)) {
        return -EINVAL;
    }
    family = calloc(1, sizeof(*family));
    if (family == NULL) {
        return -ENOMEM;
    }
    family->kind = kind;
    family->last = &family->first;
    family->name = strdup(name);
    family->help = help_text(help);
    if (family->name == NULL || family->help == NULL) {
        family_free(family);
        return -ENOMEM;
    }
    *out = family;
    return 0;
}

static void family_link(struct metric_registry *reg, struct family *family)
{
    *reg->last = family;
    reg->last = &family->next;
}

/* The family 'name' if it agrees with kind and help, or a new one ('made'). */
static int family_get(struct metric_registry *reg, enum metric_kind kind, const char *name,
                      const char *help, struct family **out, bool *made)
{
    struct family *family = name_ok(name) ? family_find(reg, name) : NULL;
    char *text;
    bool same;

    *made = family == NULL;
    if (family == NULL) {
        return family_make(kind, name, help, out);
    }
    text = help_text(help);
    if (text == NULL) {
        return -ENOMEM;
    }
    same =
        family->kind == kind && family->collect == NULL && strcmp(text, family->help) == 0;
    free(text);
    *out = family;
    return same ? 0 : -EINVAL;
}

int metric_register(struct metric_registry *reg, enum metric_kind kind, const char *name,
                    const char *help, const struct metric_label *labels, size_t n_labels,
                    struct metric **out)
{
    struct metric *metric = NULL;
    struct family *family = NULL;
    bool made = false;
    int err;

    if (!labels_ok(labels, n_labels) || help == NULL || kind == METRIC_HISTOGRAM) {
        return -EINVAL;
    }
    err = family_get(reg, kind, name, help, &family, &made);
    if (err != 0) {
        return err;
    }
    metric = calloc(1, sizeof(*metric));
    if (metric == NULL || (metric->labels = labels_text(labels, n_labels)) == NULL) {
        err = -ENOMEM;
        goto out;
    }
    for (const struct metric *m = family->first; m != NULL; m = m->next) {
        if (strcmp(m->labels, metric->labels) == 0) {
            err = -EEXIST;
            goto out;
        }
    }
    *family->last = metric;
    family->last = &metric->next;
    *out = metric;
    metric = NULL;
    if (made) {
        family_link(reg, family);
        made = false;
    }
out:
    metric_free(metric);
    if (made) {
        family_free(family);
    }
    return err;
}

int metric_register_collector(struct metric_registry *reg, enum metric_kind kind,
                              const char *name, const char *help,
                              void (*collect)(struct metric_sink *sink, void *arg),
                              void *arg)
{
    struct family *family;
    int err;

    if (name_ok(name) && family_find(reg, name) != NULL) {
        return -EEXIST;
    }
    err = family_make(kind, name, help, &family);
    if (err != 0) {
        return err;
    }
    family->collect = collect;
    family->arg = arg;
    family_link(reg, family);
    return 0;
}

/* Without the braces, so that "le" can stand beside them. */
static char *bare_labels(const struct metric_label *labels, size_t n)
{
    char *text = labels_text(labels, n);
    size_t len = text != NULL ? strlen(text) : 0;

    if (len > 0) {
        memmove(text, text + 1, len - 2);
        text[len - 2] = '\0';
    }
    return text;
}

static bool bounds_ok(const double *bounds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1])) {
            return false;
        }
    }
    return n > 0 && n <= METRIC_MAX_BUCKETS;
}

static bool has_le(const struct metric_label *labels, size_t n)
{
    bool has = false;

    for (size_t i = 0; i < n; i++) {
        has = has || strcmp(labels[i].name, "le") == 0;
    }
    return has;
}

int metric_register_histogram(struct metric_registry *reg, const char *name,
                              const char *help, const struct metric_label *labels,
                              size_t n_labels, const double *bounds, size_t n_bounds,
                              struct metric_histogram **out)
{
    struct metric_histogram *histogram = NULL;
    struct family *family = NULL;
    bool made = false;
    int err;

    if (!labels_ok(labels, n_labels) || has_le(labels, n_labels) || help == NULL ||
        !bounds_ok(bounds, n_bounds)) {
        return -EINVAL;
    }
    err = family_get(reg, METRIC_HISTOGRAM, name, help, &family, &made);
    if (err != 0) {
        return err;
    }
    histogram = calloc(1, sizeof(*histogram));
    if (histogram == NULL ||
        (histogram->labels = bare_labels(labels, n_labels)) == NULL) {
        err = -ENOMEM;
        goto out;
    }
    for (const struct metric_histogram *h = family->histograms; h != NULL; h = h->next) {
        if (strcmp(h->labels, histogram->labels) == 0) {
            err = -EEXIST;
            goto out;
        }
    }
    histogram->n_bounds = n_bounds;
    memcpy(histogram->bounds, bounds, n_bounds * sizeof(*bounds));
    histogram->next = family->histograms;
    family->histograms = histogram;
    *out = histogram;
    histogram = NULL;
    if (made) {
        family_link(reg, family);
        made = false;
    }
out:
    histogram_free(histogram);
    if (made) {
        family_free(family);
    }
    return err;
}

void metric_observe(struct metric_histogram *histogram, double value)
{
    size_t i = 0;

    while (i < histogram->n_bounds && value > histogram->bounds[i]) {
        i++;
    }
    histogram->counts[i]++;
    histogram->sum += value;
}

void metric_unregister(struct metric_registry *reg, const char *name)
{
    struct family **at = &reg->first;

    while (*at != NULL) {
        struct family *family = *at;

        if (strcmp(family->name, name) == 0) {
            *at = family->next;
            if (reg->last == &family->next) {
                reg->last = at;
            }
            family_free(family);
            return;
        }
        at = &family->next;
    }
}

static void put_value(FILE *file, double value)
{
    if (isnan(value)) {
        fputs("NaN\n", file);
    } else if (isinf(value)) {
        fputs(value > 0 ? "+Inf\n" : "-Inf\n", file);
    } else if (fabs(value) < 1e15 && value == (double)(int64_t)value) {
        fprintf(file, "%.0f\n", value);
    } else {
        fprintf(file, "%.17g\n", value);
    }
}

static void put_histogram(FILE *file, const char *name, const struct metric_histogram *h)
{
    const char *comma = h->labels[0] != '\0' ? "," : "";
    const char *open = h->labels[0] != '\0' ? "{" : "";
    const char *close = h->labels[0] != '\0' ? "}" : "";
    uint64_t n = 0;

    for (size_t i = 0; i < h->n_bounds; i++) {
        n += h->counts[i];
        fprintf(file, "kcs_%s_bucket{%s%sle=\"%g\"} %llu\n", name, h->labels, comma,
                h->bounds[i], (unsigned long long)n);
    }
    n += h->counts[h->n_bounds];
    fprintf(file, "kcs_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, h->labels, comma,
            (unsigned long long)n);
    fprintf(file, "kcs_%s_sum%s%s%s ", name, open, h->labels, close);
    put_value(file, h->sum);
    fprintf(file, "kcs_%s_count%s%s%s %llu\n", name, open, h->labels, close,
            (unsigned long long)n);
}

void metric_emit(struct metric_sink *sink, const struct metric_label *labels,
                 size_t n_labels, double value)
{
    if (!labels_ok(labels, n_labels)) {
        return;
    }
    fprintf(sink->file, "kcs_%s", sink->family->name);
    put_labels(sink->file, labels, n_labels);
    fputc(' ', sink->file);
    put_value(sink->file, value);
}

int metric_render(struct metric_registry *reg, char **out, size_t *len)
{
    static const char *const kinds[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_HISTOGRAM] = "histogram"};
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);

    if (file == NULL) {
        return -ENOMEM;
    }
    for (const struct family *f = reg->first; f != NULL; f = f->next) {
        struct metric_sink sink = {.file = file, .family = f};

        fprintf(file, "# HELP kcs_%s %s\n# TYPE kcs_%s %s\n", f->name, f->help, f->name,
                kinds[f->kind]);
        for (const struct metric *m = f->first; m != NULL; m = m->next) {
            fprintf(file, "kcs_%s%s %lld\n", f->name, m->labels, (long long)metric_get(m));
        }
        for (const struct metric_histogram *h = f->histograms; h != NULL; h = h->next) {
            put_histogram(file, f->name, h);
        }
        if (f->collect != NULL) {
            f->collect(&sink, f->arg);
        }
    }
    close_text(file, &text);
    if (text == NULL) {
        return -ENOMEM;
    }
    *out = text;
    *len = n;
    return 0;
}

void metric_inc(struct metric *metric)
{
    metric_add(metric, 1);
}

void metric_add(struct metric *metric, int64_t n)
{
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

int64_t metric_get(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}
