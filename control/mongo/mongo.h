/* The store on MongoDB: a backend behind store/store.h, for sites that keep their data
 * there. The libmongoc folder; a build without that library has no such folder's library.
 *
 * Of the database it asks for no more than documents that change one at a time: unique
 * indexes, findAndModify, no transactions. What is one list for the caller is first written
 * whole into one document, the meeting's head, with the meeting's next number and the event
 * (that is when it has happened), and from there to where it is found. What a killed
 * process left on the way is brought to its end at open.
 *
 * One node writes to a database. */
#ifndef MONGO_MONGO_H
#define MONGO_MONGO_H

#include "store/store_priv.h"

/* store_conf.path is the URL: mongodb://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS; without a
 * database it is "kcs". max_mb is the server's business, and so are backups (-ENOTSUP). */
extern const struct store_backend store_mongo;

#endif
