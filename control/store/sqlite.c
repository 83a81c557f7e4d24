/* The file, its statements and its transactions: the embedded backend of the store. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite_priv.h"
#include "sys/log.h"
#include "sys/place.h"

/* Of pages that a statement keeps in memory to be undone alone, before they go to a file: a
 * new row changes one of its table and one of each index, and sometimes splits a few. */
enum { STATEMENT_BYTES = 32 * 8192 };

int sqlite_errno(sqlite3 *db, int code)
{
    int system = db != NULL ? sqlite3_system_errno(db) : 0;

    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_TRIGGER ? -EPERM : -EEXIST;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EAGAIN;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (system == ENOSPC || system == EDQUOT || system == EFBIG) {
            return -ENOSPC;
        }
        return system == EACCES || system == EPERM || system == EROFS ? -EACCES : -EIO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EACCES;
    default:
        return -EIO;
    }
}

/* ---- statements ---- */

void sqlite_add(struct sqlite_sql *sql, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sql->len +=
        (size_t)vsnprintf(sql->text + sql->len, sizeof(sql->text) - sql->len, format, args);
    va_end(args);
    if (sql->len >= sizeof(sql->text)) { /* ours are shorter */
        abort();
    }
}

void sqlite_text(struct sqlite_sql *sql, const char *value)
{
    sql->values[sql->n++].text = value;
}

void sqlite_number(struct sqlite_sql *sql, int64_t value)
{
    sql->values[sql->n].text = NULL;
    sql->values[sql->n++].number = value;
}

static sqlite3_stmt *prepare(struct sqlite *s, const struct sqlite_sql *sql, int *err)
{
    const char *text = sql->fixed != NULL ? sql->fixed : sql->text;
    sqlite3_stmt *stmt = NULL;
    char *copy;
    int code;

    for (unsigned i = 0; i < SQLITE_STATEMENTS && s->cache[i].sql != NULL; i++) {
        if (sql->fixed != NULL ? s->cache[i].fixed == sql->fixed
                               : strcmp(s->cache[i].sql, text) == 0) {
            return s->cache[i].stmt;
        }
    }
    code = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    copy = code == SQLITE_OK ? strdup(text) : NULL;
    if (copy == NULL) {
        *err = code == SQLITE_OK ? -ENOMEM : sqlite_errno(s->db, code);
        (void)sqlite3_finalize(stmt);
        return NULL;
    }
    (void)sqlite3_finalize(s->cache[s->next].stmt);
    free(s->cache[s->next].sql);
    s->cache[s->next].sql = copy;
    s->cache[s->next].fixed = sql->fixed;
    s->cache[s->next].stmt = stmt;
    s->next = (s->next + 1) % SQLITE_STATEMENTS;
    return stmt;
}

sqlite3_stmt *sqlite_use(struct sqlite *s, const struct sqlite_sql *sql, int *err)
{
    sqlite3_stmt *stmt = prepare(s, sql, err);
    int code = SQLITE_OK;

    if (stmt == NULL) {
        return NULL;
    }
    (void)sqlite3_reset(stmt);
    for (unsigned i = 0; i < sql->n && code == SQLITE_OK; i++) {
        int at = (int)i + 1;

        code = sql->values[i].text != NULL
                   ? sqlite3_bind_text(stmt, at, sql->values[i].text, -1, SQLITE_STATIC)
                   : sqlite3_bind_int64(stmt, at, sql->values[i].number);
    }
    if (code != SQLITE_OK) {
        *err = sqlite_errno(s->db, code);
        return NULL;
    }
    return stmt;
}

int sqlite_do(struct sqlite *s, const struct sqlite_sql *sql, int64_t *changed)
{
    int err = 0;
    sqlite3_stmt *stmt = sqlite_use(s, sql, &err);
    int code;

    if (stmt == NULL) {
        return err;
    }
    code = sqlite3_step(stmt);
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    if (changed != NULL) {
        *changed = err == 0 ? sqlite3_changes64(s->db) : 0;
    }
    (void)sqlite3_reset(stmt);
    return err;
}

/* text: a literal */
static int execute(struct sqlite *s, const char *text)
{
    const struct sqlite_sql sql = {.fixed = text};

    return sqlite_do(s, &sql, NULL);
}

/* ---- life ---- */

static void sqlite_close(void *data)
{
    struct sqlite *s = data;

    for (unsigned i = 0; i < SQLITE_STATEMENTS; i++) {
        (void)sqlite3_finalize(s->cache[i].stmt);
        free(s->cache[i].sql);
    }
    (void)sqlite3_close(s->db);
    free(s);
}

/* Nobody else may read it: it has hashes of passwords and keys. */
static int make_file(const char *path, int more)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | more, 0600);

    if (fd < 0) {
        return -errno;
    }
    (void)close(fd);
    return 0;
}

static int run_sql(struct sqlite *s, const char *sql)
{
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sqlite_errno(s->db, code);
}

/* The number that a PRAGMA answers; 0: not known. */
static int64_t ask_number(struct sqlite *s, const char *pragma)
{
    sqlite3_stmt *stmt = NULL;
    int64_t number = 0;

    if (sqlite3_prepare_v2(s->db, pragma, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        number = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return number;
}

/* Of the file as it is: one of before has pages of its own size. */
static int64_t page_size(struct sqlite *s)
{
    return ask_number(s, "PRAGMA page_size");
}

/* Pages that were freed stay in the file, and are used again. */
static void sqlite_room(void *data, uint64_t *used, uint64_t *most)
{
    struct sqlite *s = data;
    const int64_t pages =
        ask_number(s, "PRAGMA page_count") - ask_number(s, "PRAGMA freelist_count");

    *used = (uint64_t)(pages * page_size(s));
    *most =
        s->limited ? (uint64_t)(ask_number(s, "PRAGMA max_page_count") * page_size(s)) : 0;
}

static int limit_size(struct sqlite *s, uint32_t max_mb)
{
    const int64_t bytes = page_size(s);
    char sql[64];

    if (bytes == 0) {
        return -EIO;
    }
    s->limited = max_mb > 0;
    (void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%lld",
                   max_mb > 0 ? (long long)max_mb * (1 << 20) / bytes : 4294967294LL);
    return run_sql(s, sql);
}

/* Half of what an event costs the store is the kernel's, by the page: so pages of 8 KiB in
 * a new file (more would make a lone message dearer), and 64 MB of them before they go from
 * the journal to the file: a page of an index that many transactions change goes once. And
 * what a large transaction has touched fits into the cache, else it is written twice. */
static int configure(struct sqlite *s, const struct store_conf *conf)
{
    char sql[320];
    int ret;

    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=%s;"
                   "PRAGMA wal_autocheckpoint=8000; PRAGMA cache_size=-32000;"
                   "PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF",
                   conf->synchronous == STORE_SYNC_FULL ? "FULL" : "NORMAL");
    (void)sqlite3_busy_timeout(s->db, 5000);
    ret = run_sql(s, sql);
    return ret != 0 ? ret : limit_size(s, conf->max_mb);
}

static int sqlite_open(void **out, const struct store_conf *conf, char err[STORE_ERR_MAX])
{
    struct sqlite *s = calloc(1, sizeof(*s));
    int ret;
    int code;

    place_make(conf->path, 0700);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock at each allocation */
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, STATEMENT_BYTES);
    ret = s != NULL ? make_file(conf->path, 0) : -ENOMEM;

    if (ret != 0) {
        (void)snprintf(err, STORE_ERR_MAX, "%s: %s", conf->path, strerror(-ret));
        free(s);
        return ret;
    }
    code = sqlite3_open_v2(conf->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                           NULL);
    ret = code == SQLITE_OK ? configure(s, conf) : sqlite_errno(s->db, code);
    if (ret == 0) {
        ret = sqlite_migrate(s->db, err);
    }
    if (ret != 0) {
        if (err[0] == '\0') {
            (void)snprintf(err, STORE_ERR_MAX, "%s: %s", conf->path,
                           s->db != NULL ? sqlite3_errmsg(s->db) : "no memory");
        }
        sqlite_close(s);
        return ret;
    }
    *out = s;
    return 0;
}

/* ---- transactions ---- */

static int sqlite_begin(void *data, bool careful)
{
    struct sqlite *s = data;

    s->careful = careful;
    sqlite_heads_forget(s);
    if (sqlite3_get_autocommit(s->db) == 0) { /* what broke left it open */
        (void)execute(s, "ROLLBACK");
    }
    return execute(s, "BEGIN");
}

static int sqlite_commit(void *data)
{
    struct sqlite *s = data;
    int err = sqlite_heads_write(s);

    if (err == 0) {
        err = execute(s, "COMMIT");
    }
    sqlite_heads_forget(s);
    if (err != 0 && sqlite3_get_autocommit(s->db) == 0) {
        (void)execute(s, "ROLLBACK");
    }
    if (err != 0) {
        log_error("store_write_failed", LOG_STR("error", strerror(-err)));
    }
    return err;
}

/* Looks at the first 10,000 events behind a position. They are as good as ordered by time.
 */
static int sweep_events(struct sqlite *s, struct store_req *req, int64_t behind, int64_t *n)
{
    struct sqlite_sql sql = {.n = 0};

    sqlite_add(&sql,
               "DELETE FROM event WHERE position IN (SELECT position FROM"
               " (SELECT position, at_us FROM event WHERE position > ? ORDER BY position"
               " LIMIT 10000) WHERE at_us < ?%s)",
               req->flag ? "" : " AND position <= (SELECT acked FROM outbox)");
    sqlite_number(&sql, behind);
    sqlite_number(&sql, (int64_t)req->a);
    return sqlite_do(s, &sql, n);
}

/* The last of the first 10,000 behind a position; 0: there are none. */
static int last_looked_at(struct sqlite *s, int64_t behind, int64_t *out)
{
    struct sqlite_sql sql = {
        .fixed = "SELECT MAX(position) FROM (SELECT position FROM event WHERE position > ?"
                 " ORDER BY position LIMIT 10000)"};
    sqlite3_stmt *stmt;
    int err = 0;

    sqlite_number(&sql, behind);
    stmt = sqlite_use(s, &sql, &err);
    if (stmt == NULL) {
        return err;
    }
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
    } else {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    return err;
}

/* The oldest; and where these are too young, as a clock that was ahead leaves them, those
 * that come next, time by time through all of them. */
static int sweep_oldest(struct sqlite *s, struct store_req *req, int64_t *n)
{
    int64_t last = 0;
    int err = sweep_events(s, req, 0, n);

    if (err != 0 || *n > 0) {
        return err;
    }
    err = last_looked_at(s, s->looked, &last);
    if (err == 0) {
        err = sweep_events(s, req, s->looked, n);
        s->looked = last;
    }
    return err;
}

static void sweep(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    struct store_result *result = &req->result;
    int64_t n = 0;

    for (int i = 0; result->err == 0 && i < STORE_N_KINDS; i++) {
        struct sqlite_sql sql = {.n = 0};
        const char *table = sqlite_table((enum store_kind)i);

        sqlite_add(&sql,
                   "DELETE FROM %s WHERE rowid IN (SELECT rowid FROM %s WHERE expires > 0"
                   " AND expires <= ? LIMIT 10000)",
                   table, table);
        sqlite_number(&sql, req->now_s);
        result->err = sqlite_do(s, &sql, &n);
        result->n += (uint64_t)n;
    }
    if (result->err == 0) {
        result->err = sweep_oldest(s, req, &n);
        result->n += (uint64_t)n;
    }
}

static void erase(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    struct store_result *result = &req->result;
    int64_t n = 0;

    for (int i = 0; result->err == 0 && i <= STORE_N_KINDS; i++) {
        struct sqlite_sql sql = {.n = 0};

        if (i == STORE_AUDIT) {
            continue;
        }
        if (i == STORE_N_KINDS) {
            sqlite_add(&sql, "UPDATE event SET doc = '" STORE_ERASED "', ref = ''"
                             " WHERE tenant = ? AND ref = ?");
        } else {
            sqlite_add(&sql, "DELETE FROM %s WHERE tenant = ? AND %s = ?",
                       sqlite_table((enum store_kind)i), i == STORE_USER ? "id" : "ref");
        }
        sqlite_text(&sql, req->text);
        sqlite_text(&sql, req->name);
        result->err = sqlite_do(s, &sql, &n);
        result->n += (uint64_t)n;
    }
}

static bool sqlite_run(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    const int64_t before = sqlite3_total_changes64(s->db);
    int err = s->careful ? execute(s, "SAVEPOINT request") : 0;

    if (err == 0) {
        store_sqlite.ops[req->op](s, req);
        if (req->arena.failed && req->result.err == 0) {
            req->result.err = -ENOMEM;
        }
        if (s->careful && req->result.err == 0) {
            req->result.err = sqlite_heads_write(s);
        }
        err = req->result.err;
    } else {
        req->result.err = err;
    }
    if (sqlite3_get_autocommit(s->db) != 0) {
        return false; /* it was all rolled back: a full disk, no memory */
    }
    if (!s->careful && err != 0 && sqlite3_total_changes64(s->db) != before) {
        return false; /* the half of it is done */
    }
    if (err == -ENOSPC || err == -EIO) {
        log_error("store_write_failed", LOG_STR("error", strerror(-err)));
    }
    if (s->careful) {
        if (err != 0) {
            (void)execute(s, "ROLLBACK TO request");
            sqlite_heads_forget(s);
        }
        (void)execute(s, "RELEASE request");
    }
    return true;
}

static int last_numbers(void *data, uint64_t *epoch, uint64_t *seq)
{
    return sqlite_last(data, epoch, seq);
}

static int sqlite_backup(const char *from, const char *to)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int ret = make_file(to, O_EXCL);
    int code;

    if (ret != 0) {
        return ret;
    }
    code = sqlite3_open_v2(from, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, 5000);
        code = sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &stmt, NULL);
    }
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_text(stmt, 1, to, -1, SQLITE_STATIC);
        code = sqlite3_step(stmt);
    }
    ret = code == SQLITE_DONE ? 0 : sqlite_errno(db, code);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    if (ret != 0) {
        (void)unlink(to);
    }
    return ret;
}

const struct store_backend store_sqlite = {.open = sqlite_open,
                                           .close = sqlite_close,
                                           .last = last_numbers,
                                           .begin = sqlite_begin,
                                           .commit = sqlite_commit,
                                           .run = sqlite_run,
                                           .ops = {[OP_WRITE] = sqlite_write,
                                                   [OP_FIND] = sqlite_find,
                                                   [OP_EVENTS] = sqlite_events,
                                                   [OP_OUTBOX] = sqlite_events,
                                                   [OP_HEAD] = sqlite_head,
                                                   [OP_ACK] = sqlite_ack,
                                                   [OP_SWEEP] = sweep,
                                                   [OP_ERASE] = erase},
                                           .room = sqlite_room,
                                           .backup = sqlite_backup};
