/* What outlives the process: documents (users, meetings, chat, audit …) and the outbox of
 * events, behind one interface. The SQLite folder. A caller sees neither SQL nor threads:
 * each request is copied into a bounded queue, done in order by one thread of the store,
 * and answered by a callback on the loop.
 *
 * A document is JSON text with a few columns beside it, by which it is found. Writes come
 * as a list that happens as a whole or not at all, and events are writes like any other: so
 * a fact and the event that tells of it are one step (the outbox). All writes of one list
 * are about one tenant and, if it has events, about one meeting: a store that can change
 * only a single document at once (store_priv.h) keeps pending ones in the meeting's.
 *
 * An answer without error means that it is written: with synchronous 'full' it survives a
 * power cut, with 'normal' a killed process, but the last moments may be lost with the
 * power. Several requests that wait share one transaction.
 *
 * Thread: the loop's, but for the callbacks of struct store_conf. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/traceparent.h"

struct store;

enum {
    STORE_ID_MAX = 160,           /* bytes of an id, and of the other columns */
    STORE_DOC_MAX = 256 * 1024,   /* bytes of a document */
    STORE_WRITES_MAX = 64,        /* in one list */
    STORE_FIND_MAX = 1000,        /* documents or events in one answer */
    STORE_QUEUE = 16384,          /* requests that wait, at most */
    STORE_QUEUE_BYTES = 64 << 20, /* of these */
    STORE_ERR_MAX = 512
};

/* What there is; each line tells what the columns id, name, group, ref, state and at hold
 * of it. Columns that are not told are empty or 0.
 *
 * - USER: id user's; name login; state active or not; at created
 * - MEETING: id its own; group creator; state status; at start; until as long as it recurs
 * - PARTICIPANT: id meeting/user; group meeting; ref user; state role; at invited
 * - BAN: id meeting/user; group meeting; ref user; at since
 * - CHAT: id message's; group meeting; ref user; at seq
 * - ATTENDANCE: id participant's; group meeting; ref user; state present or left; at joined
 * - POLL: id its own; group meeting; ref user; state open or not; at created
 * - AUDIT: id fresh; group meeting; ref actor; state action; at when
 * - FAMILY: id its own; ref user; at issued
 * - REVOKED: id jti; ref user; at until
 * - IDEMPOTENCY: id hash of the key; group meeting that was made; ref user; at when
 * - KEY: id kid; state alg; at made
 * - RECORDING: id its own; group meeting; state running … ; at started; until it is kept
 *
 * Audit entries are written once: neither changed nor deleted before they expire. */
enum store_kind {
    STORE_USER,
    STORE_MEETING,
    STORE_PARTICIPANT,
    STORE_BAN,
    STORE_CHAT,
    STORE_POLL,
    STORE_AUDIT,
    STORE_FAMILY,
    STORE_REVOKED,
    STORE_IDEMPOTENCY,
    STORE_KEY,
    STORE_ATTENDANCE,
    STORE_RECORDING,
    STORE_N_KINDS
};

/* Every string may be NULL for an empty one; 'tenant' and 'id' are the document's name. */
struct store_doc {
    const char *tenant;
    const char *id;
    const char *name;  /* no two documents of a tenant and kind share it; empty: none */
    const char *group; /* documents that are listed together */
    const char *ref;   /* the user that it is about: found, and erased, with the user */
    const char *state;
    int64_t at;        /* what lists are ordered by */
    int64_t until;     /* it lasts, or comes again, till then; 0: no longer than 'at' */
    int64_t expires_s; /* seconds since 1970; 0: never. Then store_sweep() takes it */
    uint64_t version;  /* 1, 2 … counted by the store; not read in writes */
    const char *json;  /* NULL: "{}" */
};

/* A lasting fact of a meeting, told in order. */
struct store_event {
    const char *tenant;
    const char *meeting;
    const char *type; /* "kcs.chat.message" */
    const char *ref;  /* the user that it is about, or NULL */
    const char *json;
    struct trace trace; /* what it was a part of */
    uint64_t epoch;     /* writes: 0 is the meeting's present one (1 at first) */
    uint64_t seq;       /* writes: 0 is the next one */
    uint64_t at_us;     /* wall clock; the writer's */
    uint64_t position;  /* in the outbox: rises; the store's */
};

enum store_write_kind { STORE_PUT, STORE_DELETE, STORE_EVENT };

#define STORE_ANY UINT64_MAX

struct store_write {
    enum store_write_kind what;
    enum store_kind kind;     /* of 'doc' */
    struct store_doc doc;     /* DELETE: tenant and id only */
    uint64_t expect;          /* STORE_ANY; 0: there is none yet; else its version */
    struct store_event event; /* of EVENT */
};

/* Which documents of a tenant and kind; NULL: whatever. */
struct store_query {
    enum store_kind kind;
    const char *tenant;
    const char *id;
    const char *name;
    const char *group;
    const char *ref;
    const char *state;
    const char *member; /* MEETING only: created by this user, or has it as participant */
    int64_t from, to;   /* at < to (0: no end), and from <= at or until */
    bool descending;    /* by at, then id */
    bool after;         /* go on behind (after_at, after_id) */
    int64_t after_at;
    const char *after_id;
    uint32_t limit;  /* 1 to STORE_FIND_MAX; 0: 1 */
    bool any_tenant; /* for the node's own housekeeping */
    int64_t alive_s; /* not those that expired before; 0: all */
};

/* Valid during the callback. */
struct store_result {
    /* 0; -ENOENT, -EEXIST (there is one, or 'name' is taken), -ESTALE (another version, or
     * an event's number is not after the last), -ENOSPC (disk full), -EPERM (an audit entry
     * would change), -EHOSTDOWN (the database is away), -EINVAL, -EIO, -ENOMEM, -ECANCELED
     * (the store was closed) */
    int err;
    size_t failed; /* the write that was refused, if err is of one */
    const struct store_doc *docs;
    size_t n_docs;
    const struct store_event *events; /* of a write: what was written */
    size_t n_events;
    bool more;           /* there are others behind the last one */
    uint64_t version;    /* of the last document that was put */
    uint64_t epoch, seq; /* of the last event that was written; store_head(): the last */
    uint64_t n;          /* store_sweep(), store_erase(): how many are gone */
};

typedef void store_done(void *arg, const struct store_result *result);

enum store_synchronous { STORE_SYNC_FULL, STORE_SYNC_NORMAL };

struct store_conf {
    const char *path; /* of the file; its directory is made if only that is missing */
    enum store_synchronous synchronous;
    uint32_t max_mb; /* the file grows to no more; 0: as large as the disk allows */
    /* Has fn(arg) run on the loop's thread, as loop_post(). */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;
};

/* Opens the file, brings an older schema forward and starts the thread. At start only.
 *
 * Returns 0, or -errno with 'err' filled with one line that says what is wrong and what
 * mends it: -ENOTSUP for a file of a newer program. */
int store_create(struct store **out, const struct store_conf *conf,
                 char err[STORE_ERR_MAX]);

/* Returns after the callbacks of at least one request, or at once if none waits. Only while
 * the loop does not run yet: it would stand still meanwhile. */
void store_wait(struct store *store);

/* Does what waits and calls what callbacks are left: while all that they are about is still
 * there. From then on every request is refused with -ECANCELED. NULL is a no-op. */
void store_close(struct store *store);

/* Frees it, closed or not. NULL is a no-op. */
void store_destroy(struct store *store);

/* ---- requests: each 0, and 'done' (may be NULL) is called exactly once, later; or -EAGAIN
 * (the queue is full: answer 503), -EINVAL (too long, too many), -ECANCELED, -ENOMEM
 * without it. All that is passed is copied. ---- */

int store_write(struct store *store, const struct store_write *writes, size_t n,
                store_done *done, void *arg);

/* Writes that wait for each other. After one that failed for a reason that may pass, the
 * store refuses those of its line that were asked for meanwhile, with the same error: none
 * overtakes it. */
struct store_line {
    int err; /* the store's thread's while any of the line is on its way, else the owner's,
              * who sets it back to 0 */
};

/* store_write() in 'line', which outlives the answer. One that is patient has nobody
 * waiting for it: it may wait some milliseconds for others, to be written together. So does
 * store_ack(). Whatever is asked for after it is done after it, and at once. */
int store_write_in_line(struct store *store, struct store_line *line, bool patient,
                        const struct store_write *writes, size_t n, store_done *done,
                        void *arg);

/* Whether a write that failed with 'err' may work later: no room, no database, no memory …
 */
bool store_may_pass(int err);
int store_find(struct store *store, const struct store_query *query, store_done *done,
               void *arg);

/* The document, or -ENOENT. */
int store_get(struct store *store, enum store_kind kind, const char *tenant, const char *id,
              store_done *done, void *arg);

/* The events of a meeting after (epoch, seq), in order; what has been swept is missing. */
int store_events(struct store *store, const char *tenant, const char *meeting,
                 uint64_t epoch, uint64_t seq, uint32_t limit, store_done *done, void *arg);

/* The number of a meeting's last event: 0, 0 if there was none. */
int store_head(struct store *store, const char *tenant, const char *meeting,
               store_done *done, void *arg);

/* The outbox: events of all meetings that nobody has acknowledged, behind 'position', one
 * meeting's in order. */
int store_outbox(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg);
/* The last events of all meetings that are behind 'position', whether anybody has
 * acknowledged them or not; the latest first. */
int store_latest(struct store *store, uint64_t position, uint32_t limit, store_done *done,
                 void *arg);
/* Acknowledges all events up to 'position', and it: one that has come before was, too. */
int store_ack(struct store *store, uint64_t position, store_done *done, void *arg);

/* Has each(arg, event) called on the loop for every event that was written, by position,
 * with its numbers; NULL for a list whose events the store does not tell. Then fn(arg),
 * once for all that were by then. Both come after the answers to those writes; all is
 * borrowed. One listener at a time; NULL: no more. What another process has written is not
 * told of. */
void store_on_events(struct store *store,
                     void (*each)(void *arg, const struct store_event *event),
                     void (*fn)(void *arg), void *arg);

/* Takes documents that have expired before now_s, and events older than events_before_us
 * that are acknowledged (unacked: those that are not, too, for a node without readers). At
 * most 10,000 of each; result.n says how many. */
int store_sweep(struct store *store, int64_t now_s, uint64_t events_before_us, bool unacked,
                store_done *done, void *arg);

/* What an event about a person says from then on. */
#define STORE_ERASED "{\"erased\":true}"

/* Erases a person: the user, all documents with this 'ref', and what events about it say.
 * Audit entries stay until they expire: who did what must be answerable for. */
int store_erase(struct store *store, const char *tenant, const char *user_id,
                store_done *done, void *arg);

/* Copies the whole store, as it is at one moment, to a new file. Writes go on meanwhile. */
int store_backup(struct store *store, const char *path, store_done *done, void *arg);

/* The highest epoch and the highest seq that any meeting's events had when it was opened; 0
 * of an empty store. */
void store_last_numbers(const struct store *store, uint64_t *epoch, uint64_t *seq);

/* What ails it: 0, or -ENOSPC since a write had no room, -EHOSTDOWN since the database did
 * not answer, -EAGAIN since another process held the file for longer than is waited for,
 * -EACCES or -EIO; until that is known to be over. */
int store_failing(const struct store *store);

uint32_t store_waiting(const struct store *store); /* requests not yet done */

/* Bytes that are in use, without what was freed within the file, and how many there may be
 * (store_conf.max_mb; 0: as the disk allows), as of the last second in which anything was
 * asked. False: the store does not know. Any thread. */
bool store_room(const struct store *store, uint64_t *used, uint64_t *most);

uint64_t store_events_written(const struct store *store); /* since it was opened */

#endif
