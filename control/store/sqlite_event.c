/* Events: each meeting's numbers, and the outbox. */
#include <errno.h>
#include <string.h>

#include "sfu/base/fnv.h"
#include "store/sqlite_priv.h"

/* ---- numbers ---- */

static int read_head(struct sqlite *s, const char *tenant, const char *meeting,
                     uint64_t *epoch, uint64_t *seq)
{
    struct sqlite_sql sql = {
        .fixed = "SELECT epoch, seq FROM head WHERE tenant = ? AND meeting = ?"};
    sqlite3_stmt *stmt;
    int err = 0;
    int code;

    *epoch = 0;
    *seq = 0;
    sqlite_text(&sql, tenant);
    sqlite_text(&sql, meeting);
    stmt = sqlite_use(s, &sql, &err);
    if (stmt == NULL) {
        return err;
    }
    code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *epoch = (uint64_t)sqlite3_column_int64(stmt, 0);
        *seq = (uint64_t)sqlite3_column_int64(stmt, 1);
    } else if (code != SQLITE_DONE) {
        err = sqlite_errno(s->db, sqlite3_extended_errcode(s->db));
    }
    (void)sqlite3_reset(stmt);
    return err;
}

static int write_head(struct sqlite *s, const struct sqlite_head *head)
{
    struct sqlite_sql sql = {.fixed =
                                 "INSERT OR REPLACE INTO head (tenant, meeting, epoch, seq)"
                                 " VALUES (?, ?, ?, ?)"};

    sqlite_text(&sql, head->tenant);
    sqlite_text(&sql, head->meeting);
    sqlite_number(&sql, (int64_t)head->epoch);
    sqlite_number(&sql, (int64_t)head->seq);
    return sqlite_do(s, &sql, NULL);
}

void sqlite_heads_forget(struct sqlite *s)
{
    if (s->n_heads > 0) {
        memset(s->slots, 0, sizeof(s->slots));
    }
    s->n_heads = 0;
}

int sqlite_heads_write(struct sqlite *s)
{
    int err = 0;

    for (uint32_t i = 0; err == 0 && i < s->n_heads; i++) {
        if (s->heads[i].changed) {
            err = write_head(s, &s->heads[i]);
            s->heads[i].changed = err != 0;
        }
    }
    return err;
}

/* The slot of a meeting, or the free one where it belongs. */
static uint16_t *slot_of(struct sqlite *s, const char *tenant, const char *meeting)
{
    uint32_t i = fnv32(meeting, strlen(meeting)) % SQLITE_SLOTS;

    for (; s->slots[i] != 0; i = (i + 1) % SQLITE_SLOTS) {
        const struct sqlite_head *head = &s->heads[s->slots[i] - 1];

        if (strcmp(head->meeting, meeting) == 0 && strcmp(head->tenant, tenant) == 0) {
            break;
        }
    }
    return &s->slots[i];
}

/* The strings are borrowed until sqlite_heads_forget(). NULL with *err. */
static struct sqlite_head *head_of(struct sqlite *s, const char *tenant,
                                   const char *meeting, int *err)
{
    uint16_t *slot = slot_of(s, tenant, meeting);
    struct sqlite_head *head;

    if (*slot != 0) {
        return &s->heads[*slot - 1];
    }
    if (s->n_heads == SQLITE_HEADS) {
        *err = sqlite_heads_write(s);
        if (*err != 0) {
            return NULL;
        }
        sqlite_heads_forget(s);
        slot = slot_of(s, tenant, meeting);
    }
    head = &s->heads[s->n_heads];
    *head = (struct sqlite_head){.tenant = tenant, .meeting = meeting};
    *err = read_head(s, tenant, meeting, &head->epoch, &head->seq);
    if (*err != 0) {
        return NULL;
    }
    *slot = (uint16_t)++s->n_heads;
    return head;
}

void sqlite_head(void *data, struct store_req *req)
{
    struct store_result *result = &req->result;
    const struct sqlite_head *head = head_of(data, req->text, req->name, &result->err);

    if (head != NULL) {
        result->epoch = head->epoch;
        result->seq = head->seq;
    }
}

/* As the event says, if that is behind the last; 0 is the present epoch, the next seq. */
static int advance(struct sqlite_head *head, const struct store_event *e)
{
    uint64_t epoch = e->epoch != 0 ? e->epoch : head->epoch != 0 ? head->epoch : 1;
    uint64_t seq = epoch > head->epoch ? 0 : head->seq; /* another owner counts anew */

    if (epoch < head->epoch || (e->seq != 0 && e->seq <= seq)) {
        return -ESTALE;
    }
    head->epoch = epoch;
    head->seq = e->seq != 0 ? e->seq : seq + 1;
    head->changed = true;
    return 0;
}

/* ---- events ---- */

/* What was written, for who listens. Without memory the request fails, as its arena has. */
static void note_event(struct sqlite *s, struct store_req *req, const struct store_event *e,
                       const struct sqlite_head *head)
{
    struct store_event *out;

    if (req->events == NULL) {
        req->events = store_arena_alloc(&req->arena, req->n * sizeof(*req->events));
    }
    if (req->events == NULL) {
        return;
    }
    out = &req->events[req->result.n_events++];
    *out = *e;
    out->epoch = head->epoch;
    out->seq = head->seq;
    out->position = (uint64_t)sqlite3_last_insert_rowid(s->db);
    req->result.events = req->events;
}

int sqlite_put_event(struct sqlite *s, struct store_req *req, const struct store_event *e)
{
    struct sqlite_sql sql = {
        .fixed = "INSERT INTO event (tenant, meeting, epoch, seq, type, ref, at_us, doc,"
                 " trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    char trace[TRACEPARENT_TEXT];
    struct sqlite_head before;
    int err = 0;
    struct sqlite_head *head = head_of(s, e->tenant, e->meeting, &err);

    if (head == NULL) {
        return err;
    }
    before = *head;
    err = advance(head, e);
    if (err != 0) {
        return err;
    }
    sqlite_text(&sql, e->tenant);
    sqlite_text(&sql, e->meeting);
    sqlite_number(&sql, (int64_t)head->epoch);
    sqlite_number(&sql, (int64_t)head->seq);
    sqlite_text(&sql, e->type);
    sqlite_text(&sql, e->ref);
    sqlite_number(&sql, (int64_t)e->at_us);
    sqlite_text(&sql, e->json);
    traceparent_write(&e->trace, trace);
    sqlite_text(&sql, trace);
    err = sqlite_do(s, &sql, NULL);
    if (err != 0) {
        *head = before; /* nothing was changed: the others of the batch go on */
        return err;
    }
    note_event(s, req, e, head);
    req->result.epoch = head->epoch;
    req->result.seq = head->seq;
    return 0;
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
