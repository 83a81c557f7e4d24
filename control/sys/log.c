#include "sys/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/utf8.h"

enum {
    LOG_WINDOW_US = 1000000,
    LOG_TAIL = 64,
    LOG_MEETING = 161,
    LOG_FIELDS = 28, /* of a line, besides its scope's */
    LOG_SCOPE = 4
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static int log_level_now = LOG_LEVEL_INFO;
static int log_fd = STDERR_FILENO;
static _Thread_local const struct log_scope *scope_now;
static char meeting_now[LOG_MEETING];
static pthread_mutex_t site_lock = PTHREAD_MUTEX_INITIALIZER; /* of every log_site */

/* A bounded line; 'full' once something did not fit. */
struct line {
    char *p;
    size_t len;
    size_t cap;
    bool full;
};

static void put(struct line *line, const char *s, size_t n)
{
    if (line->full || n > line->cap - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->p + line->len, s, n);
    line->len += n;
}

static void put_str(struct line *line, const char *s)
{
    put(line, s, strlen(s));
}

/* RFC 8259, section 7; bytes that are not UTF-8 become U+FFFD. */
static void put_json(struct line *line, const char *s, size_t len)
{
    const uint8_t *u = (const uint8_t *)s;
    size_t i = 0;

    put(line, "\"", 1);
    while (i < len && !line->full) {
        size_t n = utf8_char_len(u + i, len - i);
        char esc[8];

        if (n == 0) {
            put(line, "\\ufffd", 6);
            n = 1;
        } else if (u[i] == '"' || u[i] == '\\') {
            esc[0] = '\\';
            esc[1] = s[i];
            put(line, esc, 2);
        } else if (u[i] < 0x20 || u[i] == 0x7f) {
            snprintf(esc, sizeof(esc), "\\u%04x", u[i]);
            put(line, esc, 6);
        } else {
            put(line, s + i, n);
        }
        i += n;
    }
    put(line, "\"", 1);
}

static void put_value(struct line *line, const struct log_field *field)
{
    char num[40];

    switch (field->type) {
    case LOG_TYPE_U64:
        snprintf(num, sizeof(num), "%" PRIu64, field->v.u64);
        put_str(line, num);
        break;
    case LOG_TYPE_I64:
        snprintf(num, sizeof(num), "%" PRId64, field->v.i64);
        put_str(line, num);
        break;
    case LOG_TYPE_F64:
        if (!isfinite(field->v.f64)) { /* JSON has no such number */
            put_str(line, "null");
            break;
        }
        snprintf(num, sizeof(num), "%.9g", field->v.f64);
        put_str(line, num);
        break;
    case LOG_TYPE_BOOL:
        put_str(line, field->v.boolean ? "true" : "false");
        break;
    case LOG_TYPE_STR:
        if (field->v.str == NULL) {
            put_str(line, "null");
        } else {
            put_json(line, field->v.str,
                     field->len == SIZE_MAX ? strlen(field->v.str) : field->len);
        }
        break;
    }
}

size_t log_format(char *out, size_t cap, uint64_t wall_us, enum log_level level,
                  const char *event, const struct log_field *fields, size_t n_fields,
                  uint32_t suppressed)
{
    struct line line = {.p = out, .cap = cap - LOG_TAIL};
    char ts[CLOCK_RFC3339_LEN];
    char tail[LOG_TAIL];
    bool cut = false;

    clock_format(wall_us, ts);
    put_str(&line, "{\"ts\":\"");
    put_str(&line, ts);
    put_str(&line, "\",\"level\":\"");
    put_str(&line, level_names[level]);
    put_str(&line, "\",\"event\":");
    put_json(&line, event, strnlen(event, 64));
    for (size_t i = 0; i < n_fields; i++) {
        size_t mark = line.len;

        put(&line, ",", 1);
        put_json(&line, fields[i].key, strlen(fields[i].key));
        put(&line, ":", 1);
        put_value(&line, &fields[i]);
        if (line.full) { /* a field that does not fit is left out whole */
            line.len = mark;
            line.full = false;
            cut = true;
        }
    }
    line.cap = cap;
    if (suppressed > 0) {
        snprintf(tail, sizeof(tail), ",\"suppressed\":%" PRIu32, suppressed);
        put_str(&line, tail);
    }
    put_str(&line, cut ? ",\"truncated\":true}\n" : "}\n");
    return line.len;
}

/* True if the line may go out; fills how many were swallowed before it. */
static bool site_take(struct log_site *site, uint64_t now_us, uint32_t *suppressed)
{
    bool pass = true;

    pthread_mutex_lock(&site_lock);
    if (now_us - site->window_us >= LOG_WINDOW_US) {
        site->window_us = now_us;
        site->in_window = 0;
    }
    if (site->in_window >= LOG_BURST) {
        site->suppressed++;
        pass = false;
    } else {
        site->in_window++;
        *suppressed = site->suppressed;
        site->suppressed = 0;
    }
    pthread_mutex_unlock(&site_lock);
    return pass;
}

static bool has_key(const struct log_field *fields, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* 'fields', and behind them what the scope knows and they do not say. Returns how many. */
static size_t add_scope(struct log_field out[LOG_FIELDS + LOG_SCOPE],
                        const struct log_field *fields, size_t n)
{
    const struct log_field known[LOG_SCOPE] = {
        LOG_STR("meeting_id", scope_now->meeting_id),
        LOG_STR("participant_id", scope_now->participant_id),
        LOG_STR("request_id", scope_now->request_id),
        LOG_STR("trace_id", scope_now->trace_id)};

    const size_t own = n < LOG_FIELDS ? n : LOG_FIELDS;

    for (n = 0; n < own; n++) {
        out[n] = fields[n];
    }
    for (size_t i = 0; i < LOG_SCOPE; i++) {
        const char *value = known[i].v.str;

        if (value != NULL && value[0] != '\0' && !has_key(fields, own, known[i].key)) {
            out[n++] = known[i];
        }
    }
    return n;
}

void log_write(struct log_site *site, enum log_level level, const char *event,
               const struct log_field *fields, size_t n_fields)
{
    char out[LOG_LINE_MAX];
    struct log_field all[LOG_FIELDS + LOG_SCOPE];
    uint32_t suppressed = 0;
    size_t len;
    ssize_t n;

    if (site != NULL && level != LOG_LEVEL_DEBUG &&
        !site_take(site, clock_mono_us(), &suppressed)) {
        return;
    }
    if (scope_now != NULL) {
        n_fields = add_scope(all, fields, n_fields);
        fields = all;
    }
    len = log_format(out, sizeof(out), clock_wall_us(), level, event, fields, n_fields,
                     suppressed);
    do {
        n = write(__atomic_load_n(&log_fd, __ATOMIC_RELAXED), out, len);
    } while (n < 0 && errno == EINTR);
}

bool log_enabled(enum log_level level)
{
    const struct log_scope *scope = scope_now;

    return (int)level <= __atomic_load_n(&log_level_now, __ATOMIC_RELAXED) ||
           (scope != NULL && meeting_now[0] != '\0' && scope->meeting_id != NULL &&
            strcmp(scope->meeting_id, meeting_now) == 0);
}

const struct log_scope *log_enter(const struct log_scope *scope)
{
    const struct log_scope *before = scope_now;

    scope_now = scope;
    return before;
}

void log_set_meeting(const char *meeting_id)
{
    (void)snprintf(meeting_now, sizeof(meeting_now), "%s", meeting_id);
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_level_now, (int)level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *name, enum log_level *out)
{
    for (int i = 0; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

void log_set_fd(int fd)
{
    __atomic_store_n(&log_fd, fd, __ATOMIC_RELAXED);
}
