/* What is asked of a store becomes a request, copied and within bounds; see store.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_priv.h"

static struct store_req *req_new(enum store_op op, store_done *done, void *arg)
{
    struct store_req *req = calloc(1, sizeof(*req));

    if (req != NULL) {
        req->op = op;
        req->patient = op == OP_ACK;
        req->done = done;
        req->arg = arg;
    }
    return req;
}

void store_req_free(struct store_req *req)
{
    store_arena_free(&req->arena);
    free(req);
}

/* A column: short. */
static const char *copy_short(struct store_req *req, const char *text, bool *ok)
{
    size_t len = text != NULL ? strlen(text) : 0;

    *ok = *ok && len <= STORE_ID_MAX;
    req->bytes += len;
    return *ok ? store_arena_bytes(&req->arena, text, len) : "";
}

static const char *copy_json(struct store_req *req, const char *text, bool *ok)
{
    size_t len;

    text = text != NULL ? text : "{}";
    len = strlen(text);
    *ok = *ok && len <= STORE_DOC_MAX;
    req->bytes += len;
    return *ok ? store_arena_bytes(&req->arena, text, len) : "";
}

static void copy_write(struct store_req *req, struct store_write *w, bool *ok)
{
    if (w->what == STORE_EVENT) {
        struct store_event *e = &w->event;

        e->tenant = copy_short(req, e->tenant, ok);
        e->meeting = copy_short(req, e->meeting, ok);
        e->type = copy_short(req, e->type, ok);
        e->ref = copy_short(req, e->ref, ok);
        e->json = copy_json(req, e->json, ok);
        *ok = *ok && e->meeting[0] != '\0' && e->type[0] != '\0' && e->epoch <= INT64_MAX &&
              e->seq <= INT64_MAX;
        return;
    }
    w->doc.tenant = copy_short(req, w->doc.tenant, ok);
    w->doc.id = copy_short(req, w->doc.id, ok);
    w->doc.name = copy_short(req, w->doc.name, ok);
    w->doc.group = copy_short(req, w->doc.group, ok);
    w->doc.ref = copy_short(req, w->doc.ref, ok);
    w->doc.state = copy_short(req, w->doc.state, ok);
    w->doc.json = copy_json(req, w->doc.json, ok);
    *ok = *ok && w->doc.id[0] != '\0' && (unsigned)w->kind < STORE_N_KINDS;
}

bool store_may_pass(int err)
{
    return err == -ENOSPC || err == -EIO || err == -EACCES || err == -EAGAIN ||
           err == -EHOSTDOWN || err == -ENOMEM;
}

int store_write(struct store *store, const struct store_write *writes, size_t n,
                store_done *done, void *arg)
{
    return store_write_in_line(store, NULL, false, writes, n, done, arg);
}

int store_write_in_line(struct store *store, struct store_line *line, bool patient,
                        const struct store_write *writes, size_t n, store_done *done,
                        void *arg)
{
    struct store_req *req;
    struct store_write *copy;
    bool ok = true;

    if (n == 0 || n > STORE_WRITES_MAX) {
        return -EINVAL;
    }
    req = req_new(OP_WRITE, done, arg);
    copy = req != NULL ? store_arena_alloc(&req->arena, n * sizeof(*copy)) : NULL;
    if (copy == NULL) {
        free(req);
        return -ENOMEM;
    }
    memcpy(copy, writes, n * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy_write(req, &copy[i], &ok);
    }
    req->writes = copy;
    req->line = line;
    req->patient = patient;
    req->n = n;
    if (!ok) {
        store_req_free(req);
        return -EINVAL;
    }
    return store_put(store, req);
}

static const char *copy_filter(struct store_req *req, const char *text, bool *ok)
{
    return text != NULL ? copy_short(req, text, ok) : NULL;
}

static int find(struct store *store, const struct store_query *query, bool one,
                store_done *done, void *arg)
{
    struct store_req *req;
    struct store_query *q;
    bool ok = (unsigned)query->kind < STORE_N_KINDS && query->limit <= STORE_FIND_MAX;

    if (!ok) {
        return -EINVAL;
    }
    req = req_new(OP_FIND, done, arg);
    if (req == NULL) {
        return -ENOMEM;
    }
    q = &req->query;
    *q = *query;
    q->tenant = copy_short(req, q->tenant, &ok);
    q->id = copy_filter(req, q->id, &ok);
    q->name = copy_filter(req, q->name, &ok);
    q->group = copy_filter(req, q->group, &ok);
    q->ref = copy_filter(req, q->ref, &ok);
    q->state = copy_filter(req, q->state, &ok);
    q->member = copy_filter(req, q->member, &ok);
    q->after_id = copy_short(req, q->after_id, &ok);
    q->limit = q->limit > 0 ? q->limit : 1;
    req->one = one;
    if (!ok) {
        store_req_free(req);
        return -EINVAL;
    }
    return store_put(store, req);
}

int store_find(struct store *store, const struct store_query *query, store_done *done,
               void *arg)
{
    return find(store, query, false, done, arg);
}

int store_get(struct store *store, enum store_kind kind, const char *tenant, const char *id,
              store_done *done, void *arg)
{
    const struct store_query query = {
        .kind = kind, .tenant = tenant, .id = id != NULL ? id : "", .limit = 1};

    return find(store, &query, true, done, arg);
}

/* The requests that are a name or two and numbers. */
static int ask(struct store *store, enum store_op op, const char *text, const char *name,
               const struct store_req *rest, store_done *done, void *arg)
{
    struct store_req *req = req_new(op, done, arg);
    bool ok = true;

    if (req == NULL) {
        return -ENOMEM;
    }
    req->a = rest->a;
    req->b = rest->b;
    req->now_s = rest->now_s;
    req->flag = rest->flag;
    req->limit = rest->limit > 0 ? rest->limit : 1;
    if (op == OP_BACKUP) {
        req->text = store_arena_text(&req->arena, text);
    } else {
        req->text = copy_short(req, text, &ok);
    }
    req->name = copy_short(req, name, &ok);
    if (!ok || req->limit > STORE_FIND_MAX) {
        store_req_free(req);
        return -EINVAL;
    }
    return store_put(store, req);
}

int store_events(struct store *store, const char *tenant, const char *meeting,
                 uint64_t epoch, uint64_t seq, uint32_t limit, store_done *done, void *arg)
{
    const struct store_req rest = {.a = epoch, .b = seq, .limit = limit};

    return ask(store, OP_EVENTS, tenant, meeting, &rest, done, arg);
}

int store_head(struct store *store, const char *tenant, const char *meeting,
               store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    return ask(store, OP_HEAD, tenant, meeting, &rest, done, arg);
}

int store_outbox(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg)
{
    const struct store_req rest = {.a = position, .limit = limit};

    return ask(store, OP_OUTBOX, NULL, NULL, &rest, done, arg);
}

int store_latest(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg)
{
    const struct store_req rest = {.a = position, .limit = limit, .flag = true};

    return ask(store, OP_OUTBOX, NULL, NULL, &rest, done, arg);
}

int store_ack(struct store *store, uint64_t position, store_done *done, void *arg)
{
    const struct store_req rest = {.a = position, .limit = 1};

    return ask(store, OP_ACK, NULL, NULL, &rest, done, arg);
}

int store_sweep(struct store *store, int64_t now_s, uint64_t events_before_us, bool unacked,
                store_done *done, void *arg)
{
    const struct store_req rest = {
        .now_s = now_s, .a = events_before_us, .flag = unacked, .limit = 1};

    return ask(store, OP_SWEEP, NULL, NULL, &rest, done, arg);
}

int store_erase(struct store *store, const char *tenant, const char *user_id,
                store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    if (user_id == NULL || user_id[0] == '\0') {
        return -EINVAL; /* it would be everybody's */
    }
    return ask(store, OP_ERASE, tenant, user_id, &rest, done, arg);
}

int store_backup(struct store *store, const char *path, store_done *done, void *arg)
{
    const struct store_req rest = {.limit = 1};

    return ask(store, OP_BACKUP, path, NULL, &rest, done, arg);
}
