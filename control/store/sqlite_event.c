/* Events: each meeting's numbers, and the outbox. */
#include <errno.h>

#include "store/sqlite_priv.h"

/* Runs one that answers the epoch and the seq of a meeting; without an answer they are 0.
 */
static int ask_head(struct sqlite *s, const struct sqlite_sql *sql, uint64_t *epoch,
                    uint64_t *seq)
{
    sqlite3_stmt *stmt;
    int err = 0;
    int code;

    *epoch = 0;
    *seq = 0;
    stmt = sqlite_use(s, sql, &err);
    if (stmt == NULL) {
        return err;
    }
    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *epoch = (uint64_t)sqlite3_column_int64(stmt, 0);
        *seq = (uint64_t)sqlite3_column_int64(stmt, 1);
        code = sqlite3_step(stmt); /* a write ends with its last row */
    }
    if (code != SQLITE_DONE) {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    return err;
}

static int read_head(struct sqlite *s, const char *tenant, const char *meeting,
                     uint64_t *epoch, uint64_t *seq)
{
    struct sqlite_sql sql = {
        .fixed = "SELECT epoch, seq FROM head WHERE tenant = ? AND meeting = ?"};

    sqlite_text(&sql, tenant);
    sqlite_text(&sql, meeting);
    return ask_head(s, &sql, epoch, seq);
}

static int next_number(struct sqlite *s, const struct store_event *e, uint64_t *epoch,
                       uint64_t *seq)
{
    struct sqlite_sql sql = {
        .fixed = "INSERT INTO head (tenant, meeting, epoch, seq) VALUES (?, ?, 1, 1)"
                 " ON CONFLICT (tenant, meeting) DO UPDATE SET seq = seq + 1"
                 " RETURNING epoch, seq"};

    sqlite_text(&sql, e->tenant);
    sqlite_text(&sql, e->meeting);
    return ask_head(s, &sql, epoch, seq);
}

/* As the event says, if that is behind the last. */
static int set_number(struct sqlite *s, const struct store_event *e, uint64_t *epoch,
                      uint64_t *seq)
{
    struct sqlite_sql sql = {.fixed =
                                 "INSERT OR REPLACE INTO head (tenant, meeting, epoch, seq)"
                                 " VALUES (?, ?, ?, ?)"};
    int err = read_head(s, e->tenant, e->meeting, epoch, seq);

    if (err != 0) {
        return err;
    }
    if (e->epoch != 0 && e->epoch < *epoch) {
        return -ESTALE;
    }
    if (e->epoch > *epoch) { /* another owner: it counts anew, from where it says */
        *epoch = e->epoch;
        *seq = 0;
    } else if (*epoch == 0) {
        *epoch = 1;
    }
    if (e->seq != 0 && e->seq <= *seq) {
        return -ESTALE;
    }
    *seq = e->seq != 0 ? e->seq : *seq + 1;
    sqlite_text(&sql, e->tenant);
    sqlite_text(&sql, e->meeting);
    sqlite_number(&sql, (int64_t)*epoch);
    sqlite_number(&sql, (int64_t)*seq);
    return sqlite_do(s, &sql, NULL);
}

int sqlite_put_event(struct sqlite *s, struct store_req *req, const struct store_event *e)
{
    struct sqlite_sql sql = {
        .fixed = "INSERT INTO event (tenant, meeting, epoch, seq, type, ref, at_us, doc,"
                 " trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    char trace[TRACEPARENT_TEXT];
    uint64_t epoch;
    uint64_t seq;
    int err = e->epoch == 0 && e->seq == 0 ? next_number(s, e, &epoch, &seq)
                                           : set_number(s, e, &epoch, &seq);

    if (err != 0) {
        return err;
    }
    sqlite_text(&sql, e->tenant);
    sqlite_text(&sql, e->meeting);
    sqlite_number(&sql, (int64_t)epoch);
    sqlite_number(&sql, (int64_t)seq);
    sqlite_text(&sql, e->type);
    sqlite_text(&sql, e->ref);
    sqlite_number(&sql, (int64_t)e->at_us);
    sqlite_text(&sql, e->json);
    traceparent_write(&e->trace, trace);
    sqlite_text(&sql, trace);
    req->result.epoch = epoch;
    req->result.seq = seq;
    return sqlite_do(s, &sql, NULL);
}

int sqlite_last(struct sqlite *s, uint64_t *epoch, uint64_t *seq)
{
    struct sqlite_sql sql = {.n = 0};
    sqlite3_stmt *stmt;
    int err = 0;

    sqlite_add(&sql, "SELECT COALESCE(MAX(epoch), 0), COALESCE(MAX(seq), 0) FROM head");
    stmt = sqlite_use(s, &sql, &err);
    if (stmt == NULL) {
        return err;
    }
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        *epoch = (uint64_t)sqlite3_column_int64(stmt, 0);
        *seq = (uint64_t)sqlite3_column_int64(stmt, 1);
    } else {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    return err;
}

void sqlite_head(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    req->result.err =
        read_head(s, req->text, req->name, &req->result.epoch, &req->result.seq);
}

static const char *column(struct store_req *req, sqlite3_stmt *stmt, int i)
{
    const void *text = sqlite3_column_text(stmt, i);

    return store_arena_bytes(&req->arena, text, (size_t)sqlite3_column_bytes(stmt, i));
}

static void take_row(struct store_req *req, sqlite3_stmt *stmt, struct store_event *out)
{
    out->position = (uint64_t)sqlite3_column_int64(stmt, 0);
    out->tenant = column(req, stmt, 1);
    out->meeting = column(req, stmt, 2);
    out->epoch = (uint64_t)sqlite3_column_int64(stmt, 3);
    out->seq = (uint64_t)sqlite3_column_int64(stmt, 4);
    out->type = column(req, stmt, 5);
    out->ref = column(req, stmt, 6);
    out->at_us = (uint64_t)sqlite3_column_int64(stmt, 7);
    out->json = column(req, stmt, 8);
    (void)traceparent_parse((const char *)sqlite3_column_text(stmt, 9), &out->trace);
}

/* Of one meeting, or the outbox. */
void sqlite_events(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    struct store_result *result = &req->result;
    struct sqlite_sql sql = {.n = 0};
    sqlite3_stmt *stmt;
    int code;

    req->events = store_arena_alloc(&req->arena, req->limit * sizeof(*req->events));
    if (req->events == NULL) {
        return;
    }
    sqlite_add(&sql, "SELECT position, tenant, meeting, epoch, seq, type, ref, at_us, doc,"
                     " trace FROM event WHERE ");
    if (req->op == OP_OUTBOX && req->flag) { /* the latest */
        sqlite_add(&sql, "position > ? ORDER BY position DESC LIMIT ?");
        sqlite_number(&sql, (int64_t)req->a);
    } else if (req->op == OP_OUTBOX) {
        sqlite_add(&sql, "position > MAX(?, (SELECT acked FROM outbox))"
                         " ORDER BY position LIMIT ?");
        sqlite_number(&sql, (int64_t)req->a);
    } else {
        sqlite_add(&sql, "tenant = ? AND meeting = ? AND (epoch, seq) > (?, ?)"
                         " ORDER BY epoch, seq LIMIT ?");
        sqlite_text(&sql, req->text);
        sqlite_text(&sql, req->name);
        sqlite_number(&sql, (int64_t)req->a);
        sqlite_number(&sql, (int64_t)req->b);
    }
    sqlite_number(&sql, (int64_t)req->limit + 1);
    stmt = sqlite_use(s, &sql, &result->err);
    if (stmt == NULL) {
        return;
    }
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW && result->n_events < req->limit) {
        take_row(req, stmt, &req->events[result->n_events++]);
    }
    result->more = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        result->err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    result->events = req->events;
}

void sqlite_ack(void *data, struct store_req *req)
{
    struct sqlite *s = data;
    struct sqlite_sql sql = {.fixed = "UPDATE outbox SET acked = ? WHERE acked < ?"};

    sqlite_number(&sql, (int64_t)req->a);
    sqlite_number(&sql, (int64_t)req->a);
    req->result.err = sqlite_do(s, &sql, NULL);
}
