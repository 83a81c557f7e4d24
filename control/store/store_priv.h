/* Between store.c, which has the queue and the thread, store_request.c, which makes what is
 * put into it, and a backend, which has the data.
 *
 * A backend is driven by one thread. 'run' does one request; requests that wait are framed
 * by begin and commit. A backend that can change only one document at once leaves both
 * empty and makes a list of writes with an event whole by writing all of it into the
 * meeting's document first, and out of it afterwards, also at open.
 *
 * tests/unit/store/conformance.c holds a backend to store.h. */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include <stdatomic.h>

#include "store/store.h"

enum { STORE_ANSWER_BYTES = 8 << 20 }; /* of documents in one answer */

enum store_op {
    OP_WRITE,
    OP_FIND,
    OP_EVENTS,
    OP_HEAD,
    OP_OUTBOX,
    OP_ACK,
    OP_SWEEP,
    OP_ERASE,
    OP_BACKUP, /* not for the thread of the others */
    N_OPS = OP_BACKUP
};

/* Memory that is freed at once. */
struct store_arena {
    struct store_chunk *chunks;
    bool failed; /* an allocation was: sticky */
};

void *store_arena_alloc(struct store_arena *arena, size_t len);
/* A copy; "" for NULL. Never NULL: without memory "" and 'failed'. */
const char *store_arena_text(struct store_arena *arena, const char *text);
const char *store_arena_bytes(struct store_arena *arena, const void *data, size_t len);
void store_arena_free(struct store_arena *arena);

struct store_req {
    struct store_req *next;
    enum store_op op;
    bool patient; /* nobody waits for it */
    store_done *done;
    void *arg;
    struct store_arena arena; /* of what was asked and of what is answered */
    size_t bytes;             /* that it counts for in the queue */

    const struct store_write *writes;
    struct store_line *line; /* of OP_WRITE; NULL: it is of none */
    size_t n;
    struct store_query query;
    bool one;         /* OP_FIND: none is -ENOENT */
    const char *text; /* tenant, or a path */
    const char *name; /* meeting, user */
    uint64_t a, b;    /* epoch, seq; position; time */
    int64_t now_s;
    uint32_t limit;
    bool flag;

    struct store_result result;
    struct store_doc *docs;     /* of the result, in the arena: room for query.limit */
    struct store_event *events; /* or, of OP_WRITE, for as many as are written */
};

/* Moves 'req' into the store's queue. 0, or it is freed: -EAGAIN (full), -ECANCELED (the store
 * ends), -ENOMEM (its arena failed). */
int store_put(struct store *store, struct store_req *req);
void store_req_free(struct store_req *req);

/* "meeting": what a backend calls the documents of that kind. */
const char *store_kind_name(enum store_kind kind);

struct store_backend {
    int (*open)(void **out, const struct store_conf *conf, char err[STORE_ERR_MAX]);
    void (*close)(void *data);
    /* The highest epoch and the highest seq that any event has. At open only. 0 or -errno.
     */
    int (*last)(void *data, uint64_t *epoch, uint64_t *seq);
    /* careful: what a request has done before it fails is undone without the others. */
    int (*begin)(void *data, bool careful);
    /* What was done since begin is kept (0), or none of it (-errno). */
    int (*commit)(void *data);
    /* Fills req->result, by one of 'ops'. False: begin must be called anew, nothing since
     * it was kept: as it may be of one that fails, unless 'careful'. */
    bool (*run)(void *data, struct store_req *req);
    void (*ops[N_OPS])(void *data, struct store_req *req);
    /* Bytes that are in use, and how many there may be (0: no bound); NULL: nobody knows.
     */
    void (*room)(void *data, uint64_t *used, uint64_t *most);
    /* Any thread, beside the others. */
    int (*backup)(const char *from, const char *to);
};

extern const struct store_backend store_sqlite;

/* store_create() on another backend than SQLite. */
int store_create_on(struct store **out, const struct store_backend *backend,
                    const struct store_conf *conf, char err[STORE_ERR_MAX]);

#endif
