/* Writing. One write of a document is one command of the server's. A list is planned (what
 * it demands is looked at, versions and numbers are given out), written whole into the head
 * of its meeting, and that is when it has happened; then each write goes to its place, so
 * that it may be repeated: the documents that stand in a head have their versions already.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mongo/mongo_priv.h"
#include "sys/log.h"

void mongo_columns(bson_t *out, const struct store_doc *doc, const char *key,
                   struct store_arena *arena)
{
    if (key != NULL) {
        (void)BSON_APPEND_UTF8(out, "_id", key);
    }
    (void)BSON_APPEND_UTF8(out, "tenant", doc->tenant);
    (void)BSON_APPEND_UTF8(out, "id", doc->id);
    (void)BSON_APPEND_UTF8(out, "name", doc->name);
    (void)BSON_APPEND_UTF8(out, "unique", mongo_unique(arena, doc));
    (void)BSON_APPEND_UTF8(out, "grp", doc->group);
    (void)BSON_APPEND_UTF8(out, "ref", doc->ref);
    (void)BSON_APPEND_UTF8(out, "state", doc->state);
    (void)BSON_APPEND_INT64(out, "at", doc->at);
    (void)BSON_APPEND_INT64(out, "until", doc->until);
    (void)BSON_APPEND_INT64(out, "expires", doc->expires_s);
    (void)BSON_APPEND_UTF8(out, "doc", doc->json);
}

static bool is_fixed(const struct store_write *w)
{
    return w->kind == STORE_AUDIT && (w->what == STORE_DELETE || w->expect != 0);
}

/* ---- one document ---- */

/* Changes and tells what came of it: the document, NULL if there was none, or *err. */
static bson_t *change(struct mongo *m, mongoc_collection_t *in, const bson_t *query,
                      const bson_t *update, bool upsert, int *err)
{
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    bson_t *found = NULL;
    bson_iter_t iter;
    bson_error_t error;
    bson_t reply;
    bool ok;

    (void)mongoc_find_and_modify_opts_set_update(opts, update);
    (void)mongoc_find_and_modify_opts_set_flags(
        opts, MONGOC_FIND_AND_MODIFY_RETURN_NEW |
                  (upsert ? MONGOC_FIND_AND_MODIFY_UPSERT : MONGOC_FIND_AND_MODIFY_NONE));
    ok = mongoc_collection_find_and_modify_with_opts(in, query, opts, &reply, &error);
    *err = ok ? 0 : mongo_errno(m, &error);
    if (ok && bson_iter_init_find(&iter, &reply, "value") &&
        BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        const uint8_t *data;
        uint32_t len;

        bson_iter_document(&iter, &len, &data);
        found = bson_new_from_data(data, len);
    }
    bson_destroy(&reply);
    mongoc_find_and_modify_opts_destroy(opts);
    return found;
}

/* -ESTALE if it is there, -ENOENT if not. */
static int stale_or_absent(struct mongo *m, mongoc_collection_t *in, const char *key)
{
    bson_t *query = BCON_NEW("_id", BCON_UTF8(key));
    int err;
    bson_t *found = mongo_first(m, in, query, NULL, &err);
    bool there = found != NULL;

    bson_destroy(found);
    bson_destroy(query);
    return err != 0 ? err : there ? -ESTALE : -ENOENT;
}

static int insert(struct mongo *m, struct store_req *req, const struct store_write *w,
                  const char *key)
{
    bson_t *doc = bson_new();
    bson_error_t error;
    int err = 0;

    mongo_columns(doc, &w->doc, key, &req->arena);
    (void)BSON_APPEND_INT64(doc, "version", 1);
    if (!mongoc_collection_insert_one(m->kinds[w->kind], doc, NULL, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(doc);
    req->result.version = 1;
    return err;
}

static int update(struct mongo *m, struct store_req *req, const struct store_write *w,
                  const char *key)
{
    bool any = w->expect == STORE_ANY;
    bson_t *query =
        any ? BCON_NEW("_id", BCON_UTF8(key))
            : BCON_NEW("_id", BCON_UTF8(key), "version", BCON_INT64((int64_t)w->expect));
    bson_t *set = bson_new();
    bson_t *to;
    bson_t *found;
    int err;

    mongo_columns(set, &w->doc, NULL, &req->arena);
    to = BCON_NEW("$set", BCON_DOCUMENT(set), "$inc", "{", "version", BCON_INT64(1), "}");
    found = change(m, m->kinds[w->kind], query, to, any, &err);
    if (found != NULL) {
        req->result.version = (uint64_t)mongo_number(found, "version");
    } else if (err == 0) {
        err = stale_or_absent(m, m->kinds[w->kind], key);
    }
    bson_destroy(found);
    bson_destroy(to);
    bson_destroy(set);
    bson_destroy(query);
    return err;
}

static int erase(struct mongo *m, const struct store_write *w, const char *key)
{
    bson_t *query = w->expect == STORE_ANY ? BCON_NEW("_id", BCON_UTF8(key))
                                           : BCON_NEW("_id", BCON_UTF8(key), "version",
                                                      BCON_INT64((int64_t)w->expect));
    bson_error_t error;
    bson_t reply;
    int err = 0;

    if (!mongoc_collection_delete_one(m->kinds[w->kind], query, NULL, &reply, &error)) {
        err = mongo_errno(m, &error);
    } else if (mongo_number(&reply, "deletedCount") == 0) {
        err = stale_or_absent(m, m->kinds[w->kind], key);
    }
    bson_destroy(&reply);
    bson_destroy(query);
    return err;
}

static void write_one(struct mongo *m, struct store_req *req)
{
    const struct store_write *w = &req->writes[0];
    const char *key = mongo_key(&req->arena, w->doc.tenant, w->doc.id);

    if (is_fixed(w)) {
        req->result.err = -EPERM;
    } else if (w->what == STORE_DELETE) {
        req->result.err = erase(m, w, key);
    } else if (w->expect == 0) {
        req->result.err = insert(m, req, w, key);
    } else {
        req->result.err = update(m, req, w, key);
    }
}

/* ---- a list: planned ---- */

struct plan {
    struct mongo *m;
    struct store_req *req;
    const char *key; /* of the head */
    bool had_head;
    uint64_t old_epoch, old_seq, epoch, seq; /* of the head: found, and to be */
    bson_t pending;
    uint32_t n;
    /* of each write */
    const char *keys[STORE_WRITES_MAX], *uniques[STORE_WRITES_MAX];
    int64_t versions[STORE_WRITES_MAX]; /* as it leaves it; 0: there is none then */
};

/* The version that a write finds: an earlier one of the list may have left it. */
static int version_before(struct plan *p, size_t i, int64_t *version)
{
    const struct store_write *w = &p->req->writes[i];
    bson_t *query;
    bson_t *found;
    int err;

    for (size_t k = i; k-- > 0;) {
        const struct store_write *before = &p->req->writes[k];

        if (before->what != STORE_EVENT && before->kind == w->kind &&
            strcmp(p->keys[k], p->keys[i]) == 0) {
            *version = p->versions[k];
            return 0;
        }
    }
    query = BCON_NEW("_id", BCON_UTF8(p->keys[i]));
    found = mongo_first(p->m, p->m->kinds[w->kind], query, NULL, &err);
    *version = found != NULL ? mongo_number(found, "version") : 0;
    bson_destroy(found);
    bson_destroy(query);
    return err;
}

/* Whether another document has its name, or will have. */
static int look_for_name(struct plan *p, size_t i)
{
    const struct store_write *w = &p->req->writes[i];
    bson_t *query;
    bson_t *found;
    int err;

    if (w->doc.name[0] == '\0') {
        return 0;
    }
    for (size_t k = 0; k < i; k++) {
        const struct store_write *before = &p->req->writes[k];

        if (before->what == STORE_PUT && before->kind == w->kind &&
            strcmp(p->uniques[k], p->uniques[i]) == 0 &&
            strcmp(p->keys[k], p->keys[i]) != 0) {
            return -EEXIST;
        }
    }
    query = BCON_NEW("unique", BCON_UTF8(p->uniques[i]), "_id", "{", "$ne",
                     BCON_UTF8(p->keys[i]), "}");
    found = mongo_first(p->m, p->m->kinds[w->kind], query, NULL, &err);
    if (found != NULL) {
        err = -EEXIST;
    }
    bson_destroy(found);
    bson_destroy(query);
    return err;
}

static void add_pending(struct plan *p, bson_t *entry)
{
    char number[16];
    const char *key;

    (void)bson_uint32_to_string(p->n++, &key, number, sizeof(number));
    (void)BSON_APPEND_DOCUMENT(&p->pending, key, entry);
    bson_destroy(entry);
}

static int plan_doc(struct plan *p, size_t i)
{
    const struct store_write *w = &p->req->writes[i];
    struct store_arena *arena = &p->req->arena;
    int64_t version;
    bson_t *doc;
    int err;

    if (is_fixed(w)) {
        return -EPERM;
    }
    p->keys[i] = mongo_key(arena, w->doc.tenant, w->doc.id);
    p->uniques[i] = mongo_unique(arena, &w->doc);
    err = version_before(p, i, &version);
    if (err != 0) {
        return err;
    }
    if (w->expect == 0 && version != 0) {
        return -EEXIST;
    }
    if (version == 0 &&
        (w->what == STORE_DELETE || (w->expect != 0 && w->expect != STORE_ANY))) {
        return -ENOENT;
    }
    if (w->expect != STORE_ANY && w->expect != (uint64_t)version) {
        return -ESTALE;
    }
    if (w->what == STORE_DELETE) {
        add_pending(p, BCON_NEW("kind", BCON_INT32((int32_t)w->kind), "gone",
                                BCON_UTF8(p->keys[i])));
        p->versions[i] = 0;
        return 0;
    }
    err = look_for_name(p, i);
    if (err != 0) {
        return err;
    }
    p->versions[i] = version + 1;
    p->req->result.version = (uint64_t)version + 1;
    doc = bson_new();
    mongo_columns(doc, &w->doc, p->keys[i], arena);
    (void)BSON_APPEND_INT64(doc, "version", version + 1);
    add_pending(p,
                BCON_NEW("kind", BCON_INT32((int32_t)w->kind), "put", BCON_DOCUMENT(doc)));
    bson_destroy(doc);
    return 0;
}

/* Numbers, as SQLite's: store.h. */
static int plan_event(struct plan *p, size_t i)
{
    const struct store_event *e = &p->req->writes[i].event;
    char id[2 * STORE_ID_MAX + 64];
    char trace[TRACEPARENT_TEXT];
    bson_t *doc;

    if (e->epoch != 0 && e->epoch < p->epoch) {
        return -ESTALE;
    }
    if (e->epoch > p->epoch) { /* another owner: it counts anew, from where it says */
        p->epoch = e->epoch;
        p->seq = 0;
    } else if (p->epoch == 0) {
        p->epoch = 1;
    }
    if (e->seq != 0 && e->seq <= p->seq) {
        return -ESTALE;
    }
    p->seq = e->seq != 0 ? e->seq : p->seq + 1;
    (void)snprintf(id, sizeof(id), "%s\n%llu\n%llu", p->key, (unsigned long long)p->epoch,
                   (unsigned long long)p->seq);
    traceparent_write(&e->trace, trace);
    doc = BCON_NEW("_id", BCON_UTF8(id), "tenant", BCON_UTF8(e->tenant), "meeting",
                   BCON_UTF8(e->meeting), "epoch", BCON_INT64((int64_t)p->epoch), "seq",
                   BCON_INT64((int64_t)p->seq), "type", BCON_UTF8(e->type), "ref",
                   BCON_UTF8(e->ref), "at_us", BCON_INT64((int64_t)e->at_us), "doc",
                   BCON_UTF8(e->json), "trace", BCON_UTF8(trace), "acked", BCON_BOOL(false),
                   "position", BCON_INT64((int64_t)++p->m->position));
    add_pending(p, BCON_NEW("event", BCON_DOCUMENT(doc)));
    bson_destroy(doc);
    p->req->result.epoch = p->epoch;
    p->req->result.seq = p->seq;
    return 0;
}

/* The head of the list's meeting, or of its tenant if it has no event. */
static int read_head(struct plan *p)
{
    const struct store_write *w = p->req->writes;
    const char *tenant = w[0].what == STORE_EVENT ? w[0].event.tenant : w[0].doc.tenant;
    const char *meeting = "";
    bson_t *query;
    bson_t *head;
    int err;

    for (size_t i = 0; i < p->req->n; i++) {
        if (w[i].what == STORE_EVENT) {
            meeting = w[i].event.meeting;
        }
    }
    p->key = mongo_key(&p->req->arena, tenant, meeting);
    query = BCON_NEW("_id", BCON_UTF8(p->key));
    head = mongo_first(p->m, p->m->heads, query, NULL, &err);
    p->had_head = head != NULL;
    if (head != NULL && mongo_number(head, "busy") != 0) { /* it would be written over */
        err = mongo_recover(p->m);
    }
    if (head != NULL) {
        p->old_epoch = p->epoch = (uint64_t)mongo_number(head, "epoch");
        p->old_seq = p->seq = (uint64_t)mongo_number(head, "seq");
    }
    bson_destroy(head);
    bson_destroy(query);
    return err;
}

/* ---- a list: done ---- */

/* It has happened when this has. */
static int put_head(struct plan *p)
{
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8(p->key), "epoch", BCON_INT64((int64_t)p->old_epoch),
                 "seq", BCON_INT64((int64_t)p->old_seq));
    bson_t *set =
        BCON_NEW("epoch", BCON_INT64((int64_t)p->epoch), "seq", BCON_INT64((int64_t)p->seq),
                 "busy", BCON_BOOL(true), "pending", BCON_ARRAY(&p->pending));
    bson_t *whole = BCON_NEW("_id", BCON_UTF8(p->key));
    bson_t *to = BCON_NEW("$set", BCON_DOCUMENT(set));
    bson_error_t error;
    int err = 0;

    if (p->had_head) {
        bson_t *found = change(p->m, p->m->heads, query, to, false, &err);

        if (found == NULL && err == 0) {
            err = -EAGAIN; /* another node writes here */
        }
        bson_destroy(found);
    } else {
        (void)bson_concat(whole, set);
        if (!mongoc_collection_insert_one(p->m->heads, whole, NULL, NULL, &error)) {
            err = mongo_errno(p->m, &error);
            err = err == -EEXIST ? -EAGAIN : err;
        }
    }
    bson_destroy(to);
    bson_destroy(whole);
    bson_destroy(set);
    bson_destroy(query);
    return err;
}

static bool take_member(const bson_iter_t *entry, const char *name, bson_t *out)
{
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t len;

    if (!bson_iter_recurse(entry, &iter) || !bson_iter_find(&iter, name) ||
        !BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        return false;
    }
    bson_iter_document(&iter, &len, &data);
    return bson_init_static(out, data, len);
}

static int replace(struct mongo *m, mongoc_collection_t *in, const bson_t *doc)
{
    bson_iter_t iter;
    bson_t *query;
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_error_t error;
    int err = 0;

    if (!bson_iter_init_find(&iter, doc, "_id")) {
        bson_destroy(opts);
        return -EINVAL;
    }
    query = BCON_NEW("_id", BCON_UTF8(bson_iter_utf8(&iter, NULL)));
    if (!mongoc_collection_replace_one(in, query, doc, opts, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(opts);
    bson_destroy(query);
    return err;
}

/* One that is there already stays: it may have been acknowledged since, or erased. */
static int put_event(struct mongo *m, const bson_t *doc, bool late)
{
    bson_t columns = BSON_INITIALIZER;
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_iter_t iter;
    bson_error_t error;
    bson_t *query;
    bson_t *update;
    int err = 0;

    if (!bson_iter_init_find(&iter, doc, "_id")) {
        bson_destroy(opts);
        return -EINVAL;
    }
    query = BCON_NEW("_id", BCON_UTF8(bson_iter_utf8(&iter, NULL)));
    bson_copy_to_excluding_noinit(doc, &columns, "_id", late ? "position" : NULL, NULL);
    if (late) {
        (void)BSON_APPEND_INT64(&columns, "position", (int64_t)++m->position);
    }
    update = BCON_NEW("$setOnInsert", BCON_DOCUMENT(&columns));
    if (!mongoc_collection_update_one(m->events, query, update, opts, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(update);
    bson_destroy(&columns);
    bson_destroy(query);
    bson_destroy(opts);
    return err;
}

/* One of the writes that stand in a head: 0, or -errno. */
static int settle(struct mongo *m, const bson_iter_t *entry, bool late)
{
    bson_iter_t iter;
    bson_error_t error;
    bson_t doc;
    int32_t kind;

    if (take_member(entry, "event", &doc)) {
        return put_event(m, &doc, late);
    }
    if (!bson_iter_recurse(entry, &iter) || !bson_iter_find(&iter, "kind")) {
        return -EINVAL;
    }
    kind = bson_iter_int32(&iter);
    if (kind < 0 || kind >= STORE_N_KINDS) {
        return -EINVAL;
    }
    if (take_member(entry, "put", &doc)) {
        return replace(m, m->kinds[kind], &doc);
    }
    if (bson_iter_recurse(entry, &iter) && bson_iter_find(&iter, "gone")) {
        bson_t *query = BCON_NEW("_id", BCON_UTF8(bson_iter_utf8(&iter, NULL)));
        bool ok = mongoc_collection_delete_one(m->kinds[kind], query, NULL, NULL, &error);

        bson_destroy(query);
        return ok ? 0 : mongo_errno(m, &error);
    }
    return -EINVAL;
}

static bool may_pass(int err)
{
    return err == -EHOSTDOWN || err == -ENOSPC || err == -EACCES;
}

/* Brings all that stands in a head to its place. What the server refuses for good is logged
 * and left: else nothing more could ever be written. */
static int settle_all(struct mongo *m, const char *key, const bson_t *pending, bool late)
{
    bson_t *query = BCON_NEW("_id", BCON_UTF8(key));
    bson_t *idle =
        BCON_NEW("$set", "{", "busy", BCON_BOOL(false), "pending", "[", "]", "}");
    bson_iter_t iter;
    bson_error_t error;
    int err = 0;

    (void)bson_iter_init(&iter, pending);
    while (!may_pass(err) && bson_iter_next(&iter)) {
        err = settle(m, &iter, late);
        if (err != 0 && !may_pass(err)) {
            log_error("store_write_lost", LOG_STR("error", strerror(-err)));
        }
    }
    err = may_pass(err) ? err : 0;
    if (err == 0 &&
        !mongoc_collection_update_one(m->heads, query, idle, NULL, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(idle);
    bson_destroy(query);
    return err;
}

static void write_list(struct mongo *m, struct store_req *req)
{
    struct plan plan = {.m = m, .req = req, .pending = BSON_INITIALIZER};
    struct store_result *result = &req->result;

    result->err = read_head(&plan);
    for (size_t i = 0; result->err == 0 && i < req->n; i++) {
        result->err =
            req->writes[i].what == STORE_EVENT ? plan_event(&plan, i) : plan_doc(&plan, i);
        if (result->err != 0) {
            result->failed = i;
        }
    }
    if (result->err == 0 && !req->arena.failed) {
        result->err = put_head(&plan);
        if (result->err == 0 && settle_all(m, plan.key, &plan.pending, false) != 0) {
            m->unsure = true; /* it has happened; mongo_recover() brings it to its end */
        }
    }
    bson_destroy(&plan.pending);
}

void mongo_write(void *data, struct store_req *req)
{
    struct mongo *m = data;
    if (req->n == 1 && req->writes[0].what != STORE_EVENT) {
        write_one(m, req);
    } else {
        write_list(m, req);
    }
}

int mongo_recover(struct mongo *m)
{
    bson_t *query = BCON_NEW("busy", BCON_BOOL(true));
    bson_t *head = NULL;
    int err = 0;

    m->unsure = false;
    while (err == 0 && (head = mongo_first(m, m->heads, query, NULL, &err)) != NULL) {
        bson_iter_t iter;
        bson_t pending;
        const uint8_t *data;
        uint32_t len;
        char key[2 * STORE_ID_MAX + 2] = "";

        if (bson_iter_init_find(&iter, head, "_id")) {
            (void)snprintf(key, sizeof(key), "%s", bson_iter_utf8(&iter, NULL));
        }
        err = -EIO;
        if (bson_iter_init_find(&iter, head, "pending") && BSON_ITER_HOLDS_ARRAY(&iter)) {
            bson_iter_array(&iter, &len, &data);
            err = bson_init_static(&pending, data, len) ? settle_all(m, key, &pending, true)
                                                        : -EIO;
        }
        bson_destroy(head);
    }
    bson_destroy(query);
    m->unsure = m->unsure || err != 0;
    return err;
}
