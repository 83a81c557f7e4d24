/* One JSON line an event on stderr:
 *
 *   {"ts":"2026-01-02T03:04:05.678901Z","level":"info","event":"peer_selected","peer":7}
 *
 *   log_info("peer_selected", LOG_U64("peer", id), LOG_STR("device", name));
 *
 * Levels: error (someone must act), warn, info (a state changed), debug. Event names and
 * keys are constants of the program, snake_case. Never log keys, tokens, SDP or chat text.
 *
 * A call site that repeats is cut off after LOG_BURST lines a second (debug is not); its
 * next line then carries "suppressed": how many were swallowed. Any thread; one write(2) a
 * line, so lines of several threads do not mix. */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum {
    LOG_BURST = 20,      /* lines a second and call site */
    LOG_LINE_MAX = 4096, /* longer lines lose their last fields: "truncated":true */
};

enum log_type { LOG_TYPE_U64, LOG_TYPE_I64, LOG_TYPE_F64, LOG_TYPE_BOOL, LOG_TYPE_STR };

struct log_field {
    const char *key;
    enum log_type type;
    union {
        uint64_t u64;
        int64_t i64;
        double f64;
        bool boolean;
        const char *str;
    } v;
    size_t len; /* of str; SIZE_MAX if it ends with a NUL */
};

/* State of one call site; zero is its start. */
struct log_site {
    uint64_t window_us; /* start of the current second */
    uint32_t in_window;
    uint32_t suppressed;
};

#define LOG_U64(k, x) ((struct log_field){.key = (k), .type = LOG_TYPE_U64, .v.u64 = (x)})
#define LOG_I64(k, x) ((struct log_field){.key = (k), .type = LOG_TYPE_I64, .v.i64 = (x)})
#define LOG_F64(k, x) ((struct log_field){.key = (k), .type = LOG_TYPE_F64, .v.f64 = (x)})
#define LOG_BOOL(k, x)                                                                     \
    ((struct log_field){.key = (k), .type = LOG_TYPE_BOOL, .v.boolean = (x)})

/* A string that ends with a NUL; NULL is written as null. */
#define LOG_STR(k, s)                                                                      \
    ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .v.str = (s), .len = SIZE_MAX})

/* 'n' bytes of any content: what is not UTF-8 becomes U+FFFD. */
#define LOG_BYTES(k, s, n)                                                                 \
    ((struct log_field){                                                                   \
        .key = (k), .type = LOG_TYPE_STR, .v.str = (const char *)(s), .len = (n)})

#define LOG_AT(level, event, ...)                                                          \
    do {                                                                                   \
        static struct log_site log_site_;                                                  \
        if (log_enabled(level)) {                                                          \
            const struct log_field log_fields_[] = {LOG_U64(NULL, 0), ##__VA_ARGS__};      \
            log_write(&log_site_, (level), (event), log_fields_ + 1,                       \
                      sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);                   \
        }                                                                                  \
    } while (0)

#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)

/* What a thread is working on: each line that does not say it itself has it too. NULL and
 * "" are not known. */
struct log_scope {
    const char *trace_id, *request_id, *meeting_id, *participant_id;
};

/* From now on the calling thread works on 'scope' (borrowed; NULL: on nothing that is
 * known). Returns what it was before. */
const struct log_scope *log_enter(const struct log_scope *scope);

/* Has debug lines about this meeting written whatever the level is; "": of none. Of the
 * thread that enters scopes, for lines in scopes. At most 160 bytes of it count. */
void log_set_meeting(const char *meeting_id);

/* Lines above 'level' are dropped; info at start. */
void log_set_level(enum log_level level);

/* Fills 'out' with the level named "error", "warn", "info" or "debug"; -EINVAL if none is.
 */
int log_level_parse(const char *name, enum log_level *out);

/* Where lines go (borrowed); stderr at start. */
void log_set_fd(int fd);

bool log_enabled(enum log_level level);

/* What the macros call. 'site' may be NULL: no limit. */
void log_write(struct log_site *site, enum log_level level, const char *event,
               const struct log_field *fields, size_t n_fields);

/* Fills 'out' with the line (its '\n' included, no NUL) and returns its length, at most
 * 'cap'. 'cap' is at least 256. Pure. */
size_t log_format(char *out, size_t cap, uint64_t wall_us, enum log_level level,
                  const char *event, const struct log_field *fields, size_t n_fields,
                  uint32_t suppressed);

#endif
