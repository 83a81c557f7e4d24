/* Finding documents and events. */
#include <errno.h>
#include <string.h>

#include "mongo/mongo_priv.h"

bson_t *mongo_first(struct mongo *m, mongoc_collection_t *from, const bson_t *query,
                    const bson_t *opts, int *err)
{
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(from, query, opts, NULL);
    const bson_t *doc;
    bson_error_t error;
    bson_t *copy = mongoc_cursor_next(cursor, &doc) ? bson_copy(doc) : NULL;

    *err = copy == NULL && mongoc_cursor_error(cursor, &error) ? mongo_errno(m, &error) : 0;
    mongoc_cursor_destroy(cursor);
    return copy;
}

/* ---- documents ---- */

/* The meetings that a user is invited to, as {"id": {"$in": […]}}. */
static int add_invited(struct mongo *m, const struct store_query *q, bson_t *either)
{
    bson_t *query = BCON_NEW("tenant", BCON_UTF8(q->tenant), "ref", BCON_UTF8(q->member));
    bson_t *opts = BCON_NEW("projection", "{", "grp", BCON_INT32(1), "}", "limit",
                            BCON_INT64(STORE_FIND_MAX));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(m->kinds[STORE_PARTICIPANT], query, opts, NULL);
    bson_t ids = BSON_INITIALIZER;
    bson_iter_t iter;
    const bson_t *doc;
    bson_error_t error;
    char number[16];
    const char *key;
    uint32_t n = 0;
    int err = 0;
    bson_t *in;

    while (mongoc_cursor_next(cursor, &doc)) {
        if (bson_iter_init_find(&iter, doc, "grp")) {
            (void)bson_uint32_to_string(n++, &key, number, sizeof(number));
            (void)BSON_APPEND_UTF8(&ids, key, bson_iter_utf8(&iter, NULL));
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        err = mongo_errno(m, &error);
    }
    in = BCON_NEW("id", "{", "$in", BCON_ARRAY(&ids), "}");
    (void)BSON_APPEND_DOCUMENT(either, "1", in);
    bson_destroy(in);
    bson_destroy(&ids);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    return err;
}

/* One more condition that is two: {"$or": [a, b]}, all moved. */
static void add_either(bson_t *all, uint32_t *n, bson_t *a, bson_t *b)
{
    bson_t * or = BCON_NEW("$or", "[", BCON_DOCUMENT(a), BCON_DOCUMENT(b), "]");
    char number[16];
    const char *key;

    (void)bson_uint32_to_string((*n)++, &key, number, sizeof(number));
    (void)BSON_APPEND_DOCUMENT(all, key, or);
    bson_destroy(or);
    bson_destroy(a);
    bson_destroy(b);
}

static void add_text(bson_t *query, const char *field, const char *value)
{
    if (value != NULL) {
        (void)BSON_APPEND_UTF8(query, field, value);
    }
}

static bson_t *where(struct mongo *m, struct store_req *req)
{
    const struct store_query *q = &req->query;
    const char *than = q->descending ? "$lt" : "$gt";
    bson_t *query = bson_new();
    bson_t all = BSON_INITIALIZER;
    uint32_t n = 0;

    add_text(query, "tenant", q->any_tenant ? NULL : q->tenant);
    add_text(query, "id", q->id);
    add_text(query, "name", q->name);
    add_text(query, "grp", q->group);
    add_text(query, "ref", q->ref);
    add_text(query, "state", q->state);
    if (q->to != 0) {
        bson_t *before = BCON_NEW("$lt", BCON_INT64(q->to));

        (void)BSON_APPEND_DOCUMENT(query, "at", before);
        bson_destroy(before);
    }
    if (q->member != NULL) {
        bson_t either = BSON_INITIALIZER;
        bson_t *own = BCON_NEW("grp", BCON_UTF8(q->member));

        (void)BSON_APPEND_DOCUMENT(&either, "0", own);
        req->result.err = add_invited(m, q, &either);
        (void)BSON_APPEND_ARRAY(query, "$or", &either);
        bson_destroy(own);
        bson_destroy(&either);
    }
    if (q->from != 0) {
        add_either(&all, &n, BCON_NEW("at", "{", "$gte", BCON_INT64(q->from), "}"),
                   BCON_NEW("until", "{", "$gte", BCON_INT64(q->from), "}"));
    }
    if (q->alive_s != 0) {
        add_either(&all, &n, BCON_NEW("expires", BCON_INT64(0)),
                   BCON_NEW("expires", "{", "$gt", BCON_INT64(q->alive_s), "}"));
    }
    if (q->after) {
        add_either(&all, &n, BCON_NEW("at", "{", than, BCON_INT64(q->after_at), "}"),
                   BCON_NEW("at", BCON_INT64(q->after_at), "id", "{", than,
                            BCON_UTF8(q->after_id), "}"));
    }
    if (n > 0) {
        (void)BSON_APPEND_ARRAY(query, "$and", &all);
    }
    bson_destroy(&all);
    return query;
}

static void take_doc(struct store_arena *arena, const bson_t *from, struct store_doc *out)
{
    out->tenant = mongo_text(arena, from, "tenant");
    out->id = mongo_text(arena, from, "id");
    out->name = mongo_text(arena, from, "name");
    out->group = mongo_text(arena, from, "grp");
    out->ref = mongo_text(arena, from, "ref");
    out->state = mongo_text(arena, from, "state");
    out->at = mongo_number(from, "at");
    out->until = mongo_number(from, "until");
    out->expires_s = mongo_number(from, "expires");
    out->version = (uint64_t)mongo_number(from, "version");
    out->json = mongo_text(arena, from, "doc");
}

void mongo_find(void *data, struct store_req *req)
{
    struct mongo *m = data;
    const struct store_query *q = &req->query;
    struct store_result *result = &req->result;
    int32_t way = q->descending ? -1 : 1;
    bson_t *query = where(m, req);
    bson_t *opts = BCON_NEW("sort", "{", "at", BCON_INT32(way), "id", BCON_INT32(way), "}",
                            "limit", BCON_INT64((int64_t)q->limit + 1));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(m->kinds[q->kind], query, opts, NULL);
    const bson_t *doc;
    bson_error_t error;
    size_t bytes = 0;

    req->docs = store_arena_alloc(&req->arena, q->limit * sizeof(*req->docs));
    while (req->docs != NULL && result->err == 0 && mongoc_cursor_next(cursor, &doc)) {
        if (result->n_docs == q->limit || bytes > STORE_ANSWER_BYTES) {
            result->more = true;
            break;
        }
        bytes += doc->len;
        take_doc(&req->arena, doc, &req->docs[result->n_docs++]);
    }
    if (result->err == 0 && mongoc_cursor_error(cursor, &error)) {
        result->err = mongo_errno(m, &error);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    result->docs = req->docs;
    if (result->err == 0 && req->one && result->n_docs == 0) {
        result->err = -ENOENT;
    }
}

/* ---- events ---- */

static void take_event(struct store_arena *arena, const bson_t *from,
                       struct store_event *out)
{
    out->tenant = mongo_text(arena, from, "tenant");
    out->meeting = mongo_text(arena, from, "meeting");
    out->type = mongo_text(arena, from, "type");
    out->ref = mongo_text(arena, from, "ref");
    out->json = mongo_text(arena, from, "doc");
    out->epoch = (uint64_t)mongo_number(from, "epoch");
    out->seq = (uint64_t)mongo_number(from, "seq");
    (void)traceparent_parse(mongo_text(arena, from, "trace"), &out->trace);
    out->at_us = (uint64_t)mongo_number(from, "at_us");
    out->position = (uint64_t)mongo_number(from, "position");
}

void mongo_events(void *data, struct store_req *req)
{
    struct mongo *m = data;
    struct store_result *result = &req->result;
    int64_t limit = (int64_t)req->limit + 1;
    int64_t a = (int64_t)req->a;
    bool outbox = req->op == OP_OUTBOX;
    bool latest = outbox && req->flag;
    bson_t *query =
        latest   ? BCON_NEW("position", "{", "$gt", BCON_INT64(a), "}")
        : outbox ? BCON_NEW("acked", BCON_BOOL(false), "position", "{", "$gt",
                            BCON_INT64(a), "}")
                 : BCON_NEW("tenant", BCON_UTF8(req->text), "meeting", BCON_UTF8(req->name),
                            "$or", "[", "{", "epoch", "{", "$gt", BCON_INT64(a), "}", "}",
                            "{", "epoch", BCON_INT64(a), "seq", "{", "$gt",
                            BCON_INT64((int64_t)req->b), "}", "}", "]");
    bson_t *opts = outbox ? BCON_NEW("sort", "{", "position", BCON_INT32(latest ? -1 : 1),
                                     "}", "limit", BCON_INT64(limit))
                          : BCON_NEW("sort", "{", "epoch", BCON_INT32(1), "seq",
                                     BCON_INT32(1), "}", "limit", BCON_INT64(limit));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(m->events, query, opts, NULL);
    const bson_t *doc;
    bson_error_t error;

    req->events = store_arena_alloc(&req->arena, req->limit * sizeof(*req->events));
    while (req->events != NULL && mongoc_cursor_next(cursor, &doc)) {
        if (result->n_events == req->limit) {
            result->more = true;
            break;
        }
        take_event(&req->arena, doc, &req->events[result->n_events++]);
    }
    if (mongoc_cursor_error(cursor, &error)) {
        result->err = mongo_errno(m, &error);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    result->events = req->events;
}

void mongo_head(void *data, struct store_req *req)
{
    struct mongo *m = data;
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8(mongo_key(&req->arena, req->text, req->name)));
    bson_t *head = mongo_first(m, m->heads, query, NULL, &req->result.err);

    if (head != NULL) {
        req->result.epoch = (uint64_t)mongo_number(head, "epoch");
        req->result.seq = (uint64_t)mongo_number(head, "seq");
    }
    bson_destroy(head);
    bson_destroy(query);
}

void mongo_ack(void *data, struct store_req *req)
{
    struct mongo *m = data;
    bson_t *query = BCON_NEW("position", "{", "$gt", BCON_INT64((int64_t)m->acked), "$lte",
                             BCON_INT64((int64_t)req->a), "}");
    bson_t *update = BCON_NEW("$set", "{", "acked", BCON_BOOL(true), "}");
    bson_error_t error;

    if (req->a > m->acked) {
        if (mongoc_collection_update_many(m->events, query, update, NULL, NULL, &error)) {
            m->acked = req->a;
        } else {
            req->result.err = mongo_errno(m, &error);
        }
    }
    bson_destroy(query);
    bson_destroy(update);
}
