/* A request of the interface that waits for the store: what it is about, kept until it is
 * answered, and the steps that many routes share. A step that cannot go on answers and ends
 * the task; its next one is then not called.
 *
 * If the client goes away meanwhile, the task's writes go on and nobody is answered. */
#ifndef REST_TASK_H
#define REST_TASK_H

#include "rest/call.h"
#include "store/store.h"

enum { TASK_ID = 22, TASK_WRITES = STORE_WRITES_MAX, TASK_LIMIT = 50, TASK_REQUEST_ID = 72,
       TASK_CURSOR = 257 };

struct task;
typedef void task_fn(struct task *task);

struct task {
    struct net_req *req; /* NULL: the client is gone */
    struct store *store;
    const struct rest_conf *conf;
    struct rest *rest;
    const struct schema_route *route;
    struct schema_params params;
    struct auth_identity who;
    json_t *query, *body;
    char remote[64];
    struct trace trace; /* of the request, as its id: they outlive it */
    char request_id[TASK_REQUEST_ID];
    /* of task_with_meeting() */
    enum auth_role role;
    bool invited; /* creator, participant or administrator; else only of the tenant */
    bool open_to_all;
    bool unstored_too;    /* for a token of the meeting: 'meeting' is NULL then */
    json_t *meeting;      /* as it is stored */
    struct store_doc doc; /* its columns; strings are those below and of 'meeting' */
    char creator[AUTH_ID_MAX + 1], state[16];
    task_fn *next;
    /* what is to be written, by task_put() and the like */
    struct store_write writes[TASK_WRITES];
    size_t n_writes;
    char ids[TASK_WRITES][STORE_ID_MAX + 1];
    char *texts[TASK_WRITES]; /* heap */
    json_t *answer;           /* data of a success, once it is written */
    task_fn *written; /* called before the answer, once it is written; may be NULL */
    task_fn *finish;  /* answers, in place of 'answer', once it is written; may be NULL */
    char key[STORE_ID_MAX + 1]; /* of Idempotency-Key; empty: none */
};

/* Moves what 'call' has into a task, or answers 503 and returns NULL. */
struct task *task_new(const struct rest_call *call);
void task_end(struct task *task); /* NULL is a no-op */

/* Each answers and ends it. 'data' is moved. */
void task_answer(struct task *task, json_t *data, uint64_t version);
void task_refuse(struct task *task, unsigned status, const char *code, const char *message);
void task_fail(struct task *task, int err); /* of the store */
/* 403, and the audit has it if it would have had the act. */
void task_forbid(struct task *task, const char *message);

/* The client of 'req' went away. */
void task_on_abort(struct net_req *req);

/* Reads the meeting that the path names, and which role the asker has in it; asks
 * auth_may() for the route. 404 if it is not for the asker to see. */
void task_with_meeting(struct task *task, task_fn *next);

/* task_new() and that: all that most routes of a meeting begin with. */
void task_begin_with_meeting(const struct rest_call *call, task_fn *next);

/* ---- writes: collected, then done as one ---- */

void task_put_meeting(struct task *task, uint64_t expect); /* task->meeting */
/* 'json' is moved. */
void task_event(struct task *task, const char *type, json_t *json);
void task_audit(struct task *task, const char *target); /* of rest_act() */
/* An entry by itself; nobody waits for that. */
void task_note(struct task *task, const char *target, const char *result);
struct store_write *task_write(struct task *task); /* one more, zeroed */

/* Writes all, then answers with task->answer. */
void task_commit(struct task *task);

/* ---- pages ---- */

/* Fills cursor and limit of 'query' from the request's. False: answered (400). */
bool task_page(struct task *task, struct store_query *query, char after[STORE_ID_MAX + 1]);

/* Reads that page of a kind, of a meeting or (group NULL) of the tenant: done(task) answers
 * it, by task_answer_page(). */
void task_find_page(struct task *task, enum store_kind kind, const char *group,
                    bool descending, store_done *done);

/* A cursor that says 'where', as a new reference, and the other way; false: it is none. */
json_t *task_cursor(const char *where);
bool task_read_cursor(const char *cursor, char where[TASK_CURSOR]);
/* Answers 400 and ends the task. */
void task_refuse_cursor(struct task *task);

/* {"success", "data": [each of make(doc)], "count", "next_cursor"} and ends the task.
 * make() gives a new reference, or NULL to leave one out. */
void task_answer_page(struct task *task, const struct store_result *result,
                      json_t *(*make)(struct task *task, const struct store_doc *doc));

/* A string of 'json' (borrowed), or NULL. */
const char *task_text(const json_t *json, const char *name);

/* Seconds since 1970 of a member that is a time of RFC 3339; 'otherwise' if it is not. */
int64_t task_seconds(const json_t *json, const char *name, int64_t otherwise);

/* RFC 3339 of seconds since 1970: a new reference. */
json_t *task_time(int64_t seconds);

#endif
