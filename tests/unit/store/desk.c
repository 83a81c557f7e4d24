#include "desk.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/clock.h"
#include "sys/loop.h"

void desk_done(void *arg, const struct store_result *result)
{
    struct desk *desk = arg;
    struct store_arena *arena = &desk->arena;

    store_arena_free(arena);
    desk->err = result->err;
    desk->failed = result->failed;
    desk->version = result->version;
    desk->epoch = result->epoch;
    desk->seq = result->seq;
    desk->n = result->n;
    desk->more = result->more;
    desk->n_docs = result->n_docs;
    desk->n_events = result->n_events;
    for (size_t i = 0; i < result->n_docs; i++) {
        struct store_doc *doc = &desk->docs[i];

        *doc = result->docs[i];
        doc->tenant = store_arena_text(arena, doc->tenant);
        doc->id = store_arena_text(arena, doc->id);
        doc->name = store_arena_text(arena, doc->name);
        doc->group = store_arena_text(arena, doc->group);
        doc->ref = store_arena_text(arena, doc->ref);
        doc->state = store_arena_text(arena, doc->state);
        doc->json = store_arena_text(arena, doc->json);
    }
    for (size_t i = 0; i < result->n_events; i++) {
        struct store_event *event = &desk->events[i];

        *event = result->events[i];
        event->tenant = store_arena_text(arena, event->tenant);
        event->meeting = store_arena_text(arena, event->meeting);
        event->type = store_arena_text(arena, event->type);
        event->ref = store_arena_text(arena, event->ref);
        event->json = store_arena_text(arena, event->json);
    }
    desk->n_answers++;
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    return loop_post(loop, fn, arg);
}

const char *desk_url;

void desk_elsewhere(struct desk *desk)
{
    static unsigned n;

    if (desk_url != NULL) {
        (void)snprintf(desk->path, sizeof(desk->path), "%skcs_%d_%u", desk_url,
                       (int)getpid(), ++n);
    } else {
        (void)snprintf(desk->path, sizeof(desk->path), "%s/kcs%u.db", desk->dir, ++n);
    }
}

void desk_setup(struct desk *desk)
{
    memset(desk, 0, sizeof(*desk));
    (void)snprintf(desk->dir, sizeof(desk->dir), "/tmp/kcs-store-XXXXXX");
    assert_non_null(mkdtemp(desk->dir));
    desk_elsewhere(desk);
    assert_int_equal(loop_create(&desk->loop), 0);
}

void desk_open(struct desk *desk, const struct store_backend *backend,
               const struct store_conf *more)
{
    struct store_conf conf = {.synchronous = STORE_SYNC_NORMAL};
    char err[STORE_ERR_MAX];

    if (more != NULL) {
        conf = *more;
    }
    conf.path = desk->path;
    conf.post = post;
    conf.loop = desk->loop;
    if (store_create_on(&desk->store, backend, &conf, err) != 0) {
        fail_msg("%s", err);
    }
}

void desk_close(struct desk *desk)
{
    store_destroy(desk->store);
    desk->store = NULL;
}

void desk_teardown(struct desk *desk)
{
    DIR *dir;
    const struct dirent *entry;
    char path[400];

    desk_close(desk);
    loop_destroy(desk->loop);
    store_arena_free(&desk->arena);
    dir = opendir(desk->dir);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", desk->dir, entry->d_name);
        if (entry->d_name[0] != '.') {
            (void)unlink(path);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(desk->dir);
}

int desk_wait(struct desk *desk, int ret)
{
    unsigned before = desk->n_answers;
    uint64_t until_us = clock_mono_us() + 60000000;

    assert_int_equal(ret, 0);
    while (desk->n_answers == before) {
        assert_true(clock_mono_us() < until_us);
        loop_turn(desk->loop);
        (void)usleep(50);
    }
    return desk->err;
}
