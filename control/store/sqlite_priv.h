/* The parts of the SQLite backend. Everything runs on the store's thread. */
#ifndef STORE_SQLITE_PRIV_H
#define STORE_SQLITE_PRIV_H

#include <sqlite3.h>
#include <stdio.h>

#include "store/store_priv.h"

enum {
    SQLITE_STATEMENTS = 96,
    SQLITE_VALUES = 24,
    SQLITE_SQL_MAX = 1024,
    SQLITE_HEADS = 4096,            /* meetings of one transaction, till they are written */
    SQLITE_SLOTS = 2 * SQLITE_HEADS /* a power of two */
};

/* The last number of a meeting in the present transaction. */
struct sqlite_head {
    const char *tenant, *meeting; /* of a request that is not answered before the commit */
    uint64_t epoch, seq;
    bool changed; /* and not written */
};

struct sqlite {
    sqlite3 *db;
    struct {
        char *sql;
        const char *fixed; /* the literal that it is of, or NULL */
        sqlite3_stmt *stmt;
    } cache[SQLITE_STATEMENTS];
    unsigned next; /* the one that is given up for another */
    bool careful;  /* see struct store_backend */
    struct sqlite_head heads[SQLITE_HEADS];
    uint32_t n_heads;
    uint16_t slots[SQLITE_SLOTS]; /* by name: one of heads and 1, or 0 */
    bool limited;                 /* to store_conf.max_mb */
    int64_t looked; /* the last position of an event that a sweep has looked at */
};

/* A statement in the making: text, and what its question marks stand for. */
struct sqlite_sql {
    const char *fixed; /* instead of text: a literal, which is found by its address */
    char text[SQLITE_SQL_MAX];
    size_t len;
    unsigned n;
    struct {
        const char *text; /* NULL: the number */
        int64_t number;
    } values[SQLITE_VALUES];
};

/* Names of tables, by enum store_kind. */
const char *sqlite_table(enum store_kind kind);

void sqlite_add(struct sqlite_sql *sql, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sqlite_text(struct sqlite_sql *sql, const char *value);
void sqlite_number(struct sqlite_sql *sql, int64_t value);

/* Prepares it, or finds it prepared, with its values. NULL with *err. */
sqlite3_stmt *sqlite_use(struct sqlite *s, const struct sqlite_sql *sql, int *err);
/* Runs one that answers nothing. 0 or -errno; *changed (may be NULL): how many rows. */
int sqlite_do(struct sqlite *s, const struct sqlite_sql *sql, int64_t *changed);

/* What the library's last error is to our callers. */
int sqlite_errno(sqlite3 *db, int code);

/* Brings the schema to the present version. */
int sqlite_migrate(sqlite3 *db, char err[STORE_ERR_MAX]);

void sqlite_write(void *data, struct store_req *req);
void sqlite_find(void *data, struct store_req *req);
void sqlite_events(void *data, struct store_req *req);
void sqlite_ack(void *data, struct store_req *req);
int sqlite_last(struct sqlite *s, uint64_t *epoch, uint64_t *seq);
void sqlite_head(void *data, struct store_req *req);
/* Numbers of meetings are kept until a transaction ends: a batch has many events of each.
 * Forgets them; writes those that have changed. 0 or -errno. */
void sqlite_heads_forget(struct sqlite *s);
int sqlite_heads_write(struct sqlite *s);
/* The next number of a meeting, and the event with it. 0 or -errno. */
int sqlite_put_event(struct sqlite *s, struct store_req *req, const struct store_event *e);

#endif
