/* The parts of the MongoDB backend. Everything runs on the store's thread. */
#ifndef MONGO_MONGO_PRIV_H
#define MONGO_MONGO_PRIV_H

#include <mongoc/mongoc.h>

#include "store/store_priv.h"

enum { MONGO_WAIT_MS = 3000 }; /* for a server that does not answer */

struct mongo {
    mongoc_client_t *client;
    mongoc_collection_t *kinds[STORE_N_KINDS], *heads, *events, *meta;
    uint64_t position; /* the last that was given out */
    uint64_t acked;    /* up to it all events are marked; none is put below it */
    bool unsure;       /* an answer was lost: something may be on its way in a head */
};

/* "TENANT\nID": what a document is named by. "" of 'failed' without memory. */
const char *mongo_key(struct store_arena *arena, const char *tenant, const char *id);

/* What no two documents of a kind have: a name, or where there is none the id. */
const char *mongo_unique(struct store_arena *arena, const struct store_doc *doc);

/* What the library's error is to our callers; notes if the server is away. */
int mongo_errno(struct mongo *m, const bson_error_t *error);

/* Fields of a document; strings are copied to the arena. */
const char *mongo_text(struct store_arena *arena, const bson_t *doc, const char *field);
int64_t mongo_number(const bson_t *doc, const char *field);

/* The columns of a document that is put, all but its version. */
void mongo_columns(bson_t *out, const struct store_doc *doc, const char *key,
                   struct store_arena *arena);

/* Runs query on a collection: the first document (to be destroyed), or NULL with *err 0 or
 * -errno. opts may be NULL. */
bson_t *mongo_first(struct mongo *m, mongoc_collection_t *from, const bson_t *query,
                    const bson_t *opts, int *err);

void mongo_write(void *data, struct store_req *req);
void mongo_find(void *data, struct store_req *req);
void mongo_events(void *data, struct store_req *req);
void mongo_ack(void *data, struct store_req *req);
void mongo_head(void *data, struct store_req *req);

/* Brings what is on its way in heads to its end. 0 or -errno. Its events get positions
 * behind all that were given out: what reads the outbox may be past theirs. */
int mongo_recover(struct mongo *m);

#endif
