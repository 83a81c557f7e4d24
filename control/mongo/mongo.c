/* The connection, what it holds, and the housekeeping. */
#include "mongo/mongo.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mongo/mongo_priv.h"
#include "sys/log.h"

enum { SWEEP_MOST = 10000, SCHEMA_WAIT_MS = 600000 };

/* ---- life ---- */

/* The library begins when it is loaded, wanted or not, with a file in /dev/shm for its counters,
 * which nobody reads and a killed process would leave. So its name goes at once, before main(). */
__attribute__((constructor)) static void forget_counters(void)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "/mongoc-%d", (int)getpid());
    (void)shm_unlink(name);
}

static void library_begin(void)
{
    mongoc_init();
    mongoc_log_set_handler(NULL, NULL); /* errors come back to us */
}

static int make_index(struct mongo *m, mongoc_database_t *db, const char *name,
                      const bson_t *index)
{
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(name), "indexes", "[",
                               BCON_DOCUMENT(index), "]");
    bson_error_t error;
    int err = 0;

    if (!mongoc_database_command_simple(db, command, NULL, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(command);
    return err;
}

/* Those of 'indexes' (moved) that are not there yet. One by one: FerretDB 1.24 falls over
 * several of which some are there, as a start that was killed leaves them. */
static int make_indexes(struct mongo *m, mongoc_database_t *db, const char *name,
                        bson_t *indexes)
{
    bson_iter_t at;
    int err = bson_iter_init(&at, indexes) ? 0 : -EINVAL;

    while (err == 0 && bson_iter_next(&at)) {
        const uint8_t *data;
        uint32_t len;
        bson_t index;

        bson_iter_document(&at, &len, &data);
        err =
            bson_init_static(&index, data, len) ? make_index(m, db, name, &index) : -EINVAL;
    }
    bson_destroy(indexes);
    return err;
}

static bson_t *kind_indexes(void)
{
    return BCON_NEW("0", "{", "name", "unique_1", "key", "{", "unique", BCON_INT32(1), "}",
                    "unique", BCON_BOOL(true), "}", "1", "{", "name", "name_1", "key", "{",
                    "tenant", BCON_INT32(1), "name", BCON_INT32(1), "}", "}", "2", "{",
                    "name", "at_1", "key", "{", "tenant", BCON_INT32(1), "at",
                    BCON_INT32(1), "id", BCON_INT32(1), "}", "}", "3", "{", "name", "grp_1",
                    "key", "{", "tenant", BCON_INT32(1), "grp", BCON_INT32(1), "at",
                    BCON_INT32(1), "id", BCON_INT32(1), "}", "}", "4", "{", "name", "ref_1",
                    "key", "{", "tenant", BCON_INT32(1), "ref", BCON_INT32(1), "at",
                    BCON_INT32(1), "id", BCON_INT32(1), "}", "}", "5", "{", "name",
                    "expires_1", "key", "{", "expires", BCON_INT32(1), "}", "}");
}

static bson_t *event_indexes(void)
{
    return BCON_NEW("0", "{", "name", "position_1", "key", "{", "position", BCON_INT32(1),
                    "}", "unique", BCON_BOOL(true), "}", "1", "{", "name", "meeting_1",
                    "key", "{", "tenant", BCON_INT32(1), "meeting", BCON_INT32(1), "epoch",
                    BCON_INT32(1), "seq", BCON_INT32(1), "}", "}", "2", "{", "name",
                    "ref_1", "key", "{", "tenant", BCON_INT32(1), "ref", BCON_INT32(1), "}",
                    "}");
}

static bson_t *head_indexes(void)
{
    return BCON_NEW("0", "{", "name", "busy_1", "key", "{", "busy", BCON_INT32(1), "}",
                    "}");
}

/* ---- the schema ---- */

/* Indexes, version by version. A version that was released is never edited: what comes
 * later is a step of its own, so that every older database can be brought forward. */

static int step_1(struct mongo *m, mongoc_database_t *db)
{
    int err = make_indexes(m, db, "event", event_indexes());

    for (int i = 0; err == 0 && i <= STORE_ATTENDANCE; i++) {
        err = make_indexes(m, db, store_kind_name((enum store_kind)i), kind_indexes());
    }
    return err != 0 ? err : make_indexes(m, db, "head", head_indexes());
}

/* What was recorded of meetings. */
static int step_2(struct mongo *m, mongoc_database_t *db)
{
    return make_indexes(m, db, store_kind_name(STORE_RECORDING), kind_indexes());
}

/* What the sweep looks for: without it each one reads all events. */
static int step_3(struct mongo *m, mongoc_database_t *db)
{
    return make_indexes(m, db, "event",
                        BCON_NEW("0", "{", "name", "at_us_1", "key", "{", "at_us",
                                 BCON_INT32(1), "}", "}"));
}

static int (*const steps[])(struct mongo *m, mongoc_database_t *db) = {step_1, step_2,
                                                                       step_3};
enum { SCHEMA_VERSION = sizeof(steps) / sizeof(steps[0]) };

/* The version of the schema in the database; 0: there is none yet. */
static int read_version(struct mongo *m, int64_t *version, char err[STORE_ERR_MAX])
{
    bson_t *query = BCON_NEW("_id", BCON_UTF8("schema"));
    int ret = 0;
    bson_t *found = mongo_first(m, m->meta, query, NULL, &ret);

    *version = found != NULL ? mongo_number(found, "version") : 0;
    if (*version > SCHEMA_VERSION) { /* a database of a newer program is left alone */
        (void)snprintf(
            err, STORE_ERR_MAX,
            "the store is of version %lld, this program knows versions up to %d: "
            "run the newer kcs-control",
            (long long)*version, SCHEMA_VERSION);
        ret = -ENOTSUP;
    }
    bson_destroy(found);
    bson_destroy(query);
    return ret;
}

static int take_step(struct mongo *m, mongoc_database_t *db, int32_t to)
{
    bson_t *which = BCON_NEW("_id", BCON_UTF8("schema"));
    bson_t *mark = BCON_NEW("_id", BCON_UTF8("schema"), "version", BCON_INT32(to));
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_error_t error;
    int err = steps[to - 1](m, db);

    if (err == 0 &&
        !mongoc_collection_replace_one(m->meta, which, mark, opts, NULL, &error)) {
        err = mongo_errno(m, &error);
    }
    bson_destroy(opts);
    bson_destroy(mark);
    bson_destroy(which);
    return err;
}

/* The field of the document that is first by it, from below (way 1) or above (-1); 0: none
 * is found. 'query' is moved. */
static int first_by(struct mongo *m, mongoc_collection_t *from, bson_t *query,
                    const char *field, int32_t way, uint64_t *out)
{
    bson_t *opts =
        BCON_NEW("sort", "{", field, BCON_INT32(way), "}", "limit", BCON_INT64(1));
    int err = 0;
    bson_t *found = mongo_first(m, from, query, opts, &err);

    *out = found != NULL ? (uint64_t)mongo_number(found, field) : 0;
    bson_destroy(found);
    bson_destroy(opts);
    bson_destroy(query);
    return err;
}

/* Where the outbox ends, and up to where it is acknowledged. */
static int read_positions(struct mongo *m)
{
    uint64_t waiting = 0;
    int ret = first_by(m, m->events, bson_new(), "position", -1, &m->position);

    if (ret == 0) {
        ret = mongo_recover(m);
    }
    if (ret == 0) {
        ret = first_by(m, m->events, BCON_NEW("acked", BCON_BOOL(false)), "position", 1,
                       &waiting);
    }
    m->acked = waiting != 0 ? waiting - 1 : m->position;
    return ret;
}

/* By a client of its own: a server makes the index of a full collection for longer than an
 * answer to anything else is waited for, and the URL may limit that, too. */
static int bring_forward(struct mongo *m, mongoc_uri_t *uri, const char *name,
                         int64_t version)
{
    mongoc_client_t *patient;
    mongoc_database_t *db;
    int ret = 0;

    log_info("store_schema", LOG_I64("from", version), LOG_I64("to", SCHEMA_VERSION));
    (void)mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, SCHEMA_WAIT_MS);
    patient = mongoc_client_new_from_uri(uri);
    if (patient == NULL) {
        return -ENOMEM;
    }
    (void)mongoc_client_set_error_api(patient, MONGOC_ERROR_API_VERSION_2);
    db = mongoc_client_get_database(patient, name);
    for (; ret == 0 && version < SCHEMA_VERSION; version++) {
        ret = take_step(m, db, (int32_t)version + 1);
    }
    mongoc_database_destroy(db);
    mongoc_client_destroy(patient);
    return ret;
}

static int prepare(struct mongo *m, mongoc_uri_t *uri, const char *name,
                   char err[STORE_ERR_MAX])
{
    int64_t version;
    int ret = read_version(m, &version, err);

    if (ret == 0 && version < SCHEMA_VERSION) {
        ret = bring_forward(m, uri, name, version);
    }
    return ret != 0 ? ret : read_positions(m);
}

static void mongo_close(void *data)
{
    struct mongo *m = data;

    for (int i = 0; i < STORE_N_KINDS; i++) {
        if (m->kinds[i] != NULL) {
            mongoc_collection_destroy(m->kinds[i]);
        }
    }
    if (m->heads != NULL) {
        mongoc_collection_destroy(m->heads);
        mongoc_collection_destroy(m->events);
        mongoc_collection_destroy(m->meta);
    }
    if (m->client != NULL) {
        mongoc_client_destroy(m->client);
    }
    free(m);
}

/* 'full': acknowledged by the journals of most of its servers. */
static void set_concern(struct mongo *m, enum store_synchronous synchronous)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_new();

    if (synchronous == STORE_SYNC_FULL) {
        mongoc_write_concern_set_wmajority(concern, 0);
        mongoc_write_concern_set_journal(concern, true);
    }
    mongoc_client_set_write_concern(m->client, concern);
    mongoc_write_concern_destroy(concern);
}

static void limit_wait(mongoc_uri_t *uri, const char *option)
{
    if (!mongoc_uri_has_option(uri, option)) {
        (void)mongoc_uri_set_option_as_int32(uri, option, MONGO_WAIT_MS);
    }
}

/* Says that nobody answers, without the password that may be in the URL. */
static int ping(struct mongo *m, mongoc_database_t *db, const mongoc_uri_t *uri,
                char err[STORE_ERR_MAX])
{
    const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri);
    bson_t *command = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error;
    int ret = 0;

    if (!mongoc_database_command_simple(db, command, NULL, NULL, &error)) {
        (void)snprintf(err, STORE_ERR_MAX, "no MongoDB takes us at %.80s: %.300s",
                       host != NULL ? host->host_and_port : "(no host)", error.message);
        ret = mongo_errno(m, &error);
    }
    bson_destroy(command);
    return ret;
}

static int connect_to(struct mongo *m, mongoc_uri_t *uri, const struct store_conf *conf,
                      char err[STORE_ERR_MAX])
{
    const char *name = mongoc_uri_get_database(uri);
    mongoc_database_t *db;
    int ret;

    name = name != NULL ? name : "kcs";
    limit_wait(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS);
    limit_wait(uri, MONGOC_URI_CONNECTTIMEOUTMS);
    limit_wait(uri, MONGOC_URI_SOCKETTIMEOUTMS);
    m->client = mongoc_client_new_from_uri(uri);
    if (m->client == NULL) {
        (void)snprintf(err, STORE_ERR_MAX, "the URL asks for what libmongoc cannot do");
        return -EINVAL;
    }
    (void)mongoc_client_set_error_api(m->client, MONGOC_ERROR_API_VERSION_2);
    set_concern(m, conf->synchronous);
    for (int i = 0; i < STORE_N_KINDS; i++) {
        m->kinds[i] = mongoc_client_get_collection(m->client, name,
                                                   store_kind_name((enum store_kind)i));
    }
    m->heads = mongoc_client_get_collection(m->client, name, "head");
    m->events = mongoc_client_get_collection(m->client, name, "event");
    m->meta = mongoc_client_get_collection(m->client, name, "meta");
    db = mongoc_client_get_database(m->client, name);
    ret = ping(m, db, uri, err);
    if (ret == 0) {
        ret = prepare(m, uri, name, err);
    }
    mongoc_database_destroy(db);
    return ret;
}

static int mongo_open(void **out, const struct store_conf *conf, char err[STORE_ERR_MAX])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct mongo *m = calloc(1, sizeof(*m));
    bson_error_t error;
    mongoc_uri_t *uri;
    int ret;

    if (m == NULL) {
        return -ENOMEM;
    }
    (void)pthread_once(&once, library_begin);
    uri = mongoc_uri_new_with_error(conf->path, &error);
    if (uri == NULL) {
        (void)snprintf(err, STORE_ERR_MAX, "not a MongoDB URL: %.300s", error.message);
        free(m);
        return -EINVAL;
    }
    ret = connect_to(m, uri, conf, err);
    mongoc_uri_destroy(uri);
    if (ret != 0) {
        if (err[0] == '\0') {
            (void)snprintf(err, STORE_ERR_MAX, "the database cannot be prepared: %s",
                           strerror(-ret));
        }
        mongo_close(m);
        return ret;
    }
    *out = m;
    return 0;
}

static int mongo_last(void *data, uint64_t *epoch, uint64_t *seq)
{
    struct mongo *m = data;
    int err = first_by(m, m->heads, bson_new(), "epoch", -1, epoch);

    return err != 0 ? err : first_by(m, m->heads, bson_new(), "seq", -1, seq);
}

/* ---- housekeeping ---- */

/* Deletes what a query finds, SWEEP_MOST at most. */
static int delete_some(struct mongo *m, mongoc_collection_t *from, const bson_t *query,
                       uint64_t *n)
{
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}", "limit",
                            BCON_INT64(SWEEP_MOST));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(from, query, opts, NULL);
    const bson_t *doc;
    bson_error_t error;
    int err = 0;

    while (err == 0 && mongoc_cursor_next(cursor, &doc)) {
        if (mongoc_collection_delete_one(from, doc, NULL, NULL, &error)) {
            ++*n;
        } else {
            err = mongo_errno(m, &error);
        }
    }
    if (err == 0 && mongoc_cursor_error(cursor, &error)) {
        err = mongo_errno(m, &error);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    return err;
}

static void sweep(void *data, struct store_req *req)
{
    struct mongo *m = data;
    bson_t *old =
        BCON_NEW("expires", "{", "$gt", BCON_INT64(0), "$lte", BCON_INT64(req->now_s), "}");
    bson_t *events = BCON_NEW("at_us", "{", "$lt", BCON_INT64((int64_t)req->a), "}");
    struct store_result *result = &req->result;

    if (!req->flag) {
        (void)BSON_APPEND_BOOL(events, "acked", true);
    }
    result->err =
        mongo_recover(m); /* a list may have landed when it was given up for lost */
    for (int i = 0; result->err == 0 && i < STORE_N_KINDS; i++) {
        result->err = delete_some(m, m->kinds[i], old, &result->n);
    }
    if (result->err == 0) {
        result->err = delete_some(m, m->events, events, &result->n);
    }
    bson_destroy(old);
    bson_destroy(events);
}

static uint64_t count_of(const bson_t *reply, const char *field)
{
    return (uint64_t)mongo_number(reply, field);
}

static void erase(void *data, struct store_req *req)
{
    struct mongo *m = data;
    bson_t *of = BCON_NEW("tenant", BCON_UTF8(req->text), "ref", BCON_UTF8(req->name));
    bson_t *user = BCON_NEW("tenant", BCON_UTF8(req->text), "id", BCON_UTF8(req->name));
    bson_t *blank =
        BCON_NEW("$set", "{", "doc", BCON_UTF8(STORE_ERASED), "ref", BCON_UTF8(""), "}");
    struct store_result *result = &req->result;
    bson_error_t error;
    bson_t reply;

    for (int i = 0; result->err == 0 && i <= STORE_N_KINDS; i++) {
        bool ok = true;

        if (i == STORE_AUDIT) {
            continue;
        }
        if (i == STORE_N_KINDS) {
            ok = mongoc_collection_update_many(m->events, of, blank, NULL, &reply, &error);
            result->n += count_of(&reply, "modifiedCount");
        } else {
            ok = mongoc_collection_delete_many(m->kinds[i], i == STORE_USER ? user : of,
                                               NULL, &reply, &error);
            result->n += count_of(&reply, "deletedCount");
        }
        bson_destroy(&reply);
        result->err = ok ? 0 : mongo_errno(m, &error);
    }
    bson_destroy(of);
    bson_destroy(user);
    bson_destroy(blank);
}

/* ---- requests ---- */

/* Each is done by itself: there is nothing to frame. */
static int mongo_begin(void *data, bool careful)
{
    (void)data;
    (void)careful;
    return 0;
}

static int mongo_commit(void *data)
{
    (void)data;
    return 0;
}

static bool mongo_run(void *data, struct store_req *req)
{
    struct mongo *m = data;

    req->result.err = m->unsure ? mongo_recover(m) : 0;
    if (req->result.err == 0) {
        store_mongo.ops[req->op](m, req);
    }
    if (req->arena.failed && req->result.err == 0) {
        req->result.err = -ENOMEM;
    }
    return true;
}

static int mongo_backup(const char *from, const char *to)
{
    (void)from;
    (void)to;
    return -ENOTSUP;
}

const struct store_backend store_mongo = {.open = mongo_open,
                                          .close = mongo_close,
                                          .last = mongo_last,
                                          .begin = mongo_begin,
                                          .commit = mongo_commit,
                                          .run = mongo_run,
                                          .ops = {[OP_WRITE] = mongo_write,
                                                  [OP_FIND] = mongo_find,
                                                  [OP_EVENTS] = mongo_events,
                                                  [OP_OUTBOX] = mongo_events,
                                                  [OP_HEAD] = mongo_head,
                                                  [OP_ACK] = mongo_ack,
                                                  [OP_SWEEP] = sweep,
                                                  [OP_ERASE] = erase},
                                          .backup = mongo_backup};
