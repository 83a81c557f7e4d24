/* Documents: one table a kind. */
#include <errno.h>
#include <string.h>

#include "store/sqlite_priv.h"

static bool exists(struct sqlite *s, const char *table, const struct store_doc *doc)
{
    struct sqlite_sql sql = {.n = 0};
    sqlite3_stmt *stmt;
    bool found;
    int err;

    sqlite_add(&sql, "SELECT 1 FROM %s WHERE tenant = ? AND id = ?", table);
    sqlite_text(&sql, doc->tenant);
    sqlite_text(&sql, doc->id);
    stmt = sqlite_use(s, &sql, &err);
    found = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;
    (void)sqlite3_reset(stmt);
    return found;
}

static void add_columns(struct sqlite_sql *sql, const struct store_doc *doc)
{
    sqlite_text(sql, doc->name);
    sqlite_text(sql, doc->group);
    sqlite_text(sql, doc->ref);
    sqlite_text(sql, doc->state);
    sqlite_number(sql, doc->at);
    sqlite_number(sql, doc->until);
    sqlite_number(sql, doc->expires_s);
    sqlite_text(sql, doc->json);
}

/* Runs a put that tells the version that it has made. */
static int put_row(struct sqlite *s, const struct sqlite_sql *sql, uint64_t *version)
{
    int err = 0;
    sqlite3_stmt *stmt = sqlite_use(s, sql, &err);
    int code;

    if (stmt == NULL) {
        return err;
    }
    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *version = (uint64_t)sqlite3_column_int64(stmt, 0);
        code = sqlite3_step(stmt); /* a write ends with its last row */
    } else if (code == SQLITE_DONE) {
        err = -ENOENT;
    }
    if (code != SQLITE_DONE) {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    return err;
}

static int put_doc(struct sqlite *s, const struct store_write *w, uint64_t *version)
{
    const char *table = sqlite_table(w->kind);
    struct sqlite_sql sql = {.n = 0};
    int err;

    if (w->expect == 0 || w->expect == STORE_ANY) {
        sqlite_add(
            &sql,
            "INSERT INTO %s (tenant, id, name, grp, ref, state, at, until, expires,"
            " doc, version) VALUES (?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?, ?, ?, 1)%s"
            " RETURNING version",
            table,
            w->expect == 0
                ? ""
                : " ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name,"
                  " grp = excluded.grp, ref = excluded.ref, state = excluded.state,"
                  " at = excluded.at, until = excluded.until, expires = excluded.expires,"
                  " doc = excluded.doc, version = version + 1");
        sqlite_text(&sql, w->doc.tenant);
        sqlite_text(&sql, w->doc.id);
        add_columns(&sql, &w->doc);
        return put_row(s, &sql, version);
    }
    sqlite_add(&sql,
               "UPDATE %s SET name = NULLIF(?, ''), grp = ?, ref = ?, state = ?, at = ?,"
               " until = ?, expires = ?, doc = ?, version = version + 1"
               " WHERE tenant = ? AND id = ? AND version = ? RETURNING version",
               table);
    add_columns(&sql, &w->doc);
    sqlite_text(&sql, w->doc.tenant);
    sqlite_text(&sql, w->doc.id);
    sqlite_number(&sql, (int64_t)w->expect);
    err = put_row(s, &sql, version);
    return err == -ENOENT && exists(s, table, &w->doc) ? -ESTALE : err;
}

static int delete_doc(struct sqlite *s, const struct store_write *w)
{
    const char *table = sqlite_table(w->kind);
    struct sqlite_sql sql = {.n = 0};
    int64_t changed;
    int err;

    sqlite_add(&sql, "DELETE FROM %s WHERE tenant = ? AND id = ?", table);
    sqlite_text(&sql, w->doc.tenant);
    sqlite_text(&sql, w->doc.id);
    if (w->expect != STORE_ANY) {
        sqlite_add(&sql, " AND version = ?");
        sqlite_number(&sql, (int64_t)w->expect);
    }
    err = sqlite_do(s, &sql, &changed);
    if (err != 0 || changed > 0) {
        return err;
    }
    return exists(s, table, &w->doc) ? -ESTALE : -ENOENT;
}

static int write_one(struct sqlite *s, struct store_req *req, const struct store_write *w)
{
    if (w->what == STORE_EVENT) {
        return sqlite_put_event(s, req, &w->event);
    }
    if (w->kind == STORE_AUDIT && (w->what == STORE_DELETE || w->expect != 0)) {
        return -EPERM;
    }
    return w->what == STORE_DELETE ? delete_doc(s, w) : put_doc(s, w, &req->result.version);
}

void sqlite_write(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    for (size_t i = 0; i < req->n; i++) {
        req->result.err = write_one(s, req, &req->writes[i]);
        if (req->result.err != 0) {
            req->result.failed = i;
            return;
        }
    }
}

/* ---- finding ---- */

static void add_filter(struct sqlite_sql *sql, const char *column, const char *value)
{
    if (value != NULL) {
        sqlite_add(sql, " AND %s = ?", column);
        sqlite_text(sql, value);
    }
}

static void add_where(struct sqlite_sql *sql, const struct store_query *q)
{
    if (q->any_tenant) {
        sqlite_add(sql, " WHERE 1");
    } else {
        sqlite_add(sql, " WHERE tenant = ?");
        sqlite_text(sql, q->tenant);
    }
    add_filter(sql, "id", q->id);
    add_filter(sql, "name", q->name);
    add_filter(sql, "grp", q->group);
    add_filter(sql, "ref", q->ref);
    add_filter(sql, "state", q->state);
    if (q->member != NULL) {
        sqlite_add(sql, " AND (grp = ? OR id IN (SELECT grp FROM participant"
                        " WHERE tenant = ? AND ref = ?))");
        sqlite_text(sql, q->member);
        sqlite_text(sql, q->tenant);
        sqlite_text(sql, q->member);
    }
    if (q->from != 0) {
        sqlite_add(sql, " AND (at >= ? OR until >= ?)");
        sqlite_number(sql, q->from);
        sqlite_number(sql, q->from);
    }
    if (q->to != 0) {
        sqlite_add(sql, " AND at < ?");
        sqlite_number(sql, q->to);
    }
    if (q->alive_s != 0) {
        /* '+': else SQLite looks at the number, whether it fits the index of what expires,
         * and so prepares the statement again for each */
        sqlite_add(sql, " AND (expires = 0 OR expires > +?)");
        sqlite_number(sql, q->alive_s);
    }
    if (q->after) {
        sqlite_add(sql, " AND (at, id) %s (?, ?)", q->descending ? "<" : ">");
        sqlite_number(sql, q->after_at);
        sqlite_text(sql, q->after_id);
    }
}

static const char *column(struct store_req *req, sqlite3_stmt *stmt, int i)
{
    const void *text = sqlite3_column_text(stmt, i);

    return store_arena_bytes(&req->arena, text, (size_t)sqlite3_column_bytes(stmt, i));
}

static void take_row(struct store_req *req, sqlite3_stmt *stmt, struct store_doc *out)
{
    out->tenant = column(req, stmt, 0);
    out->id = column(req, stmt, 1);
    out->name = column(req, stmt, 2);
    out->group = column(req, stmt, 3);
    out->ref = column(req, stmt, 4);
    out->state = column(req, stmt, 5);
    out->at = sqlite3_column_int64(stmt, 6);
    out->until = sqlite3_column_int64(stmt, 7);
    out->expires_s = sqlite3_column_int64(stmt, 8);
    out->version = (uint64_t)sqlite3_column_int64(stmt, 9);
    out->json = column(req, stmt, 10);
}

/* Steps through the rows: at most 'limit', of a bounded size. */
static void take_rows(struct sqlite *s, struct store_req *req, sqlite3_stmt *stmt)
{
    struct store_result *result = &req->result;
    size_t bytes = 0;
    int code;

    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (result->n_docs == req->query.limit || bytes > STORE_ANSWER_BYTES) {
            result->more = true;
            break;
        }
        bytes += (size_t)sqlite3_column_bytes(stmt, 10);
        take_row(req, stmt, &req->docs[result->n_docs++]);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        result->err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
}

void sqlite_find(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    const struct store_query *q = &req->query;
    struct sqlite_sql sql = {.n = 0};
    sqlite3_stmt *stmt;

    req->docs = store_arena_alloc(&req->arena, q->limit * sizeof(*req->docs));
    if (req->docs == NULL) {
        return;
    }
    sqlite_add(&sql,
               "SELECT tenant, id, name, grp, ref, state, at, until, expires, version, doc"
               " FROM %s",
               sqlite_table(q->kind));
    add_where(&sql, q);
    sqlite_add(&sql, " ORDER BY at %s, id %s LIMIT ?", q->descending ? "DESC" : "ASC",
               q->descending ? "DESC" : "ASC");
    sqlite_number(&sql, (int64_t)q->limit + 1);
    stmt = sqlite_use(s, &sql, &req->result.err);
    if (stmt == NULL) {
        return;
    }
    take_rows(s, req, stmt);
    (void)sqlite3_reset(stmt);
    req->result.docs = req->docs;
    if (req->result.err == 0 && req->one && req->result.n_docs == 0) {
        req->result.err = -ENOENT;
    }
}
