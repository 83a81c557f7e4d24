/* A store with a loop of its own, asked one thing at a time; and files that go away. */
#ifndef TESTS_STORE_DESK_H
#define TESTS_STORE_DESK_H

#include "store/store_priv.h"

struct loop;

struct desk {
    struct loop *loop;
    struct store *store;
    char dir[64];
    char path[96];
    /* of the last answer; strings are copied */
    int err;
    size_t failed;
    uint64_t version, epoch, seq, n;
    bool more;
    size_t n_docs, n_events;
    struct store_doc docs[STORE_FIND_MAX];
    struct store_event events[STORE_FIND_MAX];
    struct store_arena arena;
    unsigned n_answers;
};

/* What is done is noted here: the 'done' of every request of the tests. arg: the desk. */
void desk_done(void *arg, const struct store_result *result);

/* "mongodb://…/": each desk has a database of its own there; NULL: files. */
extern const char *desk_url;

void desk_setup(struct desk *desk);     /* loop and directory */
void desk_elsewhere(struct desk *desk); /* another path, with nothing there yet */
void desk_open(struct desk *desk, const struct store_backend *backend,
               const struct store_conf *more);
void desk_close(struct desk *desk); /* the store alone */
void desk_teardown(struct desk *desk);

/* Waits for the answer to a request that returned 'ret'. Returns the answer's err. */
int desk_wait(struct desk *desk, int ret);

#endif
